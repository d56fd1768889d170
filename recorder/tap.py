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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from models.boottime import boot_id
from recorder.clock import SteadyClock

log = logging.getLogger("sideroom.recorder.tap")
MAX_FRAME = 1 << 20
JSON, RTP, RTCP_SR = 1, 2, 3
_LENGTH = struct.Struct("!IB")
VERSION = 2
_MEDIA = struct.Struct("!IQQ")
_REPORT = struct.Struct("!IQQIQI")
RETRY_S = 0.5
CONNECT_S = 1.0
READ_SIZE = 1 << 18
MAX_READS = 32
"""So often in a row at most: states and ticks have their turn too."""
SAME_CLOCK_US = 500_000
"""Our clock and that of a worker on another machine may differ by this much and be the same, read at different moments."""
ACKS_A_FRAME = 200

RoomKey = tuple[str, str]
"""Session and room."""


class Rtp(NamedTuple):
    """``position``: its place in what the worker tells of its room."""

    track: int
    position: int
    arrival_us: int
    packet: bytes


class SenderReport(NamedTuple):
    track: int
    position: int
    arrival_us: int
    ssrc: int
    ntp: int
    rtp: int


@dataclass(frozen=True, slots=True)
class Message:
    """A JSON object of the worker; ``op`` names it."""

    op: str
    body: dict[str, Any]

    @property
    def position(self) -> int:
        """0: it has no place in a room's row."""
        return int(self.body.get("position") or 0)

    @property
    def room(self) -> RoomKey:
        return str(self.body["session_id"]), str(self.body["room_id"])


class Resume(NamedTuple):
    """Where a room's row is to go on: in that run of the worker, from that position (0: from the oldest that is kept)."""

    boot: str
    position: int


class TapBroken(ConnectionError):
    """The peer does not speak this protocol, or refuses us."""


TapFrame = Rtp | SenderReport | Message


def encode_json(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body) + 1, JSON) + body


def encode_rtp(track: int, position: int, arrival_us: int, packet: bytes) -> bytes:
    head = _MEDIA.pack(track, position, arrival_us)
    return _LENGTH.pack(_MEDIA.size + len(packet) + 1, RTP) + head + packet


def encode_report(track: int, position: int, arrival_us: int, ssrc: int, ntp: int, rtp: int) -> bytes:
    body = _REPORT.pack(track, position, arrival_us, ssrc, ntp, rtp)
    return _LENGTH.pack(_REPORT.size + 1, RTCP_SR) + body


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
                track, position, arrival_us = _MEDIA.unpack_from(body)
                return Rtp(track, position, arrival_us + self.offset_us, body[_MEDIA.size :])
            if kind == RTCP_SR:
                track, position, arrival_us, ssrc, ntp, rtp = _REPORT.unpack(body)
                return SenderReport(track, position, arrival_us + self.offset_us, ssrc, ntp, rtp)
            if kind == JSON:
                message = json.loads(body)
                return Message(str(message["op"]), message)
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise TapBroken(f"a malformed frame of kind {kind}") from error
        return None  # a later version's kind


