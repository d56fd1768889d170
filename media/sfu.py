"""Rooms and peers of one worker: who is shown to whom. Everything here runs on the worker's loop.

A person who moves changes only the routing: the same two connections, other sources behind the same lines.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from media import sdp as descriptions
from media.connections import Connection, PublishConnection, SubscribeConnection
from media.forward import Line, Source
from media.icelite import IceSocket
from media.ortc import Certificate
from media.speakers import Speakers
from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import (
    ActiveSpeakers,
    MediaError,
    MediaEvent,
    PeerConnected,
    PeerLost,
    SubscribeOffer,
    TrackInfo,
)

log = logging.getLogger("sideroom.media.sfu")
MAX_VIDEO: Final = 25
MAX_AUDIO: Final = 10
STEPS: Final = (1, 2, 4, 6, 9, 12, 16, 20, 25)
"""Numbers of lines of a kind that are offered: growing in steps saves renegotiations."""
SILENT_S: Final = {
    MediaSource.MIC: 6.0,
    MediaSource.CAMERA: 3.0,
    MediaSource.SCREEN: 10.0,
    MediaSource.SCREEN_AUDIO: 6.0,
}
"""A source without packets for so long gives its lines back (a still screen sends little)."""
LISTENER_S: Final = 2.0
"""A peer that has not published after so long is shown the room all the same."""
REOFFER_S: Final = 10.0
OFFER_EVERY_S: Final = 1.0
"""A browser is offered more lines at most so often: a class that comes in is one renegotiation, not nine."""
OFFERS_PER_TURN: Final = 4
"""Offers are long texts; so many are written before media gets its turn."""
REFRESH_REST: Final = 4.0
"""Feeding a big room anew takes milliseconds; it rests for so many times as long as the last one took."""
REOPEN_S: Final = 3.0
"""A subscribe connection that was lost alone is offered anew after so long (one who publishes anew gets it then)."""
FEEDBACK_S: Final = 0.02
"""Keyframes and lost packets are asked for in such steps, and only while something is missing: an idle worker sleeps."""
TICK_S: Final = 0.125
SLOW_TICK_S: Final = 0.25
DROPS_EVERY_S: Final = 10.0
MAX_PEERS: Final = 2000
RoomKey = tuple[SessionId, RoomId]


class Tap(Protocol):
    """Who listens to rooms (media.tap)."""

    def refresh(self, rooms: Mapping[RoomKey, list[Source]], reasons: Mapping[Source, str]) -> None:
        """The live, unmuted sources of these rooms as they are now; ``reasons`` says why others went."""
        ...


@dataclass(eq=False, slots=True)
class Peer:
    """One browser page."""

    peer_id: str
    session_id: SessionId
    room_id: RoomId
    person_id: PersonId
    owner: str
    joined_at: float
    publish: PublishConnection | None = None
    subscribe: SubscribeConnection | None = None
    muted: set[MediaSource] = field(default_factory=set)
    version: int = 0
    tracks: tuple[TrackInfo, ...] = ()
    withheld: int = 0
    """Pictures that are kept back because the person's line cannot carry them."""
    offered_version: int | None = None
    """Version of the offer the browser has yet to answer."""
    offered_lines: int = 0
    offered_at: float = 0.0
    offer_waits: bool = False
    reopen_at: float | None = None

    @property
    def room(self) -> RoomKey:
        return (self.session_id, self.room_id)

    @property
    def sources(self) -> Iterable[Source]:
        return self.publish.sources.values() if self.publish is not None else ()


