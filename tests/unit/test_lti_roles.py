"""Roles: Sakai's table, other platforms' forms, and what must grant nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti import claims
from lti.roles import is_workspace, map_role, role_list
from models.values import Role

pytestmark = pytest.mark.unit
M, P = Role.MODERATOR, Role.PARTICIPANT


@pytest.mark.parametrize(
    ("roles", "sakai_role", "expected"),
    [
        ([claims.MEMBERSHIP + "Instructor"], "maintain", M),
        ([claims.MEMBERSHIP + "Learner"], "access", P),
        ([claims.MEMBERSHIP + "Learner"], "Student", P),
        # Sakai's teaching assistant carries two “#” (UTIL role map), the standard one a slash.
        ([claims.MEMBERSHIP + "Instructor#TeachingAssistant"], "Teaching Assistant", M),
        ([claims.MEMBERSHIP + "Instructor#TeachingAssistant"], None, M),
        ([claims.MEMBERSHIP_SUB + "Instructor#TeachingAssistant"], None, M),
        ([claims.MEMBERSHIP + "Mentor"], None, P),
        ([claims.MEMBERSHIP + "ContentDeveloper"], None, M),
        ([claims.MEMBERSHIP + "Administrator"], None, M),
        ([claims.MEMBERSHIP_SUB + "Learner#Instructor"], None, P),
        ([claims.MEMBERSHIP_SUB + "Manager#Observer"], None, M),
        ([claims.MEMBERSHIP_SUB + "Mentor#Instructor"], None, P),
        (["Instructor"], None, M),
        (["TeachingAssistant"], None, M),
        (["Learner"], None, P),
        ([claims.MEMBERSHIP + "Learner", claims.MEMBERSHIP + "Instructor"], None, M),
        # An administrator of the whole system is one; an institution's administrator is nobody special here.
        ([claims.SYSTEM + "Administrator"], None, M),
        ([claims.INSTITUTION + "Administrator"], None, P),
        ([claims.SYSTEM + "None", claims.INSTITUTION + "None"], None, P),
        ([claims.INSTITUTION + "Instructor"], None, P),
        (["urn:something:unknown"], None, P),
        ([], None, P),
    ],
)
def test_roles_of_a_course(roles: list[str], sakai_role: str | None, expected: Role) -> None:
    extension = {"sakai_role": sakai_role} if sakai_role else None
    assert map_role(roles, "bio101", extension) is expected


def test_a_role_in_my_workspace_grants_nothing() -> None:
    assert is_workspace("~bob") and not is_workspace("bob~")
    assert map_role([claims.MEMBERSHIP + "Instructor"], "~bob", {"sakai_role": "maintain"}) is P


def test_roles_come_in_odd_forms() -> None:
    assert role_list("Instructor, Learner") == ["Instructor", "Learner"]
    assert role_list(None) == role_list({"a": 1}) == role_list([]) == []
    assert role_list(["Instructor", 7, None]) == ["Instructor"]


@given(
    st.recursive(
        st.none() | st.text(max_size=60) | st.integers(), lambda x: st.lists(x, max_size=4), max_leaves=6
    )
)
def test_no_roles_claim_makes_the_mapping_fail(value: object) -> None:
    assert map_role(role_list(value), "bio101", None) in (M, P)
