"""Manifest → one common time line. Pure: no clock, no files, no framework.

Zero is the start of the recording; pauses are cut out; gaps are not (nothing is shown or heard in them). All times are
integers of microseconds: ``wall`` is the recorder's Unix time, ``rec`` the time in the file.

A track's RTP time becomes wall time by its sender's reports: they tie RTP to the sender's own clock, which its microphone and
camera share, and the least delayed reports tie that clock to ours. A track without usable reports goes by the arrival of its
least delayed frames. Where a clock stood still or stepped, another line begins (recorder.sender_clocks).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.sender_clocks import DECIDE_US, Linear, Piece, SteppingClock, TrackClock, line_of

Line = Mapping[str, Any]
NTP_EPOCH_US: Final = 2_208_988_800_000_000
SETTLE_US: Final = DECIDE_US + 2_000_000
"""A growing journal is believed up to so long before its newest line: late packets and the first reports are in by then, and whether
a sender's clock has broken is decided (what tells it is noted every two seconds)."""
HALT_US: Final = 250_000
"""A sender's clock that stood still for so long is told."""


class BadManifest(ValueError):
    """The manifest does not describe a recording."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open interval of microseconds."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One run of one source; ``start``/``end`` are wall times. ``place`` maps the extended RTP time of a frame; ``wall`` is the
    longest of the lines by which it does so, and ``by`` (``reports`` or ``arrival``) tells where that one comes from."""

    number: int
    person_id: str
    source: str
    codec: str
    clock_rate: int
    channels: int
    start: int
    end: int
    end_reason: str
    wall: Linear
    by: str
    lost_packets: int = 0
    broken: tuple[Span, ...] = ()
    peer_id: str = ""
    pieces: tuple[Piece, ...] = ()

    def place(self, rtp: int, arrival: int) -> int:
        """The wall time of a frame that arrived at ``arrival``."""
        return line_of(self.pieces, rtp, arrival)(rtp) if len(self.pieces) > 1 else self.wall(rtp)

    @property
    def is_audio(self) -> bool:
        return self.codec == "opus"

    @property
    def ppm(self) -> float:
        """How much faster the sender's clock runs than ours, in millionths."""
        return (1e6 / self.clock_rate / self.wall.slope - 1) * 1e6


@dataclass(frozen=True, slots=True)
class Presence:
    """A person in the room between two wall times, with constant name and switches. ``*_off``: they switched it off after
    having had it on (a client that never tells is believed by its packets)."""

    person_id: str
    name: str
    start: int
    end: int
    entered: int
    mic_off: bool
    camera_off: bool
    screen_off: bool
    camera_on: bool = False
    """Their client says that the camera is on."""


@dataclass(frozen=True, slots=True)
class Halt:
    """A sender's clock stood still: all that it sends is missing for ``length`` µs from the wall time ``at`` on."""

    person_id: str
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that composition needs to know besides the frames themselves."""

    recording_id: str
    room_name: str
    title: str
    course_title: str
    start: int
    stop: int
    cuts: tuple[Span, ...]
    gaps: tuple[Span, ...]
    segments: Mapping[int, Segment]
    presences: tuple[Presence, ...]
    complete: bool
    """False: the journal has no stop line (its end is the last thing written)."""
    layouts: tuple[tuple[int, str], ...] = ()
    """(wall time, layout) of each change while recording."""
    has_start: bool = True
    """False: the line with the recording's names and options is lost."""
    settled: int = 0
    """Wall time up to which nothing can change any more while the journal still grows."""
    halts: tuple[Halt, ...] = ()

    @property
    def duration(self) -> int:
        """Length of the file in microseconds: stop − start − pauses."""
        return self.stop - self.start - sum(cut.end - cut.start for cut in self.cuts)

    def rec(self, wall: int) -> int | None:
        """Time in the file of a wall time; None inside a pause or outside the recording."""
        if not self.start <= wall < self.stop:
            return None
        before = 0
        for cut in self.cuts:
            if cut.start <= wall < cut.end:
                return None
            if cut.end <= wall:
                before += cut.end - cut.start
        return wall - self.start - before

    def elapsed(self, wall: int) -> int:
        """Time in the file that has passed by a wall time: like ``rec``, but defined everywhere."""
        wall = min(max(wall, self.start), self.stop)
        before = sum(min(cut.end, wall) - cut.start for cut in self.cuts if cut.start < wall)
        return wall - self.start - before

    def wall(self, rec: int) -> int:
        """Wall time of a time in the file."""
        wall = self.start + rec
        for cut in self.cuts:
            if cut.start <= wall:
                wall += cut.end - cut.start
        return wall

    def present(self, wall: int) -> list[Presence]:
        """Who is in the room at a wall time, in order of joining."""
        here = [p for p in self.presences if p.start <= wall < p.end]
        return sorted(here, key=lambda p: (p.entered, p.person_id))