class Sfu:
    """The worker's core. ``emit`` gets (owner, event); it must not block."""

    def __init__(
        self, ice: IceSocket, advertise_ips: tuple[str, ...], emit: Callable[[str, MediaEvent], None]
    ) -> None:
        self.ice = ice
        self.ips = advertise_ips
        self.emit = emit
        self.tap: Tap | None = None
        self.peers: dict[str, Peer] = {}
        self._certificate = Certificate()
        self._rooms: dict[RoomKey, set[Peer]] = {}
        self._speakers: dict[RoomKey, Speakers] = {}
        self._heard_audio: dict[RoomKey, list[PersonId]] = {}
        self._dirty: set[RoomKey] = set()
        self._told: set[Peer] = set()
        self._reasons: dict[Source, str] = {}
        self._refresh_planned = False
        self._refresh_not_before = 0.0
        self._offers: deque[Peer] = deque()
        self._short: set[RoomKey] = set()
        """Rooms with somebody who is to be offered more lines, but was offered some a moment ago."""
        self._drops = (0, 0)
        self._drops_due = 0.0
        self._needy: set[PublishConnection] = set()
        self._feedback_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.ice.start()
        self._ticker = asyncio.create_task(self._tick_forever(), name="media.tick")

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        if self._feedback_timer is not None:
            self._feedback_timer.cancel()
        for peer_id in list(self.peers):
            self.leave(peer_id)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3)
        for task in self._tasks:
            task.cancel()
        self.ice.close()

    # -- what the server asks ----------------------------------------------------------------------------------

    def join(
        self, peer_id: str, session_id: SessionId, room_id: RoomId, person_id: PersonId, owner: str
    ) -> None:
        """Make a peer known; a known one starts afresh."""
        self.leave(peer_id)
        if len(self.peers) >= MAX_PEERS:
            raise MediaError("media_unavailable", "This media worker is full.")
        peer = Peer(peer_id, session_id, room_id, person_id, owner, time.monotonic())
        self.peers[peer_id] = peer
        self._rooms.setdefault(peer.room, set()).add(peer)

    def publish(self, peer_id: str, text: str, sources: Mapping[str, MediaSource]) -> str:
        """Take a publish offer. One with new ICE credentials begins both connections anew."""
        peer = self._peer(peer_id)
        offer = descriptions.parse(text)
        descriptions.check_publish(offer, sources)
        connection = peer.publish
        if connection is None or connection.remote_ufrag != offer.ufrag:
            self._drop_publish(peer, "replaced")
            self._drop_subscribe(peer)
            connection = PublishConnection(
                self.ice,
                self._certificate,
                self.ips,
                lambda c: self._up(peer, c),
                lambda c: self._down(peer, c),
                time.monotonic(),
                peer_id=peer.peer_id,
                person_id=peer.person_id,
                on_live=lambda _source: self._mark(peer.room),
                on_need=self._plan_feedback,
            )
            peer.publish = connection
        answer, gone = connection.answer(offer, sources)
        for source in gone:
            self._end_source(source, "replaced")
        for source in connection.sources.values():
            source.set_muted(source.kind in peer.muted)
        self._mark(peer.room)
        if peer.subscribe is None:
            self._open_subscribe(peer)
        return answer

    def subscribe_answer(self, peer_id: str, text: str, version: int) -> None:
        """The browser's answer to the offer of ``version``; older ones are ignored."""
        peer = self._peer(peer_id)
        if peer.subscribe is None or version != peer.offered_version:
            return
        answer = descriptions.parse(text)
        peer.subscribe.answered(answer, peer.offered_lines)
        peer.offered_version = None
        self._mark(peer.room)

    def move(self, peer_id: str, room_id: RoomId) -> None:
        """Another room, at once; a SubscribeOffer with the new feeding follows.

        A move to the room one is in changes nothing but tells the feeding again (for a page that missed it).
        """
        peer = self._peer(peer_id)
        before = peer.room
        if room_id == peer.room_id:
            self._told.add(peer)
            self._mark(before)
            return
        self._leave_room(peer)
        peer.room_id = room_id
        self._rooms.setdefault(peer.room, set()).add(peer)
        for source in peer.sources:
            self._reasons[source] = "moved"
        self._told.add(peer)
        self._mark(before)
        self._mark(peer.room)

    def mute(self, peer_id: str, kind: MediaSource, muted: bool) -> None:
        """Stop or resume forwarding of one source, whatever the browser sends."""
        peer = self._peer(peer_id)
        (peer.muted.add if muted else peer.muted.discard)(kind)
        source = peer.publish.sources.get(kind) if peer.publish is not None else None
        if source is not None and source.muted != muted:
            source.set_muted(muted)
            if muted:
                self._reasons[source] = "muted"
                self._voices(peer.room).forget(peer.person_id)
            self._mark(peer.room)

    def take_over(
        self, peer_id: str, session_id: SessionId, person_id: PersonId, owner: str, living: Collection[str]
    ) -> Peer:
        """A peer of a server that is gone belongs to ``owner`` from now on; ``living`` are the servers that are connected."""
        peer = self._peer(peer_id)
        is_theirs = (peer.session_id, peer.person_id) == (session_id, person_id)
        if not is_theirs or (peer.owner != owner and peer.owner in living):
            raise MediaError("unknown_peer", "This connection is not known here; join first.")
        peer.owner = owner
        return peer

    def leave(self, peer_id: str) -> None:
        """Forget a peer; unknown ones too."""
        peer = self.peers.pop(peer_id, None)
        if peer is None:
            return
        self._drop_publish(peer, "left")
        self._drop_subscribe(peer)
        self._leave_room(peer)
        self._told.discard(peer)
        self._mark(peer.room)

    def live_sources(self, room: RoomKey) -> list[Source]:
        """What can be heard and seen in a room now."""
        members = self._rooms.get(room, ())
        return [s for p in members for s in p.sources if s.live and not s.muted]

    def stats(self) -> dict[str, int]:
        """How the worker does, for health checks: how many it serves, what was lost in this machine."""
        connections = [c for p in self.peers.values() for c in (p.publish, p.subscribe) if c is not None]
        return {
            "peers": len(self.peers),
            "rooms": len(self._rooms),
            "connections": sum(1 for c in connections if c.secure.ready),
            "dropped_in": self.ice.dropped_in(),
            "dropped_out": self.ice.dropped,
            "faults": self.ice.faults,
            "receive_buffer": self.ice.receive_buffer,
        }

    def _tell_drops(self, now: float) -> None:
        if now < self._drops_due:
            return
        self._drops_due = now + DROPS_EVERY_S
        drops = (self.ice.dropped_in(), self.ice.dropped)
        if drops != self._drops:
            log.warning("ice.dropped in=%d out=%d", drops[0] - self._drops[0], drops[1] - self._drops[1])
            self._drops = drops

    def resend_offers(self, owner: str) -> None:
        """Tell ``owner`` again what its peers are shown (it may have missed events)."""
        for peer in self.peers.values():
            if peer.owner != owner:
                continue
            for connection in (peer.publish, peer.subscribe):
                if connection is not None and connection.secure.ready:
                    self.emit(owner, PeerConnected(peer.peer_id, connection.direction))
            if peer.subscribe is not None:
                if peer.offered_version is not None:
                    self._offer(peer)
                else:
                    self._emit_tracks(peer, None)

    # -- helpers -----------------------------------------------------------------------------------------------

    def _peer(self, peer_id: str) -> Peer:
        peer = self.peers.get(peer_id)
        if peer is None:
            raise MediaError("unknown_peer", "This connection is not known here; join first.")
        return peer

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _leave_room(self, peer: Peer) -> None:
        members = self._rooms.get(peer.room)
        if members is not None:
            members.discard(peer)
            if not members:
                del self._rooms[peer.room]
                self._heard_audio.pop(peer.room, None)
        voices = self._speakers.get(peer.room)
        if voices is not None and not any(
            p.person_id == peer.person_id for p in self._rooms.get(peer.room, ())
        ):
            voices.forget(peer.person_id)

    def _voices(self, room: RoomKey) -> Speakers:
        return self._speakers.setdefault(room, Speakers())

    def _end_source(self, source: Source, reason: str) -> None:
        source.live = False
        self._reasons[source] = reason
        for line in source.lines:
            line.detach()

    def _drop_publish(self, peer: Peer, reason: str) -> None:
        connection, peer.publish = peer.publish, None
        if connection is not None:
            if reason == "replaced" and connection.secure.ready:
                self.emit(peer.owner, PeerLost(peer.peer_id, connection.direction))
            for source in connection.sources.values():
                self._end_source(source, reason)
            self._spawn(connection.close())
            self._mark(peer.room)

    def _drop_subscribe(self, peer: Peer) -> None:
        connection, peer.subscribe = peer.subscribe, None
        peer.tracks, peer.withheld = (), 0
        peer.offered_version = None
        if connection is not None:
            for line in connection.lines:
                line.detach()
            self._spawn(connection.close())

    def _up(self, peer: Peer, connection: Connection) -> None:
        self.emit(peer.owner, PeerConnected(peer.peer_id, connection.direction))
        if connection is peer.subscribe:  # keyframes asked for before now were not seen
            for line in peer.subscribe.lines:
                line.restart()
                if line.source is not None and line.source.is_video:
                    line.source.want_keyframe()
            self._ask_keyframes(line.source for line in peer.subscribe.lines)

    def _down(self, peer: Peer, connection: Connection) -> None:
        if self.peers.get(peer.peer_id) is not peer:
            return
        if connection is peer.publish:
            self._drop_publish(peer, "lost")
        elif connection is peer.subscribe:
            self._drop_subscribe(peer)
            peer.reopen_at = time.monotonic() + REOPEN_S
        else:
            return
        log.info("peer.lost direction=%s", connection.direction)
        self.emit(peer.owner, PeerLost(peer.peer_id, connection.direction))

    # -- feeding -----------------------------------------------------------------------------------------------

    def _mark(self, room: RoomKey) -> None:
        """The room's feeding must be looked at: once, after all orders read in this turn of the loop."""
        self._dirty.add(room)
        if not self._refresh_planned:
            self._refresh_planned = True
            loop = asyncio.get_running_loop()
            rest = self._refresh_not_before - loop.time()
            if rest > 0:
                loop.call_later(rest, self._refresh)
            else:
                loop.call_soon(self._refresh)

    def _refresh(self) -> None:
        began = time.monotonic()
        self._feed_dirty()
        ended = time.monotonic()
        self._refresh_not_before = ended + REFRESH_REST * (ended - began)

    def _feed_dirty(self) -> None:
        self._refresh_planned = False
        dirty, self._dirty = self._dirty, set()
        told, self._told = self._told, set()
        reasons, self._reasons = self._reasons, {}
        wanted_now: list[Source] = []
        taps: dict[RoomKey, list[Source]] = {}
        for room in dirty:
            members = self._rooms.get(room, set())
            live = [s for p in members for s in p.sources if s.live]
            taps[room] = [s for s in live if not s.muted]
            if not members:
                self._speakers.pop(room, None)
                continue
            audio, video = self._ranked(room, live)
            for peer in members:
                self._feed(peer, audio, video, forced=peer in told)
            wanted_now += live
        self._ask_keyframes(wanted_now)
        if self.tap is not None:
            self.tap.refresh(taps, reasons)

    def _ask_keyframes(self, sources: Iterable[Source | None]) -> None:
        now = time.monotonic()
        for source in sources:
            if source is not None and source.is_needy:
                peer = self.peers.get(source.peer_id)
                if peer is not None and peer.publish is not None:
                    if source.take_pli(now):
                        peer.publish.send_pli(source)
                    self._plan_feedback(peer.publish)  # asked again until it comes

    def _ranked(self, room: RoomKey, live: list[Source]) -> tuple[list[Source], list[Source]]:
        """The room's audible and visible sources, the most wanted first."""
        voices = self._voices(room)
        now = time.monotonic()
        audio = [s for s in live if not s.is_video]
        video = [s for s in live if s.is_video]
        if len(audio) > MAX_AUDIO:
            shown = set(self._heard_audio.get(room, ()))
            # Those heard now stay unless somebody is clearly louder.
            audio.sort(key=lambda s: -voices.level(s.person_id, now) - (6.0 if s.person_id in shown else 0.0))
            self._heard_audio[room] = [s.person_id for s in audio[:MAX_AUDIO]]
        if len(video) > MAX_VIDEO:
            video.sort(key=lambda s: _importance(s, voices))
        return audio, video

    def _feed(self, peer: Peer, audio: list[Source], video: list[Source], *, forced: bool) -> None:
        connection = peer.subscribe
        if connection is None:
            return
        own = peer.person_id
        chosen_audio = [s for s in audio if s.person_id != own][:MAX_AUDIO]
        shows = connection.video_codecs
        chosen_video = [s for s in video if s.person_id != own and s.codec.name in shows][:MAX_VIDEO]
        limit = connection.downlink.limit
        withheld = 0 if limit is None else max(0, len(chosen_video) - limit)
        if limit is not None and limit < len(chosen_video):
            voices = self._voices(peer.room)
            chosen_video.sort(key=lambda s: _importance(s, voices))
            chosen_video = chosen_video[:limit]
        free = _keep_fed(connection.lines[: connection.agreed], {*chosen_audio, *chosen_video})
        for kind, chosen in (("audio", chosen_audio), ("video", chosen_video)):
            fed = {line.source for line in connection.lines if line.source is not None}
            _attach(connection, free, kind, [s for s in chosen if s not in fed])
        tracks = tuple(
            TrackInfo(line.mid, line.source.person_id, line.source.kind)
            for line in connection.lines
            if line.source is not None
        )
        short = (
            connection.count("audio") < len(chosen_audio) or connection.count("video") < len(chosen_video)
        ) and peer.offered_version is None
        changed = tracks != peer.tracks or withheld != peer.withheld or forced
        peer.tracks, peer.withheld = tracks, withheld
        if short and time.monotonic() - peer.offered_at < OFFER_EVERY_S:
            self._short.add(peer.room)
            short = False
        if short:
            _grow(connection, max(len(chosen_audio), len(chosen_video)))
            self._offer(peer)
        elif forced and peer.offered_version is not None:
            self._offer(peer)
        elif changed:
            self._emit_tracks(peer, None)

    def _open_subscribe(self, peer: Peer) -> None:
        peer.reopen_at = None
        peer.subscribe = SubscribeConnection(
            self.ice,
            self._certificate,
            self.ips,
            lambda c: self._up(peer, c),
            lambda c: self._down(peer, c),
            time.monotonic(),
        )
        members = self._rooms.get(peer.room, set())
        live = [s for p in members for s in p.sources if s.live and s.person_id != peer.person_id]
        audio = min(MAX_AUDIO, sum(1 for s in live if not s.is_video))
        video = min(MAX_VIDEO, sum(1 for s in live if s.is_video))
        _grow(peer.subscribe, max(audio, video, 2))
        self._offer(peer)

    def _offer(self, peer: Peer) -> None:
        """Offer all lines, in this turn of the loop or one of the next."""
        peer.offered_at = time.monotonic()
        if peer.offer_waits:
            return
        peer.offer_waits = True
        self._offers.append(peer)
        if len(self._offers) == 1:
            asyncio.get_running_loop().call_soon(self._write_offers)

    def _write_offers(self) -> None:
        for _ in range(min(OFFERS_PER_TURN, len(self._offers))):
            peer = self._offers.popleft()
            peer.offer_waits = False
            if peer.subscribe is not None and self.peers.get(peer.peer_id) is peer:
                self._emit_tracks(peer, peer.subscribe.offer())
                peer.offered_version = peer.version
                peer.offered_lines = len(peer.subscribe.lines)
                peer.offered_at = time.monotonic()
        if self._offers:
            asyncio.get_running_loop().call_soon(self._write_offers)

    def _emit_tracks(self, peer: Peer, text: str | None) -> None:
        peer.version += 1
        self.emit(peer.owner, SubscribeOffer(peer.peer_id, text, peer.tracks, peer.version, peer.withheld))

    # -- time --------------------------------------------------------------------------------------------------

    def _plan_feedback(self, connection: PublishConnection) -> None:
        self._needy.add(connection)
        if self._feedback_timer is None:
            self._feedback_timer = asyncio.get_running_loop().call_later(FEEDBACK_S, self._feedback)

    def _feedback(self) -> None:
        self._feedback_timer = None
        now = time.monotonic()
        needy, self._needy = self._needy, set()
        for connection in needy:
            if connection.secure.ready and connection.feedback(now):
                self._plan_feedback(connection)

    async def _tick_forever(self) -> None:
        slow_due = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            try:
                for peer in self.peers.values():
                    if peer.publish is not None and peer.publish.secure.ready:
                        peer.publish.report(now)
                    if peer.subscribe is not None and peer.subscribe.secure.ready:
                        peer.subscribe.report(now, self._clock_offset)
                if now >= slow_due:
                    slow_due = now + SLOW_TICK_S
                    self._slow_tick(now)
            except Exception:
                log.exception("sfu.tick_failed")

    def _clock_offset(self, source: Source) -> float:
        peer = self.peers.get(source.peer_id)
        return peer.publish.clock_offset if peer is not None and peer.publish is not None else 0.0

    def _slow_tick(self, now: float) -> None:
        self._tell_drops(now)
        short, self._short = self._short, set()
        for room in short:
            self._mark(room)
        for peer in list(self.peers.values()):
            for connection in (peer.publish, peer.subscribe):
                if connection is not None and connection.is_lost(now):
                    self._down(peer, connection)
            if peer.subscribe is None:
                never = peer.version == 0 and now - peer.joined_at > LISTENER_S
                again = peer.reopen_at is not None and now > peer.reopen_at
                if never or (again and peer.publish is not None and peer.publish.secure.ready):
                    self._open_subscribe(peer)
                    self._mark(peer.room)
            elif peer.subscribe.secure.ready and peer.subscribe.check_downlink(now):
                log.info(
                    "downlink.changed peer_id=%s pictures=%s", peer.peer_id, peer.subscribe.downlink.limit
                )
                self._mark(peer.room)
            elif peer.offered_version is not None and now - peer.offered_at > REOFFER_S:
                self._offer(peer)
            voices = self._voices(peer.room)
            for source in peer.sources:
                if source.live and now - source.last_packet_at > SILENT_S[source.kind]:
                    source.live = False
                    self._reasons[source] = "lost"
                    self._mark(peer.room)
                if not source.is_video and source.live and not source.muted:
                    if now - source.level_at < SLOW_TICK_S * 2:
                        voices.hear(peer.person_id, source.take_level(), now)
        for room, voices in list(self._speakers.items()):
            members = self._rooms.get(room)
            if members is None:
                del self._speakers[room]
                continue
            speaking = voices.update(now)
            if speaking is not None:
                for owner in {peer.owner for peer in members}:
                    self.emit(owner, ActiveSpeakers(room[0], room[1], speaking))
                narrow = (p.subscribe is not None and p.subscribe.downlink.limit is not None for p in members)
                if len(members) > MAX_AUDIO or any(narrow):
                    self._mark(room)


