"""Media entries: writing them, and the queries behind My Media, the channel and the moderators' places."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from models.store.database import Database
from models.store.media_files import MediaFile, add_files
from models.store.search import matches
from models.tables import CourseRow, MediaEntryRow, MediaFileRow, PersonRow, RecordingRow, TransferRow
from models.values import EntryId


@dataclass(frozen=True, slots=True)
class Found:
    """One page of entries, each a mapping of column values and names, and how many there are in all."""

    rows: list[dict[str, Any]]
    total: int


def _base() -> Select[MediaEntryRow, str, str, str, float, datetime | None, str | None]:
    return (
        select(
            MediaEntryRow,
            col(CourseRow.title),
            col(CourseRow.time_zone),
            col(PersonRow.name),
            col(RecordingRow.progress),
            col(RecordingRow.eta_at),
            col(RecordingRow.error),
        )
        .join(CourseRow, col(CourseRow.id) == col(MediaEntryRow.course_id), isouter=True)
        .join(PersonRow, col(PersonRow.id) == col(MediaEntryRow.owner_id), isouter=True)
        .join(RecordingRow, col(RecordingRow.id) == col(MediaEntryRow.recording_id), isouter=True)
    )


def _row(db: Database, found: Any) -> dict[str, Any]:
    entry, course_title, time_zone, owner_name, progress, ready_at, error = found
    return {
        **entry.model_dump(),
        "course_title": course_title or "",
        "time_zone": time_zone or db.time_zone,
        "owner_name": owner_name or "",
        "progress": progress or 0.0,
        "ready_at": ready_at,
        "error": error,
    }


def _find(
    db: Database, session: Session, where: list[ColumnElement[bool]], query: str, page: int, per_page: int
) -> Found:
    if query:
        courses = select(col(CourseRow.id)).where(matches(CourseRow.search_key, query))
        where = [
            *where,
            or_(matches(MediaEntryRow.search_key, query), col(MediaEntryRow.course_id).in_(courses)),
        ]
    total = session.execute(select(func.count()).select_from(MediaEntryRow).where(*where)).scalar_one()
    rows = session.execute(
        _base()
        .where(*where)
        .order_by(col(MediaEntryRow.recorded_at).desc(), col(MediaEntryRow.id))
        .offset(page * per_page)
        .limit(per_page)
    ).all()
    return Found([_row(db, row) for row in rows], int(total))


def find_mine(db: Database, person_id: str, query: str = "", page: int = 0, per_page: int = 24) -> Found:
    """Entries that a person owns, across all courses."""
    with db.read() as session:
        return _find(db, session, [col(MediaEntryRow.owner_id) == person_id], query, page, per_page)


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
        return _find(db, session, where, query, page, per_page)


def find_folder(
    db: Database, course_id: str, folder: str, query: str = "", page: int = 0, per_page: int = 24
) -> Found:
    """A course's entries in one folder."""
    where = [col(MediaEntryRow.course_id) == course_id, col(MediaEntryRow.folder) == folder]
    with db.read() as session:
        return _find(db, session, where, query, page, per_page)


def find_unowned(db: Database, course_id: str, query: str = "", page: int = 0, per_page: int = 24) -> Found:
    """A course's recordings that belong to no person."""
    where = [
        col(MediaEntryRow.course_id) == course_id,
        col(MediaEntryRow.owner_id).is_(None),
        col(MediaEntryRow.recording_id).is_not(None),
    ]
    with db.read() as session:
        return _find(db, session, where, query, page, per_page)


def get_entry(db: Database, entry_id: str) -> dict[str, Any] | None:
    with db.read() as session:
        found = session.execute(_base().where(col(MediaEntryRow.id) == entry_id)).first()
        return None if found is None else _row(db, found)


def entry_of_recording(db: Database, recording_id: str) -> dict[str, Any] | None:
    with db.read() as session:
        found = session.execute(_base().where(col(MediaEntryRow.recording_id) == recording_id)).first()
        return None if found is None else _row(db, found)


def count_mine(db: Database, person_id: str) -> int:
    with db.read() as session:
        query = (
            select(func.count()).select_from(MediaEntryRow).where(col(MediaEntryRow.owner_id) == person_id)
        )
        return int(session.execute(query).scalar_one())


def save_entry(
    db: Database,
    entry_id: str,
    values: Mapping[str, Any],
    *,
    unless: Container[str] = (),
    first: Mapping[str, Any] | None = None,
) -> None:
    """Insert or change an entry. ``values`` are column values; ``first`` are those that only a new entry gets, which needs
    all that have no default.

    An entry whose status is in ``unless`` stays as it is.
    """
    try:
        _save(db, entry_id, values, unless, first or {})
    except IntegrityError:
        # Somebody inserted it in the same moment: now it is there to be changed.
        _save(db, entry_id, values, unless, first or {})


def _save(
    db: Database, entry_id: str, values: Mapping[str, Any], unless: Container[str], first: Mapping[str, Any]
) -> None:
    with db.write() as session:
        row = session.get(MediaEntryRow, entry_id)
        if row is None:
            session.add(MediaEntryRow(id=entry_id, **{**values, **first}))
            return
        if row.status in unless:
            return
        for key, value in values.items():
            setattr(row, key, value)


def uploaded_bytes(db: Database, person_id: str) -> int:
    """What a person's uploads take together."""
    with db.read() as session:
        return _uploaded_bytes(session, person_id)


def _uploaded_bytes(session: Session, person_id: str) -> int:
    total = select(func.coalesce(func.sum(col(MediaEntryRow.size_bytes)), 0)).where(
        col(MediaEntryRow.owner_id) == person_id,
        col(MediaEntryRow.recording_id).is_(None),
        col(MediaEntryRow.status) != "expired",
    )
    return int(session.execute(total).scalar_one())


def add_upload(
    db: Database, entry_id: str, values: Mapping[str, Any], files: Iterable[MediaFile], quota_bytes: int
) -> bool:
    """A new entry with its files, unless its owner's uploads would take more than ``quota_bytes`` then (0: no quota)."""
    with db.write() as session:
        # Uploads of one person queue here, so that two cannot both take the last room.
        session.get(PersonRow, values["owner_id"], with_for_update=True)
        if quota_bytes and _uploaded_bytes(session, values["owner_id"]) + values["size_bytes"] > quota_bytes:
            return False
        session.add(MediaEntryRow(id=entry_id, **values))
        session.flush()
        add_files(session, EntryId(entry_id), files)
    return True


def delete_entry(db: Database, entry_id: str) -> None:
    """Delete an entry and the list of its files."""
    with db.write() as session:
        session.execute(delete(MediaFileRow).where(col(MediaFileRow.entry_id) == entry_id))
        row = session.get(MediaEntryRow, entry_id)
        if row is not None:
            session.delete(row)


def expired_entries(db: Database, now: datetime, *, copied: bool, most: int = 200) -> list[dict[str, Any]]:
    """Entries whose time is over and that still have files, those first that wait longest. ``copied``: with transfers?"""
    transfer = (
        select(col(TransferRow.id))
        .where(col(TransferRow.entry_id) == col(MediaEntryRow.id), col(TransferRow.status) != "deleted")
        .exists()
    )
    where = (col(MediaEntryRow.expires_at) < now, col(MediaEntryRow.status) != "expired")
    with db.read() as session:
        rows = session.execute(
            _base()
            .where(*where, transfer if copied else ~transfer)
            .order_by(col(MediaEntryRow.expires_at), col(MediaEntryRow.id))
            .limit(most)
        ).all()
    return [_row(db, row) for row in rows]
