"""Senders whose clocks stand still, step, drift or whose packets queue: where the time line puts their frames."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from recorder.report import report
from recorder.standstill import HALT_US
from recorder.timeline import NTP_EPOCH_US, Timeline, TimelineBuilder, build

pytestmark = pytest.mark.unit
T0 = 1_800_000_000_000_000
S = 1_000_000
BASE_S = 0.015
"""What the network takes at least; nobody can tell it from a clock that is late."""
TRUE_WITHIN_MS = 45.0
RATES = {"mic": 48_000, "camera": 90_000}
STEPS = {"mic": 0.04, "camera": 1 / 15}
REPORTS = {"mic": 5.0, "camera": 1.0}
"""Seconds between two sender reports, as Chromium sends them."""
JUMP_S = 5.0
"""Further than this the capture begins a new segment in any case."""
Line = dict[str, Any]
Spans = Sequence[tuple[float, float]]


@dataclass
class Sender:
    """A person's browser. Times are seconds of the recording; ``sleeps`` are (when it falls asleep, for how long)."""

    who: str
    sleeps: Spans = ()
    ntp_steps: Spans = ()
    rtp_steps: Spans = ()
    """Of the camera."""
    ppm: float = 0.0
    delay: Callable[[float], float] = lambda _at: 0.0
    """What the network adds at a time."""
    sources: Sequence[str] = ("mic", "camera")
    muted: Spans = ()
    """The microphone neither sends nor counts (as Chromium's)."""
    ntp_error: float = 37.0
    jitter_s: float = 0.004
    seed: int = 1
    frames: list[tuple[int, int, int, float]] = field(default_factory=list)
    """(segment, RTP time, arrival µs, true time s) of everything that came."""

    def awake(self, at: float) -> bool:
        return not any(start <= at < start + length for start, length in self.sleeps)

    def clock(self, at: float) -> float:
        """Its own clock at a true time."""
        slept = sum(min(max(at - start, 0.0), length) for start, length in self.sleeps)
        return (at - slept) * (1 + self.ppm / 1e6)

    def rtp(self, at: float, source: str) -> float:
        steps = self.rtp_steps if source == "camera" else [(s, -n) for s, n in self.muted]
        return 1000.0 + self.clock(at) + sum(by for start, by in steps if start <= at)

    def ntp(self, at: float) -> int:
        told = self.clock(at) + self.ntp_error + sum(by for start, by in self.ntp_steps if start <= at)
        return ((T0 + round(told * S) + NTP_EPOCH_US) << 32) // S

    def play(self, end: float, pauses: Spans, first_segment: int) -> Iterator[Line]:
        """The manifest's lines of this sender, as the capture writes them."""
        chance = random.Random(self.seed)
        number = first_segment
        for source in self.sources:
            rate, step = RATES[source], STEPS[source]
            yield from self._track(source, rate, step, end, pauses, number, chance)
            number += 40

    def _track(
        self,
        source: str,
        rate: int,
        step: float,
        end: float,
        pauses: Spans,
        number: int,
        chance: random.Random,
    ) -> Iterator[Line]:
        is_open = False
        best: tuple[float, int, int] | None = None
        marked = newest = told = 0
        reported = -9.0
        for count in range(int(end / step)):
            at = count * step
            is_paused = any(start <= at < stop for start, stop in pauses)
            is_muted = source == "mic" and any(start <= at < start + length for start, length in self.muted)
            if is_paused or is_muted or not self.awake(at):
                if is_paused and is_open:
                    yield from self._close(number, best, newest)
                    number, is_open, best = number + 1, False, None
                continue
            jitter = chance.expovariate(1 / self.jitter_s)
            late = BASE_S + jitter + (0.02 if source == "camera" else 0.0)
            arrival = max(newest, T0 + round((at + late + self.delay(at)) * S))
            rtp = round(self.rtp(at, source) * rate)
            lag = (arrival - newest) - (rtp - told) * S // rate
            halted = source == "mic" and lag >= HALT_US and self.delay(at) == 0.0
            if is_open and (halted or abs(lag) > JUMP_S * S):
                yield from self._close(number, best, newest)
                number, is_open, best = number + 1, False, None
            if not is_open:
                is_open, marked = True, 0
                yield {
                    "k": "segment",
                    "at": arrival,
                    "n": number,
                    "person_id": self.who,
                    "peer_id": f"peer-{self.who}",
                    "source": source,
                    "codec": "opus" if source == "mic" else "vp8",
                    "clock_rate": rate,
                }
            if best is None or arrival - rtp / rate * S < best[0]:
                best = (arrival - rtp / rate * S, rtp, arrival)
            if arrival - marked >= 2 * S:
                yield {"k": "mark", "at": best[2], "n": number, "rtp": best[1], "_seen": arrival}
                best, marked = None, arrival
            if at - reported >= REPORTS[source]:
                reported = at - chance.random() * REPORTS[source] / 2
                slip = round(chance.uniform(-0.003, 0.003) * rate)
                # Reports are made at once, pictures only when they are encoded.
                sent = max(newest, T0 + round((at + BASE_S + jitter + self.delay(at)) * S))
                yield {"k": "sr", "at": sent, "n": number, "ntp": self.ntp(at), "rtp": rtp + slip}
            self.frames.append((number, rtp, arrival, at))
            newest, told = arrival, rtp
        if is_open:
            yield from self._close(number, best, newest)

    def _close(self, number: int, best: tuple[float, int, int] | None, newest: int) -> Iterator[Line]:
        if best is not None:
            yield {"k": "mark", "at": best[2], "n": number, "rtp": best[1], "_seen": newest}
        yield {"k": "end", "at": newest, "n": number, "reason": "jumped", "frames": 9}


