"""The SFU on bad days: strangers' datagrams, wrong descriptions, loss, lost peers, a server that restarts."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import pylibsrtp
import pytest

from media.connections import MAX_ACCEPTED
from media.plane import EmbeddedPlane
from models.values import MediaSource, PersonId, RoomId
from rooms.ports import ActiveSpeakers, MediaError, MediaReset, PeerLost
from tests.media.sfu_browser import SECRET, SESSION, Browser, stage, until

pytestmark = pytest.mark.media
ALICE, BOB, CHARLIE = 60, 130, 200


class LossySocket:
    """Drops every seventh media packet in both directions."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._counts = {"in": 0, "out": 0}
        self.dropped = {"in": 0, "out": 0}

    def _drops(self, way: str, first: int, second: int) -> bool:
        if not 127 < first < 192 or 192 <= second <= 223:
            return False
        self._counts[way] += 1
        if self._counts[way] > 30 and self._counts[way] % 7 == 0:
            self.dropped[way] += 1
            return True
        return False

    def recvfrom_into(self, data: bytearray) -> tuple[int, Any]:
        while True:
            size, address = self._inner.recvfrom_into(data)
            if not self._drops("in", data[0], data[1]):
                return size, address

    def sendto(self, data: Any, address: Any) -> int:
        if self._drops("out", data[0], data[1]):
            return len(data)
        return self._inner.sendto(data, address)

    def fileno(self) -> int:
        return self._inner.fileno()

    def getsockopt(self, *arguments: int) -> Any:
        return self._inner.getsockopt(*arguments)

    def close(self) -> None:
        self._inner.close()


def source_of(here: Any, browser: Browser, kind: MediaSource = MediaSource.CAMERA) -> Any:
    peer = here.worker.sfu.peers.get(browser.peer_id)
    return peer.publish.sources.get(kind) if peer is not None and peer.publish is not None else None


async def test_lost_packets_are_asked_for_and_sent_again() -> None:
    async with stage() as here:
        ice = here.worker.sfu.ice
        lossy = ice.socket = LossySocket(ice.socket)
        alice = await here.browser("alice", ALICE)
        bob = await here.browser("bob", BOB)
        await until(lambda: alice.sees(bob, BOB) and bob.sees(alice, ALICE), "pictures in spite of loss", 60)
        await until(lambda: min(lossy.dropped.values()) >= 12, "some packets were dropped", 60)
        camera = source_of(here, bob)

        def recovered() -> bool:
            expected = camera.cycles + camera.high - camera.base_sequence + 1
            return bool(expected - camera.received <= 2)

        await until(recovered, "what the publisher's packets lost has come again")
        report = await alice.subscribe_pc.getStats()
        inbound = [s for s in report.values() if s.type == "inbound-rtp" and s.kind == "video"]
        assert sum(s.packetsLost for s in inbound) <= lossy.dropped["out"] // 3
        assert alice.sees(bob, BOB)


