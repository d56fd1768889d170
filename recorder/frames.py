"""RTP packets → whole encoded frames: header parsing, 64-bit timestamps, a small reorder buffer, depacketisers. Pure.

VP8 (RFC 7741), H.264 (RFC 6184, to Annex B) and Opus (RFC 7587). Nothing is decoded.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Protocol

_HEADER = struct.Struct("!BBHLL")
REORDER_US: Final = 400_000
"""How long a missing packet is waited for: a retransmission takes one round trip, twice that is generous."""
REORDER_PACKETS: Final = 512
MAX_FRAME: Final = 4 << 20
"""Bytes of an encoded frame; packets that claim to belong to a larger one are given up."""
START_CODE: Final = b"\x00\x00\x00\x01"


class BadPacket(ValueError):
    """Not an RTP packet, or one whose lengths do not add up."""


class Packet(NamedTuple):
    """One RTP packet, padding removed. ``sequence`` is the 16-bit number of the wire."""

    sequence: int
    timestamp: int
    ssrc: int
    marker: bool
    payload: bytes


def parse(data: bytes) -> Packet:
    """Parse one RTP packet (RFC 3550 §5.1). Raises BadPacket."""
    if len(data) < 12 or data[0] >> 6 != 2:
        raise BadPacket("no RTP header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    start = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            raise BadPacket("cut header extension")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if first & 0x20:
        end -= data[-1]
    if start > end:
        raise BadPacket("lengths do not add up")
    return Packet(sequence, timestamp, ssrc, bool(second & 0x80), data[start:end])


def carries_nothing(data: bytes) -> bool:
    """Whether a packet is only there to be counted: senders probe the line with packets of nothing but padding."""
    if len(data) < 12 or not data[0] & 0x20:
        return False
    try:
        return not parse(data).payload
    except BadPacket:
        return False


LEVEL_SILENT: Final = 100
"""−dBov (RFC 6464 §3) from which on nothing can be heard; a microphone that is switched off by its owner's system sends 127."""


def audio_level(data: bytes, wanted: int) -> int | None:
    """−dBov (0 loud … 127 silent) from the header extension ``wanted`` of a packet; None when it has none (RFC 6464)."""
    if not wanted or len(data) < 16 or not data[0] & 0x10:
        return None
    position = 12 + 4 * (data[0] & 0x0F)
    if data[position : position + 2] != b"\xbe\xde":
        return None
    end = min(len(data), position + 4 + 4 * int.from_bytes(data[position + 2 : position + 4], "big"))
    position += 4
    while position < end - 1:
        first = data[position]
        if first >> 4 == wanted:
            return data[position + 1] & 0x7F
        position += 1 if first == 0 else 2 + (first & 15)
    return None


def vp8_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a VP8 keyframe names (RFC 6386 §9.1)."""
    if len(data) < 10 or data[3:6] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


class Extender:
    """Extends a counter of ``bits`` bits so that it never wraps; late values from before a wrap are placed before it."""

    def __init__(self, bits: int, newest: int | None = None) -> None:
        self._span = 1 << bits
        self._half = self._span >> 1
        self._last = newest

    @property
    def newest(self) -> int | None:
        """The greatest value so far."""
        return self._last

    def extend(self, value: int) -> int:
        if self._last is None:
            # One span up, so that a late value from before the first one stays positive.
            self._last = value + self._span
            return self._last
        delta = (value - self._last) % self._span
        if delta >= self._half:
            delta -= self._span
        result = self._last + delta
        self._last = max(self._last, result)
        return result

    def peek(self, value: int) -> int | None:
        """What ``value`` extends to, without learning from it; None before the first value."""
        if self._last is None:
            return None
        delta = (value - self._last) % self._span
        return self._last + (delta - self._span if delta >= self._half else delta)


class Frame(NamedTuple):
    """One encoded frame. ``timestamp`` is the extended RTP time, ``arrival_us`` Unix time of its last packet.

    ``after_loss``: something before it is missing, so that (video) it cannot be decoded unless it is a keyframe.
    """

    timestamp: int
    arrival_us: int
    key: bool
    after_loss: bool
    data: bytes


class Assembler(Protocol):
    """Packets in order → frames. ``lost`` says that packets before this one will never come."""

    @property
    def is_idle(self) -> bool:
        """Whether no part of a frame is held."""
        ...

    def push(self, packet: Packet, lost: bool) -> tuple[bytes, bool] | None:
        """(data, key) of a frame that is complete now."""
        ...


class OpusAssembler:
    """Every packet is a frame (RFC 7587 §4.2)."""

    is_idle = True

    def push(self, packet: Packet, lost: bool) -> tuple[bytes, bool] | None:
        return packet.payload, True


class Vp8Assembler:
    """Joins the packets of a frame behind their descriptors; a frame with a hole is given up."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._timestamp = -1
        self._size = 0

    @property
    def is_idle(self) -> bool:
        return not self._parts

    def push(self, packet: Packet, lost: bool) -> tuple[bytes, bool] | None:
        offset, starts = _vp8_descriptor(packet.payload)
        if offset < 0:
            return None
        if starts:
            self._parts, self._timestamp, self._size = [], packet.timestamp, 0
        elif lost or packet.timestamp != self._timestamp or self._size > MAX_FRAME:
            self._parts, self._timestamp = [], -1
            return None
        self._parts.append(packet.payload[offset:])
        self._size += len(packet.payload)
        if not packet.marker:
            return None
        data = b"".join(self._parts)
        self._parts, self._timestamp = [], -1
        return (data, not data[0] & 1) if len(data) >= 3 else None


