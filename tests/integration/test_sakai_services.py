"""Our client of the platform's services against a real Sakai 25's answers, byte for byte (tests/payloads/sakai)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from lti.services.connector import Connector
from lti.services.errors import ServiceFailed
from lti.services.offered import AGS_CLAIM, GROUPS_SCOPE, LINE_ITEM_SCOPE, NRPS_SCOPE, SCORE_SCOPE
from lti.services.roster import fetch_members
from models.store.lti import add_platform
from models.store.services import CourseService
from models.values import CourseId
from sandbox.lms.services import service_claims
from server.ports_check import free_port
from tests.lmskit import Lms, practice_lms, serving
from tests.sakaikit import payload

pytestmark = pytest.mark.integration


@dataclass
class Replay:
    """A server that answers as Sakai did. ``answers`` are names of payloads, one a call; ``seen`` the calls."""

    url: str
    answers: list[str] = field(default_factory=list)
    seen: list[tuple[str, str, Any]] = field(default_factory=list)

    def next(self, path: str) -> Response:
        self.seen.append((request.method, path, request.get_json(force=True, silent=True)))
        kept = payload(self.answers.pop(0))
        body = kept["body"]
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        answer = Response(text.encode(), kept["status"])
        answer.headers.pop("Content-Type", None)
        for name, value in kept["headers"].items():
            answer.headers[name] = value.replace("https://localhost:21281", self.url)
        return answer


@contextmanager
def replaying(port: int) -> Iterator[Replay]:
    app, replay = Flask("replay"), Replay(f"http://127.0.0.1:{port}")
    methods = ["GET", "POST", "PUT", "DELETE"]
    app.add_url_rule("/<path:path>", "any", replay.next, methods=methods)
    app.url_map.merge_slashes = False
    with serving(app, port):
        yield replay


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[tuple[Lms, Replay, Connector]]:
    port = free_port()
    with practice_lms(tmp_path) as lms, replaying(port) as found:
        platform = add_platform(
            lms.db,
            issuer=found.url,
            client_id="real",
            auth_login_url=f"{found.url}/auth",
            auth_token_url=f"{found.url}/imsblis/lti13/token/1",
            jwks_url=f"{found.url}/keyset",
            app="room",
        )
        connector = Connector(lms.db, platform, "1")
        yield lms, found, connector
        connector.close()


def test_a_token_with_fewer_scopes_than_asked_is_taken(replay: tuple[Lms, Replay, Connector]) -> None:
    """Unknown scopes are left out of the answer; the service itself says what the token is not good for."""
    _, sakai, connector = replay
    sakai.answers = ["token_1", "bad_token", "token_3", "bad_token"]
    with pytest.raises(ServiceFailed, match="403: signature_error") as failed:
        connector.call("GET", f"{sakai.url}/imsblis/lti13/namesandroles/bio101", [NRPS_SCOPE])
    assert not failed.value.permanent, "asked anew with a new token once, and tried again later"


def test_a_roster_page_by_page_to_its_empty_end(replay: tuple[Lms, Replay, Connector]) -> None:
    lms, sakai, connector = replay
    sakai.answers = ["token_3", "nrps_limit2", "nrps_past_end"]
    service = CourseService(
        lms.course, "roster", 1, f"{sakai.url}/imsblis/lti13/namesandroles/bio101", (NRPS_SCOPE,)
    )
    assert [m["name"] for m in fetch_members(connector, service)] == ["Tara Singh", "Alice Moreau"]
    assert [path for _, path, _ in sakai.seen][1:] == ["imsblis/lti13/namesandroles/bio101"] * 2


def test_a_roster_of_another_site_is_refused(replay: tuple[Lms, Replay, Connector]) -> None:
    _, sakai, connector = replay
    sakai.answers = ["token_3", "nrps_other_site", "token_4", "nrps_other_site"]
    service = CourseService(
        CourseId("c"), "roster", 1, f"{sakai.url}/imsblis/lti13/namesandroles/proj", (NRPS_SCOPE,)
    )
    with pytest.raises(ServiceFailed, match="Tool not placed in site"):
        fetch_members(connector, service)


def test_line_items_scores_and_results(replay: tuple[Lms, Replay, Connector]) -> None:
    _, sakai, connector = replay
    base = f"{sakai.url}/imsblis/lti13/lineitems/bio101"
    sakai.answers = [
        "token_3",
        "lineitems_empty",
        "lineitem_create",
        "lineitem_put",
        "score_student",
        "results",
    ]
    sakai.answers += ["score_unknown", "default_lineitem_get"]
    scopes = [LINE_ITEM_SCOPE, SCORE_SCOPE]
    assert connector.call("GET", base, scopes).body == []
    made = connector.call("POST", base, scopes, data={"label": "Attendance: Room", "scoreMaximum": 100})
    assert made.body["scoreMaximum"] == 100.0 and made.body["id"].endswith("/lineitems/bio101/2")
    assert connector.call("PUT", f"{base}/2", scopes, data={"label": "x"}).body["scoreMaximum"] == 50.0
    assert connector.call("POST", f"{base}/2/scores", scopes, data={"userId": "u"}).body is None
    results = connector.call("GET", f"{base}/2/results", scopes).body
    assert [r["userId"].rpartition("/")[2] for r in results if "resultScore" in r] == [
        "4d183fa7-88ec-4286-9cc4-1212be48d097",
        "54f56569-22b2-4ecc-add8-1cf613088dc5",
    ]
    with pytest.raises(ServiceFailed, match="User does not belong to site") as failed:
        connector.call("POST", f"{base}/2/scores", scopes, data={"userId": "nobody"})
    assert failed.value.permanent
    own = f"{sakai.url}/imsblis/lti13/lineitem/{'3' * 64}:::bio101:::content:1"
    assert connector.call("GET", own, scopes).body["resourceLinkId"] == "content:1"


def test_the_practice_lms_answers_in_the_same_shapes(lms_answers: dict[str, Any]) -> None:
    """What it sends has the members of what Sakai sent, no more and no fewer."""
    for name, answer in lms_answers.items():
        real = payload(name)
        body = real["body"]
        kind = answer.headers.get("Content-Type", "")
        assert kind.lower().replace(" ", "") == real["headers"].get("Content-Type", "").lower(), name
        assert answer.status_code == real["status"], name
        if body == "":
            assert answer.content == b"", name
        else:
            found = json.loads(answer.content.decode(answer.encoding or "utf-8"))
            assert shape(found) == shape(body), name


def shape(value: Any) -> Any:
    """Names and types; of a list the shapes that occur in it."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(inner), sort_keys=True) for inner in value})
    return type(value).__name__


