"""Kills the recorder process at random points of one recording, starts it again each time, and counts what that cost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from models.store.database import Database
from models.store.migrate import upgrade
from models.values import MAIN_ROOM, RecordingStatus, SessionId
from recorder.avcheck import AvCheck, measure
from recorder.clock import FILE as CLOCK_FILE
from recorder.journal import read_manifest, read_records
from recorder.quality import Expected, Quality, check
from recorder.report import report
from recorder.timeline import Timeline, build
from rooms import commands as c
from rooms.service import RoomsService
from rooms.state import Recording
from tests.media.beepflash import FPS, SECRET, Source
from tests.media.realtap import RealTap
from tests.people import ALICE, COURSE, ask

RECORDER = """
import sys
from itertools import pairwise
from pathlib import Path
from recorder.__main__ import run
from recorder.settings import RecorderSettings
run(RecorderSettings(sys.argv[1], Path(sys.argv[2]), tap_port=int(sys.argv[3]), tap_secret=sys.argv[4]))
"""
SECONDS_A_KILL = 12.0


@dataclass(frozen=True, slots=True)
class Killed:
    """``missing`` and ``twice`` count frames of camera and microphone between the first and the last that were recorded."""

    kills: int
    down_s: list[float]
    """How long no recorder was there, each time."""
    frames: int
    missing: int
    twice: int
    out_of_order: int
    recordings: int
    facts: dict[str, object]
    warnings: list[str]
    timeline: Timeline
    film: Quality
    av: AvCheck
    late_s: float


def eventually(condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


@dataclass
class Lesson:
    """A database with Alice in a session, the media worker's tap, and recorder processes."""

    folder: Path
    db: Database
    rooms: RoomsService
    session_id: SessionId
    tap: RealTap
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_recorder(self) -> subprocess.Popen[bytes]:
        arguments = [self.db.url, str(self.folder / "recordings"), str(self.tap.port), SECRET]
        self.processes.append(subprocess.Popen([sys.executable, "-c", RECORDER, *arguments]))
        return self.processes[-1]

    def wait_until_ready(self) -> None:
        """Wait until the recorder looks for recordings: a new Python process needs its time on a busy machine."""
        eventually((self.folder / "recordings" / CLOCK_FILE).exists, "the recorder works")

    def kill_recorder(self) -> None:
        self.processes[-1].send_signal(signal.SIGKILL)
        self.processes[-1].wait()

    def tell(self, command: c.Command) -> None:
        self.rooms.submit(ask(ALICE, command, self.session_id))

    def recording(self) -> Recording:
        return next(iter(self.rooms.state(self.session_id).recordings.values()))

    def wait_for(self, status: RecordingStatus) -> None:
        eventually(lambda: self.recording().status is status, status.value)

    @property
    def journal(self) -> Path:
        return self.folder / "recordings" / self.recording().recording_id

    def play(self, seconds: float) -> None:
        sources = [
            Source(number, "alice", source, 0, 0.0, seconds, str(self.session_id))
            for number, source in enumerate(("camera", "mic"), 1)
        ]
        for source in sources:
            assert list(source.schedule()), "encoded beforehand: a loaded machine takes its time for it"
        self.tap.play(sources, time.time() + 1.0)

    def grows(self) -> None:
        """Wait until something new stands in the journal."""
        least = _media(self.journal) + 1
        eventually(lambda: _media(self.journal) >= least, "the journal grows")


@contextmanager
def lesson(folder: Path) -> Iterator[Lesson]:
    url = f"sqlite:///{folder / 'kill.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    rooms.start()
    made = Lesson(folder, db, rooms, rooms.open_session(COURSE, "Biology", "Seminar"), RealTap())
    try:
        made.tell(c.EnterSession("Alice", ALICE.role))  # type: ignore[arg-type]
        yield made
    finally:
        for each in made.processes:
            if each.poll() is None:
                each.terminate()
                each.wait(30)
        made.tap.close()
        rooms.close()
        db.close()


def kill_at_random(folder: Path, kills: int, seed: int, played_s: float | None = None) -> Killed:
    """One recording of beeps and flashes; the recorder is killed ``kills`` times, between 0 and 3 s after it came up.

    Raises TimeoutError when a recorder does not take the recording up again.
    """
    chance = random.Random(seed)
    with lesson(folder) as here:
        here.start_recorder()
        here.wait_until_ready()
        here.play(played_s or (kills + 3) * 3 * SECONDS_A_KILL)
        here.tell(c.StartRecording(room_id=MAIN_ROOM))
        here.wait_for(RecordingStatus.RECORDING)
        journal, down = here.journal, []
        for number in range(kills):
            here.grows()
            time.sleep(chance.uniform(0.0, 3.0))
            here.kill_recorder()
            killed_at = time.monotonic()
            here.start_recorder()
            eventually(lambda least=number: _taken_up(journal) > least, "a recorder takes it up")  # type: ignore[misc]
            down.append(time.monotonic() - killed_at)
        time.sleep(2.0)
        here.tell(c.StopRecording())
        here.wait_for(RecordingStatus.UPLOADING)
        found, late_s = len(here.rooms.state(here.session_id).recordings), here.tap.late_s
    return judge(folder, journal, down, found, late_s)


def _media(journal: Path) -> int:
    return sum(path.stat().st_size for path in journal.glob("media-*.log"))


def _taken_up(journal: Path) -> int:
    return sum(line["k"] in ("resumed", "adopt") for line in read_manifest(journal))


def count(journal: Path) -> tuple[int, int, int, int]:
    """(frames, missing, twice, out of order) of generated sources: their RTP times go on by equal steps."""
    steps = {
        line["n"]: 960 if line["codec"] == "opus" else 90_000 // FPS
        for line in read_manifest(journal)
        if line["k"] == "segment"
    }
    owners = {
        line["n"]: (line["person_id"], line["source"])
        for line in read_manifest(journal)
        if line["k"] == "segment"
    }
    times: dict[tuple[str, str], list[int]] = {}
    step_of: dict[tuple[str, str], int] = {}
    for record in read_records(journal):
        owner = owners[record.segment]
        times.setdefault(owner, []).append(record.rtp % 2**32)
        step_of[owner] = steps[record.segment]
    missing = twice = out_of_order = 0
    for owner, given in times.items():
        whole = [(value - given[0] + 2**31) % 2**32 - 2**31 for value in given]
        distinct = set(whole)
        missing += round((max(whole) - min(whole)) / step_of[owner]) + 1 - len(distinct)
        twice += len(whole) - len(distinct)
        out_of_order += sum(after < before for before, after in pairwise(whole))
    return sum(map(len, times.values())), missing, twice, out_of_order


def judge(folder: Path, journal: Path, down: list[float], recordings: int, late_s: float) -> Killed:
    lines = read_manifest(journal)
    timeline = build(lines)
    told = report(lines, timeline)
    out = folder / "film"
    options = json.dumps({"preset": "ultrafast"})
    command = [sys.executable, "-m", "recorder.compose", str(journal), str(out), "--options", options]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    path = out / "recording.mp4"
    film = check(path, Expected(timeline.duration / 1e6, sound=told.sound, pictures=told.pictures))
    return Killed(
        len(down),
        down,
        *count(journal),
        recordings,
        told.facts,
        told.warnings,
        timeline,
        film,
        measure(path, (0,)),
        late_s,
    )
