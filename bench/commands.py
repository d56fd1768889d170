"""Commands a second through the service, the cost of views, and how long until every browser knows: JSON lines.

``python -m bench.commands``: SQLite, 300 viewers in 50 rooms, fan-out over real WebSockets with the media plane left out.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from models.collector import calm_collector
from models.store.access import Access, issue_token
from models.store.database import Database
from models.store.events import Commit, append
from models.store.migrate import upgrade
from models.values import (
    MAIN_ROOM,
    Actor,
    ActorKind,
    CommandId,
    CourseId,
    MediaSource,
    PersonId,
    Role,
    RoomId,
    SessionId,
)
from rooms import commands as c
from rooms import events as e
from rooms import view, wire
from rooms.commands import Command, Envelope
from rooms.ports import MediaError, MediaEvent
from rooms.service import RoomsService
from sandbox.participant import Participant
from signalling.app import Endpoint
from signalling.hub import Hub
from signalling.settings import SignallingSettings

COURSE = CourseId("bench")
ALICE = Actor(ActorKind.PERSON, PersonId("alice"), "Alice", Role.MODERATOR, COURSE)
PEOPLE, ROOMS, BROWSERS, ROUNDS = 300, 50, 300, 200


class NoMedia:
    """A media plane that does nothing: only signalling is measured."""

    async def start(self, on_event: Callable[[MediaEvent], Awaitable[None]]) -> None: ...
    async def stop(self) -> None: ...
    async def join(
        self, peer_id: str, session_id: SessionId, room_id: RoomId, person_id: PersonId
    ) -> None: ...
    async def publish(self, peer_id: str, sdp: str, sources: Mapping[str, MediaSource]) -> str:
        return ""

    async def subscribe_answer(self, peer_id: str, sdp: str, version: int) -> None: ...

    async def take_over(
        self, peer_id: str, session_id: SessionId, person_id: PersonId
    ) -> tuple[RoomId, frozenset[MediaSource]]:
        raise MediaError("unknown_peer", "Nothing is kept here.")

    async def move(self, peer_id: str, room_id: RoomId) -> None: ...
    async def mute(self, peer_id: str, source: MediaSource, muted: bool) -> None: ...
    async def leave(self, peer_id: str) -> None: ...


def say(bench: str, value: float, unit: str, **more: Any) -> None:
    print(json.dumps({"bench": bench, "value": round(value, 3), "unit": unit, **more}), flush=True)


def student(number: int) -> Actor:
    return Actor(ActorKind.PERSON, PersonId(f"s{number:03}"), f"Student {number}", Role.PARTICIPANT, COURSE)


class Asker:
    """Submits commands with fresh ids."""

    def __init__(self, rooms: RoomsService, session_id: SessionId, name: str = "bench") -> None:
        self.name = name
        self.rooms = rooms
        self.session_id = session_id
        self.count = 0

    def do(self, actor: Actor, command: Command) -> None:
        self.count += 1
        self.rooms.submit(Envelope(CommandId(f"{self.name}-{self.count}"), self.session_id, actor, command))


def commands(asker: Asker) -> None:
    for number in range(PEOPLE):
        asker.do(student(number), c.EnterSession(f"Student {number}", Role.PARTICIPANT))
    asker.do(ALICE, c.EnterSession("Alice", Role.MODERATOR))
    asker.do(ALICE, c.CreateRooms(ROOMS, countdown_s=0, time_limit_s=None))
    asker.do(ALICE, c.StartBreakout())
    started = time.perf_counter()
    for number in range(1000):
        asker.do(student(number % PEOPLE), c.SetHand(number // PEOPLE % 2 == 0))
    say(
        "commands_per_second", 1000 / (time.perf_counter() - started), "1/s", people=PEOPLE, database="sqlite"
    )


def views(rooms: RoomsService, asker: Asker) -> None:
    before = rooms.state(asker.session_id)
    asker.do(ALICE, c.ShuffleParticipants(7))
    after = rooms.state(asker.session_id)
    everybody = [(p.person_id, p.role) for p in after.people.values()]
    started = time.perf_counter()
    viewer = view.Viewer(before, after)
    for person_id, role in everybody:
        viewer.patch(person_id, role)
    shared = time.perf_counter() - started
    started = time.perf_counter()
    for person_id, role in everybody[:50]:
        view.patch(view.view(before, person_id, role), view.view(after, person_id, role))
    alone = (time.perf_counter() - started) / 50 * len(everybody)
    say(
        "patches_for_everybody_after_a_shuffle",
        shared * 1000,
        "ms",
        people=PEOPLE,
        rooms=ROOMS,
        ratio=round(shared / alone, 3),
    )


def long_session(url: str) -> None:
    """What a process that has just started pays for a session with 10,000 events before anybody is in it again."""
    db = Database(url)
    rooms = RoomsService(db)
    session_id = rooms.open_session(COURSE, "Bench", "Room", "long")
    asker = Asker(rooms, session_id, "long")
    for number in range(60):
        asker.do(student(number), c.EnterSession(f"Student {number}", Role.PARTICIPANT))
    first = rooms.state(session_id).seq + 1
    chat = [e.ChatSent(PersonId("s001"), "Student 1", MAIN_ROOM, f"Line {n}") for n in range(3000)]
    media = [e.MediaChanged(PersonId(f"s{n % 60:03}"), n % 2 == 0, False, False) for n in range(7000)]
    events = [wire.event_to_json(event) for event in (*chat, *media)]
    actor = wire.actor_to_json(ALICE)
    append(db, Commit(session_id, "bulk", datetime.now(UTC), first, events, actor))
    cold = RoomsService(db)
    started = time.process_time()
    cold.state(session_id)
    state_s = time.process_time() - started
    cold.events_after(session_id, 0, e.ChatSent)
    total_s = time.process_time() - started
    say("first_to_join_a_session_of_10000_events", total_s, "CPU-s", state_s=round(state_s, 3))
    db.close()


async def arrived(browser: Participant, seq: int) -> None:
    await browser.wait(lambda: browser.seq >= seq, 30)


async def fan_out(db: Database) -> None:
    """Time from the result of a moderator's command to the event at the last browser."""
    rooms = RoomsService(db)
    rooms.start()
    session_id = rooms.open_session(COURSE, "Bench", "Room", "fan-out")
    settings = SignallingSettings()
    hub = Hub(rooms, NoMedia(), settings)
    endpoint = Endpoint(hub, db, settings)

    async def websocket(socket: WebSocket) -> None:
        await endpoint(socket)

    await hub.start()
    app = Starlette(routes=[WebSocketRoute("/ws", websocket)])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="websockets-sansio")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    url = f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/ws"
    browsers = []
    for actor in [ALICE, *(student(number) for number in range(BROWSERS - 1))]:
        assert actor.person_id and actor.role
        access = Access("room", actor.person_id, COURSE, actor.role, actor.name, session_id=session_id)
        browser = Participant(url, issue_token(db, access), media=False)
        await browser.connect()
        browsers.append(browser)
    calm_collector()  # as the web process does
    alice = browsers[0]
    await alice.command("create_rooms", count=ROOMS, countdown_s=0)
    await alice.command("start_breakout")
    times = []
    for number in range(ROUNDS):
        started = time.perf_counter()
        seq = await alice.command("broadcast_message", text=f"Message {number}")
        await asyncio.gather(*(arrived(b, seq) for b in browsers))
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    p99 = times[min(len(times) - 1, round(len(times) * 0.99))]
    say(
        "command_to_event_at_every_browser",
        p99,
        "ms p99",
        p50=round(times[len(times) // 2], 1),
        browsers=BROWSERS,
        rooms=ROOMS,
    )
    await asyncio.gather(*(b.close() for b in browsers))
    await hub.stop()
    server.should_exit = True
    await task
    await asyncio.to_thread(rooms.close)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        upgrade(url)
        db = Database(url)
        rooms = RoomsService(db)
        asker = Asker(rooms, rooms.open_session(COURSE, "Bench", "Room", "commands"))
        commands(asker)
        views(rooms, asker)
        long_session(url)
        asyncio.run(fan_out(db))
        db.close()


if __name__ == "__main__":
    main()
