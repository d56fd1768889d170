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
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from models.store.access import Access
from models.values import SYSTEM, CommandId, MediaSource, PersonId, RoomId, SessionId
from rooms.commands import EnterSession, Envelope, LeaveSession
from rooms.errors import DomainError
from rooms.events import ParticipantRemoved, ParticipantsMoved, Recorded, SessionEnded
from rooms.ports import (
    ActiveSpeakers,
    Committed,
    MediaEvent,
    MediaPlane,
    MediaReset,
    PeerConnected,
    PeerLost,
    Rooms,
    SubscribeOffer,
)
from rooms.state import SessionState
from signalling.audience import Audience
from signalling.connection import Connection, Socket
from signalling.follower import MediaFollower
from signalling.lens import Lens, encoded
from signalling.messages import stamp
from signalling.settings import SignallingSettings
from signalling.turn import ice_servers

log = logging.getLogger("sideroom.signalling")
RING_OFF_S = 0.2
"""Between an event that sends people away and the closing of their sockets: the event shall reach them first."""


REPLACED = "This room was opened again elsewhere."
KEEP_REPLACED = 1000


class Replaced(Exception):
    """A page wants its connection back, but its person has opened a newer page since."""


class Hub:
    """Connections of every session on this server. ``start`` and ``stop`` belong to the server's loop."""

    def __init__(
        self,
        rooms: Rooms,
        media: MediaPlane,
        settings: SignallingSettings,
        enters_muted: Callable[[Access], bool] = lambda _access: False,
    ) -> None:
        """``enters_muted``: does this person come in with the microphone off? Asked in a thread, once for each entry."""
        self.rooms = rooms
        self._enters_muted = enters_muted
        self.media = media
        self.settings = settings
        self._connections: dict[str, Connection] = {}
        self._sessions: dict[SessionId, Audience] = {}
        self._commits: asyncio.Queue[Committed] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] | None = None
        self._closers: set[asyncio.Task[None]] = set()
        self._follower = MediaFollower(media)
        self._doors: WeakValueDictionary[tuple[SessionId, PersonId], asyncio.Lock] = WeakValueDictionary()
        self._gone: dict[tuple[SessionId, PersonId], tuple[str, bool]] = {}
        """Who must still be told to have left, with the command's id and whether the line was lost: the database did not take it yet."""
        self._strangers_at = 0.0
        self._replaced: deque[str] = deque(maxlen=KEEP_REPLACED)
        """Connection ids of pages that a newer one replaced: one that was asleep then must not take the place back."""

    # -- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def hand_over(committed: Committed) -> None:
            loop.call_soon_threadsafe(self._commits.put_nowait, committed)

        self._unsubscribe = self.rooms.subscribe(hand_over)
        await self.media.start(self._on_media)
        self._tasks = [
            asyncio.create_task(self._fan_out(), name="hub.fan_out"),
            asyncio.create_task(self._sweep(), name="hub.sweep"),
        ]

    async def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        for task in (*self._tasks, *self._closers):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._closers, return_exceptions=True)
        await self._follower.stop()
        await self.media.stop()

    @property
    def connected(self) -> int:
        """How many browsers have an open socket."""
        return sum(1 for c in self._connections.values() if c.socket is not None)

    # -- coming and going --------------------------------------------------------------------------------------

    async def enter(self, access: Access, socket: Socket, resume: str | None) -> Connection:
        """Bring a browser in: EnterSession, media peer, ``welcome``. Raises DomainError, Replaced."""
        command = EnterSession(name=access.name, role=access.role)
        envelope = Envelope(CommandId(f"enter:{uuid4().hex}"), access.session_id, access.actor, command)
        if resume in self._replaced:
            raise Replaced
        taken = None
        if resume and resume not in self._connections:
            # A page of the web process before this one: its sound and picture have never stopped.
            taken = await self._follower.take_over(resume, access.session_id, access.person_id)
        async with self._door(access.session_id, access.person_id):
            accepted = await asyncio.to_thread(self.rooms.submit, envelope)
            silent = await asyncio.to_thread(self._enters_muted, access)
            connection, resumed, replaced = self._connection(access, socket, resume, taken)
            if silent and not resumed:
                # Until they switch it on, whatever their page sends as a microphone reaches nobody.
                connection.muted.add(MediaSource.MIC)
        try:
            if replaced is not None:
                await close_socket(replaced, 4409, "replaced", REPLACED)
            audience = self._audience(connection)
            audience.saw(accepted.state)
            if not connection.media_joined:
                await self._follower.join(connection, audience)
            await self._welcome(connection, resumed, silent and not resumed)
            if taken is not None:
                self._follower.settle(audience)  # who was moved meanwhile
            if resumed:
                await self._follower.repeat_offer(connection)
        except BaseException:
            self.drop(connection, socket)
            raise
        return connection

    def _door(self, session_id: SessionId, person_id: PersonId) -> asyncio.Lock:
        """Held while a person comes in or goes: otherwise the last tab's end could overtake the first of a new one."""
        return self._doors.setdefault((session_id, person_id), asyncio.Lock())

    def _audience(self, connection: Connection) -> Audience:
        audience = self._sessions.get(connection.access.session_id)
        if audience is None or connection.peer_id not in audience.connections:
            raise DomainError("session_ended")  # or the person was removed, while coming in
        return audience

    def _connection(
        self,
        access: Access,
        socket: Socket,
        resume: str | None,
        taken: tuple[RoomId, frozenset[MediaSource]] | None,
    ) -> tuple[Connection, bool, Socket | None]:
        """The connection to use, whether it is a resumed one, and a socket that it had before."""
        known = self._connections.get(resume or "")
        if (
            known is not None
            and known.access.person_id == access.person_id
            and known.access.session_id == access.session_id
        ):
            replaced, known.socket = known.socket, None
            known.access = access
            known.attach(socket, self.settings.queue_size)
            return known, True, replaced
        peer_id = resume if resume and taken is not None else "c" + secrets.token_urlsafe(12)
        connection = Connection(peer_id, access, self.settings.queue_size, self.settings.commands_per_s)
        if taken is not None:
            connection.media_joined, connection.media_room = True, taken[0]
            connection.muted, connection.told_muted = set(taken[1]), set(taken[1])
        connection.attach(socket, self.settings.queue_size)
        self._connections[connection.peer_id] = connection
        audience = self._sessions.setdefault(access.session_id, Audience(access.session_id))
        audience.connections[connection.peer_id] = connection
        mine = [c for c in audience.connections.values() if c.access.person_id == access.person_id]
        for oldest in mine[: -self.settings.max_tabs]:
            self._replaced.append(oldest.peer_id)
            self._spawn(self._dismiss(oldest, 4409, "replaced", REPLACED))
        return connection, taken is not None, None

    async def _welcome(self, connection: Connection, resumed: bool, enters_muted: bool) -> None:
        access = connection.access
        audience = self._audience(connection)
        state = await audience.load(self.rooms)
        # From here to ``send`` nothing may wait: what is delivered later has a higher seq than this state.
        connection.seq = state.seq
        connection.is_welcome = True
        head = {
            "type": "welcome",
            "connection_id": connection.peer_id,
            "resumed": resumed,
            "enters_muted": enters_muted,
            "server_time": stamp(datetime.now(UTC)),
            "you": {"person_id": access.person_id, "role": access.role.value, "name": access.name},
            "ice_servers": ice_servers(self.settings, access.person_id, int(time.time())),
            "slack": self.settings.slack,
            "heartbeat_s": self.settings.heartbeat_s,
        }
        self._send_view(connection, audience, state, head)

    def drop(self, connection: Connection, socket: Socket) -> None:
        """The socket is gone; the connection waits for its page to come back."""
        if connection.socket is socket:
            connection.socket = None
            connection.dropped_at = time.monotonic()

    async def leave(self, connection: Connection, *, lost: bool = False) -> None:
        """Take a connection out for good; with a person's last one the person leaves the session (``lost``: without meaning to)."""
        if self._connections.pop(connection.peer_id, None) is None:
            return
        access = connection.access
        audience = self._sessions.get(access.session_id)
        if audience is not None:
            audience.connections.pop(connection.peer_id, None)
            if not audience.connections:
                self._sessions.pop(access.session_id, None)
        connection.media_joined = False
        await self._follower.leave(connection)
        if audience is not None and audience.newest is not None and not audience.newest.is_open:
            return  # with the session everybody has left
        await self._see_out(access.session_id, access.person_id, f"leave:{connection.peer_id}", lost)

    def _is_here(self, session_id: SessionId, person_id: PersonId) -> bool:
        audience = self._sessions.get(session_id)
        return audience is not None and any(
            c.access.person_id == person_id for c in audience.connections.values()
        )

    async def _see_out(self, session_id: SessionId, person_id: PersonId, command_id: str, lost: bool) -> None:
        """Let a person leave the session who has no connection here any more. Tried again by the sweep until it is done."""
        key = session_id, person_id
        async with self._door(*key):
            self._gone.pop(key, None)
            if self._is_here(*key):
                return
            try:
                command = LeaveSession(person_id, lost)
                envelope = Envelope(CommandId(command_id), session_id, SYSTEM, command)
                await asyncio.to_thread(self.rooms.submit, envelope)
            except DomainError as error:
                log.info("signalling.leave_refused code=%s", error.code)
                if error.code == "conflict":
                    self._gone[key] = command_id, lost
            except Exception:
                log.exception("signalling.leave_failed")
                self._gone[key] = command_id, lost

    async def _sweep(self) -> None:
        """Every second: end the grace of dropped connections. Once, after a start: people nobody is connected for."""
        self._strangers_at = time.monotonic() + self.settings.grace_s
        while True:
            await asyncio.sleep(1.0)
            try:
                await self._sweep_once(time.monotonic())
            except Exception:
                log.exception("hub.sweep_failed")

    async def _sweep_once(self, now: float) -> None:
        for (session_id, person_id), (command_id, lost) in list(self._gone.items()):
            await self._see_out(session_id, person_id, command_id, lost)
        for audience in self._sessions.values():
            self._follower.settle(audience)
            self._tell_troubles(audience)
        for connection in list(self._connections.values()):
            dropped = connection.dropped_at
            if dropped is not None and now - dropped > self.settings.grace_s:
                await self.leave(connection, lost=True)
        if self._strangers_at and now > self._strangers_at:
            await self._sweep_strangers()
            self._strangers_at = 0.0

    async def _sweep_strangers(self) -> None:
        # After a crash of this server the log still says “online” for people who never came back.
        for session_id in await asyncio.to_thread(self.rooms.open_sessions):
            try:
                state = await asyncio.to_thread(self.rooms.state, session_id)
            except Exception:
                log.exception("hub.session_skipped session_id=%s", session_id)
                continue
            for person in state.people.values():
                if person.online and not self._is_here(session_id, person.person_id):
                    command_id = f"swept:{session_id}:{person.person_id}:{state.seq}"
                    await self._see_out(session_id, person.person_id, command_id, True)

    # -- commits -----------------------------------------------------------------------------------------------

    async def _fan_out(self) -> None:
        while True:
            committed = await self._commits.get()
            try:
                self._deliver(committed)
            except Exception:
                log.exception("hub.deliver_failed session_id=%s", committed.after.session_id)
            await asyncio.sleep(0)  # others' turn, also when many commits wait

    def _deliver(self, committed: Committed) -> None:
        audience = self._sessions.get(committed.after.session_id)
        if audience is None:
            return
        audience.delivered(committed)
        moved = _moved(committed)
        lens = Lens(committed)
        for connection in audience.connections.values():
            if connection.socket is None or not connection.is_welcome:
                continue
            access = connection.access
            if connection.seq >= committed.after.seq:
                continue
            changes_room = access.person_id in moved
            for text in lens.frames(
                access.person_id, access.role, connection.seq, state_follows=changes_room
            ):
                connection.send_text(text)
            if changes_room:
                self._send_state(connection, audience, committed.after)
        self._follower.note(committed, audience)
        for recorded in committed.events:
            self._show_out(recorded, audience)

    def _send_state(self, connection: Connection, audience: Audience, state: SessionState) -> None:
        connection.outbox.overflowed = False
        self._send_view(connection, audience, state, {"type": "state"})

    def _send_view(
        self, connection: Connection, audience: Audience, state: SessionState, head: dict[str, Any]
    ) -> None:
        """A message with the view of the connection's person; what is committed after ``state`` will follow it."""
        connection.seq = state.seq
        chat = audience.chat(state, connection.access.person_id, connection.access.role)
        rest = encoded({**head, "seq": state.seq, **chat})
        connection.send_text(f'{rest[:-1]},"state":{audience.view_text(state, connection)}}}')

    async def refresh(self, connection: Connection) -> None:
        """A slow browser lost messages (its queue overflowed): give it a whole new state, and the newest offer."""
        audience = self._sessions.get(connection.access.session_id)
        state = None if audience is None else audience.shown or audience.newest
        if audience is None or state is None:
            return
        self._send_state(connection, audience, state)
        await self._follower.repeat_offer(connection)

    def _show_out(self, recorded: Recorded, audience: Audience) -> None:
        event = recorded.event
        here = list(audience.connections.values())
        if isinstance(event, ParticipantRemoved):
            for connection in here:
                if connection.access.person_id == event.person_id:
                    self._spawn(self._dismiss(connection, 4403, "removed"))
        elif isinstance(event, SessionEnded):
            for connection in here:
                self._spawn(self._dismiss(connection, 4410, "session_ended"))

    async def _dismiss(
        self, connection: Connection, close_code: int, code: str, message: str | None = None
    ) -> None:
        await asyncio.sleep(RING_OFF_S)
        socket, connection.socket = connection.socket, None
        await self.leave(connection)
        if socket is not None:
            await close_socket(socket, close_code, code, message or DomainError(code).message)

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
                        {
                            "type": "subscribe",
                            "sdp": event.sdp,
                            "tracks": tracks,
                            "version": event.version,
                            "withheld": event.withheld,
                        }
                    )
            case ActiveSpeakers():
                self._tell_speakers(event)
            case MediaReset():
                await self._media_reset(event)
            case PeerConnected():
                log.info("media.connected direction=%s", event.direction)
                self._linked(event.peer_id, event.direction, True)
            case PeerLost():
                log.info("media.lost direction=%s", event.direction)
                self._linked(event.peer_id, event.direction, False)

    def _linked(self, peer_id: str, direction: str, up: bool) -> None:
        connection = self._connections.get(peer_id)
        if connection is not None:
            connection.linked(direction, up)

    def _tell_troubles(self, audience: Audience) -> None:
        """Each room hears whose line is in trouble, when that has changed."""
        state = audience.newest
        if state is None:
            return
        rooms = {p.room_id for p in state.people.values() if p.online}
        now = {room_id: audience.troubles(room_id) for room_id in rooms}
        for connection in audience.connections.values():
            person = state.people.get(connection.access.person_id)
            if person is None or not connection.is_welcome:
                continue
            found = now.get(person.room_id, {})
            if connection.told_troubles != found:
                connection.told_troubles = found
                connection.send({"type": "troubles", "people": found})

    def _tell_speakers(self, event: ActiveSpeakers) -> None:
        # Often, and for many rooms: from what is known here, without the database.
        audience = self._sessions.get(event.session_id)
        state = audience.newest if audience is not None else None
        if audience is None or state is None:
            return
        text = encoded({"type": "speakers", "person_ids": list(event.person_ids)})
        for connection in audience.connections.values():
            person = state.people.get(connection.access.person_id)
            if person is not None and person.room_id == event.room_id:
                connection.send_text(text)

    async def _media_reset(self, event: MediaReset) -> None:
        anew = []
        for session_id, audience in self._sessions.items():
            if event.session_ids is None or session_id in event.session_ids:
                for connection in audience.connections.values():
                    anew.append(self._follower.begin_anew(connection, audience))
        await asyncio.gather(*anew)


def _moved(committed: Committed) -> dict[PersonId, RoomId]:
    moves: dict[PersonId, RoomId] = {}
    for recorded in committed.events:
        if isinstance(recorded.event, ParticipantsMoved):
            moves.update(recorded.event.moves)
    return moves


async def close_socket(socket: Socket, close_code: int, code: str, message: str) -> None:
    """Say ``bye`` and close; a socket that is gone already is fine."""
    try:
        await socket.send_text(json.dumps({"type": "bye", "code": code, "message": message}))
        await socket.close(close_code, code)
    except (RuntimeError, OSError):
        log.debug("signalling.close_failed")
    except Exception as error:  # Starlette raises its own disconnect type, websockets another
        log.debug("signalling.close_failed error=%s", type(error).__name__)
