"""ICE over TCP (RFC 6544, the passive end), for networks that let no UDP through: frames of RFC 4571 on the port's TCP twin.

Each connection is one more address at which ``icelite`` may find an endpoint. What an unknown connection may cost is bounded in
number, time and size; media that a slow connection cannot take is dropped whole, as on a full UDP socket.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Final

log = logging.getLogger("sideroom.media.ice")
MAX_LINKS: Final = 4000
PROOF_S: Final = 10.0
"""A connection without a valid STUN request by then is closed."""
FRAME_MAX: Final = 1600
QUEUE_BYTES: Final = 192 * 1024
"""What waits for a slow connection: about a second of one picture, more would only come late."""
_LENGTH: Final = struct.Struct("!H")

Receive = Callable[[bytes, "TcpAddress"], None]


class TcpAddress(tuple[str, int, str]):
    """The far end of a TCP connection; never equal to the address of a datagram."""

    link: TcpLink


class TcpLink(asyncio.Protocol):
    """One browser's TCP connection."""

    def __init__(self, owner: TcpDoor) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self.address: TcpAddress | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        if not self._owner.admit(self) or peer is None:
            transport.abort()
            return
        self._transport = transport
        self.address = TcpAddress((peer[0], peer[1], "tcp"))
        self.address.link = self
        self._timer = asyncio.get_running_loop().call_later(PROOF_S, self.close)

    def proved(self) -> None:
        """A valid request came from it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 2 and self.address is not None:
            (size,) = _LENGTH.unpack_from(buffer, at)
            if not 0 < size < FRAME_MAX:
                self.close()
                return
            if len(buffer) - at - 2 < size:
                break
            self._owner.receive(bytes(buffer[at + 2 : at + 2 + size]), self.address)
            at += 2 + size
        del buffer[:at]

    def send(self, data: bytes | memoryview) -> bool:
        """One frame; False when it had to be dropped."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > QUEUE_BYTES:
            return False
        transport.write(_LENGTH.pack(len(data)) + bytes(data))
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        self.proved()
        self._transport = None
        self._owner.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class TcpDoor:
    """Listens; hands each frame with its address to ``receive``, and says ``gone`` when a connection has ended."""

    def __init__(self, receive: Receive, gone: Callable[[TcpAddress], None]) -> None:
        self.receive = receive
        self._gone = gone
        self._links: set[TcpLink] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Raises OSError when the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(lambda: TcpLink(self), host, port)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.close()

    def admit(self, link: TcpLink) -> bool:
        if len(self._links) >= MAX_LINKS:
            log.warning("ice.tcp_full links=%d", len(self._links))
            return False
        self._links.add(link)
        return True

    def lost(self, link: TcpLink) -> None:
        self._links.discard(link)
        if link.address is not None:
            self._gone(link.address)
