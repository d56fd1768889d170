"""Networks under a call: a router that forgets a port, IPv6, somebody who lies about addresses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from itertools import count

import pytest

from models.values import MediaSource
from tests.media.raw_peer import DELTA, KEY, VP8_LINE, RawPeer, raw_peers
from tests.media.sfu_browser import Stage, stage, until

pytestmark = pytest.mark.media
CAMERA = {"0": MediaSource.CAMERA}


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


class Picture:
    """Sends a camera's packets until it is told to stop."""

    def __init__(self, peer: RawPeer) -> None:
        self._peer = peer
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        for number in count(65_500):
            payload = (KEY if number % 25 == 0 else DELTA) + number.to_bytes(4, "big")
            self._peer.publish.send_rtp(120, number, number * 900, 0xABCD, payload)
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def _shown_more(peer: RawPeer) -> None:
    seen = len(peer.subscribe.received)
    await until(lambda: len(peer.subscribe.received) > seen + 20, "media after the change", 20)


async def _goes_on(here: Stage, *people: str) -> None:
    async with raw_peers(here, *people) as (alice, bob):
        await alice.open([VP8_LINE], CAMERA)
        await bob.open([VP8_LINE], CAMERA)
        picture = Picture(alice)
        try:
            await until(lambda: len(bob.subscribe.received) > 20, "Bob is shown Alice")
            for end in (alice.publish, bob.subscribe):
                end.nominate = False  # Firefox nominates once and then only keeps asking
                end.rebind()
                await _shown_more(bob)
            sequences = [packet.sequence for packet in bob.subscribe.received]
            assert len(set(sequences)) == len(sequences)
        finally:
            await picture.stop()


async def test_call_goes_on_when_a_router_forgets_the_port() -> None:
    async with stage() as here:
        await _goes_on(here, "alice", "bob")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_people_meet_over_ipv4_and_ipv6_on_one_port() -> None:
    async with stage("::", "127.0.0.1,::1") as here:
        await _goes_on(here, "alice@127.0.0.1", "bob@::1")
