"""Who may open a course's room: after “End for everyone” only a moderator, unless the course says otherwise; and the lock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import requests

from models import room_settings
from models.store import people
from models.tables import RecordingRow
from models.values import (
    MAIN_ROOM,
    SYSTEM,
    Actor,
    ActorKind,
    CommandId,
    CourseId,
    PersonId,
    RecordingStatus,
    Role,
    SessionId,
)
from rooms import commands as c
from rooms.commands import Command, Envelope
from sandbox.lms.client import LaunchedPage, LaunchFailed, launch, open_room, room_url
from tests.ltikit import World, running

pytestmark = pytest.mark.integration
PATH = "/app/api/course/room"


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("opens")) as made:
        yield made


def course_of(world: World) -> CourseId:
    return CourseId(people.upsert_course(world.db, world.lms, "bio101"))


def person_of(world: World, key: str) -> Actor:
    person_id = people.upsert_person(world.db, world.lms, world.sub(key))
    role = Role.MODERATOR if key in ("alice", "tara") else Role.PARTICIPANT
    return Actor(ActorKind.PERSON, PersonId(person_id), key.title(), role, course_of(world))


def do(world: World, actor: Actor, session_id: str, command: Command) -> None:
    world.rooms.submit(Envelope(CommandId(uuid4().hex), SessionId(session_id), actor, command))


def ended_meeting(world: World, actor: Actor | None = None) -> str:
    """A meeting that Alice opened, where Bob was, and that is over."""
    session_id = open_room(launch(world.lms, "alice")).session_id
    alice, bob = person_of(world, "alice"), person_of(world, "bob")
    do(world, alice, session_id, c.EnterSession("Alice", Role.MODERATOR))
    do(world, bob, session_id, c.EnterSession("Bob", Role.PARTICIPANT))
    do(world, actor or alice, session_id, c.EndSession())
    return session_id


def lobby(world: World, page: LaunchedPage) -> dict[str, object]:
    found: dict[str, object] = world.ask(page, "GET", "/app/api/lobby").json()
    return found


def test_after_end_for_everyone_a_student_cannot_make_a_meeting_alone(world: World) -> None:
    bob = launch(world.lms, "bob")
    with requests.Session() as window:
        first = open_room(launch(world.lms, "alice")).session_id
        opened = window.get(room_url(bob), timeout=10)
        assert opened.url.endswith(first)
        do(world, person_of(world, "alice"), first, c.EndSession())
        reloaded = window.get(opened.url, timeout=10)
        assert reloaded.status_code == 403 and "This session has ended." in reloaded.text
        assert 'id="boot"' not in reloaded.text, "no way in"
    assert lobby(world, bob)["waits"] is True
    with pytest.raises(LaunchFailed, match="opened this room yet"):
        open_room(bob)
    assert world.rooms.live_session(course_of(world)) is None
    again = open_room(launch(world.lms, "alice")).session_id
    assert again != first and lobby(world, bob)["waits"] is False
    assert open_room(bob).session_id == again


def test_a_link_got_before_the_end_does_not_open_a_meeting_after_it(world: World) -> None:
    first = open_room(launch(world.lms, "alice")).session_id
    url = room_url(launch(world.lms, "bob"))
    do(world, person_of(world, "alice"), first, c.EndSession())
    late = requests.get(url, timeout=10)
    assert late.status_code == 403 and "open yet" in late.text
    assert world.rooms.live_session(course_of(world)) is None


def test_a_meeting_that_ended_because_everybody_left_may_be_opened_by_anybody(world: World) -> None:
    ended_meeting(world, SYSTEM)
    bob = launch(world.lms, "bob")
    assert lobby(world, bob)["waits"] is False
    assert open_room(bob).session_id


@pytest.mark.parametrize(("opens", "waits"), [("anyone", False), ("after_end", True), ("moderators", True)])
def test_the_course_chooses_who_opens_its_rooms(world: World, opens: str, waits: bool) -> None:
    ended_meeting(world)
    alice = launch(world.lms, "alice")
    changed = world.ask(alice, "PUT", PATH, json={"opens": opens})
    assert changed.json() == {"opens": opens, "sharing": "everyone", "mute_on_entry": False}
    assert lobby(world, launch(world.lms, "bob"))["waits"] is waits
    assert lobby(world, alice)["waits"] is False


def test_moderators_only_holds_for_the_first_meeting_too(world: World) -> None:
    alice, bob = launch(world.lms, "alice"), launch(world.lms, "bob")
    assert lobby(world, bob)["waits"] is False
    world.ask(alice, "PUT", PATH, json={"opens": "moderators"})
    assert lobby(world, bob)["waits"] is True


def test_only_the_courses_teachers_see_and_change_it(world: World) -> None:
    alice = launch(world.lms, "alice")
    for who, site in (("bob", None), ("tara", None)):
        page = launch(world.lms, who, site=site)
        assert world.ask(page, "GET", PATH).status_code == 403
        assert world.ask(page, "PUT", PATH, json={"opens": "anyone"}).status_code == 403
    charlie = launch(world.lms, "charlie")
    assert world.ask(charlie, "PUT", PATH, json={"opens": "anyone"}).status_code == 200
    assert world.ask(alice, "GET", PATH).json()["opens"] == "after_end", "Charlie's course is another one"
    for odd in (
        {"opens": "nobody"},
        {"closes": "x"},
        [],
        "x",
        {"opens": ["anyone"]},
        {"mute_on_entry": "yes"},
    ):
        assert world.ask(alice, "PUT", PATH, json=odd).status_code == 422


def test_who_shares_is_the_courses_choice_in_the_live_room_and_the_next(world: World) -> None:
    alice = launch(world.lms, "alice")
    first = SessionId(open_room(alice).session_id)
    world.ask(alice, "PUT", PATH, json={"sharing": "moderators"})
    assert world.rooms.state(first).sharing == "moderators"
    do(world, person_of(world, "alice"), first, c.EndSession())
    assert world.rooms.state(SessionId(open_room(alice).session_id)).sharing == "moderators"


def test_a_locked_room_turns_newcomers_away_and_tells_them(world: World) -> None:
    session_id = open_room(launch(world.lms, "alice")).session_id
    bob, bea = launch(world.lms, "bob"), launch(world.lms, "bea")
    do(world, person_of(world, "bob"), session_id, c.EnterSession("Bob", Role.PARTICIPANT))
    late = room_url(bea)
    do(world, person_of(world, "alice"), session_id, c.LockRoom(MAIN_ROOM, True))
    assert lobby(world, bob)["locked"] is False, "was inside before"
    assert lobby(world, bea)["locked"] is True
    assert "A moderator locked this room." in requests.get(late, timeout=10).text
    with pytest.raises(LaunchFailed, match="locked"):
        open_room(bea)
    assert open_room(bob).session_id == session_id


def test_what_was_kept_oddly_counts_as_the_default() -> None:
    default = room_settings.RoomSettings()
    for odd in (None, [], {"opens": 3}, {"opens": ["anyone"]}, {"other": "x"}):
        assert room_settings.from_json(odd) == default


def test_before_joining_one_is_told_who_is_inside_and_whether_one_enters_muted(world: World) -> None:
    alice, bob = launch(world.lms, "alice"), launch(world.lms, "bob")
    session_id = open_room(alice).session_id
    do(world, person_of(world, "alice"), session_id, c.EnterSession("Alice", Role.MODERATOR))
    world.ask(alice, "PUT", PATH, json={"mute_on_entry": True})

    def before(token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{world.url}/app/api/before", headers=headers, timeout=60)

    window, teachers = open_room(bob), open_room(alice)
    expected = {"people": [{"name": "Alice", "role": "moderator"}], "recording": False, "mute_on_entry": True}
    assert before(window.token).json() == expected
    assert before(teachers.token).json() == {"people": [], "recording": False, "mute_on_entry": False}
    do(world, person_of(world, "alice"), session_id, c.StartRecording(MAIN_ROOM))
    assert before(window.token).json()["recording"] is True
    # A lobby's token opens no room, and who was sent out is told so before joining.
    assert world.ask(bob, "GET", "/app/api/before").json()["error"]["code"] == "not_allowed"
    do(world, person_of(world, "bob"), session_id, c.EnterSession("Bob", Role.PARTICIPANT))
    do(
        world,
        person_of(world, "alice"),
        session_id,
        c.RemoveParticipant(PersonId(str(person_of(world, "bob").person_id))),
    )
    assert before(window.token).json()["error"]["code"] == "removed"
    do(world, person_of(world, "alice"), session_id, c.EndSession())
    assert before(teachers.token).json()["error"]["code"] == "session_ended"


def test_after_stop_a_moderators_room_is_told_when_the_film_will_be_ready(world: World) -> None:
    alice, bob = launch(world.lms, "alice"), launch(world.lms, "bob")
    session_id = open_room(alice).session_id
    do(world, person_of(world, "alice"), session_id, c.EnterSession("Alice", Role.MODERATOR))
    do(world, person_of(world, "alice"), session_id, c.StartRecording(MAIN_ROOM))
    (recording_id,) = world.rooms.state(SessionId(session_id)).recordings

    def ready(token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{world.url}/app/api/ready", headers=headers, timeout=60)

    window = open_room(alice).token
    assert ready(window).json() == {"ready_at": {}}
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    with world.db.write() as session:
        row = session.get(RecordingRow, recording_id)
        assert row is not None
        row.status, row.eta_at = RecordingStatus.UPLOADING.value, at
        session.add(row)
    assert ready(window).json() == {"ready_at": {recording_id: at.isoformat()}}
    assert ready(open_room(bob).token).status_code == 403
    assert ready(open_room(launch(world.lms, "charlie")).token).json() == {"ready_at": {}}, "another course"
    assert world.ask(alice, "GET", "/app/api/ready").status_code == 403, "a lobby's token opens no room"
