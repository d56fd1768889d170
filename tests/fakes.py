"""Fakes of our own ports, for tests that are about something else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import MediaError, MediaEvent


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or datetime(2026, 5, 4, 10, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


class FakeMedia:
    """A media plane that only remembers: where each peer is, what was muted, what was published."""

    def __init__(self) -> None:
        self.places: dict[str, tuple[SessionId, RoomId, PersonId]] = {}
        self.muted: set[tuple[str, MediaSource]] = set()
        self.answers: list[tuple[str, str, int]] = []
        self.moves: list[tuple[str, RoomId]] = []
        self.emit: Callable[[MediaEvent], Awaitable[None]] | None = None
        self.gates: dict[str, asyncio.Event] = {}
        """An order named here waits for its event, as when the worker is slow."""

    async def _pass(self, order: str) -> None:
        if order in self.gates:
            await self.gates[order].wait()

    async def start(self, on_event: Callable[[MediaEvent], Awaitable[None]]) -> None:
        self.emit = on_event

    async def stop(self) -> None:
        self.places.clear()

    async def join(self, peer_id: str, session_id: SessionId, room_id: RoomId, person_id: PersonId) -> None:
        await self._pass("join")
        self.places[peer_id] = (session_id, room_id, person_id)

    async def publish(self, peer_id: str, sdp: str, sources: Mapping[str, MediaSource]) -> str:
        if not sdp.startswith("v=0"):
            raise MediaError("bad_sdp", "This is not a session description.")
        return "v=0 answer"

    async def subscribe_answer(self, peer_id: str, sdp: str, version: int) -> None:
        self.answers.append((peer_id, sdp, version))

    async def move(self, peer_id: str, room_id: RoomId) -> None:
        await self._pass("move")
        self.moves.append((peer_id, room_id))
        if peer_id not in self.places:
            raise MediaError("unknown_peer", "This connection is not known here; join first.")
        session_id, _, person_id = self.places[peer_id]
        self.places[peer_id] = (session_id, room_id, person_id)

    async def mute(self, peer_id: str, source: MediaSource, muted: bool) -> None:
        (self.muted.add if muted else self.muted.discard)((peer_id, source))

    async def take_over(
        self, peer_id: str, session_id: SessionId, person_id: PersonId
    ) -> tuple[RoomId, frozenset[MediaSource]]:
        place = self.places.get(peer_id)
        if place is None or (place[0], place[2]) != (session_id, person_id):
            raise MediaError("unknown_peer", "This connection is not known here; join first.")
        return place[1], frozenset(source for peer, source in self.muted if peer == peer_id)

    async def leave(self, peer_id: str) -> None:
        self.places.pop(peer_id, None)

    def room_of(self, person_id: str) -> str | None:
        """The room of a person's newest peer."""
        rooms = [room for _, room, person in self.places.values() if person == person_id]
        return rooms[-1] if rooms else None
