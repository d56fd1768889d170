"""Manifest → one common time line. Pure: no clock, no files, no framework.

Zero is the start of the recording; pauses are cut out; gaps are not (nothing is shown or heard in them). All times are
integers of microseconds: ``wall`` is the recorder's Unix time, ``rec`` the time in the file.

A track's RTP time becomes wall time by its sender's reports: they tie RTP to the sender's own clock, which its microphone and
camera share, and the least delayed reports tie that clock to ours. A track without usable reports goes by the arrival of its
least delayed frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Line = Mapping[str, Any]
NTP_EPOCH_US: Final = 2_208_988_800_000_000
WINDOW_US: Final = 30_000_000
MAX_SKEW: Final = 0.005
"""Clocks that differ by more than 0.5 % are not clocks; the nominal rate is used then."""
MAX_DISAGREEMENT_US: Final = 2_000_000
MIN_FIT_US: Final = 20_000_000


class BadManifest(ValueError):
    """The manifest does not describe a recording."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``y = y0 + (x - x0) * slope``."""

    x0: int
    y0: int
    slope: float

    def __call__(self, x: int) -> int:
        return self.y0 + round((x - self.x0) * self.slope)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open interval of microseconds."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One run of one source. ``wall`` maps extended RTP time; ``start``/``end`` are wall times; ``by`` is ``reports`` or
    ``arrival``."""

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

    @property
    def is_audio(self) -> bool:
        return self.codec == "opus"


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


def build(lines: Sequence[Line]) -> Timeline:
    """The time line of a manifest. Raises BadManifest when it has no start."""
    start_line = next((line for line in lines if line["k"] == "start"), None)
    if start_line is None:
        raise BadManifest("the manifest has no start")
    start = int(start_line["at"])
    stop_line = next((line for line in lines if line["k"] == "stop"), None)
    stop = max(start, int(stop_line["at"]) if stop_line is not None else max(int(x["at"]) for x in lines))
    return Timeline(
        recording_id=str(start_line.get("recording_id", "")),
        room_name=str(start_line.get("room_name", "")),
        title=str(start_line.get("room_title", "")),
        course_title=str(start_line.get("course_title", "")),
        start=start,
        stop=stop,
        cuts=tuple(_cuts(lines, start, stop)),
        gaps=tuple(_gaps(lines, start, stop)),
        segments=_segments(lines, stop),
        presences=tuple(_presences(lines, stop)),
        complete=stop_line is not None,
    )


def _clamp(first: int, last: int, start: int, stop: int) -> Span | None:
    first, last = max(first, start), min(last, stop)
    return Span(first, last) if first < last else None


def _cuts(lines: Iterable[Line], start: int, stop: int) -> Iterable[Span]:
    paused: int | None = None
    for line in lines:
        if line["k"] == "pause" and paused is None:
            paused = int(line["at"])
        elif line["k"] == "resume" and paused is not None:
            span = _clamp(paused, int(line["at"]), start, stop)
            paused = None
            if span is not None:
                yield span
    if paused is not None:
        span = _clamp(paused, stop, start, stop)
        if span is not None:
            yield span


def _gaps(lines: Iterable[Line], start: int, stop: int) -> Iterable[Span]:
    for line in lines:
        if line["k"] == "gap":
            span = _clamp(int(line["since"]), int(line["at"]), start, stop)
            if span is not None:
                yield span


# -- who was there -------------------------------------------------------------------------------------------------


def _presences(lines: Iterable[Line], stop: int) -> Iterable[Presence]:
    open_: dict[str, tuple[int, Line]] = {}
    had: dict[str, set[str]] = {}
    entered: dict[str, int] = {}
    for line in lines:
        kind = line["k"]
        if kind not in ("person", "left"):
            continue
        person_id, at = str(line["person_id"]), int(line["at"])
        before = open_.pop(person_id, None)
        if before is not None:
            yield _presence(before, at, had[person_id], entered[person_id])
        if kind == "person":
            entered.setdefault(person_id, int(line.get("entered") or at))
            switches = had.setdefault(person_id, set())
            switches |= {s for s in ("mic", "camera", "screen") if line.get(s)}
            open_[person_id] = (at, dict(line) | {"_had": frozenset(switches)})
    for person_id, before in open_.items():
        yield _presence(before, stop, had[person_id], entered[person_id])


def _presence(before: tuple[int, Line], end: int, _had: set[str], entered: int) -> Presence:
    start, line = before
    had = line["_had"]
    return Presence(
        person_id=str(line["person_id"]),
        name=str(line.get("name", "")),
        start=start,
        end=end,
        entered=entered,
        mic_off="mic" in had and not line.get("mic"),
        camera_off="camera" in had and not line.get("camera"),
        screen_off="screen" in had and not line.get("screen"),
    )


# -- clocks --------------------------------------------------------------------------------------------------------


def ntp_to_us(ntp: int) -> int:
    """64-bit NTP time → Unix microseconds of the sender's clock."""
    return (ntp >> 32) * 1_000_000 + (((ntp & 0xFFFFFFFF) * 1_000_000) >> 32) - NTP_EPOCH_US


