"""One request to ``/api/v1`` on its way to a handler: who asks, what was given; and how handlers submit commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar
from uuid import uuid4

from flask import Response, request
from pydantic import BaseModel

from api.v1.limits import DEFAULT_LIMITS, Limits
from api.v1.view import View
from library.media import Library
from library.storage import Storages
from models.store.database import Database
from models.store.keys import ApiKey
from models.store.people import membership_role
from models.values import CommandId, CourseId, PersonId, Role, SessionId
from rooms.commands import Command, Envelope
from rooms.errors import DomainError
from rooms.ports import Accepted, Rooms
from webhooks.setup import Setup

M = TypeVar("M", bound=BaseModel)
Scope = Literal[
    "recordings:read", "recordings:write", "commands", "webhooks", "usage", "storage", "storage:write"
]
MAX_KEY_CHARS: Final = 64
_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Deps:
    """What the handlers need."""

    db: Database
    rooms: Rooms
    view: View
    webhooks: Setup
    storages: Storages
    library: Library
    limits: Limits = DEFAULT_LIMITS
    reference: Callable[[], Response] | None = None
    """Draws the page that shows the OpenAPI document."""
    report_wait_s: float = 3.0
    """How long pause, resume and stop wait for the recorder's report before they answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """``path`` holds the address's variables; ``body`` and ``query`` are what the route's models made of the request."""

    deps: Deps
    key: ApiKey
    path: dict[str, str]
    body: BaseModel | None
    query: BaseModel | None

    @property
    def course_id(self) -> CourseId | None:
        """The one course of the key; None: all."""
        return self.key.course_id

    def body_as(self, model: type[M]) -> M:
        assert isinstance(self.body, model)
        return self.body

    def query_as(self, model: type[M]) -> M:
        assert isinstance(self.query, model)
        return self.query

    def submit(
        self, session_id: str, command: Command, part: str, on_behalf_of: str | None = None
    ) -> Accepted:
        """Submit as the key, for a moderator of the session's course when one is named. With an Idempotency-Key a repeat gets the first answer; ``part`` says what is asked and tells
        several commands of one request apart."""
        given = request.headers.get("Idempotency-Key")
        if given is not None and not _KEY.fullmatch(given):
            raise DomainError(
                "bad_value",
                f"Idempotency-Key has 1 to {MAX_KEY_CHARS} letters, digits or . _ : -",
                field="Idempotency-Key",
            )
        unique = f"{given}:{part}" if given is not None else uuid4().hex
        command_id = CommandId(f"api:{self.key.key_id}:{unique}")
        actor = self.key.actor
        if on_behalf_of is not None:
            course_id = self.deps.rooms.state(SessionId(session_id)).course_id
            actor = replace(actor, person_id=self.moderator(course_id, on_behalf_of))
        return self.deps.rooms.submit(Envelope(command_id, SessionId(session_id), actor, command))

    def moderator(self, course_id: CourseId, person_id: str) -> PersonId:
        """A moderator of the course, for whom something is asked. Raises ``other_course`` when the course is not the key's,
        ``person_unknown`` or ``not_moderator``."""
        if self.course_id not in (None, course_id):
            raise DomainError("other_course")
        role = membership_role(self.deps.db, course_id, person_id)
        if role is None:
            raise DomainError(
                "person_unknown", "There’s no such person in this course.", field="on_behalf_of"
            )
        if role is not Role.MODERATOR:
            raise DomainError(
                "not_moderator",
                "Give “on_behalf_of” the id of a moderator of this course.",
                field="on_behalf_of",
            )
        return PersonId(person_id)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list."""

    items: list[Any]
    total: int


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API: what the door enforces and what the OpenAPI document says.

    ``answer``: the model (or union) of ``data``; a list when ``is_list``, with paging when the handler returns a ``Page``.
    ``codes``: refusals of its own, besides those that every call may meet.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    name: str
    """Operation id."""
    tag: str
    summary: str
    scope: Scope
    handler: Handler
    answer: Any
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    codes: tuple[str, ...] = ()
    status: int = 200
    is_list: bool = False
    is_paged: bool = False
    links: tuple[str, ...] = ()
    """Operations that go on with the answer's ``id``."""
    is_command: bool = False
    """Commands a session, so it takes an Idempotency-Key."""
    is_recording: bool = False
    """Counts towards the limit of recording calls."""
