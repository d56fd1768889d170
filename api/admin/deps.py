"""What the administration page's sections share: their parts, who is signed in, JSON of times. No routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Response, g, request

from library.storage import Storages
from models.store.admin import Admin
from models.store.database import Database
from rooms.errors import DomainError
from webhooks.setup import Setup

PER_PAGE = 50
MAX_QUERY_CHARS = 100


@dataclass(frozen=True, slots=True)
class LtiTools:
    """What the page does with platforms through the LTI door (doors do not import each other).

    ``apps``: product tool → title. ``addresses(app)``: what is pasted into an LMS. ``invitation(app)``: a new one-time
    registration link. ``check(platform_id)`` tries its connections now and notes what came of it. ``role_kinds``: kinds of
    LMS role for which a course may choose → the role they have by default; ``set_roles(course_id, choice)`` chooses.
    """

    apps: Mapping[str, str]
    addresses: Callable[[str], Mapping[str, str]]
    invitation: Callable[[str], str]
    check: Callable[[int], None]
    role_kinds: Mapping[str, str]
    set_roles: Callable[[str, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class AdminDeps:
    """``page`` draws the page of the built client with boot data; ``csrf_key`` makes the sessions' CSRF tokens.

    ``lti_admins``: system administrators of the LMS may come in from the course page.
    """

    db: Database
    base_url: str
    csrf_key: str
    page: Callable[[Mapping[str, object]], Response]
    lti: LtiTools
    storages: Storages
    webhooks: Setup
    lti_admins: bool = False

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https:")


def admin() -> Admin:
    """Who asks; the frame has checked it before any section's view runs."""
    found: Admin = g.admin
    return found


def page_no() -> int:
    """The query's ``page`` (from 0). Raises DomainError."""
    page = request.args.get("page", "0")
    if not (page.isascii() and page.isdigit()) or len(page) > 6:
        raise DomainError("bad_value", "page is a number of 0 or more.", field="page")
    return int(page)


def query() -> str:
    """The query's words to search for."""
    return request.args.get("q", "").strip()[:MAX_QUERY_CHARS]


def iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
