"""Manifest → time line (pauses, gaps, clocks), and layout: pure functions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recorder.journal import parse_manifest
from recorder.layout import GAP, Rect, fit, grid, stage
from recorder.loudness import SILENT_DB, energy, lufs
from recorder.mix import BLOCK, CEILING, Leveller, Limiter
from recorder.tap import Decoder, Message, Rtp, TapBroken, encode_json, encode_rtp
from recorder.timeline import NTP_EPOCH_US, SETTLE_US, BadManifest, TimelineBuilder, build

pytestmark = pytest.mark.unit
T0 = 1_800_000_000_000_000
S = 1_000_000


def line(kind: str, at_s: float, **facts: Any) -> dict[str, Any]:
    return {"k": kind, "at": T0 + round(at_s * S), **facts}


def ntp(at_s: float, clock_error_s: float = 0.0) -> int:
    us = T0 + round((at_s + clock_error_s) * S) + NTP_EPOCH_US
    return (us << 32) // S


def segment(number: int, at_s: float, source: str, codec: str, rate: int, peer: str = "p") -> dict[str, Any]:
    return line(
        "segment", at_s, n=number, person_id=peer, peer_id=peer, source=source, codec=codec, clock_rate=rate
    )


def test_pauses_are_cut_and_the_length_is_stop_minus_start_minus_pauses() -> None:
    t = build([line("start", 0), line("pause", 2), line("resume", 5), line("pause", 8), line("stop", 10)])
    assert t.duration == 5 * S
    assert t.rec(T0 + 1 * S) == 1 * S
    assert t.rec(T0 + 3 * S) is None
    assert t.rec(T0 + 6 * S) == 3 * S
    assert t.rec(T0 - 1) is None and t.rec(T0 + 10 * S) is None


@given(st.lists(st.integers(1, 9_000), min_size=2, max_size=12, unique=True).map(sorted))
def test_file_time_and_wall_time_are_inverse(edges: list[int]) -> None:
    lines = [line("start", 0)]
    for number, edge in enumerate(edges):
        lines.append(line("pause" if number % 2 == 0 else "resume", edge / 1000))
    lines.append(line("stop", 10))
    t = build(lines)
    for rec in range(0, t.duration, max(1, t.duration // 50)):
        assert t.rec(t.wall(rec)) == rec


def test_sound_and_picture_meet_by_the_senders_clock_though_one_is_late() -> None:
    """Pictures arrive 200 ms later than sound; the sender's clock is 90 s wrong; its camera clock runs 50 ppm fast."""
    lines = [
        line("start", 0),
        segment(1, 0, "mic", "opus", 48_000),
        segment(2, 0.2, "camera", "vp8", 90_000),
    ]
    for second in range(0, 200, 2):
        video_rtp = 5_000 + round(second * 90_000 * 1.00005)
        lines += [
            line("sr", second + 0.02, n=1, ntp=ntp(second, 90), rtp=77 + second * 48_000),
            line("sr", second + 0.22, n=2, ntp=ntp(second, 90), rtp=video_rtp),
            line("mark", second + 0.02, n=1, rtp=77 + second * 48_000),
            line("mark", second + 0.22, n=2, rtp=video_rtp),
        ]
    t = build([*sorted(lines, key=lambda x: x["at"]), line("stop", 200)])
    assert {s.by for s in t.segments.values()} == {"reports"}
    for second in (0, 60, 199):
        sound = t.segments[1].wall(77 + second * 48_000)
        picture = t.segments[2].wall(5_000 + round(second * 90_000 * 1.00005))
        assert abs(sound - picture) < 2_000
        assert abs(sound - (T0 + second * S)) < 30_000


def test_without_or_with_absurd_reports_arrival_decides() -> None:
    lines = [line("start", 0), segment(1, 1, "mic", "opus", 48_000)]
    lines += [line("mark", 1 + second, n=1, rtp=second * 48_000) for second in range(5)]
    plain = build([*lines, line("stop", 9)])
    assert plain.segments[1].by == "arrival"
    assert plain.segments[1].wall(48_000) == T0 + 2 * S
    absurd = [line("sr", 2, n=1, ntp=ntp(2), rtp=10), line("sr", 4, n=1, ntp=ntp(4), rtp=48_000 * 60)]
    assert build([*lines, *absurd, line("stop", 9)]).segments[1].by == "arrival"


