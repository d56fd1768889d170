"""Storages: where copies of recordings go. Credentials pass through here sealed only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, func, or_, update
from sqlmodel import col, select

from models.store.database import Database
from models.tables import MediaEntryRow, StorageRow, TransferRow

Scope = Literal["site", "course", "call"]


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage as it is kept. ``config`` holds no credentials; ``sealed`` is shown to nobody."""

    storage_id: str
    scope: Scope
    course_id: str | None
    name: str
    config: dict[str, str]
    keep_local: bool
    delete_copies: bool
    checked_at: datetime | None
    problem: str | None
    created_at: datetime
    removed_at: datetime | None
    sealed: str
    key_id: str

    def __repr__(self) -> str:
        return f"Storage({self.storage_id}, {self.scope}, {self.config.get('type')})"


def _storage(row: StorageRow) -> Storage:
    values: dict[str, Any] = row.model_dump()
    return Storage(storage_id=values.pop("id"), **values)


def insert(db: Database, storage: Storage) -> None:
    with db.write() as session:
        values = {
            name: getattr(storage, name) for name in Storage.__dataclass_fields__ if name != "storage_id"
        }
        session.add(StorageRow(id=storage.storage_id, **values))


def get(db: Database, storage_id: str) -> Storage | None:
    """Also a removed one."""
    with db.read() as session:
        row = session.get(StorageRow, storage_id)
    return None if row is None else _storage(row)


def usable(db: Database, course_id: str | None, also: Iterable[str] = ()) -> list[Storage]:
    """The site's storages, the course's, and those of ``also`` that this course may use; oldest first."""
    scopes = [col(StorageRow.scope) == "site"]
    if course_id is not None:
        scopes.append(and_(col(StorageRow.scope) == "course", col(StorageRow.course_id) == course_id))
        wanted = and_(col(StorageRow.id).in_(list(also)), col(StorageRow.course_id) == course_id)
        scopes.append(wanted)
    with db.read() as session:
        rows = session.exec(
            select(StorageRow)
            .where(or_(*scopes), col(StorageRow.removed_at).is_(None))
            .order_by(col(StorageRow.created_at), col(StorageRow.id))
        ).all()
    return [_storage(row) for row in rows]


def configured(db: Database) -> list[Storage]:
    """All of the site and of every course, oldest first; none that came with a start call."""
    with db.read() as session:
        rows = session.exec(
            select(StorageRow)
            .where(col(StorageRow.scope) != "call", col(StorageRow.removed_at).is_(None))
            .order_by(col(StorageRow.created_at), col(StorageRow.id))
        ).all()
    return [_storage(row) for row in rows]


def count(db: Database, scope: Scope, course_id: str | None) -> int:
    """How many the site or a course has."""
    with db.read() as session:
        where = (
            col(StorageRow.scope) == scope,
            col(StorageRow.course_id) == course_id if course_id else col(StorageRow.course_id).is_(None),
            col(StorageRow.removed_at).is_(None),
        )
        return int(session.exec(select(func.count()).select_from(StorageRow).where(*where)).one())


def change(db: Database, storage_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of a storage that was not removed."""
    if not values:
        return
    with db.write() as session:
        session.execute(
            update(StorageRow)
            .where(col(StorageRow.id) == storage_id, col(StorageRow.removed_at).is_(None))
            .values(**values)
        )


def checked(db: Database, storage_id: str, at: datetime, problem: str | None) -> None:
    """Keep what a dry run found."""
    with db.write() as session:
        session.execute(
            update(StorageRow).where(col(StorageRow.id) == storage_id).values(checked_at=at, problem=problem)
        )


def reseal(db: Database, storage_id: str, sealed: str, key_id: str) -> None:
    """Replace the sealed credentials (another key)."""
    with db.write() as session:
        session.execute(
            update(StorageRow).where(col(StorageRow.id) == storage_id).values(sealed=sealed, key_id=key_id)
        )


def sealed_with_others(db: Database, key_id: str) -> list[Storage]:
    """Storages whose credentials are sealed with another key than this one."""
    with db.read() as session:
        where = (col(StorageRow.sealed) != "", col(StorageRow.key_id) != key_id)
        return [_storage(row) for row in session.exec(select(StorageRow).where(*where)).all()]


def remove(db: Database, storage_id: str, at: datetime) -> bool:
    """Use it no more and forget its credentials; its unfinished transfers are given up. False: there is none."""
    with db.write() as session:
        row = session.get(StorageRow, storage_id)
        if row is None or row.removed_at is not None:
            return False
        row.removed_at, row.sealed, row.key_id = at, "", ""
        session.execute(
            update(TransferRow)
            .where(
                col(TransferRow.storage_id) == storage_id,
                col(TransferRow.status).in_(["waiting", "copying", "failed", "deleting"]),
            )
            .values(status="failed", next_at=None, error="This storage was removed.", lease_owner="")
        )
        # An entry that waited for this copy only is complete now.
        waited = select(TransferRow.entry_id).where(col(TransferRow.storage_id) == storage_id)
        session.execute(
            update(TransferRow)
            .where(col(TransferRow.status) == "done", col(TransferRow.entry_id).in_(waited))
            .values(settled=False)
            .execution_options(synchronize_session=False)
        )
    return True


def idle_call_storages(db: Database, before: datetime) -> list[str]:
    """Storages of start calls made before ``before`` whose copies nobody can reach any more, or that have none."""
    needed = (
        select(col(TransferRow.storage_id))
        .join(MediaEntryRow, col(MediaEntryRow.id) == col(TransferRow.entry_id), isouter=True)
        .where(
            or_(
                col(TransferRow.status).in_(["waiting", "copying", "deleting"]),
                and_(col(TransferRow.status) == "failed", col(TransferRow.next_at).is_not(None)),
                and_(col(TransferRow.status) == "done", col(MediaEntryRow.status) == "ready"),
            )
        )
    )
    with db.read() as session:
        rows = session.exec(
            select(StorageRow.id).where(
                col(StorageRow.scope) == "call",
                col(StorageRow.removed_at).is_(None),
                col(StorageRow.created_at) < before,
                col(StorageRow.id).not_in(needed),
            )
        ).all()
    return list(rows)
