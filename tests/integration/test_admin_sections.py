"""The administration page's sections: what they show and change, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from models.store import lti, people, roster, services
from models.store.services import Offered
from models.values import CourseId, Role
from server.ports_check import free_port
from tests.integration.test_admin_frame import Site, make_site
from tests.librarykit import ISSUER, World

pytestmark = pytest.mark.integration


@dataclass(slots=True)
class Page:
    """Root's browser."""

    site: Site
    client: FlaskClient
    csrf: dict[str, str]

    @property
    def world(self) -> World:
        return self.site.world

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.open(
            f"/admin/api{path}", method=method, headers=self.csrf, json=body if method != "GET" else None
        )
        assert answer.status_code < 300, answer.text
        return answer.json if answer.data else None

    def code(self, method: str, path: str, **body: Any) -> str:
        answer = self.client.open(f"/admin/api{path}", method=method, headers=self.csrf, json=body)
        assert 400 <= answer.status_code < 500, answer.text
        return str(answer.json["error"]["code"])

    def platform(self, **more: Any) -> int:
        dead = f"http://127.0.0.1:{free_port()}"
        body = {
            "issuer": ISSUER,
            "client_id": "c1",
            "app": "room",
            "name": "Campus",
            "auth_login_url": f"{ISSUER}/auth",
            "auth_token_url": f"{dead}/token",
            "jwks_url": f"{dead}/keys",
        }
        return int(self.ask("POST", "/platforms", **{**body, **more})["id"])


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    site = make_site(tmp_path)
    client, csrf = site.client()
    yield Page(site, client, csrf)
    site.world.db.close()


def test_a_platform_that_does_not_answer_says_why(page: Page) -> None:
    platform_id = page.platform()
    services.save_services(
        page.world.db,
        page.world.course,
        platform_id,
        [Offered("roster", "http://lms.test/names", ("scope",))],
    )
    (listed,) = page.ask("GET", "/platforms")["platforms"]
    assert (listed["name"], listed["app"], listed["health"]) == ("Campus", "room", [])
    checked = page.ask("POST", f"/platforms/{platform_id}/check")
    health = {h["kind"]: h for h in checked["health"]}
    assert not health["keyset"]["ok"] and "ConnectionError" in health["keyset"]["reason"]
    assert not health["token"]["ok"] and "didn’t answer" in health["token"]["reason"]
    assert page.ask("GET", "/platforms")["platforms"] == [checked]
    assert page.code("POST", "/platforms/99/check") == "bad_value"


def test_platforms_are_registered_by_hand_or_by_a_link(page: Page) -> None:
    found = page.ask("GET", "/platforms")
    assert {a["app"] for a in found["apps"]} == {"room", "gallery", "mymedia", "selector"}
    for app in found["apps"]:
        urls = [address["url"] for address in app["addresses"]]
        assert any(url.endswith("/lti/jwks.json") for url in urls)
        assert any(url.endswith(f"/lti/login/{app['app']}") for url in urls), (
            "each tool has a login of its own"
        )
    assert "/lti/register" in page.ask("POST", "/platforms/invitations", app="gallery")["url"]
    page.platform(hold_new=True)
    assert page.ask("GET", "/platforms")["platforms"][0]["accept_new"] is False
    for odd in (
        {"app": "x"},
        {"app": ["room"]},
        {"issuer": "javascript:x"},
        {"jwks_url": ""},
        {"client_id": 5},
    ):
        body = {"issuer": ISSUER, "client_id": "c", "app": "room"} | dict.fromkeys(
            ("auth_login_url", "auth_token_url", "jwks_url"), f"{ISSUER}/x"
        )
        assert page.code("POST", "/platforms", **{**body, **odd}) == "bad_value", odd
    assert page.code("POST", "/platforms/invitations", app={}) == "bad_value"


def test_a_deployment_that_waits_is_let_in(page: Page) -> None:
    platform_id = page.platform(hold_new=True)
    platform = lti.get_platform(page.world.db, platform_id)
    assert platform is not None and not lti.accept_deployment(page.world.db, platform, "d7")
    (listed,) = page.ask("GET", "/deployments")["deployments"]
    assert (listed["deployment_id"], listed["approved"], listed["platform"]) == ("d7", False, "Campus")
    page.ask("PUT", "/deployments", platform_id=platform_id, deployment_id="d7", approved=True)
    assert lti.accept_deployment(page.world.db, platform, "d7")
    good = {"platform_id": platform_id, "deployment_id": "d7", "approved": True}
    for odd in (
        {"platform_id": 99},
        {"platform_id": 2**70},
        {"platform_id": True},
        {"deployment_id": ""},
        {"approved": 1},
    ):
        assert page.code("PUT", "/deployments", **{**good, **odd}) == "bad_value", odd


