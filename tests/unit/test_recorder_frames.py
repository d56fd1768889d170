"""RTP → frames: counters that wrap, packets out of order, losses, the three payload formats."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.frames import MAX_FRAME, REORDER_US, BadPacket, Depacketiser, Extender, parse

pytestmark = pytest.mark.unit


def packet(sequence: int, timestamp: int, payload: bytes, marker: bool = True) -> bytes:
    second = 96 | (0x80 if marker else 0)
    return struct.pack("!BBHLL", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 1) + payload


@given(st.integers(0, 2**16 - 1), st.lists(st.integers(-1000, 3000), min_size=1, max_size=200))
def test_extender_follows_any_walk_across_wraps(start: int, steps: list[int]) -> None:
    extender = Extender(16)
    offset = extender.extend(start) - start
    true, newest = start, start
    for step in steps:
        true = max(start - 2**15 + 1, newest - 2**15 + 1, true + step)
        assert extender.extend(true % 2**16) == true + offset
        newest = max(newest, true)


def test_late_packet_from_before_the_first_wrap_stays_before_it() -> None:
    extender = Extender(32)
    first = extender.extend(5)
    assert extender.extend(2**32 - 10) == first - 15
    assert extender.extend(6) == first + 1


@given(st.permutations(list(range(12))))
def test_any_order_within_the_buffer_gives_the_frames_in_order(order: list[int]) -> None:
    depacketiser = Depacketiser("opus")
    frames = depacketiser.push(packet(65_530, 2**32 - 1920, b"first"), 0)
    for number in order:
        frames += depacketiser.push(
            packet(65_531 + number, 2**32 - 960 + number * 960, bytes([number])), number
        )
    assert [f.data for f in frames] == [b"first", *[bytes([n]) for n in range(12)]]
    assert [f.timestamp - frames[0].timestamp for f in frames] == [n * 960 for n in range(13)]
    assert depacketiser.lost_packets == 0


def vp8(key: bool, body: bytes) -> bytes:
    return bytes([0 if key else 1, 0, 0]) + body


def test_lost_packet_spoils_video_until_the_next_keyframe() -> None:
    depacketiser = Depacketiser("vp8")
    assert depacketiser.wants_keyframe
    [key] = depacketiser.push(packet(1, 0, b"\x10" + vp8(True, b"k")), 0)
    assert key.key and not key.after_loss and not depacketiser.wants_keyframe
    assert depacketiser.push(packet(3, 6000, b"\x10" + vp8(False, b"c")), 1000) == []
    [broken] = depacketiser.expire(1000 + REORDER_US)
    assert broken.after_loss and depacketiser.wants_keyframe and depacketiser.lost_packets == 1
    [mended] = depacketiser.push(packet(4, 9000, b"\x10" + vp8(True, b"k")), 2000 + REORDER_US)
    assert mended.key and not mended.after_loss and not depacketiser.wants_keyframe


def test_frame_in_several_packets_is_joined_and_one_with_a_hole_is_given_up() -> None:
    depacketiser = Depacketiser("vp8")
    assert depacketiser.push(packet(1, 0, b"\x90\x80\x81\x02" + vp8(True, b"a"), marker=False), 0) == []
    [frame] = depacketiser.push(packet(2, 0, b"\x80\x80\x81\x02bcd"), 0)
    assert frame.data == vp8(True, b"abcd")
    depacketiser.push(packet(3, 3000, b"\x10" + vp8(False, b"a"), marker=False), 0)
    depacketiser.push(packet(5, 3000, b"\x00c"), 0)
    assert depacketiser.flush() == []


def test_h264_units_become_annex_b() -> None:
    depacketiser = Depacketiser("h264")
    stap = b"\x18" + b"\x00\x02\x67S" + b"\x00\x02\x68P"
    assert depacketiser.push(packet(1, 0, stap, marker=False), 0) == []
    assert depacketiser.push(packet(2, 0, b"\x7c\x85ab", marker=False), 0) == []
    [frame] = depacketiser.push(packet(3, 0, b"\x7c\x45cd"), 0)
    code = b"\x00\x00\x00\x01"
    assert frame.data == code + b"\x67S" + code + b"\x68P" + code + b"\x65abcd"
    assert frame.key


@pytest.mark.parametrize(
    ("arrived", "keys"),
    [
        ([b"\x65\x08second slice"], []),
        ([b"\x65\x88first slice", b"\x65\x08second slice"], [True]),
        ([b"\x67parameters", b"\x65\x88slice"], [True]),
    ],
)
def test_h264_picture_without_its_first_slice_is_given_up(arrived: list[bytes], keys: list[bool]) -> None:
    depacketiser = Depacketiser("h264")
    depacketiser.push(packet(1, 0, b"\x65\x88whole"), 0)
    frames = []
    for n, unit in enumerate(arrived, 3):  # number 2 never comes
        frames += depacketiser.push(packet(n, 3000, unit, marker=unit is arrived[-1]), 0)
    frames += depacketiser.flush()
    assert [frame.key for frame in frames] == keys


@pytest.mark.parametrize(
    ("codec", "begin", "go_on"),
    [
        ("vp8", b"\x10" + bytes(1200), bytes(1200)),
        ("h264", b"\x7c\x85" + bytes(1200), b"\x7c\x05" + bytes(1200)),
    ],
)
def test_a_frame_that_never_ends_is_given_up(codec: str, begin: bytes, go_on: bytes) -> None:
    depacketiser = Depacketiser(codec)
    tracemalloc.start()
    depacketiser.push(packet(0, 0, begin, marker=False), 0)
    for n in range(1, 3 * MAX_FRAME // 1200):
        depacketiser.push(packet(n % 65536, 0, go_on, marker=False), n)
    assert tracemalloc.get_traced_memory()[1] < 2.5 * MAX_FRAME
    tracemalloc.stop()


@given(st.binary(max_size=40))
def test_nonsense_is_refused_or_ignored(data: bytes) -> None:
    for codec in ("opus", "vp8", "h264"):
        Depacketiser(codec).push(data, 0)
        Depacketiser(codec).push(packet(1, 0, data), 0)


def test_parse_refuses_what_does_not_add_up() -> None:
    for bad in (b"", b"\x80" * 11, b"\x00" * 12, packet(1, 0, b"")[:1] + b"\x60" * 5):
        with pytest.raises(BadPacket):
            parse(bad)
    with pytest.raises(BadPacket):
        parse(b"\xa0" + packet(1, 0, b"\xff")[1:])
