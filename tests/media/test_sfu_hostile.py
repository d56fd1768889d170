"""Peers that mean harm, or whose packets are broken: authentic nonsense, changing names, storms of requests."""

from __future__ import annotations

import asyncio
import os
import random
import struct

import pytest

from media.connections import MAX_SSRCS
from models.values import MediaSource
from tests.media.raw_peer import DELTA, KEY, OPUS_LINE, VP8_LINE, RawPeer, raw_peers
from tests.media.sfu_browser import stage, until

pytestmark = pytest.mark.media
SOURCES = {"0": MediaSource.MIC, "1": MediaSource.CAMERA}


def rtcp(kind: int, count: int, body: bytes) -> bytes:
    body += b"\x00" * (-len(body) % 4)
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


async def picture_arrives(alice: RawPeer, bob: RawPeer, first: int) -> int:
    """Bob is shown what Alice sends from now on; the number of her last packet."""
    for number in range(first, first + 1000):
        mark = b"now" + number.to_bytes(4, "big")
        alice.publish.send_rtp(120, number, number * 900, 0xA11CE, (DELTA if number % 10 else KEY) + mark)
        await asyncio.sleep(0.01)
        if any(packet.payload.endswith(mark) for packet in bob.subscribe.received[-40:]):
            return number
    raise AssertionError("Bob is not shown Alice")


async def test_authentic_nonsense_ends_nothing() -> None:
    chance = random.Random(20)
    async with stage() as here, raw_peers(here, "alice", "bob") as (alice, bob):
        for peer in (alice, bob):
            await peer.open([OPUS_LINE, VP8_LINE], SOURCES)
        await picture_arrives(alice, bob, 1)
        faults = here.worker.sfu.ice.faults
        line = bob.subscribe.received[-1].ssrc
        for turn in range(1500):
            end = (bob.publish, bob.subscribe)[turn % 2]
            junk = chance.randbytes(chance.randrange(0, 60))
            match turn % 5:
                case 0:
                    end.send_rtcp(rtcp(chance.randrange(192, 224), chance.randrange(32), b"\0\0\0\7" + junk))
                case 1:  # true kinds with nonsense in them, about a true line
                    kind = chance.choice((200, 201, 202, 205, 206))
                    end.send_rtcp(rtcp(kind, chance.randrange(32), struct.pack("!LL", 7, line) + junk))
                case 2:
                    remb = b"REMB" + bytes([chance.randrange(256)]) + junk
                    end.send_rtcp(rtcp(206, 15, struct.pack("!LL", 7, 0) + remb))
                case 3:
                    first = 0x80 | chance.choice((0, 0, 0x10, 0x20, 0x0F, 0x3F))
                    kind = chance.choice((109, 120, 13))
                    end.send_rtp(kind, turn, 0, chance.randrange(9), junk, first)
                case _:
                    end.send(bytes([chance.choice((20, 22, 25, 63))]) + junk)  # as if it were DTLS
            if turn % 50 == 0:
                await asyncio.sleep(0)
        await picture_arrives(alice, bob, 2000)
        assert here.worker.sfu.ice.faults == faults
        assert bob.publish.secure.ready and bob.subscribe.secure.ready


async def test_a_source_that_changes_its_ssrc_does_not_change_back_and_forth() -> None:
    """Each change is a new track for the recorder: a new file. Somebody could make thousands of them."""
    async with stage() as here, raw_peers(here, "alice", "bob") as (alice, bob):
        for peer in (alice, bob):
            await peer.open([OPUS_LINE, VP8_LINE], SOURCES)
        await picture_arrives(alice, bob, 1)
        source = here.worker.sfu.peers[alice.peer_id].publish.sources[MediaSource.CAMERA]
        changes: list[int] = []
        plain = source.set_ssrc

        def watched(ssrc: int) -> None:
            changes.append(ssrc)
            plain(ssrc)

        source.set_ssrc = watched
        for number in range(400):
            alice.publish.send_rtp(120, 5000 + number, 0, 1 + number % 2, KEY + b"x")
        for number in range(100):
            alice.publish.send_rtp(120, 7000 + number, 0, 100 + number, KEY + b"x")
        await until(lambda: len(changes) > 2, "it changed")
        alice.publish.send_rtp(120, 9000, 0, source.ssrc, KEY + b"last")
        await until(lambda: bob.subscribe.received[-1].payload.endswith(b"last"), "Bob is shown the newest")
        assert len(changes) == len(set(changes)) <= MAX_SSRCS


async def test_storms_of_requests_are_answered_with_measure() -> None:
    async with stage() as here, raw_peers(here, "alice", "bob") as (alice, bob):
        for peer in (alice, bob):
            await peer.open([OPUS_LINE, VP8_LINE], SOURCES)
        await picture_arrives(alice, bob, 1)
        for number in range(3000, 3100):
            alice.publish.send_rtp(
                120, number, number * 900, 0xA11CE, (DELTA if number % 50 else KEY) + os.urandom(900)
            )
            await asyncio.sleep(0)
        await until(lambda: len(bob.subscribe.received) > 90, "Bob has the pictures")
        await picture_arrives(alice, bob, 3100)
        line, newest = bob.subscribe.received[-1].ssrc, bob.subscribe.received[-1].sequence
        had, asked = bob.subscribe.arrived, 0
        for _ in range(300):
            entries = b"".join(struct.pack("!HH", (newest - 17 * n) & 0xFFFF, 0xFFFF) for n in range(1, 6))
            bob.subscribe.send_rtcp(rtcp(205, 1, struct.pack("!LL", 7, line) + entries))
            asked += 5 * 17
            for _pli in range(3):
                bob.subscribe.send_rtcp(rtcp(206, 1, struct.pack("!LL", 7, line)))
            await asyncio.sleep(0.002)
        await picture_arrives(alice, bob, 4000)
        again = bob.subscribe.arrived - had
        assert 80 < again < asked / 5, "what is really missing is sent, a storm is not"


async def test_late_doubled_and_replayed_packets_around_the_wrap() -> None:
    chance = random.Random(7)
    async with stage() as here, raw_peers(here, "alice", "bob") as (alice, bob):
        for peer in (alice, bob):
            await peer.open([OPUS_LINE, VP8_LINE], SOURCES)
        first = 10 + await picture_arrives(alice, bob, 65_500)
        numbers = range(first, first + 200)
        begin = bob.subscribe.received[-1].sequence
        had = len(bob.subscribe.received)
        order = sorted(numbers, key=lambda number: number + chance.uniform(0, 12))
        kept = []
        for number in order:
            mark = b"wrap" + number.to_bytes(4, "big")
            kept.append(alice.publish.send_rtp(120, number, number * 900, 0xA11CE, DELTA + mark))
            alice.publish.send(chance.choice(kept))
            await asyncio.sleep(0)

        def wrapped() -> list[tuple[int, int]]:
            new = [p for p in bob.subscribe.received[had:] if p.payload[2:6] == b"wrap"]
            return sorted(((p.sequence - begin) & 0xFFFF, int.from_bytes(p.payload[6:], "big")) for p in new)

        await until(lambda: len(wrapped()) == 200, "each came")
        assert [number for _sequence, number in wrapped()] == list(numbers), "in the order they were made"
        assert len({sequence for sequence, _number in wrapped()}) == 200, "and once"
