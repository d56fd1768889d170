"""Dynamic registration against the practice LMS, invitations, deployments, our keys, and the command line for them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests
from sqlmodel import select

from lti import keys, registration
from lti.errors import LaunchRefused
from models.store import lti as store
from models.store import people, services
from models.tables import PersonRow
from sandbox.lms.client import launch
from server.cli import main
from tests.ltikit import World, running

pytestmark = pytest.mark.integration
TOOL = registration.TOOL_CONFIGURATION


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("registration")) as made:
        yield made


def _frame(world: World, url: str) -> str:
    """The administrator pastes a link; returns the address that the LMS then frames."""
    page = requests.get(f"{world.lms}/admin/register", params={"url": url}, timeout=10).text
    found = re.search(r'<iframe [^>]*src="([^"]+)"', page)
    assert found is not None
    return found[1].replace("&amp;", "&")


def configuration_of(frame: str) -> str:
    return parse_qs(urlsplit(frame).query)["openid_configuration"][0]


def _tool_key(frame: str) -> str:
    return parse_qs(urlsplit(configuration_of(frame)).query)["key"][0]


@pytest.mark.parametrize("app", store.APPS)
def test_an_invited_lms_registers_itself_and_its_tool_opens(world: World, app: str) -> None:
    frame = _frame(world, registration.invitation(world.db, world.url, app))
    answer = requests.get(frame, timeout=20)
    assert answer.status_code == 200, answer.text
    # Sakai hears only the longer word, others only the shorter one.
    assert "'org.imsglobal.lti.close'" in answer.text and "'lti.close'" in answer.text
    assert world.lms in answer.headers["Content-Security-Policy"]
    tool = world.practice.tools[_tool_key(frame)]
    platform = store.find_platform(world.db, world.lms, tool.client_id)
    assert platform is not None and platform.app == app and platform.accept_new_deployments
    assert platform.auth_token_url.endswith(f"/token/{tool.key}")
    assert [d.deployment_id for d in store.list_deployments(world.db, platform.id)] == ["1"]
    page = launch(world.lms, "alice", tool.key)
    assert page.page == {"room": "lobby", "gallery": "gallery"}.get(app, "mymedia")
    form = requests.get(configuration_of(frame), timeout=10).json()
    assert form["registration_endpoint"].endswith(f"/registration_endpoint/{tool.number}")
    again = requests.get(frame, timeout=20)
    assert again.status_code == 403 and "already used" in again.text


def test_what_we_register_suits_sakais_form(world: World) -> None:
    """Facts of the platform: a top-level description, one target, scopes asked although not offered, texts as customs."""
    for app in store.APPS:
        body = registration.tool(world.url, app)
        inner = body[TOOL]
        assert body["description"] and body["redirect_uris"] == [f"{world.url}/lti/launch"]
        targets = {m["target_link_uri"] for m in inner["messages"]} | {inner["target_link_uri"]}
        assert targets == {f"{world.url}/lti/launch"}
        customs = [m["custom_parameters"] for m in inner["messages"]]
        assert all(isinstance(value, str) for custom in customs for value in custom.values())
        assert customs[0]["context_id_history"] == "$Context.id.history"
        assert body["initiate_login_uri"] == f"{world.url}/lti/login/{app}"


@pytest.mark.parametrize(
    ("app", "scopes", "email", "messages"),
    [
        (
            "room",
            {
                "ags/scope/lineitem",
                "ags/scope/score",
                "nrps/scope/contextmembership.readonly",
                "gs/scope/contextgroup.readonly",
            },
            True,
            ["LtiResourceLinkRequest"],
        ),
        ("gallery", set(), False, ["LtiResourceLinkRequest"]),
        ("mymedia", set(), False, ["LtiResourceLinkRequest", "LtiDataPrivacyLaunchRequest"]),
        # Without a resource link launch nobody can place it as a page of a site.
        ("selector", {"ags/scope/lineitem", "ags/scope/score"}, False, ["LtiDeepLinkingRequest"]),
    ],
)
def test_each_tool_asks_only_for_what_it_uses(
    world: World, app: str, scopes: set[str], email: bool, messages: list[str]
) -> None:
    body = registration.tool(world.url, app)
    asked = {scope.partition("/spec/lti-")[2] for scope in body["scope"].split()} - {""}
    assert asked == scopes
    assert ("email" in body[TOOL]["claims"]) == email and {"sub", "name"} <= set(body[TOOL]["claims"])
    assert [message["type"] for message in body[TOOL]["messages"]] == messages


def test_a_tool_with_fewer_boxes_still_knows_the_address_from_another(world: World) -> None:
    """The room's launch sends the e-mail address, the gallery's does not; nothing is forgotten, no service lost."""
    launch(world.lms, "bea", "room")
    launch(world.lms, "bea", "gallery")
    with world.db.read() as session:
        row = session.exec(select(PersonRow).where(PersonRow.sub == world.sub("bea"))).one()
        assert row.email == "bea@practice.example"
    course_id = people.upsert_course(world.db, world.lms, "bio101")
    assert {"roster", "groups", "grades"} <= {
        s.name for s in services.services_of_course(world.db, course_id)
    }


@pytest.mark.parametrize("app", store.APPS)
def test_the_manifests_are_what_is_registered(app: str) -> None:
    """``python -m scripts.manifests`` writes them."""
    path = Path(__file__).parents[2] / "manifests" / "lti" / f"{app}.json"
    assert json.loads(path.read_text("utf-8")) == registration.tool("https://rooms.example.edu", app)


def test_strangers_cannot_register(world: World) -> None:
    before = len(store.list_platforms(world.db))
    invite = store.make_invite(world.db, "room")
    late = store.make_invite(world.db, "room", timedelta(seconds=-1))
    query = {"app": "room", "openid_configuration": f"{world.lms}/imsblis/lti13/well_known?key=x"}
    for changes in ({}, {"invite": "guessed"}, {"invite": late}, {"invite": invite, "app": "gallery"}):
        answer = requests.get(f"{world.url}/lti/register?{urlencode(query | changes)}", timeout=10)
        assert answer.status_code == 403 and "(invite)" in answer.text
    by_hand = requests.get(f"{world.url}/lti/register?app=room&invite={invite}", timeout=10)
    assert "(registration)" in by_hand.text and "not for the browser" in by_hand.text
    assert len(store.list_platforms(world.db)) == before


def test_a_registration_that_failed_may_be_tried_again_and_tokens_stay_out_of_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    url = registration.invitation(world.db, world.url, "room")
    frame = _frame(world, url)
    world.practice.tickets.clear()
    with caplog.at_level(logging.INFO, "sideroom"):
        refused = requests.get(frame, timeout=20)
    assert refused.status_code == 403 and "didn’t accept" in refused.text
    ours = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("sideroom"))
    assert "code=registration" in ours and "invite" not in ours and "registration_token" not in ours
    assert requests.get(_frame(world, url), timeout=20).status_code == 200


def test_an_lms_that_names_itself_otherwise_than_its_address_is_refused(world: World) -> None:
    """Sakai echoes the issuer out of the query: anybody could make it claim to be another."""
    query = {"key": "k", "clientId": "c", "issuerURL": "https://other.example", "deploymentId": "1"}
    params = {
        "app": "room",
        "invite": store.make_invite(world.db, "room"),
        "openid_configuration": f"{world.lms}/imsblis/lti13/well_known?{urlencode(query)}",
    }
    with pytest.raises(LaunchRefused, match="issuer doesn’t match"):
        registration.register(world.db, world.url, params)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x.example/", "http://x.example/", "https://u:p@x.example/", "https://"],
)
def test_only_https_addresses_are_asked(world: World, url: str) -> None:
    params = {"app": "room", "invite": store.make_invite(world.db, "room"), "openid_configuration": url}
    with pytest.raises(LaunchRefused, match="address that can’t be used"):
        registration.register(world.db, "https://rooms.example", params)


def test_our_key_is_rotated_with_the_next_one_known_before(world: World) -> None:
    def kids() -> list[str]:
        answer = requests.get(f"{world.url}/lti/jwks.json", timeout=10).json()["keys"]
        assert not any({"d", "p", "q"} & set(key) for key in answer)
        return [key["kid"] for key in answer]

    before = kids()
    assert len(before) >= 2
    assert jwt.get_unverified_header(keys.sign(world.db, {"a": 1}))["kid"] == before[0]
    signing, following = store.rotate_key(world.db)
    after = kids()
    assert signing == before[1] == after[0] and following == after[1]
    assert before[0] in after, "what the old key signed is still good"
    assert jwt.get_unverified_header(keys.sign(world.db, {"a": 1}))["kid"] == signing


def test_a_deployment_that_must_wait_is_let_in_by_an_administrator(world: World) -> None:
    platform = store.add_platform(
        world.db,
        issuer=world.lms,
        client_id="held",
        auth_login_url=f"{world.lms}/imsoidc/lti13/oidc_auth",
        auth_token_url=f"{world.lms}/t",
        jwks_url=f"{world.lms}/imsblis/lti13/keyset",
        accept_new=False,
    )

    def status() -> int:
        begun = world.login(client_id="held")
        claims = world.claims(begun["nonce"], aud="held", deployment_id="site-9")
        return world.post(world.sign(claims), begun["state"]).status_code

    assert status() == 403
    waiting = store.list_deployments(world.db, platform.id)
    assert [(d.deployment_id, d.approved) for d in waiting] == [("site-9", False)]
    assert store.set_deployment(world.db, platform.id, "site-9", True)
    assert status() == 200
    assert store.set_deployment(world.db, platform.id, "site-9", False) and status() == 403
    assert not store.set_deployment(world.db, 10_000, "x", True)


def test_the_command_line_invites_adds_approves_and_rotates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SIDEROOM_BASE_URL", "https://rooms.example")

    def run(*words: str) -> str:
        assert main(["lti", *words]) == 0
        return capsys.readouterr().out

    links = re.findall(
        r"https://rooms\.example/lti/register\?app=(\w+)&invite=[\w-]{32}(?!\S)", run("invite")
    )
    assert links == list(store.APPS)
    named = {"issuer": "https://s.example", "client-id": "c1", "auth-url": "https://s.example/a"}
    named |= {"token-url": "https://s.example/t", "jwks-url": "https://s.example/k"}
    words = [part for name, value in named.items() for part in (f"--{name}", value)]
    told = run("add", *words, "--app", "selector", "--hold-new")
    assert "https://rooms.example/lti/jwks.json" in told
    assert re.findall(r"https://rooms\.example/lti/login\S*", told) == [
        "https://rooms.example/lti/login/selector"
    ]
    every = run("urls")
    for app in store.APPS:
        assert every.count(f"https://rooms.example/lti/login/{app}\n") == 1
    assert every.count("https://rooms.example/lti/launch\n") == 3 * len(store.APPS)
    assert "login/gallery" in run("urls", "--app", "gallery") and "login/room" not in run(
        "urls", "--app", "gallery"
    )
    assert "allowed" in run("approve", "1", "d7")
    assert "deployment d7\tin use" in run("list")
    assert "blocked" in run("block", "1", "d7")
    assert main(["lti", "approve", "99", "x"]) == 2
    assert "is next" in run("rotate-key")
