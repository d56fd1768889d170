"""Browsers with other codecs and numbers: what they can send arrives, what nobody could show is not sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest

from media.sdp import H264, OPUS, VP8, parse
from models.values import MediaSource
from tests.media.raw_peer import AV1_LINE, H264_LINE, OPUS_LINE, VP8_LINE, RawPeer, raw_peers
from tests.media.sfu_browser import stage, until

pytestmark = pytest.mark.media
SOURCES = {"0": MediaSource.MIC, "1": MediaSource.CAMERA}
IDR, SLICE = b"\x65", b"\x41"


@contextlib.asynccontextmanager
async def sending(send: Callable[[int], object]) -> AsyncIterator[None]:
    """``send`` with a rising number, until the block ends."""

    async def run() -> None:
        for number in count():
            send(number)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_browser_with_h264_only_and_its_own_numbers_is_seen_and_heard() -> None:
    async with stage() as here, raw_peers(here, "alice", "bob", "charlie") as (alice, bob, charlie):
        charlie.answer_changed = lambda text: text.replace("96 102", "96")  # no H.264 in this browser
        await alice.open([OPUS_LINE, H264_LINE], SOURCES)
        for other in (bob, charlie):
            await other.open([OPUS_LINE, VP8_LINE], SOURCES)

        def send(number: int) -> None:
            alice.publish.send_rtp(
                127, number, number * 900, 0x1264, (SLICE if number % 20 else IDR) + b"x" * 50
            )
            alice.publish.send_rtp(109, number, number * 480, 0x0905, b"sound")

        def types(peer: RawPeer) -> set[int]:
            return {packet.payload_type for packet in peer.subscribe.received}

        async with sending(send):
            await until(
                lambda: types(bob) == {OPUS.payload_type, H264.payload_type},
                "Bob has both",
            )
            await until(lambda: len(charlie.subscribe.received) > 20, "Charlie hears Alice")
            shown = {track.source for track in charlie.offer.tracks} if charlie.offer is not None else set()
            assert shown == {MediaSource.MIC}, "she is not promised a picture that her browser cannot show"
            kinds = types(charlie)
            assert kinds == {OPUS.payload_type}

        # The other way round: VP8 for both of them.
        def send_vp8(number: int) -> None:
            bob.publish.send_rtp(
                120, number, number * 900, 0x120, (b"\x10\x01" if number % 20 else b"\x10\x00") + b"y" * 50
            )

        async with sending(send_vp8):
            await until(lambda: VP8.payload_type in types(charlie), "Charlie sees Bob")


async def test_a_browser_without_a_codec_of_ours_for_pictures_is_heard() -> None:
    async with stage() as here, raw_peers(here, "alice", "bob") as (alice, bob):
        await alice.open([OPUS_LINE, AV1_LINE], SOURCES)
        await bob.open([OPUS_LINE, VP8_LINE], SOURCES)
        answer = parse(alice.answer)
        assert [line.is_rejected for line in answer.media] == [False, True], "her page can tell her why"
        async with sending(
            lambda number: alice.publish.send_rtp(109, number, number * 480, 0x0905, b"sound")
        ):
            await until(lambda: len(bob.subscribe.received) > 20, "Bob hears Alice")
