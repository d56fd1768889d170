"""Meetings that were looked at for attendance, and attendance scores on their way into the LMS's gradebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from models.attendance import SETTING, AttendanceSettings, from_json
from models.store.database import Database
from models.store.people import PREVIEW, set_course_setting
from models.tables import (
    AttendanceRow,
    CourseRow,
    GradeColumnRow,
    MeetingRow,
    MembershipRow,
    PersonRow,
    ScoreRow,
    SessionRow,
)
from models.values import CourseId, PersonId, Role, SessionId

LOOK_BACK: Final = timedelta(days=7)
LEASE: Final = timedelta(minutes=5)
BACKOFF: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)


@dataclass(frozen=True, slots=True)
class Meeting:
    """A session that has ended."""

    session_id: SessionId
    course_id: CourseId
    room_key: str
    title: str


@dataclass(frozen=True, slots=True)
class Column:
    """A room's column. ``url`` empty: not made yet; ``made_maximum``: what it has in the LMS now."""

    title: str
    url: str
    maximum: float
    made_maximum: float


@dataclass(frozen=True, slots=True)
class Score:
    """A score to send; ``sub`` is the person as the LMS knows them."""

    course_id: CourseId
    room_key: str
    person_id: PersonId
    sub: str
    points: float
    comment: str


# -- meetings --------------------------------------------------------------------------------------------------


def unseen_meetings(db: Database, now: datetime, most: int = 20) -> list[Meeting]:
    """Sessions that ended lately and were not looked at."""
    query = (
        select(SessionRow)
        .join(MeetingRow, col(MeetingRow.session_id) == col(SessionRow.id), isouter=True)
        .join(CourseRow, col(CourseRow.id) == col(SessionRow.course_id))
        .where(
            SessionRow.status == "ended",
            col(SessionRow.ended_at) > now - LOOK_BACK,
            col(MeetingRow.session_id).is_(None),
        )
        .order_by(col(SessionRow.ended_at))
        .limit(most)
    )
    with db.read() as session:
        rows = session.exec(query).all()
    return [Meeting(SessionId(r.id), CourseId(r.course_id), r.room_key, r.title) for r in rows]


def save_meeting(
    db: Database,
    meeting: Meeting,
    now: datetime,
    *,
    counts: bool,
    length_s: float = 0.0,
    present_s: Mapping[PersonId, float] | None = None,
) -> None:
    """Keep what was found of a meeting; when it counts, everybody's score of its room is worked out anew."""
    row = MeetingRow(
        session_id=meeting.session_id,
        course_id=meeting.course_id,
        room_key=meeting.room_key,
        counts=counts,
        length_s=length_s,
        at=now,
    )
    try:
        with db.write() as session:
            session.add(row)
            session.flush()
            if not counts:
                return
            course = session.get(CourseRow, meeting.course_id)
            settings = from_json((course.settings if course is not None else {}).get(SETTING))
            known = set(
                session.exec(select(PersonRow.id).where(col(PersonRow.id).in_(list(present_s or {})))).all()
            )
            for person_id, seconds in (present_s or {}).items():
                if person_id in known:
                    attended = seconds * 100 >= length_s * settings.min_percent
                    session.add(
                        AttendanceRow(
                            session_id=meeting.session_id,
                            person_id=person_id,
                            present_s=seconds,
                            attended=attended,
                        )
                    )
            column = session.get(GradeColumnRow, (meeting.course_id, meeting.room_key))
            if column is None:
                column = GradeColumnRow(
                    course_id=meeting.course_id,
                    room_key=meeting.room_key,
                    title=meeting.title,
                    maximum=settings.maximum,
                )
                session.add(column)
            column.title = meeting.title or column.title
            session.flush()
            _work_out(session, column, settings.maximum, now)
    except IntegrityError:
        return  # another worker was faster


def set_attendance(db: Database, course_id: str, wanted: AttendanceSettings) -> None:
    """Change whether and how a course scores attendance; what was scored before follows."""
    set_course_setting(db, course_id, SETTING, asdict(wanted))
    _work_out_again(db, course_id)


def _work_out_again(db: Database, course_id: str) -> None:
    """The course's settings have changed: give every room's scores the new maximum."""
    now = datetime.now(UTC)
    with db.write() as session:
        course = session.get(CourseRow, course_id)
        settings = from_json((course.settings if course is not None else {}).get(SETTING))
        if not settings.enabled:
            session.execute(update(ScoreRow).where(col(ScoreRow.course_id) == course_id).values(due_at=None))
            return
        for column in session.exec(select(GradeColumnRow).where(GradeColumnRow.course_id == course_id)).all():
            _work_out(session, column, settings.maximum, now)


