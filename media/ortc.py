"""The one module that touches private names of aiortc and pylibsrtp (pinned in pyproject; watched by a unit test).

aiortc brings the DTLS handshake and the SRTP keys. Everything after the handshake bypasses its per-packet path:
datagrams are decrypted and encrypted in place, in memory shared with the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Callable
from typing import Any, Final, cast

from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)
from pylibsrtp._binding import ffi, lib

log = logging.getLogger("sideroom.media.ortc")
DATAGRAM_SIZE: Final = 2048
TRAILER_SIZE: Final = 160
"""Room that libsrtp may need behind a packet (authentication tag, index)."""
HANDSHAKE_S: Final = 30.0
DTLS_QUEUE: Final = 64
_HEADER = struct.Struct("!BBHLL")


class Datagram:
    """Memory for one datagram, read into by a socket and worked on in place by libsrtp."""

    __slots__ = ("_length", "_pointer", "data", "view")

    def __init__(self) -> None:
        self.data = bytearray(DATAGRAM_SIZE)
        self.view = memoryview(self.data)
        self._pointer = ffi.from_buffer("char[]", self.data)
        self._length = ffi.new("int *")


class Certificate:
    """The worker's DTLS certificate: one for all its connections."""

    def __init__(self) -> None:
        self._certificate = RTCCertificate.generateCertificate()
        self.fingerprint: str = next(
            f.value for f in self._certificate.getFingerprints() if f.algorithm == "sha-256"
        )
        """SHA-256, upper-case hexadecimal with colons, as in ``a=fingerprint``."""


class _IceSide:
    """What RTCDtlsTransport needs of an ICE transport; the datagrams come from our own socket."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(DTLS_QUEUE)
        self._output = send
        self._closed = False

    def deliver(self, data: bytes) -> None:
        with contextlib.suppress(asyncio.QueueFull):  # DTLS sends again what is lost
            self._queue.put_nowait(data)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        data = None if self._closed and self._queue.empty() else await self._queue.get()
        if data is None:
            raise ConnectionError("transport closed")
        return data

    async def _send(self, data: bytes) -> None:
        if not self._closed:
            self._output(data)


class SecureTransport:
    """DTLS-SRTP of one connection. ``send`` puts one datagram on the wire; ``on_closed`` is called once at its end.

    ``start`` runs the handshake; until it has succeeded ``ready`` is False and packets are dropped.
    """

    def __init__(
        self,
        certificate: Certificate,
        send: Callable[[bytes], None],
        on_ready: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._ice = _IceSide(send)
        self._dtls = RTCDtlsTransport(cast(Any, self._ice), [certificate._certificate])
        self._on_ready = on_ready
        self._on_closed = on_closed
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._rx: Any = None
        self._tx: Any = None
        self.ready = False

    def start(self, fingerprints: list[tuple[str, str]], *, server: bool) -> None:
        """Begin the handshake: ``fingerprints`` (algorithm, value) of the other side, ``server``: it starts."""
        if self._task is None:
            remote = RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(a, v) for a, v in fingerprints])
            self._task = asyncio.create_task(self._run(remote, server), name="media.dtls")

    async def _run(self, remote: RTCDtlsParameters, server: bool) -> None:
        closed = asyncio.Event()
        self._dtls.on("statechange", lambda: closed.set() if self._dtls.state == "closed" else None)
        self._dtls._set_role("server" if server else "client")
        try:
            await asyncio.wait_for(self._dtls.start(remote), HANDSHAKE_S)
            if self._dtls.state == "connected":
                self._rx = self._dtls._rx_srtp._srtp[0]
                self._tx = self._dtls._tx_srtp._srtp[0]
                self.ready = True
                self._on_ready()
                await closed.wait()
        except (TimeoutError, ConnectionError):
            log.info("dtls.failed state=%s", self._dtls.state)
        except Exception:  # whatever a peer's handshake provokes ends this connection only
            log.exception("dtls.broken")
        finally:
            self.ready = False
            if not self._closing:
                self._closing = True
                self._on_closed()

    def handle_dtls(self, data: bytes) -> None:
        """One DTLS datagram from the wire."""
        self._ice.deliver(data)

    async def close(self) -> None:
        """Say goodbye and end; ``on_closed`` is not called any more."""
        self._closing = True
        self.ready = False
        pump = self._dtls._task
        await self._dtls.stop()
        self._ice.close()
        tasks = [t for t in (self._task, pump) if t is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- packets: all work in place; a negative length means: not authentic, drop it ---------------------------

    def unprotect(self, datagram: Datagram, size: int) -> int:
        """Decrypt the RTP packet of ``size`` bytes; its new length, or -1."""
        length = datagram._length
        length[0] = size
        if lib.srtp_unprotect(self._rx, datagram._pointer, length):
            return -1
        return int(length[0])

    def unprotect_rtcp(self, datagram: Datagram, size: int) -> int:
        """Decrypt the RTCP packet of ``size`` bytes; its new length, or -1."""
        length = datagram._length
        length[0] = size
        if lib.srtp_unprotect_rtcp(self._rx, datagram._pointer, length):
            return -1
        return int(length[0])

    def protect(
        self,
        datagram: Datagram,
        first: int,
        second: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        tail: bytes,
    ) -> int:
        """Write header and ``tail`` (everything after the 12 bytes) into ``datagram`` and encrypt it; its length, or -1."""
        size = 12 + len(tail)
        data = datagram.data
        _HEADER.pack_into(data, 0, first, second, sequence, timestamp, ssrc)
        datagram.view[12:size] = tail
        length = datagram._length
        length[0] = size
        if lib.srtp_protect(self._tx, datagram._pointer, length):
            return -1
        return int(length[0])

    def protect_rtcp(self, datagram: Datagram, packet: bytes) -> int:
        """Encrypt an RTCP packet into ``datagram``; its length, or -1."""
        size = len(packet)
        if size > DATAGRAM_SIZE - TRAILER_SIZE:
            return -1
        datagram.view[:size] = packet
        length = datagram._length
        length[0] = size
        if lib.srtp_protect_rtcp(self._tx, datagram._pointer, length):
            return -1
        return int(length[0])
