"""Forwarding without decoding: a ``Source`` (one published track) feeds ``Line``s (one m-line of one subscriber each).

A line keeps its SSRC for ever; sequence numbers and timestamps are rewritten so that they run on over switches of
source: +1, and the time that passed. Times are seconds of one monotonic clock, given by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from media.rtp import (
    ExtensionIds,
    extension,
    is_h264_keyframe,
    is_vp8_keyframe,
    out_extension,
    padding_size,
    payload_offset,
)
from media.sdp import Codec
from models.values import MediaSource, PersonId

PLI_INTERVAL_S: Final = 0.5
CACHE_SIZE: Final = 512
"""Packets kept for NACK, a power of two: 1-2 s of video, at most about 0.6 MiB a source."""
MISSING_MAX: Final = 128
NACK_AFTER_S: Final = 0.01
NACK_EVERY_S: Final = 0.06
NACK_TRIES: Final = 8
RESEND_PER_S: Final = 400
"""Packets a line sends again in one second at most."""
MAX_TAIL: Final = 1800


class Output(Protocol):
    """The subscriber's connection."""

    def send_packet(
        self, first: int, second: int, sequence: int, timestamp: int, ssrc: int, tail: bytes
    ) -> None: ...


class Listening(Protocol):
    """Who gets a source's packets as they came (media.tap)."""

    def packet(self, source: Source, packet: bytes) -> None: ...

    def rejected(self, source: Source) -> None:
        """A packet came that cannot be used; its number will be missing."""

    def report(self, source: Source, ntp: int, timestamp: int) -> None:
        """NTP time and RTP timestamp of the publisher's sender report."""


def _nothing() -> None:
    """What a source's needs lead to while nobody has asked for them."""


class Line:
    """One m-line of a subscribe connection: fed by at most one source at a time."""

    __slots__ = (
        "_age",
        "_anchored",
        "_high",
        "_last_at",
        "_resend_from",
        "_resend_left",
        "_sequence_delta",
        "_timestamp_delta",
        "clock_rate",
        "kind",
        "last_sequence",
        "last_timestamp",
        "mid",
        "octets",
        "output",
        "packets",
        "payload_type",
        "report_due",
        "source",
        "ssrc",
    )

    def __init__(self, mid: str, kind: str, ssrc: int, clock_rate: int, output: Output) -> None:
        self.mid = mid
        self.kind = kind
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.output = output
        self.source: Source | None = None
        self.payload_type = 0
        self.packets = 0
        self.octets = 0
        self.report_due = 0.0
        self.last_sequence = (
            ssrc & 0x7FFF
        )  # any start will do; RFC 3550 wants it hard to guess, as the SSRC is
        self.last_timestamp = ssrc * 2654435761 & 0xFFFFFFFF
        self._last_at: float | None = None
        self._anchored = False
        self._high = 0
        self._age = 0
        self._sequence_delta = 0
        self._timestamp_delta = 0
        self._resend_from = 0.0
        self._resend_left = 0

    @property
    def is_waiting(self) -> bool:
        """True until the first packet (for video: keyframe) of the present source has been forwarded."""
        return not self._anchored

    def attach(self, source: Source, payload_type: int) -> None:
        """Feed this line from ``source`` from now on."""
        self.detach()
        self.source = source
        self.payload_type = payload_type
        source.add(self)

    def detach(self) -> None:
        """Stop feeding this line; what comes next runs on."""
        if self.source is not None:
            self.source.discard(self)
            self.source = None
        self._anchored = False

    def restart(self) -> None:
        """The source begins anew (unmuted, new SSRC): run on from what was sent last."""
        self._anchored = False

    def to_rtp_time(self, source_timestamp: int) -> int:
        """The line's timestamp for one of the source's."""
        return (source_timestamp + self._timestamp_delta) & 0xFFFFFFFF

    def forward(
        self, first: int, marker: int, sequence: int, timestamp: int, tail: bytes, keyframe: bool, now: float
    ) -> None:
        """Send one packet of the source on this line, rewritten."""
        if not self._anchored:
            if not keyframe and self.clock_rate == 90000:
                return
            self._anchor(sequence, timestamp, now)
            marker |= 0x80 if self.clock_rate != 90000 else 0
        ahead = (sequence - self._high) & 0xFFFF
        out_sequence = (sequence + self._sequence_delta) & 0xFFFF
        out_timestamp = (timestamp + self._timestamp_delta) & 0xFFFFFFFF
        if ahead < 0x8000:
            self._high = sequence
            self._age += ahead
            self.last_sequence = out_sequence
            self.last_timestamp = out_timestamp
            self._last_at = now
        elif 0x10000 - ahead > self._age:
            return  # from before this source was switched on here
        self.packets += 1
        self.octets += len(tail)
        self.output.send_packet(
            first, marker | self.payload_type, out_sequence, out_timestamp, self.ssrc, tail
        )

    def _anchor(self, sequence: int, timestamp: int, now: float) -> None:
        elapsed = 0 if self._last_at is None else max(1, round((now - self._last_at) * self.clock_rate))
        self._sequence_delta = (self.last_sequence + 1 - sequence) & 0xFFFF
        self._timestamp_delta = (self.last_timestamp + elapsed - timestamp) & 0xFFFFFFFF
        self._high = sequence
        self._age = 0
        self._anchored = True
        self.report_due = now

    def resend(self, sequences: Iterable[int], now: float) -> int:
        """Answer a NACK from the source's cache; how many packets were sent again."""
        source = self.source
        if source is None or not self._anchored:
            return 0
        if now - self._resend_from >= 1.0:
            self._resend_from, self._resend_left = now, RESEND_PER_S
        sent = 0
        for out_sequence in sequences:
            if self._resend_left <= 0:
                break
            sequence = (out_sequence - self._sequence_delta) & 0xFFFF
            behind = (self._high - sequence) & 0xFFFF
            if behind > self._age or behind >= CACHE_SIZE:
                continue
            entry = source.cached(sequence)
            if entry is None:
                continue
            first, marker, timestamp, tail = entry
            self._resend_left -= 1
            sent += 1
            self.output.send_packet(
                first,
                marker | self.payload_type,
                out_sequence & 0xFFFF,
                (timestamp + self._timestamp_delta) & 0xFFFFFFFF,
                self.ssrc,
                tail,
            )
        return sent


