"""Journal → decoded pictures and sound of each segment, in step with the time line. Streams: only what is near is held."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, cast

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from recorder import opus
from recorder.journal import Position, Record, RecordReader
from recorder.opus import LEAST, OpusError
from recorder.timeline import Segment, Timeline

log = logging.getLogger("sideroom.compose")
LOOK_AHEAD_US: Final = 2_500_000
"""Frames stand in the journal in order of arrival; one that was delayed longer is too late for its place."""
REMEMBERED: Final = 20
"""Seconds of the journal whose places are kept."""
TOO_FAR_US: Final = 600_000_000
"""A frame whose own time is this far from when it came is spoilt: it would hold up all that follow."""
OPUS_DELAY: Final = 312
"""Samples by which an Opus encoder's look-ahead delays what it is given (RFC 7845 §4.2 calls it pre-skip)."""
CONCEALED: Final = 4800
"""Samples of the longest hole that is made up for, 100 ms: what a decoder makes up for longer is a hum."""
FADE: Final = 240
"""Samples in which sound rises and falls beside a longer hole, 5 ms."""
JUMP: Final = 480
SLEW: Final = 4
"""At most 4 samples in a 20 ms packet: 0.4 %, nobody hears it."""

Pcm = NDArray[np.float32]


class VideoTrack:
    """One video segment: decodes what is due, holds the last good picture."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._queue: deque[tuple[Record, Position]] = deque()
        self._needs_key = True
        self.key_at: Position | None = None
        """Where the keyframe stands from which the present picture was decoded: whoever goes on later begins there."""
        self._decoder = cast(av.VideoCodecContext, av.CodecContext.create(segment.codec, "r"))
        self._decoder.thread_count = 1
        self.frame: av.VideoFrame | None = None
        self.frame_wall = 0
        self.version = 0
        """Grows with each new picture."""
        self.errors = 0

    def push(self, record: Record, at: Position) -> None:
        if self._needs_key and not record.key:
            return
        self._needs_key = False
        self._queue.append((record, at))

    def advance(self, wall: int) -> None:
        """Decode everything that is due at ``wall``."""
        queue = self._queue
        while queue and (due := self.segment.place(queue[0][0].rtp, queue[0][0].arrival_us)) <= wall:
            record, position = queue.popleft()
            if record.key:
                self.key_at = position
            try:
                frames = self._decoder.decode(av.Packet(record.data))
            except FFmpegError:
                self.errors += 1
                continue
            for frame in frames:
                self.frame, self.frame_wall = frame, due
                self.version += 1

    @property
    def needed_from(self) -> Position | None:
        """The first record that is needed to go on from here with the same picture."""
        return self.key_at or (self._queue[0][1] if self._queue else None)

    def ended(self, wall: int) -> bool:
        return not self._queue and wall >= self.segment.end + LOOK_AHEAD_US


@dataclass(slots=True)
class _Sound:
    """A piece of sound at a place in the file. ``opens``: it does not continue the piece before it."""

    position: int
    pcm: Pcm
    opens: bool
    is_shaped: bool = False


class AudioTrack:
    """One Opus segment, placed to the sample. Small differences of the clocks are slewed; holes up to 100 ms are concealed, longer ones
    are silent, and what stands beside them is faded."""

    def __init__(self, segment: Segment, timeline: Timeline) -> None:
        self.segment = segment
        self.timeline = timeline
        self._decoder = opus.decoder()
        self._pieces: deque[_Sound] = deque()
        self._next: int | None = None
        self._next_rtp: int | None = None
        self.errors = 0
        self.slewed = 0
        self.concealed = 0
        """Samples that never came and were made up for."""

    def push(self, record: Record) -> None:
        wall = self.segment.place(record.rtp, record.arrival_us)
        rec = self.timeline.rec(wall)
        position = rec * 48 // 1000 - OPUS_DELAY if rec is not None else None
        hole = record.rtp - self._next_rtp if self._next_rtp is not None else 0
        try:
            if position is not None and LEAST <= hole <= CONCEALED:
                self._conceal(position, hole // LEAST * LEAST, record.data)
            pcm = self._decoder.decode(record.data)
        except OpusError:
            self.errors += 1
            return
        self._next_rtp = record.rtp + pcm.shape[1]
        if position is not None:
            self._place(position, pcm)

    def _conceal(self, position: int, samples: int, following: bytes) -> None:
        if self._next is None or abs(position - samples - self._next) > JUMP:
            return  # the clock has broken here: it is no hole
        pcm = self._decoder.conceal(samples, following)
        if pcm is not None:
            self.concealed += pcm.shape[1]
            self._place(position - samples, pcm)

    def _place(self, position: int, pcm: Pcm) -> None:
        length, opens = pcm.shape[1], False
        if self._next is None or position - self._next > JUMP:
            self._next, opens = position, True
        elif position - self._next < -JUMP:
            cut = min(length, self._next - position)
            pcm, position, opens = pcm[:, cut:], self._next, True
        elif abs(error := position - self._next) >= 2:
            pcm = _stretch(pcm, length + max(-SLEW, min(SLEW, error)))
            self.slewed += 1
        if pcm.shape[1]:
            self._pieces.append(_Sound(self._next, pcm, opens))
            self._next += pcm.shape[1]

    def is_due(self, end: int) -> bool:
        """Whether there is sound before sample ``end``."""
        return bool(self._pieces) and self._pieces[0].position < end

    def mix_into(self, out: Pcm, start: int) -> None:
        """Add what falls into ``[start, start + len)`` and forget it. What follows it must have been pushed."""
        end = start + out.shape[1]
        while self._pieces and self._pieces[0].position < end:
            piece = self._pieces.popleft()
            if not piece.is_shaped:
                _fade(piece.pcm, piece.opens, not self._pieces or self._pieces[0].opens)
            position, pcm = piece.position, piece.pcm
            if position + pcm.shape[1] > end:
                self._pieces.appendleft(_Sound(end, pcm[:, end - position :], piece.opens, is_shaped=True))
                pcm = pcm[:, : end - position]
            if position < start:
                pcm, position = pcm[:, start - position :], start
            if pcm.shape[1] > 0:
                out[:, position - start : position - start + pcm.shape[1]] += pcm

    def ended(self, wall: int) -> bool:
        return not self._pieces and wall >= self.segment.end + LOOK_AHEAD_US


def _fade(pcm: Pcm, at_start: bool, at_end: bool) -> None:
    """Let sound rise from silence, or fall to it, in place: an edge would be a click."""
    length = min(FADE, pcm.shape[1])
    ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
    if at_start:
        pcm[:, :length] *= ramp
    if at_end:
        pcm[:, pcm.shape[1] - length :] *= ramp[::-1]


def _stretch(pcm: Pcm, length: int) -> Pcm:
    at = np.linspace(0, pcm.shape[1] - 1, length, dtype=np.float32)
    whole = np.arange(pcm.shape[1], dtype=np.float32)
    return np.stack([np.interp(at, whole, channel) for channel in pcm]).astype(np.float32)


class Sources:
    """All segments' tracks, made when their first frame comes and let go when they have ended.

    A track that cannot be opened or decoded is left out with a warning; it never fails the others. ``heard_from``: sound
    from before this wall time is not wanted (somebody goes on from the middle).
    """

    def __init__(self, timeline: Timeline, reader: RecordReader, heard_from: int = 0) -> None:
        self._timeline = timeline
        self._reader = reader
        self._heard_from = heard_from
        self._head: Record | None = None
        self._head_at = reader.at
        self._refused: set[int] = set()
        self._recent: deque[tuple[int, Position]] = deque()
        self.video: dict[int, VideoTrack] = {}
        self.audio: dict[int, AudioTrack] = {}
        self.warnings: list[str] = []
        self._spoilt = self._misplaced = 0

    def update(self, timeline: Timeline) -> None:
        """The journal has grown: clocks are known better, segments have ended."""
        self._timeline = timeline
        for video in self.video.values():
            video.segment = timeline.segments.get(video.segment.number, video.segment)
        for audio in self.audio.values():
            audio.segment = timeline.segments.get(audio.segment.number, audio.segment)
            audio.timeline = timeline

    def read(self, wall: int) -> None:
        """Read ahead of ``wall``: all sound up to it is decoded then."""
        while True:
            if self._head is None:
                self._head = self._reader.next()
                if self._head is None:
                    return
                self._head_at = self._reader.at
                self._remember(self._head.arrival_us, self._head_at)
            if self._head.arrival_us > wall + LOOK_AHEAD_US:
                return
            self._push(self._head, self._head_at)
            self._head = None

    def _remember(self, arrival: int, at: Position) -> None:
        """Keep where each second of the last ones stands in the journal."""
        if not self._recent or arrival - self._recent[-1][0] >= 1_000_000:
            self._recent.append((arrival, at))
            while len(self._recent) > REMEMBERED:
                self._recent.popleft()

    def needed_from(self, wall: int) -> Position:
        """Where somebody must begin to read who goes on at ``wall`` with the same pictures, and sound from then on."""
        places = [at for arrival, at in self._recent if arrival <= wall][-1:] or [Position()]
        places += [at for track in self.video.values() if (at := track.needed_from) is not None]
        return min(places)

    def advance(self, wall: int) -> None:
        """Read ahead of ``wall`` and decode pictures up to it."""
        self.read(wall)
        for track in self.video.values():
            track.advance(wall)

    def tidy(self, wall: int) -> None:
        """Close what has ended; call now and then."""
        for number in [n for n, t in self.video.items() if t.ended(wall)]:
            self._say_errors(self.video.pop(number))
        for number in [n for n, t in self.audio.items() if t.ended(wall)]:
            self._say_errors(self.audio.pop(number))

    def finish(self) -> None:
        for video in self.video.values():
            self._say_errors(video)
        for audio in self.audio.values():
            self._say_errors(audio)
        self._reader.close()

    def take_warnings(self) -> list[str]:
        """What went wrong since the last call."""
        spoilt, misplaced = self._reader.spoilt, self._misplaced
        if spoilt > self._spoilt or misplaced:
            self.warnings.append(
                f"{spoilt - self._spoilt} bytes and {misplaced} frames of what was captured were spoilt by the disk"
            )
        self._spoilt, self._misplaced = spoilt, 0
        warnings, self.warnings = self.warnings, []
        return warnings

    def _say_errors(self, track: VideoTrack | AudioTrack) -> None:
        if track.errors:
            s = track.segment
            self.warnings.append(
                f"{track.errors} frames of segment {s.number} ({s.source}) could not be decoded"
            )

    def _push(self, record: Record, at: Position) -> None:
        number = record.segment
        segment = self._timeline.segments.get(number)
        if segment is None or number in self._refused:
            return
        if abs(segment.place(record.rtp, record.arrival_us) - record.arrival_us) > TOO_FAR_US:
            self._misplaced += 1
            return
        try:
            if segment.is_audio:
                if record.arrival_us < self._heard_from:
                    return
                if number not in self.audio:
                    self.audio[number] = AudioTrack(segment, self._timeline)
                self.audio[number].push(record)
            else:
                if number not in self.video:
                    self.video[number] = VideoTrack(segment)
                self.video[number].push(record, at)
        except (FFmpegError, ValueError) as error:
            self._refused.add(number)
            self.warnings.append(f"segment {number} ({segment.source}) was left out: {error}")
            log.warning("compose.segment_refused segment=%d reason=%s", number, error)
