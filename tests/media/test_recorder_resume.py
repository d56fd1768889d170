"""A recorder that is killed anywhere and goes on from what the media worker kept: the journal is as if it had never died."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from recorder.capture import Capture
from recorder.journal import read_manifest, read_records
from recorder.report import report
from recorder.timeline import build
from recorder.watch import TrackFacts
from tests.media.beepflash import FPS, opus, rtp, vp8, vp8_packets
from tests.media.capturekit import S, person, us

pytestmark = pytest.mark.media
ALICE = person("alice", "mic", "camera")
SECONDS = 12
Packet = tuple[float, int, bytes]
"""When it arrives, its track, its bytes."""


def packets(chance: random.Random, loss: float) -> list[Packet]:
    """A camera and a microphone; some packets come late and out of order, some never, and some are but padding."""
    made: list[Packet] = []
    sequences = {1: itertools.count(65_500), 2: itertools.count(65_400)}

    def send(track: int, at: float, payload: bytes, marker: bool) -> None:
        rate = 90_000 if track == 1 else 48_000
        data = rtp(96, next(sequences[track]), round(at * rate) + 2**32 - rate, 1000 + track, marker, payload)
        arrives = at + chance.random() * 0.03
        if chance.random() < loss:
            arrives += 0.12  # sent again
            if chance.random() < 0.3:
                return
        made.append((arrives, track, data))

    for number, frame in enumerate(vp8(0, SECONDS)):
        for payload, marker in vp8_packets(frame, 100):
            send(1, number / FPS, payload, marker)
        if number % 9 == 0:
            data = rtp(96, next(sequences[1]), 0, 1001, False, bytes(7) + b"\x08")
            made.append((number / FPS + 0.031, 1, bytes([data[0] | 0x20]) + data[1:]))
    for number, frame in enumerate(opus(0, SECONDS)):
        if not 4.0 <= number / 50 < 6.0:  # switched off meanwhile
            send(2, number / 50, frame, True)
    return sorted(made, key=lambda packet: packet[0])


class Recorder:
    """One recorder's life: takes the row from where its journal says, until it is killed."""

    def __init__(self, folder: Path, at_s: float) -> None:
        self.capture = Capture(folder, {"recording_id": "k1"}, us(at_s))
        now = self.capture.time_us(us(at_s))
        self.capture.consent({"alice": False}, now)
        self.capture.roster([ALICE], now)
        wanted = self.capture.goes_on_from
        self.next = wanted.position if wanted is not None else 1
        self.capture.tapped("run", True, us(at_s))

    def read(self, row: list[Packet], until: int) -> None:
        for position in range(max(1, self.next), until + 1):
            arrives, track, data = row[position - 1]
            for number, source, codec, rate in ((1, "camera", "vp8", 90_000), (2, "mic", "opus", 48_000)):
                if track == number and self.capture.track(number) is None:
                    facts = TrackFacts(number, "alice", "p", source, codec, rate, 2, 1000 + number)
                    self.capture.track_added(facts)
            self.capture.packet(track, data, us(arrives), position)
        self.next = max(self.next, until + 1)

    def tick(self, row: list[Packet], *, saved: bool = True) -> None:
        at = self.capture.time_us(us(row[self.next - 2][0]) if self.next > 1 else us(0))
        self.capture.tick(at)
        if saved:
            self.capture.save("run", self.next - 1, at)

    def kill(self) -> None:
        """Its memory is gone; what it has handed to the system is not."""
        self.capture._journal._lines.clear()
        self.capture._journal._frames.clear()
        self.capture.abandon()


def play(folder: Path, row: list[Packet], kills: list[tuple[int, bool]]) -> None:
    """``kills``: after how many packets, and whether between a write of the journal and that of its state."""
    recorder = Recorder(folder, 0.0)
    ticks = iter(range(100, len(row), 97))
    tick = next(ticks)
    for at, halfway in [*kills, (len(row), False)]:
        while tick < at:
            recorder.read(row, tick)
            if not recorder.capture.behind or recorder.next > tick:
                recorder.capture.live(us(row[tick - 1][0]))
            recorder.tick(row)
            tick = next(ticks, len(row) + 1)
        recorder.read(row, at)
        if halfway:
            recorder.tick(row, saved=False)
        if at < len(row):
            recorder.kill()
            recorder = Recorder(folder, row[at - 1][0] + 3.0)
    recorder.capture.live(us(row[-1][0]))
    for late in range(1, 10):
        recorder.capture.tick(us(row[-1][0] + 0.2 * late))
    recorder.capture.close(us(row[-1][0] + 2.0))


