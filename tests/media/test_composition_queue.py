"""The queue of compositions: in advance and in turns, urgent first, once more in another shape, finish times."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from bot.blocks.recordings import recording_text
from library.intake import ensure_processing_entry, entry_id_of
from models.recording import BadOption, options_to_json
from models.store import compositions as again
from models.store import recordings_jobs
from models.store.database import Database
from models.store.library import entry_of_recording
from models.store.media_files import files_of
from models.store.migrate import upgrade
from models.store.recordings_jobs import recording_info
from models.values import MAIN_ROOM, SYSTEM, RecordingId, RecordingStatus, SessionId
from recorder.compose import Progress
from recorder.parts import locked
from rooms import commands as c
from rooms.events import FilmReported
from rooms.service import RoomsService
from rooms.state import Recording
from server.cli import main
from server.composing import CompositionFailed, Interrupted, Task, by_products
from server.composition import CompositionQueue
from server.job_settings import JobSettings
from server.pictures import PictureRefused, fetch
from tests.media.composekit import HandJournal, colour_at, is_near, yuv
from tests.people import ALICE, COURSE, ask

pytestmark = [pytest.mark.media, pytest.mark.timeout(600)]
SMALL = {"width": 160, "height": 90, "fps": 24}
RED = (80, 90, 200)


def eventually(condition: Callable[[], bool], seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@dataclass
class World:
    folder: Path
    db: Database
    rooms: RoomsService
    queue: CompositionQueue

    def record(self, key: str, **options: object) -> tuple[SessionId, Callable[[], Recording]]:
        """A recording that runs, as the recorder would report it."""
        session_id = self.rooms.open_session(COURSE, "Biology", "Seminar", key)
        self.rooms.submit(ask(ALICE, c.EnterSession("Alice", ALICE.role), session_id))  # type: ignore[arg-type]
        start = c.StartRecording(room_id=MAIN_ROOM, options={**SMALL, **options})
        self.rooms.submit(ask(ALICE, start, session_id))
        recording_id = next(iter(self.rooms.state(session_id).recordings))
        self.report(session_id, recording_id, "RECORDING")
        return session_id, lambda: self.rooms.state(session_id).recordings[recording_id]

    def report(self, session_id: SessionId, recording_id: RecordingId, status: str) -> None:
        self.rooms.submit(ask(SYSTEM, c.ReportRecording(recording_id, status), session_id))

    def journal(self, recording: Recording) -> HandJournal:
        options = options_to_json(recording.options)
        j = HandJournal(self.folder / "recordings" / recording.recording_id, options=options)
        j.person("alice", 0, "Alice Adams")
        return j

    def db_row(self, recording_id: RecordingId) -> Any:
        with self.db.read() as session:
            found = session.connection().exec_driver_sql(
                "SELECT composed_s, eta_at, lease_owner FROM recording WHERE id = ?", (recording_id,)
            )
            return found.mappings().one()

    def look_until(self, condition: Callable[[], bool], seconds: float = 200.0) -> None:
        def step() -> bool:
            self.queue.look()
            return condition()

        eventually(step, seconds)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    rooms.start()
    settings = JobSettings(
        url,
        tmp_path / "recordings",
        tmp_path / "library",
        encoder={"preset": "ultrafast"},
        cpu_share=1.0,
        private_pictures=True,
    )
    queue = CompositionQueue(settings, rooms, db)
    yield World(tmp_path, db, rooms, queue)
    queue.stop()
    rooms.close()
    db.close()


def test_a_running_recording_is_composed_in_advance_and_finished_after_its_end(world: World) -> None:
    session_id, recording = world.record("a", audio_tracks=True)
    j = world.journal(recording())
    j.camera("alice", 0, 20, RED)
    j.mic("alice", 0, 20)
    j.write(20)
    key = recording().recording_id
    world.look_until(lambda: world.db_row(key)["composed_s"] > 5)
    assert recording().status is RecordingStatus.RECORDING
    j.close(21)
    world.report(session_id, key, "UPLOADING")
    world.look_until(lambda: recording().status is RecordingStatus.UPLOADED)
    entry = entry_of_recording(world.db, key)
    assert entry is not None and entry["status"] == "ready" and abs(entry["duration_s"] - 21) < 0.1
    kinds = {file.kind for file in files_of(world.db, [entry_id_of(key)])[entry_id_of(key)]}
    assert {"composite", "thumbnail", "chapters", "track_audio"} <= kinds
    eventually(lambda: not (world.folder / "recordings" / key / "result").exists())
    assert world.db_row(key)["eta_at"] is None


def test_who_has_ended_goes_before_who_is_composed_in_advance(world: World) -> None:
    """One worker only: it follows a running recording, and leaves it at once for one that has ended."""
    _, running = world.record("a")
    world.journal(running()).write(16)
    world.look_until(lambda: world.db_row(running().recording_id)["composed_s"] > 2)
    session_id, ended = world.record("b")
    world.journal(ended()).close(3)
    world.report(session_id, ended().recording_id, "UPLOADING")
    world.look_until(lambda: ended().status is RecordingStatus.UPLOADED)
    assert running().status is RecordingStatus.RECORDING
    world.look_until(lambda: world.db_row(running().recording_id)["lease_owner"] != "")


def test_a_journal_that_was_never_closed_is_composed_as_it_is(world: World) -> None:
    session_id, recording = world.record("a")
    world.journal(recording()).write(16)
    world.look_until(lambda: world.db_row(recording().recording_id)["composed_s"] > 2)
    world.report(session_id, recording().recording_id, "UPLOADING")
    world.look_until(lambda: recording().status is RecordingStatus.UPLOADED)
    entry = entry_of_recording(world.db, recording().recording_id)
    assert entry is not None and any("recorder was interrupted" in w for w in entry["quality"]["warnings"])


def test_another_layout_and_format_on_request_while_the_journal_is_kept(world: World) -> None:
    session_id, recording = world.record("a")
    j = world.journal(recording())
    j.camera("alice", 0, 3, RED)
    j.note("layout", 1, layout="stage")
    j.close(3)
    key = recording().recording_id
    world.report(session_id, key, "UPLOADING")
    world.look_until(lambda: recording().status is RecordingStatus.UPLOADED)
    now = datetime.now(UTC)
    assert again.request_composition(world.db, RecordingId("nothing"), {}, now) is None
    with pytest.raises(BadOption):
        again.request_composition(world.db, key, {"width": 63}, now)
    asked = again.request_composition(world.db, key, {"layout": "speaker", "video_codec": "VP8"}, now)
    assert asked is not None

    def state() -> again.Requested:
        found = again.get_composition(world.db, asked)
        assert found is not None
        return found

    world.look_until(lambda: state().status != again.WAITING)
    assert state().status == again.DONE, state().error
    eventually(
        lambda: any(isinstance(r.event, FilmReported) for r in world.rooms.events_after(session_id, 0))
    )
    [told] = [r.event for r in world.rooms.events_after(session_id, 0) if isinstance(r.event, FilmReported)]
    assert (told.recording_id, told.film_id, told.file_name) == (key, asked, state().file_name)
    entry_id = entry_id_of(key)
    files = {file.name: file for file in files_of(world.db, [entry_id])[entry_id]}
    made = files[state().file_name]
    assert (made.kind, made.mime) == ("composite", "video/webm") and made.title.startswith("speaker")
    path = world.folder / "library" / entry_id / made.name
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "vp8"
    assert is_near(colour_at(yuv(path, 2), 80, 30), RED)
    assert [one.composition_id for one in again.compositions_of(world.db, key)] == [asked]
    # Without the journal there is nothing to make it from: that is said, not tried again.
    (world.folder / "recordings" / key / "manifest.jsonl").unlink()
    asked = again.request_composition(world.db, key, {"layout": "grid"}, now)
    assert asked is not None
    world.look_until(lambda: state().status == again.FAILED)
    assert "no longer kept" in (state().error or "")


class _Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        picture = io.BytesIO()
        Image.new("RGB", (40, 20), (255, 255, 255)).save(picture, "PNG")
        bodies = {
            "/logo.png": picture.getvalue(),
            "/text": b"<html>",
            "/huge": b"\x89PNG\r\n\x1a\n" * 800_000,
        }
        body = bodies.get(self.path)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/logo.png")
            self.end_headers()
            return
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def pictures() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Pictures)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_watermark_is_fetched_once_and_laid_over(world: World, pictures: str) -> None:
    mark = {"url": f"{pictures}/logo.png", "position": "right bottom"}
    session_id, recording = world.record("a", watermark=mark)
    world.journal(recording()).close(2)
    world.report(session_id, recording().recording_id, "UPLOADING")
    world.look_until(lambda: recording().status is RecordingStatus.UPLOADED)
    film = world.folder / "library" / entry_id_of(recording().recording_id) / "recording.mp4"
    assert colour_at(yuv(film, 1), 160 - 16 - 20, 90 - 16 - 10)[0] > 220


def test_unsafe_pictures_are_refused(tmp_path: Path, pictures: str) -> None:
    with pytest.raises(PictureRefused):
        fetch(f"{pictures}/logo.png", tmp_path / "a")
    for name in ("text", "huge", "missing", "away"):
        with pytest.raises(PictureRefused):
            fetch(f"{pictures}/{name}", tmp_path / "a", allow_private=True)
    assert not (tmp_path / "a").exists()
    fetch(f"{pictures}/logo.png", tmp_path / "a", allow_private=True)
    assert (tmp_path / "a").read_bytes().startswith(b"\x89PNG")


def test_a_recording_knows_its_options(world: World) -> None:
    _, recording = world.record("a", layout="speaker")
    info = recording_info(world.db, recording().recording_id)
    assert info is not None and info.options["layout"] == "speaker"


def test_the_command_line_asks_for_another_film_and_tells_how_far_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session_id, recording = world.record("a")
    world.report(session_id, recording().recording_id, "UPLOADING")
    key = recording().recording_id
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(world.folder))
    monkeypatch.setenv("SIDEROOM_DATABASE_URL", world.db.url)
    assert main(["recording", "compose", key, "--layout", "speaker", "--size", "720x1280", "--no-names"]) == 0
    (asked,) = again.compositions_of(world.db, key)
    assert asked.options == {"layout": "speaker", "width": 720, "height": 1280, "names": False}
    assert main(["recording", "status", key]) == 0
    assert "waiting\t0%" in capsys.readouterr().out
    assert main(["recording", "compose", key, "--size", "63x1"]) == 2
    assert main(["recording", "compose", "nothing"]) == 1
    assert "no recording nothing" in capsys.readouterr().err


def test_the_finish_time_is_known_to_the_library_and_to_slack(world: World) -> None:
    session_id, recording = world.record("a")
    key = recording().recording_id
    world.report(session_id, key, "UPLOADING")
    info = recording_info(world.db, key)
    assert info is not None
    ensure_processing_entry(world.db, info)
    now = datetime.now(UTC)
    assert recordings_jobs.lease(world.db, key, "me", now, timedelta(seconds=20))
    ready_at = now + timedelta(minutes=3)
    assert recordings_jobs.renew(world.db, key, "me", ready_at, 0.4, 120.0, ready_at)
    entry = entry_of_recording(world.db, key)
    assert entry is not None and entry["ready_at"] == ready_at and entry["progress"] == 0.4
    assert recordings_jobs.ready_times(world.db, session_id) == {key: ready_at}
    line = recording_text(world.rooms.state(session_id), recording(), ready_at)
    assert "processing, ready around" in line
    assert not recordings_jobs.renew(world.db, key, "somebody else", ready_at, 0.5, 0.0, None)


# -- order, patience and what is left behind: with a composer that only pretends ------------------------------------------


@dataclass
class Pretender:
    """Composes nothing: takes until it is told to end, or to be interrupted."""

    working: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    fails: bool = False

    def __call__(self, task: Task, renew: Any, halted: threading.Event, *_: Any) -> None:
        key = task.out.name if task.out.name != "result" else task.journal.name
        self.working.append(key)
        assert renew(Progress(0.5, 60.0, 120.0, 30.0))
        try:
            if self.fails:
                raise CompositionFailed("it was killed")
            if halted.wait(100):
                raise Interrupted("something more urgent waits")
        finally:
            self.ended.append(key)


@pytest.fixture
def pretender(monkeypatch: pytest.MonkeyPatch) -> Pretender:
    made = Pretender()
    monkeypatch.setattr("server.composition.compose", made)
    monkeypatch.setattr("server.recomposing.compose", made)
    return made


def ended(world: World, key: str) -> RecordingId:
    """A recording that is closed and waits for its film."""
    session_id, recording = world.record(key)
    world.journal(recording()).close(1)
    world.report(session_id, recording().recording_id, "UPLOADING")
    return recording().recording_id


def values(world: World, table: str, key: str) -> Any:
    with world.db.read() as session:
        found = session.connection().exec_driver_sql(f"SELECT * FROM {table} WHERE id = ?", (key,))
        return found.mappings().one()


def free(world: World, table: str) -> None:
    """Let the pause after a try be over."""
    with world.db.write() as session:
        session.connection().exec_driver_sql(f"UPDATE {table} SET lease_until = NULL WHERE lease_owner = ''")


def test_being_interrupted_is_no_failed_attempt(world: World, pretender: Pretender) -> None:
    key = ended(world, "a")
    for times in range(1, 6):
        free(world, "recording")
        world.look_until(lambda times=times: len(pretender.working) == times)  # type: ignore[misc]
        world.queue.stop()
        assert len(pretender.ended) == times
    row = values(world, "recording", key)
    assert row["attempts"] == 0 and row["status"] == "UPLOADING"


def test_a_film_asked_for_afterwards_gives_way_to_a_recording_that_has_ended(
    world: World, pretender: Pretender
) -> None:
    first = ended(world, "a")
    asked = again.request_composition(world.db, first, {"layout": "speaker"}, datetime.now(UTC))
    with world.db.write() as session:
        session.connection().exec_driver_sql("UPDATE recording SET status = 'UPLOADED'")
    world.look_until(lambda: f"again-{asked}" in pretender.working)
    second = ended(world, "b")
    world.look_until(lambda: pretender.working[-1] == second)
    assert pretender.ended == [f"again-{asked}"]
    row = values(world, "composition", str(asked))
    assert (row["status"], row["attempts"]) == ("waiting", 0)


def test_a_film_asked_for_whose_worker_dies_each_time_is_given_up_and_leaves_nothing(
    world: World, pretender: Pretender
) -> None:
    key = ended(world, "a")
    asked = again.request_composition(world.db, key, {"layout": "speaker"}, datetime.now(UTC))
    assert asked is not None
    with world.db.write() as session:
        session.connection().exec_driver_sql("UPDATE recording SET status = 'UPLOADED'")
        session.connection().exec_driver_sql("UPDATE composition SET attempts = 3")
    rest = world.folder / "recordings" / key / f"again-{asked}"
    rest.mkdir()
    world.look_until(lambda: values(world, "composition", asked)["status"] == "failed")
    assert "killed" in values(world, "composition", asked)["error"] and not pretender.working
    session_id = values(world, "recording", key)["session_id"]

    def told() -> bool:
        events = [r.event for r in world.rooms.events_after(session_id, 0)]
        return any(isinstance(event, FilmReported) and event.error for event in events)

    eventually(told)
    eventually(lambda: not rest.exists())


def test_who_waits_behind_others_knows_when_they_will_be_ready(world: World, pretender: Pretender) -> None:
    keys = [ended(world, name) for name in ("a", "b", "c")]
    with world.db.write() as session:
        session.connection().exec_driver_sql("UPDATE recording SET duration_s = 600")
    world.look_until(lambda: all(values(world, "recording", key)["eta_at"] for key in keys))
    ready = [datetime.fromisoformat(values(world, "recording", key)["eta_at"]) for key in keys]
    assert pretender.working == keys[:1], "one worker makes one film at a time, the oldest first"
    assert ready[0] < ready[1] < ready[2], "each knows of those before it"


def test_waiting_costs_the_database_nothing(
    world: World, pretender: Pretender, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [ended(world, name) for name in ("a", "b", "c")]
    world.look_until(lambda: all(values(world, "recording", key)["eta_at"] for key in keys[1:]))
    for key in keys:
        assert entry_of_recording(world.db, key) is not None, "the library shows who waits"
    writes = 0

    def write(self: Database) -> Any:
        nonlocal writes
        writes += threading.current_thread() is threading.main_thread()
        return really(self)

    really = Database.write
    monkeypatch.setattr(Database, "write", write)
    for _ in range(5):
        world.queue.look()
    assert writes <= 1, "a finish time may be corrected once"


def test_a_failed_recording_is_composed_when_an_administrator_asks(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(world.folder))
    monkeypatch.setenv("SIDEROOM_DATABASE_URL", world.db.url)
    key = ended(world, "a")
    manifest = world.folder / "recordings" / key / "manifest.jsonl"
    good = manifest.read_bytes()
    manifest.write_bytes(b"")
    status = lambda: recordings_jobs.status_of(world.db, key)  # noqa: E731
    assert main(["recording", "retry", key]) == 1, "it has not failed"
    for _ in range(2):
        with world.db.write() as session:
            session.connection().exec_driver_sql("UPDATE recording SET attempts = 2")
        free(world, "recording")
        world.look_until(lambda: status() is RecordingStatus.ERRORED)
        assert main(["recording", "retry", key]) == 0 and status() is RecordingStatus.UPLOADING
    manifest.write_bytes(good)
    world.look_until(lambda: status() is RecordingStatus.UPLOADED)
    entry = entry_of_recording(world.db, key)
    assert entry is not None and entry["status"] == "ready"
    assert main(["recording", "retry", "nothing"]) == 1
    assert "there’s no recording nothing" in capsys.readouterr().err


def test_by_products_are_not_made_twice_at_once(world: World) -> None:
    key = ended(world, "a")
    journal = world.folder / "recordings" / key
    (journal / "result").mkdir()
    with locked(journal / "result"), pytest.raises(Interrupted):
        by_products(journal, journal / "result", None, lambda _: True, threading.Event())
    made = by_products(journal, journal / "result", None, lambda _: True, threading.Event())
    assert made.quality["paused_s"] == 0
