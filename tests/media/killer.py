"""Kills the recorder process at random points of one recording, starts it again each time, and says what that cost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.store.database import Database
from models.store.migrate import upgrade
from models.values import MAIN_ROOM, RecordingStatus
from recorder.journal import read_manifest, read_records
from recorder.quality import Expected, Quality, check
from recorder.timeline import Timeline, build
from rooms import commands as c
from rooms.service import RoomsService
from rooms.state import Recording
from tests.media.beepflash import SECRET, Source, TapServer
from tests.people import ALICE, COURSE, ask

RECORDER = """
import sys
from pathlib import Path
from recorder.__main__ import run
from recorder.settings import RecorderSettings
run(RecorderSettings(sys.argv[1], Path(sys.argv[2]), tap_port=int(sys.argv[3]), tap_secret=sys.argv[4]))
"""
SECONDS_A_KILL = 12.0


@dataclass(frozen=True, slots=True)
class Killed:
    """``lost_s``: for each kill that hit a running capture, from the last thing in the journal to the kill."""

    kills: int
    lost_s: list[float]
    gaps_s: list[float]
    recordings: int
    timeline: Timeline
    film: Quality


def eventually(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def kill_at_random(folder: Path, kills: int, seed: int) -> Killed:
    """One recording of beeps and flashes; the recorder is killed ``kills`` times, between 0 and 3 s after it came up.

    Raises TimeoutError when a recorder does not take the recording up again.
    """
    url = f"sqlite:///{folder / 'kill.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    rooms.start()
    tap = TapServer()
    session_id = rooms.open_session(COURSE, "Biology", "Seminar")
    chance = random.Random(seed)
    journals = folder / "recordings"
    processes: list[subprocess.Popen[bytes]] = []

    def recorder() -> subprocess.Popen[bytes]:
        arguments = [db.url, str(journals), str(tap.port), SECRET]
        processes.append(subprocess.Popen([sys.executable, "-c", RECORDER, *arguments]))
        return processes[-1]

    def recording() -> Recording:
        return next(iter(rooms.state(session_id).recordings.values()))

    try:
        rooms.submit(ask(ALICE, c.EnterSession("Alice", ALICE.role), session_id))  # type: ignore[arg-type]
        process = recorder()
        rooms.submit(ask(ALICE, c.StartRecording(room_id=MAIN_ROOM), session_id))
        eventually(lambda: recording().status is RecordingStatus.RECORDING, "the recording begins")
        tap.tapped.wait(30)
        played_s = (kills + 2) * SECONDS_A_KILL
        sources = [
            Source(number, "alice", source, 0, 0.0, played_s, str(session_id))
            for number, source in enumerate(("camera", "mic"), 1)
        ]
        tap.play(sources, time.time() + 0.3)
        journal = journals / recording().recording_id
        moments = []
        for _ in range(kills):
            grown = _media(journal) + 1
            eventually(lambda least=grown: _media(journal) >= least, "the journal grows again")  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 3.0))
            process.send_signal(signal.SIGKILL)
            process.wait()
            moments.append(time.time())
            process = recorder()
        eventually(lambda: _adopted(journal) == kills, "the last recorder adopts the recording")
        time.sleep(2.0)
        rooms.submit(ask(ALICE, c.StopRecording(), session_id))
        eventually(lambda: recording().status is RecordingStatus.UPLOADING, "the recording ends")
        found = len(rooms.state(session_id).recordings)
    finally:
        for each in processes:
            if each.poll() is None:
                each.terminate()
                each.wait(30)
        tap.close()
        rooms.close()
        db.close()
    return _judge(folder, journal, moments, found)


def _media(journal: Path) -> int:
    return sum(path.stat().st_size for path in journal.glob("media-*.log"))


def _adopted(journal: Path) -> int:
    return sum(line["k"] == "adopt" for line in read_manifest(journal))


def _judge(folder: Path, journal: Path, moments: list[float], recordings: int) -> Killed:
    timeline = build(read_manifest(journal))
    arrivals = [record.arrival_us / 1e6 for record in read_records(journal)]
    lost = []
    for moment in moments:
        lost.append(moment - max((at for at in arrivals if at <= moment), default=timeline.start / 1e6))
    out = folder / "film"
    options = json.dumps({"preset": "ultrafast"})
    command = [sys.executable, "-m", "recorder.compose", str(journal), str(out), "--options", options]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    film = check(out / "recording.mp4", Expected(timeline.duration / 1e6, sound=True, pictures=1.0))
    gaps = [(gap.end - gap.start) / 1e6 for gap in timeline.gaps]
    return Killed(len(moments), lost, gaps, recordings, timeline, film)
