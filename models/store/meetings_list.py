"""Sessions as integrators look for them, and what was recorded in a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlmodel import col

from models.store.database import Database
from models.store.search import matches
from models.tables import CourseRow, MediaEntryRow, MediaFileRow, RecordingRow, SessionRow
from models.values import CourseId


@dataclass(frozen=True, slots=True)
class Meeting:
    """A session with its course's title."""

    session_id: str
    title: str
    course_id: str
    course_title: str
    is_open: bool
    opened_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class MeetingFilter:
    """``course_id`` None: all courses. ``search`` is an id or a part of a title. Times bound ``opened_at``: from ≤ t < to."""

    course_id: CourseId | None = None
    is_open: bool | None = None
    search: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        where: list[ColumnElement[bool]] = []
        if self.course_id is not None:
            where.append(col(SessionRow.course_id) == self.course_id)
        if self.is_open is not None:
            is_open = col(SessionRow.status) == "open"
            where.append(is_open if self.is_open else ~is_open)
        if self.search:
            found = [matches(key, self.search) for key in (SessionRow.search_key, CourseRow.search_key)]
            where.append(or_(col(SessionRow.id) == self.search, *found))
        if self.start is not None:
            where.append(col(SessionRow.opened_at) >= self.start)
        if self.end is not None:
            where.append(col(SessionRow.opened_at) < self.end)
        return where


def find_meetings(db: Database, wanted: MeetingFilter, page: int, per_page: int) -> tuple[list[Meeting], int]:
    """One page (from 0), newest first, and how many there are."""
    joined = (CourseRow, col(CourseRow.id) == col(SessionRow.course_id))
    where = wanted.conditions()
    with db.read() as session:
        counting = select(func.count()).select_from(SessionRow).join(*joined, isouter=True)
        total = session.execute(counting.where(*where)).scalar_one()
        rows = session.execute(
            select(SessionRow, col(CourseRow.title))
            .join(*joined, isouter=True)
            .where(*where)
            .order_by(col(SessionRow.opened_at).desc(), col(SessionRow.id))
            .offset(page * per_page)
            .limit(per_page)
        ).all()
    return [_meeting(row, title) for row, title in rows], int(total)


def get_meeting(db: Database, session_id: str, course_id: CourseId | None) -> Meeting | None:
    """The session, when it is one of this course (None: of any)."""
    with db.read() as session:
        found = session.execute(
            select(SessionRow, col(CourseRow.title))
            .join(CourseRow, col(CourseRow.id) == col(SessionRow.course_id), isouter=True)
            .where(col(SessionRow.id) == session_id, *MeetingFilter(course_id).conditions())
        ).one_or_none()
    return None if found is None else _meeting(*found)


def _meeting(row: SessionRow, title: str | None) -> Meeting:
    return Meeting(
        row.id, row.title, row.course_id, title or "", row.status == "open", row.opened_at, row.ended_at
    )


# -- usage -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """One course's recordings of one month (UTC, by the start call). ``files`` and ``bytes`` are what is kept of them."""

    year: int
    month: int
    course_id: str
    course_title: str
    recordings: int
    recorded_s: float
    composer_s: float
    files: int
    bytes: int


def usage(db: Database, course_id: CourseId | None, start: datetime, end: datetime) -> list[Usage]:
    """Newest month first, then by course; ``start`` ≤ start call < ``end``."""
    at: Any = col(RecordingRow.invoked_at)
    at = at if db.is_sqlite else func.timezone("UTC", at)
    year, month = func.extract("year", at).label("year"), func.extract("month", at).label("month")
    where = [col(RecordingRow.invoked_at) >= start, col(RecordingRow.invoked_at) < end]
    if course_id is not None:
        where.append(col(RecordingRow.course_id) == course_id)
    keys = (year, month, col(RecordingRow.course_id))
    composing: Any = col(MediaEntryRow.quality)
    recorded = (
        select(
            *keys,
            func.count(),
            func.coalesce(func.sum(col(RecordingRow.duration_s)), 0.0),
            func.coalesce(func.sum(composing["seconds"].as_float()), 0.0),
        )
        .join(MediaEntryRow, col(MediaEntryRow.recording_id) == col(RecordingRow.id), isouter=True)
        .where(*where)
        .group_by(*keys)
    )
    # The first film's time stands with its entry, that of later ones with their files.
    again: Any = col(MediaFileRow.quality)
    is_later = col(MediaFileRow.name) != col(MediaEntryRow.file_name)
    kept = (
        select(
            *keys,
            func.count(),
            func.coalesce(func.sum(col(MediaFileRow.size_bytes)), 0),
            func.coalesce(func.sum(case((is_later, again["seconds"].as_float()), else_=0.0)), 0.0),
        )
        .join(MediaEntryRow, col(MediaEntryRow.recording_id) == col(RecordingRow.id))
        .join(MediaFileRow, col(MediaFileRow.entry_id) == col(MediaEntryRow.id))
        .where(*where)
        .group_by(*keys)
    )
    with db.read() as session:
        rows = session.execute(recorded).all()
        files = {tuple(row[:3]): row for row in session.execute(kept).all()}
        courses = {row[2] for row in rows}
        named = session.execute(
            select(col(CourseRow.id), col(CourseRow.title)).where(col(CourseRow.id).in_(courses))
        ).all()
    titles: dict[str, str] = {row[0]: row[1] for row in named}
    found = []
    for row in rows:
        kept_of = files.get(tuple(row[:3]), (0, 0, "", 0, 0, 0.0))
        found.append(
            Usage(
                year=int(row[0]),
                month=int(row[1]),
                course_id=row[2],
                course_title=titles.get(row[2], ""),
                recordings=int(row[3]),
                recorded_s=float(row[4]),
                composer_s=float(row[5]) + float(kept_of[5]),
                files=int(kept_of[3]),
                bytes=int(kept_of[4]),
            )
        )
    return sorted(found, key=lambda u: (-u.year, -u.month, u.course_title, u.course_id))
