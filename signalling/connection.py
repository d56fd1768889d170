"""One browser's WebSocket: what is waiting to be sent to it, how fast it may talk. Knows nothing of rooms.

The outgoing queue is bounded: when a browser reads too slowly its waiting messages are dropped and one fresh ``state``
is sent instead (``needs_state``), so memory stays bounded and the view ends right.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from models.store.access import Access
from models.values import MediaSource, PersonId, RoomId

NO_MEDIA_S = 8.0
"""Longer than a good network needs to connect, also on a busy machine."""


class Socket(Protocol):
    """The part of a WebSocket that we use."""

    async def send_text(self, data: str) -> None: ...

    async def close(self, code: int = 1000, reason: str | None = None) -> None: ...


class Outbox:
    """Bounded queue of encoded messages of one socket; one writer task drains it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[str] = deque()
        self._ready = asyncio.Event()
        self.overflowed = False

    def put(self, message: Mapping[str, Any]) -> None:
        """Queue a message; on overflow everything waiting is dropped and ``overflowed`` is set."""
        self.put_text(json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    def put_text(self, text: str) -> None:
        if len(self._waiting) >= self._size:
            self._waiting.clear()
            self.overflowed = True
        else:
            self._waiting.append(text)
        self._ready.set()

    async def take(self) -> list[str]:
        """Wait for messages and take all that wait."""
        await self._ready.wait()
        self._ready.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class RateLimit:
    """Token bucket: ``rate`` a second, bursts of ``rate × seconds``. Time is an argument."""

    def __init__(self, rate: float, seconds: float, now_s: float) -> None:
        self._rate = rate
        self._most = rate * seconds
        self._left = self._most
        self._at = now_s

    def allows(self, now_s: float) -> bool:
        self._left = min(self._most, self._left + (now_s - self._at) * self._rate)
        self._at = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Connection:
    """A browser that said hello. ``peer_id`` names its media peer and is its ``connection_id``.

    It outlives its socket for the grace time (``socket`` None), so that a resumed page keeps its media.
    """

    def __init__(self, peer_id: str, access: Access, queue_size: int, commands_per_s: float = 5.0) -> None:
        self.peer_id = peer_id
        self.access = access
        self.socket: Socket | None = None
        self.outbox = Outbox(queue_size)
        self.commands = RateLimit(commands_per_s, 10, time.monotonic())
        self.is_welcome = False
        self.seq = 0
        """What this browser's state holds already; older events are not sent to it."""
        self.dropped_at: float | None = None
        self.media_joined = False
        self.media_room: RoomId | None = None
        """Where the media plane was told that this peer is."""
        self.muted: set[MediaSource] = set()
        """What a moderator switched off."""
        self.told_muted: set[MediaSource] = set()
        """What of it the media plane knows."""
        self.told_troubles: Mapping[PersonId, str] = {}
        """Whose line is in trouble in its room, as it was told."""
        self.links: set[str] = set()
        """Its media connections that are up: publish, subscribe."""
        self.apart_since: float | None = time.monotonic()
        """Since when one of them has not been."""

    @property
    def trouble(self) -> str | None:
        """``reconnecting``: its socket is gone; ``no_media``: nothing is heard or seen of it although it is here."""
        if self.socket is None:
            return "reconnecting"
        apart = self.apart_since
        return "no_media" if apart is not None and time.monotonic() - apart >= NO_MEDIA_S else None

    def linked(self, direction: str, up: bool) -> None:
        """The media worker told that a connection came up or went down."""
        (self.links.add if up else self.links.discard)(direction)
        if {"publish", "subscribe"} <= self.links:
            self.apart_since = None
        elif self.apart_since is None:
            self.apart_since = time.monotonic()

    def attach(self, socket: Socket, queue_size: int) -> None:
        """Give it a (new) socket; messages that waited for the old one are gone, a ``welcome`` replaces them."""
        self.socket = socket
        self.outbox = Outbox(queue_size)
        self.dropped_at = None
        self.is_welcome = False
        self.told_troubles = {}

    def send(self, message: Mapping[str, Any]) -> None:
        if self.socket is not None:
            self.outbox.put(message)

    def send_text(self, text: str) -> None:
        if self.socket is not None:
            self.outbox.put_text(text)
