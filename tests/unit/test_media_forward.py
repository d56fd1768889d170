"""Rewriting of sequence numbers and timestamps, loss, reports: arithmetic of the forwarder."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.forward import CACHE_SIZE, NACK_AFTER_S, PLI_INTERVAL_S, RESEND_PER_S, Line, Source
from media.rtp import (
    ExtensionIds,
    extension,
    is_h264_keyframe,
    is_vp8_keyframe,
    out_extension,
    payload_offset,
)
from media.sdp import H264, OPUS, VP8
from models.values import MediaSource, PersonId

pytestmark = pytest.mark.unit
KEY, DELTA = b"\x10\x00", b"\x10\x01"


class Wire:
    """What a subscriber is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, int, bytes]] = []

    def send_packet(
        self, first: int, second: int, sequence: int, timestamp: int, ssrc: int, tail: bytes
    ) -> None:
        assert first & 0xD0 == 0x90 and 0 <= second < 256
        assert 0 <= sequence < 1 << 16 and 0 <= timestamp < 1 << 32
        self.sent.append((sequence, timestamp, ssrc, tail))

    @property
    def sequences(self) -> list[int]:
        return [sequence for sequence, _timestamp, _ssrc, _tail in self.sent]


def video(person: str = "alice") -> Source:
    source = Source(f"peer-{person}", PersonId(person), MediaSource.CAMERA, VP8, ExtensionIds())
    source.set_ssrc(0x1111)
    source.live = True
    return source


def audio() -> Source:
    source = Source("peer", PersonId("alice"), MediaSource.MIC, OPUS, ExtensionIds(audio_level=3))
    source.set_ssrc(0x2222)
    return source


