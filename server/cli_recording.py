"""``sideroom recording``: compose a recording once more, in another layout, size or format; try a failed one again; see how far that is."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from models.recording import LAYOUTS, RATES, BadOption
from models.store.compositions import compositions_of, request_composition
from models.store.database import Database
from models.store.migrate import upgrade
from models.store.recordings_jobs import forget_attempts, recording_info, status_of
from models.values import SYSTEM, CommandId, RecordingId, RecordingStatus
from recorder.journal import MANIFEST
from rooms.commands import Envelope, ReportRecording
from rooms.service import RoomsService
from server.settings import load, prepare


def add_parser(commands: Any) -> None:
    """Add ``recording`` to the command's subcommands."""
    actions = commands.add_parser("recording", help="videos of recordings").add_subparsers(
        title="recording", metavar="ACTION", required=True
    )
    compose = actions.add_parser(
        "compose", help="make another version of a recording, while its captured data is kept"
    )
    compose.add_argument("recording", help="id of the recording")
    compose.add_argument("--layout", choices=LAYOUTS, help="default: as it was recorded, with its changes")
    compose.add_argument("--size", help="pixels, such as 1280x720 or 720x1280")
    compose.add_argument("--fps", type=int, choices=RATES)
    compose.add_argument("--format", choices=("mp4", "webm"))
    for name, text in (
        ("names", "names on the tiles"),
        ("clock", "the time of day"),
        ("title-card", "a title card"),
    ):
        compose.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=None, help=text)
    compose.set_defaults(run=_compose)
    retry = actions.add_parser("retry", help="process a failed recording again from its captured data")
    retry.add_argument("recording", help="id of the recording")
    retry.set_defaults(run=_retry)
    status = actions.add_parser("status", help="show the progress of a recording’s versions")
    status.add_argument("recording", help="id of the recording")
    status.set_defaults(run=_status)


def _database() -> Database:
    settings = prepare(load())
    upgrade(settings.db_url)
    return Database(settings.db_url)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked for. Raises BadOption."""
    options: dict[str, Any] = {}
    for name in ("layout", "fps", "names", "clock", "title_card"):
        value = getattr(args, name)
        if value is not None:
            options[name] = value
    if args.format is not None:
        options["video_codec"] = {"mp4": "H264", "webm": "VP8"}[args.format]
    if args.size is not None:
        width, _, height = args.size.partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise BadOption("size", "must be written as 1280x720")
        options |= {"width": int(width), "height": int(height)}
    return options


def _compose(args: argparse.Namespace) -> int:
    db = _database()
    try:
        composition_id = request_composition(
            db, RecordingId(args.recording), _options(args), datetime.now(UTC)
        )
    except BadOption as error:
        print(f"sideroom: {error}", file=sys.stderr)
        return 2
    finally:
        db.close()
    if composition_id is None:
        print(f"sideroom: there’s no recording {args.recording}.", file=sys.stderr)
        return 1
    print(f"{composition_id}: will be made by the job worker and added to the recording.")
    print(f"See its progress: sideroom recording status {args.recording}")
    return 0


def _retry(args: argparse.Namespace) -> int:
    """A recording that failed goes the way of one that was just closed."""
    settings = prepare(load())
    db = _database()
    key = RecordingId(args.recording)
    try:
        info, status = recording_info(db, key), status_of(db, key)
        if info is None:
            print(f"sideroom: there’s no recording {key}.", file=sys.stderr)
            return 1
        if status is not RecordingStatus.ERRORED:
            print(
                f"sideroom: {key} is {status}; only a recording that is ERRORED can be retried.",
                file=sys.stderr,
            )
            return 1
        if not (settings.recordings_dir / key / MANIFEST).exists():
            print(f"sideroom: the captured data of {key} is no longer kept.", file=sys.stderr)
            return 1
        forget_attempts(db, key)
        report = ReportRecording(key, RecordingStatus.UPLOADING.value)
        command_id = CommandId(f"retry:{key}:{uuid4().hex}")
        RoomsService(db).submit(Envelope(command_id, info.session_id, SYSTEM, report))
    finally:
        db.close()
    print(f"{key}: will be made by the job worker. See its progress: sideroom recording status {key}")
    return 0


def _status(args: argparse.Namespace) -> int:
    db = _database()
    try:
        info = recording_info(db, RecordingId(args.recording))
        state = status_of(db, RecordingId(args.recording))
        asked = compositions_of(db, RecordingId(args.recording))
    finally:
        db.close()
    if info is None:
        print(f"sideroom: there’s no recording {args.recording}.", file=sys.stderr)
        return 1
    print(f"{info.recording_id}\t{info.room_name}\t{info.course_title}\t{state}")
    for one in asked:
        ready = f", ready at {one.eta_at:%H:%M} UTC" if one.eta_at is not None else ""
        what = one.file_name or one.error or f"{one.progress:.0%}{ready}"
        print(f"{one.composition_id}\t{one.status}\t{what}")
    return 0
