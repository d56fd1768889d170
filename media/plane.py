"""The server's end of the media worker: ``rooms.ports.MediaPlane`` over the control connection (media.wire)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from media.wire import LINE_LIMIT, event_from_json, parse_address
from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import MediaError, MediaEvent, MediaReset

log = logging.getLogger("sideroom.media.plane")
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
CALL_S: Final = 10.0
EVENT_QUEUE: Final = 10_000


def _unavailable() -> MediaError:
    return MediaError(
        "media_unavailable", "Audio and video are restarting. You’ll be connected in a few seconds."
    )


class EmbeddedPlane:
    """Media plane of one worker. ``control_address``: ``host:port`` or ``unix:/path``; ``secret``: the worker's.

    Keeps connecting with back-off. When it finds a worker that was started anew it emits ``MediaReset``; until then
    (and while down) every call raises MediaError ``media_unavailable``.
    """

    def __init__(self, control_address: str, secret: str, *, connect_timeout_s: float = 5.0) -> None:
        self._address = parse_address(control_address)
        self._secret = secret
        self._connect_timeout_s = connect_timeout_s
        self._name = secrets.token_hex(8)
        self._boot: str | None = None
        self._failed_calls = False
        self._stopping = False
        self._writer: asyncio.StreamWriter | None = None
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._events: asyncio.Queue[MediaEvent] = asyncio.Queue(EVENT_QUEUE)
        self._tasks: list[asyncio.Task[None]] = []
        self._connected = asyncio.Event()

    async def start(self, on_event: Callable[[MediaEvent], Awaitable[None]]) -> None:
        """Begin connecting; returns at once when the worker is there, at the latest after ``connect_timeout_s``."""
        self._tasks = [
            asyncio.create_task(self._keep_connected(), name="media.plane"),
            asyncio.create_task(self._deliver(on_event), name="media.events"),
        ]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), self._connect_timeout_s)

    async def stop(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def is_up(self) -> bool:
        """True while the worker takes orders."""
        return self._writer is not None

    # -- MediaPlane --------------------------------------------------------------------------------------------

    async def join(self, peer_id: str, session_id: SessionId, room_id: RoomId, person_id: PersonId) -> None:
        await self._call("join", peer_id=peer_id, session_id=session_id, room_id=room_id, person_id=person_id)

    async def publish(self, peer_id: str, sdp: str, sources: Mapping[str, MediaSource]) -> str:
        named = {mid: source.value for mid, source in sources.items()}
        return str(await self._call("publish", peer_id=peer_id, sdp=sdp, sources=named))

    async def subscribe_answer(self, peer_id: str, sdp: str, version: int) -> None:
        await self._call("subscribe_answer", peer_id=peer_id, sdp=sdp, version=version)

    async def move(self, peer_id: str, room_id: RoomId) -> None:
        await self._call("move", peer_id=peer_id, room_id=room_id)

    async def mute(self, peer_id: str, source: MediaSource, muted: bool) -> None:
        await self._call("mute", peer_id=peer_id, source=source.value, muted=muted)

    async def take_over(
        self, peer_id: str, session_id: SessionId, person_id: PersonId
    ) -> tuple[RoomId, frozenset[MediaSource]]:
        found = await self._call("take_over", peer_id=peer_id, session_id=session_id, person_id=person_id)
        return RoomId(found["room_id"]), frozenset(MediaSource(source) for source in found["muted"])

    async def leave(self, peer_id: str) -> None:
        await self._call("leave", peer_id=peer_id)

    async def stats(self, timeout_s: float = 1.0) -> dict[str, int]:
        """How the worker does (``Sfu.stats``). Raises MediaError ``media_unavailable``, also when it does not answer in time."""
        try:
            found: dict[str, int] = await asyncio.wait_for(self._call("stats"), timeout_s)
        except TimeoutError:
            raise _unavailable() from None
        return found

    # -- the connection ----------------------------------------------------------------------------------------

    async def _call(self, op: str, **arguments: Any) -> Any:
        writer = self._writer
        if writer is None:
            self._failed_calls = True
            raise _unavailable()
        line = json.dumps({"id": self._next_id, "op": op, **arguments}).encode() + b"\n"
        if len(line) > LINE_LIMIT:
            raise MediaError("bad_sdp", "The session description is too long.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        number, self._next_id = self._next_id, self._next_id + 1
        self._calls[number] = future
        try:
            writer.write(line)
            return await asyncio.wait_for(future, CALL_S)
        except (TimeoutError, ConnectionError) as error:
            self._failed_calls = True
            raise _unavailable() from error
        finally:
            self._calls.pop(number, None)

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            try:
                if await self._serve_once():
                    failures = 0
            except (OSError, ValueError, TimeoutError) as error:
                log.debug("plane.connect_failed kind=%s", type(error).__name__)
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            failures += 1

    async def _serve_once(self) -> bool:
        """One connection from hello to its end; True when the worker had welcomed us."""
        if isinstance(self._address, str):
            reader, writer = await asyncio.open_unix_connection(self._address, limit=LINE_LIMIT)
        else:
            reader, writer = await asyncio.open_connection(*self._address, limit=LINE_LIMIT)
        try:
            hello = {"op": "hello", "secret": self._secret, "plane": self._name}
            writer.write(json.dumps(hello).encode() + b"\n")
            welcome = json.loads(await asyncio.wait_for(reader.readline(), self._connect_timeout_s) or b"{}")
            if welcome.get("op") != "welcome":
                log.error("plane.refused code=%s", welcome.get("code"))
                return False
            boot = str(welcome["boot"])
            is_new = boot != self._boot
            needs_reset = is_new and (self._boot is not None or self._failed_calls)
            self._boot = boot
            self._failed_calls = False
            self._writer = writer
            self._connected.set()
            log.info("plane.connected new_worker=%s", is_new)
            if needs_reset:
                self._put(MediaReset())
            while line := await reader.readline():
                self._handle(json.loads(line))
            return True
        finally:
            if self._writer is writer:
                self._writer = None
                self._connected.clear()
                if not self._stopping:
                    log.warning("plane.disconnected")
            for future in self._calls.values():
                if not future.done():
                    future.set_exception(ConnectionError("worker gone"))
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _handle(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._put(event_from_json(message))
            return
        future = self._calls.get(message["id"])
        if future is None or future.done():
            return
        error = message.get("error")
        if error is not None:
            future.set_exception(MediaError(error["code"], error["message"]))
        else:
            future.set_result(message.get("result"))

    def _put(self, event: MediaEvent) -> None:
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            # Begin again: the worker tells everything anew to whoever connects.
            raise ConnectionError("events are not taken") from None

    async def _deliver(self, on_event: Callable[[MediaEvent], Awaitable[None]]) -> None:
        while True:
            event = await self._events.get()
            try:
                await on_event(event)
            except Exception:
                log.exception("plane.event_failed kind=%s", type(event).__name__)
