"""Administrators of this installation: local accounts, sign-in with a pause after wrong passwords, sessions, codes."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Literal

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select
from werkzeug.security import check_password_hash, generate_password_hash

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import AdminAccountRow, AdminCodeRow, AdminSessionRow, AdminTryRow, AuditRow
from models.values import PersonId

SESSION_LIFE: Final = timedelta(hours=8)
CODE_LIFE: Final = timedelta(seconds=60)
TRIES: Final = 5
"""Wrong passwords of one account from one address within ``TRY_SPAN``; after that even the right one must wait."""
TRIES_OF_ACCOUNT: Final = 50
"""The same from all addresses together."""
TRY_SPAN: Final = timedelta(minutes=10)
MIN_PASSWORD_CHARS: Final = 10
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Admin:
    """Who is signed in. ``account`` None: an LMS system administrator, ``person_id``."""

    name: str
    account: str | None
    person_id: PersonId | None


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    created_at: datetime
    signed_in_at: datetime | None


# -- accounts --------------------------------------------------------------------------------------------------


def set_password(db: Database, name: str, password: str, *, new: bool) -> None:
    """Make an account (``new``), or give one a new password and end its sessions. Raises ValueError saying why not."""
    if not _NAME.fullmatch(name):
        raise ValueError("A name has 1 to 64 letters, digits or . _ @ -")
    if not MIN_PASSWORD_CHARS <= len(password) <= 1000:
        raise ValueError(f"A password has at least {MIN_PASSWORD_CHARS} characters.")
    digest = generate_password_hash(password, "scrypt")
    with db.write() as session:
        row = session.get(AdminAccountRow, name)
        if (row is None) != new:
            raise ValueError(
                f"There’s already an administrator {name}. Choose another name."
                if new
                else f"There’s no administrator {name}."
            )
        if row is None:
            row = AdminAccountRow(name=name, password_hash=digest, created_at=datetime.now(UTC))
            session.add(row)
        row.password_hash = digest
        _end_sessions(session, name)


def remove_account(db: Database, name: str) -> bool:
    """Remove an account and end its sessions; False when there is none."""
    with db.write() as session:
        row = session.get(AdminAccountRow, name)
        if row is None:
            return False
        session.delete(row)
        _end_sessions(session, name)
    return True


def _end_sessions(session: Session, name: str) -> None:
    session.execute(delete(AdminSessionRow).where(col(AdminSessionRow.account) == name))


def list_accounts(db: Database) -> list[Account]:
    with db.read() as session:
        rows = session.exec(select(AdminAccountRow).order_by(AdminAccountRow.name)).all()
    return [Account(row.name, row.created_at, row.signed_in_at) for row in rows]


# -- sign-in ---------------------------------------------------------------------------------------------------


def sign_in(db: Database, name: str, password: str, address: str) -> str | Literal["wrong", "wait"]:
    """A new session's token; ``wrong``: no such account or password; ``wait``: too many wrong ones before."""
    name, address, now = name[:64], address[:64], datetime.now(UTC)
    with db.write() as session:
        # A try is counted before it is checked: many at once must not all slip through.
        session.execute(delete(AdminTryRow).where(col(AdminTryRow.at) < now - TRY_SPAN))
        of_account = session.exec(select(func.count()).where(AdminTryRow.account == name)).one()
        of_both = session.exec(
            select(func.count()).where(AdminTryRow.account == name, AdminTryRow.address == address)
        ).one()
        if of_both >= TRIES or of_account >= TRIES_OF_ACCOUNT:
            return "wait"
        session.add(AdminTryRow(account=name, address=address, at=now))
        row = session.get(AdminAccountRow, name)
        digest = row.password_hash if row is not None else None
    good = check_password_hash(digest or _nobody(), password[:1000])
    if digest is None or not good:
        return "wrong"
    with db.write() as session:
        session.execute(
            delete(AdminTryRow).where(col(AdminTryRow.account) == name, col(AdminTryRow.address) == address)
        )
        row = session.get(AdminAccountRow, name)
        if row is None or row.password_hash != digest:
            return "wrong"
        row.signed_in_at = now
        return _new_session(session, Admin(name, name, None))


@cache
def _nobody() -> str:
    """Checked when the account is unknown, so that the time of the answer does not tell."""
    return generate_password_hash(secrets.token_hex(8), "scrypt")


def _new_session(session: Session, admin: Admin) -> str:
    token, now = secrets.token_urlsafe(32), datetime.now(UTC)
    session.execute(delete(AdminSessionRow).where(col(AdminSessionRow.expires_at) < now))
    session.add(
        AdminSessionRow(
            token_hash=hash_secret(token),
            account=admin.account,
            person_id=admin.person_id,
            name=admin.name,
            expires_at=now + SESSION_LIFE,
        )
    )
    return token


def check_session(db: Database, token: str) -> Admin | None:
    """Who holds this session, None when there is no such session any more."""
    if not token or len(token) > 200:
        return None
    with db.read() as session:
        row = session.get(AdminSessionRow, hash_secret(token))
    if row is None or row.expires_at <= datetime.now(UTC):
        return None
    return Admin(row.name, row.account, PersonId(row.person_id) if row.person_id else None)


def end_session(db: Database, token: str) -> None:
    with db.write() as session:
        session.execute(delete(AdminSessionRow).where(col(AdminSessionRow.token_hash) == hash_secret(token)))


# -- from the LMS ----------------------------------------------------------------------------------------------


def issue_code(db: Database, person_id: str, name: str) -> str:
    """A one-use code for an LMS system administrator, good for a minute."""
    code, now = secrets.token_urlsafe(32), datetime.now(UTC)
    with db.write() as session:
        session.execute(delete(AdminCodeRow).where(col(AdminCodeRow.expires_at) < now))
        session.add(
            AdminCodeRow(
                code_hash=hash_secret(code), person_id=person_id, name=name, expires_at=now + CODE_LIFE
            )
        )
    return code


def redeem_code(db: Database, code: str) -> str | None:
    """A new session's token for a good code, exactly once; None otherwise."""
    now, digest = datetime.now(UTC), hash_secret(code)
    with db.write() as session:
        used = session.execute(
            update(AdminCodeRow)
            .where(
                col(AdminCodeRow.code_hash) == digest,
                col(AdminCodeRow.used_at).is_(None),
                col(AdminCodeRow.expires_at) > now,
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        row = session.get(AdminCodeRow, digest)
        if used.rowcount != 1 or row is None:  # type: ignore[attr-defined]
            return None
        return _new_session(session, Admin(row.name, None, PersonId(row.person_id)))


def write_audit(db: Database, admin: Admin, action: str, target: str = "", result: str = "ok") -> None:
    """Note what an administrator changed."""
    with db.write() as session:
        session.add(
            AuditRow(
                at=datetime.now(UTC),
                door="admin",
                person_id=admin.person_id,
                external_id=admin.account or "",
                action=action,
                target=target[:200],
                result=result,
            )
        )
