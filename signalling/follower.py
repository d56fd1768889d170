"""Keeps the media plane as the rooms' states say: who is in which room, whose microphone is switched off.

It does not replay what happened but settles what is different, in a task of each session's own: a media worker that hangs holds up
no browser's messages, and a refusal for one person moves everybody else all the same. What could not be told is told again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from models.values import MediaSource, PersonId, Role, RoomId, SessionId
from rooms.events import Event, MediaChanged, ParticipantMuted, SharingChanged, SharingStopped
from rooms.ports import Committed, MediaError, MediaPlane
from rooms.state import Participant, SessionState
from signalling.audience import Audience
from signalling.connection import Connection

log = logging.getLogger("sideroom.signalling")


SCREEN = {MediaSource.SCREEN, MediaSource.SCREEN_AUDIO}


class MediaFollower:
    """Runs on the server's loop. ``stop`` ends its tasks."""

    def __init__(self, media: MediaPlane) -> None:
        self._media = media
        self._asked: set[Audience] = set()
        self._tasks: dict[Audience, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def note(self, committed: Committed, audience: Audience) -> None:
        """Remember what a commit asks of the media plane, and begin to settle it."""
        for recorded in committed.events:
            event = recorded.event
            for connection in audience.connections.values():
                _note(event, connection)
        self.settle(audience)

    def settle(self, audience: Audience) -> None:
        """Bring what the media plane was told in line with the newest state, soon."""
        if all(_is_settled(c, audience.newest) for c in audience.connections.values()):
            return
        self._asked.add(audience)
        if audience not in self._tasks:
            task = asyncio.create_task(self._settle_all(audience), name="hub.media")
            self._tasks[audience] = task
            task.add_done_callback(self._done(audience))

    def _done(self, audience: Audience) -> Callable[[asyncio.Task[None]], None]:
        def forget(task: asyncio.Task[None]) -> None:
            self._tasks.pop(audience, None)
            self._asked.discard(audience)
            if not task.cancelled() and task.exception() is not None:
                log.error("media.follow_failed", exc_info=task.exception())

        return forget

    async def _settle_all(self, audience: Audience) -> None:
        while audience in self._asked:
            self._asked.discard(audience)
            waiting = [c for c in audience.connections.values() if not _is_settled(c, audience.newest)]
            await asyncio.gather(*(self._settle(c, audience) for c in waiting))

    async def _settle(self, connection: Connection, audience: Audience) -> None:
        try:
            await self._tell(connection, audience.newest)
        except MediaError as error:
            log.warning("media.refused code=%s", error.code)
            here = audience.connections.get(connection.peer_id) is connection
            if error.code == "unknown_peer" and here:
                # The worker gave this peer up; its browser begins anew, in the right room.
                await self.begin_anew(connection, audience)

    async def _tell(self, connection: Connection, state: SessionState | None) -> None:
        person = state.people.get(connection.access.person_id) if state is not None else None
        if person is None or not connection.media_joined:
            return
        if connection.media_room != person.room_id:
            await self._media.move(connection.peer_id, person.room_id)
            connection.media_room = person.room_id
        for source in connection.muted ^ connection.told_muted:
            await self._media.mute(connection.peer_id, source, source in connection.muted)
            connection.told_muted ^= {source}

    async def join(self, connection: Connection, audience: Audience) -> None:
        """Make a peer known. The room works without media: when it is not there now, its reset brings the peer in later."""
        state = audience.newest
        person = state.people.get(connection.access.person_id) if state is not None else None
        if state is None or person is None:
            return
        connection.media_joined = False
        connection.told_muted.clear()
        if state.sharing == "moderators":
            _hold_screen(connection)
        try:
            await self._join(connection, audience, state.session_id, person)
        except MediaError as error:
            log.warning("media.join_failed code=%s", error.code)

    async def _join(
        self, connection: Connection, audience: Audience, session_id: SessionId, person: Participant
    ) -> None:
        await self._media.join(connection.peer_id, session_id, person.room_id, person.person_id)
        if audience.connections.get(connection.peer_id) is not connection:
            await self.leave(connection)  # gone while it joined
            return
        connection.media_joined, connection.media_room = True, person.room_id
        while not _is_settled(
            connection, audience.newest
        ):  # who was moved meanwhile must not hear another room
            await self._tell(connection, audience.newest)

    async def take_over(
        self, peer_id: str, session_id: SessionId, person_id: PersonId
    ) -> tuple[RoomId, frozenset[MediaSource]] | None:
        """The media of a page whose web process died, if they still flow: its room and what is muted."""
        try:
            return await self._media.take_over(peer_id, session_id, person_id)
        except MediaError as error:
            log.info("media.not_taken_over code=%s", error.code)
            return None

    async def begin_anew(self, connection: Connection, audience: Audience) -> None:
        """Join again and have the browser publish again."""
        await self.join(connection, audience)
        if connection.media_joined:
            connection.send({"type": "media_reset"})

    async def repeat_offer(self, connection: Connection) -> None:
        """The newest offer may be lost (the socket was down, or too slow): a move to the same room repeats it."""
        if not connection.media_joined or connection.media_room is None:
            return
        try:
            await self._media.move(connection.peer_id, connection.media_room)
        except MediaError as error:
            log.info("media.repeat_failed code=%s", error.code)

    async def leave(self, connection: Connection) -> None:
        try:
            await self._media.leave(connection.peer_id)
        except MediaError as error:
            log.info("media.leave_failed code=%s", error.code)


def _note(event: Event, connection: Connection) -> None:
    """What one event says about the sources of one connection that may be forwarded."""
    person_id, muted = connection.access.person_id, connection.muted
    match event:
        case ParticipantMuted() if person_id in event.person_ids:
            muted.add(MediaSource.MIC)
        case SharingStopped() if person_id in event.person_ids:
            muted |= SCREEN
        case SharingChanged() if event.who == "moderators":
            _hold_screen(connection)
        case SharingChanged():
            muted -= SCREEN
        case MediaChanged() if person_id == event.person_id:
            if event.mic:
                muted.discard(MediaSource.MIC)
            if event.screen:
                muted -= SCREEN


def _hold_screen(connection: Connection) -> None:
    """Only moderators may share: whatever a participant's browser sends as a screen reaches nobody."""
    if connection.access.role is not Role.MODERATOR:
        connection.muted |= SCREEN


def _is_settled(connection: Connection, state: SessionState | None) -> bool:
    person = state.people.get(connection.access.person_id) if state is not None else None
    if person is None or not connection.media_joined:
        return True
    return connection.media_room == person.room_id and connection.muted == connection.told_muted