def fit(points: Sequence[tuple[int, int]], nominal: float, least_span: float) -> Linear:
    """A line through (x, y) points by least squares; the nominal slope when they span too little or disagree with it."""
    x0 = points[0][0]
    mean_x = sum(x - x0 for x, _ in points) / len(points)
    y0 = points[0][1]
    mean_y = sum(y - y0 for _, y in points) / len(points)
    slope = nominal
    spread = sum((x - x0 - mean_x) ** 2 for x, _ in points)
    if points[-1][0] - x0 >= least_span and spread > 0:
        slope = sum((x - x0 - mean_x) * (y - y0 - mean_y) for x, y in points) / spread
        if abs(slope / nominal - 1) > MAX_SKEW:
            slope = nominal
    return Linear(x0, y0 + round(mean_y - mean_x * slope), slope)


def envelope(points: Iterable[tuple[int, int]], nominal: float) -> Linear:
    """A line along the least delayed of (x, arrival) points: the best of each half minute, then a fit.

    ``x`` counts at ``1/nominal`` a microsecond.
    """
    best: dict[int, tuple[float, int, int]] = {}
    for x, arrival in points:
        delay = arrival - x * nominal
        window = arrival // WINDOW_US
        if window not in best or delay < best[window][0]:
            best[window] = (delay, x, arrival)
    chosen = sorted((x, arrival) for _, x, arrival in best.values())
    if len(chosen) < 3 or (chosen[-1][0] - chosen[0][0]) * nominal < 2 * WINDOW_US:
        # Too short to see a skew: the single least delayed point.
        _, x, arrival = min(best.values())
        return Linear(x, arrival, nominal)
    return fit(chosen, nominal, 0)


def _segments(lines: Sequence[Line], stop: int) -> dict[int, Segment]:
    begun: dict[int, Line] = {}
    ended: dict[int, Line] = {}
    reports: dict[int, list[tuple[int, int, int]]] = {}
    marks: dict[int, list[tuple[int, int]]] = {}
    broken: dict[int, list[Span]] = {}
    adopted: list[int] = []
    for line in lines:
        kind, at = line["k"], int(line["at"])
        if kind == "adopt":
            adopted.append(at)
        if "n" not in line:
            continue
        number = int(line["n"])
        if kind == "segment":
            begun[number] = line
        elif kind == "end":
            ended[number] = line
        elif kind == "sr":
            reports.setdefault(number, []).append((int(line["rtp"]), ntp_to_us(int(line["ntp"])), at))
        elif kind == "mark":
            marks.setdefault(number, []).append((int(line["rtp"]), at))
        elif kind == "broken":
            broken.setdefault(number, []).append(Span(int(line["since"]), at))
    clocks = _sender_clocks(begun, reports)
    segments: dict[int, Segment] = {}
    for number, line in begun.items():
        if not marks.get(number):
            continue  # not one frame was written
        wall, by = _wall(line, marks[number], reports.get(number, ()), clocks.get(_sender(line)))
        end = ended.get(number)
        crash = next((at for at in adopted if at > int(line["at"])), stop)
        segments[number] = Segment(
            number=number,
            person_id=str(line["person_id"]),
            source=str(line["source"]),
            codec=str(line["codec"]),
            clock_rate=int(line["clock_rate"]),
            channels=int(line.get("channels", 1)),
            start=int(line["at"]),
            end=int(end["at"]) if end is not None else min(crash, stop),
            end_reason=str(end["reason"]) if end is not None else "crash",
            wall=wall,
            by=by,
            lost_packets=int(end.get("lost", 0)) if end is not None else 0,
            broken=tuple(broken.get(number, ())),
        )
    return segments


def _sender(line: Line) -> str:
    return str(line.get("peer_id") or line["person_id"])


def _sender_clocks(
    begun: Mapping[int, Line], reports: Mapping[int, Sequence[tuple[int, int, int]]]
) -> dict[str, Linear]:
    """Each sender's clock → ours, from all reports of all its tracks."""
    points: dict[str, list[tuple[int, int]]] = {}
    for number, seen in reports.items():
        if number in begun:
            points.setdefault(_sender(begun[number]), []).extend((ntp, at) for _, ntp, at in seen)
    return {sender: envelope(seen, 1.0) for sender, seen in points.items()}


def _wall(
    line: Line,
    marks: Sequence[tuple[int, int]],
    reports: Sequence[tuple[int, int, int]],
    clock: Linear | None,
) -> tuple[Linear, str]:
    nominal = 1e6 / int(line["clock_rate"])
    by_arrival = envelope(marks, nominal)
    if not reports or clock is None:
        return by_arrival, "arrival"
    to_ntp = fit([(rtp, ntp) for rtp, ntp, _ in sorted(reports)], nominal, MIN_FIT_US / nominal)
    x0 = marks[0][0]
    wall = Linear(x0, clock(to_ntp(x0)), to_ntp.slope * clock.slope)
    # A sender whose reports contradict what arrives (a stepped clock, a broken stack) is not believed.
    if any(abs(wall(rtp) - at) > MAX_DISAGREEMENT_US for rtp, at in marks):
        return by_arrival, "arrival"
    return wall, "reports"


def index_at(starts: Sequence[int], at: int) -> int:
    """The last index whose start is not after ``at``; -1 before the first."""
    return bisect_right(starts, at) - 1
