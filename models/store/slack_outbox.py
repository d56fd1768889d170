"""The outbox: Slack calls that wait to be made, one row a message that is rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func
from sqlalchemy import select as sql_select
from sqlmodel import col, select

from models.store.database import Database
from models.tables import SlackMessageRow, SlackOutboxRow

A_WORKSPACE, A_CHANNEL = 200, 20
MOVED = "moved:"
"""Keys of older cards that only say that they are no longer the card."""


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A call that waits. ``ts``: where the message of this key stands already; empty when it must be posted."""

    id: int
    team_id: str
    channel_id: str
    method: str
    coalesce_key: str | None
    payload: dict[str, Any]
    rev: int
    priority: int
    attempts: int
    created_at: datetime
    ts: str


def put_out(
    db: Database,
    *,
    team_id: str,
    channel_id: str,
    method: str,
    payload: dict[str, Any],
    coalesce_key: str | None = None,
    rev: int = 0,
    priority: int = 5,
    delay_s: float = 0.0,
    now: datetime | None = None,
) -> None:
    """Queue a Slack call. With a ``coalesce_key`` an unsent older revision for the same channel is replaced.

    A replaced one keeps its place in time, but what was to be retried much later is due at its own time again.
    """
    at = now if now is not None else datetime.now(UTC)
    with db.write() as session:
        row = None
        if coalesce_key is not None:
            where = (
                SlackOutboxRow.team_id == team_id,
                SlackOutboxRow.channel_id == channel_id,
                SlackOutboxRow.coalesce_key == coalesce_key,
            )
            row = session.exec(select(SlackOutboxRow).where(*where)).first()
        if row is not None:
            if rev >= row.rev:
                row.payload, row.rev, row.priority = payload, rev, min(priority, row.priority)
            return
        session.add(
            SlackOutboxRow(
                team_id=team_id,
                channel_id=channel_id,
                method=method,
                coalesce_key=coalesce_key,
                payload=payload,
                rev=rev,
                priority=priority,
                not_before=at + timedelta(seconds=delay_s),
                created_at=at,
            )
        )


def due(
    db: Database, now: datetime | None = None, *, urgent: int | None = None, calm: int | None = None
) -> list[OutboxItem]:
    """Calls whose time has come, most urgent first; ``urgent``: up to this priority only, ``calm``: only beyond it.

    At most ``A_WORKSPACE`` of each workspace and ``A_CHANNEL`` of each channel, so one that Slack lets wait (or one that
    has very much to say) keeps nobody else's from being seen.
    """
    at = now if now is not None else datetime.now(UTC)
    where = [col(SlackOutboxRow.not_before) <= at]
    if urgent is not None:
        where.append(col(SlackOutboxRow.priority) <= urgent)
    if calm is not None:
        where.append(col(SlackOutboxRow.priority) > calm)
    order = (col(SlackOutboxRow.priority), col(SlackOutboxRow.created_at), col(SlackOutboxRow.id))
    team, channel = col(SlackOutboxRow.team_id), col(SlackOutboxRow.channel_id)
    in_channel = (
        sql_select(
            col(SlackOutboxRow.id),
            func.row_number().over(partition_by=(team, channel), order_by=order).label("place"),
        )
        .where(*where)
        .subquery()
    )
    in_team = (
        sql_select(
            col(SlackOutboxRow.id), func.row_number().over(partition_by=team, order_by=order).label("place")
        )
        .join(in_channel, in_channel.c.id == col(SlackOutboxRow.id))
        .where(in_channel.c.place <= A_CHANNEL)
        .subquery()
    )
    with db.read() as session:
        rows = session.execute(
            select(SlackOutboxRow, SlackMessageRow.ts)
            .join(in_team, in_team.c.id == col(SlackOutboxRow.id))
            .join(
                SlackMessageRow,
                and_(
                    col(SlackMessageRow.team_id) == team,
                    col(SlackMessageRow.channel_id) == channel,
                    col(SlackMessageRow.key) == col(SlackOutboxRow.coalesce_key),
                ),
                isouter=True,
            )
            .where(in_team.c.place <= A_WORKSPACE)
            .order_by(*order)
        ).all()
    return [_item(row, ts or "") for row, ts in rows]


def _item(row: SlackOutboxRow, ts: str) -> OutboxItem:
    assert row.id is not None
    return OutboxItem(
        row.id,
        row.team_id,
        row.channel_id,
        row.method,
        row.coalesce_key,
        row.payload,
        row.rev,
        row.priority,
        row.attempts,
        row.created_at,
        ts,
    )


def _same(item: OutboxItem) -> tuple[ColumnElement[bool], ...]:
    """This very row: SQLite gives the number of a deleted one to the next."""
    return (
        col(SlackOutboxRow.id) == item.id,
        col(SlackOutboxRow.team_id) == item.team_id,
        col(SlackOutboxRow.channel_id) == item.channel_id,
        col(SlackOutboxRow.created_at) == item.created_at,
    )


def sent(db: Database, item: OutboxItem) -> None:
    """Take a call out; a newer revision that came while it was being sent stays."""
    with db.write() as session:
        session.execute(delete(SlackOutboxRow).where(*_same(item), col(SlackOutboxRow.rev) == item.rev))


def later(db: Database, item: OutboxItem, seconds: float, now: datetime | None = None) -> None:
    """Try a call again after some time."""
    at = now if now is not None else datetime.now(UTC)
    with db.write() as session:
        row = session.exec(select(SlackOutboxRow).where(*_same(item))).first()
        if row is not None:
            row.attempts += 1
            row.not_before = at + timedelta(seconds=seconds)


def drop(db: Database, item: OutboxItem) -> None:
    with db.write() as session:
        session.execute(delete(SlackOutboxRow).where(*_same(item)))


def drop_key(db: Database, key: str) -> None:
    """What waited to be said is not true any more."""
    with db.write() as session:
        session.execute(delete(SlackOutboxRow).where(col(SlackOutboxRow.coalesce_key) == key))


def drop_channel(db: Database, team_id: str, channel_id: str) -> None:
    """Nothing can be posted there any more."""
    with db.write() as session:
        where = (col(SlackOutboxRow.team_id) == team_id, col(SlackOutboxRow.channel_id) == channel_id)
        session.execute(delete(SlackOutboxRow).where(*where))


def depth(db: Database, now: datetime | None = None) -> tuple[int, float]:
    """How many calls are due, and for how many seconds the oldest of them waits."""
    at = now if now is not None else datetime.now(UTC)
    with db.read() as session:
        count, oldest = session.execute(
            select(func.count(), func.min(SlackOutboxRow.not_before)).where(
                col(SlackOutboxRow.not_before) <= at
            )
        ).one()
    return int(count), max(0.0, (at - oldest).total_seconds()) if oldest is not None else 0.0
