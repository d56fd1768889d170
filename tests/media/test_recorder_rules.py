"""The rules of writing encoded RTP now and composing later: one test for each way in which others have lost media."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.sdp import OUT_CODECS
from recorder import journal
from recorder.capture import ASK_US, Selection
from recorder.clock import SteadyClock
from recorder.frames import ASSEMBLERS
from recorder.journal import media_files, read_manifest, read_records
from recorder.report import report
from recorder.timeline import build
from recorder.watch import MISSING_US, SILENT_US, STUCK_US
from tests.media.beepflash import rtp
from tests.media.capturekit import S, Session, person, us

pytestmark = pytest.mark.media
KEY = b"\x10" + bytes([0, 0, 0]) + b"\x9d\x01\x2a" + bytes([0x40, 0x01, 0xB4, 0x00]) + b"rest"
DELTA = b"\x10" + bytes([1, 0, 0]) + b"rest"
ALICE = person("alice", "mic", "camera")


def asked(session: Session, times: Iterator[float] | list[float]) -> list[float]:
    """When, of the given ticks, a keyframe of track 1 was asked for."""
    return [at for at in times if 1 in session.tick(at)]


def fifths(start: float, end: float) -> list[float]:
    return [start + n * 0.2 for n in range(round((end - start) * 5))]


# -- keyframes ---------------------------------------------------------------------------------------------------------


def camera(tmp_path: Path) -> Session:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "camera")
    return session


def test_a_keyframe_is_asked_for_at_the_start_until_one_comes(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.packet(1, 1, 0.1, DELTA)
    assert session.tick(0.3) == [1]
    session.packet(1, 2, 0.4, KEY)
    assert asked(session, [0.5, 0.7, 0.9]) == []


def test_a_keyframe_is_asked_for_within_half_a_second_of_a_gap_that_nothing_filled(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, KEY)
    at, sequence = 3.0, 2
    while at < 4.0:
        if sequence != 4:
            session.packet(1, sequence, at, DELTA)
        sequence += 1
        at += 0.04
        if 1 in session.tick(at):
            break
    assert at - 3.08 <= 0.5, "the third packet was lost at 3.08 s"


def test_a_stalled_camera_is_asked_and_an_unmoved_screen_is_not(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.track(2, "alice", "screen")
    session.packet(1, 1, 0.0, KEY)
    session.packet(2, 1, 0.0, KEY)
    assert session.tick(0.8) == []
    assert session.tick(1.1) == [1]


def test_a_camera_that_is_switched_off_is_neither_asked_nor_said_to_stand_still(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.play(1, 0, 0.0, 3.0)
    session.people(person("alice", "mic"), at_s=3.4)
    assert asked(session, fifths(3.4, 6.0)) == []
    session.people(ALICE, at_s=6.0)
    session.play(1, 0, 6.2, 8.0)
    session.people(person("alice", "mic"), at_s=8.2)
    session.capture.track_removed(1, "lost", us(11.0))
    session.stop(12.0)
    assert session.lines("stalled") == [] == session.lines("broken")
    assert session.frames() == 15 * 3 + 27


PADDING = bytes(9) + b"\x0a"


def test_packets_of_padding_alone_are_counted_and_neither_begin_nor_break_anything(tmp_path: Path) -> None:
    """As Chromium probes the line: bursts in front of the first picture, between two, and when a source comes back."""
    session = camera(tmp_path)
    session.track(2, "alice", "mic")
    sequences = itertools.count(65_530)

    def padded(track: int, at_s: float) -> None:
        data = rtp(96, next(sequences), round(at_s * 90_000), 1000 + track, True, PADDING)
        session.capture.packet(track, bytes([data[0] | 0x20]) + data[1:], us(at_s))

    for n in range(10):
        padded(1, n * 0.001)
    assert session.lines("segment") == [], "nothing has begun"
    for n in range(60):
        at = 0.1 + n / 15
        payload = KEY if n == 0 else DELTA
        session.packet(1, next(sequences), at, payload[:3], marker=False)
        if n % 7 == 0:
            padded(1, at)
        session.packet(1, next(sequences), at, b"\x00rest")
        session.tick(at)
    for n in range(300):  # ten seconds of probes while the picture does not change
        padded(1, 4.2 + n / 30)
        session.tick(4.2 + n / 30)
    session.stop(15.0)
    [end] = session.lines("end")
    assert (end["frames"], end["lost"], end["bad"]) == (60, 0, 0)
    assert session.lines("broken") == [] == session.lines("stuck")
    assert len(session.lines("asked")) <= 4, "only for a camera that stands still"


def test_a_loss_before_padding_is_a_loss_for_the_picture_behind_it(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, KEY)
    session.packet(1, 2, 0.1, DELTA[:3], marker=False)  # 3, the middle of this picture, is lost
    data = rtp(96, 4, 9_000, 1001, True, PADDING)
    session.capture.packet(1, bytes([data[0] | 0x20]) + data[1:], us(0.11))
    session.packet(1, 5, 0.1, b"\x00rest")
    session.stop(1.0)
    [end] = session.lines("end")
    assert (end["frames"], end["lost"]) == (1, 1)


def test_what_the_media_worker_kept_back_or_could_not_read_is_not_lost_on_the_way(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, KEY)
    session.capture.dropped(1, 3, "full", us(0.1))
    session.packet(1, 5, 0.2, KEY)
    session.capture.dropped(1, 1, "malformed", us(0.3))
    session.packet(1, 7, 0.7, KEY)
    session.packet(1, 9, 1.2, KEY)  # and 8 is truly lost
    session.stop(2.0)
    [end] = session.lines("end")
    assert (end["frames"], end["lost"], end["bad"]) == (4, 1, 1)
    assert sum(line["packets"] for line in session.lines("dropped")) == 3
    facts = report(read_manifest(tmp_path / "j"), build(read_manifest(tmp_path / "j"))).facts
    assert (facts["lost_packets"], facts["dropped"], facts["malformed"]) == (1, 3, 1)


def test_losses_before_a_leap_of_times_are_told_once(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    for n in range(100):
        leap = 48_000 * 3600 if n >= 50 else 0
        if n not in (20, 21):
            data = rtp(96, n, (n * 960 + leap) % 2**32, 1001, True, b"\xf8\xff\xfe")
            session.capture.packet(1, data, us(n * 0.02))
    session.stop(3.0)
    assert [line["lost"] for line in session.lines("end")] == [2, 0]


def test_requests_are_at_most_one_a_second_and_back_off(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, DELTA)
    times = asked(session, fifths(0.2, 20.0))
    pauses = [round((b - a) * S) for a, b in itertools.pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, [*ASK_US, *[ASK_US[-1]] * 9], strict=False))
    assert min(pauses) >= S and len(times) <= 6
    assert [line["at"] - us(0) for line in session.lines("asked")] == [round(t * S) for t in times]


def test_losses_in_quick_succession_still_ask_only_once_a_second(tmp_path: Path) -> None:
    session = camera(tmp_path)
    times, sequence = [], 0
    for tick in range(50):
        at = tick * 0.2
        sequence += 2  # each time one packet is missing
        session.packet(1, sequence, at, KEY if tick % 2 == 0 else DELTA)
        times += [at] if 1 in session.tick(at + 0.1) else []
    assert times and min(b - a for a, b in itertools.pairwise(times)) >= 0.99


def test_resume_and_a_new_ssrc_and_an_unmuted_camera_ask_anew(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, KEY)
    session.tick(0.2)
    session.capture.pause(us(1))
    session.capture.resume(us(5))
    assert session.tick(5.1) == [1], "not one packet has come since the pause, yet the keyframe is asked for"
    session.capture.track_removed(1, "replaced", us(6))
    session.track(2, "alice", "camera")
    session.packet(2, 1, 6.0, DELTA)
    assert session.tick(6.1) == [2]


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05, 0.10])
def test_losses_jitter_and_reordering_freeze_at_most_two_seconds(tmp_path: Path, loss: float) -> None:
    """A camera of 25 pictures a second in three packets each; lost packets are sent again once, keyframes when asked."""
    chance = random.Random(round(loss * 100) + 3)
    session = camera(tmp_path)
    sent: list[tuple[float, int, float, bytes, bool]] = []
    sequence, wanted_key = 0, True
    for picture in range(25 * 60):
        at = picture / 25
        body = KEY if wanted_key else DELTA
        wanted_key = False
        for part, payload in enumerate((body, b"\x00two", b"\x00three")):
            sequence += 1
            arrives = at + 0.02 + chance.random() * 0.03  # jitter: packets overtake each other
            if chance.random() < loss:
                arrives += 0.1  # asked for again by the server
                if chance.random() < loss:
                    continue
            sent.append((arrives, sequence, at, payload, part == 2))
        for packet in sorted(p for p in sent if p[0] <= at):
            data = rtp(96, packet[1], round(packet[2] * 90_000), 1001, packet[4], packet[3])
            session.capture.packet(1, data, us(packet[0]))
        sent = [p for p in sent if p[0] > at]
        if picture % 5 == 0 and 1 in session.tick(at):
            wanted_key = True
    session.stop(60.0)
    spans = [(line["at"] - line["since"]) / S for line in session.lines("broken")]
    assert max(spans, default=0.0) <= 2.0, spans
    assert session.frames() >= (1490 if loss == 0 else 800)
    if loss == 0:
        assert spans == [] and len(session.lines("asked")) <= 3


def test_three_seconds_without_anything_are_told_and_nothing_is_shifted(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.track(2, "alice", "mic")
    for track in (1, 2):
        session.play(track, 0, 0.0, 3.0)
        session.play(track, 0, 6.0, 8.0)
    session.stop(8.0)
    [stalled] = session.lines("stalled")
    assert abs((stalled["at"] - stalled["since"]) / S - 3.0) < 0.2
    timeline = build(read_manifest(tmp_path / "j"))
    for record in read_records(tmp_path / "j"):
        placed = timeline.segments[record.segment].wall(record.rtp)
        assert abs(placed - record.arrival_us) < 20_000


# -- time --------------------------------------------------------------------------------------------------------------


def test_sender_reports_are_logged_with_extended_times(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    session.play(1, 0, 0.0, 3.0)
    session.stop(3.0)
    reports = session.lines("sr")
    assert len(reports) >= 2
    assert [b["rtp"] - a["rtp"] for a, b in itertools.pairwise(reports)] == [48_000] * (len(reports) - 1)
    assert {s.by for s in build(read_manifest(tmp_path / "j")).segments.values()} == {"reports"}


def test_counters_that_wrap_and_packets_from_before_the_wrap_keep_their_place(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    start = 2**32 - 48_000
    order = [n for n in range(100) if n != 49]
    order.insert(52, 49)  # sent before both wraps, received after them
    for n in order:
        data = rtp(96, 65_486 + n, start + n * 960, 1001, True, bytes([n]))
        session.capture.packet(1, data, us(n * 0.02))
    session.stop(3.0)
    records = list(read_records(tmp_path / "j"))
    assert [r.data[0] for r in records] == list(range(100))
    assert [r.rtp - records[0].rtp for r in records] == [n * 960 for n in range(100)]


def test_clocks_that_differ_are_found_and_the_difference_is_told(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    session.play(1, 0, 0.0, 120.0, ppm=80.0, ntp_error_s=33.0)
    session.stop(120.0)
    [segment] = build(read_manifest(tmp_path / "j")).segments.values()
    assert abs(segment.ppm - 80.0) < 12.0
    rtp_time = next(r.rtp for r in read_records(tmp_path / "j") if r.arrival_us >= us(119.0))
    assert abs(segment.wall(rtp_time) - us(119.0)) < 2_000


def test_late_tracks_do_not_change_the_length_and_nothing_is_shifted(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE, person("bob", "mic"))
    session.track(1, "alice", "mic")
    session.track(2, "bob", "mic")
    session.play(1, 0, 0.0, 2.0)
    session.play(2, 1, 7.0, 8.0)
    session.stop(20.0)
    timeline = build(read_manifest(tmp_path / "j"))
    assert timeline.duration == 20 * S
    first = {r.segment: r for r in reversed(list(read_records(tmp_path / "j")))}
    places = {n: timeline.rec(timeline.segments[n].wall(first[n].rtp)) for n in first}
    assert abs((places[2] or 0) - 7 * S) < 5_000


def test_a_stepped_wall_clock_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    clock = SteadyClock(tmp_path)
    clock.keep()
    real = time.time_ns
    before = clock.now_us()
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3600 * 10**9)
    assert 0 <= clock.now_us() - before < 60 * S, "the wall clock was set an hour on"
    again = SteadyClock(tmp_path)
    assert abs(again.now_us() - clock.now_us()) < S, "a recorder that starts anew goes on with the same time"
    assert abs(again.settle() - 3600 * S) < S
    assert abs(again.now_us() - (before + 3600 * S)) < 60 * S


# -- what changes on the way -------------------------------------------------------------------------------------------


def test_sizes_and_turned_cameras_are_noted_and_end_nothing(tmp_path: Path) -> None:
    session = camera(tmp_path)
    for number, (width, height) in enumerate([(640, 360), (320, 180), (320, 180), (360, 640)]):
        size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        session.packet(1, number, number * 0.1, KEY[:7] + size + b"rest")
    session.stop(1.0)
    assert [(x["width"], x["height"]) for x in session.lines("size")] == [(640, 360), (320, 180), (360, 640)]
    assert len(session.lines("segment")) == 1 and session.frames() == 4


def test_another_codec_or_ssrc_is_another_segment(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, KEY)
    session.capture.track_removed(1, "replaced", us(1))
    session.track(2, "alice", "camera", codec="h264")
    session.packet(2, 1, 1.0, b"\x65key")
    session.stop(2.0)
    assert [(x["codec"], x["ssrc"]) for x in session.lines("segment")] == [("vp8", 1001), ("h264", 1002)]
    assert [x["reason"] for x in session.lines("end")] == ["replaced", "stopped"]


def test_what_cannot_be_read_is_refused_with_its_codec(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.capture.refused("alice", "mic", "red", us(1))
    session.stop(2.0)
    assert [(x["source"], x["codec"]) for x in session.lines("refused")] == [("mic", "red")]
    assert set(ASSEMBLERS) == set(OUT_CODECS), "all that browsers may send can be written"


def test_muting_and_dtx_leave_holes_and_shift_nothing(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    session.play(1, 0, 0.0, 1.0)
    session.play(1, 0, 31.0, 32.0)  # half a minute of silence was not sent
    session.stop(40.0)
    timeline = build(read_manifest(tmp_path / "j"))
    places = [timeline.segments[1].wall(r.rtp) - us(0) for r in read_records(tmp_path / "j")]
    assert len(places) == 100
    assert abs(places[50] - 31 * S) < 5_000 and timeline.duration == 40 * S


@pytest.mark.parametrize("with_reports", [True, False])
def test_a_sender_that_does_not_count_while_muted_is_placed_where_it_spoke(
    tmp_path: Path, with_reports: bool
) -> None:
    # Chromium's microphones do so: the RTP time of a line without a track stands still.
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    if not with_reports:
        session.capture.sender_report = lambda *_: None  # type: ignore[method-assign]
    spoken = [(n * 5.0, n * 5.0 + 2.0) for n in range(5)]
    for number, (start, end) in enumerate(spoken):
        session.play(1, 0, start, end, halted_s=3.0 * number)
        session.tick(end)
    session.stop(25.0)
    timeline = build(read_manifest(tmp_path / "j"))
    records = list(read_records(tmp_path / "j"))
    assert len(records) == 500, "nothing is lost by it"
    for record in records:
        assert abs(timeline.segments[record.segment].wall(record.rtp) - record.arrival_us) < 20_000


def test_packets_that_were_held_up_and_catch_up_stay_in_their_segment(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    for n in range(200):
        at = n * 0.02
        # From the first second to 1.7 s nothing comes through; then all of it at once.
        arrival = max(at, 1.7 + (at - 1.0) / 100) if 1.0 <= at < 1.7 else at
        data = rtp(96, n, round(at * 48_000), 1001, True, b"\xf8\xff\xfe")
        session.capture.packet(1, data, us(arrival))
    session.stop(4.0)
    assert len(session.lines("segment")) == 1 and session.frames(1) == 200


def test_what_came_just_before_the_end_of_a_silence_is_not_kept_back_for_ever(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    session.play(1, 0, 0.0, 1.0)
    session.play(1, 0, 3.0, 3.1, halted_s=2.0)
    assert session.frames() == 50 or session.frames() == 0, "not yet known"
    session.tick(4.2)
    assert session.frames() == 55
    session.play(1, 0, 6.0, 6.1, halted_s=3.9)
    session.capture.pause(us(6.2))
    assert session.frames() == 60


def test_times_that_leap_begin_a_new_segment_and_no_hour_of_silence(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    for n in range(100):
        leap = 48_000 * 3600 if n >= 50 else 0
        data = rtp(96, n, (n * 960 + leap) % 2**32, 1001, True, b"\xf8\xff\xfe")
        session.capture.packet(1, data, us(n * 0.02))
    session.stop(3.0)
    timeline = build(read_manifest(tmp_path / "j"))
    places = [timeline.segments[r.segment].wall(r.rtp) - us(0) for r in read_records(tmp_path / "j")]
    assert len(places) == 100 and max(places) < 2.1 * S
    assert [x["reason"] for x in session.lines("end")] == ["jumped", "stopped"]


def test_nothing_at_all_is_written_while_paused(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.track(2, "alice", "mic")
    session.play(1, 0, 0.0, 1.0)
    session.play(2, 0, 0.0, 1.0)
    session.capture.pause(us(1.0))
    before = {path: path.stat().st_size for path in (tmp_path / "j").iterdir()}
    session.play(1, 0, 1.0, 3.0)
    session.play(2, 0, 1.0, 3.0)
    session.people(ALICE, person("bob", "mic"), at_s=2.0)
    session.capture.happened(9, "broadcast", us(2.0), text="secret")
    for at in fifths(1.0, 3.0):
        session.tick(at)
    assert {path: path.stat().st_size for path in (tmp_path / "j").iterdir()} == before
    session.capture.resume(us(3.0))
    session.play(1, 0, 3.0, 4.0)
    session.stop(4.0)
    timeline = build(read_manifest(tmp_path / "j"))
    assert timeline.duration == 2 * S
    assert not [r for r in read_records(tmp_path / "j") if us(1.0) <= r.arrival_us < us(3.0)]
    assert b"secret" not in (tmp_path / "j" / "manifest.jsonl").read_bytes()


# -- consent -----------------------------------------------------------------------------------------------------------


def test_nothing_is_written_of_somebody_who_declines(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE, person("bob", "mic", "camera", declined=True))
    session.track(1, "alice", "mic")
    session.track(2, "bob", "mic")
    session.track(3, "bob", "camera")
    for track in (1, 2, 3):
        session.play(track, 0, 0.0, 2.0)
    session.people(ALICE, person("bob", "mic", "camera"), at_s=2.0)
    session.play(2, 0, 2.0, 3.0)
    session.people(ALICE, person("bob", "mic", "camera", declined=True), at_s=3.0)
    session.play(2, 0, 3.0, 5.0)
    session.stop(5.0)
    written = {x["n"]: x["person_id"] for x in session.lines("segment")}
    assert sorted(written.values()) == ["alice", "bob"]
    bobs = [r.arrival_us for r in read_records(tmp_path / "j") if written[r.segment] == "bob"]
    assert us(2.0) <= min(bobs) and max(bobs) < us(3.0)
    declined = [x for x in session.lines("person") if x.get("declined")]
    assert [x["name"] for x in declined] == ["", ""]
    presences = [p for p in build(read_manifest(tmp_path / "j")).presences if p.person_id == "bob"]
    assert [(p.start, p.end) for p in presences] == [(us(2.0), us(3.0))]


def test_who_is_not_known_yet_waits_in_memory_and_loses_nothing_when_they_agree(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "bob", "mic")
    session.play(1, 0, 0.0, 1.0)
    assert session.frames() == 0
    session.people(ALICE, person("bob", "mic"), at_s=1.0)
    session.play(1, 0, 1.0, 2.0)
    session.stop(2.0)
    assert session.frames() == 100


def test_who_is_not_known_yet_and_declines_leaves_no_trace(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "bob", "mic")
    session.play(1, 0, 0.0, 1.0)
    session.people(ALICE, person("bob", "mic", declined=True), at_s=1.0)
    session.people(ALICE, person("bob", "mic"), at_s=2.0)
    session.stop(3.0)
    assert session.frames() == 0 and not session.lines("segment")


def test_only_the_chosen_people_and_kinds_are_captured(tmp_path: Path) -> None:
    wanted = Selection(frozenset({"bob", "late"}), audio=True, video=False)
    session = Session(tmp_path / "j", ALICE, person("bob", "mic"), selection=wanted)
    session.track(1, "alice", "mic")
    session.track(2, "bob", "mic")
    session.track(3, "bob", "camera")
    for track, codec in ((1, "opus"), (2, "opus"), (3, "vp8")):
        session.capture.packet(track, rtp(96, 1, 0, 1000 + track, True, KEY), us(0))
        assert codec
    session.people(ALICE, person("bob", "mic"), person("late", "mic"), at_s=5.0)
    session.track(4, "late", "mic")
    session.play(4, 0, 5.0, 6.0)
    session.stop(6.0)
    assert [(x["person_id"], x["source"]) for x in session.lines("segment")] == [
        ("bob", "mic"),
        ("late", "mic"),
    ]


# -- watchdogs ---------------------------------------------------------------------------------------------------------


def test_packets_of_which_nothing_is_written_raise_an_alarm_and_begin_afresh(tmp_path: Path) -> None:
    session = camera(tmp_path)
    at = 0.0
    while at < 40.0:
        session.packet(1, round(at * 25) + 1, at, b"\x10")  # never a whole frame
        session.tick(at)
        at += 0.04
    session.stop(at)
    stuck = [line["at"] - us(0) for line in session.lines("stuck")]
    assert STUCK_US <= stuck[0] < STUCK_US + 2 * S
    assert 2 <= len(stuck) <= 4, "less and less often"
    assert [x["reason"] for x in session.lines("end")].count("stuck") == len(stuck)


def test_what_is_switched_on_but_never_comes_is_told(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", person("alice", "mic", "screen"))
    session.track(1, "alice", "mic")
    for second in range(10):
        session.play(1, 0, float(second), second + 1.0)
        session.tick(second + 1.0)
    [missing] = session.lines("missing")
    assert (missing["person_id"], missing["source"]) == ("alice", "screen")
    assert MISSING_US <= missing["at"] - us(0) <= MISSING_US + 2 * S
    session.track(2, "alice", "screen")
    session.packet(2, 1, 10.0, KEY)
    session.tick(11.0)
    session.stop(12.0)
    assert [x["source"] for x in session.lines("found")] == ["screen"]


def test_a_microphone_that_is_on_and_silent_for_a_minute_is_told(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", person("alice", "mic"))
    session.track(1, "alice", "mic")
    session.play(1, 0, 0.0, 2.0)
    for n in range(3_300):
        session.packet(1, 65_600 + n, 2 + n * 0.02, b"\xf8\xff\xfe")
        if n % 50 == 0:
            session.tick(2 + n * 0.02)
    [silent] = session.lines("silent")
    assert SILENT_US <= silent["at"] - us(2.0) <= SILENT_US + 3 * S
    session.play(1, 0, 70.0, 71.0)
    session.stop(72.0)
    assert len(session.lines("heard")) == 1


# -- memory and disk ---------------------------------------------------------------------------------------------------


class FullDisk:
    """``os.write`` of a disk without space, until ``free``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._real = os.write
        monkeypatch.setattr(journal.os, "write", self._write)

    def _write(self, descriptor: int, data: bytes) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return self._real(descriptor, data)


