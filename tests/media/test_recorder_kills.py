"""kill -9 at random points: one recording, one playable film, at most two seconds lost each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.killer import kill_at_random

pytestmark = [pytest.mark.media, pytest.mark.timeout(600)]


def test_three_random_kills_leave_one_playable_film(tmp_path: Path) -> None:
    found = kill_at_random(tmp_path, kills=3, seed=20)
    assert found.recordings == 1
    assert max(found.lost_s) <= 2.0, "lost before the kill"
    assert len(found.gaps_s) == 3
    assert found.film.warnings == []
    assert (found.film.video_codec, found.film.audio_codec) == ("h264", "aac")
    assert found.timeline.complete and len(found.timeline.segments) >= 8
