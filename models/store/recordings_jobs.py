"""Recordings as work: which ones still run, which wait to be composed, and the lease of who composes one now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, update
from sqlmodel import col, select

from models.store.database import Database
from models.tables import CourseRow, RecordingRow, SessionRow
from models.values import CourseId, PersonId, RecordingId, RecordingStatus, RoomId, SessionId

LIVE = (RecordingStatus.INVOKED, RecordingStatus.RECORDING, RecordingStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """What the library needs to know of a recording. ``title`` is the room's or session's name as people know it."""

    recording_id: RecordingId
    session_id: SessionId
    course_id: CourseId
    course_title: str
    session_title: str
    room_id: RoomId
    room_name: str
    is_breakout: bool
    started_by: PersonId | None
    invoked_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    attempts: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the defaults of RecordingOptions."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A recording that still runs. ``composed_s``: how much of it is composed already."""

    recording_id: RecordingId
    started_at: datetime
    composed_s: float


def live_sessions(db: Database) -> list[SessionId]:
    """Sessions, open or ended, with a recording that the recorder must still look after."""
    with db.read() as session:
        rows = session.exec(
            select(RecordingRow.session_id)
            .where(col(RecordingRow.status).in_([s.value for s in LIVE]))
            .distinct()
        ).all()
    return [SessionId(row) for row in rows]


def waiting(db: Database, now: datetime) -> list[RecordingId]:
    """Recordings that wait for composition and are leased by nobody, oldest first."""
    with db.read() as session:
        rows = session.exec(
            select(RecordingRow.id)
            .where(
                RecordingRow.status == RecordingStatus.UPLOADING.value,
                or_(col(RecordingRow.lease_until).is_(None), col(RecordingRow.lease_until) < now),
            )
            .order_by(col(RecordingRow.invoked_at))
        ).all()
    return [RecordingId(row) for row in rows]


def followable(db: Database, now: datetime) -> list[Followed]:
    """Recordings that run and whose film nobody follows, the one with the longest way to go first."""
    running = [RecordingStatus.RECORDING.value, RecordingStatus.PAUSED.value]
    with db.read() as session:
        rows = session.exec(
            select(RecordingRow).where(
                col(RecordingRow.status).in_(running),
                col(RecordingRow.started_at).is_not(None),
                or_(col(RecordingRow.lease_until).is_(None), col(RecordingRow.lease_until) < now),
            )
        ).all()
    found = [
        Followed(RecordingId(row.id), row.started_at, row.composed_s)
        for row in rows
        if row.started_at is not None and row.options.get("type", "COMPOSITE") == "COMPOSITE"
    ]
    return sorted(found, key=lambda f: (now - f.started_at).total_seconds() - f.composed_s, reverse=True)


def ready_times(db: Database, session_id: SessionId) -> dict[RecordingId, datetime]:
    """When each film of a session that is being prepared will be ready, where that is known."""
    with db.read() as session:
        rows = session.exec(
            select(RecordingRow).where(
                RecordingRow.session_id == session_id,
                RecordingRow.status == RecordingStatus.UPLOADING.value,
                col(RecordingRow.eta_at).is_not(None),
            )
        ).all()
    return {RecordingId(row.id): row.eta_at for row in rows if row.eta_at is not None}


def status_of(db: Database, recording_id: RecordingId) -> RecordingStatus | None:
    with db.read() as session:
        row = session.get(RecordingRow, recording_id)
    return RecordingStatus(row.status) if row is not None else None


def follow(db: Database, recording_id: RecordingId, owner: str, now: datetime, life: timedelta) -> bool:
    """Take a recording that still runs, to compose it meanwhile; no attempt is counted."""
    running = [RecordingStatus.RECORDING.value, RecordingStatus.PAUSED.value]
    with db.write() as session:
        result = session.execute(
            update(RecordingRow)
            .where(
                col(RecordingRow.id) == recording_id,
                col(RecordingRow.status).in_(running),
                or_(col(RecordingRow.lease_until).is_(None), col(RecordingRow.lease_until) < now),
            )
            .values(lease_owner=owner, lease_until=now + life)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def lease(db: Database, recording_id: RecordingId, owner: str, now: datetime, life: timedelta) -> bool:
    """Take a waiting recording for ``owner``; False when somebody else was faster. Counts the attempt."""
    with db.write() as session:
        result = session.execute(
            update(RecordingRow)
            .where(
                col(RecordingRow.id) == recording_id,
                col(RecordingRow.status) == RecordingStatus.UPLOADING.value,
                or_(col(RecordingRow.lease_until).is_(None), col(RecordingRow.lease_until) < now),
            )
            .values(lease_owner=owner, lease_until=now + life, attempts=RecordingRow.attempts + 1)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def renew(
    db: Database,
    recording_id: RecordingId,
    owner: str,
    lease_until: datetime,
    progress: float,
    composed_s: float,
    eta_at: datetime | None,
) -> bool:
    """Prolong the lease and say how far the film is (``progress`` 0…1). False: the lease belongs to another by now."""
    with db.write() as session:
        result = session.execute(
            update(RecordingRow)
            .where(col(RecordingRow.id) == recording_id, col(RecordingRow.lease_owner) == owner)
            .values(lease_until=lease_until, progress=progress, composed_s=composed_s, eta_at=eta_at)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def release(db: Database, recording_id: RecordingId, owner: str, not_before: datetime | None = None) -> None:
    """Give the lease back; with ``not_before`` nobody takes it earlier (a pause after a failure)."""
    with db.write() as session:
        session.execute(
            update(RecordingRow)
            .where(col(RecordingRow.id) == recording_id, col(RecordingRow.lease_owner) == owner)
            .values(lease_owner="", lease_until=not_before, eta_at=None)
            .execution_options(synchronize_session=False)
        )


def write_facts(
    db: Database, recording_id: RecordingId, *, size_bytes: int, file_name: str, journal_path: str
) -> None:
    """What the composition made; written before the UPLOADED report."""
    with db.write() as session:
        session.execute(
            update(RecordingRow)
            .where(col(RecordingRow.id) == recording_id)
            .values(
                size_bytes=size_bytes,
                file_name=file_name,
                journal_path=journal_path,
                progress=1.0,
                eta_at=None,
            )
            .execution_options(synchronize_session=False)
        )


def recording_info(db: Database, recording_id: RecordingId) -> RecordingInfo | None:
    """The recording with its session's and course's names."""
    with db.read() as session:
        row = session.get(RecordingRow, recording_id)
        if row is None:
            return None
        place = session.get(SessionRow, row.session_id)
        course = session.get(CourseRow, row.course_id)
    return RecordingInfo(
        recording_id=RecordingId(row.id),
        session_id=SessionId(row.session_id),
        course_id=CourseId(row.course_id),
        course_title=course.title if course is not None else "",
        session_title=place.title if place is not None else "",
        room_id=RoomId(row.room_id),
        room_name=row.room_name,
        is_breakout=row.is_breakout,
        started_by=PersonId(row.started_by) if row.started_by else None,
        invoked_at=row.invoked_at,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        attempts=row.attempts,
        options=row.options,
    )


def uploaded_before(db: Database, at: datetime) -> set[str]:
    """Ids of recordings whose film has been in the library since before ``at``."""
    with db.read() as session:
        where = (RecordingRow.status == RecordingStatus.UPLOADED.value, col(RecordingRow.stopped_at) < at)
        return set(session.exec(select(RecordingRow.id).where(*where)).all())
