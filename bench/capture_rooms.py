"""Every breakout room of a class recorded at once: CPU share of the recorder, packets lost, how long the disk takes.

``python -m bench.capture_rooms [--rooms 50] [--people 4] [--seconds 20]``: one JSON line. Generated VP8 and Opus RTP (camera 360p at
600 kb/s, microphone) goes through the tap's protocol into the real recorder process. ``behind_ms``: how far the sender fell
behind because the recorder did not read; ``fsync_ms``: single calls; ``sync_round_ms``: all journals once.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bench.capture import cpu_seconds
from bench.compose import FPS, moving_pictures
from models.store.database import Database
from models.store.migrate import upgrade
from models.values import SYSTEM, Actor, ActorKind, CommandId, CourseId, PersonId, RecordingStatus, Role
from recorder.journal import read_manifest
from recorder.tap import encode_json
from rooms import commands as c
from rooms.service import RoomsService
from tests.media.beepflash import NTP_EPOCH_S, SECRET, opus, rtp, vp8_packets

RECORDER = """
import atexit, json, os, sys, time
from pathlib import Path
from recorder.__main__ import run
from recorder.settings import RecorderSettings
took, real = [], os.fsync
def fsync(descriptor):
    began = time.perf_counter()
    real(descriptor)
    took.append(time.perf_counter() - began)
