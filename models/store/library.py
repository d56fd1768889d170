"""Media entries: writing them, and the queries behind My Media, the channel and the breakout recordings folder."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from models.store.database import Database
from models.tables import CourseRow, MediaEntryRow, MediaFileRow, PersonRow, RecordingRow


@dataclass(frozen=True, slots=True)
class Found:
    """One page of entries, each a mapping of column values and names, and how many there are in all."""

    rows: list[dict[str, Any]]
    total: int


def _base() -> Select[MediaEntryRow, str, str, float, datetime | None, str | None]:
    return (
        select(
            MediaEntryRow,
            col(CourseRow.title),
            col(PersonRow.name),
            col(RecordingRow.progress),
            col(RecordingRow.eta_at),
            col(RecordingRow.error),
        )
        .join(CourseRow, col(CourseRow.id) == col(MediaEntryRow.course_id), isouter=True)
        .join(PersonRow, col(PersonRow.id) == col(MediaEntryRow.owner_id), isouter=True)
        .join(RecordingRow, col(RecordingRow.id) == col(MediaEntryRow.recording_id), isouter=True)
    )


def _row(found: Any) -> dict[str, Any]:
    entry, course_title, owner_name, progress, ready_at, error = found
    return {
        **entry.model_dump(),
        "course_title": course_title or "",
        "owner_name": owner_name or "",
        "progress": progress or 0.0,
        "ready_at": ready_at,
        "error": error,
    }


def _find(session: Session, where: list[ColumnElement[bool]], query: str, page: int, per_page: int) -> Found:
    if query:
        found = (
            col(column).icontains(query, autoescape=True)
            for column in (MediaEntryRow.title, MediaEntryRow.room_name)
        )
        where = [*where, or_(*found)]
    total = session.execute(select(func.count()).select_from(MediaEntryRow).where(*where)).scalar_one()
    rows = session.execute(
        _base()
        .where(*where)
        .order_by(col(MediaEntryRow.recorded_at).desc(), col(MediaEntryRow.id))
        .offset(page * per_page)
        .limit(per_page)
    ).all()
    return Found([_row(row) for row in rows], int(total))


def find_mine(db: Database, person_id: str, query: str = "", page: int = 0, per_page: int = 24) -> Found:
    """Entries that a person owns, across all courses."""
    with db.read() as session:
        return _find(session, [col(MediaEntryRow.owner_id) == person_id], query, page, per_page)


def find_channel(
    db: Database,
    course_id: str,
    *,
    unpublished: bool,
    copied_from: Sequence[str] = (),
    query: str = "",
    page: int = 0,
    per_page: int = 24,
) -> Found:
    """A course's entries: the published ones, or all; and the published ones of courses that it was copied from."""
    shown = and_(col(MediaEntryRow.published).is_(True), col(MediaEntryRow.status) == "ready")
    own = col(MediaEntryRow.course_id) == course_id
    where = [own if unpublished else and_(own, shown)]
    if copied_from:
        where = [or_(where[0], and_(col(MediaEntryRow.course_id).in_(list(copied_from)), shown))]
    with db.read() as session:
        return _find(session, where, query, page, per_page)


def find_folder(
    db: Database, course_id: str, folder: str, query: str = "", page: int = 0, per_page: int = 24
) -> Found:
    """A course's entries in one folder."""
    where = [col(MediaEntryRow.course_id) == course_id, col(MediaEntryRow.folder) == folder]
    with db.read() as session:
        return _find(session, where, query, page, per_page)


def get_entry(db: Database, entry_id: str) -> dict[str, Any] | None:
    with db.read() as session:
        found = session.execute(_base().where(col(MediaEntryRow.id) == entry_id)).first()
        return None if found is None else _row(found)


def entry_of_recording(db: Database, recording_id: str) -> dict[str, Any] | None:
    with db.read() as session:
        found = session.execute(_base().where(col(MediaEntryRow.recording_id) == recording_id)).first()
        return None if found is None else _row(found)


def count_mine(db: Database, person_id: str) -> int:
    with db.read() as session:
        query = (
            select(func.count()).select_from(MediaEntryRow).where(col(MediaEntryRow.owner_id) == person_id)
        )
        return int(session.execute(query).scalar_one())


def save_entry(
    db: Database, entry_id: str, values: Mapping[str, Any], *, unless: Container[str] = ()
) -> None:
    """Insert or change an entry. ``values`` are column values; a new one needs all that have no default.

    An entry whose status is in ``unless`` stays as it is.
    """
    try:
        _save(db, entry_id, values, unless)
    except IntegrityError:
        # Somebody inserted it in the same moment: now it is there to be changed.
        _save(db, entry_id, values, unless)


def _save(db: Database, entry_id: str, values: Mapping[str, Any], unless: Container[str]) -> None:
    with db.write() as session:
        row = session.get(MediaEntryRow, entry_id)
        if row is None:
            session.add(MediaEntryRow(id=entry_id, **values))
            return
        if row.status in unless:
            return
        for key, value in values.items():
            setattr(row, key, value)


def delete_entry(db: Database, entry_id: str) -> None:
    """Delete an entry and the list of its files."""
    with db.write() as session:
        session.execute(delete(MediaFileRow).where(col(MediaFileRow.entry_id) == entry_id))
        row = session.get(MediaEntryRow, entry_id)
        if row is not None:
            session.delete(row)


def expired_entries(db: Database, now: datetime) -> list[dict[str, Any]]:
    """Entries whose time is over and that still have files."""
    with db.read() as session:
        where = (col(MediaEntryRow.expires_at) < now, col(MediaEntryRow.status) != "expired")
        return [_row(row) for row in session.execute(_base().where(*where)).all()]