class Source:
    """One published track: receives packets, feeds its lines, keeps what NACK and reports need."""

    def __init__(
        self, peer_id: str, person_id: PersonId, kind: MediaSource, codec: Codec, ids: ExtensionIds
    ) -> None:
        self.peer_id = peer_id
        self.person_id = person_id
        self.kind = kind
        self.codec = codec
        self.ids = ids
        self.is_video = not kind.is_audio
        self.muted = False
        self.ssrc = 0
        self.lines: list[Line] = []
        self.tap: Listening | None = None
        self.runs = 0
        """Grows whenever what is forwarded begins anew: whoever counts packets must count from there."""
        self.live = False
        """True while packets come; a silent source takes no line."""
        self.last_packet_at = 0.0
        self.level_at = 0.0
        self._level_sum = 0
        self._level_count = 0
        self.send_time: int | None = None
        # keyframes
        self.keyframe_wanted = False
        self.last_pli_at = -10.0
        # receiver reports
        self.received = 0
        self.base_sequence = 0
        self.cycles = 0
        self.high = 0
        self.jitter = 0.0
        self._transit: float | None = None
        self._reported_expected = 0
        self._reported_received = 0
        # sender report of the publisher: (NTP, RTP time, our time of arrival)
        self.report: tuple[int, int, float] | None = None
        # loss
        self._missing: dict[int, list[float]] = {}
        self._cache: list[tuple[int, int, int, int, bytes] | None] = [None] * (
            CACHE_SIZE if self.is_video else 0
        )
        self._is_keyframe = is_h264_keyframe if codec.name == "h264" else is_vp8_keyframe
        self.on_need: Callable[[], None] = _nothing
        """Called when something should soon be asked of the publisher (``is_needy``)."""

    # -- lines -------------------------------------------------------------------------------------------------

    def add(self, line: Line) -> None:
        # A new list each time: the packet loop may be running over the old one.
        self.lines = [*self.lines, line]
        if self.is_video:
            self.want_keyframe()

    def discard(self, line: Line) -> None:
        self.lines = [other for other in self.lines if other is not line]

    def set_muted(self, muted: bool) -> None:
        """Stop or resume forwarding; reports and liveness go on."""
        if muted != self.muted:
            self.muted = muted
            self._restart_lines()

    def _restart_lines(self) -> None:
        self.runs += 1
        for line in self.lines:
            line.restart()
        if self.is_video and self.lines:
            self.want_keyframe()

    def set_ssrc(self, ssrc: int) -> None:
        """The track now comes with this SSRC: everything counted begins anew."""
        self.ssrc = ssrc
        self.received = 0
        self.cycles = 0
        self.jitter = 0.0
        self.report = None
        self._transit = None
        self._reported_expected = 0
        self._reported_received = 0
        self._missing.clear()
        self._cache = [None] * len(self._cache)
        self._restart_lines()

    # -- packets -----------------------------------------------------------------------------------------------

    def receive(
        self, data: bytearray, size: int, marker: int, sequence: int, timestamp: int, now: float
    ) -> bool:
        """One decrypted packet of this track's SSRC lies in ``data``. False when it was malformed."""
        offset = payload_offset(data, size)
        padding = padding_size(data, size, offset) if offset >= 0 else -1
        if padding < 0 or size - offset > MAX_TAIL:
            self.reject(sequence, now)
            return False
        self.last_packet_at = now
        self._count(sequence, now)
        self._measure_jitter(timestamp, now)
        ids = self.ids
        level: int | None = None
        if self.is_video:
            self.send_time = None
            if ids.abs_send_time:
                value = extension(data, size, ids.abs_send_time)
                if value is not None and len(value) == 3:
                    self.send_time = int.from_bytes(value, "big")
        else:
            level = 127
            value = extension(data, size, ids.audio_level)
            if value:
                level = value[0]
                self._level_sum += level & 0x7F
                self._level_count += 1
                self.level_at = now
        if self.muted:
            return True
        keyframe = False
        if self.is_video:
            keyframe = self._is_keyframe(data, offset, size - padding)
            if keyframe:
                self.keyframe_wanted = False
        if self.tap is not None:
            # Also what carries nothing: its number stands in the row, and whoever counts would miss it.
            self.tap.packet(self, bytes(data[:size]))
        first = 0x90 | (data[0] & 0x20)
        tail = out_extension(now, level) + data[offset:size]
        if self.is_video:
            self._cache[sequence & (CACHE_SIZE - 1)] = (sequence, first, marker, timestamp, tail)
        for line in self.lines:
            line.forward(first, marker, sequence, timestamp, tail, keyframe, now)
        return True

    def reject(self, sequence: int, now: float) -> None:
        """A packet with this track's SSRC came that cannot be used (malformed, or of another payload type).

        It was not lost on the way, and sent again it would be the same; but its number is missing to whoever decodes.
        """
        self._count(sequence, now)
        if self.muted:
            return
        if self.is_video:
            self.want_keyframe()
        if self.tap is not None:
            self.tap.rejected(self)

    def _count(self, sequence: int, now: float) -> None:
        if self.received == 0:
            self.base_sequence = self.high = sequence
        else:
            ahead = (sequence - self.high) & 0xFFFF
            if 0 < ahead < 0x8000:
                if ahead > 1 and self.is_video:
                    self._lost(ahead - 1, now)
                if sequence < self.high:
                    self.cycles += 0x10000
                self.high = sequence
            elif ahead and self._missing:
                self._missing.pop(sequence, None)
        self.received += 1

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        transit = now * self.codec.clock_rate - timestamp
        if self._transit is not None:
            distance = abs(transit - self._transit)
            if distance < 450000:  # a timestamp that wrapped or jumped says nothing about the network
                self.jitter += (distance - self.jitter) / 16.0
        self._transit = transit

    def _lost(self, count: int, now: float) -> None:
        if count > MISSING_MAX:
            self._missing.clear()
            self.want_keyframe()
            return
        for step in range(1, count + 1):
            self._missing[(self.high + step) & 0xFFFF] = [now, now - NACK_EVERY_S + NACK_AFTER_S, 0]
        while len(self._missing) > MISSING_MAX:
            del self._missing[next(iter(self._missing))]
        self.on_need()

    def cached(self, sequence: int) -> tuple[int, int, int, bytes] | None:
        """First byte, marker bit, timestamp and tail of a packet still kept."""
        if not self._cache:
            return None
        entry = self._cache[sequence & (CACHE_SIZE - 1)]
        return entry[1:] if entry is not None and entry[0] == sequence else None

    def take_level(self) -> int:
        """The mean audio level since the last call: 0 loudest, 127 silence (-dBov)."""
        mean = self._level_sum // self._level_count if self._level_count else 127
        self._level_sum = self._level_count = 0
        return mean

    # -- feedback for the publisher ----------------------------------------------------------------------------

    @property
    def is_missing_any(self) -> bool:
        return bool(self._missing)

    @property
    def is_needy(self) -> bool:
        """True while ``nacks`` or ``take_pli`` have something to ask, now or soon."""
        return bool(self._missing) or self._may_ask_keyframe

    @property
    def _may_ask_keyframe(self) -> bool:
        # A camera that is off cannot answer, and what a muted one answers nobody would get.
        return self.keyframe_wanted and self.live and not self.muted

    def want_keyframe(self) -> None:
        """Somebody cannot decode without a new keyframe."""
        self.keyframe_wanted = True
        self.on_need()

    def nacks(self, now: float) -> list[int]:
        """Sequence numbers to ask for now; asks a few times, then gives up and wants a keyframe."""
        wanted: list[int] = []
        for sequence, entry in list(self._missing.items()):
            _since, asked_at, tries = entry
            if now - asked_at < NACK_EVERY_S:
                continue
            if tries >= NACK_TRIES:
                del self._missing[sequence]
                self.keyframe_wanted = True
                continue
            entry[1], entry[2] = now, tries + 1
            wanted.append(sequence)
        return wanted

    def take_pli(self, now: float) -> bool:
        """True when a keyframe is wanted and may be asked for now (at most one in 500 ms)."""
        if not self._may_ask_keyframe or now - self.last_pli_at < PLI_INTERVAL_S:
            return False
        self.last_pli_at = now
        return True

    def loss_since_report(self) -> tuple[int, int, int]:
        """For a receiver report: fraction lost (of 256), packets lost so far, extended highest sequence number."""
        extended = self.cycles + self.high
        expected = extended - self.base_sequence + 1
        lost = max(-(1 << 23), min(expected - self.received, (1 << 23) - 1))
        expected_now = expected - self._reported_expected
        received_now = self.received - self._reported_received
        self._reported_expected, self._reported_received = expected, self.received
        lost_now = expected_now - received_now
        fraction = min(255, (lost_now << 8) // expected_now) if expected_now > 0 and lost_now > 0 else 0
        return fraction, lost, extended & 0xFFFFFFFF
