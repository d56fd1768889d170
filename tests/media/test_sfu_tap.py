"""The recorder's tap (docs/tap.md): packets, sender reports, people who move, strangers."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from typing import Any

import pytest

from models.values import MediaSource, RoomId
from tests.media.sfu_browser import SECRET, SESSION, stage, until

pytestmark = pytest.mark.media


class Reader:
    """A recorder that only keeps what it is told."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.told: list[dict[str, Any]] = []
        self.packets: dict[int, list[tuple[int, bytes]]] = {}
        self.reports: dict[int, list[tuple[int, int, int]]] = {}
        self.ended = asyncio.Event()

    async def connect(self, secret: str = SECRET) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.send(op="hello", secret=secret, version=2)
        self._task = asyncio.create_task(self._read())

    def send(self, **order: object) -> None:
        body = json.dumps(order).encode()
        self._writer.write(struct.pack("!LB", len(body) + 1, 1) + body)

    async def _read(self) -> None:
        try:
            while True:
                (length,) = struct.unpack("!L", await self._reader.readexactly(4))
                frame = await self._reader.readexactly(length)
                if frame[0] == 1:
                    self.told.append(json.loads(frame[1:]))
                elif frame[0] == 2:
                    track, arrival = struct.unpack_from("!L8xQ", frame, 1)
                    self.packets.setdefault(track, []).append((arrival, frame[21:]))
                else:
                    track, _arrival, ssrc, ntp, timestamp = struct.unpack_from("!L8xQLQL", frame, 1)
                    self.reports.setdefault(track, []).append((ssrc, ntp, timestamp))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended.set()

    def added(self, room: str, source: str) -> dict[str, Any] | None:
        return next(
            (
                m
                for m in self.told
                if m["op"] == "track_added" and m["room_id"] == room and m["source"] == source
            ),
            None,
        )

    def removed(self, track: int) -> dict[str, Any] | None:
        return next((m for m in self.told if m["op"] == "track_removed" and m["track"] == track), None)

    async def close(self) -> None:
        self._writer.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_a_published_track_arrives_on_the_tap_and_follows_its_person() -> None:
    async with stage() as here:
        reader = Reader(here.worker.tap_port)
        await reader.connect()
        reader.send(op="tap", session_id=SESSION, room_id="main")
        reader.send(op="tap", session_id=SESSION, room_id="r1")
        await until(lambda: len([m for m in reader.told if m["op"] == "tapped"]) == 2, "both rooms tapped")
        welcome = reader.told[0]
        assert (welcome["op"], welcome["worker"], welcome["version"]) == ("welcome", "w1", 2)
        assert abs(welcome["now_us"] - time.time_ns() // 1000) < 60_000_000

        bob = await here.browser("bob", 130)
        await until(lambda: reader.added("main", "camera") is not None, "the camera is announced")
        camera = reader.added("main", "camera")
        assert camera is not None
        assert (camera["person_id"], camera["codec"], camera["clock_rate"]) == ("bob", "vp8", 90000)
        track = camera["track"]
        await until(lambda: len(reader.packets.get(track, [])) > 20, "camera packets")
        await until(lambda: bool(reader.reports.get(track)), "a sender report")
        arrivals = [arrival for arrival, _packet in reader.packets[track]]
        assert arrivals == sorted(arrivals)
        sequences = [struct.unpack_from("!H", packet, 2)[0] for _arrival, packet in reader.packets[track]]
        assert len(set(sequences)) == len(sequences), "no packet twice"
        ssrcs = {struct.unpack_from("!L", packet, 8)[0] for _arrival, packet in reader.packets[track]}
        assert ssrcs == {camera["ssrc"]}
        assert reader.reports[track][0][0] == camera["ssrc"]

        await here.plane.move(bob.peer_id, RoomId("r1"))
        await until(
            lambda: reader.added("r1", "camera") is not None, "the camera is announced in the new room"
        )
        gone, new = reader.removed(track), reader.added("r1", "camera")
        assert gone is not None and gone["reason"] == "moved"
        assert new is not None and new["track"] != track
        assert reader.told.index(gone) < reader.told.index(new)

        await here.plane.mute(bob.peer_id, MediaSource.MIC, True)
        mic = reader.added("r1", "mic")
        assert mic is not None and mic["codec"] == "opus" and mic["channels"] == 2
        await until(lambda: reader.removed(mic["track"]) is not None, "the muted microphone is removed")
        muted = reader.removed(mic["track"])
        assert muted is not None and muted["reason"] == "muted"

        await here.plane.leave(bob.peer_id)
        await until(lambda: reader.removed(new["track"]) is not None, "the camera is gone with its person")
        left = reader.removed(new["track"])
        assert left is not None and left["reason"] == "left"
        await reader.close()


async def test_a_stranger_is_refused_and_a_malformed_order_ends_only_its_own_connection() -> None:
    async with stage() as here:
        good = Reader(here.worker.tap_port)
        await good.connect()
        stranger = Reader(here.worker.tap_port)
        await stranger.connect("not-the-secret-of-this-worker")
        await asyncio.wait_for(stranger.ended.wait(), 20)
        assert stranger.told == [{"op": "error", "code": "unauthenticated"}]
        await stranger.close()

        broken = Reader(here.worker.tap_port)
        await broken.connect()
        broken._writer.write(struct.pack("!LB", 0xFFFFFFFF, 9))
        await asyncio.wait_for(broken.ended.wait(), 20)
        await broken.close()

        good.send(op="tap", session_id=SESSION, room_id="main")
        await until(lambda: any(m["op"] == "tapped" for m in good.told), "the other one is still served")
        await good.close()
