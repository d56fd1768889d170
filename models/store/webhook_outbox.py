"""Messages for webhooks: written once for each event of the log, leased while they are sent, kept as a log after that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from models.store.database import Database
from models.tables import WebhookAttemptRow, WebhookCursorRow, WebhookDeliveryRow, WebhookRow

CURSOR = 1
D = WebhookDeliveryRow


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the event log is followed: all up to ``event_id`` but ``gaps`` (id → Unix time of the sighting)."""

    event_id: int
    gaps: dict[str, float]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be sent. ``event_id`` None: a test, not an event."""

    message_id: str
    webhook_id: str
    event_id: int | None
    event: str
    order_key: str
    body: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: either the answer's status or an error."""

    at: datetime
    duration_ms: int
    response_status: int | None
    response_text: str
    error: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message and how it fares. ``status``: pending, delivered or failed."""

    delivery_id: int
    message_id: str
    webhook_id: str
    event: str
    body: str
    status: str
    attempts: int
    next_at: datetime
    give_up_at: datetime
    response_status: int | None
    error: str
    created_at: datetime
    done_at: datetime | None


# -- from the event log ----------------------------------------------------------------------------------------


def cursor(db: Database) -> Cursor:
    with db.read() as session:
        row = session.get(WebhookCursorRow, CURSOR)
    assert row is not None, "the migration makes the cursor"
    return Cursor(row.event_id, dict(row.gaps))


def advance(
    db: Database,
    was: Cursor,
    now_at: Cursor,
    messages: Sequence[NewMessage],
    now: datetime,
    give_up_at: datetime,
) -> bool:
    """Write the messages and move the cursor in one transaction; False (and nothing) when another was faster."""
    with db.write() as session:
        row = session.exec(
            select(WebhookCursorRow).where(WebhookCursorRow.id == CURSOR).with_for_update()
        ).one()
        if (row.event_id, row.gaps) != (was.event_id, was.gaps):
            return False
        row.event_id, row.gaps = now_at.event_id, now_at.gaps
        known = set(session.exec(select(WebhookRow.id)).all())
        session.add_all(_row(m, now, give_up_at) for m in messages if m.webhook_id in known)
    return True


def put(db: Database, message: NewMessage, now: datetime, give_up_at: datetime) -> Delivery:
    """Add one message that no event caused."""
    row = _row(message, now, give_up_at)
    with db.write() as session:
        session.add(row)
    return _delivery(row)


def _row(message: NewMessage, now: datetime, give_up_at: datetime) -> WebhookDeliveryRow:
    return WebhookDeliveryRow(
        message_id=message.message_id,
        webhook_id=message.webhook_id,
        event_id=message.event_id,
        event=message.event,
        order_key=message.order_key,
        body=message.body,
        next_at=now,
        give_up_at=give_up_at,
        created_at=now,
    )


# -- sending ---------------------------------------------------------------------------------------------------


def webhooks_with_due(db: Database, now: datetime) -> list[str]:
    """Ids of switched-on webhooks with a message that may be sent now."""
    with db.read() as session:
        rows = session.exec(
            select(D.webhook_id)
            .join(WebhookRow, col(WebhookRow.id) == col(D.webhook_id))
            .where(*_is_due(D, now), col(WebhookRow.enabled).is_(True))
            .distinct()
        ).all()
    return list(rows)


def due(db: Database, webhook_id: str, now: datetime, most: int) -> list[Delivery]:
    """The oldest messages that may be sent: of each order key at most one, the first that is not done."""
    earlier = aliased(WebhookDeliveryRow)
    waits = (
        select(earlier.id)
        .where(
            earlier.webhook_id == D.webhook_id,
            earlier.order_key == D.order_key,
            earlier.status == "pending",
            col(earlier.id) < col(D.id),
        )
        .exists()
    )
    with db.read() as session:
        rows = session.exec(
            select(D)
            .where(D.webhook_id == webhook_id, *_is_due(D, now), ~waits)
            .order_by(col(D.id))
            .limit(most)
        ).all()
    return [_delivery(row) for row in rows]


def _is_due(table: Any, now: datetime) -> tuple[Any, ...]:
    lease = col(table.lease_until)
    return table.status == "pending", col(table.next_at) <= now, or_(lease.is_(None), lease < now)


def claim(db: Database, delivery_id: int, now: datetime, until: datetime) -> bool:
    """Take a due message for sending; False when somebody else was faster."""
    with db.write() as session:
        result = session.execute(
            update(WebhookDeliveryRow)
            .where(col(D.id) == delivery_id, *_is_due(D, now))
            .values(lease_until=until)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def finish(db: Database, delivery_id: int, attempt: Attempt, status: str, next_at: datetime | None) -> None:
    """Log a try. ``status`` pending needs ``next_at``; delivered and failed end the message."""
    with db.write() as session:
        row = session.get(WebhookDeliveryRow, delivery_id)
        if row is None:
            return  # its webhook was deleted meanwhile
        session.add(
            WebhookAttemptRow(
                delivery_id=delivery_id,
                at=attempt.at,
                duration_ms=attempt.duration_ms,
                response_status=attempt.response_status,
                response_text=attempt.response_text,
                error=attempt.error,
            )
        )
        row.status, row.attempts, row.lease_until = status, row.attempts + 1, None
        row.response_status, row.error = attempt.response_status, attempt.error
        row.next_at = next_at or row.next_at
        row.done_at = None if status == "pending" else attempt.at


def give_up(db: Database, now: datetime) -> int:
    """Fail what could not be sent in time, also messages of webhooks that are switched off. Returns how many."""
    with db.write() as session:
        result = session.execute(
            update(WebhookDeliveryRow)
            .where(col(D.status) == "pending", col(D.give_up_at) < now)
            .values(status="failed", done_at=now, error="Not delivered in time.")
            .execution_options(synchronize_session=False)
        )
    return int(result.rowcount)  # type: ignore[attr-defined]


def forget_before(db: Database, at: datetime) -> int:
    """Delete the log of messages that were made before ``at``. Returns how many."""
    old = select(D.id).where(col(D.created_at) < at, col(D.status) != "pending")
    with db.write() as session:
        session.execute(delete(WebhookAttemptRow).where(col(WebhookAttemptRow.delivery_id).in_(old)))
        result = session.execute(
            delete(WebhookDeliveryRow)
            .where(col(D.created_at) < at, col(D.status) != "pending")
            .execution_options(synchronize_session=False)
        )
    return int(result.rowcount)  # type: ignore[attr-defined]


# -- the log ---------------------------------------------------------------------------------------------------


def find_deliveries(
    db: Database, webhook_id: str, statuses: Collection[str], page: int, per_page: int
) -> tuple[list[Delivery], int]:
    """One page (from 0) of a webhook's messages, newest first, and how many there are."""
    where: list[ColumnElement[bool]] = [col(D.webhook_id) == webhook_id]
    if statuses:
        where.append(col(D.status).in_(list(statuses)))
    with db.read() as session:
        total = session.exec(select(func.count()).select_from(D).where(*where)).one()
        rows = session.exec(
            select(D).where(*where).order_by(col(D.id).desc()).offset(page * per_page).limit(per_page)
        ).all()
    return [_delivery(row) for row in rows], int(total)


