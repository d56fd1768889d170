"""Open edX's consumer as an independent judge of our service calls: it offers them, checks our assertions, and its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, Response, jsonify, request

from lti.services.grades import send_scores
from lti.services.note import note_launch
from lti.services.offered import LINE_ITEM_SCOPE, NRPS_SCOPE, SCORE_SCOPE
from lti.services.sync import sync_course
from models.store import grades, lti, people, roster
from models.store.database import Database
from models.store.grades import Meeting
from models.store.migrate import upgrade
from models.values import CourseId, Role, SessionId
from server.ports_check import free_port
from tests.integration.test_lti_openedx import ISSUER, TOOL, consumer
from tests.lmskit import serving

pytestmark = [
    pytest.mark.integration,
    # Django and XBlock are old acquaintances of several deprecations; they are not ours to mend.
    pytest.mark.filterwarnings("ignore"),
]
__all__ = ["consumer"]


@dataclass(slots=True)
class Edx:
    """An Open edX that is real but for its database: a course with one learner and a gradebook of what was sent."""

    db: Database
    course: CourseId
    items: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    refused: list[str]


def platform_side(judge: Any, url: str, edx: Edx) -> Flask:
    """Endpoints whose doors are kept by Open edX's own code."""
    app = Flask("openedx")

    def guarded(scope: str) -> Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if judge.check_token(token, [scope]):
            return None
        edx.refused.append(scope)
        return Response(status=401)

    @app.post("/token")
    def token() -> Response:
        return jsonify(judge.access_token(request.form.to_dict()))

    @app.get("/members")
    def members() -> Response:
        learner = {"status": "Active", "user_id": "7", "roles": ["Learner"], "name": "Robin Example"}
        return guarded(NRPS_SCOPE) or jsonify({"id": url, "context": {"id": "c"}, "members": [learner]})

    @app.route("/items", methods=["GET", "POST"])
    def items() -> Response:
        refused = guarded(LINE_ITEM_SCOPE)
        if refused is None and request.method == "POST":
            item = request.get_json(force=True)
            assert type(item["scoreMaximum"]) is int, "Open edX takes whole numbers only"
            edx.items.append({**item, "id": f"{url}/items/1"})
            return jsonify(edx.items[-1])
        return refused or jsonify(edx.items)

    @app.post("/items/1/scores")
    def scores() -> Response:
        refused = guarded(SCORE_SCOPE)
        if refused is None:
            edx.scores.append(request.get_json(force=True))
        return refused or jsonify({})

    return app


def _own_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def edx(tmp_path: Path, consumer: Any) -> Iterator[Edx]:
    database = f"sqlite:///{tmp_path / 'edx.db'}"
    upgrade(database)
    db = Database(database)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    platform = lti.add_platform(
        db,
        issuer=ISSUER,
        client_id="edx-client",
        auth_login_url=f"{ISSUER}/auth",
        auth_token_url=f"{url}/token",
        jwks_url=f"{ISSUER}/jwks",
    )
    ours = serialization.load_pem_private_key(lti.tool_keys(db)[0].private_pem.encode(), None)
    pem = ours.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    judge = type(consumer)(
        iss=ISSUER,
        lti_oidc_url=f"{TOOL}/lti/login",
        lti_launch_url=f"{TOOL}/lti/launch",
        client_id="edx-client",
        deployment_id="1",
        rsa_key=_own_key(),
        rsa_key_id="edx-1",
        redirect_uris=[f"{TOOL}/lti/launch"],
        tool_key=pem.decode(),
    )
    judge.enable_ags(lineitems_url=f"{url}/items", allow_programmatic_grade_interaction=True)
    judge.enable_nrps(f"{url}/members")
    course = people.upsert_course(db, ISSUER, "course-v1:edX+BIO", "BIO", platform_id=platform.id)
    body = {**judge.lti_ags.get_lti_ags_launch_claim(), **judge.lti_nrps.get_lti_nrps_launch_claim()}
    note_launch(db, platform.id, course, "course-v1:edX+BIO", Role.MODERATOR, body)
    made = Edx(db, course, [], [], [])
    with serving(platform_side(judge, url, made), port):
        yield made
    db.close()


def test_our_calls_stand_up_to_open_edx(edx: Edx) -> None:
    assert sync_course(edx.db, edx.course) == ""
    (learner,) = roster.list_roster(edx.db, edx.course)
    assert (learner.name, learner.role) == ("Robin Example", Role.PARTICIPANT)
    people.set_course_setting(edx.db, edx.course, "attendance", {"enabled": True})
    meeting = Meeting(SessionId("s1"), edx.course, "", "Lecture")
    now = roster.sync_state(edx.db, edx.course)
    assert now is not None and now.done_at is not None
    grades.save_meeting(
        edx.db, meeting, now.done_at, counts=True, length_s=600, present_s={learner.person_id: 600}
    )
    send_scores(edx.db, edx.course)
    assert [(i["label"], i["scoreMaximum"], i["resourceId"]) for i in edx.items] == [
        ("Attendance: Lecture", 100, "room")
    ]
    assert [(s["userId"], s["scoreGiven"], s["activityProgress"]) for s in edx.scores] == [
        ("7", 100, "Completed")
    ]
    assert edx.refused == []
    assert grades.count_scores(edx.db, edx.course).error == ""
