"""CPU share of capturing one room: generated VP8 and Opus RTP through a tap socket into the real recorder process.

``python -m bench.capture [--people 6] [--seconds 20]``: one JSON line. The recorder's CPU time is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.compose import FPS, moving_pictures
from models.store.database import Database
from models.store.migrate import upgrade
from models.values import Actor, ActorKind, CommandId, CourseId, PersonId, RecordingStatus, Role, RoomId
from rooms.commands import Command, EnterSession, Envelope, StartRecording
from rooms.service import RoomsService
from tests.media.beepflash import SECRET, Source, TapServer

RECORDER = (
    "import sys; from pathlib import Path; from recorder.__main__ import run; "
    "from recorder.settings import RecorderSettings as S; "
    "run(S(sys.argv[1], Path(sys.argv[2]), tap_port=int(sys.argv[3]), tap_secret=sys.argv[4]))"
)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15 of stat)."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), args.people, args.seconds)))


def measure(folder: Path, people: int, seconds: int) -> dict[str, object]:
    url = f"sqlite:///{folder / 'bench.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    rooms.start()
    course = CourseId("bench")
    session_id = rooms.open_session(course, "Bench", "Room")
    teacher = Actor(ActorKind.PERSON, PersonId("p0"), "P 0", Role.MODERATOR, course)

    def tell(name: str, command: Command) -> None:
        rooms.submit(Envelope(CommandId(name), session_id, teacher, command))

    tell("enter", EnterSession("P 0", Role.MODERATOR))
    for number in range(1, people):
        student = Actor(ActorKind.PERSON, PersonId(f"p{number}"), f"P {number}", Role.PARTICIPANT, course)
        enter = EnterSession(student.name, Role.PARTICIPANT)
        rooms.submit(Envelope(CommandId(f"enter{number}"), session_id, student, enter))
    tap = TapServer()
    sources = []
    for number in range(people):
        for kind in ("camera", "mic"):
            source = Source(len(sources) + 1, f"p{number}", kind, number, 0.0, float(seconds), session_id)
            if kind == "camera":
                source.fps, source.frames = FPS, tuple(data for data, _ in moving_pictures(number, seconds))
            sources.append(source)
    packets = sum(1 for source in sources for item in source.schedule() if isinstance(item[2], bytes))
    recorder = subprocess.Popen(
        [sys.executable, "-c", RECORDER, url, str(folder / "recordings"), str(tap.port), SECRET]
    )
    try:
        tell("record", StartRecording(room_id=RoomId("main")))
        while next(iter(rooms.state(session_id).recordings.values())).status is not RecordingStatus.RECORDING:
            time.sleep(0.05)
        tap.tapped.wait(20)
        time.sleep(0.5)
        tap.play(sources, time.time())
        before, began = cpu_seconds(recorder.pid), time.monotonic()
        time.sleep(seconds)
        used, took = cpu_seconds(recorder.pid) - before, time.monotonic() - began
        size = sum(path.stat().st_size for path in (folder / "recordings").rglob("media-*.log"))
    finally:
        recorder.terminate()
        recorder.wait(20)
        tap.close()
        rooms.close()
        db.close()
    return {
        "bench": "capture",
        "videos": people,
        "audios": people,
        "packets_per_s": round(packets / seconds),
        "mbit_per_s": round(size * 8 / took / 1e6, 2),
        "cpu_share": round(used / took, 4),
        "us_per_packet": round(used / packets * 1e6, 1),
        "target_cpu_share": 0.04,
    }


if __name__ == "__main__":
    main()