def _vp8_descriptor(payload: bytes) -> tuple[int, bool]:
    """(length of the descriptor, or -1; whether a frame starts here)."""
    if not payload:
        return -1, False
    first, position = payload[0], 1
    if first & 0x80:
        if len(payload) < 2:
            return -1, False
        flags, position = payload[1], 2
        if flags & 0x80:
            if len(payload) <= position:
                return -1, False
            position += 2 if payload[position] & 0x80 else 1
        position += bool(flags & 0x40) + bool(flags & 0x30)
    if position >= len(payload):
        return -1, False
    return position, bool(first & 0x10) and not first & 0x0F


class H264Assembler:
    """Access units in Annex B from single units, STAP-A and FU-A; a unit with a hole spoils its access unit."""

    def __init__(self) -> None:
        self._units: list[bytearray] = []
        self._timestamp = -1
        self._size = 0
        self._spoilt = False
        self._open = False

    @property
    def is_idle(self) -> bool:
        return self._timestamp == -1

    def push(self, packet: Packet, lost: bool) -> tuple[bytes, bool] | None:
        if packet.timestamp != self._timestamp:
            self._units, self._timestamp, self._size, self._open = [], packet.timestamp, 0, False
            # Of several slices the first may be among what is lost: then the rest is no picture.
            self._spoilt = lost and not _begins_picture(packet.payload)
        elif lost:
            self._spoilt = True
        self._size += len(packet.payload)
        if self._size > MAX_FRAME:
            self._units, self._spoilt = [], True
        else:
            self._add(packet.payload)
        if not packet.marker:
            return None
        units, spoilt = self._units, self._spoilt or self._open
        self._units, self._timestamp, self._open = [], -1, False
        if spoilt or not units:
            return None
        key = any(unit[0] & 0x1F == 5 for unit in units if unit)
        return b"".join(START_CODE + unit for unit in units), key

    def _add(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F if payload else 0
        if 1 <= kind <= 23:
            self._units.append(bytearray(payload))
        elif kind == 24:
            position = 1
            while position + 2 <= len(payload):
                size = int.from_bytes(payload[position : position + 2], "big")
                self._units.append(bytearray(payload[position + 2 : position + 2 + size]))
                position += 2 + size
        elif kind == 28 and len(payload) > 2:
            self._fragment(payload)

    def _fragment(self, payload: bytes) -> None:
        header = payload[1]
        if header & 0x80:
            self._units.append(bytearray([payload[0] & 0xE0 | header & 0x1F]) + payload[2:])
            self._open = True
        elif self._open and self._units:
            self._units[-1] += payload[2:]
        else:
            self._spoilt = True
        if header & 0x40:
            self._open = False


def _begins_picture(payload: bytes) -> bool:
    """Whether an H.264 packet begins an access unit: with parameter sets, a delimiter, or a picture's first slice."""
    kind = payload[0] & 0x1F if payload else 0
    if kind == 24:
        return _begins_picture(payload[3:])
    if kind == 28:
        is_start = len(payload) > 2 and payload[1] & 0x80 > 0
        return is_start and _begins_picture(bytes([payload[1] & 0x1F]) + payload[2:])
    # A slice's header begins with the number of its first macroblock: 0 is written as a single bit that is set.
    return kind in (7, 9) or (kind in (1, 5) and len(payload) > 1 and payload[1] & 0x80 > 0)


ASSEMBLERS: dict[str, type[OpusAssembler] | type[Vp8Assembler] | type[H264Assembler]] = {
    "opus": OpusAssembler,
    "vp8": Vp8Assembler,
    "h264": H264Assembler,
}


class Restart(NamedTuple):
    """Where another depacketiser can go on: no frame is half there. It must be given again what came from ``position`` on."""

    position: int
    sequence: int
    """The 16-bit number that comes next; what is older has been used."""
    timestamp: int | None
    lost: bool
    need_key: bool
    excused: int = 0
    lost_packets: int = 0
    bad_packets: int = 0


class Depacketiser:
    """One source's packets in any order → its frames in order. Bounded: waits 400 ms or 512 packets for a missing one."""

    def __init__(self, codec: str, restart: Restart | None = None) -> None:
        self._assembler: Assembler = ASSEMBLERS[codec]()
        self._is_video = codec != "opus"
        self._sequences = Extender(16)
        self._timestamps = Extender(32, restart.timestamp if restart is not None else None)
        self._waiting: dict[int, tuple[Packet | None, int, int]] = {}
        self._next: int | None = None
        self._need_key = self._is_video
        self._lost = False
        self._excused = 0
        self._after = 0
        self.lost_packets = 0
        """Numbers that never came and that nobody accounted for."""
        self.bad_packets = 0
        self.restart = restart
        """None before the first packet."""
        if restart is not None:
            self._next = self._sequences.extend(restart.sequence)
            self._need_key, self._lost = restart.need_key, restart.lost
            self._excused, self._after = restart.excused, restart.position
            self.lost_packets, self.bad_packets = restart.lost_packets, restart.bad_packets

    @property
    def is_pending(self) -> bool:
        """Whether something has come that is in no frame yet."""
        return bool(self._waiting) or not self._assembler.is_idle

    @property
    def wants_keyframe(self) -> bool:
        """True from the first packet, or a loss, until the next keyframe is complete."""
        return self._need_key

    def timestamp(self, value: int) -> int | None:
        """The extended form of a 32-bit RTP time near the newest one."""
        return self._timestamps.peek(value)

    def lose(self) -> None:
        """What was made of the last packets could not be kept: nothing but a keyframe helps now."""
        self._need_key = self._is_video
        if self.restart is not None:
            self.restart = self.restart._replace(need_key=self._need_key)

    def excuse(self, packets: int, bad: bool = False) -> None:
        """So many numbers will be missing for a reason that is known: they were not lost on the way. ``bad``: they were unreadable."""
        self._excused += packets
        if bad:
            self.bad_packets += packets

    def push(self, data: bytes, arrival_us: int, position: int = 0) -> list[Frame]:
        """Take a packet as received; returns the frames that are complete now. ``position``: see ``restart``."""
        packet: Packet | None
        self._after = position + 1
        try:
            packet = parse(data)
            number = packet.sequence
        except BadPacket:
            self.bad_packets += 1
            if len(data) < 4:
                return []
            # It came, so nothing waits for it; what it was part of cannot be whole.
            packet, number = None, int.from_bytes(data[2:4], "big")
        sequence = self._sequences.extend(number)
        if self._next is None:
            self._next = sequence
        if sequence < self._next:
            return []
        if sequence == self._next and not self._waiting:
            self._next += 1
            frame = self._assemble(packet, arrival_us)
            self._mark()
            return [frame] if frame is not None else []
        self._waiting.setdefault(sequence, (packet, arrival_us, position))
        return self._release(arrival_us)

    def expire(self, now_us: int) -> list[Frame]:
        """Give up on packets that were missing for too long, though nothing newer arrives."""
        return self._release(now_us) if self._waiting else []

    def flush(self) -> list[Frame]:
        """Everything that waits, without its missing predecessors."""
        return self._release(None)

    def _release(self, now_us: int | None) -> list[Frame]:
        frames: list[Frame] = []
        while self._waiting:
            assert self._next is not None
            held = self._waiting.pop(self._next, None)
            if held is None:
                first = min(self._waiting)
                oldest = min(arrival for _, arrival, _ in self._waiting.values())
                if (
                    now_us is not None
                    and now_us - oldest < REORDER_US
                    and len(self._waiting) < REORDER_PACKETS
                ):
                    break
                missing = first - self._next
                excused = min(missing, self._excused)
                self._excused -= excused
                self.lost_packets += missing - excused
                self._next = first
                self._miss()
                continue
            self._next += 1
            frame = self._assemble(held[0], held[1])
            if frame is not None:
                frames.append(frame)
            self._mark()
        return frames

    def _mark(self) -> None:
        if not self._assembler.is_idle or self._next is None:
            return
        waiting = [position for _, _, position in self._waiting.values()] if self._waiting else ()
        self.restart = Restart(
            min(waiting, default=self._after),
            self._next & 0xFFFF,
            self._timestamps.newest,
            self._lost,
            self._need_key,
            self._excused,
            self.lost_packets,
            self.bad_packets,
        )

    def _miss(self) -> None:
        self._lost = True
        self._need_key = self._need_key or self._is_video

    def _assemble(self, packet: Packet | None, arrival_us: int) -> Frame | None:
        if packet is None:
            self._miss()
            return None
        if not packet.payload:
            return None  # padding: it ends no frame, and a loss before it is a loss for what comes behind it
        timestamp = self._timestamps.extend(packet.timestamp)
        lost, self._lost = self._lost, False
        done = self._assembler.push(packet, lost)
        if done is None:
            return None
        data, key = done
        if key:
            self._need_key = False
        return Frame(timestamp, arrival_us, key, self._need_key, data)
