"""The administration page's door: accounts, sign-in, the guard before every section, API keys, LMS administrators."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient

from api.admin.app import COOKIE, CSRF_HEADER, PREFIX, create_blueprints
from models.store import admin as store
from models.store import people
from models.store.keys import check_key
from models.values import Role
from server.cli import main
from server.settings import Settings
from server.wiring import build_admin
from tests.librarykit import World, make_world

pytestmark = pytest.mark.integration
BASE = "http://rooms.test"
PASSWORD = "correct horse battery"
SYSTEM_ADMIN = "http://purl.imsglobal.org/vocab/lis/v2/system/person#Administrator"


@dataclass(slots=True)
class Site:
    """The page on a test server, with the account “root”."""

    world: World
    app: Flask

    def client(self, name: str = "root", password: str = PASSWORD) -> tuple[FlaskClient, dict[str, str]]:
        """Somebody signed in: the browser and the header with the CSRF token."""
        client = self.app.test_client()
        answer = client.post("/admin/sign-in", json={"name": name, "password": password})
        assert answer.status_code == 200, answer.text
        return client, {CSRF_HEADER: answer.json["csrf"]}


def make_site(folder: Path, **more: Any) -> Site:
    world = make_world(folder)
    store.set_password(world.db, "root", PASSWORD, new=True)
    app = Flask("admin")

    def page(boot: Any) -> Response:
        return jsonify(boot)

    deps = replace(
        build_admin(Settings(base_url=BASE, secret="x" * 32, storage_private_endpoints=True), world.db),
        page=page,
        **more,
    )
    for blueprint in create_blueprints(deps):
        app.register_blueprint(blueprint)
    return Site(world, app)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path)
    yield made
    made.world.db.close()


def guarded(app: Flask) -> list[tuple[str, str]]:
    """Every call under the guard, with something in place of each part of the address."""
    return [
        (method, re.sub(r"<[^>]+>", "1", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


# -- the guard -------------------------------------------------------------------------------------------------


def test_every_call_is_refused_to_everybody_who_is_not_signed_in(site: Site) -> None:
    calls = guarded(site.app)
    assert ("POST", "/admin/api/keys") in calls and ("POST", "/admin/api/sign-out") in calls
    for method, path in calls:
        for name in ("alice", "bob", "charlie", None):
            headers = site.world.token(name) if name else {}
            answer = site.app.test_client().open(path, method=method, json={}, headers=headers)
            assert answer.status_code == 401, (method, path, name)
            assert answer.json["error"]["code"] == "unauthenticated"


def test_every_call_is_refused_without_the_csrf_token_and_from_elsewhere(site: Site) -> None:
    client, good = site.client()
    other_csrf = site.client()[1]
    for method, path in guarded(site.app):
        for headers in ({}, {CSRF_HEADER: ""}, other_csrf, {**good, "Origin": "https://evil.test"}):
            answer = client.open(path, method=method, json={}, headers=headers)
            assert (answer.status_code, answer.json["error"]["code"]) == (403, "not_allowed"), (method, path)
    assert client.get("/admin/api/keys", headers={**good, "Origin": BASE}).status_code == 200


# -- sign-in ---------------------------------------------------------------------------------------------------


def test_signing_in_and_out(site: Site) -> None:
    client, csrf = site.client()
    assert client.get("/admin").json == {
        "page": "admin",
        "name": "root",
        "csrf": csrf[CSRF_HEADER],
        "locale": "en",
    }
    assert client.get("/admin/api/keys", headers=csrf).status_code == 200
    cookie = client.get_cookie(COOKIE, path="/admin")
    assert cookie is not None and cookie.http_only and cookie.same_site == "Strict"
    token = cookie.value
    assert client.post("/admin/api/sign-out", headers=csrf).status_code == 204
    assert client.get("/admin").json["name"] is None
    client.set_cookie(COOKIE, token, path="/admin")
    assert client.get("/admin/api/keys", headers=csrf).status_code == 401, "the session itself is over"


def test_wrong_passwords_are_slowed_down_for_that_account_and_address(site: Site) -> None:
    def sign_in(name: str, password: str, address: str = "10.0.0.1") -> tuple[int, str]:
        answer = site.app.test_client().post(
            "/admin/sign-in",
            json={"name": name, "password": password},
            environ_overrides={"REMOTE_ADDR": address},
        )
        return answer.status_code, (answer.json.get("error") or {}).get("code", "")

    assert sign_in("nobody", PASSWORD) == (401, "unauthenticated")
    for _ in range(store.TRIES):
        assert sign_in("root", "wrong") == (401, "unauthenticated")
    assert sign_in("root", PASSWORD) == (429, "rate_limited")
    assert sign_in("root", PASSWORD, "10.0.0.2")[0] == 200, "somebody else's mistakes do not lock her out"


def test_a_new_password_and_removal_end_the_sessions(site: Site) -> None:
    client, csrf = site.client()
    store.set_password(site.world.db, "root", "another good one", new=False)
    assert client.get("/admin/api/keys", headers=csrf).status_code == 401
    client, csrf = site.client(password="another good one")
    assert store.remove_account(site.world.db, "root")
    assert client.get("/admin/api/keys", headers=csrf).status_code == 401
    assert not store.remove_account(site.world.db, "root")


def test_sign_in_from_another_site_is_refused(site: Site) -> None:
    body = {"name": "root", "password": PASSWORD}
    answer = site.app.test_client().post("/admin/sign-in", json=body, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403


# -- API keys --------------------------------------------------------------------------------------------------


def test_a_key_is_made_shown_once_and_revoked(site: Site) -> None:
    client, csrf = site.client()
    body = {"name": "Campus", "scopes": ["recordings:read"], "course_id": site.world.course}
    made = client.post("/admin/api/keys", json=body, headers=csrf)
    assert made.status_code == 201
    key = check_key(site.world.db, made.json["secret"])
    assert key is not None and key.course_id == site.world.course and key.scopes == {"recordings:read"}
    (listed,) = client.get("/admin/api/keys", headers=csrf).json["keys"]
    assert (listed["name"], listed["course_title"], listed["revoked_at"]) == ("Campus", "Biology 101", None)
    assert made.json["secret"] not in str(listed)
    path = f"/admin/api/keys/{made.json['key_id']}"
    assert client.delete(path, headers=csrf).status_code == 204
    assert check_key(site.world.db, made.json["secret"]) is None
    assert client.delete(path, headers=csrf).status_code == 422
    for bad in (
        {"name": ""},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": "x"},
        {"course_id": "nowhere"},
        {"days": 0},
        {"days": 3651},
        {"days": "7"},
        {"days": True},
    ):
        answer = client.post("/admin/api/keys", json={**body, **bad}, headers=csrf)
        assert (answer.status_code, answer.json["error"]["code"]) == (422, "bad_value"), bad


@pytest.mark.parametrize("name", [r"a\ud800", r"a\u0000"])
def test_names_that_no_database_can_keep_are_refused(site: Site, name: str) -> None:
    client, csrf = site.client()
    body = f'{{"name": "{name}", "scopes": ["usage"]}}'.encode()
    answer = client.post("/admin/api/keys", data=body, headers=csrf)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_command")
    assert client.get("/admin/api/people?q=%00", headers=csrf).status_code == 400


def test_a_key_may_end_by_itself(site: Site) -> None:
    client, csrf = site.client()
    body = {"name": "Term", "scopes": ["usage"], "course_id": None, "days": 7}
    made = client.post("/admin/api/keys", json=body, headers=csrf)
    (listed,) = client.get("/admin/api/keys", headers=csrf).json["keys"]
    left = datetime.fromisoformat(listed["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert check_key(site.world.db, made.json["secret"]) is not None


# -- from the LMS ----------------------------------------------------------------------------------------------


def test_a_system_administrator_of_the_lms_comes_in_when_the_setting_allows_it(tmp_path: Path) -> None:
    site = make_site(tmp_path, lti_admins=True)
    db, world = site.world.db, site.world
    people.upsert_membership(db, world.course, world.ids["olga"], Role.MODERATOR, [SYSTEM_ADMIN])
    for name in ("alice", "bob", "charlie"):
        refused = site.app.test_client().post("/app/api/admin", headers=world.token(name))
        assert refused.status_code == 403, name
    client = site.app.test_client()
    url = client.post("/app/api/admin", headers=world.token("olga")).json["url"]
    assert url.startswith(f"{BASE}/admin/enter?code=")
    assert client.get(url.removeprefix(BASE)).status_code == 200
    boot = client.get("/admin").json
    assert boot["name"] == "Olga"
    assert client.get("/admin/api/keys", headers={CSRF_HEADER: boot["csrf"]}).status_code == 200
    assert site.app.test_client().get(url.removeprefix(BASE)).status_code == 403, "a code is good once"
    db.close()


def test_the_lms_decides_nothing_when_the_setting_is_off(site: Site) -> None:
    world = site.world
    people.upsert_membership(world.db, world.course, world.ids["olga"], Role.MODERATOR, [SYSTEM_ADMIN])
    client = site.app.test_client()
    assert client.post("/app/api/admin", headers=world.token("olga")).status_code == 403
    code = store.issue_code(world.db, world.ids["olga"], "Olga")
    assert client.get(f"/admin/enter?code={code}").status_code == 403
    token = store.redeem_code(world.db, code)
    assert token is not None
    client.set_cookie(COOKIE, token, path="/admin")
    assert client.get("/admin").json["name"] is None


# -- the command -----------------------------------------------------------------------------------------------


def test_accounts_are_made_on_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(tmp_path))

    def run(*args: str, password: str = "") -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
        return main(["admin", *args])

    assert run("create", "ada", "--password-stdin", password="short") == 2
    assert run("create", "ada", "--password-stdin", password=PASSWORD) == 0
    assert "/admin" in capsys.readouterr().out
    assert run("create", "ada", "--password-stdin", password=PASSWORD) == 2
    assert run("password", "bo", "--password-stdin", password=PASSWORD) == 2
    assert run("password", "ada", "--password-stdin", password="something else") == 0
    capsys.readouterr()
    assert run("list") == 0 and capsys.readouterr().out.startswith("ada\t")
    assert run("remove", "ada") == 0 and run("remove", "ada") == 2


def test_old_sessions_and_codes_are_worth_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    db = site.world.db
    token = store.sign_in(db, "root", PASSWORD, "10.0.0.1")
    code = store.issue_code(db, site.world.ids["olga"], "Olga")

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(UTC) + timedelta(hours=9)

    monkeypatch.setattr(store, "datetime", Later)
    assert store.check_session(db, token) is None
    assert store.redeem_code(db, code) is None
