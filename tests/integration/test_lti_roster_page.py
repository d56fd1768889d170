"""From a launch to breakout rooms: the job worker fetches the roster, the page offers its groups, members go to their rooms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.roster import create_blueprint
from models.store import roster
from models.store.access import Access, issue_token
from models.values import MAIN_ROOM, Actor, ActorKind, AssignMode, CommandId, PersonId, Role, RoomId
from rooms import commands as c
from rooms.commands import Command, Envelope
from rooms.service import RoomsService
from server.lti_jobs import ServiceWorker
from tests.lmskit import Lms, practice_lms

pytestmark = pytest.mark.integration


@pytest.fixture
def lms(tmp_path: Path) -> Iterator[Lms]:
    with practice_lms(tmp_path) as made:
        yield made


def synced(lms: Lms) -> None:
    """Let a real worker do what the launch asked for."""
    rooms = RoomsService(lms.db)
    worker = ServiceWorker(lms.db, rooms)
    worker.start()
    deadline = time.monotonic() + 30
    try:
        while (state := roster.sync_state(lms.db, lms.course)) is None or state.done_at is None:
            assert time.monotonic() < deadline, "the roster was not fetched"
            time.sleep(0.05)
    finally:
        worker.stop()
        rooms.close()


def page(lms: Lms) -> FlaskClient:
    app = Flask("page")
    app.register_blueprint(create_blueprint(lms.db))
    return app.test_client()


def token(lms: Lms, key: str, role: Role, kind: Any = "room") -> dict[str, str]:
    access = Access(kind, lms.person(key), lms.course, role, key.title())
    return {"Authorization": "Bearer " + issue_token(lms.db, access)}


def test_a_moderators_launch_brings_the_roster_without_making_anybody_wait(lms: Lms) -> None:
    assert lms.services.asked == [], "the launch itself asks the LMS for nothing"
    synced(lms)
    answer = page(lms).get("/app/api/roster", headers=token(lms, "alice", Role.MODERATOR))
    assert answer.status_code == 200 and answer.json["failed"] is False
    assert [p["name"] for p in answer.json["people"]][:2] == ["Adam Rossi", "Alice Moreau"]
    assert [(g["name"], len(g["members"])) for g in answer.json["groups"]] == [
        ("Lab A", 2),
        ("Lab B", 2),
        ("Projektübung", 0),
    ]


def test_only_moderators_of_the_course_see_it(lms: Lms) -> None:
    synced(lms)
    for headers in (
        token(lms, "bob", Role.PARTICIPANT),
        token(lms, "charlie", Role.MODERATOR),
        token(lms, "bob", Role.MODERATOR),  # a token from before the LMS changed his role
    ):
        answer = page(lms).get("/app/api/roster", headers=headers)
        assert (answer.status_code, answer.json["error"]["code"]) == (403, "not_moderator")
    assert page(lms).get("/app/api/roster").status_code == 401


def test_course_groups_become_rooms_and_late_members_go_to_theirs(lms: Lms) -> None:
    synced(lms)
    groups = page(lms).get("/app/api/roster", headers=token(lms, "alice", Role.MODERATOR)).json["groups"]
    rooms = RoomsService(lms.db)
    session_id = rooms.open_session(lms.course, "BIO 101", "Room")

    def do(key: str, role: Role, command: Command) -> None:
        actor = Actor(ActorKind.PERSON, lms.person(key), key.title(), role, lms.course)
        name = CommandId(f"{key}-{type(command).__name__}")
        rooms.submit(Envelope(name, session_id, actor, command))

    def room_of(key: str) -> tuple[RoomId, str]:
        state = rooms.state(session_id)
        room_id = state.people[PersonId(lms.person(key))].room_id
        return room_id, state.rooms[room_id].name

    for key, role in (("alice", Role.MODERATOR), ("bob", Role.PARTICIPANT)):
        do(key, role, c.EnterSession(key.title(), role))
    create = c.CreateRooms(
        len(groups),
        AssignMode.MANUAL,
        names=tuple(g["name"] for g in groups),
        countdown_s=0,
        members=tuple(tuple(g["members"]) for g in groups),
    )
    do("alice", Role.MODERATOR, create)
    do("alice", Role.MODERATOR, c.StartBreakout())
    for key in ("ben", "tara", "bea"):
        role = Role.MODERATOR if key == "tara" else Role.PARTICIPANT
        do(key, role, c.EnterSession(key.title(), role))
    try:
        assert [room_of(key)[1] for key in ("bob", "bea", "ben")] == ["Lab A", "Lab A", "Lab B"]
        assert room_of("alice")[0] == room_of("tara")[0] == MAIN_ROOM
        assert set(rooms.state(session_id).expected) == {lms.person("bo")}
    finally:
        rooms.close()
