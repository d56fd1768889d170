"""Codes and bearer tokens of pages: issued random, stored as hashes, bound to person, course and role."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import delete, insert, update
from sqlmodel import col, select

from models.store.database import Database
from models.tables import HandoffCodeRow, TokenRow
from models.values import Actor, ActorKind, CourseId, PersonId, Role, SessionId

NO_SESSION = SessionId("")
TOKEN_LIFE = timedelta(hours=8)
EXPIRED_STAY_S = 60.0
"""Rows of expired tokens are cleared away this often."""
HANDOFF_LIFE = timedelta(seconds=60)
_NEW_TOKEN = insert(TokenRow)


@dataclass(frozen=True, slots=True)
class Access:
    """Who a token stands for. ``room_key`` is the course's room (resource link); ``session_id`` only in room tokens."""

    kind: Literal["page", "room"]
    person_id: PersonId
    course_id: CourseId
    role: Role
    name: str
    room_key: str = ""
    room_title: str = ""
    session_id: SessionId = NO_SESSION

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.PERSON, self.person_id, self.name, self.role, self.course_id)


def hash_secret(value: str) -> str:
    """SHA-256 hex of a secret that we only ever compare."""
    return hashlib.sha256(value.encode()).hexdigest()


def issue_token(db: Database, access: Access, life: timedelta = TOKEN_LIFE) -> str:
    """Store a new bearer token for ``access`` and return it (43 URL-safe characters)."""
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    with db.write() as session:
        connection = session.connection()
        if db.is_due("tokens", EXPIRED_STAY_S):
            connection.execute(delete(TokenRow).where(col(TokenRow.expires_at) < now))
        connection.execute(
            _NEW_TOKEN,
            {
                "token_hash": hash_secret(token),
                "kind": access.kind,
                "person_id": access.person_id,
                "course_id": access.course_id,
                "room_key": access.room_key,
                "room_title": access.room_title,
                "role": access.role.value,
                "name": access.name,
                "session_id": access.session_id,
                "expires_at": now + life,
            },
        )
    return token


def check_token(db: Database, token: str) -> Access | None:
    """The access of an unexpired token, else None."""
    if not token or len(token) > 200:
        return None
    with db.read() as session:
        row = session.get(TokenRow, hash_secret(token))
    if row is None or row.expires_at <= datetime.now(UTC):
        return None
    return Access(
        kind="room" if row.kind == "room" else "page",
        person_id=PersonId(row.person_id),
        course_id=CourseId(row.course_id),
        role=Role(row.role),
        name=row.name,
        room_key=row.room_key,
        room_title=row.room_title,
        session_id=SessionId(row.session_id),
    )


def issue_handoff(db: Database, access: Access, life: timedelta = HANDOFF_LIFE) -> str:
    """A one-time code that carries ``access`` from the frame to the top-level window."""
    code = secrets.token_urlsafe(32)
    with db.write() as session:
        session.execute(
            delete(HandoffCodeRow).where(
                col(HandoffCodeRow.expires_at) < datetime.now(UTC) - timedelta(days=1)
            )
        )
        session.add(
            HandoffCodeRow(
                code_hash=hash_secret(code),
                person_id=access.person_id,
                course_id=access.course_id,
                room_key=access.room_key,
                room_title=access.room_title,
                role=access.role.value,
                name=access.name,
                expires_at=datetime.now(UTC) + life,
            )
        )
    return code


def redeem_handoff(db: Database, code: str) -> Access | Literal["unknown", "used", "expired"]:
    """Redeem a code exactly once (atomic update). Returns what is wrong with it otherwise."""
    now = datetime.now(UTC)
    digest = hash_secret(code)
    with db.write() as session:
        claimed = session.execute(
            update(HandoffCodeRow)
            .where(
                col(HandoffCodeRow.code_hash) == digest,
                col(HandoffCodeRow.used_at).is_(None),
                col(HandoffCodeRow.expires_at) > now,
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        row = session.exec(select(HandoffCodeRow).where(HandoffCodeRow.code_hash == digest)).one_or_none()
    if row is None:
        return "unknown"
    if claimed.rowcount != 1:  # type: ignore[attr-defined]
        return "used" if row.used_at is not None else "expired"
    return Access(
        kind="room",
        person_id=PersonId(row.person_id),
        course_id=CourseId(row.course_id),
        role=Role(row.role),
        name=row.name,
        room_key=row.room_key,
        room_title=row.room_title,
    )
