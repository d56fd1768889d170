"""The browsers of one session on this server: who is connected, the newest state delivered to them, and the chat so far."""

from __future__ import annotations

import asyncio
from typing import Any

from models.values import PersonId, SessionId
from rooms.events import ChatSent, Recorded
from rooms.ports import Committed, Rooms
from rooms.state import SessionState
from signalling.connection import Connection
from signalling.lens import Portrait
from signalling.messages import stamp

CHAT_LINES = 200


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
        lines = [r for r in committed.events if isinstance(r.event, ChatSent)]
        (self._fresh if self._chat is None else self._chat).extend(lines)

    async def load(self, rooms: Rooms) -> SessionState:
        """Read the newest state, and the session's chat once; commits that arrive meanwhile are kept and appended."""
        if self._chat is None:
            events = await asyncio.to_thread(rooms.events_after, self.session_id, 0, ChatSent)
            if self._chat is None:
                last = events[-1].seq if events else 0
                self._chat = [*events, *(r for r in self._fresh if r.seq > last)]
        return self.saw(await asyncio.to_thread(rooms.state, self.session_id))

    def view_text(self, state: SessionState, connection: Connection) -> str:
        """The view of a connection's person as JSON."""
        if self._portrait is None or self._portrait[0] is not state:
            self._portrait = state, Portrait(state)
        return self._portrait[1].text(connection.access.person_id, connection.access.role)

    def chat(self, state: SessionState, person_id: PersonId) -> list[dict[str, Any]]:
        """The last lines of the room this person is in."""
        person = state.people.get(person_id)
        if person is None:
            return []
        lines = [
            r
            for r in self._chat or []
            if isinstance(r.event, ChatSent) and r.event.room_id == person.room_id and r.seq <= state.seq
        ]
        return [_chat_line(r, r.event) for r in lines[-CHAT_LINES:] if isinstance(r.event, ChatSent)]


def _chat_line(recorded: Recorded, event: ChatSent) -> dict[str, Any]:
    return {
        "seq": recorded.seq,
        "at": stamp(recorded.at),
        "person_id": event.person_id,
        "name": event.name,
        "text": event.text,
    }
