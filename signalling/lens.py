"""What each viewer is sent, as JSON text: a whole state, or one commit's events with their patches.

Viewers of the same role in the same rooms share everything but their own bits, so the costly parts (views, patches, JSON) are
made once a class, and each person's entity once: with 300 people who move at once the loop would stand still otherwise.
"""

from __future__ import annotations

import json
from typing import Any

from models.values import PersonId, Role, RoomId
from rooms import view as views
from rooms import wire
from rooms.events import Recorded
from rooms.ports import Committed
from rooms.state import Participant, SessionState
from signalling.messages import stamp


def encoded(value: object) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _joined(*objects: str) -> str:
    """One JSON object with the members of several, none of which is empty."""
    return "{" + ",".join(text[1:-1] for text in objects) + "}"


class Portrait:
    """One state: ask it for each viewer's whole view."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._moderators: str | None = None
        self._common: str | None = None
        self._rooms: dict[RoomId, str] = {}
        self._people: dict[tuple[PersonId, bool], str] = {}

    def text(self, person_id: PersonId, role: Role) -> str:
        """``rooms.view.view`` of this viewer as JSON."""
        own = encoded(views.own_view(self._state, person_id, role))
        if role is not Role.MODERATOR:
            return _joined(self._room(views.room_of(self._state, person_id)), own)
        if self._moderators is None:
            self._moderators = encoded(views.moderators_view(self._state))
        return _joined(self._moderators, own)

    def _room(self, room_id: RoomId) -> str:
        if room_id not in self._rooms:
            if self._common is None:
                self._common = encoded(views.common_view(self._state))
            people = ",".join(self._person(p, p.room_id == room_id) for p in self._state.people.values())
            recordings = encoded({"recordings": views.recordings_of(self._state, room_id)})
            self._rooms[room_id] = _joined(self._common, recordings, f'{{"people":{{{people}}}}}')
        return self._rooms[room_id]

    def _person(self, person: Participant, near: bool) -> str:
        key = person.person_id, near
        if key not in self._people:
            entity = encoded(views.person_view(person, near))
            self._people[key] = f"{encoded(person.person_id)}:{entity}"
        return self._people[key]


class Lens:
    """One ``Committed``: ask it for each viewer's messages."""

    def __init__(self, committed: Committed) -> None:
        self._committed = committed
        self._viewer = views.Viewer(committed.before, committed.after)
        self._shared: dict[views.ViewersClass, str | None] = {}

    def frames(
        self, person_id: PersonId, role: Role, after_seq: int, *, state_follows: bool = False
    ) -> list[str]:
        """The messages for one viewer, in order; events up to ``after_seq`` are left out (already in their state).

        ``state_follows``: this viewer gets a whole new state next and needs no patch.
        """
        events = [r for r in self._committed.events if r.seq > after_seq]
        if not events:
            return []
        patch = None if state_follows else self._patch(person_id, role)
        frames = []
        for recorded in events:
            last = recorded is events[-1]
            data = views.announcement(recorded, self._committed.after, person_id, role)
            if data is not None or (last and patch is not None):
                frames.append(self._frame(recorded, data, patch if last else None))
        return frames

    def _patch(self, person_id: PersonId, role: Role) -> str | None:
        viewers = self._viewer.viewers_class(person_id, role)
        if viewers not in self._shared:
            shared = self._viewer.shared_patch(viewers)
            self._shared[viewers] = None if shared is None else encoded(shared)
        own = self._viewer.own_patch(person_id, role)
        parts = [self._shared[viewers], None if own is None else encoded(own)]
        known = [part for part in parts if part is not None]
        return _joined(*known) if known else None

    def _frame(self, recorded: Recorded, data: dict[str, Any] | None, patch: str | None) -> str:
        head = {
            "type": "event",
            "seq": recorded.seq,
            "at": stamp(recorded.at),
            "event": wire.event_name(recorded.event) if data is not None else "updated",
            "data": data or {},
        }
        return f'{encoded(head)[:-1]},"patch":{patch or "null"}}}'