os.fsync = fsync
run(RecorderSettings(sys.argv[1], Path(sys.argv[2]), tap_port=int(sys.argv[3]), tap_secret=sys.argv[4]))
Path(sys.argv[5]).write_text(json.dumps(took))
"""
STEP_S = 0.02
DISTINCT = 4
"""Different films and voices; the rooms share them."""


def steps(index: int, seconds: int) -> list[list[tuple[bool, bytes]]]:
    """For each 20 ms what one person sends: (is video, RTP packet with SSRC 0)."""
    made: list[list[tuple[bool, bytes]]] = [[] for _ in range(round(seconds / STEP_S))]
    sequence = 0
    for number, (data, _) in enumerate(moving_pictures(index, seconds)):
        for payload, marker in vp8_packets(data):
            packet = rtp(96, sequence, number * 90_000 // FPS, 0, marker, payload)
            made[int(number / FPS / STEP_S)].append((True, packet))
            sequence += 1
    for number, data in enumerate(opus(index, seconds)):
        made[number].append((False, rtp(111, number, number * 960, 0, True, data)))
    return made


class Generator:
    """The worker's end of the tap: announces everybody's two tracks, then plays ``seconds`` of media in real time."""

    def __init__(self, session_id: str, rooms: list[str], people: int, seconds: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._session_id, self._rooms, self._people, self._seconds = session_id, rooms, people, seconds
        self._plans = [steps(index, seconds) for index in range(DISTINCT)]
        self.packets = 0
        self.behind_s = 0.0
        self.tapped = threading.Event()
        self._go = threading.Event()
        self.done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def play(self) -> None:
        self._go.set()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        threading.Thread(target=self._read, args=(peer,), daemon=True).start()
        self._go.wait()
        tracks = [(room, person) for room in range(len(self._rooms)) for person in range(self._people)]
        for number, (room, person) in enumerate(tracks):
            for is_video in (True, False):
                peer.sendall(encode_json(self._announcement(number, room, person, is_video)))
        head, report = struct.Struct("!IBIQQ"), struct.Struct("!IBIQQIQI")
        begun = time.time()
        for step in range(len(self._plans[0])):
            wait = begun + step * STEP_S - time.time()
            if wait > 0:
                time.sleep(wait)
            self.behind_s = max(self.behind_s, -wait)
            arrival = round((begun + step * STEP_S) * 1e6)
            parts = []
            for number in range(len(tracks)):
                for is_video, packet in self._plans[number % DISTINCT][step]:
                    track = number * 2 + (1 if is_video else 2)
                    parts.append(head.pack(len(packet) + 21, 2, track, self.packets + 1, arrival))
                    parts.append(packet)
                    self.packets += 1
                if step % 250 == 0:
                    ntp = int((begun + step * STEP_S + NTP_EPOCH_S) * 2**32)
                    for track, rate in ((number * 2 + 1, 90_000), (number * 2 + 2, 48_000)):
                        at = round(step * STEP_S * rate)
                        parts.append(report.pack(37, 3, track, self.packets, arrival, 0, ntp, at))
            peer.sendall(b"".join(parts))
        self.done.set()

    def _read(self, peer: socket.socket) -> None:
        with peer.makefile("rb") as stream:
            taps = 0
            while head := stream.read(5):
                (length, _kind) = struct.unpack("!IB", head)
                message = json.loads(stream.read(length - 1))
                if message["op"] == "hello":
                    now_us = time.time_ns() // 1000
                    peer.sendall(
                        encode_json(
                            {"op": "welcome", "worker": "w1", "version": 2, "boot": "bench", "now_us": now_us}
                        )
                    )
                if message["op"] == "tap":
                    taps += 1
                    room = {"session_id": message["session_id"], "room_id": message["room_id"]}
                    tapped = {"op": "tapped", **room, "from": 1, "resumed": False}
                    peer.sendall(encode_json(tapped) + encode_json({"op": "live", **room}))
                if taps == len(self._rooms):
                    self.tapped.set()

    def _announcement(self, number: int, room: int, person: int, is_video: bool) -> dict[str, object]:
        return {
            "op": "track_added",
            "track": number * 2 + (1 if is_video else 2),
            "session_id": self._session_id,
            "room_id": self._rooms[room],
            "person_id": f"p{room}-{person}",
            "peer_id": f"peer{number}",
            "source": "camera" if is_video else "mic",
            "codec": "vp8" if is_video else "opus",
            "clock_rate": 90_000 if is_video else 48_000,
            "channels": 1 if is_video else 2,
            "ssrc": 0,
            "arrival_us": 0,
        }


def classroom(service: RoomsService, rooms: int, people: int) -> tuple[str, list[str]]:
    """A running breakout with everybody in their rooms: (session, rooms)."""
    course = CourseId("bench")
    session_id = service.open_session(course, "Bench", "Room")
    teacher = Actor(ActorKind.PERSON, PersonId("teacher"), "Teacher", Role.MODERATOR, course)
    names = [[f"p{room}-{person}" for person in range(people)] for room in range(rooms)]
    number = 0

    def tell(actor: Actor, command: c.Command) -> None:
        nonlocal number
        number += 1
        service.submit(c.Envelope(CommandId(f"bench{number}"), session_id, actor, command))

    tell(teacher, c.EnterSession("Teacher", Role.MODERATOR))
    for name in [name for group in names for name in group]:
        student = Actor(ActorKind.PERSON, PersonId(name), name, Role.PARTICIPANT, course)
        tell(student, c.EnterSession(name, Role.PARTICIPANT))
    members = tuple(tuple(PersonId(name) for name in group) for group in names)
    tell(teacher, c.CreateRooms(rooms, countdown_s=0, time_limit_s=None, members=members))
    tell(teacher, c.StartBreakout())
    for transition_id in list(service.state(session_id).transitions):
        tell(SYSTEM, c.CompleteTransition(transition_id))
    state = service.state(session_id)
    where = {str(p.person_id): str(p.room_id) for p in state.people.values()}
    tell(teacher, c.StartRecording(all_rooms=True))
    return session_id, [where[group[0]] for group in names]


def measure(folder: Path, rooms: int, people: int, seconds: int) -> dict[str, object]:
    url = f"sqlite:///{folder / 'bench.db'}"
    upgrade(url)
    db = Database(url)
    service = RoomsService(db)
    service.start()
    session_id, room_ids = classroom(service, rooms, people)
    generator = Generator(session_id, room_ids, people, seconds)
    timings = folder / "fsync.json"
    arguments = [url, str(folder / "recordings"), str(generator.port), SECRET, str(timings)]
    recorder = subprocess.Popen([sys.executable, "-c", RECORDER, *arguments])
    teacher = Actor(ActorKind.PERSON, PersonId("teacher"), "Teacher", Role.MODERATOR, CourseId("bench"))

    def all_are(status: RecordingStatus) -> bool:
        found = service.state(session_id).recordings.values()  # type: ignore[arg-type]
        return len(found) == rooms and all(r.status is status for r in found)

    def wait(status: RecordingStatus) -> None:
        deadline = time.monotonic() + 60
        while not all_are(status):
            if time.monotonic() > deadline:
                raise TimeoutError(status)
            time.sleep(0.05)

    try:
        wait(RecordingStatus.RECORDING)
        generator.tapped.wait(30)
        generator.play()
        time.sleep(1.0)
        before, began = cpu_seconds(recorder.pid), time.monotonic()
        time.sleep(seconds - 2.0)
        used, took = cpu_seconds(recorder.pid) - before, time.monotonic() - began
        generator.done.wait(60)
        time.sleep(0.5)
        stop = c.Envelope(CommandId("stop"), session_id, teacher, c.StopRecording())  # type: ignore[arg-type]
        service.submit(stop)
        wait(RecordingStatus.UPLOADING)
    finally:
        recorder.terminate()
        recorder.wait(30)
        service.close()
        db.close()
    journals = [path for path in (folder / "recordings").iterdir() if path.is_dir()]
    ends = [line for journal in journals for line in read_manifest(journal) if line["k"] == "end"]
    frames = sum(int(end["frames"]) for end in ends)
    wanted = rooms * people * (seconds * FPS + seconds * 50)
    synced = np.array(json.loads(timings.read_text())) * 1000
    size = sum(path.stat().st_size for path in (folder / "recordings").rglob("media-*.log"))
    return {
        "bench": "capture_rooms",
        "rooms": rooms,
        "people": rooms * people,
        "packets_per_s": round(generator.packets / seconds),
        "mbit_per_s": round(size * 8 / seconds / 1e6, 1),
        "cpu_share": round(used / took, 3),
        "us_per_packet": round(used / took * seconds / generator.packets * 1e6, 1),
        "frames_wanted": wanted,
        "frames_written": frames,
        "packets_lost": sum(int(end["lost"]) for end in ends),
        "behind_ms": round(generator.behind_s * 1000),
        "fsync_p50_ms": round(float(np.percentile(synced, 50)), 2),
        "fsync_p99_ms": round(float(np.percentile(synced, 99)), 2),
        "fsyncs_per_s": round(len(synced) / seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=50)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), args.rooms, args.people, args.seconds)))


if __name__ == "__main__":
    main()
