"""Faults that people must be told of: a journal that cannot be written, one that cannot be composed."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from library.intake import ensure_processing_entry
from models.store.compositions import request_composition
from models.store.database import Database
from models.store.library import entry_of_recording
from models.store.migrate import upgrade
from models.store.recordings_jobs import recording_info
from models.values import MAIN_ROOM, SYSTEM, RecordingStatus, SessionId
from recorder import journal
from recorder.service import RecorderService
from recorder.settings import RecorderSettings
from rooms import commands as c
from rooms.service import RoomsService
from rooms.state import Recording
from server.alarms import Alarms
from server.job_settings import JobSettings
from server.jobs import JobWorker
from tests.people import ALICE, COURSE, ask

pytestmark = pytest.mark.media


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[RoomsService]:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    upgrade(url)
    db = Database(url)
    service = RoomsService(db)
    service.start()
    yield service
    service.close()
    db.close()


def eventually(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def record(rooms: RoomsService, room_key: str) -> tuple[SessionId, Callable[[], Recording]]:
    session_id = rooms.open_session(COURSE, "Biology", "Seminar", room_key)
    rooms.submit(ask(ALICE, c.EnterSession("Alice", ALICE.role), session_id))  # type: ignore[arg-type]
    rooms.submit(ask(ALICE, c.StartRecording(room_id=MAIN_ROOM), session_id))
    return session_id, lambda: next(iter(rooms.state(session_id).recordings.values()))


def test_one_unwritable_journal_is_errored_with_a_reason_and_the_other_goes_on(
    rooms: RoomsService, tmp_path: Path
) -> None:
    _, broken = record(rooms, "a")
    _, fine = record(rooms, "b")
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / broken().recording_id).write_text("a file where the journal's folder should be")
    db = Database(f"sqlite:///{tmp_path / 'test.db'}")
    recorder = RecorderService(RecorderSettings(db.url, folder, tap_port=1, give_up_s=1.0), rooms, db)
    thread = threading.Thread(target=recorder.run)
    thread.start()
    try:
        eventually(lambda: fine().status is RecordingStatus.RECORDING)
        eventually(lambda: broken().status is RecordingStatus.ERRORED)
        assert "couldn’t be written" in (broken().error or "")
        assert fine().status is RecordingStatus.RECORDING
    finally:
        recorder.stop()
        thread.join(20)
        db.close()


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_while_recording_ends_it_with_the_disks_own_words(
    rooms: RoomsService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    _, recording = record(rooms, "a")
    db = Database(f"sqlite:///{tmp_path / 'test.db'}")
    settings = RecorderSettings(db.url, tmp_path / "recordings", tap_port=1, give_up_s=0.5)
    recorder = RecorderService(settings, rooms, db)
    thread = threading.Thread(target=recorder.run)
    thread.start()

    def refuse(_descriptor: int, _data: bytes) -> int:
        raise OSError(refusal, os.strerror(refusal))

    try:
        eventually(lambda: recording().status is RecordingStatus.RECORDING)
        monkeypatch.setattr(journal.os, "write", refuse)
        eventually(lambda: recording().status is RecordingStatus.ERRORED)
        assert os.strerror(refusal) in (recording().error or "")
        monkeypatch.undo()
        _, later = record(rooms, "b")
        eventually(lambda: later().status is RecordingStatus.RECORDING)
    finally:
        recorder.stop()
        thread.join(20)
        db.close()


def test_a_recording_that_no_recorder_begins_is_errored_and_says_why(rooms: RoomsService) -> None:
    alarms = Alarms(rooms, no_recorder_s=0.5)
    alarms.start()
    try:
        _, forgotten = record(rooms, "a")
        session_id, begun = record(rooms, "b")
        rooms.submit(ask(SYSTEM, c.ReportRecording(begun().recording_id, "RECORDING"), session_id))
        eventually(lambda: forgotten().status is RecordingStatus.ERRORED)
        assert "recorder process" in (forgotten().error or "")
        assert begun().status is RecordingStatus.RECORDING
    finally:
        alarms.stop()


def test_a_journal_that_cannot_be_composed_is_errored_after_three_tries_and_kept(
    rooms: RoomsService, tmp_path: Path
) -> None:
    session_id, recording = record(rooms, "a")
    rooms.submit(ask(ALICE, c.StopRecording(), session_id))
    rooms.submit(ask(SYSTEM, c.ReportRecording(recording().recording_id, "UPLOADING"), session_id))
    journal = tmp_path / "recordings" / recording().recording_id
    journal.mkdir(parents=True)
    (journal / "manifest.jsonl").write_text("nonsense\n")
    db = Database(f"sqlite:///{tmp_path / 'test.db'}")
    settings = JobSettings(db.url, tmp_path / "recordings", tmp_path / "library")
    worker = JobWorker(settings, rooms, db)
    try:
        for attempt in range(3):
            # The pause between tries is the lease's end: the test goes through them without waiting.
            with db.write() as session:
                session.connection().exec_driver_sql("UPDATE recording SET lease_until = NULL")
            assert recording().status is RecordingStatus.UPLOADING, attempt
            worker.compose(recording().recording_id)
            entry = entry_of_recording(db, recording().recording_id)
            assert entry is not None and entry["status"] == ("failed" if attempt == 2 else "processing")
        assert recording().status is RecordingStatus.ERRORED
        assert "after 3 attempts" in (recording().error or "")
        assert (journal / "manifest.jsonl").exists()
    finally:
        db.close()


def test_journals_are_removed_when_the_film_is_safe_and_not_before(
    rooms: RoomsService, tmp_path: Path
) -> None:
    db = Database(f"sqlite:///{tmp_path / 'test.db'}")
    journals = tmp_path / "recordings"
    folders: dict[str, Path] = {}
    for key, roads in {
        "done": ["UPLOADING", "UPLOADED"],
        "deleted": ["UPLOADING", "UPLOADED"],
        "asked": ["UPLOADING", "UPLOADED"],
        "failed": ["ERRORED"],
        "waiting": ["UPLOADING"],
    }.items():
        session_id, recording = record(rooms, key)
        for status in roads:
            rooms.submit(ask(SYSTEM, c.ReportRecording(recording().recording_id, status), session_id))
        info = recording_info(db, recording().recording_id)
        if info is not None and key not in ("deleted", "failed"):
            ensure_processing_entry(db, info)
        if key == "asked":
            request_composition(db, recording().recording_id, {"layout": "stage"}, datetime.now(UTC))
        folders[key] = journals / recording().recording_id
        folders[key].mkdir(parents=True)
        (folders[key] / "manifest.jsonl").write_text("{}\n")
    stranger = journals / "not-a-recording"
    stranger.mkdir()

    def tidy(keep: timedelta | None) -> None:
        JobWorker(
            JobSettings(db.url, journals, tmp_path / "library", journals=keep),
            rooms,
            db,
        ).tidy()

    try:
        tidy(None)
        tidy(timedelta(days=1))
        assert not folders.pop("deleted").exists(), "what was deleted in the library is deleted"
        assert all(folder.exists() for folder in folders.values())
        tidy(timedelta(0))
        assert not folders["done"].exists()
        assert folders["asked"].exists(), "another film is to be made of it"
        assert folders["failed"].exists() and folders["waiting"].exists() and stranger.exists()
    finally:
        db.close()
