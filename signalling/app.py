"""The ``/ws`` endpoint: one coroutine a browser reads messages and hands them to the hub, another writes.

A browser's mistakes cost only that browser: every refusal is an ``error`` or ``result`` message, and the room goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from models.store.access import check_token
from models.store.database import Database
from models.values import CommandId, Role
from rooms import wire
from rooms.commands import Envelope
from rooms.errors import DomainError
from rooms.ports import MediaError
from signalling.connection import Connection, RateLimit
from signalling.hub import REPLACED, Hub, Replaced, close_socket
from signalling.messages import (
    BadMessage,
    CommandMessage,
    Hello,
    Leave,
    Message,
    Ping,
    Publish,
    Subscribed,
    parse,
    refusal,
    stamp,
)
from signalling.settings import SignallingSettings

log = logging.getLogger("sideroom.signalling")


CLOSE_CODES = {
    "session_ended": 4410,
    "no_session": 4410,
    "removed": 4403,
    "locked": 4403,
    "other_course": 4403,
}
"""By which code the door closes on somebody who may not come in."""


class _Bye(Exception):
    """The connection must end: close code and the ``bye`` fields."""

    def __init__(self, close_code: int, code: str, message: str) -> None:
        self.close_code = close_code
        self.code = code
        self.message = message
        super().__init__(code)


class Endpoint:
    """Serves WebSockets; ``server`` mounts it at ``/ws``."""

    def __init__(self, hub: Hub, db: Database, settings: SignallingSettings) -> None:
        self._hub = hub
        self._db = db
        self._settings = settings

    async def __call__(self, socket: WebSocket) -> None:
        origin = socket.headers.get("origin", "")
        if self._settings.allowed_origins and origin and origin not in self._settings.allowed_origins:
            log.warning("signalling.origin_refused")
            await socket.close(4403, "other_course")
            return
        await socket.accept()
        connection: Connection | None = None
        writer: asyncio.Task[None] | None = None
        try:
            connection = await self._hello(socket)
            writer = asyncio.create_task(_write(socket, connection, self._hub), name="signalling.write")
            await self._read(socket, connection)
        except _Bye as bye:
            log.info("signalling.bye code=%s", bye.code)
            await close_socket(socket, bye.close_code, bye.code, bye.message)
        except WebSocketDisconnect:
            pass
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
            if connection is not None:
                self._hub.drop(connection, socket)

    async def _hello(self, socket: WebSocket) -> Connection:
        try:
            async with asyncio.timeout(self._settings.hello_timeout_s):
                message = parse(await self._text(socket))
        except TimeoutError:
            raise _Bye(4408, "timeout", "No hello arrived in time. Reload the page.") from None
        except BadMessage as error:
            raise _Bye(4413 if error.code == "too_big" else 4400, error.code, error.message) from None
        if not isinstance(message, Hello):
            raise _Bye(4400, "bad_message", "The first message must be hello.")
        access = await asyncio.to_thread(check_token, self._db, message.token)
        if access is None or access.kind != "room" or not access.session_id:
            refused = DomainError("unauthenticated")
            raise _Bye(4401, refused.code, refused.message)
        try:
            return await self._hub.enter(access, socket, message.resume)
        except Replaced:
            raise _Bye(4409, "replaced", REPLACED) from None
        except DomainError as error:
            raise _Bye(CLOSE_CODES.get(error.code, 4400), error.code, error.message) from None

    async def _text(self, socket: WebSocket) -> str:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text = message.get("text")
        if text is None:
            raise BadMessage("bad_message", "Binary messages aren’t part of this protocol.")
        if (
            len(text) > self._settings.max_message_bytes
            or len(text.encode()) > self._settings.max_message_bytes
        ):
            raise BadMessage("too_big", "This message is over 256 KiB.")
        assert isinstance(text, str)
        return text

    async def _read(self, socket: WebSocket, connection: Connection) -> None:
        limit = RateLimit(50, 10, time.monotonic())
        while connection.socket is socket:
            try:
                async with asyncio.timeout(self._settings.silence_timeout_s):
                    text = await self._text(socket)
            except TimeoutError:
                raise _Bye(4408, "timeout", "This page sent nothing for 30 s.") from None
            except BadMessage as error:
                raise _Bye(4413 if error.code == "too_big" else 4400, error.code, error.message) from None
            if not limit.allows(time.monotonic()):
                raise _Bye(4429, "rate_limited", DomainError("rate_limited").message)
            try:
                message = parse(text)
            except BadMessage as error:
                if text[:1] != "{":
                    raise _Bye(4400, error.code, error.message) from None
                connection.send({"type": "error", "id": error.message_id, **refusal(error)})
                continue
            if isinstance(message, Leave):
                await self._hub.leave(connection)
                raise _Bye(1000, "left", "You left the room.")
            await self._handle(connection, message)

    async def _handle(self, connection: Connection, message: Message) -> None:
        try:
            match message:
                case CommandMessage():
                    await self._command(connection, message)
                case Publish():
                    answer = await self._hub.media.publish(connection.peer_id, message.sdp, message.sources)
                    connection.send({"type": "published", "sdp": answer})
                case Subscribed():
                    await self._hub.media.subscribe_answer(connection.peer_id, message.sdp, message.version)
                case Ping():
                    connection.send({"type": "pong", "t": message.t, "server_time": stamp(datetime.now(UTC))})
                case Hello():
                    raise BadMessage("bad_message", "hello was said already.")
        except BadMessage as error:
            connection.send({"type": "error", "id": error.message_id, **refusal(error)})
        except MediaError as error:
            connection.send(
                {"type": "error", "id": None, "code": error.code, "message": error.message, "facts": {}}
            )
        except Exception:
            log.exception("signalling.failed type=%s", type(message).__name__)
            connection.send({"type": "error", "id": None, **refusal(DomainError("internal"))})

    async def _command(self, connection: Connection, message: CommandMessage) -> None:
        access = connection.access
        try:
            if message.name not in wire.CLIENT_COMMANDS:
                known = wire.is_command(message.name)
                raise (
                    DomainError("not_allowed")
                    if known
                    else DomainError("bad_command", name=message.name[:40])
                )
            command = wire.command_from_json(message.name, message.args)
            if access.role is not Role.MODERATOR and not connection.commands.allows(time.monotonic()):
                raise DomainError("rate_limited")
            command_id = CommandId(f"ws:{access.session_id}:{access.person_id}:{message.id}")
            envelope = Envelope(command_id, access.session_id, access.actor, command)
            accepted = await asyncio.to_thread(self._hub.rooms.submit, envelope)
            connection.send({"type": "result", "id": message.id, "ok": True, "seq": accepted.state.seq})
        except DomainError as error:
            connection.send({"type": "result", "id": message.id, "ok": False, "error": refusal(error)})


async def _write(socket: WebSocket, connection: Connection, hub: Hub) -> None:
    outbox = connection.outbox
    while True:
        for text in await outbox.take():
            if socket.application_state is not WebSocketState.CONNECTED:
                return
            try:
                await socket.send_text(text)
            except UnicodeEncodeError:
                log.warning("signalling.unsendable")  # one odd character must not end this browser's messages
        if outbox.overflowed:
            await hub.refresh(connection)
