"""The worker's control socket: takes the server's orders (media.wire), hands back results and events.

Media goes on while no server is connected. A server that comes back under another name (it was restarted) finds its old
peers still playing; those it does not join again are let go after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
from typing import Any, Final

from media.sfu import Sfu
from media.wire import LINE_LIMIT, event_to_json
from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import MediaError, MediaEvent

log = logging.getLogger("sideroom.media.control")
HELLO_S: Final = 5.0
ORPHAN_S: Final = 45.0
"""Peers whose server is gone for so long are let go."""
WRITE_LIMIT: Final = 8 * 1024 * 1024


class ControlServer:
    """Orders in, events out. ``start`` returns the bound address as text (``host:port`` or ``unix:/path``)."""

    def __init__(self, secret: str) -> None:
        self.sfu: Sfu | None = None
        self.boot = secrets.token_hex(8)
        self._secret = secret
        self._server: asyncio.Server | None = None
        self._owners: dict[str, asyncio.StreamWriter] = {}
        self._orphans: dict[str, asyncio.TimerHandle] = {}
        self._handlers: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, address: tuple[str, int] | str) -> str:
        if isinstance(address, str):
            self._server = await asyncio.start_unix_server(self._serve, address, limit=LINE_LIMIT)
            return f"unix:{address}"
        host, port = address
        self._server = await asyncio.start_server(self._serve, host, port, limit=LINE_LIMIT)
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for timer in self._orphans.values():
            timer.cancel()
        # A cancelled handler would be logged as a fault by asyncio; one that reads the end of its stream just ends.
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def emit(self, owner: str, event: MediaEvent) -> None:
        """Send an event to the server that joined the peer, if it is connected."""
        writer = self._owners.get(owner)
        if writer is None:
            return
        if writer.transport.get_write_buffer_size() > WRITE_LIMIT:
            log.warning("control.too_slow")  # it comes back and is told everything again
            writer.transport.abort()
            return
        writer.write(json.dumps(event_to_json(event)).encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        self._writers.add(writer)
        owner: str | None = None
        try:
            owner = await self._greet(reader, writer)
            if owner is not None:
                await self._obey(owner, reader, writer)
        except (ConnectionError, ValueError, TimeoutError) as error:
            log.warning("control.broken kind=%s", type(error).__name__)
        finally:
            if owner is not None and self._owners.get(owner) is writer:
                del self._owners[owner]
                loop = asyncio.get_running_loop()
                self._orphans[owner] = loop.call_later(ORPHAN_S, self._let_go, owner)
                log.info("control.lost")
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
        hello = json.loads(await asyncio.wait_for(reader.readline(), HELLO_S) or b"{}")
        good = isinstance(hello, dict) and hello.get("op") == "hello"
        given = str(hello.get("secret", "")) if good else ""
        if not hmac.compare_digest(given.encode(), self._secret.encode()):
            log.warning("control.refused")
            writer.write(b'{"op": "error", "code": "unauthenticated"}\n')
            return None
        owner = str(hello.get("plane", ""))[:64]
        before = self._owners.pop(owner, None)
        if before is not None:
            before.transport.abort()
        timer = self._orphans.pop(owner, None)
        if timer is not None:
            timer.cancel()
        self._owners[owner] = writer
        writer.write(json.dumps({"op": "welcome", "boot": self.boot}).encode() + b"\n")
        log.info("control.connected")
        assert self.sfu is not None
        self.sfu.resend_offers(owner)
        return owner

    async def _obey(self, owner: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            order = json.loads(line)
            if not isinstance(order, dict):
                raise ValueError("not an order")
            answer: dict[str, Any] = {"id": order.get("id")}
            try:
                answer["result"] = self._order(owner, order)
            except MediaError as error:
                answer["error"] = {"code": error.code, "message": error.message}
            except (KeyError, TypeError, ValueError) as error:
                log.warning("control.bad_order kind=%s", type(error).__name__)
                answer["error"] = {"code": "bad_sdp", "message": "The order was not understood."}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
            # Neither of the two waits while a whole class's orders lie in the buffer: media comes in between.
            await asyncio.sleep(0)

    def _order(self, owner: str, order: dict[str, Any]) -> Any:
        assert self.sfu is not None
        if order["op"] == "stats":
            return self.sfu.stats()
        peer_id = str(order["peer_id"])
        match order["op"]:
            case "join":
                session, room = SessionId(order["session_id"]), RoomId(order["room_id"])
                self.sfu.join(peer_id, session, room, PersonId(order["person_id"]), owner)
            case "publish":
                sources = {str(mid): MediaSource(kind) for mid, kind in order["sources"].items()}
                return self.sfu.publish(peer_id, order["sdp"], sources)
            case "subscribe_answer":
                self.sfu.subscribe_answer(peer_id, order["sdp"], int(order["version"]))
            case "move":
                self.sfu.move(peer_id, RoomId(order["room_id"]))
            case "mute":
                self.sfu.mute(peer_id, MediaSource(order["source"]), bool(order["muted"]))
            case "take_over":
                session, person = SessionId(order["session_id"]), PersonId(order["person_id"])
                peer = self.sfu.take_over(peer_id, session, person, owner, set(self._owners))
                return {"room_id": peer.room_id, "muted": sorted(source.value for source in peer.muted)}
            case "leave":
                self.sfu.leave(peer_id)
            case other:
                raise ValueError(f"unknown order {other!r}")
        return None

    def _let_go(self, owner: str) -> None:
        self._orphans.pop(owner, None)
        assert self.sfu is not None
        gone = [peer.peer_id for peer in self.sfu.peers.values() if peer.owner == owner]
        for peer_id in gone:
            self.sfu.leave(peer_id)
        if gone:
            log.info("control.orphans_left count=%d", len(gone))
