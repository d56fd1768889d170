"""Handlers of ``/api/v1/recordings``: start, look, list, pause, resume, stop, lay out anew, compose anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from api.v1.call import Call, Page
from api.v1.recordings_schemas import (
    FIELDS,
    ActBody,
    Composition,
    EntryBody,
    Group,
    LayoutBody,
    ListQuery,
    RecomposeBody,
    Recording,
    StartBody,
    TrackBody,
    Where,
    in_our_names,
)
from models.recording import BadOption
from models.store import compositions
from models.store import recordings_list as store
from models.store.compositions import Requested
from models.store.people import membership_role
from models.store.recordings_list import Filter, ListedRecording
from models.store.storage import usable
from models.values import MAIN_ROOM, RecordingId, RecordingStatus, RoomId, SessionId
from rooms.commands import (
    Command,
    PauseRecording,
    ResumeRecording,
    SetRecordingLayout,
    StartRecording,
    StopRecording,
)
from rooms.errors import DomainError
from rooms.events import RecordingInvoked

ACTIONS: Final[Mapping[str, Callable[[RecordingId], Command]]] = {
    "pause": PauseRecording,
    "resume": ResumeRecording,
    "stop": StopRecording,
}
ASKED: Final = {"recording": "RECORDING", "paused": "PAUSED", "stopped": "UPLOADING"}
"""What was asked for → the status that follows."""
REPORT_POLL_S: Final = 0.05
LIVE: Final = tuple(status for status in RecordingStatus if status.is_live)
EXPIRED: Final = {None: None, "true": True, "false": False}


def start(call: Call) -> Recording | Group:
    """A recording, or with ``all_rooms`` a group of one for each breakout room."""
    body = call.body_as(StartBody)
    return _start(call, body, body.partial(), body.allow_multiple_recordings)


def track(call: Call) -> Recording | Group:
    """The same without a film."""
    body = call.body_as(TrackBody)
    if not body.audio and not body.video:
        raise DomainError("bad_value", "Ask for “audio”, “video”, or both.", field="audio")
    return _start(call, body, body.partial(), body.allow_multiple_recordings)


def _start(call: Call, body: Where, options: dict[str, Any], allow_multiple: bool) -> Recording | Group:
    if body.all_rooms and body.room_id is not None:
        raise DomainError("bad_value", "Give room_id or all_rooms, not both.", field="room_id")
    _check_people(call, body.meeting_id, options.get("people", []))
    options |= (more := _storages(call, body, options.get("storages", [])))
    room_id = None if body.all_rooms else RoomId(body.room_id or MAIN_ROOM)
    command = StartRecording(room_id, body.all_rooms, options, allow_multiple)
    brought = more["storages"][-1] if body.storage_config is not None else None
    try:
        accepted = call.submit(body.meeting_id, command, "start", body.on_behalf_of)
    except DomainError as error:
        _forget(call, brought)
        raise in_our_words(error) from None
    if accepted.repeated:
        _forget(call, brought)
    invoked = next(r.event for r in accepted.events if isinstance(r.event, RecordingInvoked))
    return _found(call, invoked.parent_id or invoked.recording_id)


def _check_people(call: Call, meeting_id: str, people: Sequence[str]) -> None:
    """Raises ``person_unknown`` for an id of nobody in the course or the meeting: its recording would be empty."""
    if not people:
        return
    state = call.deps.rooms.state(SessionId(meeting_id))
    if call.course_id not in (None, state.course_id):
        raise DomainError("other_course")
    for person_id in people:
        if (
            person_id not in state.people
            and membership_role(call.deps.db, state.course_id, person_id) is None
        ):
            raise DomainError(
                "person_unknown",
                f"There’s no person “{person_id[:40]}” in this course or meeting.",
                field="person_ids",
                person_id=person_id,
            )


def _forget(call: Call, storage_id: str | None) -> None:
    """Nothing is recorded to the storage that came along: its credentials must not stay."""
    if storage_id is not None:
        call.deps.storages.remove(storage_id)


def _storages(call: Call, body: Where, given: list[str]) -> dict[str, Any]:
    """The recording's storages: those that were named, and one of its own. Raises ``storage_unknown``, ``bad_value``,
    ``storage_unusable`` when the dry run fails, ``other_course``."""
    if not given and body.storage_config is None:
        return {}
    state = call.deps.rooms.state(SessionId(body.meeting_id))
    course_id = state.course_id
    if call.course_id not in (None, course_id):
        raise DomainError("other_course")
    if not state.is_open:
        raise DomainError("session_ended")
    known = {storage.storage_id for storage in usable(call.deps.db, course_id, given)}
    for storage_id in given:
        if storage_id not in known:
            raise DomainError("storage_unknown", field="storage_ids", storage_id=storage_id)
    if body.storage_config is None:
        return {"storages": given}
    config = body.storage_config.model_dump(exclude_none=True)
    return {"storages": [*given, call.deps.storages.create(f"call:{course_id}", config)]}


def in_our_words(error: DomainError) -> DomainError:
    """A refused option by the name that it has here."""
    field = str(error.facts.get("field", ""))
    head, _, tail = field.partition(".")
    ours = ".".join(filter(None, (FIELDS.get(head, head), tail)))
    if error.code != "bad_value" or ours == field:
        return error
    message = error.message.replace(f"“{field}”", f"“{ours}”")
    return DomainError(error.code, message, **{**error.facts, "field": ours})


def details(call: Call) -> Recording | Group:
    return _found(call, call.path["recording_id"])


def active(call: Call) -> Recording:
    """The newest that is live in this meeting."""
    wanted = Filter(call.course_id, call.path["meeting_id"], LIVE)
    rows, _ = store.find_recordings(call.deps.db, wanted, 0, 1)
    if not rows:
        raise DomainError("recording_unknown", "Nothing is being recorded in this meeting.")
    return call.deps.view.recordings(rows)[0]


def listing(call: Call) -> Page:
    query = call.query_as(ListQuery)
    wanted = Filter(
        course_id=call.course_id,
        session_id=query.meeting_id,
        statuses=tuple(RecordingStatus(value) for value in query.status),
        search=query.search.strip(),
        start=query.start_time,
        end=query.end_time,
        expired=EXPIRED[query.expired],
        ascending=query.sort_order == "ASC",
    )
    rows, total = store.find_recordings(call.deps.db, wanted, query.page_no, query.per_page)
    return Page(call.deps.view.recordings(rows), total)


def act(call: Call) -> Recording | Group:
    action, group_id = call.body_as(ActBody).action, call.path["recording_id"]
    rows = _rows(call, group_id)
    if action == "stop" and rows[0].parent_id == group_id:
        try:
            # As a whole, so that rooms which are entered later do not begin again.
            call.submit(rows[0].session_id, StopRecording(RecordingId(group_id)), f"stop:{group_id}")
            return _after(call, group_id)
        except DomainError as error:
            if error.code != "recording_unknown":
                raise
    _each(call, action, ACTIONS[action])
    return _after(call, group_id)


def _after(call: Call, recording_id: str) -> Recording | Group:
    """The answer once the recorder has done what was asked; it reports within a second. If it is late, the answer says what
    was asked: the recorder will do it, or is not there and records nothing."""
    deadline = time.monotonic() + call.deps.report_wait_s
    while any(_is_pending(row) for row in _rows(call, recording_id)) and time.monotonic() < deadline:
        time.sleep(REPORT_POLL_S)
    found = _found(call, recording_id)
    wanted = {row.recording_id: ASKED[row.desired] for row in _rows(call, recording_id) if _is_pending(row)}
    if isinstance(found, Group):
        parts = [
            part.model_copy(update={"status": wanted.get(part.id, part.status)}) for part in found.recordings
        ]
        return found.model_copy(update={"recordings": parts})
    return found.model_copy(update={"status": wanted.get(found.id, found.status)})


def _is_pending(row: ListedRecording) -> bool:
    """Something was asked that the recorder has not reported yet."""
    return RecordingStatus(row.status).is_live and row.status != ASKED[row.desired]


def change(call: Call) -> Recording:
    """Rename, publish or take back."""
    body = call.body_as(EntryBody)
    if body.title is None and body.published is None:
        raise DomainError("bad_value", "Give “title”, “published”, or both.", field="title")
    row = _in_library(call)
    call.deps.library.save(row.entry_id or "", body.title, body.published)
    return call.deps.view.recordings(_rows(call, row.recording_id))[0]


def delete(call: Call) -> Recording:
    """Delete the files and the library's entry. What was recorded is told as before, with ``deleted``."""
    row = _in_library(call)
    call.deps.library.remove(row.entry_id or "")
    return call.deps.view.recordings(_rows(call, row.recording_id))[0]