def test_courses_are_found_and_their_settings_changed(page: Page) -> None:
    db, course = page.world.db, page.world.course
    titles = [c["title"] for c in page.ask("GET", "/courses")["courses"]]
    assert titles == ["Biology 101", "History 200"], "no My Workspace"
    assert [c["title"] for c in page.ask("GET", "/courses?q=bio")["courses"]] == ["Biology 101"]
    path = f"/courses/{course}"
    before = page.ask("GET", path)
    assert before["roles"] == {
        "assistant": "moderator",
        "developer": "moderator",
        "mentor": "participant",
        "learner": "participant",
    }
    assert before["attendance"] == {"enabled": False, "maximum": 100, "min_percent": 50}
    after = page.ask(
        "PATCH",
        path,
        attendance={"enabled": True, "maximum": 20, "min_percent": 75},
        roles={"learner": "moderator"},
        recording={"options": {"layout": "speaker", "names": True}, "record_on_start": True},
    )
    assert after["attendance"] == {"enabled": True, "maximum": 20, "min_percent": 75}
    assert after["roles"]["learner"] == "moderator"
    assert after["recording"] == {"options": {"layout": "speaker"}, "record_on_start": True}
    assert set(people.course_settings(db, course)) == {"attendance", "roles", "recording"}
    assert people.course_settings(db, course)["recording"]["record_on_start_by"] is None, "no person of it"
    olga = page.world.ids["olga"]
    people.set_course_setting(
        db, course, "recording", {"record_on_start": True, "record_on_start_by": olga, "options": {}}
    )
    page.ask("PATCH", path, recording={"options": {"layout": "speaker"}, "record_on_start": True})
    assert people.course_settings(db, course)["recording"]["record_on_start_by"] == olga, "still hers"
    assert people.course_settings(db, page.world.other) == {}
    for odd in (
        {"attendance": {"maximum": -1}},
        {"roles": {"instructor": "participant"}},
        {"roles": {"learner": ["moderator"]}},
        {"recording": {"options": {"layout": "spiral"}}},
        {"recording": {"options": {"colour": 1}}},
        {"recording": {"record_on_start": 1}},
    ):
        assert page.code("PATCH", path, **odd) == "bad_value", odd
    assert page.code("PATCH", path, title="x") == "bad_command"
    half = {"attendance": {"enabled": False}, "recording": {"options": {"layout": "spiral"}}}
    assert page.code("PATCH", path, **half) == "bad_value"
    assert page.ask("GET", path) == after, "all of it or nothing"
    assert page.code("PATCH", "/courses/nowhere", **half) == "bad_value"
    assert page.code("PATCH", "/courses/nowhere", roles={}) == "bad_value"


def test_the_roster_of_a_course_is_fetched_at_once_when_asked(page: Page) -> None:
    page.ask("POST", f"/courses/{page.world.course}/roster")
    state = roster.sync_state(page.world.db, CourseId(page.world.course))
    assert state is not None and state.due_at is not None
    assert page.code("POST", "/courses/nowhere/roster") == "bad_value"


def test_people_are_found_with_their_courses(page: Page) -> None:
    world = page.world
    people.upsert_membership(world.db, world.other, world.ids["bob"], Role.PARTICIPANT, [])
    found = page.ask("GET", "/people?q=bob")
    (bob,) = found["people"]
    assert (bob["name"], found["total"]) == ("Bob", 1)
    assert bob["courses"] == [
        {"title": "Biology 101", "role": "participant"},
        {"title": "History 200", "role": "participant"},
    ]
    assert page.ask("GET", "/people")["total"] == 4
    assert page.ask("GET", "/people?page=7")["people"] == []
    assert page.ask("GET", "/people?q=%25")["total"] == 0, "a percent sign is a percent sign"
    assert page.code("GET", "/people?page=-1") == "bad_value"


def test_recordings_are_listed_by_state(page: Page) -> None:
    found = page.ask("GET", "/recordings?status=ERRORED&q=x")
    assert (found["recordings"], found["total"]) == ([], 0)
    assert "RECORDING" in found["statuses"]
    assert page.code("GET", "/recordings?status=LOST") == "bad_value"
