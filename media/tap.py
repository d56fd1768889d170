"""The recorder's tap: decrypted packets of asked-for rooms on a stream socket. docs/tap.md is the contract."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import struct
import time
from collections.abc import Mapping
from typing import Any, Final

from media.forward import Source
from media.sfu import RoomKey, Sfu
from models.values import RoomId, SessionId

log = logging.getLogger("sideroom.media.tap")
JSON, RTP, SENDER_REPORT = 1, 2, 3
MAX_FRAME: Final = 1024 * 1024
MAX_ORDER: Final = 64 * 1024
MAX_ROOMS: Final = 1000
BUFFER_LIMIT: Final = 16 * 1024 * 1024
HELLO_S: Final = 5.0
FLUSH_S: Final = 0.02
"""Frames are handed to the socket together: the recorder reads in such steps, and a system call a packet is dear."""
_HEAD = struct.Struct("!LB")
_RTP_HEAD = struct.Struct("!LBLQ")
_SENDER_REPORT = struct.Struct("!LBLQLQL")


class _Track:
    """What one listener knows of one source's present SSRC."""

    __slots__ = ("dropped", "number", "runs", "source", "ssrc")

    def __init__(self, number: int, source: Source) -> None:
        self.number = number
        self.source = source
        self.ssrc = source.ssrc
        self.runs = source.runs
        self.dropped = 0