def _in_library(call: Call) -> ListedRecording:
    """The one recording of the address with its entry. Raises ``recording_unknown``, ``still_recording``."""
    row = _closed(call)
    if row.entry_id is None:
        raise DomainError(
            "still_recording" if row.status == RecordingStatus.UPLOADING.value else "recording_unknown",
            None
            if row.status == RecordingStatus.UPLOADING.value
            else "This recording isn’t in the library. It may have been deleted.",
        )
    return row


def set_layout(call: Call) -> Recording | Group:
    layout = call.body_as(LayoutBody).layout
    return _each(call, f"layout:{layout}", lambda recording_id: SetRecordingLayout(layout, recording_id))


def _each(call: Call, what: str, command: Callable[[RecordingId], Command]) -> Recording | Group:
    """Ask it of the recording, or of each of a group; refused when it is refused for all of them."""
    recording_id = call.path["recording_id"]
    refused: list[DomainError] = []
    rows = _rows(call, recording_id)
    for row in rows:
        try:
            recording = RecordingId(row.recording_id)
            call.submit(row.session_id, command(recording), f"{what}:{recording}")
        except DomainError as error:
            refused.append(error)
    if len(refused) == len(rows):
        raise refused[0]
    return _found(call, recording_id)


def recompose(call: Call) -> Composition:
    """Another film from what was captured, beside the first; it is made when the composer has time."""
    row, options = _closed(call), call.body_as(RecomposeBody).partial()
    if not options:
        raise DomainError(
            "bad_value", "Give at least one option to change, such as “layout”.", field="layout"
        )
    try:
        made = compositions.request_composition(
            call.deps.db, RecordingId(row.recording_id), options, datetime.now(UTC)
        )
    except BadOption as error:
        refusal = DomainError("bad_value", f"“{error.field}” {error.message}.", field=error.field)
        raise in_our_words(refusal) from None
    found = compositions.get_composition(call.deps.db, made) if made is not None else None
    if found is None:
        raise DomainError("recording_unknown")
    return _composition(found)


