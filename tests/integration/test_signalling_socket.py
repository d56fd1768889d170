"""The WebSocket door over a real socket: welcome, patches, moves, resume, and everything that must be refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from models.store.access import Access, issue_token
from models.store.database import Database
from models.store.migrate import upgrade
from models.values import MAIN_ROOM, Actor, MediaSource, PersonId, Role, SessionId
from rooms.commands import CreateRooms, Envelope, LeaveSession
from rooms.errors import DomainError
from rooms.ports import Accepted, MediaReset
from rooms.service import RoomsService
from rooms.wire import CLIENT_COMMANDS
from sandbox.participant import CommandRefused, Participant
from signalling.app import Endpoint
from signalling.hub import Hub
from signalling.settings import SignallingSettings
from tests.fakes import FakeMedia
from tests.people import ALICE, BEA, BOB, CHARLIE, COURSE, ask

pytestmark = pytest.mark.integration
SETTINGS = SignallingSettings(grace_s=1.5, silence_timeout_s=20)
EXAMPLES: dict[str, dict[str, Any]] = {
    "create_rooms": {"count": 2},
    "rename_room": {"room_id": "main", "name": "Mine"},
    "assign_participant": {"person_id": "bob", "room_id": None},
    "broadcast_message": {"text": "x"},
    "add_time": {"seconds": 60},
    "claim_call": {"call_id": "x"},
    "dismiss_call": {"call_id": "x"},
    "move_participant": {"person_id": "bob", "room_id": "main"},
    "shuffle_participants": {"seed": 1},
    "set_recording_layout": {"layout": "grid"},
    "remove_participant": {"person_id": "alice"},
    "set_sharing": {"who": "moderators"},
    "stop_sharing": {"person_id": "alice"},
    "lock_room": {"room_id": "main", "locked": True},
    "remove_room": {"room_id": "main"},
}
"""Arguments for the commands that need some."""


class Server:
    """A WebSocket door on a free port, with a real rooms service and a fake media plane."""

    def __init__(self, folder: Path, settings: SignallingSettings = SETTINGS) -> None:
        url = f"sqlite:///{folder / 'test.db'}"
        upgrade(url)
        self.db = Database(url)
        self.rooms = RoomsService(self.db)
        self.media = FakeMedia()
        self.settings = settings
        self.hub = Hub(self.rooms, self.media, settings)
        self.session_id = self.rooms.open_session(COURSE, "BIO 101", "Room")
        self.url = ""

    def token(self, actor: Actor, session_id: SessionId | None = None) -> str:
        assert actor.person_id and actor.role and actor.course_id
        access = Access("room", actor.person_id, actor.course_id, actor.role, actor.name)
        return issue_token(self.db, replace(access, session_id=session_id or self.session_id))

    def join(self, actor: Actor) -> Participant:
        return Participant(self.url, self.token(actor), media=False)


@asynccontextmanager
async def served(made: Server) -> AsyncIterator[Server]:
    """The door on a real socket."""
    made.rooms.start()
    await made.hub.start()
    endpoint = Endpoint(made.hub, made.db, made.settings)

    async def websocket(socket: WebSocket) -> None:
        await endpoint(socket)

    app = Starlette(routes=[WebSocketRoute("/ws", websocket)])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="websockets-sansio")
    runner = uvicorn.Server(config)
    task = asyncio.create_task(runner.serve())
    while not runner.started:
        await asyncio.sleep(0.01)
    made.url = f"ws://127.0.0.1:{runner.servers[0].sockets[0].getsockname()[1]}/ws"
    yield made
    await made.hub.stop()
    runner.should_exit = True
    await task
    await asyncio.to_thread(made.rooms.close)
    made.db.close()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with served(Server(tmp_path)) as made:
        yield made


async def test_people_see_each_other_and_follow_a_breakout(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob, server.join(BEA) as bea:
        await alice.wait(lambda: len(alice.state["people"]) == 3)
        await alice.command("create_rooms", count=2, assign="auto", countdown_s=0)
        await alice.command("start_breakout")
        await bob.wait(lambda: bob.state["you"]["room_id"] != "main")
        await bea.wait(lambda: bea.state["you"]["room_id"] != "main")
        assert bob.state["you"]["room_id"] != bea.state["you"]["room_id"]
        await bob.wait(lambda: server.media.room_of("bob") == bob.state["you"]["room_id"])
        await bob.command("call_moderator")
        await alice.wait(lambda: len(alice.state["calls"]) == 1)
        assert bea.state["calls"] == {}
        await alice.command("broadcast_message", text="Five minutes")
        await bob.wait(lambda: any(e["event"] == "message_broadcast" for e in bob.events))
        await alice.command("end_breakout")
        await bob.wait(lambda: bob.state["you"]["room_id"] == "main")
        await bob.wait(lambda: server.media.room_of("bob") == "main")


async def test_chat_stays_in_its_room(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob, server.join(BEA) as bea:
        await alice.wait(lambda: len(alice.state["people"]) == 3)
        await alice.command("create_rooms", count=2, assign="auto", countdown_s=0)
        await alice.command("start_breakout")
        await bob.wait(lambda: bob.state["you"]["room_id"] != "main")
        await bob.command("send_chat", text="only us")
        await bob.wait(lambda: any(e["event"] == "chat_sent" for e in bob.events))
        await bea.command("set_hand", raised=True)
        await bea.wait(lambda: bea.state["people"]["bea"]["hand_raised_at"] is not None)
        assert not any(e["event"] == "chat_sent" for e in bea.events)
        await alice.command("join_room", room_id=bob.state["you"]["room_id"])
        await alice.wait(lambda: [line["text"] for line in alice.chat] == ["only us"])


async def test_what_was_written_before_one_left_a_room_stays_readable(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob, server.join(BEA) as bea:
        await alice.wait(lambda: len(alice.state["people"]) == 3)
        await bob.command("send_chat", text="before the groups")
        await alice.command("create_rooms", count=2, assign="auto", countdown_s=0)
        await alice.command("start_breakout")
        await bob.wait(lambda: bob.state["you"]["room_id"] != "main")
        room_id = bob.state["you"]["room_id"]
        await bob.wait(lambda: [e["chat"][0]["text"] for e in bob.earlier] == ["before the groups"])
        await bob.command("send_chat", text="our result")
        await alice.command("join_room", room_id=room_id)
        await bob.command("join_room", room_id="main")
        await bob.wait(lambda: bob.state["you"]["room_id"] == "main")
        await alice.command("send_chat", text="after Bob has gone")
        await bob.wait(lambda: bool(bob.earlier))
        assert [(e["name"], [x["text"] for x in e["chat"]]) for e in bob.earlier] == [
            ("Room 1", ["our result"])
        ]
    async with server.join(BOB) as again, server.join(BEA) as bea:
        assert [line["text"] for e in again.earlier for line in e["chat"]] == ["our result"]
        assert "our result" not in [line["text"] for e in bea.earlier for line in e["chat"]]


async def test_a_message_to_the_moderators_is_for_them_and_so_is_the_answer(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob, server.join(BEA) as bea:
        await alice.wait(lambda: len(alice.state["people"]) == 3)
        await bob.command("send_chat", text="I lost my slides", to="moderators")
        await alice.wait(lambda: any(e["event"] == "chat_sent" for e in alice.events))
        await alice.command("send_chat", text="Take mine", person_id="bob")
        await bob.wait(lambda: sum(e["event"] == "chat_sent" for e in bob.events) == 2)
        with pytest.raises(CommandRefused, match="not_moderator"):
            await bea.command("send_chat", text="psst", person_id="bob")
        assert not any(e["event"] == "chat_sent" for e in bea.events)
        answer = next(e["data"] for e in bob.events if e["data"].get("to") == "person")
        assert (answer["to_person_id"], answer["to_name"]) == ("bob", "Bob")
    async with server.join(BOB) as bob, server.join(BEA) as bea:
        assert [(line["to"], line["text"]) for line in bob.chat] == [
            ("moderators", "I lost my slides"),
            ("person", "Take mine"),
        ]
        assert bea.chat == []


async def test_patches_give_the_same_view_as_a_fresh_welcome(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await alice.command("create_rooms", count=3, assign="auto", countdown_s=0)
        await alice.command("start_breakout", record=True)
        await bob.command("set_hand", raised=True)
        last = await bob.command("set_media", mic=True)
        for person, actor in ((alice, ALICE), (bob, BOB)):
            await person.wait(lambda p=person: p.seq >= last)  # type: ignore[misc]
            async with server.join(actor) as fresh:
                assert fresh.state == person.state


async def test_a_dropped_connection_comes_back_to_its_place(server: Server) -> None:
    async with server.join(ALICE) as alice:
        bob = server.join(BOB)
        await bob.connect()
        first = bob.connection_id
        await alice.command("create_rooms", count=1, countdown_s=0)
        await alice.command("start_breakout")
        await bob.wait(lambda: bob.state["you"]["room_id"] != "main")
        room = bob.state["you"]["room_id"]
        await bob.drop()
        bob.state = {}
        await bob.connect(resume=first)
        assert bob.connection_id == first
        assert bob.state["you"]["room_id"] == room
        assert alice.state["people"]["bob"]["online"]
        await bob.drop()
        await alice.wait(lambda: not alice.state["people"]["bob"]["online"])
        assert first not in server.media.places
        bob.state = {}
        await bob.connect(resume=first)
        assert bob.connection_id != first
        assert bob.state["you"]["room_id"] == room
        await bob.close()


async def test_a_page_of_a_killed_web_process_keeps_its_media_and_nobody_elses(server: Server) -> None:
    bob = server.join(BOB)
    await bob.connect()
    first = bob.connection_id
    await server.media.mute(first, MediaSource.MIC, True)
    # The next process knows nothing of its pages; the media worker still has them.
    server.hub._connections.clear()
    server.hub._sessions.clear()
    charlie = server.join(BEA)
    await charlie.connect(resume=first)
    assert charlie.connection_id != first and not charlie.resumed
    joined = dict(server.media.places)
    bob.state = {}
    await bob.connect(resume=first)
    assert bob.resumed and bob.connection_id == first
    assert server.media.places == joined, "the peer was not begun anew"
    assert server.media.moves[-1] == (first, MAIN_ROOM), "its feeding is told again"
    connection = server.hub._connections[first]
    assert connection.muted == connection.told_muted == {MediaSource.MIC}
    for page in (bob, charlie):
        await page.close()


async def test_a_second_page_replaces_the_first_also_when_that_was_asleep(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as first, server.join(BOB) as second:
        await first.wait(lambda: first.bye_code == "replaced")
        await second.drop()
        async with server.join(BOB) as third:
            with pytest.raises(ConnectionError, match="replaced"):
                await server.join(BOB).connect(resume=second.connection_id)
            assert third.bye is None
            assert alice.state["people"]["bob"]["online"]


async def test_a_repeated_command_id_has_one_effect(server: Server) -> None:
    async with server.join(BOB) as bob:
        first = await bob.command("send_chat", command_id="same", text="once")
        again = await bob.command("send_chat", command_id="same", text="once")
        assert again == first
        await bob.wait(lambda: bob.seq >= first)
        assert sum(e["event"] == "chat_sent" for e in bob.events) == 1


@pytest.mark.parametrize("name", ["open_session", "enter_session", "report_recording", "complete_transition"])
async def test_commands_of_our_own_processes_are_not_for_clients(server: Server, name: str) -> None:
    async with server.join(ALICE) as alice:
        with pytest.raises(CommandRefused) as refused:
            await alice.command(name)
        assert refused.value.code == "not_allowed"


async def test_somebody_from_another_course_does_not_get_in(server: Server) -> None:
    with pytest.raises(ConnectionError, match="other_course"):
        await server.join(CHARLIE).connect()
    assert server.rooms.state(server.session_id).people == {}


@pytest.mark.parametrize(
    ("first", "close_code"),
    [
        ("not json", 4400),
        ('{"type":"ping"}', 4400),
        ('{"type":"hello","version":1,"token":"wrong"}', 4401),
        ("[" + "1," * 200_000 + "1]", 4413),
    ],
)
async def test_a_bad_first_message_closes_with_its_code(server: Server, first: str, close_code: int) -> None:
    async with connect(server.url) as socket:
        await socket.send(first)
        bye = json.loads(await socket.recv())
        assert bye["type"] == "bye"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == close_code


async def test_malformed_messages_are_answered_and_the_room_goes_on(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        for text in (
            '{"type":"dance"}',
            '{"type":"publish","sdp":"nonsense","sources":{}}',
            '{"type":"command","id":"1"}',
        ):
            await bob.send_raw(text)
        await bob.wait(lambda: len(bob.errors) == 3)
        assert {e["code"] for e in bob.errors} == {"bad_message", "bad_sdp"}
        with pytest.raises(CommandRefused) as refused:
            await bob.command("set_hand", raised="perhaps")
        assert refused.value.code == "bad_command"
        with pytest.raises(CommandRefused) as refused:
            await bob.command("set_hand", raised=True, colour="red")
        assert refused.value.code == "bad_command"
        await bob.command("set_hand", raised=True)
        await alice.wait(lambda: alice.state["people"]["bob"]["hand_raised_at"] is not None)


async def test_a_removed_person_is_shown_out_and_stays_out(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await alice.command("remove_participant", person_id="bob")
        await bob.wait(lambda: bob.bye is not None)
        assert bob.bye_code == "removed"
        with pytest.raises(ConnectionError, match="removed"):
            await server.join(BOB).connect()


async def test_mute_is_enforced_in_the_media_plane_until_the_person_unmutes(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await bob.command("set_media", mic=True)
        await alice.wait(lambda: alice.state["people"]["bob"]["mic"])
        await alice.command("mute_participant", person_id="bob")
        await bob.wait(lambda: any(e["event"] == "participant_muted" for e in bob.events))
        await bob.wait(lambda: (bob.connection_id, MediaSource.MIC) in server.media.muted)
        # A restarted media worker is told again.
        server.media.muted.clear()
        assert server.media.emit is not None
        await server.media.emit(MediaReset())
        await bob.wait(lambda: (bob.connection_id, MediaSource.MIC) in server.media.muted)
        await bob.command("set_media", mic=True)
        await bob.wait(lambda: (bob.connection_id, MediaSource.MIC) not in server.media.muted)


async def test_the_end_for_everyone_reaches_everyone(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await alice.command("end_session")
        await bob.wait(lambda: bob.bye is not None)
        assert bob.bye_code == "session_ended"
        with pytest.raises(ConnectionError, match="session_ended"):
            await server.join(BOB).connect()


async def test_a_restarted_media_worker_asks_every_browser_to_publish_again(server: Server) -> None:
    async with server.join(BOB) as bob:
        server.media.places.clear()
        assert server.media.emit is not None
        await server.media.emit(MediaReset())
        await bob.wait(lambda: bob.connection_id in server.media.places)


async def test_a_media_worker_that_hangs_holds_up_no_page(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await alice.wait(lambda: len(alice.state["people"]) == 2)
        gate = server.media.gates["move"] = asyncio.Event()
        await alice.command("create_rooms", count=1, assign="auto", countdown_s=0)
        await alice.command("start_breakout")
        await bob.wait(lambda: bob.state["you"]["room_id"] != "main")
        await bob.command("call_moderator")
        await alice.wait(lambda: len(alice.state["calls"]) == 1)
        assert server.media.room_of("bob") == "main"
        gate.set()
        await bob.wait(lambda: server.media.room_of("bob") == bob.state["you"]["room_id"])


async def test_who_is_moved_or_muted_while_media_begins_is_not_left_behind(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await alice.wait(lambda: len(alice.state["people"]) == 2)
        await bob.command("set_media", mic=True)
        gate = server.media.gates["join"] = asyncio.Event()
        server.media.places.clear()
        assert server.media.emit is not None
        reset = asyncio.create_task(server.media.emit(MediaReset()))  # type: ignore[arg-type]
        await alice.command("create_rooms", count=1, assign="auto", countdown_s=0)
        await alice.command("start_breakout")
        await alice.command("mute_participant", person_id="bob")
        await bob.wait(lambda: bob.state["you"]["room_id"] != "main")
        await bob.wait(lambda: any(e["event"] == "participant_muted" for e in bob.events))
        gate.set()
        await reset
        assert server.media.room_of("bob") == bob.state["you"]["room_id"]
        await bob.wait(lambda: (bob.connection_id, MediaSource.MIC) in server.media.muted)


async def test_commits_of_another_process_reach_the_browsers(server: Server) -> None:
    other_db = Database(server.db.url)
    other = RoomsService(other_db)
    async with server.join(BOB) as bob:
        await asyncio.to_thread(other.submit, ask(ALICE, CreateRooms(count=4), server.session_id))
        await bob.wait(lambda: len(bob.state["rooms"]) == 5)
    other_db.close()


async def test_a_slow_browser_gets_a_fresh_state_instead_of_endless_messages(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        connection = server.hub._connections[bob.connection_id]
        for number in range(SETTINGS.queue_size + 50):
            connection.outbox.put({"type": "pong", "t": number, "server_time": ""})
        bob.state["people"].clear()
        await alice.command("set_hand", raised=True)
        await bob.wait(lambda: set(bob.state["people"]) == {"alice", "bob"})
        assert bob.state["people"]["alice"]["hand_raised_at"] is not None


async def test_a_peer_that_the_media_worker_forgot_keeps_nobody_else_from_moving(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob, server.join(BEA) as bea:
        await alice.command("create_rooms", count=2, assign="auto", countdown_s=0)
        # Whoever is told first: both orders are tried.
        for lost, other in ((bob, bea), (bea, bob)):
            server.media.places.pop(lost.connection_id)
            await alice.command("start_breakout")
            room = other.state["you"]["assigned_room_id"]
            await alice.wait(lambda o=other, r=room: server.media.places[o.connection_id][1] == r)  # type: ignore[misc]
            await lost.wait(lambda p=lost: p.connection_id in server.media.places)  # type: ignore[misc]
            assert server.media.room_of(str(lost.you["person_id"])) == lost.state["you"]["assigned_room_id"]
            await alice.command("end_breakout")
            await alice.wait(lambda: {place[1] for place in server.media.places.values()} == {"main"})


async def test_who_leaves_while_the_database_is_locked_has_left_afterwards(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, failures = server.rooms.submit, [0]

    def locked(envelope: Envelope) -> Accepted:
        if isinstance(envelope.command, LeaveSession) and failures[0] < 2:
            failures[0] += 1
            raise DomainError("conflict") if failures[0] == 1 else OSError("database is locked")
        return submit(envelope)

    monkeypatch.setattr(server.rooms, "submit", locked)
    async with server.join(ALICE) as alice:
        async with server.join(BOB):
            await alice.wait(lambda: "bob" in alice.state["people"])
        await alice.wait(lambda: not alice.state["people"]["bob"]["online"])
        assert failures == [2]
        async with server.join(BEA) as bea:
            await bea.drop()
            await alice.wait(lambda: "bea" in alice.state["people"])
            await alice.wait(lambda: not alice.state["people"]["bea"]["online"])


async def test_a_new_tab_is_not_undone_by_the_end_of_the_old_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = server.rooms.submit

    def slow_to_leave(envelope: Envelope) -> Accepted:
        if isinstance(envelope.command, LeaveSession):
            time.sleep(0.3)
        return submit(envelope)

    monkeypatch.setattr(server.rooms, "submit", slow_to_leave)
    async with server.join(ALICE) as alice:
        old, new = server.join(BOB), server.join(BOB)
        await old.connect()
        await old.send_raw('{"type":"leave"}')
        await new.connect()
        seq = await new.command("set_hand", raised=True)
        await alice.wait(lambda: alice.seq >= seq)
        assert alice.state["people"]["bob"]["online"]
        assert server.rooms.state(server.session_id).people[PersonId("bob")].online
        await old.close()
        await new.close()


async def test_one_person_has_so_many_tabs_and_the_oldest_gives_way(server: Server) -> None:
    tabs = [server.join(BOB) for _ in range(SETTINGS.max_tabs + 1)]
    for tab in tabs:
        await tab.connect()
    await tabs[0].wait(lambda: tabs[0].bye is not None)
    assert tabs[0].bye_code == "replaced"
    assert server.hub.connected == SETTINGS.max_tabs
    for tab in tabs:
        await tab.close()


async def test_a_student_who_floods_the_room_with_commands_is_slowed_down(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        codes = []
        for number in range(200):
            try:
                await bob.command("set_hand", raised=number % 2 == 0)
            except CommandRefused as refused:
                codes.append(refused.code)
        assert codes and set(codes) == {"rate_limited"}
        assert bob.bye is None
        for number in range(100):
            await alice.command("set_hand", raised=number % 2 == 0)


async def test_a_slow_browser_is_told_the_newest_offer_again(server: Server) -> None:
    async with server.join(BOB) as bob:
        connection = server.hub._connections[bob.connection_id]
        server.media.moves.clear()
        for number in range(SETTINGS.queue_size + 1):
            connection.outbox.put({"type": "pong", "t": number, "server_time": ""})
        await bob.wait(lambda: server.media.moves == [(bob.connection_id, MAIN_ROOM)])


async def test_what_cannot_be_sent_ends_no_connection(server: Server) -> None:
    async with server.join(BOB) as bob:
        await bob.send_raw('{"type":"\\ud800"}')
        await bob.command("set_hand", raised=True)
        await bob.wait(lambda: bob.state["people"]["bob"]["hand_raised_at"] is not None)


async def test_every_moderators_command_by_raw_socket_is_refused_to_students_and_strangers(
    server: Server,
) -> None:
    allowed = {"set_media", "set_hand", "send_chat", "join_room", "call_moderator", "cancel_call"}
    allowed.add("set_recording_consent")
    async with server.join(BOB) as bob:
        for name in sorted(CLIENT_COMMANDS - allowed):
            with pytest.raises(CommandRefused) as refused:
                await bob.command(name, **EXAMPLES.get(name, {}))
            assert refused.value.code == "not_moderator", name
        assert server.rooms.state(server.session_id).breakout_rooms == ()


async def test_a_page_of_another_origin_does_not_get_a_socket(tmp_path: Path) -> None:
    settings = replace(SETTINGS, allowed_origins=frozenset({"https://rooms.example.edu"}))
    async with served(Server(tmp_path, settings)) as server:
        for origin in ("https://evil.example", "null", "https://rooms.example.edu.evil.example"):
            with pytest.raises(InvalidStatus):
                await connect(server.url, additional_headers={"Origin": origin})
        async with connect(server.url, additional_headers={"Origin": "https://rooms.example.edu"}) as socket:
            await socket.send("{}")
            assert json.loads(await socket.recv())["type"] == "bye"


async def test_broadcasts_stand_in_the_chat_also_for_who_comes_later_and_for_the_sender(
    server: Server,
) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await alice.wait(lambda: len(alice.state["people"]) == 2)
        await alice.command("create_rooms", count=2, assign="auto", countdown_s=0)
        await alice.command("start_breakout")
        await bob.wait(lambda: bob.state["you"]["room_id"] != "main")
        room = bob.state["you"]["room_id"]
        other = next(r for r in alice.state["rooms"] if r not in ("main", room))
        await bob.command("send_chat", text="before")
        await alice.command("broadcast_message", text="to all")
        await alice.command("broadcast_message", text="to the other room", room_ids=[other])
        async with server.join(BEA) as bea:
            await bea.wait(lambda: bea.state["you"]["room_id"] == other)
            await bea.wait(lambda: [line["text"] for line in bea.chat] == ["to all", "to the other room"])
            assert set(bea.chat[0]["room_ids"]) == {room, other}
        async with server.join(BOB) as again:
            assert [(line["text"], "room_ids" in line) for line in again.chat] == [
                ("before", False),
                ("to all", True),
            ]
        async with server.join(ALICE) as moderator:
            assert [line["text"] for line in moderator.chat] == ["to all", "to the other room"]


async def test_a_locked_room_closes_the_door_on_newcomers_only(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        await alice.command("lock_room", room_id="main", locked=True)
        with pytest.raises(ConnectionError, match="locked"):
            await server.join(BEA).connect()
        await bob.drop()
        await bob.connect(resume=bob.connection_id)
        assert bob.state["rooms"]["main"]["locked"]


async def test_a_stopped_share_ends_in_the_media_plane_too(server: Server) -> None:
    async with server.join(ALICE) as alice, server.join(BOB) as bob:
        held = {(bob.connection_id, MediaSource.SCREEN), (bob.connection_id, MediaSource.SCREEN_AUDIO)}
        await bob.command("set_media", screen=True)
        await alice.command("stop_sharing", person_id="bob")
        await bob.wait(lambda: any(e["event"] == "sharing_stopped" for e in bob.events))
        await bob.wait(lambda: server.media.muted == held)
        await bob.command("set_media", screen=True)
        await bob.wait(lambda: server.media.muted == set())
        await alice.command("set_sharing", who="moderators")
        await bob.wait(lambda: server.media.muted == held)
        with pytest.raises(CommandRefused) as refused:
            await bob.command("set_media", screen=True)
        assert refused.value.code == "sharing_off"
        # Whatever a participant's page publishes from now on reaches nobody, also on a connection made later.
        async with server.join(BEA) as bea:
            await bea.wait(lambda: (bea.connection_id, MediaSource.SCREEN) in server.media.muted)


async def test_who_enters_muted_is_forwarded_only_once_they_switch_it_on(tmp_path: Path) -> None:
    made = Server(tmp_path)
    made.hub = Hub(made.rooms, made.media, made.settings, lambda access: access.role is not Role.MODERATOR)
    async with served(made) as server, server.join(ALICE) as alice, server.join(BOB) as bob:
        held = (bob.connection_id, MediaSource.MIC)
        assert server.media.muted == {held}, "the moderator is not"
        await bob.command("set_media", mic=False, camera=True)
        assert held in server.media.muted
        await bob.command("set_media", mic=True)
        await bob.wait(lambda: server.media.muted == set())
        # A short break of the line is not another entry.
        await bob.drop()
        await bob.connect(resume=bob.connection_id)
        await alice.command("set_media", mic=True)
        assert server.media.muted == set()
        # A window opened later is.
        async with server.join(BOB) as again:
            assert server.media.muted == {(again.connection_id, MediaSource.MIC)}
