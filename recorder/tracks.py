"""Journal → one file for each participant and peer: what they sent, copied packet by packet and never encoded again.

Every file has the recording's own time: zero is its start, pauses are cut out, and it lasts as long as the recording. Where
somebody sent nothing, sound files hold Opus frames of silence, so that players and editors which do not look at time stamps
stay in step too; pictures simply stand still. Opus and VP8 become WebM, H.264 becomes MP4.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.container import OutputContainer
from av.stream import Stream

from recorder.frames import vp8_size
from recorder.journal import Record
from recorder.opus import LEAST, opus_samples
from recorder.sources import CONCEALED, TOO_FAR_US
from recorder.timeline import Segment, Timeline

RATE: Final = 48_000
PRE_SKIP: Final = 312
"""Samples by which an Opus encoder's look-ahead delays what it is given; decoders skip as many at the start (RFC 7845 §4.2)."""
_SILENCE: Final = (
    # Samples, packet: six frames of 20 ms, then single ones of 20, 10, 5 and 2.5 ms (CELT, RFC 6716 §3.1), each silent.
    (5760, bytes([31 << 3 | 3, 6]) + b"\xff\xfe" * 6),
    (960, bytes([31 << 3]) + b"\xff\xfe"),
    (480, bytes([30 << 3]) + b"\xff\xfe"),
    (240, bytes([29 << 3]) + b"\xff\xfe"),
    (120, bytes([28 << 3]) + b"\xff\xfe"),
)
MAX_ID: Final = 40
"""Of a person's or a connection's id in a file name."""
_US: Final = Fraction(1, 1_000_000)
_STREAM_KIND: Final = {
    "mic": "peer",
    "camera": "peer",
    "screen": "screenshare",
    "screen_audio": "screenshare",
}


@dataclass(slots=True)
class TrackFile:
    """A finished file. ``first_us`` is the Unix time of its first packet; ``filled_s`` what of the sound is our silence.

    ``start_us``, ``end_us``: of the recording's time, where what was sent begins and ends.
    """

    name: str
    person_id: str
    source: str
    codec: str
    first_us: int
    packets: int
    duration_s: float
    filled_s: float
    segments: list[Segment] = field(default_factory=list)
    start_us: int | None = None
    end_us: int = 0

    @property
    def is_audio(self) -> bool:
        return self.codec == "opus"


def copy_tracks(
    timeline: Timeline,
    records: Iterable[Record],
    out: Path,
    *,
    people: Iterable[str] = (),
    audio: bool = True,
    video: bool = False,
    prefix: str = "",
) -> list[TrackFile]:
    """Write the files of these people (empty: everybody's) into ``out``. Raises OSError and FFmpegError.

    Names: ``{prefix}_{person}_{peer}_{peer|screenshare}_{audio|video}_{unix ms}.webm``, prefix ``default`` if there is none.
    """
    wanted = frozenset(people)
    open_: dict[tuple[str, ...], _Copy] = {}
    try:
        for record in records:
            segment = timeline.segments.get(record.segment)
            if segment is None or not (audio if segment.is_audio else video):
                continue
            if wanted and segment.person_id not in wanted:
                continue
            wall = segment.place(record.rtp, record.arrival_us)
            rec_us = timeline.rec(wall)
            if rec_us is None or abs(wall - record.arrival_us) > TOO_FAR_US:
                continue
            key = (segment.person_id, segment.peer_id, segment.source, segment.codec)
            copy = open_.get(key)
            if copy is None:
                kind = _AudioCopy if segment.is_audio else _VideoCopy
                copy = open_[key] = kind(out, _name(prefix, segment, record), segment, timeline.duration)
            copy.take(segment, rec_us, record)
        return [copy.close() for copy in open_.values() if copy.packets]
    finally:
        for copy in open_.values():
            copy.abandon()


def _name(prefix: str, segment: Segment, record: Record) -> str:
    media, ending = ("audio", "webm") if segment.is_audio else ("video", "webm")
    if segment.codec == "h264":
        ending = "mp4"
    ids = (segment.person_id, segment.peer_id)
    person, peer = (re.sub(r"[^A-Za-z0-9-]+", "-", text)[:MAX_ID] for text in ids)
    kind = _STREAM_KIND.get(segment.source, "peer")
    return f"{prefix or 'default'}_{person}_{peer}_{kind}_{media}_{record.arrival_us // 1000}.{ending}"


class _Copy:
    """One file while it is written, under a temporary name."""

    def __init__(self, out: Path, name: str, segment: Segment, length_us: int) -> None:
        self.facts = TrackFile(name, segment.person_id, segment.source, segment.codec, 0, 0, 0.0, 0.0)
        self._path = out / name
        self._part = out / f"{name}.part"
        self._length_us = length_us
        self._container: OutputContainer | None = None
        self._stream: Stream | None = None
        self.packets = 0

    def take(self, segment: Segment, rec_us: int, record: Record) -> None:
        raise NotImplementedError

    def _begin(self, record: Record) -> bool:
        """Open the file; False when this record cannot be the first one."""
        raise NotImplementedError

    def _end(self) -> None:
        """Write what is still missing up to the recording's length."""

    def _started(self, segment: Segment, record: Record) -> bool:
        if self._container is None:
            if not self._begin(record):
                return False
            self.facts.first_us = record.arrival_us
        if segment not in self.facts.segments:
            self.facts.segments.append(segment)
        return True

    def _took(self, begin_us: int, end_us: int) -> None:
        """A packet of this time was kept."""
        self.packets += 1
        facts = self.facts
        facts.start_us = begin_us if facts.start_us is None else min(facts.start_us, begin_us)
        facts.end_us = min(self._length_us, max(facts.end_us, end_us))

    def _mux(self, data: bytes, at: int, length: int, unit: Fraction, key: bool = True) -> None:
        assert self._container is not None and self._stream is not None
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = unit
        packet.pts = packet.dts = at
        packet.duration = length
        packet.is_keyframe = key
        self._container.mux(packet)

    def close(self) -> TrackFile:
        self._end()
        assert self._container is not None
        self._container.close()
        self._container = None
        os.replace(self._part, self._path)
        self.facts.packets = self.packets
        self.facts.duration_s = round(self._length_us / 1e6, 3)
        return self.facts

    def abandon(self) -> None:
        """Leave nothing behind; after ``close`` there is nothing to leave."""
        if self._container is not None:
            self._container.close()
            self._container = None
        self._part.unlink(missing_ok=True)