def _work_out(session: Session, column: GradeColumnRow, maximum: float, now: datetime) -> None:
    """Scores of one room: the share of its meetings that each participant of the course attended."""
    column.maximum = maximum
    meetings = (
        MeetingRow.course_id == column.course_id,
        MeetingRow.room_key == column.room_key,
        col(MeetingRow.counts).is_(True),
    )
    held = session.exec(select(func.count()).select_from(MeetingRow).where(*meetings)).one()
    attended = dict(
        session.exec(
            select(AttendanceRow.person_id, func.count())
            .join(MeetingRow, col(MeetingRow.session_id) == col(AttendanceRow.session_id))
            .where(*meetings, col(AttendanceRow.attended).is_(True))
            .group_by(AttendanceRow.person_id)
        ).all()
    )
    # Staff cannot hold grades; who has left the course has none either.
    people = session.exec(
        select(MembershipRow.person_id).where(
            MembershipRow.course_id == column.course_id,
            MembershipRow.role == Role.PARTICIPANT.value,
            MembershipRow.source != PREVIEW,
        )
    ).all()
    for person_id in people:
        count = attended.get(person_id, 0)
        points = round(maximum * count / held, 2) if held else 0.0
        comment = f"Attended {count} of {held}"
        key = (column.course_id, column.room_key, person_id)
        row = session.get(ScoreRow, key)
        if row is None:
            row = ScoreRow(course_id=key[0], room_key=key[1], person_id=person_id, points=points)
            session.add(row)
        elif (row.points, row.comment) == (points, comment) and column.made_maximum == maximum:
            continue
        row.points, row.comment, row.due_at, row.attempts = points, comment, now, 0


# -- on their way ----------------------------------------------------------------------------------------------


def courses_with_due_scores(db: Database, now: datetime, most: int = 20) -> list[CourseId]:
    with db.read() as session:
        rows = session.exec(
            select(ScoreRow.course_id).where(col(ScoreRow.due_at) <= now).distinct().limit(most)
        ).all()
    return [CourseId(row) for row in rows]


def take_scores(db: Database, course_id: str, now: datetime, most: int = 500) -> list[Score]:
    """Scores of a course that are due, for one caller; due again when the caller never tells what came of them."""
    with db.write() as session:
        rows = session.exec(
            select(ScoreRow, PersonRow.sub)
            .join(PersonRow, col(PersonRow.id) == col(ScoreRow.person_id))
            .where(ScoreRow.course_id == course_id, col(ScoreRow.due_at) <= now)
            .order_by(ScoreRow.room_key, ScoreRow.person_id)
            .limit(most)
        ).all()
        for row, _ in rows:
            row.due_at = now + LEASE
        return [
            Score(
                CourseId(row.course_id),
                row.room_key,
                PersonId(row.person_id),
                sub,
                row.points,
                row.comment,
            )
            for row, sub in rows
        ]


def score_sent(db: Database, score: Score, now: datetime) -> None:
    """It stands in the gradebook; if it has changed meanwhile, the newer one is due."""
    with db.write() as session:
        row = session.get(ScoreRow, (score.course_id, score.room_key, score.person_id))
        if row is None:
            return
        same = (row.points, row.comment) == (score.points, score.comment)
        row.sent_at, row.error, row.attempts = now, "", 0
        row.due_at = None if same else now


def score_failed(db: Database, score: Score, now: datetime, reason: str, *, permanent: bool) -> None:
    """Try again later, each time later still; not at all when it cannot help."""
    with db.write() as session:
        row = session.get(ScoreRow, (score.course_id, score.room_key, score.person_id))
        if row is None:
            return
        wait = BACKOFF[min(row.attempts, len(BACKOFF) - 1)]
        row.error, row.attempts = reason[:300], row.attempts + 1
        row.due_at = None if permanent else now + wait


def get_column(db: Database, course_id: str, room_key: str) -> Column | None:
    with db.read() as session:
        row = session.get(GradeColumnRow, (course_id, room_key))
    return None if row is None else Column(row.title, row.url, row.maximum, row.made_maximum)


def save_column(db: Database, course_id: str, room_key: str, url: str, made_maximum: float) -> None:
    """Remember the column as it stands in the LMS now (``url`` empty: it is gone)."""
    with db.write() as session:
        row = session.get(GradeColumnRow, (course_id, room_key))
        if row is not None:
            row.url, row.made_maximum = url, made_maximum


@dataclass(frozen=True, slots=True)
class ScoreCount:
    """How far a course's scores have come."""

    sent: int
    waiting: int
    failed: int
    error: str


def count_scores(db: Database, course_id: str) -> ScoreCount:
    with db.read() as session:
        rows = session.exec(select(ScoreRow).where(ScoreRow.course_id == course_id)).all()
    failed = [row for row in rows if row.error]
    waiting = sum(1 for row in rows if row.due_at is not None and not row.error)
    sent = sum(1 for row in rows if row.due_at is None and not row.error and row.sent_at is not None)
    return ScoreCount(sent, waiting, len(failed), failed[0].error if failed else "")
