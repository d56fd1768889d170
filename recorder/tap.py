"""The recorder's end of the tap (docs/tap.md): framing, and one connection that is made again whenever it breaks.

Used by one thread only; nothing blocks longer than the given timeout.
"""

from __future__ import annotations

import contextlib
import json
import logging
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

log = logging.getLogger("sideroom.recorder.tap")
MAX_FRAME = 1 << 20
JSON, RTP, RTCP_SR = 1, 2, 3
_LENGTH = struct.Struct("!IB")
_MEDIA = struct.Struct("!IQ")
_REPORT = struct.Struct("!IQIQI")
RETRY_S = 0.5
CONNECT_S = 1.0
READ_SIZE = 1 << 18
MAX_READS = 32
"""So often in a row at most: states and ticks have their turn too."""
SAME_CLOCK_US = 500_000
"""Our clock and the worker's, read at different moments, may differ by this much and be the same."""


class Rtp(NamedTuple):
    track: int
    arrival_us: int
    packet: bytes


class SenderReport(NamedTuple):
    track: int
    arrival_us: int
    ssrc: int
    ntp: int
    rtp: int


@dataclass(frozen=True, slots=True)
class Message:
    """A JSON object of the worker; ``op`` names it."""

    op: str
    body: dict[str, Any]


class TapBroken(ConnectionError):
    """The peer does not speak this protocol, or refuses us."""


TapFrame = Rtp | SenderReport | Message


def encode_json(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body) + 1, JSON) + body


def encode_rtp(track: int, arrival_us: int, packet: bytes) -> bytes:
    return _LENGTH.pack(_MEDIA.size + len(packet) + 1, RTP) + _MEDIA.pack(track, arrival_us) + packet


def encode_report(track: int, arrival_us: int, ssrc: int, ntp: int, rtp: int) -> bytes:
    return _LENGTH.pack(_REPORT.size + 1, RTCP_SR) + _REPORT.pack(track, arrival_us, ssrc, ntp, rtp)


class Decoder:
    """Bytes in any portions → frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.offset_us = 0
        """What is to be added to the worker's times."""

    def feed(self, data: bytes) -> Iterator[TapFrame]:
        """The frames that are whole now. Raises TapBroken on nonsense."""
        buffer = self._buffer
        buffer += data
        position, size = 0, len(buffer)
        try:
            while size - position >= 5:
                length, kind = _LENGTH.unpack_from(buffer, position)
                if not 1 <= length <= MAX_FRAME:
                    raise TapBroken(f"a frame of {length} bytes")
                end = position + 4 + length
                if end > size:
                    break
                body = bytes(memoryview(buffer)[position + 5 : end])
                position = end
                frame = self._frame(kind, body)
                if frame is not None:
                    yield frame
        finally:
            del buffer[:position]

    def _frame(self, kind: int, body: bytes) -> TapFrame | None:
        try:
            if kind == RTP:
                track, arrival_us = _MEDIA.unpack_from(body)
                return Rtp(track, arrival_us + self.offset_us, body[_MEDIA.size :])
            if kind == RTCP_SR:
                track, arrival_us, ssrc, ntp, rtp = _REPORT.unpack(body)
                return SenderReport(track, arrival_us + self.offset_us, ssrc, ntp, rtp)
            if kind == JSON:
                message = json.loads(body)
                return Message(str(message["op"]), message)
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise TapBroken(f"a malformed frame of kind {kind}") from error
        return None  # a later version's kind


class TapClient:
    """Keeps a connection to the worker and the wish list of rooms; both survive a lost connection.

    ``poll`` yields frames; a ``Message`` with op ``connected`` or ``disconnected`` tells of the connection itself.
    """

    def __init__(
        self,
        host: str,
        port: int,
        secret: str,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._address = (host, port)
        self._secret = secret
        self._now_us = now_us
        self._socket: socket.socket | None = None
        self._decoder = Decoder()
        self._rooms: set[tuple[str, str]] = set()
        self._next_try = 0.0
        self._announced = False

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def want(self, rooms: Iterable[tuple[str, str]]) -> None:
        """The rooms (session_id, room_id) to be tapped from now on."""
        wanted = set(rooms)
        for session_id, room_id in sorted(self._rooms - wanted):
            self._send({"op": "untap", "session_id": session_id, "room_id": room_id})
        for session_id, room_id in sorted(wanted - self._rooms):
            self._send({"op": "tap", "session_id": session_id, "room_id": room_id})
        self._rooms = wanted

    def clock_jumped(self, by_us: int) -> None:
        """``now_us`` has changed by so much besides the time that went by."""
        self._decoder.offset_us += by_us

    def keyframe(self, track: int) -> None:
        self._send({"op": "keyframe", "track": track})

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def poll(self, timeout_s: float) -> Iterator[TapFrame]:
        """Wait at most ``timeout_s`` and yield what arrived. Connects when it must and rooms are wanted."""
        if self._socket is None and not self._connect(timeout_s):
            return
        assert self._socket is not None
        if not self._announced:
            self._announced = True
            yield Message("connected", {})
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        if not ready:
            return
        try:
            for _ in range(MAX_READS):
                data = self._socket.recv(READ_SIZE)
                if not data:
                    raise TapBroken("closed by the worker")
                yield from self._frames(data)
                if len(data) < READ_SIZE or not select.select([self._socket], [], [], 0)[0]:
                    break  # that was all there is
        except OSError as error:
            log.warning("tap.lost reason=%s", error)
            self._lost()
            yield Message("disconnected", {})

    def _frames(self, data: bytes) -> Iterator[TapFrame]:
        for frame in self._decoder.feed(data):
            if isinstance(frame, Message) and frame.op == "error":
                raise TapBroken(str(frame.body.get("code")))
            if isinstance(frame, Message) and frame.op == "welcome":
                self._compare_clocks(frame.body.get("now_us"))
            yield frame

    def _compare_clocks(self, worker_us: Any) -> None:
        """The worker's clock may be on another machine, or have been set before a step of the wall clock."""
        if isinstance(worker_us, int):
            difference = self._now_us() - worker_us
            self._decoder.offset_us = difference if abs(difference) > SAME_CLOCK_US else 0

    def _connect(self, timeout_s: float) -> bool:
        now = time.monotonic()
        if not self._rooms or now < self._next_try:
            time.sleep(timeout_s)
            return False
        try:
            self._socket = socket.create_connection(self._address, CONNECT_S)
        except OSError:
            self._next_try = now + RETRY_S
            return False
        self._socket.settimeout(5.0)
        self._decoder = Decoder()
        self._announced = False
        self._send({"op": "hello", "secret": self._secret, "version": 1})
        for session_id, room_id in sorted(self._rooms):
            self._send({"op": "tap", "session_id": session_id, "room_id": room_id})
        return self._socket is not None

    def _send(self, message: dict[str, Any]) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(encode_json(message))
        except OSError as error:
            log.warning("tap.send_failed reason=%s", error)
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # poll finds it broken and tells

    def _lost(self) -> None:
        self.close()
        self._next_try = time.monotonic() + RETRY_S
