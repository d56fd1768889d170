"""The event log and what is written with it: events, sessions, answered commands, recording rows. One transaction each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import func, text
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from models.store.database import Database
from models.tables import CommandRow, EventRow, RecordingRow, SessionRow


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the log. ``id`` orders the tail of all sessions."""

    id: int
    session_id: str
    seq: int
    at: datetime
    command_id: str
    actor: dict[str, Any]
    type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What a commit says about one recording: written to its row in the same transaction."""

    id: str
    session_id: str
    course_id: str
    room_id: str
    room_name: str
    is_breakout: bool
    parent_id: str | None
    started_by: str | None
    status: str
    desired: str
    invoked_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    duration_s: float
    error: str | None
    options: dict[str, Any]
    layout: str
    start_reason: str
    stop_reason: str | None
    caller: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one accepted command writes."""

    session_id: str
    command_id: str
    at: datetime
    first_seq: int
    events: Sequence[tuple[str, dict[str, Any]]]
    actor: dict[str, Any]
    ended: bool = False
    recordings: Sequence[RecordingFacts] = ()


@contextmanager
def alone(db: Database, session_id: str) -> Iterator[Session]:
    """A transaction in which nobody else appends to this session's log: what is read and decided in it will be the newest."""
    with db.write() as session:
        if not db.is_sqlite:  # SQLite's write lock is for everything
            session.connection().execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": session_id}
            )
        yield session


def append(db: Database, commit: Commit) -> None:
    """Write a commit. Raises sqlalchemy's IntegrityError when its seq or its command_id is taken."""
    with alone(db, commit.session_id) as session:
        append_within(session, commit)


def append_within(session: Session, commit: Commit) -> None:
    """``append`` in a transaction of ``alone``."""
    last_seq = commit.first_seq + len(commit.events) - 1
    session.add(
        CommandRow(
            command_id=commit.command_id,
            session_id=commit.session_id,
            first_seq=commit.first_seq,
            last_seq=last_seq,
            at=commit.at,
        )
    )
    for number, (kind, data) in enumerate(commit.events):
        session.add(
            EventRow(
                session_id=commit.session_id,
                seq=commit.first_seq + number,
                at=commit.at,
                command_id=commit.command_id,
                actor=commit.actor,
                type=kind,
                data=data,
            )
        )
    row = session.get(SessionRow, commit.session_id)
    if row is not None and commit.events:
        row.seq = last_seq
        if commit.ended:
            row.status, row.live_key, row.ended_at = "ended", None, commit.at
    for facts in commit.recordings:
        _write_recording(session.get(RecordingRow, facts.id), facts, session)


def _write_recording(row: RecordingRow | None, facts: RecordingFacts, session: Any) -> None:
    if row is None:
        row = RecordingRow(
            id=facts.id,
            session_id=facts.session_id,
            course_id=facts.course_id,
            room_id=facts.room_id,
            room_name=facts.room_name,
            is_breakout=facts.is_breakout,
            parent_id=facts.parent_id,
            started_by=facts.started_by,
            status=facts.status,
            invoked_at=facts.invoked_at,
            options=facts.options,
            start_reason=facts.start_reason,
        )
        session.add(row)
    row.status, row.desired, row.error = facts.status, facts.desired, facts.error
    row.started_at, row.stopped_at, row.duration_s = facts.started_at, facts.stopped_at, facts.duration_s
    row.layout, row.stop_reason, row.caller = facts.layout, facts.stop_reason, facts.caller


def answered(db: Database, command_id: str) -> tuple[str, int, int] | None:
    """(session_id, first_seq, last_seq) of a command that was answered before."""
    with db.read() as session:
        row = session.get(CommandRow, command_id)
        return None if row is None else (row.session_id, row.first_seq, row.last_seq)


def events_after(db: Database, session_id: str, seq: int, kind: str | None = None) -> list[StoredEvent]:
    """The session's events with a higher seq (of one type only), in order."""
    # Columns, not entities: a session of some hours has ten thousand of them.
    query = (
        sa_select(*(getattr(EventRow, spec.name) for spec in fields(StoredEvent)))
        .where(col(EventRow.session_id) == session_id, col(EventRow.seq) > seq)
        .order_by(col(EventRow.seq))
    )
    if kind is not None:
        query = query.where(col(EventRow.type) == kind)
    with db.read() as session:
        return [StoredEvent(*row) for row in session.execute(query)]


def sessions_changed(db: Database, known: dict[str, int], after_id: int) -> tuple[dict[str, int], int]:
    """Sessions with events that are not ``known`` (session → seq) among rows after ``after_id``, and the newest id.

    Per-session seq decides, not the row id: on PostgreSQL ids may become visible out of order.
    """
    with db.read() as session:
        rows = session.exec(
            select(EventRow.session_id, func.max(EventRow.seq), func.max(EventRow.id))
            .where(col(EventRow.id) > after_id)
            .group_by(EventRow.session_id)
        ).all()
    newest = max((int(row[2] or 0) for row in rows), default=after_id)
    return {row[0]: int(row[1]) for row in rows if int(row[1]) > known.get(row[0], 0)}, newest


def tail(db: Database, after_id: int, also: Collection[int], most: int) -> list[StoredEvent]:
    """Up to ``most`` events of all sessions after a row id, and those of ``also`` that are visible by now; by id."""
    with db.read() as session:
        rows = session.exec(
            select(EventRow).where(col(EventRow.id) > after_id).order_by(col(EventRow.id)).limit(most)
        ).all()
        late = session.exec(select(EventRow).where(col(EventRow.id).in_(list(also)))).all() if also else []
    return sorted((_stored(row) for row in [*rows, *late]), key=lambda stored: stored.id)


def newest_id(db: Database) -> int:
    """The id of the newest event of all sessions; 0 for none."""
    with db.read() as session:
        return int(session.exec(select(func.max(EventRow.id))).one() or 0)


def _stored(row: EventRow) -> StoredEvent:
    assert row.id is not None
    return StoredEvent(row.id, row.session_id, row.seq, row.at, row.command_id, row.actor, row.type, row.data)


CHANNEL = "sideroom_events"


def notify(db: Database) -> None:
    """Wake the other processes that follow the log (PostgreSQL only)."""
    with db.engine.connect() as connection:
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
        connection.commit()


def notifications(db: Database, stopped: Callable[[], bool]) -> Iterator[None]:
    """One item for each wake-up from ``notify``, until ``stopped`` (looked at each second). PostgreSQL only."""
    url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        while not stopped():
            for _ in connection.notifies(timeout=1.0):
                yield None
