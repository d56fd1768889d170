"""Recordings as work: which ones still run, which wait to be composed, and the lease of who composes one now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, false, or_, update
from sqlmodel import col, select

from models.store.database import Database
from models.tables import CompositionRow, CourseRow, MediaEntryRow, RecordingRow, SessionRow
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
    time_zone: str = ""
    """Of the course's dates (``courses.time_zone``)."""


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """A closed recording whose film nobody makes at the moment. ``left_s``: what of it is not composed yet."""

    recording_id: RecordingId
    left_s: float
    eta_at: datetime | None


def waiting(db: Database, now: datetime) -> list[Waiting]:
    """Recordings that wait for composition and are leased by nobody, oldest first."""
    with db.read() as session:
        rows = session.exec(
            select(RecordingRow)
            .where(
                RecordingRow.status == RecordingStatus.UPLOADING.value,
                or_(col(RecordingRow.lease_until).is_(None), col(RecordingRow.lease_until) < now),
            )
            .order_by(col(RecordingRow.invoked_at))
        ).all()
    return [
        Waiting(RecordingId(row.id), max(0.0, _length_s(row) - row.composed_s), row.eta_at) for row in rows
    ]


def _length_s(row: RecordingRow) -> float:
    if row.duration_s is not None:
        return row.duration_s
    if row.started_at is None or row.stopped_at is None:
        return 0.0
    return (row.stopped_at - row.started_at).total_seconds()


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
    """Prolong the lease and say how far the film is (``progress`` 0…1); ``eta_at`` None: what was foretold stays.

    False: the lease belongs to another by now.
    """
    values = {"lease_until": lease_until, "progress": progress, "composed_s": composed_s}
    if eta_at is not None:
        values["eta_at"] = eta_at
    with db.write() as session:
        result = session.execute(
            update(RecordingRow)
            .where(col(RecordingRow.id) == recording_id, col(RecordingRow.lease_owner) == owner)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def release(
    db: Database,
    recording_id: RecordingId,
    owner: str,
    not_before: datetime | None = None,
    *,
    uncounted: bool = False,
) -> None:
    """Give the lease back; with ``not_before`` nobody takes it earlier (a pause after a failure).

    ``uncounted``: it was interrupted from outside, so the attempt that ``lease`` counted was none.
    """
    attempts = RecordingRow.attempts - 1 if uncounted else RecordingRow.attempts
    with db.write() as session:
        session.execute(
            update(RecordingRow)
            .where(col(RecordingRow.id) == recording_id, col(RecordingRow.lease_owner) == owner)
            .values(lease_owner="", lease_until=not_before, eta_at=None, attempts=attempts)
            .execution_options(synchronize_session=False)
        )


def forget_attempts(db: Database, recording_id: RecordingId) -> None:
    """Somebody asks for it to be tried anew."""
    with db.write() as session:
        session.execute(
            update(RecordingRow)
            .where(col(RecordingRow.id) == recording_id)
            .values(attempts=0, lease_owner="", lease_until=None)
            .execution_options(synchronize_session=False)
        )


def foretell(db: Database, ready_at: Mapping[RecordingId, datetime]) -> None:
    """Say when recordings that still wait for their turn will be ready."""
    with db.write() as session:
        for recording_id, at in ready_at.items():
            session.execute(
                update(RecordingRow)
                .where(col(RecordingRow.id) == recording_id, col(RecordingRow.lease_owner) == "")
                .values(eta_at=at)
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
        time_zone=(course.time_zone if course is not None else "") or db.time_zone,
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


def journals_not_needed(db: Database, films_before: datetime | None, failures_before: datetime) -> set[str]:
    """Ids of recordings of which no film will be made any more.

    Those whose film has been in the library since before ``films_before`` (None: for ever), whose film was deleted there or
    has expired, and those that failed before ``failures_before``. None of them has a film that was asked for and waits.
    """
    status, stopped_at = col(RecordingRow.status), col(RecordingRow.stopped_at)
    kept = select(MediaEntryRow.recording_id).where(
        col(MediaEntryRow.recording_id).is_not(None), col(MediaEntryRow.status) != "expired"
    )
    is_gone = col(RecordingRow.id).not_in(kept)
    is_old = stopped_at < films_before if films_before is not None else false()
    asked = select(CompositionRow.recording_id).where(col(CompositionRow.status) == "waiting")
    where = or_(
        and_(status == RecordingStatus.UPLOADED.value, or_(is_gone, is_old)),
        and_(status == RecordingStatus.ERRORED.value, col(RecordingRow.invoked_at) < failures_before),
    )
    with db.read() as session:
        return set(
            session.exec(select(RecordingRow.id).where(where, col(RecordingRow.id).not_in(asked))).all()
        )
