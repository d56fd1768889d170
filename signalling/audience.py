"""The browsers of one session on this server: who is connected, the newest state delivered to them, and the chat so far."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from models.values import PersonId, Role, RoomId, SessionId
from rooms.events import ChatSent, Event, MessageBroadcast, Recorded
from rooms.ports import Committed, Rooms
from rooms.state import SessionState
from signalling.connection import Connection
from signalling.lens import Portrait
from signalling.messages import stamp

CHAT_LINES = 200
LINES: tuple[type[Event], ...] = (ChatSent, MessageBroadcast)
"""What stands in a chat."""


class Audience:
    """Made with a session's first connection here, gone with its last."""

    def __init__(self, session_id: SessionId) -> None:
        self.session_id = session_id
        self.connections: dict[str, Connection] = {}
        self.newest: SessionState | None = None
        """The newest state that is known here; what led to it may not all have been delivered yet."""
        self.shown: SessionState | None = None
        """The state up to which everything was delivered."""
        self._portrait: tuple[SessionState, Portrait] | None = None
        self._chat: list[Recorded] | None = None
        self._fresh: list[Recorded] = []

    def saw(self, state: SessionState) -> SessionState:
        """Take a state in, unless a newer one is known; returns the newest."""
        if self.newest is None or state.seq > self.newest.seq:
            self.newest = state
        return self.newest

    def delivered(self, committed: Committed) -> None:
        self.saw(committed.after)
        self.shown = committed.after
        lines = [r for r in committed.events if isinstance(r.event, LINES)]
        (self._fresh if self._chat is None else self._chat).extend(lines)

    async def load(self, rooms: Rooms) -> SessionState:
        """Read the newest state, and the session's chat once; commits that arrive meanwhile are kept and appended."""
        if self._chat is None:
            found = {r.seq: r for kind in LINES for r in await self._read(rooms, kind)}
            if self._chat is None:
                self._chat = [r for _, r in sorted((found | {r.seq: r for r in self._fresh}).items())]
        return self.saw(await asyncio.to_thread(rooms.state, self.session_id))

    async def _read(self, rooms: Rooms, kind: type[Event]) -> Sequence[Recorded]:
        return await asyncio.to_thread(rooms.events_after, self.session_id, 0, kind)

    def view_text(self, state: SessionState, connection: Connection) -> str:
        """The view of a connection's person as JSON."""
        if self._portrait is None or self._portrait[0] is not state:
            self._portrait = state, Portrait(state)
        return self._portrait[1].text(connection.access.person_id, connection.access.role)

    def chat(self, state: SessionState, person_id: PersonId) -> list[dict[str, Any]]:
        """The last lines of the room this person is in, with what was broadcast to it; moderators see every broadcast."""
        person = state.people.get(person_id)
        if person is None:
            return []
        moderates = person.role is Role.MODERATOR
        lines = [
            r for r in self._chat or [] if r.seq <= state.seq and _reaches(r.event, person.room_id, moderates)
        ]
        return [_chat_line(r) for r in lines[-CHAT_LINES:]]


def _reaches(event: Event, room_id: RoomId, moderates: bool) -> bool:
    if isinstance(event, ChatSent):
        return event.room_id == room_id
    return isinstance(event, MessageBroadcast) and (moderates or room_id in event.room_ids)


def _chat_line(recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    assert isinstance(event, ChatSent | MessageBroadcast)
    line = {
        "seq": recorded.seq,
        "at": stamp(recorded.at),
        "person_id": event.person_id,
        "name": event.name,
        "text": event.text,
    }
    return line if isinstance(event, ChatSent) else {**line, "room_ids": list(event.room_ids)}