def test_a_full_disk_bounds_memory_counts_what_is_dropped_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_PENDING", 200_000)
    disk = FullDisk(monkeypatch)
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, KEY + bytes(2_000))
    session.tick(0.1)
    disk.full = True
    for n in range(200):
        session.packet(1, 2 + n, 0.2 + n * 0.02, DELTA + bytes(2_000))
        with pytest.raises(OSError, match="No space"):
            session.tick(0.2 + n * 0.02)
    disk.full = False
    session.tick(4.3)
    session.packet(1, 202, 4.4, DELTA)
    assert 1 in session.tick(5.5), "frames were dropped: only a keyframe helps"
    session.packet(1, 203, 5.6, KEY)
    session.stop(6.0)
    [end] = session.lines("end")
    assert end["dropped"] >= 1 and 80 < end["frames"] < 110, (
        "what fits into the bound is kept, the rest is not"
    )
    assert session.lines("broken"), "the span without pictures stands in the manifest"
    assert sum(path.stat().st_size for path in media_files(tmp_path / "j")) < 400_000


def test_a_disk_that_is_full_at_the_end_loses_nothing_when_there_is_space_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    session = camera(tmp_path)
    session.packet(1, 1, 0.0, KEY)
    session.tick(0.1)
    session.packet(1, 2, 0.2, DELTA)
    disk.full = True
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            session.stop(1.0, "moderator")
    disk.full = False
    session.stop(2.0, "moderator")
    session.stop(3.0, "moderator")
    assert [(x["at"] - us(0), x["reason"]) for x in session.lines("stop")] == [(S, "moderator")]
    assert session.frames() == 2


