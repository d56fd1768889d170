"""How many pictures a narrow line gets: a small simulation of a line with a width, and of what a browser reports."""

from __future__ import annotations

import itertools

import pytest

from media.downlink import FIRST_HOLD_S, MOST_HOLD_S, Downlink

pytestmark = pytest.mark.unit
VOICES = 100_000.0
PICTURE = 400_000.0


class Line:
    """A line of ``width`` bits a second; ``wanted`` pictures are in the room."""

    def __init__(self, width: float, wanted: int) -> None:
        self.width = width
        self.wanted = wanted
        self.downlink = Downlink(0.0)
        self.now = 0.0
        self.shown: list[int] = []

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1.0
            limit = self.downlink.limit
            pictures = self.wanted if limit is None else min(limit, self.wanted)
            sent = VOICES + pictures * PICTURE
            through = min(sent, self.width)
            self.downlink.remb(int(through * 1.05), self.now)
            if pictures:
                self.downlink.loss(1.0 - through / sent, self.now)
            self.downlink.check(sent, pictures, self.now)
            self.shown.append(pictures)


def test_a_wide_line_is_left_alone() -> None:
    line = Line(20e6, 10)
    line.run(600)
    assert set(line.shown) == {10}


def test_a_narrow_line_soon_gets_what_it_carries_and_mostly_keeps_to_it() -> None:
    line = Line(1.0e6, 10)
    line.run(300)
    assert line.shown[10] <= 2
    settled = line.shown[30:]
    assert sum(1 for n in settled if n > 2) < 0.2 * len(settled), "tries are rare"
    assert max(settled) >= 2, "and what fits is used"


def test_failed_tries_become_rarer() -> None:
    line = Line(0.6e6, 6)
    line.run(1200)
    tries = [i for i in range(1, len(line.shown)) if line.shown[i] > max(1, line.shown[i - 1])]
    gaps = [b - a for a, b in itertools.pairwise(tries)]
    assert gaps[-1] > gaps[0]
    assert max(gaps) <= MOST_HOLD_S + 3 * FIRST_HOLD_S


def test_all_come_back_when_the_line_is_wide_again() -> None:
    line = Line(0.6e6, 8)
    line.run(20)
    line.width = 20e6
    line.run(200)
    assert line.shown[-1] == 8 and line.downlink.limit is None


def test_a_line_for_sound_only_still_tries_a_picture() -> None:
    line = Line(120_000.0, 3)
    line.run(60)
    assert 0 in line.shown
    line.width = 20e6
    line.run(300)
    assert line.shown[-1] == 3


def test_an_estimate_that_grows_is_no_congestion() -> None:
    """Browsers start with a low estimate, whatever the line."""
    downlink = Downlink(0.0)
    for second in range(1, 30):
        downlink.remb(int(200_000 * 1.05**second), float(second))
        assert not downlink.check(1_500_000.0, 3, float(second))


def test_an_estimate_that_falls_without_loss_is_a_long_queue() -> None:
    downlink = Downlink(0.0)
    changed = []
    for second in range(1, 20):
        downlink.remb(int(900_000 * 0.9**second), float(second))
        changed.append(downlink.check(1_500_000.0, 3, float(second)))
    assert any(changed) and downlink.limit is not None and downlink.limit < 3


def test_one_bad_second_changes_nothing() -> None:
    downlink = Downlink(0.0)
    for second in range(1, 60):
        downlink.loss(0.3 if second % 10 == 0 else 0.0, float(second))
        assert not downlink.check(1_500_000.0, 3, float(second))
