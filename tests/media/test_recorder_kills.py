"""kill -9 of the recorder at random points: one recording, one film, not one frame missing and none twice."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from models.values import MAIN_ROOM, RecordingStatus
from recorder.journal import read_manifest, read_records
from recorder.report import report
from recorder.timeline import build
from rooms import commands as c
from tests.media.killer import count, eventually, kill_at_random, lesson

pytestmark = [pytest.mark.media, pytest.mark.timeout(600)]


def test_three_random_kills_cost_not_one_frame(tmp_path: Path) -> None:
    found = kill_at_random(tmp_path, kills=3, seed=20)
    assert found.recordings == 1
    assert (found.missing, found.twice, found.out_of_order) == (0, 0, 0), found
    assert found.frames > 15 * 65
    assert found.timeline.gaps == () and found.warnings == []
    assert (found.facts["lost_packets"], found.facts["frozen_s"], found.facts["dropped"]) == (0, 0.0, 0)
    assert len(found.timeline.segments) == 2 and found.timeline.complete, "each source is one run"
    assert found.film.warnings == []
    assert (found.film.video_codec, found.film.audio_codec) == ("h264", "aac")
    # One beep and one flash a second, to the end of the film.
    beeps, flashes = found.av.beeps_s[0], found.av.flashes_s[0]
    for times in (beeps, flashes):
        assert all(0.9 < after - before < 1.1 for before, after in pairwise(times)), times
        assert len(times) >= found.film.duration_s - times[0] - 1.5


def test_orders_that_come_while_no_recorder_is_there_count_from_when_they_came(tmp_path: Path) -> None:
    with lesson(tmp_path) as here:
        here.start_recorder()
        here.tell(c.StartRecording(room_id=MAIN_ROOM))
        here.wait_for(RecordingStatus.RECORDING)
        here.play(600.0)
        here.grows()
        time.sleep(2.0)
        here.kill_recorder()
        marks = []
        for order in (c.PauseRecording(), c.ResumeRecording()):
            time.sleep(1.5)
            marks.append(time.time())
            here.tell(order)
            here.start_recorder()
            status = RecordingStatus.PAUSED if len(marks) == 1 else RecordingStatus.RECORDING
            here.wait_for(status)
            if len(marks) == 2:
                here.grows()
            here.kill_recorder()
        time.sleep(1.5)
        marks.append(time.time())
        here.tell(c.StopRecording())
        time.sleep(1.0)
        here.start_recorder()
        here.wait_for(RecordingStatus.UPLOADING)
        journal = here.journal
    timeline = build(read_manifest(journal))
    [cut] = timeline.cuts
    for told, wanted in zip((cut.start, cut.end, timeline.stop), marks, strict=True):
        assert abs(told / 1e6 - wanted) < 0.3, (
            told / 1e6 - wanted,
            "the order counts from when it was given",
        )
    arrivals = sorted(record.arrival_us / 1e6 for record in read_records(journal))
    paused, resumed, stopped = marks
    assert not [at for at in arrivals if paused + 0.3 < at < resumed - 0.3 or at > stopped + 0.3]
    for start, end in ((arrivals[0], paused), (resumed, stopped)):
        within = [start, *(at for at in arrivals if start <= at <= end), end]
        assert max(after - before for before, after in pairwise(within)) < 0.5, "no hole up to the order"
    assert timeline.gaps == ()


def test_a_recording_that_is_started_while_no_recorder_is_there_begins_when_one_is_and_says_how_late(
    tmp_path: Path,
) -> None:
    with lesson(tmp_path) as here:
        here.play(300.0)
        here.tell(c.StartRecording(room_id=MAIN_ROOM))
        time.sleep(4.0)
        here.start_recorder()
        here.wait_for(RecordingStatus.RECORDING)
        here.grows()
        here.tell(c.StopRecording())
        here.wait_for(RecordingStatus.UPLOADING)
        lines = read_manifest(here.journal)
    told = report(lines, build(lines))
    assert told.facts["late_start_s"] > 4.0
    assert any(text.startswith("it began ") for text in told.warnings)


def test_a_media_worker_that_loses_everything_leaves_a_gap_that_is_told(tmp_path: Path) -> None:
    with lesson(tmp_path) as here:
        here.start_recorder()
        here.tell(c.StartRecording(room_id=MAIN_ROOM))
        here.wait_for(RecordingStatus.RECORDING)
        here.play(300.0)
        here.grows()
        time.sleep(2.0)
        here.tap.restart()
        lost_at = time.time()
        eventually(lambda: "gap" in [line["k"] for line in read_manifest(here.journal)], "the gap is noted")
        here.grows()
        here.tell(c.StopRecording())
        here.wait_for(RecordingStatus.UPLOADING)
        lines = read_manifest(here.journal)
        journal = here.journal
    timeline = build(lines)
    [gap] = timeline.gaps
    assert abs(gap.start / 1e6 - lost_at) < 1.0 and gap.end - gap.start < 5_000_000
    told = report(lines, timeline)
    assert told.facts["gaps"][0]["reason"] == "media"
    assert any("while the media server was restarted" in text for text in told.warnings)
    assert count(journal)[2:] == (0, 0), "nothing twice, all in order"