def journal(end: float, *senders: Sender, pauses: Spans = ()) -> list[Line]:
    """A whole manifest, in the order in which a recorder writes it."""
    lines: list[Line] = [{"k": "start", "at": T0}, {"k": "stop", "at": T0 + round(end * S)}]
    for start, stop in pauses:
        lines += [{"k": "pause", "at": T0 + round(start * S)}, {"k": "resume", "at": T0 + round(stop * S)}]
    for number, sender in enumerate(senders):
        lines += [{"k": "person", "at": T0, "person_id": sender.who, "name": sender.who.title(), "mic": True}]
        lines += sender.play(end, pauses, 1 + 100 * number)
    return sorted(lines, key=lambda line: int(line.get("_seen") or line["at"]))


def worst_ms(t: Timeline, sender: Sender) -> float:
    """Without runs of up to three pictures (woken just before a pause), of which nothing but their own delay can be known."""
    runs = Counter(number for number, _, _, _ in sender.frames)
    kept = [frame for frame in sender.frames if runs[frame[0]] > 3]
    return max(abs(t.segments[n].place(rtp, came) - T0 - at * S) / 1000 for n, rtp, came, at in kept)


def apart_ms(t: Timeline, sender: Sender) -> float:
    """How far sound and picture are apart at worst, second by second."""
    seconds: dict[int, dict[bool, list[float]]] = {}
    for n, rtp, arrival, at in sender.frames:
        error = (t.segments[n].place(rtp, arrival) - T0) / 1000 - at * 1000
        seconds.setdefault(int(at), {}).setdefault(t.segments[n].is_audio, []).append(error)
    return max(abs(median(both[True]) - median(both[False])) for both in seconds.values() if len(both) == 2)


@pytest.mark.parametrize("slept_s", [0.3, 0.5, 1.0, 3.0, 4.0, 6.0, 10.0])
@pytest.mark.parametrize("sources", [("mic", "camera"), ("mic",), ("camera",)])
def test_what_a_sleeper_sent_before_and_after_is_in_its_place(
    slept_s: float, sources: tuple[str, ...]
) -> None:
    ann, ben = Sender("ann", [(60.0, slept_s)], sources=sources), Sender("ben", seed=2)
    t = build(journal(130, ann, ben))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and worst_ms(t, ben) <= TRUE_WITHIN_MS
    if len(sources) == 2:
        assert apart_ms(t, ann) <= 30


def test_several_sleeps_one_of_them_in_a_pause() -> None:
    ann = Sender("ann", [(20.0, 0.4), (41.0, 3.0), (75.0, 8.0), (84.5, 0.7), (128.0, 2.0)])
    ben = Sender("ben", seed=2)
    t = build(journal(180, ann, ben, pauses=[(74.0, 90.0), (127.5, 131.0)]))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and worst_ms(t, ben) <= TRUE_WITHIN_MS
    assert apart_ms(t, ann) <= 30


@pytest.mark.parametrize("step_s", [-3.0, -1.5, -0.5, 0.15, 0.5, 1.5, 3.0, 3600.0])
def test_a_corrected_time_of_day_moves_nothing(step_s: float) -> None:
    ann = Sender("ann", ntp_steps=[(60.0, step_s)])
    lines = journal(130, ann)
    t = build(lines)
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and apart_ms(t, ann) <= 30
    assert t.halts == () and report(lines, t).warnings == []


@pytest.mark.parametrize("step_s", [-2.0, -0.4, 0.4, 2.0])
def test_a_camera_that_counts_anew_moves_neither_itself_nor_the_sound(step_s: float) -> None:
    ann = Sender("ann", rtp_steps=[(60.0, step_s)])
    t = build(journal(130, ann))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and apart_ms(t, ann) <= 30
    assert t.halts == ()


@pytest.mark.parametrize("corrected_s", [4.0, 15.0])
def test_a_virtual_machine_that_stood_still_and_is_then_set_right(corrected_s: float) -> None:
    ann = Sender("ann", [(60.0, 1.5)], ntp_steps=[(61.5 + corrected_s, 1.5)])
    t = build(journal(130, ann))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and apart_ms(t, ann) <= 30


def queue(start: float, most: float, length: float, drain: float) -> Callable[[float], float]:
    """A delay that comes at once, stays, and drains."""

    def delay(at: float) -> float:
        if start <= at < start + length:
            return most
        return max(0.0, most - (at - start - length) * most / drain) if at >= start + length else 0.0

    return delay