class _AudioCopy(_Copy):
    """Opus → WebM. Positions are samples of the recording's time, moved by the encoder's look-ahead."""

    _next = -PRE_SKIP
    _filled = 0

    def _begin(self, record: Record) -> bool:
        self._container = av.open(str(self._part), "w", format="webm", options={"cluster_time_limit": "1000"})
        # An encoder that is never used: it writes the stream's header (OpusHead).
        self._stream = self._container.add_stream("libopus", rate=RATE, layout="stereo")
        self._container.start_encoding()
        return True

    def take(self, segment: Segment, rec_us: int, record: Record) -> None:
        length = opus_samples(record.data)
        position = rec_us * RATE // 1_000_000 - PRE_SKIP
        if not length or not self._started(segment, record):
            return
        if position + length <= self._next:
            return  # of a connection that was replaced: this time is taken
        self._conceal(position, record.data)
        self._fill(position)
        self._mux(record.data, max(position, self._next), length, Fraction(1, RATE))
        self._next = max(position, self._next) + length
        self._took(rec_us, rec_us + length * 1_000_000 // RATE)

    def _conceal(self, until: int, following: bytes) -> None:
        """Fill a hole up to 100 ms with empty frames of the kind that follows: players make up for them as for lost ones."""
        empty = bytes([following[0] & ~3])
        samples = opus_samples(empty)
        if not self.packets or until - self._next > CONCEALED:
            return
        while until - self._next >= samples - LEAST:
            self._mux(empty, self._next, samples, Fraction(1, RATE))
            self._next += samples
            self._filled += samples

    def _fill(self, until: int) -> None:
        """Silence up to ``until``, but for less than 2.5 ms."""
        before = self._next
        for samples, data in _SILENCE:
            while until - self._next >= samples:
                self._mux(data, self._next, samples, Fraction(1, RATE))
                self._next += samples
        self._filled += self._next - before

    def _end(self) -> None:
        self._fill(self._length_us * RATE // 1_000_000 - PRE_SKIP)
        self.facts.filled_s = round(self._filled / RATE, 3)


class _VideoCopy(_Copy):
    """VP8 → WebM, H.264 → MP4. The last picture lasts to the end."""

    _last: tuple[int, Record] | None = None
    _segment = 0
    _seen = -1

    def _begin(self, record: Record) -> bool:
        if not record.key:
            return False
        if self.facts.codec == "h264":
            return self._begin_h264(record)
        size = vp8_size(record.data)
        if size is None:
            return False
        self._container = av.open(str(self._part), "w", format="webm", options={"cluster_time_limit": "1000"})
        self._stream = self._container.add_mux_stream("vp8", width=size[0], height=size[1])
        self._stream.time_base = Fraction(1, 1000)
        return True

    def _begin_h264(self, record: Record) -> bool:
        # The demuxer finds the parameter sets for the stream's header in the access unit.
        with av.open(io.BytesIO(record.data * 2), format="h264") as source:
            if not source.streams.video or not source.streams.video[0].width:
                return False
            options = {"movflags": "faststart"}
            self._container = av.open(str(self._part), "w", format="mp4", options=options)
            self._stream = self._container.add_stream_from_template(source.streams.video[0])
            self._stream.time_base = Fraction(1, 90_000)
        return True

    def take(self, segment: Segment, rec_us: int, record: Record) -> None:
        if segment.number != self._segment and not record.key:
            return  # a new connection's pictures can be shown from its first keyframe on
        if not self._started(segment, record):
            return
        self._segment = segment.number
        at = max(rec_us, self._seen + 1000)
        self._flush(at)
        self._last, self._seen = (at, record), at
        self._took(at, at)

    def _flush(self, until: int) -> None:
        if self._last is not None:
            at, record = self._last
            self._mux(record.data, at, max(1000, until - at), _US, record.key)
            self._last = None

    def _end(self) -> None:
        self._flush(self._length_us)


def facts_of(track: TrackFile) -> Iterator[tuple[str, Any]]:
    """What the quality report says of a separate track."""
    yield "start_offset", round((track.start_us or 0) / 1e6, 3)
    yield "end_offset", round(track.end_us / 1e6, 3)
    yield "packets", track.packets
    yield "filled_s", track.filled_s
    yield "segments", len(track.segments)
    yield "lost_packets", sum(segment.lost_packets for segment in track.segments)
    yield "clock_ppm", round(max((abs(segment.ppm) for segment in track.segments), default=0.0), 1)
