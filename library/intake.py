"""Takes composed files into the library: moved atomically, once per recording, never half visible."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from library.copies import plan
from library.values import FOLDER_BREAKOUT, CompositionFacts, RecordingInfo
from models.store import library as store
from models.store.database import Database
from models.store.media_files import FileKind, MediaFile, save_files
from models.values import EntryId

log = logging.getLogger("sideroom.library")


def entry_id_of(recording_id: str) -> EntryId:
    """An entry's id follows from its recording's: taking it twice gives the same entry."""
    return EntryId("e" + hashlib.sha256(recording_id.encode()).hexdigest()[:20])


FINISHED = ("ready", "expired")


def ensure_processing_entry(db: Database, recording: RecordingInfo) -> EntryId:
    """Show a recording that is being composed in the library at once. Safe to repeat; a finished entry stays."""
    entry_id = entry_id_of(recording.recording_id)
    values = {**_facts(recording), "status": "processing"}
    store.save_entry(db, entry_id, values, unless=("processing", *FINISHED), first=_first(recording))
    return entry_id


def mark_failed(db: Database, recording: RecordingInfo) -> None:
    """The composition was given up; the entry says so (the reason stands with the recording)."""
    values = {**_facts(recording), "status": "failed"}
    entry_id = entry_id_of(recording.recording_id)
    store.save_entry(db, entry_id, values, unless=FINISHED, first=_first(recording))


def _facts(recording: RecordingInfo) -> dict[str, object]:
    at = recording.started_at or recording.invoked_at
    return {
        "course_id": recording.course_id,
        "owner_id": recording.started_by,
        "recording_id": recording.recording_id,
        "room_name": recording.room_name,
        "folder": FOLDER_BREAKOUT if recording.is_breakout else "",
        "recorded_at": at,
    }


def _first(recording: RecordingInfo) -> dict[str, object]:
    """What a new entry is called and whether the course sees it; later its owner decides, also while it is composed.

    A film shows what everybody in the room saw. Separate tracks give each person's voice alone: for moderators, until one of
    them publishes it.
    """
    return {
        # Course and date stand beside it, each once.
        "title": recording.room_name or recording.session_title or "Recording",
        "published": recording.options.get("type") != "TRACK",
        "created_at": datetime.now(UTC),
    }


def take(
    db: Database,
    root: Path,
    recording: RecordingInfo,
    result_folder: Path,
    facts: CompositionFacts,
    retention: timedelta | None = None,
) -> EntryId:
    """Move the composed files into ``root`` and make the entry ready. Repeated calls give the same entry.

    Copies to storages are planned here and made later. ``retention`` is of what has no copies; for others the clock starts when they are confirmed.
    Raises OSError when the library cannot be written; then nothing is visible and ``result_folder`` is as it was:
    what was composed is removed there only after the entry is committed.
    """
    entry_id = entry_id_of(recording.recording_id)
    known = store.get_entry(db, entry_id)
    if known is not None and known["status"] in FINISHED:
        return entry_id
    folder = root / entry_id
    folder.mkdir(parents=True, exist_ok=True)
    named = (facts.thumbnail, facts.chapters, facts.file_name, *(file.name for file in facts.files))
    names = list(dict.fromkeys(name for name in named if name))
    if any(Path(name).name != name for name in names):
        raise ValueError("composed files are named without folders")
    for name in names:
        place(result_folder / name, folder / name)
    _sync_folder(folder)
    now, at = datetime.now(UTC), recording.started_at or recording.invoked_at
    copies = plan(db, entry_id, recording.course_id, recording.recording_id, recording.room_name, at)
    values = {
        **_facts(recording),
        "status": "ready",
        "path": entry_id,
        "file_name": facts.file_name,
        "mime": facts.mime,
        "size_bytes": facts.size_bytes,
        "duration_s": facts.duration_s,
        "width": facts.width,
        "height": facts.height,
        "sha256": facts.sha256,
        "quality": {**facts.quality, "warnings": list(facts.warnings), "thumbnail": facts.thumbnail},
        "expires_at": now + retention if retention is not None and not copies else None,
    }
    ensure_processing_entry(db, recording)
    save_files(db, entry_id, [*_own_files(facts, folder), *facts.files])
    store.save_entry(db, entry_id, values)
    for name in names:
        (result_folder / name).unlink(missing_ok=True)
    log.info("library.taken entry_id=%s size_bytes=%d", entry_id, facts.size_bytes)
    return entry_id


def _own_files(facts: CompositionFacts, folder: Path) -> Iterator[MediaFile]:
    """The film and its picture, unless the film is one of the other files (a recording of tracks)."""
    if facts.file_name and facts.file_name not in {file.name for file in facts.files}:
        kind: FileKind = "audio" if facts.mime.startswith("audio/") else "composite"
        yield MediaFile(facts.file_name, kind, facts.mime, facts.size_bytes, facts.sha256, facts.duration_s)
    if facts.thumbnail:
        size = (folder / facts.thumbnail).stat().st_size
        yield MediaFile(facts.thumbnail, "thumbnail", "image/jpeg", size)


def add_film(db: Database, root: Path, entry_id: EntryId, source: Path, file: MediaFile) -> bool:
    """Lay another film beside an entry's own as ``file.name``. False: there is no such entry with files (any more)."""
    known = store.get_entry(db, entry_id)
    if known is None or known["status"] != "ready":
        return False
    folder = root / entry_id
    place(source, folder / file.name)
    _sync_folder(folder)
    save_files(db, entry_id, [file])
    log.info("library.film_added entry_id=%s size_bytes=%d", entry_id, file.size_bytes)
    return True


def place(source: Path, target: Path) -> None:
    """Give a file a second place under a name that is never half written; a target of an earlier try is replaced.

    A hard link where both are on one file system, else a copy. ``source`` stays; it may be gone if ``target`` exists.
    """
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        try:
            os.link(source, part)
        except FileNotFoundError:
            if target.exists():
                return  # an earlier or a simultaneous try came this far
            raise
        except OSError:
            # Another file system, or one without hard links: a full disk shows itself in the copy.
            shutil.copyfile(source, part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(part, target)
    finally:
        # Also after success: renaming one hard link over another of the same file leaves both.
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new names last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
