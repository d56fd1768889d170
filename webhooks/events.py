"""Which events webhooks can hear of, and the message each makes: one event of the log, at most one message. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.values import RecordingId, RecordingStatus
from rooms import events as e
from rooms.events import Recorded
from rooms.reasons import start_reason, stop_reason
from rooms.state import Participant, Recording, SessionState
from rooms.wire import actor_to_json, to_json

STATUS_UPDATE: Final = "recording.statusUpdate"
FILM_UPDATE: Final = "recording.filmUpdate"
TEST: Final = "webhook.test"
"""Sent when somebody asks for a test; to every webhook, whatever it listens to."""
EVENTS: Final[dict[str, str]] = {
    "meeting.started": "A session was opened.",
    "meeting.ended": "A session ended: its moderator ended it for everyone, or everyone had left.",
    "meeting.participantJoined": "Someone joined, or rejoined after leaving.",
    "meeting.participantLeft": "Someone left, or was removed by a moderator.",
    FILM_UPDATE: "Another version of a recording, requested afterwards, is ready or failed.",
    STATUS_UPDATE: "A recording changed its status: every change of every recording, including PAUSED.",
}
ENDED: Final = {"moderator": "HOST_ENDED_MEETING", "empty": "ALL_PARTICIPANTS_LEFT"}


@dataclass(frozen=True, slots=True)
class Message:
    """What an event tells: JSON data. Messages with one ``order_key`` are delivered in order.

    ``uploaded``: the recording whose files are to be added to ``data["recording"]``.
    """

    event: str
    order_key: str
    data: dict[str, Any]
    uploaded: RecordingId | None = None


def message(before: SessionState, recorded: Recorded, after: SessionState) -> Message | None:
    """The message of an event, None for one that webhooks do not tell. ``before`` and ``after`` frame the event."""
    build = _BUILDERS.get(type(recorded.event))
    found = build(before, recorded, after) if build is not None else None
    if found is None:
        return None
    head = {"event": found.event, "seq": recorded.seq, "timestamp": to_json(recorded.at)}
    return Message(found.event, found.order_key, {**head, **found.data}, found.uploaded)


def _meeting(state: SessionState) -> dict[str, Any]:
    return {
        "id": state.session_id,
        "title": state.room_title,
        "course_id": state.course_id,
        "course_title": state.course_title,
        "status": "LIVE" if state.is_open else "ENDED",
        "started_at": to_json(state.opened_at),
        "ended_at": to_json(state.ended_at),
    }


def _started(_before: SessionState, r: Recorded, after: SessionState) -> Message:
    return Message("meeting.started", r.session_id, {"meeting": _meeting(after)})


def _ended(_before: SessionState, r: Recorded, after: SessionState) -> Message:
    assert isinstance(r.event, e.SessionEnded)
    reason = ENDED.get(r.event.reason, r.event.reason.upper())
    return Message("meeting.ended", r.session_id, {"reason": reason, "meeting": _meeting(after)})


def _joined(before: SessionState, r: Recorded, after: SessionState) -> Message | None:
    assert isinstance(r.event, e.ParticipantEntered)
    known = before.people.get(r.event.person_id)
    if known is not None and known.online:
        return None  # a second window, or a connection that dropped and came back in time
    return _participant("meeting.participantJoined", r, after, after.people[r.event.person_id])


def _left(before: SessionState, r: Recorded, after: SessionState) -> Message | None:
    assert isinstance(r.event, e.ParticipantLeft | e.ParticipantRemoved)
    known = before.people.get(r.event.person_id)
    if known is None or not known.online:
        return None
    reason = "REMOVED" if isinstance(r.event, e.ParticipantRemoved) else "LEFT"
    return _participant("meeting.participantLeft", r, after, known, reason=reason)


def _participant(event: str, r: Recorded, after: SessionState, person: Participant, **more: str) -> Message:
    room = after.rooms.get(person.room_id)
    who = {
        "person_id": person.person_id,
        "name": person.name,
        "role": person.role.value,
        "room_id": person.room_id,
        "room_name": room.name if room is not None else "",
    }
    return Message(event, r.session_id, {**more, "participant": who, "meeting": _meeting(after)})


def _invoked(_before: SessionState, r: Recorded, after: SessionState) -> Message:
    assert isinstance(r.event, e.RecordingInvoked)
    return _status(r, after, r.event.recording_id, None)


def _changed(before: SessionState, r: Recorded, after: SessionState) -> Message:
    assert isinstance(r.event, e.RecordingStatusChanged)
    return _status(r, after, r.event.recording_id, before.recordings[r.event.recording_id])


def _status(r: Recorded, after: SessionState, recording_id: RecordingId, old: Recording | None) -> Message:
    recording = after.recordings[recording_id]
    data = recording_json(after, recording)
    data["previous_status"] = old.status.value if old is not None else None
    uploaded = recording_id if recording.status is RecordingStatus.UPLOADED else None
    return Message(STATUS_UPDATE, recording_id, {"recording": data, "meeting": _meeting(after)}, uploaded)


def _film(_before: SessionState, r: Recorded, after: SessionState) -> Message:
    assert isinstance(r.event, e.FilmReported)
    recording = after.recordings[r.event.recording_id]
    film = {
        "id": r.event.film_id,
        "status": "FAILED" if r.event.error is not None else "DONE",
        "file_name": r.event.file_name or None,
        "error": r.event.error,
    }
    data = {**recording_json(after, recording), "previous_status": None}
    uploaded = recording.recording_id if recording.status is RecordingStatus.UPLOADED else None
    told = {"film": film, "recording": data, "meeting": _meeting(after)}
    return Message(FILM_UPDATE, recording.recording_id, told, uploaded)


def recording_json(state: SessionState, recording: Recording) -> dict[str, Any]:
    """A recording as it stands in ``state``, with the names REST uses. Stop fields only once it has stopped."""
    data: dict[str, Any] = {
        "id": recording.recording_id,
        "type": recording.options.type,
        "meeting_id": state.session_id,
        "parent_id": recording.parent_id,
        "room_id": recording.room_id,
        "room_name": recording.room_name,
        "status": recording.status.value,
        "invoked_time": to_json(recording.invoked_at),
        "started_time": to_json(recording.started_at),
        "error": recording.error,
        "start_reason": start_reason(recording.start_reason, actor_to_json(recording.caller)),
    }
    if recording.stopped_at is not None:
        stopper = actor_to_json(recording.stopper) if recording.stopper is not None else None
        is_error = recording.status is RecordingStatus.ERRORED
        data["stopped_time"] = to_json(recording.stopped_at)
        data["recording_duration"] = round(recording.recorded_s)
        data["stop_reason"] = stop_reason(recording.stop_reason, stopper, is_error=is_error)
    return data


_Builder = Callable[[SessionState, Recorded, SessionState], Message | None]
_BUILDERS: Mapping[type[e.Event], _Builder] = {
    e.SessionOpened: _started,
    e.SessionEnded: _ended,
    e.ParticipantEntered: _joined,
    e.ParticipantLeft: _left,
    e.ParticipantRemoved: _left,
    e.RecordingInvoked: _invoked,
    e.RecordingStatusChanged: _changed,
    e.FilmReported: _film,
}
