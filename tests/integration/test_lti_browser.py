"""The browser of a login is known again: by cookie, by the platform's storage, by the person; and messages besides links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask

from lti.app import create_blueprint
from lti.deps import LtiDeps
from models.store import lti as store
from models.store.access import hash_secret
from models.tables import LtiStateRow
from sandbox.lms.client import launch, launch_form, read_form
from tests.ltikit import LTI, World, running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("browser")) as made:
        yield made


def _token(world: World) -> tuple[str, str]:
    begun = world.login()
    return world.sign(world.claims(begun["nonce"])), begun["state"]


def test_another_browser_is_asked_and_only_our_own_page_may_answer(world: World) -> None:
    token, state = _token(world)
    elsewhere = requests.Session()
    fields = {"id_token": token, "state": state}
    asked = elsewhere.post(f"{world.url}/lti/launch", data=fields, timeout=10)
    assert (
        asked.status_code == 200 and "Continue as Zoe Secretname?" in asked.text and "boot" not in asked.text
    )
    action, fields = read_form(asked.text)
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        again = elsewhere.post(action, data=fields, headers=origin, timeout=10)
        assert "Continue as" in again.text, "a page of somebody else must not confirm for the person"
    opened = elsewhere.post(action, data=fields, headers={"Origin": world.url}, timeout=10)
    assert opened.status_code == 200 and 'id="boot"' in opened.text


def test_a_name_cannot_write_html_into_the_question(world: World) -> None:
    begun = world.login()
    token = world.sign(world.claims(begun["nonce"], name="<img src=x onerror=alert(1)>"))
    data = {"id_token": token, "state": begun["state"]}
    asked = requests.post(f"{world.url}/lti/launch", data=data, timeout=10)
    assert "<img" not in asked.text and "&lt;img" in asked.text


def test_where_cookies_are_blocked_the_platforms_storage_tells(world: World) -> None:
    """Two browsers, neither keeps cookies: the one with the secret from the storage comes in."""
    query = {"iss": world.lms, "login_hint": "x", "client_id": world.practice.tools["room"].client_id}
    login = requests.get(
        f"{world.url}/lti/login", params=query | {"lti_storage_target": "_parent"}, timeout=10
    )
    page = login.text
    secret = re.search(r'"value": "([\w-]{43})"', page)
    following = re.search(r'"next": "([^"]+)"', page)
    assert secret is not None and following is not None and f'"origin": "{world.lms}"' in page
    found = parse_qs(urlsplit(following[1]).query)
    state, nonce = found["state"][0], found["nonce"][0]
    assert f'"key": "sideroom_{state[:16]}"' in page
    token = world.sign(world.claims(nonce))
    asked = requests.post(f"{world.url}/lti/launch", data={"id_token": token, "state": state}, timeout=10)
    assert "lti.get_data" in asked.text
    action, fields = read_form(asked.text)
    ours = {"Origin": world.url}
    wrong = requests.post(action, data=fields | {"proof": "w" * 43}, headers=ours, timeout=10)
    assert "Continue as" in wrong.text
    silent = requests.post(action, data=fields, headers=ours, timeout=10)
    assert "Continue as" in silent.text, "a storage that does not answer proves nothing"
    opened = requests.post(action, data=fields | {"proof": secret[1]}, headers=ours, timeout=10)
    assert 'id="boot"' in opened.text


def test_a_storage_target_is_a_frames_name_and_nothing_else(world: World) -> None:
    query = {"iss": world.lms, "login_hint": "x", "client_id": world.practice.tools["room"].client_id}
    target = "</script><script>alert(1)"
    login = requests.get(
        f"{world.url}/lti/login",
        params=query | {"lti_storage_target": target},
        timeout=10,
        allow_redirects=False,
    )
    assert login.status_code == 302


def test_on_https_the_cookie_is_partitioned_and_comes_back(world: World) -> None:
    app = Flask("https")
    app.register_blueprint(
        create_blueprint(LtiDeps(world.db, world.rooms, "https://rooms.example", world.library))
    )
    client = app.test_client()
    query = {"iss": world.lms, "login_hint": "x", "client_id": world.practice.tools["room"].client_id}
    answer = client.get("/lti/login", query_string=query)
    cookie = answer.headers["Set-Cookie"]
    assert all(
        word in cookie for word in ("Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/lti/")
    )
    secret = cookie.split("=", 1)[1].split(";")[0]
    second = client.get("/lti/login", query_string=query | {"lti_storage_target": "_parent"})
    assert second.status_code == 302, "the cookie came back: no need for the storage"
    state = parse_qs(urlsplit(second.headers["Location"]).query)["state"][0]
    check = store.login_browser(world.db, state)
    assert check is not None and check.browser_hash == hash_secret(secret)


def test_secrets_of_logins_are_stored_as_hashes(world: World) -> None:
    form = launch_form(world.lms, "alice")
    with world.db.read() as session:
        row = session.get(LtiStateRow, hash_secret(form.fields["state"]))
    assert row is not None and form.session.cookies["sideroom_browser"] not in str(row.model_dump())


# -- messages besides resource links ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "page"),
    [
        ({"message_type": "LtiContextLaunchRequest", "resource_link": None}, "lobby"),
        ({"message_type": "LtiSubmissionReviewRequest", LTI + "for_user": {"user_id": "u7"}}, "lobby"),
        ({"message_type": "LtiDataPrivacyLaunchRequest", "resource_link": None, "context": None}, "mymedia"),
        ({"message_type": "LtiDataPrivacyLaunchRequest"}, "mymedia"),
        ({"message_type": "DataPrivacyLaunchRequest"}, "mymedia"),
    ],
)
def test_other_messages_open_a_page(world: World, changes: dict[str, object], page: str) -> None:
    answer = world.launched(**changes)
    assert answer.status_code == 200 and f'"page": "{page}"' in answer.text, answer.text[-300:]


@pytest.mark.parametrize(
    "changes",
    [
        {"message_type": "LtiContextLaunchRequest", "context": {"title": "no id"}},
        {"message_type": "LtiSubmissionReviewRequest"},
        {"message_type": "LtiDeepLinkingRequest"},
        {"message_type": ["LtiResourceLinkRequest"]},
    ],
)
def test_messages_that_lack_what_they_need_are_refused(world: World, changes: dict[str, object]) -> None:
    answer = world.launched(**changes)
    assert answer.status_code == 403 and "(message)" in answer.text


@pytest.mark.parametrize(
    "path", ["/lti/launch/../../evil", "/", "/lti/jwks.json", "//evil.example/lti/launch"]
)
def test_only_our_launch_address_is_a_target(world: World, path: str) -> None:
    answer = world.launched(target_link_uri=f"{world.url}{path}")
    assert "(wrong_target)" in answer.text
    assert world.launched(target_link_uri=f"{world.url}/lti/launch?item=1").status_code == 200


def test_a_refused_launch_offers_the_way_back_with_what_happened(world: World) -> None:
    back = "https://lms.example/return?site=1"
    presentation = {LTI + "launch_presentation": {"return_url": back}}
    answer = world.launched(version="11.3", **presentation)
    found = re.search(r'<a href="(https://lms\.example/[^"]+)"', answer.text)
    assert found is not None
    query = parse_qs(urlsplit(found[1].replace("&amp;", "&")).query)
    reference = re.search(r"Reference for the log: (\w+)", answer.text)
    assert reference is not None and query["site"] == ["1"]
    assert "LTI version" in query["lti_errormsg"][0] and reference[1] in query["lti_errorlog"][0]
    script = world.launched(
        version="11.3", **{LTI + "launch_presentation": {"return_url": "javascript:alert(1)"}}
    )
    assert "javascript:" not in script.text


def test_a_token_that_was_not_signed_by_the_platform_leads_nowhere(world: World) -> None:
    begun = world.login()
    claims = world.claims(
        begun["nonce"], **{LTI + "launch_presentation": {"return_url": "https://evil.example"}}
    )
    answer = world.post(world.sign(claims, kid="unknown"), begun["state"])
    assert answer.status_code == 403 and "evil.example" not in answer.text


def test_teachers_decide_who_moderates_in_their_course(world: World) -> None:
    alice, tara, bob = (launch(world.lms, who) for who in ("alice", "tara", "bob"))
    charlie = launch(world.lms, "charlie")
    assert (tara.role, bob.role) == ("moderator", "participant")
    assert world.ask(alice, "GET", "/app/api/course/roles").json()["assistant"] == "moderator"
    for page, code in ((bob, "not_moderator"), (tara, "not_allowed")):
        refused = world.ask(page, "PUT", "/app/api/course/roles", json={"learner": "moderator"})
        assert refused.status_code == 403 and refused.json()["error"]["code"] == code
    for odd in ({"instructor": "participant"}, {"assistant": "king"}, {"assistant": []}, [], "x"):
        assert world.ask(alice, "PUT", "/app/api/course/roles", json=odd).status_code == 422
    changed = world.ask(alice, "PUT", "/app/api/course/roles", json={"assistant": "participant"})
    assert changed.status_code == 200
    assert launch(world.lms, "tara").role == "participant"
    assert launch(world.lms, "alice").role == "moderator"
    assert world.ask(charlie, "GET", "/app/api/course/roles").json()["assistant"] == "moderator", (
        "their own course"
    )
    world.ask(alice, "PUT", "/app/api/course/roles", json={"assistant": "moderator"})


def test_teachers_switch_the_attendance_score_on_in_their_course(world: World) -> None:
    path = "/app/api/course/attendance"
    alice, tara, bob, charlie = (launch(world.lms, who) for who in ("alice", "tara", "bob", "charlie"))
    begun = world.ask(alice, "GET", path).json()
    assert (begun["enabled"], begun["offered"], begun["scores"]["sent"]) == (False, True, 0)
    for page, code in ((bob, "not_moderator"), (tara, "not_allowed")):
        for method in ("GET", "PUT"):
            refused = world.ask(page, method, path, json={"enabled": True})
            assert refused.status_code == 403 and refused.json()["error"]["code"] == code
    for odd in ({"enabled": "yes"}, {"enabled": True, "maximum": 0}, {"points": 5}, [], "x"):
        assert world.ask(alice, "PUT", path, json=odd).status_code == 422
    changed = world.ask(alice, "PUT", path, json={"enabled": True, "maximum": 20, "min_percent": 75})
    assert changed.status_code == 200
    assert changed.json() | {"scores": 0} == {
        "enabled": True,
        "maximum": 20.0,
        "min_percent": 75,
        "offered": True,
        "scores": 0,
    }
    assert not world.ask(charlie, "GET", path).json()["enabled"], "their own course"
    world.ask(alice, "PUT", path, json={"enabled": False})