@pytest.mark.parametrize("length_s", [0.3, 2.0, 6.0, 8.0, 15.0, 40.0])
@pytest.mark.parametrize("drain_s", [0.02, 0.8])
def test_packets_that_queue_are_no_clock_that_stood_still(length_s: float, drain_s: float) -> None:
    ann = Sender("ann", delay=queue(60.0, 0.5, length_s, drain_s))
    lines = journal(160, ann)
    t = build(lines)
    # Nothing is shifted, though it came half a second late.
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and apart_ms(t, ann) <= 30
    assert t.halts == () and report(lines, t).facts["clock_halts"] == []


def test_a_queue_that_builds_up_slowly_is_none_either() -> None:
    ann = Sender("ann", delay=lambda at: min(max(at - 40.0, 0.0) * 0.006, 0.4) if at < 100 else 0.0)
    t = build(journal(160, ann))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and t.halts == ()


@pytest.mark.parametrize("ppm", [-500.0, -80.0, 80.0, 500.0])
def test_clocks_that_drift_are_not_cut(ppm: float) -> None:
    ann = Sender("ann", ppm=ppm, jitter_s=0.01)
    t = build(journal(400, ann))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and t.halts == ()
    assert {len(s.pieces) for s in t.segments.values()} == {1}


def test_muted_microphones_that_do_not_count_are_no_clock_that_stood_still() -> None:
    ann = Sender("ann", muted=[(20.0, 3.0), (50.0, 12.0), (90.0, 0.6)])
    t = build(journal(130, ann))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and t.halts == ()


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    derandomize=True,
)
@given(
    sleeps=st.lists(st.tuples(st.floats(8, 12), st.floats(0.3, 10)), max_size=4),
    gaps=st.lists(st.floats(5, 40), min_size=4, max_size=4),
    step=st.none() | st.tuples(st.floats(10, 140), st.floats(-4, 4).filter(lambda by: abs(by) > 0.15)),
    pause=st.none() | st.tuples(st.floats(20, 100), st.floats(1, 30)),
    ppm=st.floats(-150, 150),
    jitter_s=st.floats(0.001, 0.012),
    sources=st.sampled_from([("mic", "camera"), ("mic",), ("camera",)]),
    seed=st.integers(1, 10_000),
)
def test_whatever_clocks_do_everything_is_within_45_ms_of_the_truth(
    sleeps: list[tuple[float, float]],
    gaps: list[float],
    step: tuple[float, float] | None,
    pause: tuple[float, float] | None,
    ppm: float,
    jitter_s: float,
    sources: tuple[str, ...],
    seed: int,
) -> None:
    placed, at = [], 0.0
    for (lead, length), gap in zip(sleeps, gaps, strict=False):
        at += lead + gap
        placed.append((at, length))
        at += length
    # Known limit: of a single source, a step of the wall clock in the ten seconds before a sleep hides the sleep.
    assume(step is None or len(sources) > 1 or not any(-12 < step[0] - start < 1 for start, _ in placed))
    end = at + 40.0
    ann = Sender(
        "ann", placed, [step] if step else [], ppm=ppm, jitter_s=jitter_s, sources=sources, seed=seed
    )
    ben = Sender("ben", seed=seed + 1)
    t = build(journal(end, ann, ben, pauses=[(pause[0], pause[0] + pause[1])] if pause else []))
    assert worst_ms(t, ann) <= TRUE_WITHIN_MS and worst_ms(t, ben) <= TRUE_WITHIN_MS


def test_what_is_settled_while_the_recording_runs_stays() -> None:
    """What is composed while the class still runs is placed as it will be known at the end."""
    ann = Sender("ann", [(33.0, 3.0), (71.0, 0.5)], delay=queue(100.0, 0.5, 4.0, 0.5))
    lines = journal(140, ann)
    final = build(lines)
    builder, seen = TimelineBuilder(), 0
    frames = sorted(ann.frames, key=lambda frame: frame[2])
    arrivals = [frame[2] for frame in frames]
    for line in lines:
        builder.add(line)
        if line["k"] != "mark":
            continue
        now = builder.build()
        until = bisect_right(arrivals, now.settled)
        for n, rtp, arrival, _ in frames[seen:until]:
            difference = now.segments[n].place(rtp, arrival) - final.segments[n].place(rtp, arrival)
            assert abs(difference) <= 30_000
        seen = max(seen, until)
    assert seen > len(frames) * 0.8


def test_a_clock_that_stood_still_is_told_with_name_place_and_length() -> None:
    lines = journal(130, Sender("ann", [(60.0, 3.0)]), Sender("ben", seed=2))
    t = build(lines)
    [halt] = t.halts
    assert (
        halt.person_id == "ann"
        and abs(halt.at - T0 - 60 * S) < 0.2 * S
        and abs(halt.length - 3 * S) < 0.1 * S
    )
    told = report(lines, t)
    [fact] = told.facts["clock_halts"]
    assert fact["person_id"] == "ann" and abs(fact["at_s"] - 60) < 0.2 and abs(fact["length_s"] - 3) < 0.1
    assert told.warnings == ["Ann’s computer stood still for 3 s, probably asleep: nothing came from it"]
