"""The media worker's real tap, fed with beeps and flashes packet by packet: everything of it but sockets of browsers."""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from typing import Any

from media.forward import Source as Published
from media.rtp import ExtensionIds
from media.sdp import OPUS, VP8
from media.tap import KEEP, Keep, TapServer
from models.values import MediaSource, PersonId, RoomId, SessionId
from tests.media.beepflash import NTP_EPOCH_S, SECRET, Source


class RealTap:
    """Plays ``sources`` in real time, whether somebody listens or not. ``base`` is Unix time of media time zero."""

    def __init__(self, keep: Keep = KEEP) -> None:
        self.base = 0.0
        self.late_s = 0.0
        """How far the player fell behind at most: then the machine was too busy for it, and the film may show it."""
        self._keep = keep
        self._loop = asyncio.new_event_loop()
        self._live: dict[tuple[SessionId, RoomId], list[Published]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server: TapServer
        self.port = 0
        self.restart()

    def restart(self) -> None:
        """Begin, or lose everything and begin anew as a killed worker does, at the same port."""
        self._call(self._restart())

    async def _restart(self) -> None:
        if self.port:
            await self.server.stop()
        self.server = TapServer(SECRET, "w1", self._keep)
        self.server.sfu = self  # type: ignore[assignment]
        self.port = await self.server.start("127.0.0.1", self.port)

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def live_sources(self, room: tuple[SessionId, RoomId]) -> list[Published]:
        return list(self._live.get(room, ()))

    def play(self, sources: list[Source], base: float) -> None:
        """Begin to play; returns at once."""
        self.base = base
        steps = {source.track: list(source.schedule()) for source in sources}  # encoded beforehand

        async def begin() -> None:
            for source in sources:
                task = asyncio.create_task(self._play(source, steps[source.track]))
                self._tasks.add(task)

        self._call(begin())

    async def _play(self, source: Source, steps: list[Any]) -> None:
        is_audio = source.codec == "opus"
        published = Published(
            f"peer-{source.person_id}",
            PersonId(source.person_id),
            MediaSource(source.source),
            OPUS if is_audio else VP8,
            ExtensionIds(),
        )
        published.set_ssrc(1000 + source.track)
        room = (SessionId(source.session_id), RoomId(source.room_id))
        for due, _at, item in steps:
            wait = self.base + due - time.time()
            if wait > 0:
                await asyncio.sleep(wait)
            self.late_s = max(self.late_s, -wait)
            if not published.live:
                published.live = True
                self._live.setdefault(room, []).append(published)
                self.server.refresh({room: self.live_sources(room)}, {})
            if isinstance(item, tuple):
                timestamp, told = item
                if published.tap is not None:
                    ntp = int((self.base + told + NTP_EPOCH_S) * 2**32)
                    published.tap.report(published, ntp, timestamp & 0xFFFFFFFF)
            else:
                _first, second, sequence, timestamp = struct.unpack_from("!BBHL", item)
                published.receive(
                    bytearray(item), len(item), second & 0x80, sequence, timestamp, time.monotonic()
                )
        self._live[room].remove(published)
        self.server.refresh({room: self.live_sources(room)}, {published: "left"})

    def close(self) -> None:
        async def end() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.server.stop()

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
