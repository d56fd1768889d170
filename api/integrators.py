"""The integrators' REST, ``/api/v1``: recordings and a door for commands, with API keys. docs/rest.md §3."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, jsonify, request

from api.common import bearer_token, json_object
from library import links
from models.store import recordings_list as store
from models.store.database import Database
from models.store.keys import ApiKey, check_key
from models.store.recordings_list import Filter, ListedRecording
from models.values import MAIN_ROOM, CommandId, RecordingId, RecordingStatus, RoomId, SessionId
from rooms import wire
from rooms.commands import Command, Envelope, PauseRecording, ResumeRecording, StartRecording, StopRecording
from rooms.errors import DomainError
from rooms.events import RecordingInvoked
from rooms.ports import Accepted, Rooms

ACTIONS: dict[str, Callable[[RecordingId], Command]] = {
    "pause": PauseRecording,
    "resume": ResumeRecording,
    "stop": StopRecording,
}
LIVE = tuple(status for status in RecordingStatus if status.is_live)
LIST_FIELDS = frozenset(
    "meeting_id page_no per_page expired search sort_by sort_order start_time end_time status".split()
)
MAX_PER_PAGE = 100
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class IntegratorDeps:
    """``base_url`` is the site's address, with which download links begin; ``link_key`` signs them."""

    db: Database
    rooms: Rooms
    link_key: str
    base_url: str


def create_blueprint(deps: IntegratorDeps) -> Blueprint:
    """Routes of docs/rest.md §3."""
    blueprint = Blueprint("integrators", __name__, url_prefix="/api/v1")
    door = _Recordings(deps)
    route = blueprint.add_url_rule
    route("/recordings", "start", door.start, methods=["POST"])
    route("/recordings", "listing", door.listing)
    route("/recordings/<recording_id>", "details", door.details)
    route("/recordings/<recording_id>", "act", door.act, methods=["PUT"])
    route("/recordings/active-recording/<meeting_id>", "active", door.active)
    route("/sessions/<session_id>/commands", "command", door.command, methods=["POST"])
    blueprint.register_error_handler(DomainError, _refuse)
    return blueprint


def _refuse(error: DomainError) -> tuple[Response, int]:
    body = {"code": error.code, "message": error.message, "facts": error.facts}
    return jsonify({"success": False, "error": body}), error.http_status


def _good(data: Any, status: int = 200, **more: Any) -> tuple[Response, int]:
    return jsonify({"success": True, "data": data, **more}), status


