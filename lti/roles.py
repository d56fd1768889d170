"""From an LMS's roles to ours. Pure. Sakai's table stands in ADR 0004; other platforms' roles follow LTI Core 1.3 A.2.

A role in a My Workspace context (Sakai: id ``~user``) grants nothing: there every student is the site's maintainer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lti import claims
from models.values import Role

_MODERATORS = frozenset({"instructor", "teachingassistant", "contentdeveloper", "administrator", "manager"})
_SAKAI_MODERATORS = frozenset({"maintain", "instructor", "teaching assistant", "admin"})
_SAKAI_PARTICIPANTS = frozenset({"access", "student", "learner"})


def is_workspace(context_id: str) -> bool:
    """A person's own My Workspace site rather than a course."""
    return context_id.startswith("~")


def role_list(value: Any) -> list[str]:
    """The roles claim as a list: a single string (also comma-joined) is accepted, anything else is no role."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        return [item for item in value if isinstance(item, str)]
    return []


def map_role(roles: Iterable[str], context_id: str, sakai: Mapping[str, Any] | None = None) -> Role:
    """Our role in this course; nobody knows better than the course itself, so system roles count only as admin.

    Sakai's own ``sakai_role`` decides when it is a known one: it tells a teaching assistant apart most surely.
    """
    if is_workspace(context_id):
        return Role.PARTICIPANT
    roles = list(roles)
    own = str((sakai or {}).get("sakai_role", "")).strip().lower()
    if own in _SAKAI_MODERATORS or any(_is_admin(role) for role in roles):
        return Role.MODERATOR
    if own in _SAKAI_PARTICIPANTS:
        return Role.PARTICIPANT
    return Role.MODERATOR if any(_is_moderator(role) for role in roles) else Role.PARTICIPANT


def _is_admin(role: str) -> bool:
    return role in (claims.SYSTEM + "Administrator", claims.SYSTEM + "SysAdmin")


def _is_moderator(role: str) -> bool:
    """Full URIs of the membership vocabulary (also Sakai's ``#Instructor#TeachingAssistant``) and short names.

    Only the principal role counts: ``membership/Learner#Instructor`` is a kind of learner (LTI Core 1.3 A.2.3).
    """
    for prefix in (claims.MEMBERSHIP, claims.MEMBERSHIP_SUB):
        if role.startswith(prefix):
            return role[len(prefix) :].replace("#", "/").split("/")[0].lower() in _MODERATORS
    return ":" not in role and role.replace(" ", "").lower() in _MODERATORS