def test_a_journal_cut_anywhere_is_readable_up_to_there(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.track(2, "alice", "mic")
    session.play(1, 0, 0.0, 3.0)
    session.play(2, 0, 0.0, 3.0)
    session.stop(3.0)
    whole = list(read_records(tmp_path / "j"))
    log, manifest = media_files(tmp_path / "j")[0], tmp_path / "j" / "manifest.jsonl"
    data, lines = log.read_bytes(), manifest.read_bytes()
    cuts = random.Random(7)
    for _ in range(40):
        log.write_bytes(data[: cuts.randrange(len(data))])
        manifest.write_bytes(lines[: cuts.randrange(200, len(lines))])
        records = list(read_records(tmp_path / "j"))
        assert records == whole[: len(records)]
        assert build(read_manifest(tmp_path / "j")).duration <= 3 * S


def test_an_adopted_journal_goes_on_behind_a_torn_line(tmp_path: Path) -> None:
    session = camera(tmp_path)
    session.play(1, 0, 0.0, 2.0)
    session.tick(2.0)
    session.capture.abandon()
    with (tmp_path / "j" / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"k":"beat","a')
    again = Session(tmp_path / "j", ALICE, at_s=4.0)
    again.track(1, "alice", "camera")
    again.play(1, 0, 4.0, 5.0)
    again.stop(5.0, "moderator")
    timeline = build(read_manifest(tmp_path / "j"))
    assert len(timeline.segments) == 2 and timeline.complete and len(timeline.gaps) == 1
    assert again.lines("stop")[0]["reason"] == "moderator"
