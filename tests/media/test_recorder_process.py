"""The real recorder process against a tap that plays generated RTP; the files are opened and measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from models.recording import RecordingOptions
from models.store import recordings_jobs
from models.store.database import Database
from models.store.migrate import upgrade
from models.values import MAIN_ROOM, RecordingStatus, SessionId
from recorder.avcheck import measure
from recorder.compose import compose
from recorder.journal import read_manifest, read_records
from recorder.layout import grid
from recorder.options import CompositeOptions
from recorder.timeline import build
from rooms import commands as c
from rooms.service import RoomsService
from rooms.state import Recording
from tests.media.beepflash import SECRET, Source, TapServer
from tests.people import ALICE, BOB, COURSE, ask

pytestmark = [pytest.mark.media, pytest.mark.timeout(300)]
SMALL = CompositeOptions(RecordingOptions(width=640, height=360), preset="ultrafast")
RECORDER = """
import sys
from pathlib import Path
from recorder.__main__ import run
from recorder.settings import RecorderSettings
run(RecorderSettings(sys.argv[1], Path(sys.argv[2]), tap_port=int(sys.argv[3]), tap_secret=sys.argv[4]))
"""


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until it holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class Classroom:
    """A database with Alice and Bob in one session, a tap, and a recorder process."""

    folder: Path
    db: Database
    rooms: RoomsService
    session_id: SessionId
    tap: TapServer
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def journals(self) -> Path:
        return self.folder / "recordings"

    def start_recorder(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-c",
            RECORDER,
            self.db.url,
            str(self.journals),
            str(self.tap.port),
            SECRET,
        ]
        self.processes.append(subprocess.Popen(command))
        return self.processes[-1]

    def tell(self, actor: object, command: c.Command) -> None:
        self.rooms.submit(ask(actor, command, self.session_id))  # type: ignore[arg-type]

    def recording(self) -> Recording:
        return next(iter(self.rooms.state(self.session_id).recordings.values()))

    def await_status(self, status: RecordingStatus) -> Recording:
        eventually(lambda: self.recording().status is status)
        return self.recording()

    def start_recording(self) -> Recording:
        self.tell(ALICE, c.StartRecording(room_id=MAIN_ROOM))
        recording = self.await_status(RecordingStatus.RECORDING)
        assert self.tap.tapped.wait(20)
        return recording

    def stop_recording(self) -> Path:
        self.tell(ALICE, c.StopRecording())
        return self.journals / self.await_status(RecordingStatus.UPLOADING).recording_id

    def source(self, track: int, person: str, source: str, index: int, start: float, end: float) -> Source:
        return Source(track, person, source, index, start, end, str(self.session_id))

    def until(self, media_time: float) -> None:
        time.sleep(max(0.0, self.tap.base + media_time - time.time()))


@pytest.fixture
def classroom(tmp_path: Path) -> Iterator[Classroom]:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    rooms.start()
    session_id = rooms.open_session(COURSE, "Biology", "Seminar")
    tap = TapServer()
    room = Classroom(tmp_path, db, rooms, session_id, tap)
    room.tell(ALICE, c.EnterSession("Alice Adams", ALICE.role))  # type: ignore[arg-type]
    room.tell(BOB, c.EnterSession("Bob Brown", BOB.role))  # type: ignore[arg-type]
    yield room
    for process in room.processes:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
    tap.close()
    rooms.close()
    db.close()


def picture(path: Path, at_s: float) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """The first frame at or after ``at_s`` as RGB."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= at_s:
                return frame.to_ndarray(format="rgb24")  # type: ignore[return-value]
    raise AssertionError("the file is shorter")


def test_story_with_late_join_pause_loss_and_camera_off(classroom: Classroom, tmp_path: Path) -> None:
    classroom.start_recorder()
    recording = classroom.start_recording()
    base = float(int(time.time()) + 1)
    alice_camera = classroom.source(1, "alice", "camera", 0, 0.0, 9.0)
    # Alice's pictures arrive 150 ms late: only her sender reports can tell.
    alice_camera.delay_s = 0.15
    alice_camera.lose = frozenset({40})
    sources = [
        alice_camera,
        classroom.source(2, "alice", "mic", 0, 0.0, 9.0),
        classroom.source(3, "bob", "camera", 1, 1.5, 6.5),
        classroom.source(4, "bob", "mic", 1, 1.5, 9.0),
    ]
    classroom.tap.play(sources, base)
    classroom.until(4.5)
    classroom.tell(ALICE, c.PauseRecording())
    classroom.await_status(RecordingStatus.PAUSED)
    journal = classroom.journals / recording.recording_id
    size = sum(path.stat().st_size for path in journal.iterdir())
    classroom.until(5.6)
    assert sum(path.stat().st_size for path in journal.iterdir()) == size, "something was written in a pause"
    requests = len(classroom.tap.keyframe_requests)
    classroom.tell(ALICE, c.ResumeRecording())
    classroom.await_status(RecordingStatus.RECORDING)
    classroom.until(8.6)
    assert len(classroom.tap.keyframe_requests) > requests, "no keyframe was asked for after the pause"
    assert classroom.stop_recording() == journal

    timeline = build(read_manifest(journal))
    assert len(timeline.cuts) == 1
    assert {s.by for s in timeline.segments.values()} == {"reports"}
    pause = timeline.cuts[0]
    assert not [r for r in read_records(journal) if pause.start + 50_000 < r.arrival_us < pause.end]
    result = compose(journal, tmp_path / "out", SMALL)
    path = tmp_path / "out" / result.path
    assert (result.video_codec, result.audio_codec, result.width, result.height) == ("h264", "aac", 640, 360)
    assert abs(result.duration_s - timeline.duration / 1e6) < 0.1
    assert abs(result.duration_s - classroom.recording().recorded_s) < 0.1
    assert result.lost_packets >= 1
    found = measure(path, (0, 1))
    assert len(found.beeps_s[0]) >= 6 and len(found.beeps_s[1]) >= 4, found
    assert len(found.offsets_ms) >= 6
    assert found.p50_ms <= 45 and found.p95_ms <= 90, found.offsets_ms
    # Bob's camera ended at 6.5 s: three seconds later, at the latest, his initials stand there.
    tile = grid(["alice", "bob"], 640, 360).tiles[1][1]
    disc = picture(path, result.duration_s - 0.3)[tile.y : tile.bottom, tile.x : tile.right]
    assert (disc.min(axis=2) > 200).sum() > 20, "no initials in Bob's tile"


