"""A room of sixty: lines are bounded, the loudest are heard, shared screens are seen."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from media.forward import Source
from media.rtp import ExtensionIds
from media.sdp import OPUS, VP8
from media.sfu import MAX_AUDIO, MAX_VIDEO, OFFER_EVERY_S, Peer, Sfu
from models.values import MediaSource, PersonId, RoomId
from tests.media.sfu_browser import SESSION, stage, until

pytestmark = pytest.mark.media
PEOPLE = 60


class Published:
    """A publish connection that has only sources."""

    def __init__(self, peer: Peer, kinds: tuple[MediaSource, ...]) -> None:
        self.secure = SimpleNamespace(ready=False)
        self.plis = 0
        self.sources = {}
        for number, kind in enumerate(kinds):
            codec = OPUS if kind.is_audio else VP8
            source = Source(peer.peer_id, peer.person_id, kind, codec, ExtensionIds())
            source.set_ssrc(1000 + number)
            source.live = True
            source.last_packet_at = time.monotonic() + 3600
            self.sources[kind] = source

    def is_lost(self, _now: float) -> bool:
        return False

    def send_pli(self, _source: Source) -> None:
        self.plis += 1

    async def close(self) -> None:
        return


def seat(sfu: Sfu, name: str, *kinds: MediaSource) -> Peer:
    sfu.join(f"peer-{name}", SESSION, RoomId("main"), PersonId(name), "nobody")
    peer = sfu.peers[f"peer-{name}"]
    published: Any = Published(peer, kinds)
    peer.publish = published
    return peer


def accept(sfu: Sfu, peer: Peer) -> None:
    """As if the browser had answered the newest offer."""
    assert peer.subscribe is not None
    peer.subscribe.agreed = peer.offered_lines
    peer.offered_version = None
    sfu._mark(peer.room)


async def settled(sfu: Sfu) -> None:
    """All feeding done, all offers written."""
    await until(lambda: not sfu._refresh_planned and not sfu._offers, "the room is fed")


def shown(peer: Peer, kind: MediaSource) -> set[str]:
    return {track.person_id for track in peer.tracks if track.source is kind}


async def test_lines_are_bounded_and_the_loudest_are_heard() -> None:
    async with stage() as here:
        sfu = here.worker.sfu
        assert sfu is not None
        everybody = [seat(sfu, f"person-{n}", MediaSource.MIC, MediaSource.CAMERA) for n in range(PEOPLE - 1)]
        viewer = everybody[0]
        sfu._open_subscribe(viewer)
        for _ in range(3):
            accept(sfu, viewer)
            await settled(sfu)
        assert len(shown(viewer, MediaSource.MIC)) == MAX_AUDIO
        assert len(shown(viewer, MediaSource.CAMERA)) == MAX_VIDEO
        assert viewer.person_id not in shown(viewer, MediaSource.MIC) | shown(viewer, MediaSource.CAMERA)
        asked = [p.publish.plis for p in everybody if p.publish is not None]  # type: ignore[attr-defined]
        assert max(asked) == 1 and sum(asked) == MAX_VIDEO, "one keyframe of each that is shown"

        loud = [p for p in everybody[1:] if p.person_id not in shown(viewer, MediaSource.MIC)][:3]
        voices = sfu._voices(viewer.room)
        for _ in range(8):
            for peer in loud:
                voices.hear(peer.person_id, 15, time.monotonic())
        sharer = seat(sfu, "sharer", MediaSource.SCREEN)
        lines = {track.mid: track for track in viewer.tracks}
        sfu._mark(viewer.room)
        await settled(sfu)
        assert {p.person_id for p in loud} <= shown(viewer, MediaSource.MIC)
        assert shown(viewer, MediaSource.SCREEN) == {sharer.person_id}
        changed = [t for t in viewer.tracks if lines.get(t.mid) != t]
        audio = [t for t in changed if t.source is MediaSource.MIC]
        assert len(audio) == 3, "nobody else's line was touched"
        assert viewer.subscribe is not None and len(viewer.subscribe.lines) == MAX_AUDIO + MAX_VIDEO


async def test_a_class_that_comes_in_at_once_is_not_offered_each_newcomer_alone() -> None:
    async with stage() as here:
        sfu = here.worker.sfu
        assert sfu is not None
        first = seat(sfu, "first", MediaSource.MIC, MediaSource.CAMERA)
        sfu._open_subscribe(first)
        await settled(sfu)
        offers, began = 1, time.monotonic()

        def answered() -> bool:
            nonlocal offers
            if first.offered_version is not None:
                accept(sfu, first)
                offers += 1
            return first.offered_lines == MAX_AUDIO + MAX_VIDEO

        for number in range(40):
            seat(sfu, f"late-{number}", MediaSource.MIC, MediaSource.CAMERA)
            answered()
            sfu._mark(first.room)
            await settled(sfu)
        await until(answered, "lines for everybody who fits")
        most = 3 + (time.monotonic() - began) / OFFER_EVERY_S
        assert offers <= most, "not one for each step of growth"
