"""The browsers of one session on this server: who is connected, the newest state delivered to them, and the chat so far."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from models.values import PersonId, Role, RoomId, SessionId
from rooms.events import ChatSent, Event, MessageBroadcast, Recorded
from rooms.ports import Committed, Rooms
from rooms.state import SessionState
from rooms.view import chat_line, may_read
from signalling.connection import Connection
from signalling.lens import Portrait
from signalling.messages import stamp

CHAT_LINES = 200
EARLIER_LINES = 100
EARLIER_ROOMS = 5
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

    def troubles(self, room_id: RoomId) -> dict[PersonId, str]:
        """People in a room who cannot be heard now, though they have not left: person → ``reconnecting`` or ``no_media``."""
        state = self.newest
        found: dict[PersonId, str] = {}
        for connection in self.connections.values():
            person = None if state is None else state.people.get(connection.access.person_id)
            if person is None or person.room_id != room_id:
                continue
            trouble = connection.trouble
            if trouble is not None:
                found[person.person_id] = trouble
        return found

    def view_text(self, state: SessionState, connection: Connection) -> str:
        """The view of a connection's person as JSON."""
        if self._portrait is None or self._portrait[0] is not state:
            self._portrait = state, Portrait(state)
        return self._portrait[1].text(connection.access.person_id, connection.access.role)

    def chat(self, state: SessionState, person_id: PersonId, role: Role) -> dict[str, Any]:
        """``chat``: the last lines of the room this person is in, with what was broadcast to it (moderators see every
        broadcast); ``earlier``: of the rooms they were in before."""
        person = state.people.get(person_id)
        if person is None:
            return {"chat": [], "earlier": []}
        moderates = role is Role.MODERATOR
        here: list[Recorded] = []
        before: dict[RoomId, list[Recorded]] = {k: [] for k in person.left_rooms if k != person.room_id}
        for line in self._chat or ():
            if line.seq > state.seq:
                continue
            if _reaches(line.event, person_id, moderates, person.room_id):
                here.append(line)
                continue
            for room_id, lines in before.items():
                # What was written after they had gone was not written to them.
                gone = line.seq > person.left_rooms[room_id].seq
                if not gone and _reaches(line.event, person_id, False, room_id):
                    lines.append(line)
        return {
            "chat": [_chat_line(state, r) for r in here[-CHAT_LINES:]],
            "earlier": [
                {
                    "room_id": room_id,
                    "name": person.left_rooms[room_id].name,
                    "chat": [_chat_line(state, r) for r in lines[-EARLIER_LINES:]],
                }
                for room_id, lines in reversed(before.items())
                if lines
            ][:EARLIER_ROOMS],
        }


def _reaches(event: Event, person_id: PersonId, moderates: bool, room_id: RoomId) -> bool:
    if isinstance(event, ChatSent):
        return may_read(event, person_id, moderates, room_id)
    return isinstance(event, MessageBroadcast) and (moderates or room_id in event.room_ids)


def _chat_line(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    head = {"seq": recorded.seq, "at": stamp(recorded.at)}
    if isinstance(event, ChatSent):
        return {**head, **chat_line(state, event)}
    assert isinstance(event, MessageBroadcast)
    broadcast = {"person_id": event.person_id, "name": event.name, "text": event.text}
    return {**head, **broadcast, "room_ids": list(event.room_ids)}