class _Listener:
    """One recorder's connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._waiting = bytearray()
        self.rooms: set[RoomKey] = set()
        self.tracks: dict[Source, _Track] = {}
        self.in_room: dict[Source, RoomKey] = {}
        self._next = 1

    def tell(self, **message: object) -> None:
        body = json.dumps(message).encode()
        self._waiting += _HEAD.pack(len(body) + 1, JSON) + body

    def flush(self) -> None:
        """Hand what waits to the socket."""
        if self._waiting:
            self.writer.write(bytes(self._waiting))
            self._waiting.clear()

    def is_full(self) -> bool:
        return self.writer.transport.get_write_buffer_size() + len(self._waiting) > BUFFER_LIMIT

    def packet(self, source: Source, packet: bytes, arrival_us: int) -> None:
        track = self.tracks.get(source)
        if track is None or track.runs != source.runs:
            room = self.in_room.get(source)
            if room is None:
                return
            if track is not None:
                self.remove(source, "muted" if track.ssrc == source.ssrc else "replaced", arrival_us)
                self.in_room[source] = room
            track = self._add(source, room, arrival_us)
        if self.is_full():
            track.dropped += 1
            return
        self._tell_dropped(track)
        self._waiting += _RTP_HEAD.pack(len(packet) + 13, RTP, track.number, arrival_us)
        self._waiting += packet

    def rejected(self, source: Source) -> None:
        track = self.tracks.get(source)
        if track is not None and track.runs == source.runs:
            self._tell_dropped(track)
            self.tell(op="dropped", track=track.number, packets=1, reason="malformed")

    def _tell_dropped(self, track: _Track) -> None:
        if track.dropped:
            self.tell(op="dropped", track=track.number, packets=track.dropped, reason="full")
            track.dropped = 0

    def report(self, source: Source, ntp: int, timestamp: int, arrival_us: int) -> None:
        track = self.tracks.get(source)
        if track is not None and track.runs == source.runs and not self.is_full():
            self._waiting += _SENDER_REPORT.pack(
                29, SENDER_REPORT, track.number, arrival_us, track.ssrc, ntp, timestamp
            )

    def _add(self, source: Source, room: RoomKey, arrival_us: int) -> _Track:
        track = self.tracks[source] = _Track(self._next, source)
        self._next += 1
        self.tell(
            op="track_added",
            track=track.number,
            session_id=room[0],
            room_id=room[1],
            person_id=source.person_id,
            peer_id=source.peer_id,
            source=source.kind.value,
            codec=source.codec.name,
            clock_rate=source.codec.clock_rate,
            channels=source.codec.channels if not source.is_video else 1,
            ssrc=source.ssrc,
            audio_level=source.ids.audio_level if not source.is_video else 0,
            arrival_us=arrival_us,
        )
        if source.is_video:  # a recording can only begin with a keyframe
            source.want_keyframe()
        return track

    def remove(self, source: Source, reason: str, arrival_us: int) -> None:
        self.in_room.pop(source, None)
        track = self.tracks.pop(source, None)
        if track is not None:
            self._tell_dropped(track)
            self.tell(op="track_removed", track=track.number, arrival_us=arrival_us, reason=reason)


class TapServer:
    """Serves any number of recorders; none can slow the media down."""

    def __init__(self, secret: str, name: str) -> None:
        self.sfu: Sfu | None = None
        self._secret = secret
        self._name = name
        self._server: asyncio.Server | None = None
        self._listeners: set[_Listener] = set()
        self._tapped: set[Source] = set()
        self._handlers: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flushing: asyncio.TimerHandle | None = None
        self._epoch_us = (time.time_ns() - time.monotonic_ns()) // 1000
        """Arrival times are counted from here by the monotonic clock: a stepped wall clock does not reach them."""

    async def start(self, host: str, port: int) -> int:
        """Bind; returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._flushing is not None:
            self._flushing.cancel()
        # A cancelled handler would be logged as a fault by asyncio; one that reads the end of its stream just ends.
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def _now_us(self) -> int:
        return self._epoch_us + time.monotonic_ns() // 1000

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        for listener in self._listeners:
            listener.flush()

    # -- from the SFU ------------------------------------------------------------------------------------------

    def refresh(self, rooms: Mapping[RoomKey, list[Source]], reasons: Mapping[Source, str]) -> None:
        """The live, unmuted sources of these rooms have changed."""
        if not self._listeners:
            return
        arrival_us = self._now_us()
        where = {source: room for room, sources in rooms.items() for source in sources}
        for listener in self._listeners:
            for source, room in list(listener.in_room.items()):
                if room in rooms and where.get(source) != room:
                    listener.remove(source, reasons.get(source, "left"), arrival_us)
            for source, room in where.items():
                if room in listener.rooms:
                    listener.in_room[source] = room
        self._hook()
        self._flush_soon()

    def _hook(self) -> None:
        """Only sources somebody listens to pay for it."""
        wanted = {source for listener in self._listeners for source in listener.in_room}
        for source in self._tapped - wanted:
            source.tap = None
        for source in wanted - self._tapped:
            source.tap = self
        self._tapped = wanted

    def packet(self, source: Source, packet: bytes) -> None:
        arrival_us = self._now_us()
        for listener in self._listeners:
            listener.packet(source, packet, arrival_us)
        self._flush_soon()

    def rejected(self, source: Source) -> None:
        for listener in self._listeners:
            listener.rejected(source)
        self._flush_soon()

    def report(self, source: Source, ntp: int, timestamp: int) -> None:
        arrival_us = self._now_us()
        for listener in self._listeners:
            listener.report(source, ntp, timestamp, arrival_us)
        self._flush_soon()

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
            listener.tell(op="welcome", worker=self._name, version=1, now_us=self._now_us())
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
            self._hook()
            listener.flush()
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _order(self, listener: _Listener, order: dict[str, Any]) -> None:
        assert self.sfu is not None
        match order.get("op"):
            case "tap":
                room = (SessionId(str(order.get("session_id"))), RoomId(str(order.get("room_id"))))
                if len(listener.rooms) >= MAX_ROOMS:
                    raise ValueError("too many rooms")
                listener.rooms.add(room)
                listener.tell(op="tapped", session_id=room[0], room_id=room[1])
                self.refresh({room: self.sfu.live_sources(room)}, {})
            case "untap":
                room = (SessionId(str(order.get("session_id"))), RoomId(str(order.get("room_id"))))
                listener.rooms.discard(room)
                arrival_us = self._now_us()
                for source in [s for s, where in listener.in_room.items() if where == room]:
                    listener.remove(source, "left", arrival_us)
                self._hook()
            case "keyframe":
                for source, track in listener.tracks.items():
                    if track.number == order.get("track") and source.is_video:
                        source.want_keyframe()
            case _:
                raise ValueError("unknown order")


async def _read_order(reader: asyncio.StreamReader) -> dict[str, Any]:
    length, kind = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    if not 1 <= length <= MAX_ORDER or kind != JSON:
        raise ValueError("not an order")
    order = json.loads(await reader.readexactly(length - 1))
    if not isinstance(order, dict):
        raise ValueError("not an order")
    return order
