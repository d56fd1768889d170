"""Who is connected, and the fan-out: every commit of a session becomes patches for its browsers and moves for the media.

Runs on the server's loop only. Commits arrive from the rooms service's thread and are handled one after the other for
each session, in seq order. No rules here: what a person may see is ``rooms.view``'s, what is allowed is ``rooms``'.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from models.store.access import Access
from models.values import SYSTEM, CommandId, MediaSource, PersonId, RoomId, SessionId
from rooms import view as views
from rooms.commands import Command, EnterSession, Envelope, LeaveSession
from rooms.errors import DomainError
from rooms.events import (
    ChatSent,
    MediaChanged,
    ParticipantMuted,
    ParticipantRemoved,
    ParticipantsMoved,
    Recorded,
    SessionEnded,
)
from rooms.ports import (
    ActiveSpeakers,
    Committed,
    MediaError,
    MediaEvent,
    MediaPlane,
    MediaReset,
    PeerConnected,
    PeerLost,
    Rooms,
    SubscribeOffer,
)
from rooms.state import SessionState
from signalling.connection import Connection, Socket
from signalling.lens import Lens
from signalling.messages import stamp
from signalling.settings import SignallingSettings
from signalling.turn import ice_servers

log = logging.getLogger("sideroom.signalling")
CHAT_LINES = 200


class Audience:
    """The browsers of one session here, the newest state delivered to them, and the chat so far."""

    def __init__(self, session_id: SessionId) -> None:
        self.session_id = session_id
        self.connections: dict[str, Connection] = {}
        self.state: SessionState | None = None
        self._chat: list[Recorded] | None = None
        self._fresh: list[Recorded] = []

    def delivered(self, committed: Committed) -> None:
        self.state = committed.after
        lines = [r for r in committed.events if isinstance(r.event, ChatSent)]
        (self._fresh if self._chat is None else self._chat).extend(lines)

    async def load(self, rooms: Rooms) -> None:
        """Read the session's log once; commits that arrive meanwhile are kept and appended."""
        if self._chat is not None:
            return
        events = await asyncio.to_thread(rooms.events_after, self.session_id, 0)
        if self._chat is None:
            last = events[-1].seq if events else 0
            old = [r for r in events if isinstance(r.event, ChatSent)]
            self._chat = old + [r for r in self._fresh if r.seq > last]

    def newest(self, state: SessionState) -> SessionState:
        """``state``, or what was delivered meanwhile if that is newer."""
        return self.state if self.state is not None and self.state.seq > state.seq else state

    def chat(self, state: SessionState, person_id: PersonId) -> list[dict[str, Any]]:
        person = state.people.get(person_id)
        if person is None:
            return []
        lines = [
            r
            for r in self._chat or []
            if isinstance(r.event, ChatSent) and r.event.room_id == person.room_id and r.seq <= state.seq
        ]
        return [_chat_line(r) for r in lines[-CHAT_LINES:]]


