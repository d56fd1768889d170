"""Launches through the real door and the practice LMS over HTTP: good ones, the certification's bad ones, and hostile ones."""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask import Flask, Response
from sqlalchemy import text

from lti import launch as launches
from lti.app import create_blueprint
from lti.deps import LtiDeps
from models.store import lti as store
from models.store import people, services
from models.values import Role
from sandbox.lms import keys
from sandbox.lms.client import LaunchFailed, launch, launch_form, open_room
from sandbox.lms.world import SITES, TOOLS
from server.ports_check import free_port
from tests.lmskit import serving
from tests.ltikit import CLIENT, World, running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("lti")) as made:
        yield made


# -- good launches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "role"),
    [
        ("alice", "moderator"),
        ("tara", "moderator"),
        ("adam", "moderator"),
        ("bob", "participant"),
        ("bo", "participant"),
    ],
)
def test_everybody_of_the_course_comes_in_with_their_role(world: World, person: str, role: str) -> None:
    page = launch(world.lms, person)
    assert (page.page, page.role) == ("lobby", role)
    room = open_room(page)
    assert room.role == role


def test_the_three_tools_open_their_pages_and_a_workspace_only_my_media(world: World) -> None:
    assert launch(world.lms, "bob", "gallery").page == "gallery"
    assert launch(world.lms, "bob", "mymedia").page == "mymedia"
    own = launch(world.lms, "bob", "mymedia", "~bob")
    assert (own.page, own.role) == ("mymedia", "participant")
    with pytest.raises(LaunchFailed, match="403"):
        open_room(own)


def test_a_person_is_the_same_across_tools_and_courses(world: World) -> None:
    launch(world.lms, "adam", "room", "bio101")
    launch(world.lms, "adam", "mymedia", "his200")
    person_id = people.upsert_person(world.db, world.lms, world.sub("adam"))
    assert {c.context_id for c in people.courses_of(world.db, person_id)} >= {
        "bio101",
        SITES["his200"].context_id,
    }


def test_the_page_has_a_strict_policy_and_is_never_cached(world: World) -> None:
    answer = launch_form(world.lms, "alice").post()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-inline'" not in policy.split("style-src-attr")[0]
    assert world.lms in policy[policy.index("frame-ancestors") :]
    assert answer.headers["Cache-Control"] == "no-store"
    assert not answer.cookies
    nonces = re.findall(r'nonce="([^"]+)"', answer.text)
    assert nonces and all(f"'nonce-{nonce}'" in policy for nonce in nonces)


def test_twenty_launches_at_once_are_all_answered(world: World) -> None:
    with ThreadPoolExecutor(20) as pool:
        pages = list(pool.map(lambda n: launch(world.lms, ("alice", "bob", "bea", "ben")[n % 4]), range(20)))
    assert {page.page for page in pages} == {"lobby"}


@pytest.mark.parametrize(
    "changes",
    [
        {"roles": ["Instructor"]},
        {"roles": "Instructor"},
        {"roles": []},
        {"roles": ["urn:unknown"]},
        {"name": None},
        {"context": None},
        {"resource_link": {"id": "content:77"}},
        {"aud": [CLIENT]},
        {"azp": CLIENT},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"deployment_id": "a-new-one"},
        {"iat": lambda now: now + 30},
    ],
)
def test_unusual_but_valid_launches_are_accepted(world: World, changes: dict[str, Any]) -> None:
    begun = world.login()
    changes = {k: v(int(time.time())) if callable(v) else v for k, v in changes.items()}
    answer = world.post(world.sign(world.claims(begun["nonce"], **changes)), begun["state"])
    assert answer.status_code == 200, answer.text


MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
PLAIN: dict[str, Any] = {"given_name": "Zoe", "family_name": "Lang", "email": "zoe@example.edu"}
NO_NAMES = {"name": None, "given_name": None, "family_name": None}
CERTIFIED: dict[str, Callable[[str], dict[str, Any]]] = {
    "plain": lambda role: {"roles": [MEMBERSHIP + role], **PLAIN},
    "several roles": lambda role: {
        "roles": [MEMBERSHIP + role, "http://purl.imsglobal.org/vocab/lis/v2/institution/person#Other"],
        **PLAIN,
    },
    "short role name": lambda role: {"roles": [role], **PLAIN},
    "unknown role": lambda role: {
        "roles": [MEMBERSHIP + role, "http://unknown.example/role#Helper"],
        **PLAIN,
    },
    "no role": lambda role: {"roles": [], **PLAIN},
    "email only": lambda role: {"roles": [MEMBERSHIP + role], **NO_NAMES, "email": "zoe@example.edu"},
    "names only": lambda role: {"roles": [MEMBERSHIP + role], **PLAIN, "email": None},
    "no personal data": lambda role: {"roles": [MEMBERSHIP + role], **NO_NAMES, "email": None},
    "email without context": lambda role: {
        "roles": [MEMBERSHIP + role],
        **NO_NAMES,
        "email": "zoe@example.edu",
        "context": None,
    },
    "new resource link": lambda role: {"roles": [MEMBERSHIP + role], "resource_link": {"id": "content:4711"}},
}


@pytest.mark.parametrize(("role", "ours"), [("Instructor", "moderator"), ("Learner", "participant")])
@pytest.mark.parametrize("name", list(CERTIFIED))
def test_the_certifications_valid_launches(world: World, name: str, role: str, ours: str) -> None:
    answer = world.launched(**CERTIFIED[name](role))
    assert answer.status_code == 200, answer.text
    found = re.search(r'id="boot"[^>]*>(.*?)</script>', answer.text, re.S)
    assert found is not None
    boot = json.loads(found[1])
    assert boot["role"] == ("participant" if name == "no role" else ours), "without a role: least rights"
    assert boot["page"] == "lobby" and boot["person"]["name"]


def test_a_launch_of_moodles_shape(world: World) -> None:
    """Login by POST with a message hint, a token of 60 s, small numbers as ids, a short context type."""
    form = {"iss": world.lms, "login_hint": "2", "client_id": CLIENT, "lti_message_hint": '{"cmid":7}'}
    form["target_link_uri"] = f"{world.url}/lti/launch"
    login = world.browser.post(f"{world.url}/lti/login", data=form, allow_redirects=False, timeout=10)
    query = parse_qs(urlsplit(login.headers["Location"]).query)
    assert login.status_code == 302 and query["lti_message_hint"] == ['{"cmid":7}']
    claims = world.claims(
        query["nonce"][0], sub="2", context={"id": "3", "title": "C", "type": ["CourseSection"]}
    )
    claims["exp"] = claims["iat"] + 60
    assert world.post(world.sign(claims), query["state"][0]).status_code == 200


# -- refused ---------------------------------------------------------------------------------------------------

Forge = Callable[[World, str], str]


def _claims(**changes: Any) -> Forge:
    def forge(world: World, nonce: str) -> str:
        ready = {k: v(world) if callable(v) else v for k, v in changes.items()}
        return world.sign(world.claims(nonce, **ready))

    return forge


def _other_key(world: World, nonce: str) -> str:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(world.claims(nonce), other, algorithm="RS256", headers={"kid": keys.KID})


def _no_kid(world: World, nonce: str) -> str:
    return jwt.encode(world.claims(nonce), world.key, algorithm="RS256")


def _hs256(world: World, nonce: str) -> str:
    return jwt.encode(world.claims(nonce), "a" * 40, algorithm="HS256", headers={"kid": keys.KID})


def _unsigned(world: World, nonce: str) -> str:
    return jwt.encode(world.claims(nonce), None, algorithm="none", headers={"kid": keys.KID})  # type: ignore[arg-type]


def _tampered(world: World, nonce: str) -> str:
    head, _, signature = world.sign(world.claims(nonce)).split(".")
    _, body, _ = world.sign(world.claims(nonce, sub="somebody-else")).split(".")
    return f"{head}.{body}.{signature}"


def _raw(world: World, body: Any) -> str:
    return jwt.api_jws.encode(
        json.dumps(body).encode(), world.key, algorithm="RS256", headers={"kid": keys.KID}
    )


