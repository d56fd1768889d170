"""What the administration page's sections share: their parts, who is signed in, JSON of times. No routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Response, g

from models.store.admin import Admin
from models.store.database import Database


@dataclass(frozen=True, slots=True)
class AdminDeps:
    """``page`` draws the page of the built client with boot data; ``csrf_key`` makes the sessions' CSRF tokens.

    ``lti_admins``: system administrators of the LMS may come in from the course page.
    """

    db: Database
    base_url: str
    csrf_key: str
    page: Callable[[Mapping[str, object]], Response]
    lti_admins: bool = False

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https:")


def admin() -> Admin:
    """Who asks; the frame has checked it before any section's view runs."""
    found: Admin = g.admin
    return found


def iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
