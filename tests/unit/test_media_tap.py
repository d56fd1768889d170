"""The tap's side of one recorder: what it is told, what is kept until it has been written, what happens when that is too much."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.forward import Source
from media.ring import Entry, Ring
from media.rtp import ExtensionIds
from media.sdp import OPUS, VP8
from media.tap import SOCKET_BYTES, Keep, TapServer, _Listener
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
        return [frame[21:] for frame in self.frames if frame[0] == 2]

    @property
    def positions(self) -> list[int]:
        return [struct.unpack_from("!Q", frame, 5)[0] for frame in self.frames if frame[0] == 2]


class Tap:
    """A server without sockets: what it would send at once is sent at once."""

    def __init__(self, keep: Keep | None = None) -> None:
        self.server = TapServer("secret", "w1", keep or Keep())
        self.server.sfu = self  # type: ignore[assignment]
        self.sources: list[Source] = []

    def live_sources(self, _room: object) -> list[Source]:
        return self.sources

    def source(self, codec: Any = VP8, kind: MediaSource = MediaSource.CAMERA) -> Source:
        source = Source("c1", PersonId("bob"), kind, codec, ExtensionIds())
        source.set_ssrc(7)
        self.sources.append(source)
        self.server.refresh({ROOM: self.sources}, {})
        return source

    def listen(self, **more: Any) -> tuple[Writer, _Listener]:
        writer: Any = Writer()
        listener = _Listener(writer)
        self.server._listeners.add(listener)
        self.order(listener, "tap", **more)
        return writer, listener

    def order(self, listener: _Listener, op: str, **more: Any) -> None:
        self.server._order(listener, {"op": op, "session_id": ROOM[0], "room_id": ROOM[1], **more})
        self.flush()

    def die(self, listener: _Listener) -> None:
        self.server._listeners.discard(listener)
        self.server._leave(listener, ROOM)

    def flush(self) -> None:
        self.server._flush()
        for listener in self.server._listeners:
            listener.flush()

    def give(self, source: Source, *packets: bytes) -> None:
        for packet in packets:
            self.server.packet(source, packet)
        self.flush()


@contextmanager
def tapping(keep: Keep | None = None) -> Iterator[Tap]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def make() -> Tap:
        return Tap(keep)

    tap = loop.run_until_complete(make())
    # The server plans its flushes on the running loop; here they are called by hand.
    tap.server._flush_soon = lambda: None  # type: ignore[method-assign]
    try:
        yield tap
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_the_first_packet_announces_its_track_and_asks_for_a_keyframe() -> None:
    with tapping() as tap:
        writer, _ = tap.listen()
        source = tap.source()
        tap.give(source, b"one", b"two")
        (added,) = writer.told("track_added")
        assert (added["track"], added["ssrc"], added["channels"]) == (1, 7, 1)
        assert writer.packets == [b"one", b"two"] and writer.positions == [2, 3]
        assert source.keyframe_wanted
        assert [m["op"] for m in writer.told("live")] == ["live"]


def test_a_new_ssrc_is_a_new_track() -> None:
    with tapping() as tap:
        writer, _ = tap.listen()
        source = tap.source(OPUS, MediaSource.MIC)
        tap.give(source, b"one")
        source.set_ssrc(8)
        tap.server.report(source, 1, 2)
        tap.give(source, b"two")
        assert [m["track"] for m in writer.told("track_added")] == [1, 2]
        (gone,) = writer.told("track_removed")
        assert (gone["track"], gone["reason"]) == (1, "replaced")
        assert [f[0] for f in writer.frames].count(3) == 0, "a report of an SSRC not yet announced waits"


def test_a_source_that_begins_anew_is_a_new_track_though_nobody_saw_it_muted() -> None:
    with tapping() as tap:
        writer, _ = tap.listen()
        source = tap.source()
        tap.give(source, b"one")
        source.set_muted(True)
        source.set_muted(False)  # before the rooms were looked at again
        tap.give(source, b"two")
        assert [m["track"] for m in writer.told("track_added")] == [1, 2]
        assert writer.told("track_removed")[0]["reason"] == "muted"


def test_what_is_not_acknowledged_is_sent_again_to_the_next_recorder_and_nothing_else() -> None:
    with tapping() as tap:
        _, first = tap.listen(keep=True)
        source = tap.source()
        tap.give(source, b"one", b"two", b"three")
        tap.order(first, "ack", rooms=[[*ROOM, 2]])
        tap.die(first)
        tap.give(source, b"four")  # nobody listens
        writer, second = tap.listen(keep=True, boot=tap.server.boot, **{"from": 3})
        (tapped,) = writer.told("tapped")
        assert tapped["resumed"] and tapped["from"] == 3
        assert [m["track"] for m in writer.told("track_added")] == [1], "who runs is told again"
        assert (writer.packets, writer.positions) == ([b"two", b"three", b"four"], [3, 4, 5])
        tap.order(second, "ack", rooms=[[*ROOM, 5]])
        assert len(tap.server._rooms[ROOM].ring) == 0 == tap.server._kept_bytes


def test_a_recorder_that_died_before_it_wrote_anything_gets_all_that_is_kept() -> None:
    with tapping() as tap:
        _, first = tap.listen(keep=True)
        tap.give(tap.source(), b"one", b"two")
        tap.die(first)
        writer, _ = tap.listen(keep=True, boot="", **{"from": 0})
        assert writer.told("tapped")[0]["resumed"] and writer.packets == [b"one", b"two"]


@pytest.mark.parametrize("order", [{"boot": "another run", "from": 2}, {"from": 99}, {}])
def test_who_asks_for_what_never_was_begins_now(order: dict[str, Any]) -> None:
    with tapping() as tap:
        _, first = tap.listen(keep=True)
        source = tap.source()
        tap.give(source, b"one", b"two")
        tap.die(first)
        source.keyframe_wanted = False
        writer, _ = tap.listen(keep=True, **order)
        assert not writer.told("tapped")[0]["resumed"] and writer.packets == []
        assert source.keyframe_wanted
        tap.give(source, b"three")
        assert writer.packets == [b"three"]


@pytest.mark.parametrize("keep", [Keep(room_bytes=2_000), Keep(total_bytes=2_000), Keep(seconds=0.0)])
def test_what_is_kept_is_bounded_and_who_comes_too_late_is_told_where_it_begins(keep: Keep) -> None:
    with tapping(keep) as tap:
        _, first = tap.listen(keep=True)
        source = tap.source()
        tap.give(source, b"one")
        tap.die(first)
        for n in range(100):
            tap.give(source, bytes([n]) * 100)
        assert 1 <= len(tap.server._rooms[ROOM].ring) <= 8
        writer, _ = tap.listen(keep=True, boot=tap.server.boot, **{"from": 3})
        (tapped,) = writer.told("tapped")
        assert not tapped["resumed"]
        assert [m["track"] for m in writer.told("track_added")] == [1]
        assert writer.packets[-1] == bytes([99]) * 100 and writer.positions[0] == tapped["from"]


def test_a_slow_recorder_loses_whole_packets_and_is_told_how_many() -> None:
    with tapping(Keep(room_bytes=3_000)) as tap:
        writer, _ = tap.listen(keep=True)
        source = tap.source()
        tap.give(source, b"one")
        writer.waiting = SOCKET_BYTES + 1
        sent = [bytes([n]) * 100 for n in range(30)]
        tap.give(source, *sent)
        assert writer.packets == [b"one"]
        writer.waiting = 0
        tap.give(source, b"two")
        dropped = writer.told("dropped")
        assert {(told["track"], told["reason"]) for told in dropped} == {(1, "full")}
        kept = 30 - sum(told["packets"] for told in dropped)
        assert 5 < kept < 25 and writer.packets == [b"one", *sent[-kept:], b"two"]


def test_a_room_is_forgotten_when_its_recorder_wants_it_no_more() -> None:
    with tapping() as tap:
        writer, listener = tap.listen(keep=True)
        source = tap.source()
        tap.give(source, b"one")
        tap.order(listener, "untap")
        assert [m["track"] for m in writer.told("track_removed")] == [1]
        assert tap.server._rooms == {} and tap.server._kept_bytes == 0 and source.tap is None


def test_people_outside_the_tapped_rooms_are_not_heard() -> None:
    with tapping() as tap:
        writer, _ = tap.listen()
        source = tap.source()
        tap.server.refresh({ROOM: []}, {source: "moved"})
        assert source.tap is None
        tap.give(source, b"one")
        assert writer.packets == []


def test_a_packet_that_cannot_be_used_is_told_with_its_reason() -> None:
    with tapping() as tap:
        writer, _ = tap.listen()
        source = tap.source()
        assert source.receive(*rtp_packet(1, b"\x90\x80\x00\x10"), 1.0)
        assert not source.receive(*rtp_packet(2, bytes(3000)), 1.1)
        assert source.receive(*rtp_packet(3, b"\x00", padding=3), 1.2)
        tap.flush()
        assert [int.from_bytes(packet[2:4], "big") for packet in writer.packets] == [1, 3]
        (told,) = writer.told("dropped")
        assert (told["track"], told["packets"], told["reason"]) == (1, 1, "malformed")
        assert not source.nacks(9.0), "what came need not be sent again"
        assert source.loss_since_report()[:2] == (0, 0)


def rtp_packet(sequence: int, payload: bytes, padding: int = 0) -> tuple[bytearray, int, int, int, int]:
    """What ``Source.receive`` takes, but the time."""
    if padding:
        payload = bytes(padding - 1) + bytes([padding])
    data = struct.pack("!BBHLL", 0xA0 if padding else 0x80, 96, sequence, 0, 7) + payload
    return bytearray(data), len(data), 0, sequence, 0


@given(st.lists(st.one_of(st.integers(1, 40), st.just(0), st.integers(-40, -1)), max_size=60))
def test_a_ring_gives_what_was_put_in_from_any_position_that_is_kept(steps: list[int]) -> None:
    ring, put = Ring(), [b""]
    for step in steps:
        if step > 0:
            for _ in range(step):
                put.append(str(ring.next).encode())
                ring.append(Entry(put[-1], ring.next, 1))
        elif step < 0:
            ring.trim(ring.first - step)
        elif len(ring):
            assert ring.drop_oldest().frame == put[ring.first - 1]
        assert ring.next == len(put) and len(ring) == ring.next - ring.first
        for position in {ring.first, (ring.first + ring.next) // 2, ring.next}:
            assert [e.frame for e in ring.from_position(position, lambda _: True)] == put[position:]
    ring.trim(ring.next)
    assert ring.size_bytes == 0