class Hub:
    """Connections of every session on this server. ``start`` and ``stop`` belong to the server's loop."""

    def __init__(self, rooms: Rooms, media: MediaPlane, settings: SignallingSettings) -> None:
        self.rooms = rooms
        self.media = media
        self.settings = settings
        self._connections: dict[str, Connection] = {}
        self._sessions: dict[SessionId, Audience] = {}
        self._commits: asyncio.Queue[Committed] = asyncio.Queue()
        self._orders: asyncio.Queue[tuple[Committed, list[Connection]]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] | None = None
        self._closers: set[asyncio.Task[None]] = set()

    # -- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def hand_over(committed: Committed) -> None:
            loop.call_soon_threadsafe(self._commits.put_nowait, committed)

        self._unsubscribe = self.rooms.subscribe(hand_over)
        await self.media.start(self._on_media)
        self._tasks = [
            asyncio.create_task(self._fan_out(), name="hub.fan_out"),
            asyncio.create_task(self._follow(), name="hub.follow"),
            asyncio.create_task(self._sweep(), name="hub.sweep"),
        ]

    async def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        for task in (*self._tasks, *self._closers):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._closers, return_exceptions=True)
        await self.media.stop()

    @property
    def connected(self) -> int:
        """How many browsers have an open socket."""
        return sum(1 for c in self._connections.values() if c.socket is not None)

    # -- coming and going --------------------------------------------------------------------------------------

    async def enter(self, access: Access, socket: Socket, resume: str | None) -> Connection:
        """Bring a browser in: EnterSession, media peer, ``welcome``. Raises DomainError."""
        command = EnterSession(name=access.name, role=access.role)
        envelope = Envelope(CommandId(f"enter:{uuid4().hex}"), access.session_id, access.actor, command)
        accepted = await asyncio.to_thread(self.rooms.submit, envelope)
        connection, resumed = await self._connection(access, socket, resume)
        if not connection.media_joined:
            await self._join_media(connection, accepted.state)
        await self._welcome(connection, resumed)
        if resumed:
            await self._repeat_offer(connection, accepted.state)
        return connection

    async def _repeat_offer(self, connection: Connection, state: SessionState) -> None:
        """Offers that came while the socket was down are lost: a move to the same room repeats the newest."""
        person = state.people.get(connection.access.person_id)
        if person is None or not connection.media_joined:
            return
        try:
            await self.media.move(connection.peer_id, person.room_id)
        except MediaError as error:
            log.info("media.repeat_failed code=%s", error.code)

    async def _connection(
        self, access: Access, socket: Socket, resume: str | None
    ) -> tuple[Connection, bool]:
        known = self._connections.get(resume or "")
        if (
            known is not None
            and known.access.person_id == access.person_id
            and known.access.session_id == access.session_id
        ):
            old = known.socket
            if old is not None:
                known.socket = None
                await close_socket(old, 4409, "replaced", "This page was opened again elsewhere.")
            known.access = access
            known.attach(socket, self.settings.queue_size)
            return known, True
        connection = Connection("c" + secrets.token_urlsafe(12), access, self.settings.queue_size)
        connection.attach(socket, self.settings.queue_size)
        self._connections[connection.peer_id] = connection
        audience = self._sessions.setdefault(access.session_id, Audience(access.session_id))
        audience.connections[connection.peer_id] = connection
        return connection, False

    async def _join_media(self, connection: Connection, state: SessionState) -> None:
        person = state.people.get(connection.access.person_id)
        if person is None:
            return
        try:
            room_id = person.room_id
            await self.media.join(connection.peer_id, state.session_id, room_id, connection.access.person_id)
            connection.media_joined = True
            for source in connection.muted:
                await self.media.mute(connection.peer_id, source, True)
            # Who was moved meanwhile must not stay behind to hear another room.
            while (newest := await self._room_of(connection)) not in (None, room_id):
                assert newest is not None
                await self.media.move(connection.peer_id, newest)
                room_id = newest
            if self._connections.get(connection.peer_id) is not connection:  # gone while it joined
                await self.media.leave(connection.peer_id)
        except MediaError as error:
            # The room works without media; the plane's MediaReset brings the peer in later.
            log.warning("media.join_failed code=%s", error.code)

    async def _room_of(self, connection: Connection) -> RoomId | None:
        state = await asyncio.to_thread(self.rooms.state, connection.access.session_id)
        person = state.people.get(connection.access.person_id)
        return person.room_id if person is not None else None

    async def _welcome(self, connection: Connection, resumed: bool) -> None:
        access = connection.access
        audience = self._sessions[access.session_id]
        await audience.load(self.rooms)
        state = audience.newest(await asyncio.to_thread(self.rooms.state, access.session_id))
        # From here to ``send`` nothing may wait: what is delivered later has a higher seq than this state.
        connection.seq = state.seq
        connection.is_welcome = True
        connection.send(
            {
                "type": "welcome",
                "connection_id": connection.peer_id,
                "resumed": resumed,
                "server_time": stamp(datetime.now(UTC)),
                "you": {"person_id": access.person_id, "role": access.role.value, "name": access.name},
                "seq": state.seq,
                "state": views.view(state, access.person_id, access.role),
                "chat": audience.chat(state, access.person_id),
                "ice_servers": ice_servers(self.settings, access.person_id, int(time.time())),
                "slack": self.settings.slack,
                "heartbeat_s": self.settings.heartbeat_s,
            }
        )

    def drop(self, connection: Connection, socket: Socket) -> None:
        """The socket is gone; the connection waits for its page to come back."""
        if connection.socket is socket:
            connection.socket = None
            connection.dropped_at = time.monotonic()

    async def leave(self, connection: Connection) -> None:
        """Take a connection out for good; with a person's last one the person leaves the session."""
        if self._connections.pop(connection.peer_id, None) is None:
            return
        access = connection.access
        audience = self._sessions.get(access.session_id)
        others = audience.connections if audience is not None else {}
        others.pop(connection.peer_id, None)
        if not others:
            self._sessions.pop(access.session_id, None)
        try:
            await self.media.leave(connection.peer_id)
        except MediaError as error:
            log.info("media.leave_failed code=%s", error.code)
        if not any(c.access.person_id == access.person_id for c in others.values()):
            await self._submit_quietly(
                access.session_id, LeaveSession(access.person_id), f"leave:{connection.peer_id}"
            )

    async def _submit_quietly(self, session_id: SessionId, command: Command, command_id: str) -> None:
        try:
            await asyncio.to_thread(
                self.rooms.submit, Envelope(CommandId(command_id), session_id, SYSTEM, command)
            )
        except DomainError as error:
            log.info("signalling.command_refused command=%s code=%s", type(command).__name__, error.code)

    async def _sweep(self) -> None:
        """Every second: end the grace of dropped connections. Once, after a start: people nobody is connected for."""
        strangers_at = time.monotonic() + self.settings.grace_s
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in list(self._connections.values()):
                dropped = connection.dropped_at
                if dropped is not None and now - dropped > self.settings.grace_s:
                    await self.leave(connection)
            if strangers_at and now > strangers_at:
                strangers_at = 0.0
                await self._sweep_strangers()

    async def _sweep_strangers(self) -> None:
        # After a crash of this server the log still says “online” for people who never came back.
        for session_id in await asyncio.to_thread(self.rooms.open_sessions):
            state = await asyncio.to_thread(self.rooms.state, session_id)
            audience = self._sessions.get(session_id)
            here = {c.access.person_id for c in audience.connections.values()} if audience else set()
            for person in state.people.values():
                if person.online and person.person_id not in here:
                    await self._submit_quietly(
                        session_id,
                        LeaveSession(person.person_id),
                        f"swept:{session_id}:{person.person_id}:{state.seq}",
                    )

    # -- commits -----------------------------------------------------------------------------------------------

    async def _fan_out(self) -> None:
        while True:
            committed = await self._commits.get()
            try:
                await self._deliver(committed)
            except Exception:
                log.exception("hub.deliver_failed session_id=%s", committed.after.session_id)

    async def _deliver(self, committed: Committed) -> None:
        audience = self._sessions.get(committed.after.session_id)
        if audience is None:
            return
        audience.delivered(committed)
        here = list(audience.connections.values())
        moved = _moved(committed)
        lens = Lens(committed)
        for connection in here:
            if connection.socket is None or not connection.is_welcome:
                continue
            access = connection.access
            for text in lens.frames(access.person_id, access.role, connection.seq):
                connection.send_text(text)
            if access.person_id in moved:
                self._send_state(connection, audience)
        self._orders.put_nowait((committed, here))

    def _send_state(self, connection: Connection, audience: Audience) -> None:
        state = audience.state
        if state is None:
            return
        access = connection.access
        connection.outbox.overflowed = False
        connection.seq = state.seq
        connection.send(
            {
                "type": "state",
                "seq": state.seq,
                "state": views.view(state, access.person_id, access.role),
                "chat": audience.chat(state, access.person_id),
            }
        )

    async def refresh(self, connection: Connection) -> None:
        """A slow browser lost messages (its queue overflowed): give it a whole new state."""
        audience = self._sessions.get(connection.access.session_id)
        if audience is None:
            return
        if audience.state is None:
            audience.state = audience.newest(await asyncio.to_thread(self.rooms.state, audience.session_id))
        self._send_state(connection, audience)

    async def _follow(self) -> None:
        """The media plane follows the commits in their order; a slow one must not hold up anybody's page."""
        while True:
            committed, here = await self._orders.get()
            try:
                await self._obey(committed, here)
            except Exception:
                log.exception("hub.follow_failed session_id=%s", committed.after.session_id)

    async def _obey(self, committed: Committed, here: list[Connection]) -> None:
        """Moves, mutes, removals, the end. All moves of a commit at once: nobody waits for another's."""
        moved = _moved(committed)
        await asyncio.gather(
            *(
                self._order(self.media.move(connection.peer_id, moved[connection.access.person_id]))
                for connection in here
                if connection.access.person_id in moved and connection.media_joined
            )
        )
        for recorded in committed.events:
            await self._obey_event(recorded, here)

    async def _order(self, order: Awaitable[None]) -> None:
        """One that is refused (the peer is gone, the worker is away) changes nothing for the others."""
        try:
            await order
        except MediaError as error:
            log.warning("media.refused code=%s", error.code)

    async def _obey_event(self, recorded: Recorded, here: list[Connection]) -> None:
        event = recorded.event
        if isinstance(event, ParticipantMuted):
            for connection in _of(here, set(event.person_ids)):
                connection.muted.add(MediaSource.MIC)
                if connection.media_joined:
                    await self._order(self.media.mute(connection.peer_id, MediaSource.MIC, True))
        elif isinstance(event, MediaChanged) and event.mic:
            for connection in _of(here, {event.person_id}):
                connection.muted.discard(MediaSource.MIC)
                if connection.media_joined:
                    await self._order(self.media.mute(connection.peer_id, MediaSource.MIC, False))
        elif isinstance(event, ParticipantRemoved):
            for connection in _of(here, {event.person_id}):
                self._spawn(self._dismiss(connection, 4403, "removed"))
        elif isinstance(event, SessionEnded):
            for connection in here:
                self._spawn(self._dismiss(connection, 4410, "session_ended"))

    async def _dismiss(self, connection: Connection, close_code: int, code: str) -> None:
        await asyncio.sleep(0.2)  # let the event itself reach the browser first
        socket, connection.socket = connection.socket, None
        await self.leave(connection)
        if socket is not None:
            await close_socket(socket, close_code, code, DomainError(code).message)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._closers.add(task)
        task.add_done_callback(self._closers.discard)

    # -- media -------------------------------------------------------------------------------------------------

    async def _on_media(self, event: MediaEvent) -> None:
        match event:
            case SubscribeOffer():
                connection = self._connections.get(event.peer_id)
                if connection is not None:
                    tracks = [
                        {"mid": t.mid, "person_id": t.person_id, "source": t.source.value}
                        for t in event.tracks
                    ]
                    connection.send(
                        {"type": "subscribe", "sdp": event.sdp, "tracks": tracks, "version": event.version}
                    )
            case ActiveSpeakers():
                await self._tell_speakers(event)
            case MediaReset():
                await self._media_reset(event)
            case PeerConnected():
                log.info("media.connected direction=%s", event.direction)
            case PeerLost():
                log.info("media.lost")

    async def _tell_speakers(self, event: ActiveSpeakers) -> None:
        audience = self._sessions.get(event.session_id)
        if audience is None:
            return
        state = audience.state
        if state is None:
            state = await asyncio.to_thread(self.rooms.state, event.session_id)
        text = json.dumps({"type": "speakers", "person_ids": list(event.person_ids)})
        for connection in audience.connections.values():
            person = state.people.get(connection.access.person_id)
            if person is not None and person.room_id == event.room_id:
                connection.send_text(text)

    async def _media_reset(self, event: MediaReset) -> None:
        for session_id, audience in list(self._sessions.items()):
            if event.session_ids is not None and session_id not in event.session_ids:
                continue
            here = list(audience.connections.values())
            for connection in here:
                connection.media_joined = False
            state = await asyncio.to_thread(self.rooms.state, session_id)
            for connection in here:
                await self._join_media(connection, state)
                if connection.media_joined:
                    connection.send({"type": "media_reset"})


def _of(here: list[Connection], people: set[PersonId]) -> list[Connection]:
    return [c for c in here if c.access.person_id in people]


def _moved(committed: Committed) -> dict[PersonId, RoomId]:
    moves: dict[PersonId, RoomId] = {}
    for recorded in committed.events:
        if isinstance(recorded.event, ParticipantsMoved):
            moves.update(recorded.event.moves)
    return moves


def _chat_line(recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    assert isinstance(event, ChatSent)
    return {
        "seq": recorded.seq,
        "at": stamp(recorded.at),
        "person_id": event.person_id,
        "name": event.name,
        "text": event.text,
    }


async def close_socket(socket: Socket, close_code: int, code: str, message: str) -> None:
    """Say ``bye`` and close; a socket that is gone already is fine."""
    try:
        await socket.send_text(json.dumps({"type": "bye", "code": code, "message": message}))
        await socket.close(close_code, code)
    except (RuntimeError, OSError):
        log.debug("signalling.close_failed")
    except Exception as error:  # Starlette raises its own disconnect type, websockets another
        log.debug("signalling.close_failed error=%s", type(error).__name__)
