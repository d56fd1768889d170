"""What the platforms' services need kept: what launches offered, access tokens, and how the last use went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import CourseRow, CourseServiceRow, PlatformHealthRow, ServiceTokenRow
from models.values import CourseId

ServiceName = Literal["roster", "groups", "grades"]
"""Services of a whole course; the line items of single links have names of their own (``lti.services.offered``)."""
HealthKind = Literal["keyset", "token", "roster", "groups", "grades"]
SEEN_AGAIN = timedelta(minutes=10)
TOKEN_MARGIN = timedelta(seconds=30)
"""A token this near its end is not used any more."""
MAX_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Offered:
    """A service as a launch offered it: its address, and the scopes that may be asked for."""

    name: ServiceName | str
    url: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CourseService:
    """A course's service, and the registration and deployment through which it is reached."""

    course_id: CourseId
    name: str
    platform_id: int
    url: str
    scopes: tuple[str, ...]
    deployment_id: str = ""


def save_services(
    db: Database, course_id: str, platform_id: int, offered: Iterable[Offered], deployment_id: str = ""
) -> None:
    """Remember what a launch offered; the newest launch that offers a service decides through whom it is reached."""
    now = datetime.now(UTC)
    offered = list(offered)
    if not offered or _are_known(db, course_id, platform_id, offered, deployment_id, now):
        return
    with db.write() as session:
        for service in offered:
            row = session.get(CourseServiceRow, (course_id, service.name))
            if row is None:
                row = CourseServiceRow(
                    course_id=course_id, name=service.name, platform_id=platform_id, url="", seen_at=now
                )
                session.add(row)
            row.platform_id, row.url, row.deployment_id = platform_id, service.url, deployment_id
            row.scopes, row.seen_at = list(service.scopes), now


def _are_known(
    db: Database,
    course_id: str,
    platform_id: int,
    offered: Iterable[Offered],
    deployment_id: str,
    now: datetime,
) -> bool:
    """Did a launch a short while ago offer the same? Then a class that arrives at once writes it only once."""
    with db.read() as session:
        rows = [session.get(CourseServiceRow, (course_id, service.name)) for service in offered]
    return all(
        row is not None
        and (row.platform_id, row.url, row.deployment_id) == (platform_id, service.url, deployment_id)
        and row.scopes == list(service.scopes)
        and row.seen_at > now - SEEN_AGAIN
        for row, service in zip(rows, offered, strict=True)
    )


def find_service(db: Database, course_id: str, name: ServiceName | str) -> CourseService | None:
    with db.read() as session:
        row = session.get(CourseServiceRow, (course_id, name))
    return None if row is None else _service(row)


def services_of_course(db: Database, course_id: str) -> list[CourseService]:
    """All services that launches of a course have offered."""
    with db.read() as session:
        rows = session.exec(select(CourseServiceRow).where(CourseServiceRow.course_id == course_id)).all()
    return [_service(row) for row in rows]


def forget_service(db: Database, course_id: str, name: str) -> None:
    """It is not there any more; a launch that offers it brings it back."""
    with db.write() as session:
        session.execute(
            delete(CourseServiceRow).where(
                col(CourseServiceRow.course_id) == course_id, col(CourseServiceRow.name) == name
            )
        )


def services_of_platform(db: Database, platform_id: int) -> list[CourseService]:
    """All services reached through a registration, newest first."""
    with db.read() as session:
        rows = session.exec(
            select(CourseServiceRow)
            .where(CourseServiceRow.platform_id == platform_id)
            .order_by(col(CourseServiceRow.seen_at).desc())
        ).all()
    return [_service(row) for row in rows]


def _service(row: CourseServiceRow) -> CourseService:
    return CourseService(
        CourseId(row.course_id), row.name, row.platform_id, row.url, tuple(row.scopes), row.deployment_id
    )


def save_history(db: Database, course_id: str, context_ids: Sequence[str]) -> None:
    """Remember from which courses this one was copied."""
    with db.read() as session:
        row = session.get(CourseRow, course_id)
    if row is None or row.history == list(context_ids):
        return
    with db.write() as session:
        row = session.get(CourseRow, course_id)
        if row is not None and row.history != list(context_ids):
            row.history = list(context_ids)


# -- access tokens ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whose access tokens: a tool of a platform, in one of its deployments (empty: the platform named none)."""

    issuer: str
    client_id: str
    deployment_id: str = ""


def _token_key(owner: TokenOwner, scopes: Sequence[str]) -> str:
    return hash_secret(json.dumps([owner.issuer, owner.client_id, owner.deployment_id, sorted(scopes)]))


def find_token(db: Database, owner: TokenOwner, scopes: Sequence[str]) -> str | None:
    """A token that is good for a while yet."""
    with db.read() as session:
        row = session.get(ServiceTokenRow, _token_key(owner, scopes))
    return None if row is None or row.expires_at <= datetime.now(UTC) + TOKEN_MARGIN else row.token


def save_token(db: Database, owner: TokenOwner, scopes: Sequence[str], token: str, expires_in_s: int) -> None:
    """Keep a token; of two processes that fetched one at the same time the later stays."""
    now = datetime.now(UTC)
    row = ServiceTokenRow(
        key=_token_key(owner, scopes),
        issuer=owner.issuer,
        client_id=owner.client_id,
        scopes=" ".join(sorted(scopes)),
        token=token,
        expires_at=now + timedelta(seconds=expires_in_s),
    )
    with db.write() as session:
        session.execute(delete(ServiceTokenRow).where(col(ServiceTokenRow.expires_at) < now))
        session.merge(row)


def drop_token(db: Database, owner: TokenOwner, scopes: Sequence[str], token: str) -> None:
    """A service refused this token: the next call fetches a new one (a newer one that is there already stays)."""
    with db.write() as session:
        session.execute(
            delete(ServiceTokenRow).where(
                col(ServiceTokenRow.key) == _token_key(owner, scopes),
                col(ServiceTokenRow.token) == token,
            )
        )


# -- health ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Health:
    """How the last use of a connection went; ``reason`` is a sentence for the administrator when it failed."""

    platform_id: int
    kind: str
    ok: bool
    reason: str
    at: datetime


def note_health(db: Database, platform_id: int, kind: HealthKind, reason: str = "") -> None:
    """Note the last use of a connection: an empty ``reason`` means that it worked."""
    row = PlatformHealthRow(
        platform_id=platform_id,
        kind=kind,
        ok=not reason,
        reason=reason[:MAX_REASON_CHARS],
        at=datetime.now(UTC),
    )
    try:
        with db.write() as session:
            session.merge(row)
    except IntegrityError:
        return  # the registration was removed meanwhile, or another process noted the same at this moment


def list_health(db: Database) -> list[Health]:
    with db.read() as session:
        rows = session.exec(select(PlatformHealthRow)).all()
    return [Health(row.platform_id, row.kind, row.ok, row.reason, row.at) for row in rows]
