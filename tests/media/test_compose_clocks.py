"""Films of people whose computers slept: beeps and flashes are where they were, before and after."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from recorder.avcheck import measure
from recorder.compose import compose
from recorder.journal import read_manifest
from recorder.report import report
from recorder.timeline import build
from tests.media.capturekit import Session, person
from tests.media.composekit import tiny

pytestmark = pytest.mark.media


@pytest.mark.parametrize("slept_s", [0.6, 3.0])
def test_what_a_sleeper_showed_and_said_is_in_its_place(tmp_path: Path, slept_s: float) -> None:
    session = Session(tmp_path / "j", person("alice", "mic", "camera"), person("bob", "mic"))
    for track, who, source in ((1, "alice", "mic"), (2, "alice", "camera"), (3, "bob", "mic")):
        session.track(track, who, source)
    asleep, end = 12.4, 34.0
    edges = sorted({*map(float, range(round(end) + 1)), asleep, asleep + slept_s})
    for start, stop in pairwise(edges):
        session.play(3, 1, start, stop, delay_s=0.02)
        if not asleep <= start < asleep + slept_s:
            halted = slept_s if start > asleep else 0.0
            for track in (1, 2):
                # Neither the media nor the time of day went on while the lid was closed.
                session.play(track, 0, start, stop, delay_s=0.02, halted_s=halted, ntp_error_s=-halted)
        session.tick(stop)
    session.stop(end)
    result = compose(tmp_path / "j", tmp_path / "out", tiny(width=320, height=180, fps=30))
    found = measure(tmp_path / "out" / result.path)
    awake = [n for n in range(round(end)) if not asleep - 0.2 <= n < asleep + slept_s]
    for onsets in (found.beeps_s[0], found.flashes_s[0]):
        near = [min(onsets, key=lambda at, n=n: abs(at - n)) - n for n in awake[1:]]  # type: ignore[misc]
        # A picture of the film is 33 ms long.
        assert max(abs(error) for error in near) <= 0.045 + 0.034, near
    assert max(abs(min(found.beeps_s[1], key=lambda at: abs(at - n)) - n) for n in range(1, 34)) <= 0.045
    assert found.p50_ms <= 45
    lines = read_manifest(tmp_path / "j")
    [halt] = report(lines, build(lines)).facts["clock_halts"]
    assert abs(halt["length_s"] - slept_s) < 0.1 and halt["person_id"] == "alice", json.dumps(halt)
