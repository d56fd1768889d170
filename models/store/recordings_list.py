"""Recordings as integrators ask for them: one, a group, the live one of a meeting, lists with filters and paging."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlmodel import col

from models.store.database import Database
from models.store.search import matches
from models.tables import CourseRow, MediaEntryRow, PersonRow, RecordingRow, SessionRow
from models.values import CourseId, RecordingStatus


@dataclass(frozen=True, slots=True)
class ListedRecording:
    """A recording with its meeting's names and, once it is in the library, its entry."""

    recording_id: str
    session_id: str
    course_id: str
    meeting_title: str
    course_title: str
    time_zone: str
    """Of its dates (``courses.time_zone``); empty: UTC."""
    room_id: str
    room_name: str
    parent_id: str | None
    started_by: str | None
    started_by_name: str
    status: str
    desired: str
    """What was asked for: recording, paused or stopped."""
    invoked_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    duration_s: float | None
    progress: float
    eta_at: datetime | None
    error: str | None
    entry_id: str | None
    entry_status: str | None
    title: str | None
    """Its name in the library."""
    published: bool
    file_name: str
    size_bytes: int | None
    expires_at: datetime | None
    options: dict[str, Any]
    layout: str
    start_reason: str
    stop_reason: str | None
    caller: dict[str, Any]
    """``{"start": actor, "stop": actor | null}``; empty for recordings of earlier versions."""
    quality: dict[str, Any]
    mime: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list. ``course_id`` None: all courses. Times bound ``invoked_at``: from ≤ t < to."""

    course_id: CourseId | None = None
    session_id: str | None = None
    statuses: tuple[RecordingStatus, ...] = ()
    search: str = ""
    start: datetime | None = None
    end: datetime | None = None
    expired: bool | None = None
    ascending: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        where: list[ColumnElement[bool]] = []
        course: Any = col(RecordingRow.course_id)
        if self.session_id is not None:
            where.append(col(RecordingRow.session_id) == self.session_id)
            # Hidden from the planner: SQLite would walk all of the course's recordings for the sake of their order.
            course = func.coalesce(course, "")
        if self.course_id is not None:
            where.append(course == self.course_id)
        if self.statuses:
            where.append(col(RecordingRow.status).in_([status.value for status in self.statuses]))
        if self.search:
            named = [matches(key, self.search) for key in (SessionRow.search_key, CourseRow.search_key)]
            where.append(or_(col(RecordingRow.session_id) == self.search, *named))
        if self.start is not None:
            where.append(col(RecordingRow.invoked_at) >= self.start)
        if self.end is not None:
            where.append(col(RecordingRow.invoked_at) < self.end)
        if self.expired is not None:
            expired = func.coalesce(col(MediaEntryRow.status), "") == "expired"
            where.append(expired if self.expired else ~expired)
        return where


def _joined(statement: Select[Any]) -> Select[Any]:
    return (
        statement.select_from(RecordingRow)
        .join(SessionRow, col(SessionRow.id) == col(RecordingRow.session_id), isouter=True)
        .join(CourseRow, col(CourseRow.id) == col(RecordingRow.course_id), isouter=True)
        .join(PersonRow, col(PersonRow.id) == col(RecordingRow.started_by), isouter=True)
        .join(MediaEntryRow, col(MediaEntryRow.recording_id) == col(RecordingRow.id), isouter=True)
    )


def find_recordings(
    db: Database, wanted: Filter, page: int, per_page: int
) -> tuple[list[ListedRecording], int]:
    """One page (from 0), by time of the start call, and how many there are in all."""
    order = col(RecordingRow.invoked_at)
    conditions = wanted.conditions()
    with db.read() as session:
        total = session.execute(_joined(select(func.count())).where(*conditions)).scalar_one()
        found = session.execute(
            _columns()
            .where(*conditions)
            .order_by(order.asc() if wanted.ascending else order.desc(), col(RecordingRow.id))
            .offset(page * per_page)
            .limit(per_page)
        ).all()
    return [_listed(db, row) for row in found], int(total)


def get_recordings(
    db: Database, recording_or_group_id: str, course_id: CourseId | None
) -> list[ListedRecording]:
    """The recording, or all of a group (one start call for all rooms); empty when there is none for this course."""
    where = or_(
        col(RecordingRow.id) == recording_or_group_id, col(RecordingRow.parent_id) == recording_or_group_id
    )
    with db.read() as session:
        found = session.execute(
            _columns().where(where, *Filter(course_id).conditions()).order_by(col(RecordingRow.id))
        ).all()
    return [_listed(db, row) for row in found]


def _columns() -> Select[Any]:
    columns: Any = select(
        RecordingRow,
        MediaEntryRow,
        col(SessionRow.title),
        col(CourseRow.title),
        col(CourseRow.time_zone),
        col(PersonRow.name),
    )
    return _joined(columns)


def _listed(db: Database, found: Any) -> ListedRecording:
    row, entry, meeting_title, course_title, time_zone, person_name = found
    return ListedRecording(
        recording_id=row.id,
        session_id=row.session_id,
        course_id=row.course_id,
        meeting_title=meeting_title or "",
        course_title=course_title or "",
        time_zone=time_zone or db.time_zone,
        room_id=row.room_id,
        room_name=row.room_name,
        parent_id=row.parent_id,
        started_by=row.started_by,
        started_by_name=person_name or "",
        status=row.status,
        desired=row.desired,
        invoked_at=row.invoked_at,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        duration_s=row.duration_s,
        progress=row.progress,
        eta_at=row.eta_at,
        error=row.error,
        entry_id=entry.id if entry is not None else None,
        entry_status=entry.status if entry is not None else None,
        title=entry.title if entry is not None else None,
        published=entry is not None and entry.published,
        file_name=entry.file_name if entry is not None else "",
        size_bytes=row.size_bytes,
        expires_at=entry.expires_at if entry is not None else None,
        options=row.options,
        layout=row.layout,
        start_reason=row.start_reason,
        stop_reason=row.stop_reason,
        caller=row.caller,
        quality=entry.quality if entry is not None else {},
        mime=entry.mime if entry is not None else "",
    )
