"""From a closed journal to the library: a film with all that belongs to it, and a recording of tracks only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.files import _NAME
from models.store.database import Database
from models.store.library import entry_of_recording
from models.store.media_files import MediaFile, files_of
from models.store.migrate import upgrade
from models.values import MAIN_ROOM, SYSTEM, EntryId, RecordingStatus
from rooms import commands as c
from rooms.service import RoomsService
from rooms.state import Recording
from server.job_settings import JobSettings
from server.jobs import JobWorker
from tests.media.capturekit import Session, person
from tests.people import ALICE, COURSE, ask

pytestmark = pytest.mark.media


class Place:
    """A database, a room of Alice's, and the job worker."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'test.db'}"
        upgrade(url)
        self.db = Database(url)
        self.rooms = RoomsService(self.db)
        self.rooms.start()
        self.folder = folder
        self.worker = JobWorker(
            JobSettings(url, folder / "recordings", folder / "library"), self.rooms, self.db
        )

    def close(self) -> None:
        self.rooms.close()
        self.db.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def recorded(place: Place, **options: Any) -> tuple[Recording, dict[str, Any], list[MediaFile]]:
    """Record two seconds of Alice and Bob with these options, compose, and say what is in the library."""
    session_id = place.rooms.open_session(COURSE, "Biology", "Seminar")
    place.rooms.submit(ask(ALICE, c.EnterSession("Alice", ALICE.role), session_id))  # type: ignore[arg-type]
    place.rooms.submit(ask(ALICE, c.StartRecording(room_id=MAIN_ROOM, options=options), session_id))
    recording = next(iter(place.rooms.state(session_id).recordings.values()))
    journal = place.folder / "recordings" / recording.recording_id
    session = Session(journal, person("alice", "mic"), person("bob", "mic"), options=options)
    for track, who in enumerate(("alice", "bob"), 1):
        session.track(track, who, "mic")
        session.play(track, track - 1, 0.0, 2.0)
    session.stop(2.0, "moderator")
    place.rooms.submit(ask(SYSTEM, c.ReportRecording(recording.recording_id, "UPLOADING"), session_id))
    place.worker.compose(recording.recording_id)
    recording = place.rooms.state(session_id).recordings[recording.recording_id]
    entry = entry_of_recording(place.db, recording.recording_id)
    assert entry is not None
    entry_id = EntryId(entry["id"])
    return recording, entry, files_of(place.db, [entry_id])[entry_id]


def test_a_film_has_its_chapters_sound_tracks_and_report(place: Place) -> None:
    recording, entry, files = recorded(
        place, width=320, height=180, export_audio=True, audio_tracks=True, file_name_prefix="_bio"
    )
    assert recording.status is RecordingStatus.UPLOADED and entry["status"] == "ready"
    kinds = sorted(file.kind for file in files)
    assert kinds == ["audio", "chapters", "composite", "thumbnail", "track_audio", "track_audio"]
    folder = place.folder / "library" / entry["path"]
    for file in files:
        assert _NAME.fullmatch(file.name), "the file door serves no such name"
        assert (folder / file.name).stat().st_size == file.size_bytes
    assert {file.title for file in files if file.kind == "track_audio"} == {"Alice", "Bob"}
    assert entry["quality"]["stop_reason"] == "moderator" and entry["quality"]["warnings"] == []
    assert entry["quality"]["av_offset_ms"]["checked"] == 0 and entry["quality"]["file"]["fps"] == 30


def test_a_recording_of_tracks_has_no_film_and_is_uploaded(place: Place) -> None:
    recording, entry, files = recorded(place, type="TRACK", audio_tracks=True, people=["bob"])
    assert recording.status is RecordingStatus.UPLOADED and entry["status"] == "ready"
    assert [(file.kind, file.title) for file in files] == [("track_audio", "Bob")]
    assert (place.folder / "library" / entry["path"] / files[0].name).is_file()