def _importance(source: Source, voices: Speakers) -> tuple[bool, int]:
    """Sort key, the most important picture first: shared screens, then whoever spoke last."""
    return (source.kind is not MediaSource.SCREEN, -round(voices.last_heard(source.person_id)))


def _grow(connection: SubscribeConnection, people: int) -> None:
    """Lines for so many people: a microphone is soon followed by a camera, so both kinds grow at once."""
    step = next((step for step in STEPS if step >= people), STEPS[-1])
    connection.grow(min(step, MAX_AUDIO), min(step, MAX_VIDEO))


def _keep_fed(lines: list[Line], wanted: set[Source]) -> dict[str, list[Line]]:
    """Take lines from sources no longer wanted; the free lines of each kind."""
    free: dict[str, list[Line]] = {"audio": [], "video": []}
    for line in lines:
        if line.source is not None and line.source not in wanted:
            line.detach()
        if line.source is None:
            free[line.kind].append(line)
    return free


def _attach(
    connection: SubscribeConnection, free: dict[str, list[Line]], kind: str, sources: list[Source]
) -> None:
    """Feed free lines; a person's camera and microphone go to the same place of their kinds (one stream)."""
    places = {
        line.source.person_id: connection.place(line)
        for line in connection.lines
        if line.source is not None and line.kind != kind
    }
    for source in sources:
        if not free[kind]:
            return
        wanted = places.get(source.person_id)
        line = next((li for li in free[kind] if connection.place(li) == wanted), free[kind][0])
        free[kind].remove(line)
        line.attach(source, descriptions.OUT_CODECS[source.codec.name].payload_type)