class _Recordings:
    def __init__(self, deps: IntegratorDeps) -> None:
        self._deps = deps

    def _key(self, scope: str) -> ApiKey:
        key = check_key(self._deps.db, bearer_token())
        if key is None:
            raise DomainError("unauthenticated", "Send a valid API key: Authorization: Bearer srk_….")
        if scope not in key.scopes:
            raise DomainError("not_allowed", f"This API key lacks the scope “{scope}”.", scope=scope)
        return key

    def _submit(self, key: ApiKey, session_id: str, command: Command, part: str = "") -> Accepted:
        given = request.headers.get("Idempotency-Key")
        if given is not None and not _KEY.fullmatch(given):
            raise DomainError("bad_value", "Idempotency-Key has 1 to 64 letters, digits or . _ : -")
        unique = f"{given}:{part}" if given is not None else uuid4().hex
        command_id = CommandId(f"api:{key.key_id}:{unique}")
        return self._deps.rooms.submit(Envelope(command_id, SessionId(session_id), key.actor, command))

    # -- recordings --------------------------------------------------------------------------------------------

    def start(self) -> tuple[Response, int]:
        key = self._key("recordings:write")
        body = json_object()
        unknown = sorted(set(body) - {"meeting_id", "room_id", "all_rooms"})
        if unknown:
            raise DomainError("bad_command", f"“{unknown[0][:40]}” is not known here.", field=unknown[0][:40])
        meeting_id, room_id = body.get("meeting_id"), body.get("room_id", MAIN_ROOM)
        all_rooms = body.get("all_rooms", False)
        if not isinstance(meeting_id, str) or not 0 < len(meeting_id) <= 100:
            raise DomainError("bad_command", "“meeting_id” must be a session's id.", field="meeting_id")
        if not isinstance(room_id, str) or len(room_id) > 100:
            raise DomainError("bad_command", "“room_id” must be a room's id.", field="room_id")
        if not isinstance(all_rooms, bool):
            raise DomainError("bad_command", "“all_rooms” must be true or false.", field="all_rooms")
        if all_rooms and "room_id" in body:
            raise DomainError("bad_value", "Give room_id or all_rooms, not both.", field="room_id")
        command = StartRecording(None if all_rooms else RoomId(room_id), all_rooms)
        accepted = self._submit(key, meeting_id, command)
        first = next(r.event for r in accepted.events if isinstance(r.event, RecordingInvoked))
        return _good(self._found(key, first.parent_id or first.recording_id), 201)

    def details(self, recording_id: str) -> tuple[Response, int]:
        return _good(self._found(self._key("recordings:read"), recording_id))

    def act(self, recording_id: str) -> tuple[Response, int]:
        key = self._key("recordings:write")
        body = json_object()
        action = body.get("action")
        if set(body) != {"action"} or not isinstance(action, str) or action not in ACTIONS:
            raise DomainError("bad_command", "“action” must be stop, pause or resume.", field="action")
        refused: list[DomainError] = []
        rows = self._rows(key, recording_id)
        for row in rows:
            command = ACTIONS[action](RecordingId(row.recording_id))
            try:
                self._submit(key, row.session_id, command, row.recording_id)
            except DomainError as error:
                refused.append(error)
        if len(refused) == len(rows):  # of a group, those that cannot (stopped before) are passed over
            raise refused[0]
        return _good(self._found(key, recording_id))

    def active(self, meeting_id: str) -> tuple[Response, int]:
        key = self._key("recordings:read")
        rows, _ = store.find_recordings(self._deps.db, Filter(key.course_id, meeting_id, LIVE), 0, 1)
        if not rows:
            raise DomainError("recording_unknown", "Nothing is being recorded in this meeting.")
        return _good(self._json(rows[0]))

    def listing(self) -> tuple[Response, int]:
        key = self._key("recordings:read")
        args = request.args
        unknown = sorted(set(args) - LIST_FIELDS)
        if unknown:
            raise DomainError("bad_command", f"“{unknown[0][:40]}” is not known here.", field=unknown[0][:40])
        page, per_page = _number("page_no", 0, 0, 100_000), _number("per_page", 20, 1, MAX_PER_PAGE)
        _choice("sort_by", "invoked_time", "invoked_time")
        wanted = Filter(
            course_id=key.course_id,
            session_id=args.get("meeting_id"),
            statuses=tuple(_status(value) for value in args.getlist("status")),
            search=args.get("search", "").strip()[:100],
            start=_time("start_time"),
            end=_time("end_time"),
            expired={"true": True, "false": False, "": None}[_choice("expired", "", "true", "false", "")],
            ascending=_choice("sort_order", "DESC", "ASC", "DESC") == "ASC",
        )
        rows, total = store.find_recordings(self._deps.db, wanted, page, per_page)
        paging = {"total_count": total, "page_no": page, "per_page": per_page}
        return _good([self._json(row) for row in rows], paging=paging)

    def _rows(self, key: ApiKey, recording_id: str) -> list[ListedRecording]:
        rows = store.get_recordings(self._deps.db, recording_id, key.course_id)
        if not rows:
            raise DomainError("recording_unknown")
        return rows

    def _found(self, key: ApiKey, recording_id: str) -> dict[str, Any]:
        rows = self._rows(key, recording_id)
        if rows[0].recording_id == recording_id:
            return self._json(rows[0])
        recordings = [self._json(row) for row in rows]
        return {
            "id": recording_id,
            "type": "GROUP",
            "meeting_id": rows[0].session_id,
            "recordings": recordings,
        }

    def _json(self, row: ListedRecording) -> dict[str, Any]:
        url, expiry = None, None
        if row.entry_status == "ready" and row.entry_id is not None:
            now = int(time.time())
            path = links.link(self._deps.link_key, row.entry_id, row.file_name, now, download=True)
            url = self._deps.base_url.rstrip("/") + path
            expiry = wire.to_json(datetime.fromtimestamp(links.expiry(now), UTC))
        caller = (
            {"type": "USER", "name": row.started_by_name, "user_id": row.started_by}
            if row.started_by
            else {"type": "ORGANIZATION", "name": "", "user_id": None}
        )
        return {
            "id": row.recording_id,
            "type": "COMPOSITE",
            "meeting_id": row.session_id,
            "meeting": {"id": row.session_id, "title": row.meeting_title, "course_title": row.course_title},
            "room_id": row.room_id,
            "room_name": row.room_name,
            "parent_id": row.parent_id,
            "status": row.status,
            "progress": row.progress,
            "error": row.error,
            "output_file_name": row.file_name or None,
            "file_size": row.size_bytes,
            "invoked_time": wire.to_json(row.invoked_at),
            "started_time": wire.to_json(row.started_at),
            "stopped_time": wire.to_json(row.stopped_at),
            "recording_duration": round(row.duration_s) if row.duration_s is not None else None,
            "download_url": url,
            "download_url_expiry": expiry,
            "expired": row.entry_status == "expired",
            "expires_at": wire.to_json(row.expires_at),
            "start_reason": {"reason": "API_CALL", "caller": caller},
        }

    # -- commands ----------------------------------------------------------------------------------------------

    def command(self, session_id: str) -> tuple[Response, int]:
        key = self._key("commands")
        body = json_object()
        name, args = body.get("name"), body.get("args", {})
        if set(body) - {"name", "args"} or not isinstance(name, str) or not isinstance(args, dict):
            raise DomainError("bad_command", "Give “name” (text) and “args” (an object).")
        if name not in wire.CLIENT_COMMANDS:
            raise DomainError("bad_command", f"There is no command “{name[:40]}”.", field="name")
        accepted = self._submit(key, session_id, wire.command_from_json(name, args))
        events = [wire.recorded_to_json(recorded) for recorded in accepted.events]
        return _good({"events": events, "repeated": accepted.repeated})


def _number(field: str, default: int, low: int, high: int) -> int:
    value = request.args.get(field, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 8 and low <= int(value) <= high):
        raise DomainError("bad_value", f"{field} is a number from {low} to {high}.", field=field)
    return int(value)


def _choice(field: str, default: str, *allowed: str) -> str:
    value = request.args.get(field, default)
    if value not in allowed:
        raise DomainError("bad_value", f"{field} is one of {', '.join(filter(None, allowed))}.", field=field)
    return value


def _status(value: str) -> RecordingStatus:
    try:
        return RecordingStatus(value)
    except ValueError:
        raise DomainError(
            "bad_value", f"status is one of {', '.join(RecordingStatus)}.", field="status"
        ) from None


def _time(field: str) -> datetime | None:
    value = request.args.get(field)
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise DomainError(
            "bad_value", f"{field} is a time such as 2026-05-04T10:00:00Z.", field=field
        ) from None