def test_torn_and_foreign_lines_are_left_out() -> None:
    good = json.dumps(line("start", 0)).encode()
    lines = parse_manifest(good + b'\n{"k":"pause","a\n[1]\nnull\n' + json.dumps(line("beat", 3)).encode())
    assert [x["k"] for x in lines] == ["start", "beat"]
    t = build(lines)
    assert not t.complete and t.duration == 3 * S
    with pytest.raises(BadManifest):
        build([line("beat", 1)])


def test_crash_ends_open_segments_and_leaves_a_gap() -> None:
    lines = [line("start", 0), segment(1, 0, "mic", "opus", 48_000), line("mark", 0, n=1, rtp=0)]
    lines += [line("adopt", 6), line("gap", 6, since=T0 + 4 * S, reason="recorder"), line("stop", 9)]
    t = build(lines)
    assert (t.segments[1].end, t.segments[1].end_reason) == (T0 + 6 * S, "crash")
    assert [(g.start - T0, g.end - T0) for g in t.gaps] == [(4 * S, 6 * S)]


def test_people_stand_in_order_of_joining_and_only_while_they_are_there() -> None:
    def person(at: float, who: str, entered: float, camera: bool) -> dict[str, Any]:
        return line(
            "person",
            at,
            person_id=who,
            name=who,
            mic=True,
            camera=camera,
            screen=False,
            entered=T0 + round(entered * S),
        )

    t = build(
        [
            line("start", 0),
            person(0, "bob", -5, False),
            person(1, "alice", -9, True),
            person(4, "alice", -9, False),
            line("left", 6, person_id="bob"),
            line("stop", 9),
        ]
    )
    assert [p.person_id for p in t.present(T0)] == ["bob"]
    assert [p.person_id for p in t.present(T0 + 2 * S)] == ["alice", "bob"]
    assert [p.person_id for p in t.present(T0 + 7 * S)] == ["alice"]
    # Alice switched her camera off; Bob's client never said that his is on, so his packets decide.
    assert t.present(T0 + 5 * S)[0].camera_off and not t.present(T0 + 5 * S)[1].camera_off


def test_a_growing_time_line_is_settled_up_to_a_while_ago_and_clocks_hold_for_a_day() -> None:
    """26 h: the 90 kHz counter of 32 bits wraps twice (the journal extends it); the camera's clock runs 40 ppm slow."""
    builder = TimelineBuilder()
    builder.add(line("start", 0))
    builder.add(segment(1, 0, "mic", "opus", 48_000))
    builder.add(segment(2, 0, "camera", "vp8", 90_000))
    hours = 26
    for second in range(0, hours * 3600, 20):
        sound, picture = second * 48_000, 4_000_000_000 + round(second * 90_000 * 0.99996)
        builder.add(line("sr", second + 0.03, n=1, ntp=ntp(second, 5), rtp=sound))
        builder.add(line("sr", second + 0.03, n=2, ntp=ntp(second, 5), rtp=picture))
        builder.add(line("mark", second + 0.03, n=1, rtp=sound))
        builder.add(line("mark", second + 0.06, n=2, rtp=picture))
        if second == 7200:
            early = builder.build()
            assert early.settled == early.stop - SETTLE_US and not early.complete
    builder.add(line("stop", hours * 3600))
    t = builder.build()
    assert t.settled == t.stop == T0 + hours * 3600 * S and builder.stopped
    for hour in (0, 13, 14, 25):
        sound = t.segments[1].wall(hour * 3600 * 48_000)
        picture = t.segments[2].wall(4_000_000_000 + round(hour * 3600 * 90_000 * 0.99996))
        assert abs(sound - picture) < 1_000 and abs(sound - (T0 + hour * 3600 * S)) < 40_000
    # What was known after two hours differs little from what is known at the end: composing early is safe.
    for number in (1, 2):
        rtp = 0 if number == 1 else 4_000_000_000
        assert abs(early.segments[number].wall(rtp) - t.segments[number].wall(rtp)) < 5_000


def test_everything_written_before_a_pause_is_settled() -> None:
    builder = TimelineBuilder()
    for item in (line("start", 0), line("beat", 30), line("pause", 31)):
        builder.add(item)
    assert builder.build().settled == T0 + 31 * S


def overlap(a: Rect, b: Rect) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


