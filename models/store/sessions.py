"""Sessions: the open one of a course's room, made atomically."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.store.database import Database
from models.tables import EventRow, SessionRow


def live_key(course_id: str, room_key: str) -> str:
    return f"{course_id}/{room_key}"


def live_session(db: Database, course_id: str, room_key: str) -> str | None:
    """Id of the open session of a course's room."""
    with db.read() as session:
        return session.exec(
            select(SessionRow.id).where(SessionRow.live_key == live_key(course_id, room_key))
        ).first()


def live_sessions_of(db: Database, course_id: str) -> list[str]:
    """Ids of the open sessions of a course, newest first."""
    with db.read() as session:
        rows = session.exec(
            select(SessionRow).where(SessionRow.course_id == course_id, SessionRow.status == "open")
        ).all()
    return [row.id for row in sorted(rows, key=lambda r: r.opened_at, reverse=True)]


def add_session(
    db: Database, session_id: str, course_id: str, room_key: str, title: str, at: datetime
) -> bool:
    """Add a session row; False when the room has an open session already."""
    row = SessionRow(
        id=session_id,
        course_id=course_id,
        room_key=room_key,
        live_key=live_key(course_id, room_key),
        title=title,
        opened_at=at,
    )
    try:
        with db.write() as session:
            session.add(row)
    except IntegrityError:
        return False
    return True


def was_ended_by_moderator(db: Database, course_id: str, room_key: str) -> bool:
    """Whether a moderator (or an integrator) ended the room's newest session for everyone."""
    newest = (
        select(SessionRow.id)
        .where(SessionRow.course_id == course_id, SessionRow.room_key == room_key)
        .order_by(col(SessionRow.opened_at).desc())
        .limit(1)
    )
    with db.read() as session:
        session_id = session.exec(newest).first()
        if session_id is None:
            return False
        how = select(EventRow.data).where(EventRow.session_id == session_id, EventRow.type == "session_ended")
        ended = session.exec(how).first()
    return ended is not None and ended.get("reason") == "moderator"


def open_sessions(db: Database) -> list[str]:
    """Ids of all open sessions, in order of opening."""
    with db.read() as session:
        rows = session.exec(select(SessionRow).where(SessionRow.status == "open")).all()
    return [row.id for row in sorted(rows, key=lambda r: r.opened_at)]


def session_place(db: Database, session_id: str) -> tuple[str, str, str] | None:
    """(course_id, room_key, title) of a session."""
    with db.read() as session:
        row = session.get(SessionRow, session_id)
        return None if row is None else (row.course_id, row.room_key, row.title)