# -- clocks --------------------------------------------------------------------------------------------------------


def ntp_to_us(ntp: int) -> int:
    """64-bit NTP time → Unix microseconds of the sender's clock."""
    return (ntp >> 32) * 1_000_000 + (((ntp & 0xFFFFFFFF) * 1_000_000) >> 32) - NTP_EPOCH_US


# -- building ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    """What the manifest has said of one segment so far."""

    line: Line
    clock: TrackClock
    end: Line | None = None
    crashed: int | None = None
    broken: list[Span] = field(default_factory=list)


class TimelineBuilder:
    """Takes a manifest line by line and gives the time line so far as often as wanted.

    Memory grows with what happens (people, switches, pauses) and with two points per track and half minute.
    """

    def __init__(self) -> None:
        self._first: Line | None = None
        self._start: Line | None = None
        self._stop: int | None = None
        self._last = 0
        self._paused: int | None = None
        self._pauses: list[tuple[int, int]] = []
        self._gaps: list[tuple[int, int]] = []
        self._layouts: list[tuple[int, str]] = []
        self._runs: dict[int, _Run] = {}
        self._senders: dict[str, tuple[str, SteppingClock]] = {}
        self._presences: list[Presence] = []
        self._here: dict[str, tuple[int, Line]] = {}
        self._had: dict[str, set[str]] = {}
        self._entered: dict[str, int] = {}

    def add(self, line: Line) -> None:
        """Take the next line. One that lacks something is left out: a bad line never fails the whole."""
        if self._stop is not None:
            return
        self._last = max(self._last, int(line["at"]))
        self._first = self._first or line
        take = getattr(self, f"_on_{line['k']}", None)
        if take is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
                take(line, int(line["at"]))

    @property
    def stopped(self) -> bool:
        """Whether the recording was closed."""
        return self._stop is not None

    def build(self) -> Timeline:
        """The time line of what was taken. Raises BadManifest when it has no start."""
        line = self._start or self._spoilt_start()
        if line is None:
            raise BadManifest("the manifest has no start")
        start = int(line["at"])
        stop = max(start, self._stop if self._stop is not None else self._last)
        pauses = [*self._pauses, *([(self._paused, stop)] if self._paused is not None else [])]
        settled = stop if self._stop is not None or self._paused is not None else stop - SETTLE_US
        return Timeline(
            recording_id=str(line.get("recording_id", "")),
            room_name=str(line.get("room_name", "")),
            title=str(line.get("room_title", "")),
            course_title=str(line.get("course_title", "")),
            start=start,
            stop=stop,
            cuts=tuple(_clamped(pauses, start, stop)),
            gaps=tuple(_clamped(self._gaps, start, stop)),
            segments=self._segments(stop),
            presences=(*self._presences, *(self._presence(who, stop) for who in self._here)),
            complete=self._stop is not None,
            layouts=tuple(self._layouts),
            settled=settled,
            has_start=self._start is not None,
            halts=self._halts(),
        )

    def _spoilt_start(self) -> Line | None:
        """The first thing that is told, where the disk has spoilt the line before it but not the tracks behind it."""
        return self._first if self._runs else None

    # -- what is told ------------------------------------------------------------------------------------------

    def _on_start(self, line: Line, _at: int) -> None:
        if self._start is None:
            self._start = line
            if line.get("layout"):
                self._layouts.append((int(line["at"]), str(line["layout"])))

    def _on_stop(self, _line: Line, at: int) -> None:
        self._stop = at

    def _on_pause(self, _line: Line, at: int) -> None:
        if self._paused is None:
            self._paused = at

    def _on_resume(self, _line: Line, at: int) -> None:
        if self._paused is not None:
            self._pauses.append((self._paused, at))
            self._paused = None

    def _on_gap(self, line: Line, at: int) -> None:
        self._gaps.append((int(line["since"]), at))

    def _on_layout(self, line: Line, at: int) -> None:
        self._layouts.append((at, str(line["layout"])))

    def _on_adopt(self, _line: Line, at: int) -> None:
        for run in self._runs.values():
            if run.crashed is None and at > int(run.line["at"]):
                run.crashed = at

    def _on_person(self, line: Line, at: int) -> None:
        who = str(line["person_id"])
        self._close_presence(who, at)
        if line.get("declined"):
            return
        self._entered.setdefault(who, int(line.get("entered") or at))
        switches = self._had.setdefault(who, set())
        switches |= {s for s in ("mic", "camera", "screen") if line.get(s)}
        self._here[who] = (at, dict(line) | {"_had": frozenset(switches)})

    def _on_left(self, line: Line, at: int) -> None:
        self._close_presence(str(line["person_id"]), at)

    def _close_presence(self, who: str, at: int) -> None:
        if who in self._here:
            self._presences.append(self._presence(who, at))
            del self._here[who]

    def _presence(self, who: str, end: int) -> Presence:
        start, line = self._here[who]
        had = line["_had"]
        return Presence(
            person_id=who,
            name=str(line.get("name", "")),
            start=start,
            end=end,
            entered=self._entered[who],
            mic_off="mic" in had and not line.get("mic"),
            camera_off="camera" in had and not line.get("camera"),
            screen_off="screen" in had and not line.get("screen"),
            camera_on=bool(line.get("camera")),
        )

    def _on_segment(self, line: Line, _at: int) -> None:
        who = str(line["person_id"])
        _, sender = self._senders.setdefault(str(line.get("peer_id") or who), (who, SteppingClock(1.0)))
        self._runs[int(line["n"])] = _Run(
            line, TrackClock(str(line["source"]), int(line["clock_rate"]), sender)
        )

    def _on_end(self, line: Line, _at: int) -> None:
        run = self._runs.get(int(line["n"]))
        if run is not None:
            run.end = line

    def _on_sr(self, line: Line, at: int) -> None:
        run = self._runs.get(int(line["n"]))
        if run is not None:
            run.clock.report(ntp_to_us(int(line["ntp"])), int(line["rtp"]), at)

    def _on_mark(self, line: Line, at: int) -> None:
        run = self._runs.get(int(line["n"]))
        if run is not None:
            run.clock.mark(int(line["rtp"]), at)

    def _on_broken(self, line: Line, at: int) -> None:
        run = self._runs.get(int(line["n"]))
        if run is not None:
            run.broken.append(Span(int(line["since"]), at))

    # -- what follows ------------------------------------------------------------------------------------------

    def _segments(self, stop: int) -> dict[int, Segment]:
        segments: dict[int, Segment] = {}
        for number, run in self._runs.items():
            line, end = run.line, run.end
            ended = end is not None or run.crashed is not None or self._stop is not None
            pieces = run.clock.pieces(ended, stop)
            if not pieces:
                continue  # not one frame was written
            longest = max(pieces, key=lambda piece: piece.last - piece.first)
            crashed = run.crashed if run.crashed is not None else stop
            segments[number] = Segment(
                number=number,
                person_id=str(line["person_id"]),
                source=str(line["source"]),
                codec=str(line["codec"]),
                clock_rate=int(line["clock_rate"]),
                channels=int(line.get("channels", 1)),
                start=int(line["at"]),
                end=int(end["at"]) if end is not None else min(crashed, stop),
                end_reason=str(end["reason"]) if end is not None else "crash",
                wall=longest.line,
                by=longest.by,
                lost_packets=int(end.get("lost", 0)) if end is not None else 0,
                broken=tuple(run.broken),
                peer_id=str(line.get("peer_id") or ""),
                pieces=pieces,
            )
        return segments

    def _halts(self) -> tuple[Halt, ...]:
        found = []
        for who, clock in self._senders.values():
            for before, after in clock.breaks():
                stood = before.line(after.first_x)
                length = after.line(after.first_x) - stood
                if length >= HALT_US:
                    found.append(Halt(who, stood, length))
        return tuple(sorted(found, key=lambda halt: halt.at))


def build(lines: Iterable[Line]) -> Timeline:
    """The time line of a whole manifest. Raises BadManifest when it has no start."""
    builder = TimelineBuilder()
    for line in lines:
        builder.add(line)
    return builder.build()


def _clamped(spans: Iterable[tuple[int, int]], start: int, stop: int) -> Iterable[Span]:
    for first, last in spans:
        first, last = max(first, start), min(last, stop)
        if first < last:
            yield Span(first, last)
