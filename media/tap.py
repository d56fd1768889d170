"""The recorder's tap: decrypted packets of asked-for rooms on a stream socket. docs/tap.md is the contract."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from media.forward import Source
from media.ring import Entry, Ring
from media.sfu import RoomKey, Sfu
from models.boottime import boot_id, boot_us
from models.values import RoomId, SessionId

log = logging.getLogger("sideroom.media.tap")
VERSION: Final = 2
JSON, RTP, SENDER_REPORT = 1, 2, 3
MAX_FRAME: Final = 1024 * 1024
MAX_ORDER: Final = 64 * 1024
MAX_ROOMS: Final = 1000
SOCKET_BYTES: Final = 1024 * 1024
"""So much is handed to the socket ahead of its reader; the rest waits in the rings."""
HELLO_S: Final = 5.0
FLUSH_S: Final = 0.02
"""Frames are handed to the socket together: the recorder reads in such steps, and a system call a packet is dear."""
TIME_S: Final = 10.0
ABANDONED_S: Final = 180.0
"""A room whose recorder is gone and does not come back is given up after so long."""
_HEAD = struct.Struct("!LB")
_RTP_HEAD = struct.Struct("!LBLQQ")
_SENDER_REPORT = struct.Struct("!LBLQQLQL")


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is kept for a recorder that is away or slow: of one room, of all together, and for how long."""

    room_bytes: int = 64 << 20
    total_bytes: int = 768 << 20
    seconds: float = 60.0


KEEP: Final = Keep()


class _Track:
    """What is told of one source's present run."""

    __slots__ = ("number", "runs", "ssrc")

    def __init__(self, number: int, source: Source) -> None:
        self.number = number
        self.ssrc = source.ssrc
        self.runs = source.runs


class _Room:
    """One room that is tapped, or was until its recorder died."""

    def __init__(self, key: RoomKey) -> None:
        self.key = key
        self.ring = Ring()
        self.sources: set[Source] = set()
        self.tracks: dict[Source, _Track] = {}
        self.listeners: set[_Listener] = set()
        self.kept = False
        """Whether somebody acknowledges what is written; until then nothing is forgotten."""
        self.acknowledged = 1
        self.left_at = 0.0


class _Listener:
    """One recorder's connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._waiting = bytearray()
        self.next: dict[RoomKey, int] = {}
        """The position that each room's ring is sent from."""
        self.behind: set[RoomKey] = set()
        """Rooms of which it has not been said that nothing older waits."""
        self.dropped: dict[RoomKey, dict[int, int]] = {}

    def tell(self, **message: object) -> None:
        self._waiting += _json(message)

    def flush(self) -> None:
        """Hand what was told to the socket."""
        if self._waiting:
            self.writer.write(bytes(self._waiting))
            self._waiting.clear()

    def may_send(self, more: int) -> bool:
        return self.writer.transport.get_write_buffer_size() + len(self._waiting) + more <= SOCKET_BYTES

    def send(self, room: _Room) -> bool:
        """Hand the room's next entries to the socket; whether some must wait."""
        key, ring = room.key, room.ring
        for number, packets in self.dropped.pop(key, {}).items():
            self.tell(op="dropped", track=number, packets=packets, reason="full")
        self.flush()
        entries = list(ring.from_position(self.next[key], self.may_send))
        if entries:
            self.next[key] += len(entries)
            self.writer.write(b"".join([entry.frame for entry in entries]))
        if self.next[key] < ring.next:
            return True
        if key in self.behind:
            self.behind.discard(key)
            self.tell(op="live", session_id=key[0], room_id=key[1])
            self.flush()
        return False

    def lose(self, room: _Room, entry: Entry) -> None:
        """The oldest entry of the room had to go before it was sent."""
        self.next[room.key] = room.ring.first
        dropped = self.dropped.setdefault(room.key, {})
        if entry.track:
            dropped[entry.track] = dropped.get(entry.track, 0) + 1
        elif entry.change is not None:  # who runs and who does not must be known all the same
            for number, packets in dropped.items():
                self.tell(op="dropped", track=number, packets=packets, reason="full")
            dropped.clear()
            self._waiting += entry.frame


