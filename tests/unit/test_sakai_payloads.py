"""What a real Sakai 25 sent (tests/payloads/sakai, names invented): launches of every role, services, deep linking."""

from __future__ import annotations

from typing import Any

import pytest

from lti import claims, deeplinking, messages
from lti.launch import _read as read_launch
from lti.roles import RoleKind, previewed_role
from lti.services import roster
from lti.services.grades import scores_url
from lti.services.offered import AGS_CLAIM, LINE_ITEM_SCOPE, SCORE_SCOPE, history, line_item_of, offered
from models.store.lti import Platform
from models.values import Role
from tests.sakaikit import payload

OURS = "https://127.0.0.1:21201"
SAKAI = "https://localhost:21281"
PLATFORM = Platform(1, SAKAI, "client", "Sakai", SAKAI, SAKAI, SAKAI, "room", True, None, False)


@pytest.mark.parametrize(
    ("name", "kind", "role", "person"),
    [
        ("instructor", RoleKind.INSTRUCTOR, Role.MODERATOR, "Alice Moreau"),
        ("teaching_assistant", RoleKind.ASSISTANT, Role.MODERATOR, "Tara Singh"),
        ("student", RoleKind.LEARNER, Role.PARTICIPANT, "Bob Keller"),
        ("superuser", RoleKind.ADMINISTRATOR, Role.MODERATOR, "Sakai Administrator"),
        ("project_maintain", RoleKind.INSTRUCTOR, Role.MODERATOR, None),
        ("project_access", RoleKind.LEARNER, Role.PARTICIPANT, "Bob Keller"),
        ("my_workspace", RoleKind.OTHER, Role.PARTICIPANT, "Nora Novak"),
    ],
)
def test_a_launch_of_each_role(name: str, kind: RoleKind, role: Role, person: str | None) -> None:
    body = payload(f"id_token_{name}")
    assert messages.check(body, OURS) == messages.RESOURCE_LINK
    launch = read_launch(PLATFORM, body, messages.RESOURCE_LINK, "b" * 64)
    assert (launch.role_kind, launch.role, launch.preview) == (kind, role, "")
    assert person is None or launch.name == person
    assert launch.sub == body["sub"] and launch.email == body.get("email", "")
    assert launch.deployment_id == "1" and launch.return_url.startswith("https://localhost:21281/imsoidc/")
    assert history(body) is None, "unknown history stays a literal $…"
    services = {service.name: service for service in offered(body, "")}
    assert services["grades"].scopes == (LINE_ITEM_SCOPE, SCORE_SCOPE)
    own = services[line_item_of("")]
    assert own.url == body[AGS_CLAIM]["lineitem"] and own.scopes == (SCORE_SCOPE,)
    assert scores_url(own.url) == body[AGS_CLAIM]["lineitem"] + "/scores"
    assert {"roster", "groups"} <= set(services)


def test_a_view_as_student_is_nobody_and_each_browser_somebody_else() -> None:
    body = payload("id_token_instructor_viewing_as_student")
    first, second = (read_launch(PLATFORM, body, messages.RESOURCE_LINK, key * 64) for key in "ab")
    again = read_launch(PLATFORM, body, messages.RESOURCE_LINK, "a" * 64)
    assert first.preview == "Student" and first.role is Role.PARTICIPANT
    assert first.name == "Student (preview)" and first.email == ""
    assert first.sub == again.sub != second.sub and first.sub != body["sub"]
    assert first.sub.startswith(body["sub"])


@pytest.mark.parametrize(
    ("context", "login", "sakai", "expected"),
    [
        ("bio101", "bio101+student", {"sakai_role": "Student"}, "Student"),
        ("bio101", "bio101+teaching assistant", {"sakai_role": "Teaching Assistant"}, "Teaching Assistant"),
        ("bio101", "bio102+student", {"sakai_role": "Student"}, ""),
        ("bio101", "bio101+student", {"sakai_role": "Instructor"}, ""),
        ("bio101", "bio101+student", {}, ""),
        ("bio101", "bio101+student", None, ""),
        ("bio101", "bob+student@example.edu", {"sakai_role": "Student"}, ""),
        ("bio101", "", {"sakai_role": "Student"}, ""),
        ("", "+student", {"sakai_role": "Student"}, ""),
        ("~bob", "~bob+maintain", {"sakai_role": "maintain"}, ""),
        ("bio101", "bio101+", {"sakai_role": " "}, ""),
        ("bio101", "bio101+7", {"sakai_role": 7}, ""),
    ],
)
def test_who_is_a_preview(context: str, login: str, sakai: Any, expected: str) -> None:
    assert previewed_role(context, login, sakai) == expected


@pytest.mark.parametrize("place", ["lessons", "editor", "assignment"])
def test_a_deep_linking_request(place: str) -> None:
    body = payload(f"deep_linking_{place}")["request"]["claims"]
    assert messages.check(body, OURS) == messages.DEEP_LINKING
    launch = read_launch(PLATFORM, body, messages.DEEP_LINKING, "")
    assert launch.role is Role.MODERATOR and launch.return_url == ""
    settings = body[claims.DEEP_LINKING_SETTINGS]
    found = deeplinking.place_of(settings)
    assert (found.name, found.multiple, found.line_item) == (place, place == "editor", place != "editor")
    assert len(settings["deep_link_return_url"]) > 500 and settings["data"].startswith("{")
    sent = payload(f"deep_linking_{place}")["response_sent"]["claims"]
    assert sent[claims.DEEP_LINKING_DATA] == settings["data"]
    assert deeplinking.linked(sent[claims.CONTENT_ITEMS][0]["custom"]) is not None


@pytest.mark.parametrize("name", ["nrps", "nrps_groups", "nrps_after_role_view", "nrps_role_filter"])
def test_a_roster(name: str) -> None:
    members = payload(name)["body"]["members"]
    found = {roster.name_of(m): m for m in members}
    assert len(found) == 6 and "Student Student" not in found, "a view as student stands in no roster"
    assert "Instructor" in roster.roles_of(found["Sakai Administrator"])
    assert roster.email_of(found["Sakai Administrator"]) == ""
    grouped = name in ("nrps_groups", "nrps_after_role_view")
    assert roster.groups_of(found["Ben Lindqvist"]) == (
        (("77ed2c97-34e1-4232-a321-8fc747d1205e", "Übung 实验 Łódź"),) if grouped else ()
    )
    assert roster.groups_of(found["Alice Moreau"]) == ()