@given(
    st.integers(0, 40), st.sampled_from([(1280, 720), (640, 360), (1920, 1080), (720, 1280)]), st.booleans()
)
def test_tiles_are_even_inside_and_apart(count: int, size: tuple[int, int], share: bool) -> None:
    keys = [str(n) for n in range(count)]
    placed = stage("0", keys, *size) if share else grid(keys, *size)
    rects = [rect for _, rect in placed.tiles]
    rects += [r for r in (placed.more_rect, placed.stage[1] if placed.stage else None) if r]
    for rect in rects:
        assert rect.x >= 0 and rect.y >= 0 and rect.right <= size[0] and rect.bottom <= size[1]
        assert not any(value % 2 for value in (rect.x, rect.y, rect.width, rect.height))
    assert not any(overlap(a, b) for n, a in enumerate(rects) for b in rects[:n])
    assert len(placed.tiles) + placed.more == count
    assert [key for key, _ in placed.tiles] == keys[: len(placed.tiles)]


def test_grid_columns_and_stage_proportions() -> None:
    wide = {n: len({r.x for _, r in grid([str(i) for i in range(n)], 1280, 720).tiles}) for n in (1, 2, 4, 9)}
    assert wide == {1: 1, 2: 2, 4: 2, 9: 3}
    four = grid(list("abcd"), 1280, 720)
    assert four.tiles[1][1].x - four.tiles[0][1].right == GAP
    shared = stage("a", list("abcdef"), 1280, 720)
    assert shared.stage is not None and shared.stage[1] == Rect(0, 0, 960, 720)
    assert len(shared.tiles) == 3 and shared.more == 3


@given(st.integers(16, 4000), st.integers(16, 4000))
def test_fit_never_squeezes(width: int, height: int) -> None:
    inner = fit(width, height, Rect(10, 20, 420, 236))
    assert inner.x >= 10 and inner.right <= 430 and inner.y >= 20 and inner.bottom <= 256
    scale = min(420 / width, 236 / height)
    assert abs(inner.width - width * scale) <= 2 and abs(inner.height - height * scale) <= 2


def test_limiter_holds_the_ceiling_and_leaves_quiet_sound_alone() -> None:
    quiet = np.full((2, 2048), 0.3, np.float32)
    assert Limiter().apply(quiet.copy()).tolist() == quiet.tolist()
    limiter = Limiter()
    limiter.apply(np.full((2, 2048), 2.5, np.float32))
    loud = limiter.apply(np.full((2, 2048), 2.5, np.float32))
    assert loud.max() <= CEILING + 0.01


@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(1, 7))
def test_tap_frames_survive_any_cutting(payloads: list[bytes], size: int) -> None:
    stream = b"".join(encode_rtp(3, 1, 9, p) + encode_json({"op": "x"}) for p in payloads)
    decoder = Decoder()
    frames = [f for at in range(0, len(stream), size) for f in decoder.feed(stream[at : at + size])]
    assert [f.packet for f in frames if isinstance(f, Rtp)] == payloads
    assert sum(isinstance(f, Message) for f in frames) == len(payloads)


def test_tap_refuses_oversize_and_malformed_frames() -> None:
    for bad in (b"\xff\xff\xff\xff\x01", b"\x00\x00\x00\x02\x01{", b"\x00\x00\x00\x02\x02a"):
        with pytest.raises(TapBroken):
            list(Decoder().feed(bad))


def sine(hertz: float, amplitude: float, seconds: float = 0.0) -> NDArray[np.float32]:
    at = np.arange(round(seconds * 48_000) or BLOCK) / 48_000
    return np.stack([amplitude * np.sin(2 * np.pi * hertz * at)] * 2).astype(np.float32)


def test_loudness_is_that_of_bs_1770() -> None:
    calibration = sine(997, 1.0)
    assert abs(lufs(energy(calibration)) - 0.0) < 0.1, "both channels"
    calibration[1] = 0.0
    assert abs(lufs(energy(calibration)) + 3.01) < 0.1, "one channel"
    assert lufs(energy(sine(40, 1.0))) < -4.0 and lufs(energy(sine(4000, 1.0))) > 3.0, "as ears hear"
    assert lufs(energy(np.zeros((2, BLOCK), dtype=np.float32))) == SILENT_DB


@pytest.mark.parametrize("amplitude", [0.02, 0.2, 0.4])
def test_every_voice_comes_to_the_same_loudness(amplitude: float) -> None:
    leveller = Leveller()
    for _ in range(120):  # 20 s
        block = sine(500, amplitude)
        leveller.apply(block)
    assert abs(lufs(energy(block)) + 20.0) < 0.5 or leveller.gain_db == pytest.approx(12.0, abs=0.1)
