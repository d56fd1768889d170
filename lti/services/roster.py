"""Names and roles (NRPS 2.0) and course groups: fetched page by page and read leniently. Keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard
from urllib.parse import urlsplit

from foundation.text import clean, cut, is_keepable, is_visible
from lti.roles import role_list
from lti.services.connector import Answer, Connector
from lti.services.errors import ServiceFailed
from models.store.services import CourseService

ACCEPT: Final = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
GROUPS_ACCEPT: Final = "application/vnd.ims.lti-gs.v1.contextgroupcontainer+json"
PAGE: Final = 500
MAX_PAGES: Final = 200
MAX_TEXT: Final = 300
MAX_GROUPS_A_PERSON: Final = 50
RawMember = Mapping[str, Any]


def fetch_members(connector: Connector, service: CourseService) -> list[RawMember]:
    """Every member of the roster, each once, as the platform writes them. Raises ServiceFailed."""
    found: dict[str, RawMember] = {}
    for answer in _pages(connector, service, ACCEPT):
        for member in _items(answer, "members"):
            user_id = member.get("user_id")
            if isinstance(user_id, str) and user_id and str(member.get("status", "Active")) == "Active":
                found[user_id] = member
    return list(found.values())


def has_id(member: RawMember) -> bool:
    """Whether a member's id can be kept; cut or cleaned it would be somebody else's."""
    return _is_id(member.get("user_id"))


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and is_keepable(value)


def fetch_groups(connector: Connector, service: CourseService) -> list[tuple[str, str]]:
    """Every group as (id, name). Raises ServiceFailed."""
    found: dict[str, str] = {}
    for answer in _pages(connector, service, GROUPS_ACCEPT, repair=True):
        for group in _items(answer, "groups"):
            group_id = group.get("id")
            if isinstance(group_id, str | int) and not isinstance(group_id, bool) and _is_id(str(group_id)):
                found[str(group_id)] = _text(group, "name")
    return list(found.items())


def _pages(
    connector: Connector, service: CourseService, accept: str, *, repair: bool = False
) -> Iterator[Answer]:
    url: str | None = _with_limit(service.url)
    asked: set[str] = set()
    while url is not None:
        if len(asked) >= MAX_PAGES:
            raise ServiceFailed(f"The LMS sent more than {MAX_PAGES} pages.")
        if url in asked:
            raise ServiceFailed("The LMS’s pages form a loop.")
        asked.add(url)
        answer = connector.call("GET", url, service.scopes, accept=accept)
        if answer.body is None:
            return  # Sakai: nobody there, or past the end
        yield answer
        url = answer.next_url
        if repair and url is not None:
            url = _repaired(service.url, url)


def _with_limit(url: str) -> str:
    parts = urlsplit(url)
    # As it is, not taken apart: a platform may mean something by “;” or by how a value is encoded.
    return parts._replace(query="&".join(filter(None, (parts.query, f"limit={PAGE}")))).geturl()


def _repaired(url: str, following: str) -> str:
    """Sakai's groups service links its next page at “groupsservice”, which does not exist: it is at our own path."""
    own, theirs = urlsplit(url), urlsplit(following)
    if theirs.path.replace("/groupsservice/", "/groupservice/") == own.path:
        return own._replace(query=theirs.query).geturl()
    return following


def _items(answer: Answer, member: str) -> list[Mapping[str, Any]]:
    body = answer.body
    items = body.get(member) if isinstance(body, dict) else body
    if items is None:
        return []
    if not isinstance(items, list):
        raise ServiceFailed(f"The LMS’s answer has no list of {member}.")
    return [item for item in items if isinstance(item, dict)]


# -- one member ------------------------------------------------------------------------------------------------


def roles_of(member: RawMember) -> list[str]:
    """A list, one string, or strings with several roles joined by commas: Sakai has sent all of these."""
    roles: list[str] = []
    for text in role_list(member.get("roles")):
        roles += role_list(text)
    return list(dict.fromkeys(roles))


def sakai_of(member: RawMember) -> Mapping[str, Any]:
    found = member.get("sakai_ext")
    return found if isinstance(found, dict) else {}


def name_of(member: RawMember) -> str:
    parts = [_text(member, "name")] if _text(member, "name") else []
    parts = parts or [text for text in (_text(member, "given_name"), _text(member, "family_name")) if text]
    return cut(" ".join(parts), MAX_TEXT)


def email_of(member: RawMember) -> str:
    return _text(member, "email")


def groups_of(member: RawMember) -> tuple[tuple[str, str], ...]:
    """(group id, name) of a member, from the standard's enrolments and from Sakai's own list, which has the names."""
    found: dict[str, str] = {}
    enrolled, sakai = member.get("group_enrollments"), sakai_of(member).get("sakai_groups")
    for items, key in ((enrolled, "group_id"), (sakai, "id")):
        for item in items if isinstance(items, list) else ():
            group_id = item.get(key) if isinstance(item, dict) else None
            if _is_id(group_id):
                found[group_id] = _text(item, "title") or found.get(group_id, "")
    return tuple(found.items())[:MAX_GROUPS_A_PERSON]


def _text(member: RawMember, key: str) -> str:
    value = member.get(key)
    text = clean(value, MAX_TEXT, most_bytes=4 * MAX_TEXT) if isinstance(value, str) else ""
    return text if is_visible(text) else ""
