"""Open edX's own LTI consumer as an independent platform: its signed launches open our pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from flask.testing import FlaskClient

from lti.app import create_blueprint
from lti.deps import LtiDeps
from models.store import lti as store
from models.store.database import Database
from models.store.migrate import upgrade
from rooms.service import RoomsService
from sandbox.lms.client import read_form

pytestmark = [
    pytest.mark.integration,
    # Django and XBlock are old acquaintances of several deprecations; they are not ours to mend.
    pytest.mark.filterwarnings("ignore"),
]
ISSUER = "https://openedx.example"
TOOL = "https://rooms.example"
LTI = "https://purl.imsglobal.org/spec/lti/claim/"


@pytest.fixture(scope="module")
def consumer() -> Any:
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            SECRET_KEY="test",
            INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
            PLATFORM_NAME="Open edX",
            LMS_ROOT_URL=ISSUER,
            LTI_BASE=ISSUER,
            LTI_API_BASE=ISSUER,
            FEATURES={},
        )
        django.setup()
    from lti_consumer.lti_1p3.consumer import LtiAdvantageConsumer

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return LtiAdvantageConsumer(
        iss=ISSUER,
        lti_oidc_url=f"{TOOL}/lti/login",
        lti_launch_url=f"{TOOL}/lti/launch",
        client_id="edx-client",
        deployment_id="1",
        rsa_key=pem,
        rsa_key_id="edx-1",
        redirect_uris=[f"{TOOL}/lti/launch"],
        tool_key=None,
    )


@pytest.fixture
def door(tmp_path: Path, consumer: Any) -> Iterator[FlaskClient]:
    (tmp_path / ".vite").mkdir()
    entry = {f"src/entries/{e}.tsx": {"file": f"assets/{e}.js"} for e in ("lobby", "selector")}
    (tmp_path / ".vite" / "manifest.json").write_text(json.dumps(entry))
    url = f"sqlite:///{tmp_path / 'edx.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    platform = store.add_platform(
        db,
        issuer=ISSUER,
        client_id="edx-client",
        auth_login_url=f"{ISSUER}/auth",
        auth_token_url=f"{ISSUER}/token",
        jwks_url=f"{ISSUER}/jwks",
    )
    store.save_keyset(db, platform.id, consumer.get_public_keyset())
    app = Flask("door")
    app.register_blueprint(create_blueprint(LtiDeps(db, rooms, TOOL, tmp_path)))
    yield app.test_client()
    rooms.close()
    db.close()


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("instructor", "moderator"),
        ("staff", "moderator"),
        ("student", "participant"),
        ("guest", "participant"),
    ],
)
def test_a_launch_of_open_edx_opens_the_lobby(
    door: FlaskClient, consumer: Any, role: str, expected: str
) -> None:
    from lti_consumer.data import Lti1p3LaunchData

    data = Lti1p3LaunchData(user_id="7", user_role=role, config_id="c1", resource_link_id="block-1")
    login = urlsplit(consumer.prepare_preflight_url(data))
    answer = door.get(f"{login.path}?{login.query}")
    assert answer.status_code == 302, answer.text
    query = {key: values[0] for key, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    consumer.set_user_data(user_id="7", role=role, full_name="Robin Example")
    consumer.set_resource_link_claim("block-1")
    consumer.set_context_claim(
        "course-v1:edX+BIO", ["http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering"], "BIO", "BIO"
    )
    form = consumer.generate_launch_request(query)
    page = door.post("/lti/launch", data=form)
    assert page.status_code == 200, page.text
    found = re.search(r'id="boot"[^>]*>(.*?)</script>', page.text, re.S)
    assert found is not None
    assert json.loads(found[1])["role"] == expected


# -- deep linking ----------------------------------------------------------------------------------------------


def _open(door: FlaskClient, consumer: Any, data: Any, role: str) -> Any:
    """Login and launch as the consumer makes them; returns our page's boot data."""
    login = urlsplit(consumer.prepare_preflight_url(data))
    answer = door.get(f"{login.path}?{login.query}")
    query = {key: values[0] for key, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    consumer.set_user_data(user_id="7", role=role, full_name="Robin Example")
    consumer.set_context_claim(
        "course-v1:edX+BIO", ["http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering"], "BIO", "BIO"
    )
    page = door.post("/lti/launch", data=consumer.generate_launch_request(query))
    assert page.status_code == 200, page.text
    found = re.search(r'id="boot"[^>]*>(.*?)</script>', page.text, re.S)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("role", ["instructor", "student"])
def test_open_edx_reads_what_the_selector_answers(door: FlaskClient, consumer: Any, role: str) -> None:
    """The consumer asks for content, checks our signature with our key, and finds its link in the answer."""
    from lti_consumer.data import Lti1p3LaunchData
    from lti_consumer.lti_1p3.key_handlers import ToolKeyHandler

    consumer.enable_deep_linking(f"{TOOL}/lti/launch", f"{ISSUER}/deep-link-return")
    data = Lti1p3LaunchData(
        user_id="7",
        user_role=role,
        config_id="c1",
        resource_link_id="block-1",
        message_type="LtiDeepLinkingRequest",
        deep_linking_content_item_id="1",
    )
    try:
        boot = _open(door, consumer, data, role)
        assert boot["page"] == "selector" and boot["deep_link"]["rooms"] == (role == "instructor")
        items = [{"kind": "gallery", "title": "Films"}]
        form = {"token": boot["token"], "deep_link": boot["deep_link"]["id"], "items": json.dumps(items)}
        action, fields = read_form(door.post("/lti/deeplink", data=form).text)
        assert action == f"{ISSUER}/deep-link-return"
        signing = jwt.PyJWK(door.get("/lti/jwks.json").get_json()["keys"][0]).key
        pem = signing.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        consumer.tool_jwt = ToolKeyHandler(public_key=pem)
        [item] = consumer.check_and_decode_deep_linking_token(fields["JWT"])
        assert (item["type"], item["title"]) == ("ltiResourceLink", "Films")
    finally:
        consumer.dl = None
