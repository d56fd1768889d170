"""What of a session's events belongs into a room's recording as a chapter. Pure.

People who come, go and share stand in the roster lines already; these are the rest: messages to rooms and calls for help.
Nobody who declines to be recorded is named.
"""

from __future__ import annotations

from typing import Any

from models.values import PersonId, RoomId
from rooms import events as e
from rooms.events import Recorded
from rooms.state import SessionState

MAX_TEXT = 200


def happening(recorded: Recorded, state: SessionState, room_id: RoomId) -> tuple[str, dict[str, Any]] | None:
    """(kind, facts) of an event that people in this room noticed; ``state`` is the one after it."""
    event = recorded.event
    if isinstance(event, e.MessageBroadcast):
        if room_id not in event.room_ids:
            return None
        return "broadcast", {"name": _name(state, event.person_id), "text": event.text[:MAX_TEXT]}
    if isinstance(event, e.CallRaised):
        if event.room_id != room_id:
            return None
        return "call", {"name": _name(state, event.person_id)}
    if isinstance(event, e.CallClaimed):
        call = state.calls.get(event.call_id)
        if call is None or call.room_id != room_id:
            return None
        return "help", {"name": _name(state, event.by)}
    return None


def _name(state: SessionState, person_id: PersonId | None) -> str:
    person = state.people.get(person_id) if person_id is not None else None
    return "" if person is None or person.declines_recording else person.name
