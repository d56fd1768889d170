"""Senders' clocks against ours, from what they report and when it arrives. Pure.

A sender's clock runs evenly for hours, and then it may stand still (its computer sleeps, its virtual machine is stopped) or step
(somebody sets it). One straight line over both sides of such a break is wrong on both, so every clock is a row of *stretches* in
which it ran evenly. What arrives late is no break by itself: packets that queue somewhere are late too, but the queue drains. A new
stretch begins when for ``DECIDE_US`` nothing at all was as early as before, or when something comes earlier than the clock allows.

All times are integers of microseconds but for RTP times, which count at their source's rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

WINDOW_US: Final = 30_000_000
MAX_SKEW: Final = 0.005
"""Clocks that differ by more than 0.5 % are not clocks; the nominal rate is used then."""
MAX_LATE_US: Final = 2_000_000
MAX_EARLY_US: Final = 200_000
"""Reports by which a track's frames came later than this, or so much before they were sent, are not believed."""
MIN_FIT_US: Final = 20_000_000
STEP_US: Final = 100_000
"""What leaves the line by more than this, and stays, is a clock that stood still or stepped."""
DECIDE_US: Final = 10_000_000
"""How long lateness must stay to be the clock's: network queues drain faster."""
LEAST_TAIL_US: Final = 2_000_000
SURE_TAIL_US: Final = 300_000
"""At the end of a track nothing more can come back: lateness counts when it lasted two seconds, or is larger than this."""
QUEUED_US: Final = 20_000
"""Half minutes in which even the best came so much later than the line say nothing of the clock."""
EARLY_US: Final = 50_000
"""A frame cannot arrive before it was sent, but for so much inexactness of the reports."""
RECENT_US: Final = 5_000_000
RECENT: Final = 2
"""Lateness is judged by the best of so many windows of ``RECENT_US``: a queue that builds up slowly is no break."""
EXCURSION_US: Final = 120_000_000
SAME_US: Final = 50_000
"""Lateness that ends within two minutes, this near to the line from before, was a long queue."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``y = y0 + (x - x0) * slope``."""

    x0: int
    y0: int
    slope: float

    def __call__(self, x: int) -> int:
        return self.y0 + round((x - self.x0) * self.slope)


class Fit:
    """A line through (x, y) points by least squares, from running sums: any number of points in constant memory."""

    def __init__(self, nominal: float) -> None:
        self._nominal = nominal
        self._first: tuple[int, int] | None = None
        self._low = self._high = 0
        self._n = self._sx = self._sy = self._sxx = self._sxy = 0

    def add(self, x: int, y: int) -> None:
        if self._first is None:
            self._first = (x, y)
        dx, dy = x - self._first[0], y - self._first[1]
        self._low, self._high = min(self._low, dx), max(self._high, dx)
        self._n += 1
        self._sx += dx
        self._sy += dy
        self._sxx += dx * dx
        self._sxy += dx * dy

    def line(self, least_span: float) -> Linear | None:
        """The line; its slope is nominal when the points span too little or disagree with it. None without points."""
        if self._first is None:
            return None
        slope = self._nominal
        spread = self._n * self._sxx - self._sx * self._sx
        if self._high - self._low >= least_span and spread > 0:
            slope = (self._n * self._sxy - self._sx * self._sy) / spread
            if abs(slope / self._nominal - 1) > MAX_SKEW:
                slope = self._nominal
        x0, y0 = self._first
        return Linear(x0, y0 + round((self._sy - self._sx * slope) / self._n), slope)


