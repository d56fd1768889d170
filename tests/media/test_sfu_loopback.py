"""The SFU with aiortc's peer connections as browsers, over real loopback sockets."""

from __future__ import annotations

import asyncio

import pytest

from models.values import MediaSource, RoomId
from rooms.ports import PeerConnected
from tests.media.sfu_browser import stage, until

pytestmark = pytest.mark.media
ALICE, BOB, CHARLIE = 60, 130, 200


async def test_three_people_see_and_hear_each_other_and_a_move_changes_only_the_feeding() -> None:
    async with stage() as here:
        alice = await here.browser("alice", ALICE)
        bob = await here.browser("bob", BOB)
        charlie = await here.browser("charlie", CHARLIE, room="r1")
        await until(lambda: alice.sees(bob, BOB) and bob.sees(alice, ALICE), "Alice and Bob see each other")
        await until(lambda: alice.audio_frames(bob) > 5, "Alice hears Bob")
        assert charlie.tracks == ()
        assert {
            e.direction for e in here.events if isinstance(e, PeerConnected) and e.peer_id == bob.peer_id
        } == {
            "publish",
            "subscribe",
        }

        offers = len([o for o in bob.offers if o.sdp])
        await here.plane.move(bob.peer_id, RoomId("r1"))
        await until(lambda: bob.sees(charlie, CHARLIE) and charlie.sees(bob, BOB), "Bob sees Charlie")
        await until(lambda: alice.tracks == (), "Alice is shown nobody")
        assert len([o for o in bob.offers if o.sdp]) == offers, "a move must not renegotiate"

        await here.plane.mute(bob.peer_id, MediaSource.MIC, True)
        await asyncio.sleep(0.3)
        before = charlie.audio_frames(bob)
        await until(lambda: charlie.sees(bob, BOB), "the camera goes on while the microphone is muted")
        source = here.worker.sfu.peers[bob.peer_id].publish.sources[MediaSource.MIC]
        sent = source.lines[0].packets
        received = source.received
        await until(lambda: source.received > received + 20, "Bob's browser goes on sending")
        assert source.lines[0].packets == sent, f"muted audio was forwarded ({before})"
        await here.plane.mute(bob.peer_id, MediaSource.MIC, False)
        await until(lambda: source.lines[0].packets > sent + 5, "Bob is heard again")

        told = len(charlie.offers)
        await here.plane.move(charlie.peer_id, RoomId("r1"))
        await until(lambda: len(charlie.offers) > told, "a page that missed something is told again")
        assert charlie.offers[-1].sdp is None and charlie.sees(bob, BOB)

        await here.plane.leave(bob.peer_id)
        await until(lambda: charlie.tracks == (), "Bob is gone from Charlie's view")
