"""kill -9 of each process of a whole installation while it records: what is lost, and that the report says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.killer_whole import installation

pytestmark = [pytest.mark.media, pytest.mark.timeout(400)]


async def test_only_the_death_of_the_media_worker_costs_anything_and_that_is_told(tmp_path: Path) -> None:
    async with installation(tmp_path) as here:
        for name in ("jobs", "web", "recorder"):
            loss = await here.record_and_kill(name)
            assert loss.recordings == 1
            assert (loss.missing, loss.twice, loss.lost, loss.gaps_s) == (0, 0, 0, []), loss
            assert loss.frames >= 400 and loss.warnings == [], loss
        loss = await here.record_and_kill("media")
        assert loss.recordings == 1 and (loss.missing, loss.twice) == (0, 0), loss
        [gap_s], [reason] = loss.gaps_s, loss.gap_reasons
        assert reason == "media" and 0 < gap_s <= loss.down_s + 0.5, loss
        assert any("while the media server was restarted" in warning for warning in loss.warnings)
