"""One live recording: takes a room's packets, people and orders, writes the journal. Decodes nothing, touches no network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recorder.frames import Depacketiser, Frame
from recorder.journal import AFTER_LOSS, KEY, JournalWriter, Line, read_manifest

MARK_US: Final = 2_000_000
BEAT_US: Final = 1_000_000
STALL_US: Final = 500_000
ASK_US: Final = (0, 1_000_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000)
"""Least time between two keyframe requests for a track, growing while they bring nothing."""


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """A track as the tap announced it."""

    track: int
    person_id: str
    peer_id: str
    source: str
    codec: str
    clock_rate: int
    channels: int
    ssrc: int

    @property
    def is_video(self) -> bool:
        return self.codec != "opus"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is in the recorded room now, and what they publish."""

    person_id: str
    name: str
    mic: bool
    camera: bool
    screen: bool
    entered_us: int


@dataclass(slots=True)
class _Segment:
    number: int
    facts: TrackFacts
    depacketiser: Depacketiser
    frames: int = 0
    newest_us: int = 0
    asked_us: int = 0
    asks: int = 0
    broken_since: int | None = None
    mark: tuple[int, int] | None = None
    mark_delay: float = 0.0
    marked_us: int = 0


@dataclass(slots=True)
class _Past:
    """What an adopted journal tells about itself."""

    segments: int = 0
    pauses: int = 0
    paused: bool = False
    stopped: bool = False
    start_us: int = 0
    last_us: int = 0
    cut_us: int = 0
    paused_at: int = 0