async def test_junk_from_strangers_and_from_peers_hurts_nobody() -> None:
    async with stage() as here:
        alice = await here.browser("alice", ALICE)
        bob = await here.browser("bob", BOB)
        await until(lambda: alice.sees(bob, BOB), "Alice sees Bob")
        address = ("127.0.0.1", here.worker.udp_port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for first in (0, 1, 20, 22, 64, 128, 144, 191, 200, 255):
                for size in (1, 4, 12, 60, 1400, 2100, 9000):
                    stranger.sendto(bytes([first]) + os.urandom(size), address)
            stranger.sendto(b"", address)
            stranger.sendto(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + os.urandom(40), address)
        # A peer that is known sends packets that decrypt well and mean nothing.
        transport = alice.publish_pc.getTransceivers()[0].sender.transport
        for junk in (
            b"\x80\xc8" + os.urandom(30),
            b"\x81\xc9\x00\x07" + os.urandom(28),
            b"\x8f\xce\x00\x04" + os.urandom(8) + b"REMB\xff\x00\x00\x00",
            b"\x81\xcd\x00\x03" + os.urandom(12),
            b"\x9f\x60" + os.urandom(40),
            b"\xb0\x60" + os.urandom(40),
            b"\xbf\xff" + os.urandom(70),
        ):
            with contextlib.suppress(pylibsrtp.Error):  # some of it cannot even be encrypted
                await transport._send_rtp(junk)
        for ssrc in range(1, 200):
            await transport._send_rtp(
                b"\x80\x60\x00\x01\x00\x00\x00\x00" + ssrc.to_bytes(4, "big") + b"\x10\x00"
            )
        packets = source_of(here, bob).received
        await until(lambda: source_of(here, bob).received > packets + 20, "Bob's media goes on")
        assert alice.sees(bob, BOB) and here.worker.sfu.ice.faults == 0
        assert len(here.worker.sfu.peers[alice.peer_id].publish._accepted) <= MAX_ACCEPTED


async def test_wrong_descriptions_and_unknown_peers_are_refused() -> None:
    async with stage() as here:
        alice = await here.browser("alice", ALICE)
        for text, sources in (
            ("this is no SDP", {}),
            ("v=0\r\n" + "x" * 200_000, {}),
            (alice.publish_pc.localDescription.sdp, {"0": MediaSource.CAMERA}),
            (alice.publish_pc.localDescription.sdp, {"9": MediaSource.MIC}),
        ):
            with pytest.raises(MediaError) as error:
                await here.plane.publish(alice.peer_id, text, sources)
            assert error.value.code == "bad_sdp"
        with pytest.raises(MediaError) as error:
            await here.plane.publish("somebody-else", alice.publish_pc.localDescription.sdp, {})
        assert error.value.code == "unknown_peer"
        await until(lambda: bool(alice.offers), "an offer")
        newest = here.worker.sfu.peers[alice.peer_id]
        await here.plane.subscribe_answer(alice.peer_id, "old and wrong", newest.version - 1)
        bob = await here.browser("bob", BOB)
        await until(lambda: bob.sees(alice, ALICE), "Alice's media goes on after all that")


async def test_lines_grow_in_steps_and_speakers_are_told() -> None:
    async with stage() as here:
        people = [await here.browser(f"person-{n}", 40 + 40 * n) for n in range(4)]
        first = people[0]
        await until(
            lambda: all(first.sees(p, 40 + 40 * n) for n, p in enumerate(people) if n), "all three", 60
        )
        assert len([o for o in first.offers if o.sdp]) == 2, "two lines of each kind, then four"
        mids = {t.mid for t in first.tracks}
        assert len(mids) == 6
        source = source_of(here, people[1], MediaSource.MIC)
        source.take_level = lambda: 10  # as if they spoke
        await until(
            lambda: any(
                isinstance(e, ActiveSpeakers) and people[1].person in e.person_ids for e in here.events
            ),
            "the speaker is told",
        )


async def test_closed_connection_is_told_and_publishing_again_begins_anew() -> None:
    async with stage() as here:
        alice = await here.browser("alice", ALICE)
        bob = await here.browser("bob", BOB)
        await until(lambda: alice.sees(bob, BOB), "Alice sees Bob")
        await bob.publish_pc.close()
        await bob.subscribe_pc.close()
        await until(lambda: PeerLost(bob.peer_id) in here.events, "the loss is told")
        await until(lambda: alice.tracks == (), "Bob is taken off Alice's lines")

        again = Browser(here.plane, bob.peer_id, "bob", CHARLIE)
        here.browsers[bob.peer_id] = again
        await again.publish()
        await until(
            lambda: alice.sees(again, CHARLIE) and again.sees(alice, ALICE), "both see each other again"
        )
        await bob.close()


async def test_media_goes_on_while_the_server_restarts() -> None:
    async with stage() as here:
        alice = await here.browser("alice", ALICE)
        bob = await here.browser("bob", BOB)
        await until(lambda: alice.sees(bob, BOB) and alice.audio_frames(bob) > 5, "Alice sees and hears Bob")
        await here.plane.stop()
        with pytest.raises(MediaError) as error:
            await here.plane.move(bob.peer_id, RoomId("r1"))
        assert error.value.code == "media_unavailable"
        heard = alice.audio_frames(bob)
        await until(lambda: alice.audio_frames(bob) > heard + 50, "media goes on without the server")

        events: list[object] = []

        async def on_event(event: object) -> None:
            events.append(event)

        restarted = EmbeddedPlane(here.worker.control_address, SECRET)
        await restarted.start(on_event)
        try:
            await restarted.join(bob.peer_id, SESSION, RoomId("main"), PersonId("bob"))
            assert here.worker.sfu.peers[bob.peer_id].publish is None, "joining again starts it afresh"
            assert MediaReset() not in events, "the worker itself was never away"
        finally:
            await restarted.stop()


async def test_listener_without_devices_is_shown_the_room() -> None:
    async with stage() as here:
        alice = await here.browser("alice", ALICE)
        listener = Browser(here.plane, "peer-listener", "listener", 0)
        here.browsers[listener.peer_id] = listener
        await listener.join()
        await until(lambda: listener.sees(alice, ALICE), "the listener sees Alice")


async def test_wrong_secret_is_refused() -> None:
    async with stage() as here:
        stranger = EmbeddedPlane(here.worker.control_address, "not-the-secret-of-it", connect_timeout_s=0.5)

        async def on_event(_event: object) -> None:
            raise AssertionError("a stranger is told nothing")

        await stranger.start(on_event)
        try:
            with pytest.raises(MediaError) as error:
                await stranger.join("x", SESSION, RoomId("main"), PersonId("x"))
            assert error.value.code == "media_unavailable"
        finally:
            await stranger.stop()


async def test_a_worker_too_slow_to_read_says_what_was_lost() -> None:
    async with stage() as here:
        sfu = here.worker.sfu
        alice = await here.browser("alice", ALICE)
        await until(lambda: source_of(here, alice) is not None, "Alice publishes")
        before = await here.plane.stats()
        assert (before["peers"], before["rooms"], before["dropped_in"]) == (1, 1, 0)
        assert before["receive_buffer"] >= 100_000
        flood = 3 * sfu.ice.receive_buffer // 1400
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:  # nothing is read between these
            for _ in range(flood):
                stranger.sendto(bytes(1400), ("127.0.0.1", here.worker.udp_port))
        lost = (await here.plane.stats())["dropped_in"]
        assert 0 < lost <= flood
        await here.plane.stop()
        with pytest.raises(MediaError) as error:
            await here.plane.stats()
        assert error.value.code == "media_unavailable"
