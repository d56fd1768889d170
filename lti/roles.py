"""From an LMS's roles to ours. Pure. Sakai's table stands in ADR 0004; other platforms' roles follow LTI Core 1.3 A.2.

A role in a My Workspace context (Sakai: id ``~user``) grants nothing: there every student is the site's maintainer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from lti import claims
from models.values import Role


class RoleKind(StrEnum):
    """What somebody is in a course, as far as we tell apart; ``role_of`` says what that means here."""

    ADMINISTRATOR = "administrator"
    INSTRUCTOR = "instructor"
    ASSISTANT = "assistant"
    DEVELOPER = "developer"
    MENTOR = "mentor"
    LEARNER = "learner"
    OTHER = "other"


DEFAULTS: Final[dict[RoleKind, Role]] = {
    RoleKind.ADMINISTRATOR: Role.MODERATOR,
    RoleKind.INSTRUCTOR: Role.MODERATOR,
    RoleKind.ASSISTANT: Role.MODERATOR,
    RoleKind.DEVELOPER: Role.MODERATOR,
    RoleKind.MENTOR: Role.PARTICIPANT,
    RoleKind.LEARNER: Role.PARTICIPANT,
    RoleKind.OTHER: Role.PARTICIPANT,
}
SETTABLE: Final = (RoleKind.ASSISTANT, RoleKind.DEVELOPER, RoleKind.MENTOR, RoleKind.LEARNER)
"""What a course may decide for itself. Its teachers and the LMS's administrators always moderate."""

_RANK: Final = tuple(RoleKind)
_WORDS: Final = {
    "administrator": RoleKind.ADMINISTRATOR,
    "manager": RoleKind.ADMINISTRATOR,
    "instructor": RoleKind.INSTRUCTOR,
    "teachingassistant": RoleKind.ASSISTANT,
    "contentdeveloper": RoleKind.DEVELOPER,
    "mentor": RoleKind.MENTOR,
    "learner": RoleKind.LEARNER,
    "student": RoleKind.LEARNER,
}
_SAKAI: Final = {
    "admin": RoleKind.ADMINISTRATOR,
    "maintain": RoleKind.INSTRUCTOR,
    "instructor": RoleKind.INSTRUCTOR,
    "teaching assistant": RoleKind.ASSISTANT,
    "access": RoleKind.LEARNER,
    "student": RoleKind.LEARNER,
    "learner": RoleKind.LEARNER,
}
_ADMINS: Final = (claims.SYSTEM + "Administrator", claims.SYSTEM + "SysAdmin")


def is_workspace(context_id: str) -> bool:
    """A person's own My Workspace site rather than a course."""
    return context_id.startswith("~")


def previewed_role(context_id: str, login_name: str, sakai: Mapping[str, Any] | None) -> str:
    """The role whose view somebody tries (Sakai's “View Site As”), in the LMS's words; empty for everybody else.

    Sakai launches such a view as a pseudo user, one for each site and role, whose login name is ``<site id>+<role>``. It
    stands in no roster, and all teachers of the site share it.
    """
    role = (sakai or {}).get("sakai_role")
    if not isinstance(role, str) or not role.strip() or not context_id or is_workspace(context_id):
        return ""
    return role.strip() if login_name.casefold() == f"{context_id}+{role.strip()}".casefold() else ""


def role_list(value: Any) -> list[str]:
    """The roles claim as a list: a single string (also comma-joined) is accepted, anything else is no role."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        return [item for item in value if isinstance(item, str)]
    return []


def map_role(
    roles: Iterable[str],
    context_id: str,
    sakai: Mapping[str, Any] | None = None,
    course: Mapping[str, Any] | None = None,
) -> Role:
    """Our role in this course. ``course`` is the course's own table (``role_of``)."""
    return role_of(kind_of(roles, context_id, sakai), course)


def kind_of(roles: Iterable[str], context_id: str, sakai: Mapping[str, Any] | None = None) -> RoleKind:
    """What somebody is here; nobody knows better than the course itself, so system roles count only as admin.

    Sakai's own ``sakai_role`` decides when it is a known one: it tells a teaching assistant apart most surely.
    """
    if is_workspace(context_id):
        return RoleKind.OTHER
    roles = list(roles)
    if any(role in _ADMINS for role in roles):
        return RoleKind.ADMINISTRATOR
    own = _SAKAI.get(str((sakai or {}).get("sakai_role", "")).strip().lower())
    if own is not None:
        return own
    return min((_kind(role) for role in roles), key=_RANK.index, default=RoleKind.OTHER)


def role_of(kind: RoleKind, course: Mapping[str, Any] | None = None) -> Role:
    """Our role for a kind: the course's own choice where it may choose, else the default."""
    chosen = (course or {}).get(kind.value) if kind in SETTABLE else None
    if chosen in (Role.MODERATOR.value, Role.PARTICIPANT.value):
        return Role(chosen)
    return DEFAULTS[kind]


def _kind(role: str) -> RoleKind:
    """Full URIs of the membership vocabulary (also Sakai's ``#Instructor#TeachingAssistant``) and short names.

    The principal role counts (``membership/Learner#Instructor`` is a kind of learner, LTI Core 1.3 A.2.3), but for the
    teaching assistant, who is a kind of instructor with a table row of its own.
    """
    for prefix in (claims.MEMBERSHIP, claims.MEMBERSHIP_SUB):
        if role.startswith(prefix):
            principal, _, sub = role[len(prefix) :].replace("#", "/").partition("/")
            words = (principal.lower(), sub.lower())
            if words[0] == "instructor" and words[1].startswith("teachingassistant"):
                return RoleKind.ASSISTANT
            return _WORDS.get(words[0], RoleKind.OTHER)
    return RoleKind.OTHER if ":" in role else _WORDS.get(role.replace(" ", "").lower(), RoleKind.OTHER)