def frames(folder: Path) -> list[tuple[str, int, bytes]]:
    sources = {x["n"]: x["source"] for x in read_manifest(folder) if x["k"] == "segment"}
    return sorted((sources[r.segment], r.arrival_us, r.data) for r in read_records(folder))


@pytest.mark.parametrize("loss", [0.0, 0.08])
@pytest.mark.parametrize("seed", range(6))
def test_kills_at_random_points_leave_the_journal_of_a_recorder_that_lived(
    tmp_path: Path, seed: int, loss: float
) -> None:
    chance = random.Random(seed)
    row = packets(chance, loss)
    play(tmp_path / "whole", row, [])
    points = sorted(chance.sample(range(60, len(row) - 60), 5))
    points[2] = points[1] + 3  # while it was still reading what had come meanwhile
    play(tmp_path / "killed", row, [(at, chance.random() < 0.5) for at in sorted(set(points))])
    whole, killed = frames(tmp_path / "whole"), frames(tmp_path / "killed")
    assert len(whole) > 500
    assert killed == whole
    told = []
    for name in ("whole", "killed"):
        lines = read_manifest(tmp_path / name)
        facts = dict(report(lines, build(lines)).facts)
        assert facts["gaps"] == []
        told.append(facts)
    # One that is killed before it has written anything leaves no trace.
    assert 2 <= told[1]["restarts"] <= 5 and told[0]["restarts"] == 0
    assert told[1]["lost_packets"] == told[0]["lost_packets"]


def test_without_what_was_kept_the_gap_is_told_from_the_last_thing_written_to_the_next_that_came(
    tmp_path: Path,
) -> None:
    row = packets(random.Random(1), 0.0)
    first = Recorder(tmp_path / "j", 0.0)
    first.read(row, 300)
    first.tick(row)
    first.kill()
    second = Capture(tmp_path / "j", {"recording_id": "k1"}, us(9.0))
    second.consent({"alice": False}, us(9.0))
    second.roster([ALICE], second.time_us(us(9.0)))
    second.tapped("another run", False, us(9.0))
    second.live(us(9.0))
    second.track_added(TrackFacts(1, "alice", "p", "mic", "opus", 48_000, 2, 1002))
    second.packet(1, rtp(96, 1, 0, 1002, True, b"\xf8\xff\xfe"), us(9.5), 1)
    second.close(us(10.0))
    lines = read_manifest(tmp_path / "j")
    timeline = build(lines)
    [gap] = timeline.gaps
    assert abs(gap.start - us(row[299][0])) < 0.3 * S and gap.end == us(9.5)
    told = report(lines, timeline)
    assert told.facts["gaps"][0]["reason"] == "recorder"
    assert any("while the recorder was restarted" in warning for warning in told.warnings)


def test_times_that_are_not_now_raise_an_alarm_at_once_and_end_it(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "j", {"recording_id": "k1"}, us(0))
    capture.consent({"alice": False}, us(0))
    capture.track_added(TrackFacts(1, "alice", "p", "mic", "opus", 48_000, 2, 1001))
    for n in range(100):
        shift = 3600.0 if 20 <= n < 60 else 0.0
        capture.packet(1, rtp(96, n, n * 960, 1001, True, b"\xf8\xff\xfe"), us(n * 0.02 + shift))
        if n % 10 == 9:
            capture.tick(us(n * 0.02))
    alarms = [(alarm.code, alarm.active, (alarm.at_us - us(0)) / S) for alarm in capture.take_alarms()]
    assert [(code, active) for code, active, _ in alarms] == [("clock_apart", True), ("clock_apart", False)]
    assert alarms[0][2] < 1.0, "within a second of the first wrong time"
    capture.close(us(3.0))
    lines = read_manifest(tmp_path / "j")
    assert any("clocks were 3600 s apart" in text for text in report(lines, build(lines)).warnings)


def test_who_declined_while_no_recorder_was_there_is_not_written(tmp_path: Path) -> None:
    row = packets(random.Random(3), 0.0)
    first = Recorder(tmp_path / "j", 0.0)
    first.read(row, 300)
    first.tick(row)
    written = len(frames(tmp_path / "j"))
    first.kill()
    second = Capture(tmp_path / "j", {"recording_id": "k1"}, us(9.0))
    second.consent({"alice": True}, second.time_us(us(9.0)))
    assert second.goes_on_from is not None
    second.tapped("run", True, us(9.0))
    for position in range(second.goes_on_from.position, 400):
        arrives, track, data = row[position - 1]
        second.packet(track, data, us(arrives), position)
    second.live(us(9.0))
    second.close(us(10.0))
    assert len(frames(tmp_path / "j")) == written
    assert {x["reason"] for x in read_manifest(tmp_path / "j") if x["k"] == "end"} == {"declined"}