class TapClient:
    """Keeps a connection to the worker and the wish list of rooms; both survive a lost connection.

    ``poll`` yields frames; a ``Message`` with op ``connected`` or ``disconnected`` tells of the connection itself. After a lost
    connection each room goes on behind what was read of it last.
    """

    def __init__(self, host: str, port: int, secret: str, clock: SteadyClock) -> None:
        self._address = (host, port)
        self._secret = secret
        self._clock = clock
        self._socket: socket.socket | None = None
        self._decoder = Decoder()
        self._rooms: dict[RoomKey, Resume | None] = {}
        self._room_of: dict[int, RoomKey] = {}
        self._read: dict[RoomKey, int] = {}
        self._next_try = 0.0
        self._announced = False
        self._epoch_us: int | None = None
        self.boot = ""
        """The worker's run that is, or was last, connected."""
        self.drained = True
        """Whether nothing more had arrived when ``poll`` ended."""

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def want(self, rooms: Mapping[RoomKey, Resume | None]) -> None:
        """The rooms to be tapped from now on; for one that is new, where to go on (None: now)."""
        for room in sorted(self._rooms.keys() - rooms.keys()):
            self._send({"op": "untap", "session_id": room[0], "room_id": room[1]})
            self._read.pop(room, None)
        for room in sorted(rooms.keys() - self._rooms.keys()):
            self._tap(room, rooms[room])
        self._rooms = {room: self._rooms.get(room, resume) for room, resume in rooms.items()}

    def read(self, room: RoomKey) -> int:
        """The newest position of the room that was read; 0: none."""
        return self._read.get(room, 0)

    def acknowledge(self, positions: Mapping[RoomKey, int]) -> None:
        """Everything up to these positions is safely written."""
        told = [[*room, position] for room, position in positions.items()]
        for start in range(0, len(told), ACKS_A_FRAME):
            self._send({"op": "ack", "rooms": told[start : start + ACKS_A_FRAME]})

    def clock_jumped(self, by_us: int) -> None:
        """Our clock has changed by so much besides the time that went by."""
        self._decoder.offset_us += by_us

    def keyframe(self, track: int) -> None:
        self._send({"op": "keyframe", "track": track})

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._room_of.clear()

    def poll(self, timeout_s: float) -> Iterator[TapFrame]:
        """Wait at most ``timeout_s`` and yield what arrived. Connects when it must and rooms are wanted."""
        if self._socket is None and not self._connect(timeout_s):
            return
        assert self._socket is not None
        if not self._announced:
            self._announced = True
            yield Message("connected", {})
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        self.drained = not ready
        if not ready:
            return
        try:
            for _ in range(MAX_READS):
                data = self._socket.recv(READ_SIZE)
                if not data:
                    raise TapBroken("closed by the worker")
                yield from self._frames(data)
                if not select.select([self._socket], [], [], 0)[0]:
                    self.drained = True
                    break  # that was all there is
        except OSError as error:
            log.warning("tap.lost reason=%s", error)
            self._lost()
            yield Message("disconnected", {})

    def _frames(self, data: bytes) -> Iterator[TapFrame]:
        for frame in self._decoder.feed(data):
            if isinstance(frame, Message):
                self._learn(frame)
            else:
                room = self._room_of.get(frame.track)
                if room is not None:
                    self._read[room] = frame.position
            yield frame

    def _learn(self, message: Message) -> None:
        if message.op == "error":
            raise TapBroken(str(message.body.get("code")))
        if message.op == "welcome":
            self._welcome(message.body)
        elif message.op == "time":
            self._compare_clocks(message.body.get("now_us"))
        elif message.op == "tapped":
            self._read[message.room] = int(message.body["from"]) - 1
        elif message.op == "track_added":
            self._room_of[int(message.body["track"])] = message.room
        if message.position:
            track = int(message.body["track"])
            room = self._room_of.get(track)
            if room is not None:
                self._read[room] = max(message.position, self._read.get(room, 0))
            if message.op == "track_removed":
                self._room_of.pop(track, None)

    def _welcome(self, body: Mapping[str, Any]) -> None:
        self.boot = str(body.get("boot", ""))
        is_here = bool(boot_id()) and body.get("machine") == boot_id()
        self._epoch_us = int(body["epoch_us"]) if is_here and isinstance(body.get("epoch_us"), int) else None
        self._compare_clocks(body.get("now_us"))

    def _compare_clocks(self, worker_us: Any) -> None:
        """Put the worker's times on our clock: it was set at another moment, or runs on another machine.

        On this machine both count from boot, so that the difference is exact and stays the same.
        """
        if self._epoch_us is not None:
            self._decoder.offset_us = self._clock.base_us - self._epoch_us
        elif isinstance(worker_us, int):
            difference = self._clock.now_us() - worker_us
            if abs(difference - self._decoder.offset_us) > SAME_CLOCK_US:
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
        self._send({"op": "hello", "secret": self._secret, "version": VERSION})
        for room in sorted(self._rooms):
            is_read = room in self._read
            self._tap(room, Resume(self.boot, self._read[room] + 1) if is_read else self._rooms[room])
        return self._socket is not None

    def _tap(self, room: RoomKey, resume: Resume | None) -> None:
        order: dict[str, Any] = {"op": "tap", "session_id": room[0], "room_id": room[1], "keep": True}
        if resume is not None:
            order |= {"boot": resume.boot, "from": resume.position}
        self._send(order)

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
