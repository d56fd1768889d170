"""What the core asks of the outside, and what it offers to it: Protocols only. ``server.wiring`` chooses the real things.

Threading: everything in ``Rooms`` and ``Store`` is blocking and thread-safe (call it through ``asyncio.to_thread`` from a
loop). Everything in ``MediaPlane`` is async and lives on the server's loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.values import CourseId, MediaSource, PersonId, RoomId, SessionId
from rooms.commands import Envelope
from rooms.events import Event, Recorded
from rooms.state import SessionState


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a command: the events it caused (empty for one that changed nothing) and the state after it."""

    events: tuple[Recorded, ...]
    state: SessionState
    repeated: bool = False
    """True when the ``command_id`` had been answered before; ``events`` are the first answer's."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Published after each commit, in seq order per session, whichever process committed it."""

    events: tuple[Recorded, ...]
    before: SessionState
    after: SessionState


Subscriber = Callable[[Committed], None]
"""Called on the service's tail thread; must return quickly and never raise (hand over to a queue or a loop)."""


class Rooms(Protocol):
    """The one road for all doors (implemented by ``rooms.service.RoomsService``)."""

    def submit(self, envelope: Envelope) -> Accepted:
        """Policy → decide → commit → publish. Raises ``rooms.errors.DomainError``; then nothing has changed."""
        ...

    def state(self, session_id: SessionId) -> SessionState:
        """Newest committed state. Raises DomainError ``no_session``."""
        ...

    def events_after(
        self, session_id: SessionId, seq: int, kind: type[Event] | None = None
    ) -> Sequence[Recorded]:
        """The session's events with a higher seq (of one kind only), in order."""
        ...

    def live_session(self, course_id: CourseId, room_key: str = "") -> SessionId | None:
        """The open session of a course's room, if any."""
        ...

    def open_session(
        self, course_id: CourseId, course_title: str, room_title: str, room_key: str = ""
    ) -> SessionId:
        """The open session of that room, made new if there is none (safe when two ask at once)."""
        ...

    def open_sessions(self) -> Sequence[SessionId]: ...

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Subscribe to commits of every session from now on; returns the function that ends it."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC time."""
        ...


# -- media plane -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """One line of a subscribe connection as it is fed now: the line's ``mid`` shows ``source`` of ``person_id``."""

    mid: str
    person_id: PersonId
    source: MediaSource


@dataclass(frozen=True, slots=True)
class SubscribeOffer:
    """The server's offer for a peer's subscribe connection. ``sdp`` None: only the feeding changed (no renegotiation)."""

    peer_id: str
    sdp: str | None
    tracks: tuple[TrackInfo, ...]
    version: int
    withheld: int = 0
    """Pictures that are kept back because this person's line cannot carry them."""


@dataclass(frozen=True, slots=True)
class PeerConnected:
    peer_id: str
    direction: str  # "publish" | "subscribe"


@dataclass(frozen=True, slots=True)
class PeerLost:
    """ICE consent or DTLS ended (browser gone or network down), or the browser begins this connection anew."""

    peer_id: str
    direction: str = "publish"


@dataclass(frozen=True, slots=True)
class ActiveSpeakers:
    """Loudest first, only those who speak; sent when it changes, at most 4 times a second a room."""

    session_id: SessionId
    room_id: RoomId
    person_ids: tuple[PersonId, ...]


@dataclass(frozen=True, slots=True)
class MediaReset:
    """The worker died and is back, empty: every peer must join and publish again."""

    session_ids: tuple[SessionId, ...] | None = None


MediaEvent = SubscribeOffer | PeerConnected | PeerLost | ActiveSpeakers | MediaReset


class MediaError(Exception):
    """A refusal of the media plane. ``code``: ``bad_sdp``, ``unknown_peer``, ``media_unavailable``."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class MediaPlane(Protocol):
    """Moves people's media. A peer is one browser connection (``peer_id``), in exactly one room at a time."""

    async def start(self, on_event: Callable[[MediaEvent], Awaitable[None]]) -> None: ...

    async def stop(self) -> None: ...

    async def join(self, peer_id: str, session_id: SessionId, room_id: RoomId, person_id: PersonId) -> None:
        """Make the peer known; a second join of the same peer_id starts it afresh."""
        ...

    async def publish(self, peer_id: str, sdp: str, sources: Mapping[str, MediaSource]) -> str:
        """The browser's publish offer → our answer. ``sources`` names what each mid carries. MediaError ``bad_sdp``."""
        ...

    async def subscribe_answer(self, peer_id: str, sdp: str, version: int) -> None:
        """The browser's answer to the newest ``SubscribeOffer``; an older version is ignored."""
        ...

    async def move(self, peer_id: str, room_id: RoomId) -> None:
        """Change of routing only; followed by a SubscribeOffer with the new feeding."""
        ...

    async def mute(self, peer_id: str, source: MediaSource, muted: bool) -> None:
        """Stop (or resume) forwarding one source, enforced in the media plane."""
        ...

    async def take_over(
        self, peer_id: str, session_id: SessionId, person_id: PersonId
    ) -> tuple[RoomId, frozenset[MediaSource]]:
        """A peer whose server died goes on under this one, its media untouched: its room, and what is muted.

        MediaError ``unknown_peer``: there is none of that person, or its server lives.
        """
        ...

    async def leave(self, peer_id: str) -> None: ...