def _json(message: Mapping[str, object]) -> bytes:
    body = json.dumps(message).encode()
    return _HEAD.pack(len(body) + 1, JSON) + body


class TapServer:
    """Serves any number of recorders; none can slow the media down."""

    def __init__(self, secret: str, name: str, keep: Keep = KEEP) -> None:
        self.sfu: Sfu | None = None
        self.boot = secrets.token_hex(8)
        """Of this run: positions and numbers of tracks are unique in it."""
        self._secret = secret
        self._name = name
        self._keep = keep
        self._server: asyncio.Server | None = None
        self._listeners: set[_Listener] = set()
        self._rooms: dict[RoomKey, _Room] = {}
        self._room_of: dict[Source, _Room] = {}
        self._kept_bytes = 0
        self._next_track = 1
        self._handlers: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flushing: asyncio.TimerHandle | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._epoch_us = time.time_ns() // 1000 - boot_us()
        """Arrival times are counted from here by the time since boot: a stepped wall clock does not reach them, and they
        go on while the machine sleeps, as the recorder's do."""

    async def start(self, host: str, port: int) -> int:
        """Bind; returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self._ticker = asyncio.create_task(self._tick_forever(), name="media.tap")
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        if self._flushing is not None:
            self._flushing.cancel()
        # A cancelled handler would be logged as a fault by asyncio; one that reads the end of its stream just ends.
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def now_us(self) -> int:
        return self._epoch_us + boot_us()

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        waits = False
        for room in self._rooms.values():
            for listener in room.listeners:
                waits = listener.send(room) or waits
            self._forget(room)
        if waits:
            self._flush_soon()

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TIME_S)
            for listener in self._listeners:
                listener.tell(op="time", now_us=self.now_us())
                listener.flush()
            now = time.monotonic()
            for room in [r for r in self._rooms.values() if not r.listeners]:
                if now - room.left_at > ABANDONED_S:
                    log.warning("tap.abandoned room_id=%s", room.key[1])
                    self._close(room)

    # -- what is kept ------------------------------------------------------------------------------------------

    def _append(self, room: _Room, entry: Entry) -> None:
        before = room.ring.size_bytes
        room.ring.append(entry)
        self._kept_bytes += room.ring.size_bytes - before
        self._forget(room)
        keep, ring = self._keep, room.ring
        oldest_us = entry.arrival_us - int(keep.seconds * 1e6)
        while len(ring) > 1 and (
            ring.size_bytes > keep.room_bytes
            or self._kept_bytes > keep.total_bytes
            or (ring.oldest_us or 0) < oldest_us
        ):
            self._drop_oldest(room)
        self._flush_soon()

    def _drop_oldest(self, room: _Room) -> None:
        before, position = room.ring.size_bytes, room.ring.first
        entry = room.ring.drop_oldest()
        self._kept_bytes -= before - room.ring.size_bytes
        for listener in room.listeners:
            if listener.next[room.key] <= position:
                listener.lose(room, entry)

    def _forget(self, room: _Room) -> None:
        """What everybody has been sent, and what was acknowledged where somebody acknowledges."""
        wanted = [listener.next[room.key] for listener in room.listeners]
        if room.kept:
            wanted.append(room.acknowledged)
        if wanted:
            self._kept_bytes -= room.ring.trim(min(wanted))

    def _close(self, room: _Room) -> None:
        self._kept_bytes -= room.ring.size_bytes
        del self._rooms[room.key]
        for source in room.sources:
            source.tap = None
            self._room_of.pop(source, None)

    # -- from the SFU ------------------------------------------------------------------------------------------

    def refresh(self, rooms: Mapping[RoomKey, list[Source]], reasons: Mapping[Source, str]) -> None:
        """The live, unmuted sources of these rooms have changed."""
        if not self._rooms:
            return
        arrival_us = self.now_us()
        where = {source: key for key, sources in rooms.items() for source in sources}
        for key in rooms:
            room = self._rooms.get(key)
            for source in [s for s in room.sources if where.get(s) != key] if room is not None else ():
                assert room is not None
                room.sources.discard(source)
                source.tap = None
                self._room_of.pop(source, None)
                self._remove(room, source, reasons.get(source, "left"), arrival_us)
        for source, key in where.items():
            room = self._rooms.get(key)
            if room is not None:
                room.sources.add(source)
                self._room_of[source] = room
                source.tap = self

    def packet(self, source: Source, packet: bytes) -> None:
        room = self._room_of.get(source)
        if room is None:
            return
        arrival_us = self.now_us()
        track = room.tracks.get(source)
        if track is None or track.runs != source.runs:
            if track is not None:
                reason = "muted" if track.ssrc == source.ssrc else "replaced"
                self._remove(room, source, reason, arrival_us)
            track = self._add(room, source, arrival_us)
        head = _RTP_HEAD.pack(len(packet) + 21, RTP, track.number, room.ring.next, arrival_us)
        self._append(room, Entry(head + packet, arrival_us, track.number))

    def rejected(self, source: Source) -> None:
        room = self._room_of.get(source)
        track = room.tracks.get(source) if room is not None else None
        if room is not None and track is not None and track.runs == source.runs:
            told = {"op": "dropped", "track": track.number, "packets": 1, "reason": "malformed"}
            self._note(room, told, self.now_us())

    def report(self, source: Source, ntp: int, timestamp: int) -> None:
        room = self._room_of.get(source)
        track = room.tracks.get(source) if room is not None else None
        if room is not None and track is not None and track.runs == source.runs:
            arrival_us = self.now_us()
            frame = _SENDER_REPORT.pack(
                37, SENDER_REPORT, track.number, room.ring.next, arrival_us, track.ssrc, ntp, timestamp
            )
            self._append(room, Entry(frame, arrival_us, 0))

    def _note(
        self,
        room: _Room,
        message: dict[str, Any],
        arrival_us: int,
        change: tuple[int, dict[str, Any] | None] | None = None,
    ) -> None:
        message["position"] = room.ring.next
        self._append(room, Entry(_json(message), arrival_us, 0, change))

    def _add(self, room: _Room, source: Source, arrival_us: int) -> _Track:
        track = room.tracks[source] = _Track(self._next_track, source)
        self._next_track += 1
        told: dict[str, Any] = {
            "op": "track_added",
            "track": track.number,
            "session_id": room.key[0],
            "room_id": room.key[1],
            "person_id": source.person_id,
            "peer_id": source.peer_id,
            "source": source.kind.value,
            "codec": source.codec.name,
            "clock_rate": source.codec.clock_rate,
            "channels": source.codec.channels if not source.is_video else 1,
            "ssrc": source.ssrc,
            "audio_level": source.ids.audio_level if not source.is_video else 0,
            "arrival_us": arrival_us,
        }
        self._note(room, told, arrival_us, (track.number, told))
        if source.is_video:  # a recording can only begin with a keyframe
            source.want_keyframe()
        return track

    def _remove(self, room: _Room, source: Source, reason: str, arrival_us: int) -> None:
        track = room.tracks.pop(source, None)
        if track is not None:
            told = {"op": "track_removed", "track": track.number, "arrival_us": arrival_us, "reason": reason}
            self._note(room, told, arrival_us, (track.number, None))

    # -- from the recorder -------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        self._writers.add(writer)
        listener = _Listener(writer)
        try:
            hello = await asyncio.wait_for(_read_order(reader), HELLO_S)
            given = str(hello.get("secret", "")) if hello.get("op") == "hello" else ""
            if not hmac.compare_digest(given.encode(), self._secret.encode()):
                log.warning("tap.refused")
                listener.tell(op="error", code="unauthenticated")
                return
            if hello.get("version") != VERSION:
                log.warning("tap.refused version=%s", hello.get("version"))
                listener.tell(op="error", code="version", version=VERSION)
                return
            listener.tell(
                op="welcome",
                worker=self._name,
                version=VERSION,
                boot=self.boot,
                now_us=self.now_us(),
                machine=boot_id(),
                epoch_us=self._epoch_us,
            )
            listener.flush()
            self._listeners.add(listener)
            log.info("tap.connected")
            while True:
                self._order(listener, await _read_order(reader))
                listener.flush()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            log.info("tap.ended")
        except ValueError:
            log.warning("tap.malformed")
        finally:
            self._listeners.discard(listener)
            for key in list(listener.next):
                self._leave(listener, key)
            listener.flush()
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _leave(self, listener: _Listener, key: RoomKey) -> None:
        """The listener does not get this room any more. One that was recorded is kept for the next recorder."""
        room = self._rooms.get(key)
        listener.next.pop(key, None)
        listener.behind.discard(key)
        listener.dropped.pop(key, None)
        if room is not None and listener in room.listeners:
            room.listeners.discard(listener)
            room.left_at = time.monotonic()
            if not room.listeners and not room.kept:
                self._close(room)

    def _order(self, listener: _Listener, order: dict[str, Any]) -> None:
        match order.get("op"):
            case "tap":
                self._tap(listener, _key(order), order)
            case "untap":
                key = _key(order)
                room = self._rooms.get(key)
                if room is not None and listener in room.listeners:
                    for message in room.ring.tracks_at(room.ring.next):
                        listener.tell(
                            op="track_removed",
                            track=message["track"],
                            arrival_us=self.now_us(),
                            reason="left",
                        )
                    room.kept = False  # what it wanted to have kept it has, or gives up
                    self._leave(listener, key)
            case "ack":
                for session_id, room_id, position in order["rooms"]:
                    room = self._rooms.get((SessionId(str(session_id)), RoomId(str(room_id))))
                    if room is not None and listener in room.listeners and room.kept:
                        room.acknowledged = min(max(room.acknowledged, int(position) + 1), room.ring.next)
                        self._forget(room)
            case "keyframe":
                for room in self._rooms.values():
                    if listener in room.listeners:
                        for source, track in room.tracks.items():
                            if track.number == order.get("track") and source.is_video:
                                source.want_keyframe()
            case _:
                raise ValueError("unknown order")

    def _tap(self, listener: _Listener, key: RoomKey, order: Mapping[str, Any]) -> None:
        """Send a room: from now on, or from a position of this run of ours as far back as it is kept."""
        assert self.sfu is not None
        if len(listener.next) >= MAX_ROOMS and key not in listener.next:
            raise ValueError("too many rooms")
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = _Room(key)
        ring, wanted = room.ring, order.get("from")
        position, resumed = ring.next, False
        is_ours = order.get("boot") == self.boot or (wanted == 0 and not order.get("boot"))
        if isinstance(wanted, int) and is_ours and 0 <= wanted <= ring.next:
            position, resumed = max(wanted, ring.first), wanted == 0 or wanted >= ring.first
        if order.get("keep"):
            if not room.kept:
                room.kept, room.acknowledged = True, position
            room.acknowledged = max(room.acknowledged, position)
        room.listeners.add(listener)
        listener.next[key] = position
        listener.behind.add(key)
        listener.tell(
            op="tapped",
            session_id=key[0],
            room_id=key[1],
            **{"from": position},
            resumed=resumed,
        )
        for message in ring.tracks_at(position):
            listener.tell(**message)
        self.refresh({key: self.sfu.live_sources(key)}, {})
        for source, track in room.tracks.items():
            if source.is_video and not resumed and track.runs == source.runs:
                source.want_keyframe()
        self._flush_soon()


def _key(order: Mapping[str, Any]) -> RoomKey:
    return SessionId(str(order.get("session_id"))), RoomId(str(order.get("room_id")))


async def _read_order(reader: asyncio.StreamReader) -> dict[str, Any]:
    length, kind = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    if not 1 <= length <= MAX_ORDER or kind != JSON:
        raise ValueError("not an order")
    order = json.loads(await reader.readexactly(length - 1))
    if not isinstance(order, dict):
        raise ValueError("not an order")
    return order