def composed(call: Call) -> list[Composition]:
    """What was asked for, oldest first."""
    row = _single(call)
    return [
        _composition(c) for c in compositions.compositions_of(call.deps.db, RecordingId(row.recording_id))
    ]


def _composition(found: Requested) -> Composition:
    return Composition(
        id=found.composition_id,
        recording_id=found.recording_id,
        status=found.status,  # type: ignore[arg-type]
        progress=found.progress,
        estimated_ready_time=found.eta_at,
        error=found.error,
        file_name=found.file_name or None,
        created_at=found.created_at,
        options=in_our_names(found.options),
    )


def _single(call: Call) -> ListedRecording:
    """The one recording of the address. Raises ``recording_unknown``, also for a group."""
    rows = [r for r in _rows(call, call.path["recording_id"]) if r.recording_id == call.path["recording_id"]]
    if not rows:
        raise DomainError("recording_unknown", "This is a group. Send this for each of its recordings.")
    return rows[0]


def _closed(call: Call) -> ListedRecording:
    """The same, when nothing is captured any more. Raises ``still_recording``."""
    row = _single(call)
    if RecordingStatus(row.status).is_live:
        raise DomainError("still_recording")
    return row


def _rows(call: Call, recording_id: str) -> list[ListedRecording]:
    rows = store.get_recordings(call.deps.db, recording_id, call.course_id)
    if not rows:
        raise DomainError("recording_unknown")
    return rows


def _found(call: Call, recording_id: str) -> Recording | Group:
    rows = _rows(call, recording_id)
    if rows[0].recording_id == recording_id:
        return call.deps.view.recordings(rows)[0]
    return call.deps.view.group(recording_id, rows)
