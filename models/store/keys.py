"""API keys of integrators: random, stored as hashes, scoped, for one course or for all, revocable."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import update
from sqlmodel import col, select

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import ApiKeyRow, CourseRow
from models.values import Actor, ActorKind, CourseId, Role

SCOPES: Final = frozenset(
    {"recordings:read", "recordings:write", "commands", "webhooks", "usage", "storage", "storage:write"}
)
PREFIX: Final = "srk_"
MAX_DAYS: Final = 3650
NOTED: Final = timedelta(minutes=1)
"""How exactly ``last_used_at`` is kept."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is known after creation (the secret is shown once and stored nowhere). ``course_id`` None: all."""

    key_id: str
    name: str
    scopes: frozenset[str]
    course_id: CourseId | None

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.API, None, self.name, Role.MODERATOR, self.course_id)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as the administration page shows it."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    course_id: str | None
    course_title: str
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None


def list_keys(db: Database) -> list[ListedKey]:
    """All keys, newest first; revoked ones too."""
    with db.read() as session:
        found = session.exec(
            select(ApiKeyRow, CourseRow.title)
            .join(CourseRow, col(CourseRow.id) == col(ApiKeyRow.course_id), isouter=True)
            .order_by(col(ApiKeyRow.created_at).desc(), col(ApiKeyRow.id))
        ).all()
    return [
        ListedKey(
            r.id,
            r.name,
            tuple(r.scopes),
            r.course_id,
            title or "",
            r.created_at,
            r.revoked_at,
            r.expires_at,
            r.last_used_at,
        )
        for r, title in found
    ]


def create_key(
    db: Database,
    name: str,
    scopes: Iterable[str],
    course_id: CourseId | None = None,
    expires_at: datetime | None = None,
) -> tuple[str, str]:
    """Make a key; returns (key id, secret). ``expires_at`` None: good until revoked. Raises ValueError for an unknown scope."""
    wanted = sorted(set(scopes))
    if not wanted or not SCOPES.issuperset(wanted):
        raise ValueError("scopes are: " + ", ".join(sorted(SCOPES)))
    key_id, secret = "a" + uuid4().hex[:20], PREFIX + secrets.token_urlsafe(32)
    with db.write() as session:
        session.add(
            ApiKeyRow(
                id=key_id,
                key_hash=hash_secret(secret),
                name=name,
                scopes=wanted,
                course_id=course_id,
                created_at=datetime.now(UTC),
                expires_at=expires_at,
            )
        )
    return key_id, secret


def check_key(db: Database, secret: str) -> ApiKey | None:
    """The key of a secret, None when it is unknown, revoked or expired. Notes that it was used."""
    if not secret.startswith(PREFIX) or len(secret) > 200:
        return None
    now = datetime.now(UTC)
    with db.read() as session:
        row = session.exec(select(ApiKeyRow).where(ApiKeyRow.key_hash == hash_secret(secret))).one_or_none()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    if row.last_used_at is None or now - row.last_used_at > NOTED:
        with db.write() as session:
            used = update(ApiKeyRow).where(col(ApiKeyRow.id) == row.id).values(last_used_at=now)
            session.execute(used.execution_options(synchronize_session=False))
    return ApiKey(row.id, row.name, frozenset(row.scopes), CourseId(row.course_id) if row.course_id else None)


def revoke_key(db: Database, key_id: str) -> bool:
    """True when the key was good until now."""
    with db.write() as session:
        result = session.execute(
            update(ApiKeyRow)
            .where(col(ApiKeyRow.id) == key_id, col(ApiKeyRow.revoked_at).is_(None))
            .values(revoked_at=datetime.now(UTC))
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]
