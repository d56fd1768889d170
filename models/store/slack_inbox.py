"""The inbox: requests of Slack that were taken, so that a repeat changes nothing; and the audit of what they did.

Requests that come at once share one transaction (``write``): SQLite has one writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, insert, or_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Session, col, select

from models.store.database import Database
from models.tables import AuditRow, SlackInboxRow, SlackLinkRow, SlackOutboxRow

INBOX_LIFE = timedelta(hours=48)
DEAD_AFTER_S = 30.0
"""A request taken so long ago and not finished belonged to a process that died."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is kept of a request until it is done: an outbox row that becomes due when its process must have died."""

    team_id: str
    channel_id: str
    method: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """A request as it comes in. ``key`` is the same when Slack sends it again."""

    key: str
    kind: str
    work: Work | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a request. ``state``: done | failed. Its kept work goes."""

    key: str
    state: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Who did what from Slack, where, with which outcome. The person is looked up when it is written."""

    team_id: str
    user_id: str
    action: str
    target: str
    result: str


Entry = Taken | Finished | Noted


def write(db: Database, entries: Sequence[Entry], dead_after_s: float = DEAD_AFTER_S) -> list[bool]:
    """Write all in one transaction. An answer an entry: False for a request that was taken before.

    One that failed, or whose process died, may be taken again.
    """
    now = datetime.now(UTC)
    takes = {entry.key: entry for entry in entries if isinstance(entry, Taken)}
    with db.write() as session:
        _finish(session, [entry for entry in entries if isinstance(entry, Finished)])
        kinds = {key: entry.kind for key, entry in takes.items()}
        new = _take(session, db.is_sqlite, kinds, now, dead_after_s)
        _keep(session, [entry for key, entry in takes.items() if key in new], now, dead_after_s)
        _note(session, [entry for entry in entries if isinstance(entry, Noted)], now)
    answers = []
    for entry in entries:
        answers.append(not isinstance(entry, Taken) or entry.key in new)
        if isinstance(entry, Taken):
            new.discard(entry.key)  # the same request twice at once: one of them is the first
    return answers


def _finish(session: Session, entries: Sequence[Finished]) -> None:
    for state in {entry.state for entry in entries}:
        keys = [entry.key for entry in entries if entry.state == state]
        session.execute(update(SlackInboxRow).where(col(SlackInboxRow.key).in_(keys)).values(state=state))
    if entries:
        done = [entry.key for entry in entries]
        session.execute(delete(SlackOutboxRow).where(col(SlackOutboxRow.coalesce_key).in_(done)))


def _keep(session: Session, entries: Sequence[Taken], now: datetime, dead_after_s: float) -> None:
    rows = [
        {
            "team_id": entry.work.team_id,
            "channel_id": entry.work.channel_id,
            "method": entry.work.method,
            "coalesce_key": entry.key,
            "payload": entry.work.payload,
            "rev": 0,
            "priority": 0,
            "attempts": 0,
            "not_before": now + timedelta(seconds=dead_after_s),
            "created_at": now,
        }
        for entry in entries
        if entry.work is not None
    ]
    if rows:
        session.connection().execute(_INSERT_WORK, rows)


def _take(
    session: Session, is_sqlite: bool, takes: dict[str, str], now: datetime, dead_after_s: float
) -> set[str]:
    """The keys that are new (or may be taken again)."""
    if not takes:
        return set()
    rows = [{"key": key, "kind": kind, "received_at": now, "state": "new"} for key, kind in takes.items()]
    insert_new = _INSERT[is_sqlite]
    new = {str(row.key) for row in session.connection().execute(insert_new, rows)}
    old = [key for key in takes if key not in new]
    if old:
        died = and_(
            col(SlackInboxRow.state) == "new",
            col(SlackInboxRow.received_at) <= now - timedelta(seconds=dead_after_s),
        )
        again = session.execute(
            update(SlackInboxRow)
            .where(col(SlackInboxRow.key).in_(old), or_(col(SlackInboxRow.state) == "failed", died))
            .values(state="new", received_at=now)
            .returning(col(SlackInboxRow.key))
            .execution_options(synchronize_session=False)
        )
        new |= {str(row.key) for row in again}
    return new


def _note(session: Session, entries: Sequence[Noted], now: datetime) -> None:
    if not entries:
        return
    users = {entry.user_id for entry in entries}
    found = session.execute(
        select(SlackLinkRow.team_id, SlackLinkRow.user_id, SlackLinkRow.person_id).where(
            col(SlackLinkRow.user_id).in_(users), col(SlackLinkRow.suspended).is_(False)
        )
    )
    people = {(team_id, user_id): person_id for team_id, user_id, person_id in found}
    rows = [
        {
            "at": now,
            "door": "slack",
            "person_id": people.get((entry.team_id, entry.user_id)),
            "external_id": entry.user_id,
            "action": entry.action[:80],
            "target": entry.target[:80],
            "result": entry.result[:80],
        }
        for entry in entries
    ]
    session.connection().execute(insert(AuditRow), rows)


def _insert_new(dialect_insert: Any) -> Any:
    return dialect_insert(SlackInboxRow).on_conflict_do_nothing().returning(col(SlackInboxRow.key))


_INSERT_WORK = insert(SlackOutboxRow)
_INSERT = {True: _insert_new(sqlite_insert), False: _insert_new(postgresql_insert)}


def take_in(db: Database, key: str, kind: str, dead_after_s: float = DEAD_AFTER_S) -> bool:
    """Remember one request before it is answered; False when it was taken before."""
    return write(db, [Taken(key, kind)], dead_after_s)[0]


def purge(db: Database) -> None:
    """Forget requests that Slack cannot send again any more."""
    with db.write() as session:
        old = col(SlackInboxRow.received_at) < datetime.now(UTC) - INBOX_LIFE
        session.execute(delete(SlackInboxRow).where(old))


def audit(
    db: Database, external_id: str, person_id: str | None, action: str, target: str, result: str
) -> None:
    """Note what happened to somebody's connection; what they do goes through ``Noted``."""
    with db.write() as session:
        session.add(
            AuditRow(
                at=datetime.now(UTC),
                door="slack",
                person_id=person_id,
                external_id=external_id,
                action=action[:80],
                target=target[:80],
                result=result[:80],
            )
        )


@dataclass(frozen=True, slots=True)
class AuditLine:
    at: datetime
    action: str
    target: str
    result: str


def audit_of(db: Database, person_id: str, limit: int = 5) -> list[AuditLine]:
    """What a person did from Slack, newest first."""
    with db.read() as session:
        rows = session.exec(
            select(AuditRow)
            .where(AuditRow.person_id == person_id, AuditRow.door == "slack")
            .order_by(col(AuditRow.id).desc())
            .limit(limit)
        ).all()
    return [AuditLine(row.at, row.action, row.target, row.result) for row in rows]