class Envelope:
    """A line along the least delayed of (x, arrival) points: the best of each half minute, then a fit.

    ``x`` counts at ``1/nominal`` a microsecond. Memory: a point a half minute.
    """

    def __init__(self, nominal: float) -> None:
        self._nominal = nominal
        self._best: dict[int, tuple[float, int, int]] = {}

    def add(self, x: int, arrival: int) -> bool:
        """Take a point; returns whether the line may be another one now."""
        point = (arrival - x * self._nominal, x, arrival)
        window = arrival // WINDOW_US
        is_better = window not in self._best or point < self._best[window]
        if is_better:
            self._best[window] = point
        return is_better

    def line(self) -> Linear | None:
        chosen = sorted((x, arrival) for _, x, arrival in self._best.values())
        if not chosen:
            return None
        if len(chosen) < 3 or (chosen[-1][0] - chosen[0][0]) * self._nominal < 2 * WINDOW_US:
            # Too short to see a skew: the single least delayed point.
            _, x, arrival = min(self._best.values())
            return Linear(x, arrival, self._nominal)
        while True:
            fit = Fit(self._nominal)
            for x, arrival in chosen:
                fit.add(x, arrival)
            line = fit.line(0)
            assert line is not None
            most = max(arrival - line(x) for x, arrival in chosen)
            timely = [(x, arrival) for x, arrival in chosen if arrival - line(x) <= most / 2]
            if most <= QUEUED_US or len(timely) < 3:
                return line
            chosen = timely  # in the other half minutes a queue delayed everything

    def least(self, since: int) -> float:
        """The least delay of the half minutes since an arrival, or else of the newest."""
        newest = next(reversed(self._best))
        return min(p[0] for window, p in self._best.items() if window >= min(newest, since // WINDOW_US))

    def agrees(self, line: Linear, first: int, last: int) -> bool:
        """Whether the least delayed of each half minute between two arrivals came when a line of their sending allows it."""
        return all(
            -MAX_EARLY_US <= arrival - line(x) <= MAX_LATE_US
            for _, x, arrival in self._best.values()
            if first <= arrival <= last
        )


class Point(NamedTuple):
    """A time of a sender's clock, when it arrived, and by which of its tracks with which RTP time."""

    x: int
    arrival: int
    source: str = ""
    track: TrackClock | None = None
    rtp: int = 0
    is_anew: bool = False
    """The track's reports before it do not lead to it: its sender has set the one clock or the other."""


class Stretch:
    """A time in which one clock ran evenly. ``first`` and ``last`` are the arrivals of its first and newest point."""

    def __init__(self, nominal: float, point: Point) -> None:
        self._nominal = nominal
        self.envelope = Envelope(nominal)
        self.first_x, self.first, self.last = point.x, point.arrival, point.arrival
        self.is_of_ntp_alone = False
        """The break before it is one of what the sender calls the time: its media went on evenly."""
        self._recent: dict[str, deque[tuple[int, float]]] = {}
        self._line: Linear | None = None
        self.add(point)

    def add(self, point: Point) -> None:
        self.last = max(self.last, point.arrival)
        if self.envelope.add(point.x, point.arrival):
            self._line = None
        window, late = point.arrival // RECENT_US, point.arrival - point.x * self._nominal
        recent = self._recent.setdefault(point.source, deque(maxlen=RECENT))
        if not recent or window > recent[-1][0]:
            recent.append((window, late))
        elif late < recent[-1][1]:
            recent[-1] = (window, late)

    @property
    def line(self) -> Linear:
        """Its clock → ours."""
        if self._line is None:
            self._line = self.envelope.line()
            assert self._line is not None, "a stretch has a point"
        return self._line

    def late(self, point: Point) -> float:
        """How much later a point came than the least delayed ones just before, of its source if there were any."""
        recent = self._recent.get(point.source) or [late for kept in self._recent.values() for late in kept]
        return point.arrival - point.x * self._nominal - min(late for _, late in recent)

    def fits(self, line: Linear) -> bool:
        """Whether its beginning came when a line of what was sent allows it."""
        return -MAX_EARLY_US <= self.line(self.first_x) - line(self.first_x) <= MAX_LATE_US

    def knows(self, point: Point) -> bool:
        """Whether there were points of its source."""
        return point.source in self._recent

    def is_early(self, point: Point) -> bool:
        """Whether a point came earlier than the line, those just before and those of the last minutes allow.

        The line is asked last: it is fitted anew after each better half minute, in time that grows with the stretch.
        """
        if -self.late(point) <= STEP_US:
            return False
        delay = point.arrival - point.x * self._nominal
        if self.envelope.least(point.arrival - EXCURSION_US) - delay <= STEP_US:
            return False
        return self.line(point.x) - point.arrival > STEP_US


class SteppingClock:
    """Takes points in order of arrival; gives the stretches in which the clock behind them ran evenly."""

    def __init__(self, nominal: float) -> None:
        self._nominal = nominal
        self._stretches: list[Stretch] = []
        self._late: list[Point] = []
        self._early: list[Point] = []

    def add(self, point: Point) -> list[tuple[Point, Stretch]]:
        """Take a point. Returns the points of which it is known now where they belong; others wait, or are left out."""
        if not self._stretches:
            return self._begin([point])
        now = self._stretches[-1]
        if now.is_early(point) and (point.is_anew or now.last - now.first >= DECIDE_US):
            self._late.clear()
            self._early = [p for p in self._early if point.arrival - p.arrival < DECIDE_US] + [point]
            return self._begin(self._early) if len(self._early) > 1 else []
        self._early.clear()
        if now.late(point) <= STEP_US:
            # It was a queue, and it has drained. But a source that was new may always be so much later than the others.
            known = [p for p in self._late if not now.knows(p)] + [point]
            self._late.clear()
            for one in known:
                now.add(one)
            return [(one, now) for one in known]
        self._late.append(point)
        return self._begin(self._late) if point.arrival - self._late[0].arrival >= DECIDE_US else []

    def _begin(self, points: Sequence[Point]) -> list[tuple[Point, Stretch]]:
        self._late, self._early = [], []
        self._stretches.append(Stretch(self._nominal, points[0]))
        known = [(points[0], self._stretches[-1])]
        for point in points[1:]:
            known += self.add(point)
        return known

    @property
    def newest(self) -> Stretch | None:
        return self._stretches[-1] if self._stretches else None

    def stretches(self, ended: bool, now: int) -> list[Stretch]:
        """The stretches by what is known at ``now``; ``ended``: no point will follow."""
        found = list(self._stretches)
        if found and self._late:
            first, last = self._late[0].arrival, self._late[-1].arrival
            lateness = min(found[-1].late(point) for point in self._late)
            is_tail = ended and (last - first >= LEAST_TAIL_US or lateness >= SURE_TAIL_US)
            if is_tail or now - first >= DECIDE_US:
                tail = Stretch(self._nominal, self._late[0])
                for point in self._late[1:]:
                    tail.add(point)
                found.append(tail)
        return found

    def line(self, stretch: Stretch) -> Linear:
        """What a stretch's times are on our clock."""
        place = self._place(stretch)
        return self._stretches[place - 1].line if self._is_queue(place) else stretch.line

    def breaks(self) -> Iterator[tuple[Stretch, Stretch]]:
        """Neighbours between which the sender's whole clock broke."""
        kept = [stretch for place, stretch in enumerate(self._stretches) if not self._is_queue(place)]
        return ((before, after) for before, after in pairwise(kept) if not after.is_of_ntp_alone)

    def _place(self, stretch: Stretch) -> int:
        return next((n for n, one in enumerate(self._stretches) if one is stretch), -1)

    def _is_queue(self, place: int) -> bool:
        """Whether a stretch was no other clock, but a long queue: where it ends the line from before goes on."""
        if not 0 < place < len(self._stretches) - 1:
            return False
        before, stretch, after = self._stretches[place - 1 : place + 2]
        if stretch.is_of_ntp_alone or after.is_of_ntp_alone or stretch.last - stretch.first > EXCURSION_US:
            return False
        rose = stretch.line(stretch.first_x) > before.line(stretch.first_x)
        return rose and abs(after.line(after.first_x) - before.line(after.first_x)) < SAME_US


@dataclass(slots=True)
class _Part:
    """Reports of one track by one stretch of its sender's clock, between which its RTP time ran evenly with that clock."""

    stretch: Stretch
    fit: Fit
    first: int
    last: int = 0
    newest: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a track with a line of its own: RTP time → our time. What proves it arrived from ``first`` to ``last``."""

    first: int
    last: int
    line: Linear
    by: str


class TrackClock:
    """One track's: its reports, and the arrivals of its least delayed frames."""

    def __init__(self, source: str, clock_rate: int, sender: SteppingClock) -> None:
        self._source = source
        self._nominal = 1e6 / clock_rate
        self._sender = sender
        self._marks = SteppingClock(self._nominal)
        self._parts: list[_Part] = []
        self._newest: tuple[int, int] | None = None
        self._only: Point | None = None
        """The first report, while there is no other."""

    def mark(self, rtp: int, arrival: int) -> None:
        """A frame that was delayed little."""
        self._marks.add(Point(rtp, arrival))

    def report(self, ntp: int, rtp: int, arrival: int) -> None:
        """A sender report. It counts once it is known to which stretch of the sender's clock it belongs.

        One that does not go on where the one before it was is a slip of a busy sender, or the first of another count: the next one
        tells. A single report counts only where nothing contradicts it.
        """
        before, self._newest = self._newest, (rtp, ntp)
        self._only = Point(ntp, arrival, self._source, self, rtp) if before is None else None
        if before is None or not self._goes_on(before, rtp, ntp):
            return
        is_anew = bool(self._parts) and not self._goes_on(self._parts[-1].newest, rtp, ntp)
        for point, stretch in self._sender.add(Point(ntp, arrival, self._source, self, rtp, is_anew)):
            assert point.track is not None
            point.track._place(point.rtp, point.x, point.arrival, stretch)

    def _goes_on(self, before: tuple[int, int], rtp: int, ntp: int) -> bool:
        return abs(ntp - before[1] - (rtp - before[0]) * self._nominal) <= STEP_US

    def _place(self, rtp: int, ntp: int, arrival: int, stretch: Stretch) -> None:
        part = self._parts[-1] if self._parts else None
        is_even = part is not None and self._goes_on(part.newest, rtp, ntp)
        if part is None or part.stretch is not stretch or not is_even:
            stretch.is_of_ntp_alone |= part is not None and part.stretch is not stretch and not is_even
            part = _Part(stretch, Fit(self._nominal), arrival)
            self._parts.append(part)
        part.fit.add(rtp, ntp)
        part.last, part.newest = max(part.last, arrival), (rtp, ntp)

    def pieces(self, ended: bool, now: int) -> tuple[Piece, ...]:
        """The track's lines in order of time; none when not one frame was written."""
        if self._marks.newest is None:
            return ()
        stretches = self._marks.stretches(ended, now)
        found = [piece for part in self._parts if (piece := self._piece(part, stretches)) is not None]
        if self._only is not None and (piece := self._by_one_report(self._only, stretches)) is not None:
            found.append(piece)
        covered = tuple(found)
        ends = [*(stretch.first for stretch in stretches[1:]), now + DECIDE_US]
        for stretch, end in zip(stretches, ends, strict=True):
            if not any(stretch.first <= p.last and p.first < end and stretch.fits(p.line) for p in covered):
                found.append(Piece(stretch.first, stretch.last, self._marks.line(stretch), "arrival"))
        return tuple(sorted(found, key=lambda piece: piece.first))

    def _by_one_report(self, point: Point, stretches: Sequence[Stretch]) -> Piece | None:
        """The piece of a track that has reported once, when that fits what its sender told before, and what arrives."""
        stretch = self._sender.newest
        if stretch is None or abs(stretch.late(point)) > STEP_US or len(stretches) > 1:
            return None
        line = Linear(point.rtp, stretch.line(point.x), self._nominal * stretch.line.slope)
        first, last = stretches[0].first, stretches[0].last
        delay = stretches[0].line(point.rtp) - line(point.rtp)
        return Piece(first, last, line, "reports") if -EARLY_US <= delay <= 2 * STEP_US else None

    def _piece(self, part: _Part, stretches: Sequence[Stretch]) -> Piece | None:
        """None: what these reports say is contradicted by what arrives (a broken stack)."""
        to_ntp, clock = part.fit.line(MIN_FIT_US / self._nominal), self._sender.line(part.stretch)
        if to_ntp is None:
            return None
        line = Linear(to_ntp.x0, clock(to_ntp(to_ntp.x0)), to_ntp.slope * clock.slope)
        for stretch in stretches:
            first, last = max(part.first, stretch.first), min(part.last, stretch.last)
            if first <= last and not stretch.envelope.agrees(line, first, last):
                return None
        return Piece(part.first, part.last, line, "reports")


def line_of(pieces: Sequence[Piece], rtp: int, arrival: int) -> Linear:
    """The line by which a frame is placed. Between what proves one piece and the next, the frame itself decides: it cannot come
    before it was sent, and of the lines that allow it the one is right by which it was delayed less."""
    if len(pieces) == 1:
        return pieces[0].line
    after = next((n for n, piece in enumerate(pieces) if piece.first > arrival), len(pieces))
    if after == 0:
        return pieces[0].line
    if after == len(pieces) or arrival <= pieces[after - 1].last:
        return pieces[after - 1].line
    lines = (pieces[after - 1].line, pieces[after].line)
    delays = [arrival - line(rtp) for line in lines]
    possible = [delay for delay in delays if delay >= -EARLY_US]
    return lines[delays.index(min(possible) if possible else max(delays))]