class Capture:
    """The capture of one recording. All times are Unix microseconds. OSError from any method: the disk refuses."""

    def __init__(self, folder: Path, header: Mapping[str, Any], now_us: int) -> None:
        past = _past(folder)
        self._journal = JournalWriter(folder)
        self._segments: dict[int, _Segment] = {}
        self._tracks: dict[int, TrackFacts] = {}
        self._people: dict[str, Person] = {}
        self._next_segment = past.segments + 1
        self.pauses = past.pauses
        self.paused = past.paused
        self._paused_at = past.paused_at
        self._resumed_us = 0
        """What was received before this, but is only read now, belongs to a pause."""
        self._cut_us = past.cut_us
        self._start_us = past.start_us or now_us
        self._beat_us = now_us
        self.closed_at: int | None = past.last_us if past.stopped else None
        self.adopted = past.start_us > 0
        if self.adopted and not past.stopped:
            self._journal.note("adopt", now_us)
            if not past.paused:
                self._journal.note("gap", now_us, since=past.last_us, reason="recorder")
        elif not self.adopted:
            self._journal.note("start", now_us, **header)
        self._journal.flush()

    @property
    def duration_s(self) -> float:
        """Length so far, without pauses; final after ``close``."""
        end = self.closed_at if self.closed_at is not None else self._beat_us
        if self.paused:
            end = self._paused_at
        return max(0.0, (end - self._start_us - self._cut_us) / 1e6)

    # -- what the tap delivers ---------------------------------------------------------------------------------

    def track_added(self, facts: TrackFacts) -> None:
        self._tracks[facts.track] = facts

    def track_removed(self, track: int, reason: str, now_us: int) -> None:
        self._end_segment(track, reason, now_us)
        self._tracks.pop(track, None)

    def packet(self, track: int, packet: bytes, arrival_us: int) -> None:
        """One RTP packet. While paused it is forgotten at once."""
        if self.paused or arrival_us < self._resumed_us:
            return
        segment = self._segments.get(track)
        if segment is None:
            segment = self._begin_segment(track, arrival_us)
            if segment is None:
                return
        segment.newest_us = arrival_us
        frames = segment.depacketiser.push(packet, arrival_us)
        if frames:
            self._write(segment, frames)

    def sender_report(self, track: int, ntp: int, rtp: int, arrival_us: int) -> None:
        segment = self._segments.get(track)
        if segment is None or self.paused:
            return
        extended = segment.depacketiser.timestamp(rtp)
        if extended is not None:
            self._journal.note("sr", arrival_us, n=segment.number, ntp=ntp, rtp=extended)

    def dropped(self, track: int, packets: int, now_us: int) -> None:
        segment = self._segments.get(track)
        if segment is not None:
            self._journal.note("dropped", now_us, n=segment.number, packets=packets)

    def tap_lost(self, now_us: int) -> None:
        """The media worker or the connection to it is gone: all tracks end, the recording goes on."""
        for track in list(self._tracks):
            self.track_removed(track, "tap", now_us)

    # -- what the session tells --------------------------------------------------------------------------------

    def roster(self, people: Iterable[Person], now_us: int) -> None:
        """Who is in the room now; only differences are noted. Kept for later while paused."""
        wanted = {person.person_id: person for person in people}
        if self.paused:
            return
        for person_id in self._people.keys() - wanted.keys():
            self._journal.note("left", now_us, person_id=person_id)
        for person_id, person in wanted.items():
            if self._people.get(person_id) != person:
                self._journal.note(
                    "person",
                    now_us,
                    person_id=person_id,
                    name=person.name,
                    mic=person.mic,
                    camera=person.camera,
                    screen=person.screen,
                    entered=person.entered_us,
                )
        self._people = wanted

    def pause(self, now_us: int) -> None:
        """From now on nothing is written until ``resume``."""
        if self.paused:
            return
        for track in list(self._segments):
            self._end_segment(track, "paused", now_us)
        self._journal.note("pause", now_us)
        self.paused, self._paused_at = True, now_us
        self.pauses += 1
        self._journal.flush()

    def resume(self, now_us: int) -> None:
        if not self.paused:
            return
        self.paused, self._resumed_us = False, now_us
        self._cut_us += now_us - self._paused_at
        self._journal.note("resume", now_us)
        self._journal.flush()

    def close(self, now_us: int) -> None:
        """Stop: end all segments and close the files. Safe to repeat."""
        if self.closed_at is not None:
            with contextlib.suppress(OSError):
                self._journal.close()
            return
        for track in list(self._segments):
            self._end_segment(track, "stopped", now_us)
        if self.paused:
            self._cut_us += now_us - self._paused_at
            self.paused = False
        self._journal.note("stop", now_us)
        self.closed_at = now_us
        self._journal.close()

    def abandon(self) -> None:
        """Give the files up as they are (shutdown of the process, or a broken disk); the recording stays adoptable."""
        with contextlib.suppress(OSError):
            self._journal.close()

    # -- regular work ------------------------------------------------------------------------------------------

    def tick(self, now_us: int) -> list[int]:
        """Call about five times a second: writes out what is pending. Returns tracks that need a keyframe."""
        asks = []
        for track, segment in self._segments.items():
            frames = segment.depacketiser.expire(now_us)
            if frames:
                self._write(segment, frames)
            if segment.facts.is_video and self._must_ask(segment, now_us):
                segment.asked_us = now_us
                segment.asks += 1
                self._journal.note("asked", now_us, n=segment.number)
                asks.append(track)
        if not self.paused and self.closed_at is None and now_us - self._beat_us >= BEAT_US:
            self._journal.note("beat", now_us)
            self._beat_us = now_us
        self._journal.flush()
        return asks

    def sync(self) -> None:
        """Wait for the disk; may run on another thread."""
        self._journal.sync()

    def _must_ask(self, segment: _Segment, now_us: int) -> bool:
        waiting = segment.depacketiser.wants_keyframe
        stalled = segment.facts.source == "camera" and now_us - segment.newest_us > STALL_US
        if not waiting and not stalled:
            segment.asks = 0
            return False
        return now_us - segment.asked_us >= ASK_US[min(segment.asks, len(ASK_US) - 1)]

    # -- segments ----------------------------------------------------------------------------------------------

    def _begin_segment(self, track: int, at_us: int) -> _Segment | None:
        facts = self._tracks.get(track)
        if facts is None:
            return None
        segment = _Segment(self._next_segment, facts, Depacketiser(facts.codec), newest_us=at_us)
        self._next_segment += 1
        self._segments[track] = segment
        self._journal.note(
            "segment",
            at_us,
            n=segment.number,
            person_id=facts.person_id,
            peer_id=facts.peer_id,
            source=facts.source,
            codec=facts.codec,
            clock_rate=facts.clock_rate,
            channels=facts.channels,
            ssrc=facts.ssrc,
        )
        return segment

    def _end_segment(self, track: int, reason: str, now_us: int) -> None:
        segment = self._segments.pop(track, None)
        if segment is None:
            return
        if reason != "paused":
            self._write(segment, segment.depacketiser.flush())
        self._mark(segment)
        self._journal.note(
            "end",
            now_us,
            n=segment.number,
            reason=reason,
            frames=segment.frames,
            lost=segment.depacketiser.lost_packets,
            bad=segment.depacketiser.bad_packets,
        )

    def _write(self, segment: _Segment, frames: Iterable[Frame]) -> None:
        rate = segment.facts.clock_rate
        for frame in frames:
            if frame.after_loss:
                # It could only be shown broken; the last good frame stays until a keyframe comes.
                if segment.broken_since is None:
                    segment.broken_since = frame.arrival_us
                continue
            if segment.broken_since is not None:
                self._journal.note("broken", frame.arrival_us, n=segment.number, since=segment.broken_since)
                segment.broken_since = None
            delay = frame.arrival_us - frame.timestamp * 1_000_000 / rate
            first = segment.frames == 0
            if segment.mark is None or delay < segment.mark_delay:
                segment.mark, segment.mark_delay = (frame.timestamp, frame.arrival_us), delay
            if first or frame.arrival_us - segment.marked_us >= MARK_US:
                self._mark(segment)
                segment.marked_us = frame.arrival_us
            segment.frames += 1
            flags = (KEY if frame.key else 0) | (AFTER_LOSS if frame.after_loss else 0)
            self._journal.frame(segment.number, flags, frame.timestamp, frame.arrival_us, frame.data)

    def _mark(self, segment: _Segment) -> None:
        """Note the least delayed frame of the last seconds: it ties the track's clock to ours."""
        if segment.mark is not None:
            rtp, arrival_us = segment.mark
            self._journal.note("mark", arrival_us, n=segment.number, rtp=rtp)
            segment.mark = None


def _past(folder: Path) -> _Past:
    try:
        lines = read_manifest(folder)
    except FileNotFoundError:
        return _Past()
    past = _Past()
    for line in lines:
        _learn(past, line)
    return past


def _learn(past: _Past, line: Line) -> None:
    kind, at = str(line["k"]), int(line["at"])
    past.last_us = max(past.last_us, at)
    if kind == "start":
        past.start_us = at
    elif kind == "segment":
        past.segments = max(past.segments, int(line["n"]))
    elif kind == "pause":
        past.pauses, past.paused, past.paused_at = past.pauses + 1, True, at
    elif kind == "resume" and past.paused:
        past.paused, past.cut_us = False, past.cut_us + at - past.paused_at
    elif kind == "stop":
        past.stopped = True
        if past.paused:
            past.paused, past.cut_us = False, past.cut_us + at - past.paused_at