def _by_hand(world: World, nonce: str, **header: Any) -> str:
    """Signed rightly, with a header that no library would write."""
    parts = ({"typ": "JWT", "alg": "RS256", "kid": keys.KID} | header, world.claims(nonce))
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = world.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return f"{text.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _own_key_in_header(world: World, nonce: str) -> str:
    """The attacker's key, brought along (jwk) and linked (jku), under the platform's key id."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key(), as_dict=True)
    header = {"kid": keys.KID, "jwk": public, "jku": "https://evil.example/jwks"}
    return jwt.encode(world.claims(nonce), other, algorithm="RS256", headers=header)


NOW = int(time.time())
BAD: dict[str, tuple[Forge, str]] = {
    # The certification's twelve (facts of the guide's section 4.1) …
    "no kid": (_no_kid, "kid"),
    "wrong kid": (lambda w, n: w.sign(w.claims(n), kid="imstester_66067"), "key_unknown"),
    "wrong version": (_claims(version="11.3"), "version"),
    "no version": (_claims(version=None), "version"),
    "not an LTI message": (lambda w, n: w.sign({"name": "badltilaunch"}), "nonce"),
    "claims missing": (
        _claims(aud=None, iss=None, sub=None, deployment_id=None, roles=None),
        "unknown_platform",
    ),
    "times long ago": (_claims(iat=11111, exp=22222), "expired"),
    "no message type": (_claims(message_type=None), "message"),
    "no roles": (_claims(roles=None), "roles"),
    "no deployment": (_claims(deployment_id=None), "deployment"),
    "no resource link id": (_claims(resource_link={"title": "x"}), "message"),
    "no sub": (_claims(sub=None), "token"),
    # … and ours.
    "alg none": (_unsigned, "algorithm"),
    "HS256": (_hs256, "algorithm"),
    "another key": (_other_key, "signature"),
    "kid a list": (lambda w, n: _by_hand(w, n, kid=[keys.KID]), "key_unknown"),
    "kid an object": (lambda w, n: _by_hand(w, n, kid={"$ne": ""}), "key_unknown"),
    "kid a path": (lambda w, n: w.sign(w.claims(n), kid="../../etc/passwd"), "key_unknown"),
    "alg in small letters": (lambda w, n: _by_hand(w, n, alg="rs256"), "algorithm"),
    "alg a list": (lambda w, n: _by_hand(w, n, alg=["RS256"]), "algorithm"),
    "a key in the header": (_own_key_in_header, "signature"),
    "tampered body": (_tampered, "signature"),
    "no exp": (_claims(exp=None), "token"),
    "no iat": (_claims(iat=None), "token"),
    "a day old": (_claims(iat=NOW - 86400, exp=NOW + 3600), "too_old"),
    "iat far ahead": (_claims(iat=NOW + 6000, exp=NOW + 9000), "token"),
    "nbf ahead": (_claims(nbf=NOW + 6000), "token"),
    "wrong audience": (_claims(aud="another-client"), "unknown_platform"),
    "another of our clients": (_claims(aud=TOOLS["gallery"].client_id), "wrong_client"),
    "azp of another client": (_claims(azp="another-client"), "azp"),
    "several audiences without azp": (_claims(aud=[CLIENT, "another-client"]), "azp"),
    "unknown issuer": (_claims(iss="https://elsewhere.example"), "unknown_platform"),
    "target on another host": (_claims(target_link_uri="https://evil.example/lti/launch"), "wrong_target"),
    "no target": (_claims(target_link_uri=None), "wrong_target"),
    "wrong nonce": (lambda w, n: w.sign(w.claims("another")), "nonce"),
    "unknown message": (_claims(message_type="LtiDanceRequest"), "message"),
    "azp a list": (_claims(azp=["x"]), "token"),
    "nonce a lone surrogate": (lambda w, n: _raw(w, {"nonce": "\ud800"}), "token"),
    "body a list": (lambda w, n: _raw(w, ["not", "an", "object"]), "token"),
    "exp a text": (_claims(exp=str(NOW + 3600)), "token"),
    "garbage": (lambda w, n: "not.a.token", "token"),
    "two parts": (lambda w, n: "not.token", "token"),
    "empty": (lambda w, n: "", "token"),
    "oversize": (lambda w, n: "x" * 200_000, "token"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_launches_get_a_page_with_a_reference_that_is_in_the_log(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    forge, code = BAD[name]
    begun = world.login()
    token = forge(world, begun["nonce"])
    with caplog.at_level(logging.INFO):
        answer = world.post(token, begun["state"])
    assert answer.status_code in (403, 413), answer.text
    found = re.search(r"Reference for the log: (\w+) \((\w+)\)", answer.text)
    assert found is not None and found[2] == code, answer.text[-400:]
    assert found[1] in caplog.text
    assert "Secretname" not in caplog.text and (len(token) < 20 or token not in caplog.text)
    assert "Traceback" not in answer.text


def test_a_platforms_error_is_shown_and_cannot_forge_log_lines(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = requests.post(
            f"{world.url}/lti/launch", data={"error": "x\nlti.launched app=room"}, timeout=10
        )
    assert answer.status_code == 403 and "(platform_error)" in answer.text
    assert not any(
        record.getMessage().count("\n") for record in caplog.records if record.name == "sideroom.lti"
    )


def test_a_keyset_that_does_not_answer_is_asked_once_not_by_every_launch(world: World) -> None:
    store.add_platform(
        world.db,
        issuer="https://down.example",
        client_id="down",
        auth_login_url="https://down.example/auth",
        auth_token_url="https://down.example/token",
        jwks_url=f"http://127.0.0.1:{free_port()}/jwks",
    )
    codes = []
    for _ in range(3):
        begun = world.login(iss="https://down.example", client_id="down")
        claims = world.claims(begun["nonce"], iss="https://down.example", aud="down")
        found = re.search(r"\((\w+)\)</p>", world.post(world.sign(claims), begun["state"]).text)
        codes.append(found[1] if found else "")
    assert codes == ["keyset", "key_unknown", "key_unknown"]


def test_opening_the_launch_address_by_hand_says_where_to_go(world: World) -> None:
    answer = requests.get(f"{world.url}/lti/launch", timeout=10)
    assert answer.status_code == 400 and "course page" in answer.text


def test_a_launch_counts_once(world: World) -> None:
    form = launch_form(world.lms, "alice")
    assert form.post().status_code == 200
    again = form.post()
    assert again.status_code == 403 and "(state)" in again.text


def test_an_unknown_or_foreign_state_is_refused(world: World) -> None:
    begun = world.login()
    token = world.sign(world.claims(begun["nonce"]))
    assert "(state)" in world.post(token, "unknown").text
    other = world.login()
    assert "(nonce)" in world.post(token, other["state"]).text


def test_a_login_leads_only_to_registered_platforms_and_our_own_pages(world: World) -> None:
    for changes in (
        {"iss": "https://elsewhere.example"},
        {"client_id": "unknown"},
        {"target_link_uri": "https://evil.example/"},
    ):
        query = {"iss": world.lms, "login_hint": "x", "client_id": CLIENT} | changes
        answer = requests.get(f"{world.url}/lti/login", params=query, allow_redirects=False, timeout=10)
        assert answer.status_code == 403 and "Location" not in answer.headers
    assert requests.get(f"{world.url}/lti/login", timeout=10).status_code == 400
    several = requests.get(f"{world.url}/lti/login", params={"iss": world.lms, "login_hint": "x"}, timeout=10)
    assert "(client_missing)" in several.text


@pytest.mark.parametrize("app", ["gallery", "mymedia", "selector"])
def test_a_login_address_of_its_own_tells_the_tools_of_an_old_sakai_apart(world: World, app: str) -> None:
    """Sakai 22 names no client at login; four tools share its issuer."""
    query = {"iss": world.lms, "login_hint": "x"}
    answer = requests.get(f"{world.url}/lti/login/{app}", params=query, allow_redirects=False, timeout=10)
    sent = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert sent["client_id"] == [TOOLS[app].client_id]
    named = query | {"client_id": CLIENT}
    answer = requests.get(f"{world.url}/lti/login/{app}", params=named, allow_redirects=False, timeout=10)
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["client_id"] == [CLIENT], (
        "what it says counts"
    )


def test_a_platform_with_a_list_of_deployments_accepts_no_other(world: World) -> None:
    platform = store.add_platform(
        world.db,
        issuer="https://strict.example",
        client_id="strict",
        auth_login_url="https://strict.example/auth",
        auth_token_url="https://strict.example/token",
        jwks_url="https://strict.example/jwks",
        deployments=["d1"],
    )
    strict = {
        "jwks_url": f"{world.lms}/imsblis/lti13/keyset",
        "auth_login_url": f"{world.lms}/imsoidc/lti13/oidc_auth",
    }
    store.add_platform(
        world.db,
        issuer=world.lms,
        client_id="strict-room",
        auth_token_url=f"{world.lms}/t",
        deployments=["1"],
        **strict,
    )
    for deployment_id, status in (("1", 200), ("9", 403)):
        begun = world.login(client_id="strict-room")
        claims = world.claims(begun["nonce"], aud="strict-room", deployment_id=deployment_id)
        answer = world.post(world.sign(claims), begun["state"])
        assert answer.status_code == status and ("(deployment)" in answer.text) == (status == 403)
    assert store.accept_deployment(world.db, platform, "d1")
    assert not store.accept_deployment(world.db, platform, "d2")


def test_a_rotated_platform_key_is_fetched_once_more_and_not_more_often(world: World) -> None:
    platform = store.find_platform(world.db, world.lms, CLIENT)
    assert platform is not None
    store.save_keyset(world.db, platform.id, {"keys": []})
    store.may_fetch_keyset(world.db, platform.id)
    assert not store.may_fetch_keyset(world.db, platform.id), "taken a moment ago"
    store.save_keyset(world.db, platform.id, None)
    begun = world.login()
    refused = world.post(world.sign(world.claims(begun["nonce"])), begun["state"])
    assert "(key_unknown)" in refused.text, "fetched a moment ago: not again within 30 s"
    with world.db.write() as session:
        session.connection().exec_driver_sql("UPDATE platform SET jwks_asked_at = NULL")
    begun = world.login()
    assert world.post(world.sign(world.claims(begun["nonce"])), begun["state"]).status_code == 200


def _platform_at(world: World, jwks_url: str) -> None:
    """Another registration, whose keyset is at this address."""
    address = "https://slow.example"
    store.add_platform(
        world.db,
        issuer=address,
        client_id="slow",
        auth_login_url=f"{address}/auth",
        auth_token_url=f"{address}/token",
        jwks_url=jwks_url,
    )


def _launch_slow(world: World, browser: requests.Session) -> str:
    """The reason of the refusal, or an empty text."""
    found = replace(world, browser=browser).login(iss="https://slow.example", client_id="slow")
    claims = world.claims(found["nonce"], iss="https://slow.example", aud="slow")
    answer = replace(world, browser=browser).post(world.sign(claims), found["state"])
    refused = re.search(r"\((\w+)\)</p>", answer.text)
    return refused[1] if refused else ""


def test_a_class_that_arrives_with_a_new_key_waits_for_one_fetch(world: World) -> None:
    app, port, began = Flask("keys"), free_port(), threading.Event()
    asked: list[int] = []

    def used() -> int:
        with world.db.read() as session:
            query = text("SELECT count(*) FROM lti_state WHERE used_at IS NOT NULL")
            return int(session.connection().execute(query).scalar_one())

    before = used()

    def keyset() -> Any:
        asked.append(1)
        began.set()
        deadline = time.monotonic() + 2
        while used() < before + 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        return keys.keyset(world.key, world.key)

    app.add_url_rule("/keys", "keys", keyset)
    _platform_at(world, f"http://127.0.0.1:{port}/keys")

    def one(number: int) -> str:
        assert number == 0 or began.wait(20)
        with requests.Session() as browser:
            return _launch_slow(world, browser)

    with serving(app, port), ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(6))) == [""] * 6
    assert len(asked) == 1


def test_a_keyset_that_comes_a_byte_at_a_time_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, port, ended = Flask("drip"), free_port(), threading.Event()
    monkeypatch.setattr(launches, "FETCH_DEADLINE_S", 0.3)

    def drip() -> Iterator[bytes]:
        while not ended.wait(0.05):
            yield b" "

    app.add_url_rule("/keys", "keys", lambda: Response(drip(), headers={"Content-Length": "100000"}))
    app.add_url_rule("/huge", "huge", lambda: Response(" " * 600_000))
    with serving(app, port):
        for path, reason in (("keys", "too slow"), ("huge", "too large")):
            _platform_at(world, f"http://127.0.0.1:{port}/{path}")
            with requests.Session() as browser:
                assert _launch_slow(world, browser) == "keyset"
            platform = store.find_platform(world.db, "https://slow.example", "slow")
            assert platform is not None and not platform.fetching_keys
            told = [h.reason for h in services.list_health(world.db) if h.platform_id == platform.id]
            assert reason in told[0]
        ended.set()


# -- the way into the room -------------------------------------------------------------------------------------


def test_a_handoff_code_opens_the_room_once_and_a_reload_stays(world: World) -> None:
    page = launch(world.lms, "alice")
    headers = {"Authorization": f"Bearer {page.token}"}
    url = requests.post(f"{world.url}/app/api/handoff", headers=headers, timeout=10).json()["url"]
    with requests.Session() as window:
        first = window.get(url, timeout=10)
        assert first.status_code == 200 and "/room/" in first.url
        assert window.get(first.url, timeout=10).status_code == 200
    assert requests.get(first.url, timeout=10).status_code == 403
    again = requests.get(url, timeout=10)
    assert again.status_code == 403 and "already used" in again.text
    assert requests.get(f"{world.url}/room?code=unknown", timeout=10).status_code == 403


def test_an_expired_code_and_a_missing_token_are_refused_with_what_to_do(world: World) -> None:
    page = launch(world.lms, "bob")
    headers = {"Authorization": f"Bearer {page.token}"}
    url = requests.post(f"{world.url}/app/api/handoff", headers=headers, timeout=10).json()["url"]
    with world.db.write() as session:
        session.connection().exec_driver_sql("UPDATE handoff_code SET expires_at = '2020-01-01 00:00:00'")
    late = requests.get(url, timeout=10)
    assert late.status_code == 403 and "has expired" in late.text and "Open room again" in late.text
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {page.token}"}):
        answer = requests.post(f"{world.url}/app/api/handoff", headers=wrong, timeout=10)
        assert answer.status_code == 401 and answer.json()["error"]["code"] == "unauthenticated"


def test_somebody_from_another_course_gets_their_own_room_only(world: World) -> None:
    alice = open_room(launch(world.lms, "alice"))
    charlie = open_room(launch(world.lms, "charlie"))
    assert charlie.session_id != alice.session_id
    page = launch(world.lms, "charlie")
    with requests.Session() as window:
        headers = {"Authorization": f"Bearer {page.token}"}
        url = requests.post(f"{world.url}/app/api/handoff", headers=headers, timeout=10).json()["url"]
        window.get(url, timeout=10)
        assert window.get(f"{world.url}/room/{alice.session_id}", timeout=10).status_code == 403


def test_the_lobby_tells_who_is_there(world: World) -> None:
    page = launch(world.lms, "bea")
    headers = {"Authorization": f"Bearer {page.token}"}
    lobby = requests.get(f"{world.url}/app/api/lobby", headers=headers, timeout=10).json()
    assert lobby["room"]["course_title"] == "BIO 101"
    assert lobby["role"] == "participant" and lobby["slack"] == {"enabled": False, "linked": False}


def test_our_keyset_is_public_and_holds_no_private_part(world: World) -> None:
    keyset = requests.get(f"{world.url}/lti/jwks.json", timeout=10).json()
    assert keyset["keys"] and all(set(key) >= {"kid", "n", "e", "alg"} for key in keyset["keys"])
    assert not any({"d", "p", "q"} & set(key) for key in keyset["keys"])


def test_a_role_is_that_of_the_newest_launch(world: World) -> None:
    person_id = people.upsert_person(world.db, world.lms, world.sub("bob"))
    course_id = people.upsert_course(world.db, world.lms, "bio101")
    people.upsert_membership(world.db, course_id, person_id, Role.MODERATOR, [])
    assert launch(world.lms, "bob").role == "participant"
    assert people.membership_role(world.db, course_id, person_id) is Role.PARTICIPANT


def test_dist_folder_is_missing_gives_a_clear_page(world: World, tmp_path: Path) -> None:
    app = Flask("unbuilt")
    app.register_blueprint(create_blueprint(LtiDeps(world.db, world.rooms, world.url, tmp_path)))
    form = launch_form(world.lms, "alice")
    client = app.test_client()
    client.set_cookie("sideroom_browser", form.session.cookies["sideroom_browser"], path="/lti/")
    answer = client.post(urlsplit(form.action).path, data=form.fields)
    assert answer.status_code == 503 and "make setup" in answer.text