def packet(sequence: int, timestamp: int, payload: bytes, ssrc: int = 0x1111) -> bytes:
    return struct.pack("!BBHLL", 0x80, 96, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def give(source: Source, sequence: int, timestamp: int, now: float, payload: bytes = DELTA) -> bool:
    data = bytearray(packet(sequence, timestamp, payload))
    return source.receive(data, len(data), 0, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, now)


def line(wire: Wire, kind: str = "video") -> Line:
    return Line("0", kind, 0xABCDEF01, 90000 if kind == "video" else 48000, wire)


def continuous(sequences: list[int]) -> bool:
    return all((b - a) & 0xFFFF == 1 for a, b in pairwise(sequences))


@given(
    starts=st.lists(
        st.tuples(
            st.integers(0, 65535),
            st.integers(0, 2**32 - 1),
            st.integers(1, 60),
            st.floats(0.02, 5.0, allow_nan=False),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_switches_of_source_run_on_without_a_gap(starts: list[tuple[int, int, int, float]]) -> None:
    wire = Wire()
    out = line(wire)
    now = 100.0
    times: list[float] = []
    for first, stamp, count, pause in starts:
        now += pause
        source = video()
        out.attach(source, 96)
        give(source, first - 1, stamp - 3000, now, DELTA)  # before the keyframe: not forwarded
        for index in range(count):
            assert give(source, first + index, stamp + 3000 * index, now, KEY if index == 0 else DELTA)
            times.append(now)
            now += 1 / 30
    assert continuous(wire.sequences)
    assert len(wire.sent) == len(times)
    stamps = [timestamp for _s, timestamp, _ssrc, _t in wire.sent]
    for index in range(1, len(stamps)):
        step = (stamps[index] - stamps[index - 1]) & 0xFFFFFFFF
        assert abs(step - (times[index] - times[index - 1]) * 90000) <= 2, "time runs on with the clock"
    assert {ssrc for _s, _t, ssrc, _tail in wire.sent} == {out.ssrc}


@given(order=st.permutations(range(40)), first=st.integers(0, 65535))
def test_reordered_and_lost_packets_keep_their_distance(order: list[int], first: int) -> None:
    wire = Wire()
    out = line(wire)
    source = video()
    out.attach(source, 96)
    give(source, first, 0, 1.0, KEY)
    base = wire.sequences[0]
    for step in order[:30]:
        give(source, first + 1 + step, 3000 * (step + 1), 1.1)
    assert [(s - base) & 0xFFFF for s in wire.sequences[1:]] == [1 + step for step in order[:30]]
    give(source, first - 1, 0, 1.2)
    assert len(wire.sent) == 31, "what is older than the switch belongs to what the line showed before"


def test_long_stream_wraps_many_times() -> None:
    wire = Wire()
    out = line(wire)
    source = video()
    out.attach(source, 96)
    for index in range(200_000):
        give(source, 65000 + index, index * 3000, index / 30, KEY if index == 0 else DELTA)
    assert len(wire.sent) == 200_000
    assert continuous(wire.sequences)
    assert source.cycles + source.high - source.base_sequence + 1 == 200_000
    assert source.loss_since_report()[:2] == (0, 0)


def test_video_waits_for_a_keyframe_and_audio_does_not() -> None:
    wire = Wire()
    out = line(wire)
    source = video()
    out.attach(source, 96)
    assert source.keyframe_wanted
    for index in range(5):
        give(source, index, index * 3000, 1.0)
    assert wire.sent == [] and out.is_waiting
    give(source, 5, 15000, 1.1, KEY)
    assert len(wire.sent) == 1 and not source.keyframe_wanted

    sound = audio()
    heard = Wire()
    line(heard, "audio").attach(sound, 111)
    give(sound, 1, 960, 1.0, b"opus")
    assert len(heard.sent) == 1


def test_muted_source_is_silent_and_runs_on_when_unmuted() -> None:
    wire = Wire()
    out = line(wire, "audio")
    source = audio()
    out.attach(source, 111)
    for index in range(10):
        give(source, index, index * 960, index * 0.02, b"x")
    source.set_muted(True)
    for index in range(10, 60):
        give(source, index, index * 960, index * 0.02, b"x")
    assert len(wire.sent) == 10
    source.set_muted(False)
    for index in range(60, 70):
        give(source, index, index * 960, index * 0.02, b"x")
    assert continuous(wire.sequences) and len(wire.sent) == 20
    assert source.received == 70, "what is muted is still counted for reports"


def test_nack_is_answered_from_the_cache_for_this_source_only() -> None:
    wire = Wire()
    out = line(wire)
    before, after = video("bob"), video("charlie")
    out.attach(before, 96)
    give(before, 500, 0, 1.0, KEY)
    old = wire.sequences[0]
    out.attach(after, 96)
    for index in range(20):
        give(
            after,
            65530 + index,
            index * 3000,
            2.0 + index / 30,
            KEY if index == 0 else DELTA + bytes([index]),
        )
    wanted = wire.sent[5]
    count = len(wire.sent)
    assert out.resend([wanted[0]], 3.0) == 1
    assert wire.sent[count] == wanted, "the same packet under the same number"
    assert out.resend([old, (wire.sequences[count - 1] + 9) & 0xFFFF], 3.0) == 0


def test_resending_is_bounded() -> None:
    wire = Wire()
    out = line(wire)
    source = video()
    out.attach(source, 96)
    for index in range(CACHE_SIZE * 2):
        give(source, index, index, 1.0, KEY if index == 0 else DELTA)
    everything = wire.sequences[:]
    assert out.resend(everything, 2.0) == RESEND_PER_S
    assert out.resend(everything, 2.5) == 0
    assert out.resend(everything[:10], 3.1) == 0, "too old to be kept"
    assert out.resend(everything[-10:], 3.1) == 10


def test_gaps_are_asked_for_until_they_come_or_time_out() -> None:
    source = video()
    give(source, 65534, 0, 1.0, KEY)
    give(source, 2, 9000, 1.0)
    assert source.nacks(1.0) == [], "reordering gets a moment"
    now = 1.0 + NACK_AFTER_S + 0.001
    assert source.nacks(now) == [65535, 0, 1]
    assert source.nacks(now + 0.01) == []
    give(source, 0, 6000, now)
    assert source.nacks(now + 0.1) == [65535, 1]
    source.keyframe_wanted = False
    for step in range(2, 20):
        source.nacks(now + 0.1 * step)
    assert not source.is_missing_any and source.keyframe_wanted, "what is lost for good needs a keyframe"
    give(source, 3000, 0, 9.0)
    assert not source.is_missing_any, "a jump is not asked for"


def test_keyframe_requests_are_throttled() -> None:
    source = video()
    source.keyframe_wanted = True
    assert source.take_pli(10.0)
    assert not source.take_pli(10.0 + PLI_INTERVAL_S - 0.01)
    assert source.take_pli(10.0 + PLI_INTERVAL_S)
    give(source, 1, 0, 11.0, KEY)
    assert not source.take_pli(20.0)


def test_nothing_is_asked_of_a_camera_that_cannot_answer() -> None:
    source = video()
    needs: list[bool] = []
    source.on_need = lambda: needs.append(source.is_needy)
    line = Line("0", "video", 77, 90000, Wire())
    line.attach(source, 96)
    assert needs == [True] and source.take_pli(10.0)
    source.set_muted(True)
    assert not source.is_needy and not source.take_pli(20.0), "nobody would get it"
    source.set_muted(False)
    assert needs[-1] and source.take_pli(30.0)
    source.live = False
    assert not source.is_needy and not source.take_pli(40.0), "switched off"
    source.live = True
    give(source, 1, 0, 50.0, KEY)
    assert not source.is_needy, "it came"
    give(source, 3, 0, 50.1)
    assert needs[-1] and source.nacks(50.2) == [2]
    give(source, 2, 0, 50.3)
    assert not source.is_needy, "what was missing has come"


def test_receiver_report_counts_loss_since_the_last_one() -> None:
    source = video()
    for index in range(100):
        if index % 4:
            give(source, index + 1, index * 3000, index / 30)
    fraction, lost, highest = source.loss_since_report()
    assert (lost, highest) == (24, 100)
    assert 60 <= fraction <= 66
    for index in range(100, 200):
        give(source, index + 1, index * 3000, index / 30)
    assert source.loss_since_report() == (0, 24, 200)


@given(data=st.binary(min_size=12, max_size=80))
def test_any_bytes_are_taken_or_dropped_but_never_raise(data: bytes) -> None:
    wire = Wire()
    source = Source(
        "p", PersonId("bob"), MediaSource.CAMERA, H264, ExtensionIds(mid=1, audio_level=2, abs_send_time=3)
    )
    source.set_ssrc(1)
    line(wire).attach(source, 102)
    buffer = bytearray(data) + bytearray(100)
    source.receive(buffer, len(data), 0, 1, 1, 1.0)
    if payload_offset(buffer, len(data)) >= 0:
        for number in (1, 2, 3):
            extension(buffer, len(data), number)
    is_vp8_keyframe(data, 12, len(data))


def test_header_extensions_are_found_in_both_forms() -> None:
    one = bytes([0x90, 96]) + bytes(10) + bytes.fromhex("bede0002 1061 00 22010203 00")
    assert payload_offset(one, len(one)) == len(one)
    assert extension(one, len(one), 1) == b"a"
    assert extension(one, len(one), 2) == b"\x01\x02\x03"
    assert extension(one, len(one), 5) is None
    two = bytes([0x90, 96]) + bytes(10) + bytes.fromhex("10000002 0101 61 00 0203 010203"[:24].ljust(24, "0"))
    assert extension(two, len(two), 1) == b"a"
    truncated = bytes([0x90, 96]) + bytes(10) + bytes.fromhex("bede0009")
    assert payload_offset(truncated, len(truncated)) == -1


def test_forwarded_extensions_carry_send_time_and_level() -> None:
    now = 12.5
    block = bytes([0x90, 96]) + bytes(10) + out_extension(now, 0x85)
    assert payload_offset(block, len(block)) == len(block)
    assert extension(block, len(block), 1) == b"\x85"
    assert extension(block, len(block), 2) == int(now * 262144).to_bytes(3, "big")
    block = bytes([0x90, 96]) + bytes(10) + out_extension(now, None)
    assert payload_offset(block, len(block)) == len(block)
    assert extension(block, len(block), 2) == int(now * 262144).to_bytes(3, "big")


def test_keyframes_are_recognized() -> None:
    assert is_vp8_keyframe(b"\x10\x00", 0, 2)
    assert not is_vp8_keyframe(b"\x10\x01", 0, 2)
    assert not is_vp8_keyframe(b"\x00\x00", 0, 2), "not the start of a frame"
    assert is_vp8_keyframe(b"\x90\x80\x81\x02\x00", 0, 5), "15-bit picture id"
    assert is_vp8_keyframe(b"\x90\xe0\x01\x02\x03\x00", 0, 6), "picture id, layer index, temporal id"
    assert not is_vp8_keyframe(b"\x90\x80", 0, 2), "cut short"
    assert is_h264_keyframe(b"\x65\x00", 0, 2) and is_h264_keyframe(b"\x67\x00", 0, 2)
    assert is_h264_keyframe(b"\x78\x00\x02\x67\x00\x00\x01\x68", 0, 8)
    assert is_h264_keyframe(b"\x7c\x85", 0, 2) and not is_h264_keyframe(b"\x7c\x05", 0, 2)
    assert not is_h264_keyframe(b"\x41\x00", 0, 2)
