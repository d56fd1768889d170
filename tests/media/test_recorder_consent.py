"""Consent, in the finished files: who declines is neither seen nor heard, and has no track."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from models.recording import RecordingOptions
from recorder import byproducts
from recorder.avcheck import measure
from recorder.compose import compose
from recorder.journal import read_manifest, read_records
from recorder.options import CompositeOptions
from tests.media.capturekit import Session, person

pytestmark = pytest.mark.media
SMALL = CompositeOptions(RecordingOptions(width=640, height=360), preset="ultrafast")
ALICE = person("alice", "mic", "camera")
BOB = person("bob", "mic", "camera")
BOB_DECLINES = person("bob", "mic", "camera", declined=True)


def test_bob_declines_in_the_middle_and_is_gone_from_film_and_tracks(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE, BOB, options={"audio_tracks": True, "video_tracks": True})
    for track, (who, source) in enumerate(
        (("alice", "camera"), ("alice", "mic"), ("bob", "camera"), ("bob", "mic")), 1
    ):
        session.track(track, who, source)
    for second in range(8):
        if second == 4:
            session.people(ALICE, BOB_DECLINES, at_s=4.0)
        for track in (1, 2, 3, 4):
            session.play(track, 0 if track < 3 else 1, float(second), second + 1.0)
        session.tick(second + 1.0)
    session.stop(8.0)

    journal = tmp_path / "j"
    whose = {line["n"]: line["person_id"] for line in session.lines("segment")}
    last = max(r.arrival_us for r in read_records(journal) if whose[r.segment] == "bob")
    assert last < session.lines("person")[-1]["at"], "nothing of Bob is written once he has declined"
    film = tmp_path / "out" / compose(journal, tmp_path / "out", SMALL).path
    found = measure(film, (0, 1))
    assert len(found.beeps_s[0]) >= 7 and len(found.flashes_s[0]) >= 6
    assert found.beeps_s[1] and max(found.beeps_s[1]) < 4.0
    assert found.flashes_s[1] and max(found.flashes_s[1]) < 4.1
    made = byproducts.make(journal, tmp_path / "out", film)
    bobs = [file for file in made.files if file.person_id == "bob"]
    assert {file.kind for file in bobs} == {"track_audio", "track_video"}
    for file in bobs:
        with av.open(str(tmp_path / "out" / file.name)) as container:
            if file.kind == "track_video":
                assert max(frame.time or 0.0 for frame in container.decode(video=0)) < 4.0
    chapters = (tmp_path / "out" / "chapters.vtt").read_text()
    assert "Bob" not in chapters, "no chapter tells the second in which somebody declined"


def test_who_declines_from_the_start_is_in_no_file_and_not_named(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE, BOB_DECLINES, options={"audio_tracks": True})
    for track, who in enumerate(("alice", "bob"), 1):
        session.track(track, who, "mic")
        session.play(track, track - 1, 0.0, 3.0)
    session.stop(3.0)
    journal = tmp_path / "j"
    assert {line["person_id"] for line in read_manifest(journal) if line["k"] == "segment"} == {"alice"}
    film = tmp_path / "out" / compose(journal, tmp_path / "out", SMALL).path
    assert measure(film, (0, 1)).beeps_s[1] == []
    made = byproducts.make(journal, tmp_path / "out", film)
    assert [file.person_id for file in made.files if file.kind == "track_audio"] == ["alice"]
    assert (
        "Bob"
        not in (journal / "manifest.jsonl").read_text() + (tmp_path / "out" / "chapters.vtt").read_text()
    )