def get_delivery(db: Database, webhook_id: str, delivery_id: int) -> Delivery | None:
    with db.read() as session:
        row = session.get(WebhookDeliveryRow, delivery_id)
    return _delivery(row) if row is not None and row.webhook_id == webhook_id else None


def attempts_of(db: Database, delivery_id: int) -> list[Attempt]:
    """The tries of a message, oldest first."""
    A = WebhookAttemptRow
    with db.read() as session:
        rows = session.exec(select(A).where(A.delivery_id == delivery_id).order_by(col(A.id))).all()
    return [Attempt(r.at, r.duration_ms, r.response_status, r.response_text, r.error) for r in rows]


def send_again(db: Database, delivery_id: int, now: datetime, give_up_at: datetime) -> bool:
    """Make a done message (or one that waits for its next try) due now. False when it is being sent right now."""
    with db.write() as session:
        lease = col(D.lease_until)
        result = session.execute(
            update(WebhookDeliveryRow)
            .where(col(D.id) == delivery_id, or_(lease.is_(None), lease < now))
            .values(status="pending", next_at=now, give_up_at=give_up_at, lease_until=None, done_at=None)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def _delivery(row: WebhookDeliveryRow) -> Delivery:
    assert row.id is not None
    return Delivery(
        delivery_id=row.id,
        message_id=row.message_id,
        webhook_id=row.webhook_id,
        event=row.event,
        body=row.body,
        status=row.status,
        attempts=row.attempts,
        next_at=row.next_at,
        give_up_at=row.give_up_at,
        response_status=row.response_status,
        error=row.error,
        created_at=row.created_at,
        done_at=row.done_at,
    )
