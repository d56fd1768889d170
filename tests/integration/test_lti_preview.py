"""Sakai's “View Site As: Student”: a pseudo user whom all teachers of a site share becomes a marked preview of each one's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlmodel import select

from models.store import grades, people, roster, slack_roster
from models.store.admin_pages import get_listed_course
from models.tables import PersonRow
from models.values import PersonId, SessionId
from sandbox.lms.client import LaunchedPage, LaunchFailed, follow, follow_frame, open_room, opened
from tests.ltikit import World, running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("preview")) as made:
        yield made


def preview(world: World, tool: str = "room", role: str = "Student", person: str = "alice") -> LaunchedPage:
    """A teacher's launch while viewing the site as a role, in a browser of their own."""
    return opened(follow(f"{world.lms}/site/bio101/tool/{tool}?as={person}&view={role}"))


def test_the_page_says_that_it_is_a_preview(world: World) -> None:
    page = preview(world)
    assert (page.page, page.role, page.boot["preview"]) == ("lobby", "participant", "Student")
    assert page.boot["person"]["name"] == "Student (preview)"
    assert opened(follow(f"{world.lms}/site/bio101/tool/room?as=bob")).boot["preview"] is None
    lobby = world.ask(page, "GET", "/app/api/lobby").json()
    assert not lobby["may_set_roles"] and not lobby["slack"]["enabled"]


def test_two_teachers_who_preview_at_once_are_two_people_in_the_room(world: World) -> None:
    first, second = open_room(preview(world)), open_room(preview(world, person="adam"))
    assert first.session_id == second.session_id
    assert first.boot["person"]["person_id"] != second.boot["person"]["person_id"]
    assert first.boot["person"]["name"] == second.boot["person"]["name"] == "Student (preview)"


def test_the_same_browser_comes_back_as_the_same_preview(world: World) -> None:
    form = follow(f"{world.lms}/site/bio101/tool/room?as=alice&view=Student")
    secret = form.session.cookies.get("sideroom_browser", path="/lti/")
    opened(form)
    again = follow(f"{world.lms}/site/bio101/tool/room?as=alice&view=Student")
    assert again.session.cookies.get("sideroom_browser", path="/lti/") != secret, "another browser"
    before = _previews(world)
    opened(again)
    assert len(_previews(world)) == len(before) + 1
    begun = world.login(lti_storage_target="")
    claims = {"lis": {"person_sourcedid": "bio101+student"}, "sub": f"{world.lms}/user/ghost"}
    role = {"https://www.sakailms.org/spec/lti/claim/extension": {"sakai_role": "Student"}}
    for _ in range(2):
        body = world.claims(begun["nonce"], **{_claim(k): v for k, v in claims.items()}, **role)
        assert world.post(world.sign(body), begun["state"]).status_code == 200
        begun = world.login(lti_storage_target="")
    assert len([sub for sub in _previews(world) if "ghost" in sub]) == 1


def _claim(name: str) -> str:
    return name if name == "sub" else f"https://purl.imsglobal.org/spec/lti/claim/{name}"


def _previews(world: World) -> list[str]:
    with world.db.read() as session:
        return [p.sub for p in session.exec(select(PersonRow)).all() if "#preview-" in p.sub]


def test_a_preview_stands_in_no_roster_and_gets_no_score(world: World) -> None:
    course_id = people.upsert_course(world.db, world.lms, "bio101")
    opened(follow(f"{world.lms}/site/bio101/tool/room?as=bea"))
    page = preview(world)
    person_id = PersonId(open_room(page).boot["person"]["person_id"])
    assert people.is_preview(world.db, course_id, person_id)
    names = [person.name for person in roster.list_roster(world.db, course_id)]
    assert "Bea Okafor" in names and not [name for name in names if "preview" in name]
    assert slack_roster.find_members(world.db, course_id, "Student (preview)") == []
    course = get_listed_course(world.db, course_id)
    assert course is not None and course.members == len(names)
    people.set_course_setting(world.db, course_id, "attendance", {"enabled": True, "maximum": 10})
    meeting = grades.Meeting(SessionId("s1"), course_id, "", "Lecture")
    bea = people.upsert_person(world.db, world.lms, world.sub("bea"))
    now = datetime.now(UTC)
    present = {person_id: 3600.0, bea: 3600.0}
    grades.save_meeting(world.db, meeting, now, counts=True, length_s=3600, present_s=present)
    scored = {score.person_id for score in grades.take_scores(world.db, course_id, now)}
    assert bea in scored and person_id not in scored


def test_a_preview_has_no_library_of_its_own(world: World) -> None:
    for tool in ("room", "mymedia"):
        page = preview(world, tool)
        assert world.ask(page, "GET", "/app/api/media?scope=mine").status_code == 403
        found = world.ask(page, "GET", "/app/api/media?scope=channel")
        assert found.status_code == 200 and found.json()["scopes"] == ["channel"]
        sent = world.ask(page, "POST", "/app/api/uploads?name=film.webm", data=b"film")
        assert sent.status_code == 403 and "preview" in sent.json()["error"]["message"]


def test_a_preview_inserts_nothing(world: World) -> None:
    source = f"{world.lms}/access/lti/site/bio101/tool:4;as=alice"
    assert opened(follow_frame(f"{source}?flow=lessons")).page == "selector"
    with pytest.raises(LaunchFailed, match="A preview can’t insert anything"):
        opened(follow_frame(f"{source};view=Student?flow=lessons"))


def test_a_view_as_teaching_assistant_sees_what_assistants_see(world: World) -> None:
    page = preview(world, role="Teaching Assistant")
    assert (page.role, page.boot["preview"]) == ("moderator", "Teaching Assistant")
    found = world.ask(page, "GET", "/app/api/media?scope=channel").json()
    assert found["scopes"] == ["channel", "folder", "unowned"]
    assert world.ask(page, "PUT", "/app/api/course/roles", json={}).status_code == 403