@pytest.fixture
def lms_answers(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with practice_lms(tmp_path) as lms:
        result = "https://purl.imsglobal.org/spec/lti-ags/scope/result.readonly"
        connector = Connector(lms.db, lms.platform, "1")
        scopes = [NRPS_SCOPE, GROUPS_SCOPE, LINE_ITEM_SCOPE, SCORE_SCOPE, result]
        headers = {"Authorization": f"Bearer {connector.get_access_token(scopes)}"}
        connector.close()
        base = f"{lms.url}/imsblis/lti13"

        def ask(method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
            given = {"headers": headers, "json": body, "timeout": 10} | more
            return requests.request(method, f"{base}/{path}", **given)

        score = {"scoreGiven": 80, "scoreMaximum": 100, "activityProgress": "Completed"}
        score |= {
            "gradingProgress": "FullyGraded",
            "timestamp": "2026-11-28T11:00:00Z",
            "comment": "40 of 50",
        }
        item = {
            "label": "Attendance: Room",
            "scoreMaximum": 100,
            "resourceId": "sideroom",
            "tag": "attendance",
        }
        own = service_claims(lms.url, "bio101", content=1)[AGS_CLAIM]["lineitem"].removeprefix(f"{base}/")
        yield {
            "nrps_groups": ask("GET", "namesandroles/bio101"),
            "nrps_limit2": ask("GET", "namesandroles/bio101?limit=1&start=1"),
            "nrps_past_end": ask("GET", "namesandroles/bio101?start=100&limit=2"),
            "nrps_other_site": ask("GET", "namesandroles/nowhere"),
            "bad_token": ask("GET", "namesandroles/bio101", headers={"Authorization": "Bearer x"}),
            "groups": ask("GET", "groupservice/bio101"),
            "groups_next": ask("GET", "groupsservice/bio101?start=1&limit=1"),
            "lineitems_empty": ask("GET", "lineitems/bio101"),
            "lineitem_create": ask("POST", "lineitems/bio101", item),
            "lineitem_put": ask("PUT", "lineitems/bio101/1", {**item, "scoreMaximum": 50}),
            "lineitem_get": ask("GET", "lineitems/bio101/1"),
            "lineitems_tag": ask("GET", "lineitems/bio101?tag=attendance&resource_id=sideroom"),
            "lineitems_tag_none": ask("GET", "lineitems/bio101?tag=nosuch"),
            "score_student": ask("POST", "lineitems/bio101/1/scores", score | {"userId": lms.sub("bob")}),
            "score_instructor": ask(
                "POST", "lineitems/bio101/1/scores", score | {"userId": lms.sub("alice")}
            ),
            "score_unknown": ask("POST", "lineitems/bio101/1/scores", score | {"userId": lms.sub("charlie")}),
            "results": ask("GET", "lineitems/bio101/1/results"),
            "default_lineitem_get": ask("GET", own),
            "lineitem_create_same_label": ask(
                "POST",
                "lineitems/bio101",
                {"label": "Attendance: Room", "scoreMaximum": 10, "resourceId": "other"},
            ),
        }
