"""The tap's side of one recorder: numbering of tracks, and what happens when it reads too slowly."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from media.forward import Source
from media.rtp import ExtensionIds
from media.sdp import OPUS, VP8
from media.tap import BUFFER_LIMIT, _Listener
from models.values import MediaSource, PersonId, RoomId, SessionId

pytestmark = pytest.mark.unit
ROOM = (SessionId("s"), RoomId("main"))


class Writer:
    """Keeps frames; ``waiting`` is what the recorder has not read."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.waiting = 0
        self.transport = self

    def write(self, data: bytes) -> None:
        while data:
            (length,) = struct.unpack_from("!L", data)
            assert length <= len(data) - 4
            self.frames.append(data[4 : 4 + length])
            data = data[4 + length :]

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def told(self, op: str) -> list[dict[str, Any]]:
        messages = [json.loads(frame[1:]) for frame in self.frames if frame[0] == 1]
        return [message for message in messages if message["op"] == op]

    @property
    def packets(self) -> list[bytes]:
        return [frame[13:] for frame in self.frames if frame[0] == 2]


def listening(codec: Any = VP8, kind: MediaSource = MediaSource.CAMERA) -> tuple[Writer, Any, Source]:
    writer: Any = Writer()
    listener = _Listener(writer)
    source = Source("c1", PersonId("bob"), kind, codec, ExtensionIds())
    source.set_ssrc(7)
    listener.in_room[source] = ROOM
    return writer, listener, source


def test_the_first_packet_announces_its_track_and_asks_for_a_keyframe() -> None:
    writer, listener, source = listening()
    listener.packet(source, b"one", 1000)
    listener.packet(source, b"two", 2000)
    listener.flush()
    (added,) = writer.told("track_added")
    assert (added["track"], added["ssrc"], added["arrival_us"], added["channels"]) == (1, 7, 1000, 1)
    assert writer.packets == [b"one", b"two"]
    assert source.keyframe_wanted


def test_a_new_ssrc_is_a_new_track() -> None:
    writer, listener, source = listening(OPUS, MediaSource.MIC)
    listener.packet(source, b"one", 1000)
    source.set_ssrc(8)
    listener.report(source, 1, 2, 2500)
    listener.packet(source, b"two", 3000)
    listener.flush()
    assert [m["track"] for m in writer.told("track_added")] == [1, 2]
    (gone,) = writer.told("track_removed")
    assert (gone["track"], gone["reason"]) == (1, "replaced")
    assert [frame[0] for frame in writer.frames].count(3) == 0, "a report of an SSRC not yet announced waits"


def test_a_slow_recorder_loses_whole_packets_and_is_told_how_many() -> None:
    writer, listener, source = listening()
    listener.packet(source, b"one", 1)
    writer.waiting = BUFFER_LIMIT + 1
    for number in range(12):
        listener.packet(source, b"lost", number)
        listener.report(source, 1, 2, number)
    listener.flush()
    assert writer.packets == [b"one"]
    writer.waiting = 0
    listener.packet(source, b"two", 99)
    listener.flush()
    assert writer.packets == [b"one", b"two"]
    assert writer.told("dropped") == [{"op": "dropped", "track": 1, "packets": 12, "reason": "full"}]


def test_people_outside_the_tapped_rooms_are_not_heard() -> None:
    writer, listener, source = listening()
    listener.remove(source, "moved", 1)
    listener.packet(source, b"one", 2)
    listener.flush()
    assert writer.frames == []


def test_a_source_that_begins_anew_is_a_new_track_though_nobody_saw_it_muted() -> None:
    writer, listener, source = listening()
    listener.packet(source, b"one", 1)
    source.set_muted(True)
    source.set_muted(False)  # before the rooms were looked at again
    listener.packet(source, b"two", 2)
    listener.flush()
    assert [m["track"] for m in writer.told("track_added")] == [1, 2]
    assert writer.told("track_removed")[0]["reason"] == "muted"


def test_a_packet_that_cannot_be_used_is_told_with_its_reason() -> None:
    writer, listener, source = listening()
    source.tap = Tap(listener)
    assert source.receive(*rtp_packet(1, b"\x90\x80\x00\x10"), 1.0)
    assert not source.receive(*rtp_packet(2, bytes(3000)), 1.1)
    assert source.receive(*rtp_packet(3, b"\x00", padding=3), 1.2)
    listener.flush()
    assert [int.from_bytes(packet[2:4], "big") for packet in writer.packets] == [1, 3]
    assert writer.told("dropped") == [{"op": "dropped", "track": 1, "packets": 1, "reason": "malformed"}]
    assert not source.nacks(9.0), "what came need not be sent again"
    assert source.loss_since_report()[:2] == (0, 0)


class Tap:
    def __init__(self, listener: Any) -> None:
        self.listener = listener

    def packet(self, source: Source, packet: bytes) -> None:
        self.listener.packet(source, packet, 1)

    def rejected(self, source: Source) -> None:
        self.listener.rejected(source)

    def report(self, source: Source, ntp: int, timestamp: int) -> None:
        self.listener.report(source, ntp, timestamp, 1)


def rtp_packet(sequence: int, payload: bytes, padding: int = 0) -> tuple[bytearray, int, int, int, int]:
    """What ``Source.receive`` takes, but the time."""
    if padding:
        payload = bytes(padding - 1) + bytes([padding])
    data = struct.pack("!BBHLL", 0xA0 if padding else 0x80, 96, sequence, 0, 7) + payload
    return bytearray(data), len(data), 0, sequence, 0