def test_killed_recorder_continues_under_the_same_id(classroom: Classroom, tmp_path: Path) -> None:
    process = classroom.start_recorder()
    recording = classroom.start_recording()
    sources = [
        classroom.source(1, "alice", "camera", 0, 0.0, 30.0),
        classroom.source(2, "alice", "mic", 0, 0.0, 30.0),
    ]
    for source in sources:
        assert list(source.schedule()), "encoded beforehand: a loaded machine takes its time for it"
    base = float(int(time.time()) + 1)
    classroom.tap.play(sources, base)
    classroom.until(3.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = time.time()
    classroom.start_recorder()
    journal = classroom.journals / recording.recording_id
    eventually(lambda: any(x["k"] == "adopt" for x in read_manifest(journal)))
    classroom.until(max(6.5, time.time() - base + 2.0))
    classroom.stop_recording()
    timeline = build(read_manifest(journal))
    before = [r.arrival_us for r in read_records(journal) if r.arrival_us < killed * 1e6]
    assert killed * 1e6 - max(before) < 2e6
    assert len(timeline.gaps) == 1
    after = sum(1 for r in read_records(journal) if r.arrival_us > timeline.gaps[0].end)
    assert after > 50
    result = compose(journal, tmp_path / "out", SMALL)
    assert abs(result.duration_s - timeline.duration / 1e6) < 0.1
    assert any("nothing was captured" in w for w in result.warnings)


def test_lost_tap_is_found_again_and_screen_share_takes_the_stage(
    classroom: Classroom, tmp_path: Path
) -> None:
    classroom.start_recorder()
    classroom.start_recording()
    base = float(int(time.time()) + 1)
    screen = classroom.source(2, "bob", "screen", 2, 2.0, 6.0)
    screen.size = (192, 108)
    classroom.tap.play([classroom.source(1, "alice", "camera", 0, 0.0, 6.0), screen], base)
    classroom.until(1.0)
    classroom.tap.drop()
    classroom.until(4.9)
    journal = classroom.stop_recording()
    timeline = build(read_manifest(journal))
    assert [s.end_reason for s in timeline.segments.values() if s.source == "camera"] == ["tap", "stopped"]
    result = compose(journal, tmp_path / "out", SMALL)
    shown = picture(tmp_path / "out" / result.path, result.duration_s - 0.6)
    # The stage is three quarters of the width: the sharer's colour (or its flash) fills it.
    assert shown[100:260, 100:380].std(axis=(0, 1)).max() < 12


def test_empty_room_is_recorded_and_composed_by_the_job_worker(classroom: Classroom) -> None:
    classroom.tell(ALICE, c.LeaveSession(ALICE.person_id))  # type: ignore[arg-type]
    classroom.tell(BOB, c.LeaveSession(BOB.person_id))  # type: ignore[arg-type]
    classroom.start_recorder()
    classroom.tell(ALICE, c.EnterSession("Alice Adams", ALICE.role))  # type: ignore[arg-type]
    recording = classroom.start_recording()
    classroom.tell(ALICE, c.LeaveSession(ALICE.person_id))  # type: ignore[arg-type]
    time.sleep(1.5)
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SIDEROOM_")},
        "SIDEROOM_DATA_DIR": str(classroom.folder),
        "SIDEROOM_DATABASE_URL": classroom.db.url,
    }
    (classroom.folder / "library").mkdir(exist_ok=True)
    # A worker that was killed while composing: its lease has still two seconds to run.
    classroom.rooms.submit(
        ask(ALICE, c.StopRecording(recording_id=recording.recording_id), classroom.session_id)
    )
    classroom.await_status(RecordingStatus.UPLOADING)
    assert recordings_jobs.lease(
        classroom.db, recording.recording_id, "dead", datetime.now(UTC), timedelta(seconds=2)
    )
    classroom.processes.append(subprocess.Popen([sys.executable, "-m", "server.jobs"], env=environ))
    eventually(lambda: classroom.recording().status is RecordingStatus.UPLOADED, 200)
    done = classroom.recording()
    assert done.entry_id
    files = list((classroom.folder / "library").rglob("*.mp4"))
    assert len(files) == 1
    assert (classroom.journals / recording.recording_id / "manifest.jsonl").exists()
    with av.open(str(files[0])) as container:
        assert container.streams.video[0].codec_context.name == "h264"
