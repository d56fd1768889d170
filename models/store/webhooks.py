"""Webhooks as integrators set them up: where, for which events, of which course. Secrets come and go sealed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, func, update
from sqlmodel import col, select

from models.store.database import Database
from models.tables import WebhookAttemptRow, WebhookDeliveryRow, WebhookRow
from models.values import CourseId


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook. ``secret`` and ``old_secret`` are sealed; ``course_id`` None: events of all courses."""

    webhook_id: str
    name: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    disabled_reason: str
    course_id: CourseId | None
    secret: str
    old_secret: str
    old_until: datetime | None
    created_at: datetime
    updated_at: datetime


def add_webhook(
    db: Database,
    *,
    name: str,
    url: str,
    events: Sequence[str],
    enabled: bool,
    course_id: CourseId | None,
    secret: str,
    now: datetime,
) -> Webhook:
    row = WebhookRow(
        id="w" + uuid4().hex[:20],
        name=name,
        url=url,
        events=sorted(set(events)),
        enabled=enabled,
        course_id=course_id,
        secret=secret,
        created_at=now,
        updated_at=now,
    )
    with db.write() as session:
        session.add(row)
    return _webhook(row)


def list_webhooks(db: Database, course_id: CourseId | None) -> list[Webhook]:
    """Webhooks of a course (None: all there are), oldest first."""
    with db.read() as session:
        rows = session.exec(
            select(WebhookRow).where(*_of(course_id)).order_by(col(WebhookRow.created_at), col(WebhookRow.id))
        ).all()
    return [_webhook(row) for row in rows]


def count_webhooks(db: Database, course_id: CourseId | None) -> int:
    """How many belong to this course; None: how many hear of all courses."""
    of = col(WebhookRow.course_id) == course_id if course_id else col(WebhookRow.course_id).is_(None)
    with db.read() as session:
        return int(session.exec(select(func.count()).select_from(WebhookRow).where(of)).one())


def listening(db: Database) -> list[Webhook]:
    """Webhooks that are switched on."""
    with db.read() as session:
        rows = session.exec(select(WebhookRow).where(col(WebhookRow.enabled).is_(True))).all()
    return [_webhook(row) for row in rows]


def get_webhook(db: Database, webhook_id: str, course_id: CourseId | None = None) -> Webhook | None:
    """The webhook, when it is one of this course (None: of any)."""
    with db.read() as session:
        row = session.exec(
            select(WebhookRow).where(WebhookRow.id == webhook_id, *_of(course_id))
        ).one_or_none()
    return None if row is None else _webhook(row)


def change_webhook(
    db: Database,
    webhook_id: str,
    now: datetime,
    *,
    name: str | None = None,
    url: str | None = None,
    events: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> bool:
    """Change what is given. Switching it on forgets why it was off. False when there is no such webhook."""
    with db.write() as session:
        row = session.get(WebhookRow, webhook_id)
        if row is None:
            return False
        row.name = row.name if name is None else name
        row.url = row.url if url is None else url
        row.events = row.events if events is None else sorted(set(events))
        if enabled is not None:
            row.enabled, row.disabled_reason = enabled, ""
        row.updated_at = now
    return True


def rotate_secret(
    db: Database, webhook_id: str, secret: str, old_until: datetime | None, now: datetime
) -> bool:
    """Give it a new (sealed) secret; the one before signs too until ``old_until`` (None: no longer)."""
    with db.write() as session:
        row = session.get(WebhookRow, webhook_id)
        if row is None:
            return False
        row.old_secret, row.old_until = (row.secret, old_until) if old_until is not None else ("", None)
        row.secret, row.updated_at = secret, now
    return True


def reseal_secrets(db: Database, renewed: Callable[[str], str]) -> int:
    """Put in what ``renewed`` makes of each sealed secret; how many webhooks changed. A rotation at the same time wins."""
    with db.read() as session:
        rows = session.exec(select(WebhookRow)).all()
    done = 0
    for row in rows:
        new = (renewed(row.secret), renewed(row.old_secret))
        if new == (row.secret, row.old_secret):
            continue
        with db.write() as session:
            changed = session.execute(
                update(WebhookRow)
                .where(
                    col(WebhookRow.id) == row.id,
                    col(WebhookRow.secret) == row.secret,
                    col(WebhookRow.old_secret) == row.old_secret,
                )
                .values(secret=new[0], old_secret=new[1])
                .execution_options(synchronize_session=False)
            )
            done += changed.rowcount  # type: ignore[attr-defined]
    return done


def disable_webhook(db: Database, webhook_id: str, reason: str, now: datetime) -> None:
    """Switch it off by ourselves; ``reason`` is a sentence for its owner."""
    with db.write() as session:
        row = session.get(WebhookRow, webhook_id)
        if row is not None:
            row.enabled, row.disabled_reason, row.updated_at = False, reason, now


def delete_webhook(db: Database, webhook_id: str) -> bool:
    """Delete it with its messages. False when there is none."""
    with db.write() as session:
        row = session.get(WebhookRow, webhook_id)
        if row is None:
            return False
        messages = select(WebhookDeliveryRow.id).where(WebhookDeliveryRow.webhook_id == webhook_id)
        session.execute(delete(WebhookAttemptRow).where(col(WebhookAttemptRow.delivery_id).in_(messages)))
        session.execute(delete(WebhookDeliveryRow).where(col(WebhookDeliveryRow.webhook_id) == webhook_id))
        session.delete(row)
    return True


def _of(course_id: CourseId | None) -> list[ColumnElement[bool]]:
    return [] if course_id is None else [col(WebhookRow.course_id) == course_id]


def _webhook(row: WebhookRow) -> Webhook:
    return Webhook(
        webhook_id=row.id,
        name=row.name,
        url=row.url,
        events=tuple(row.events),
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        course_id=CourseId(row.course_id) if row.course_id else None,
        secret=row.secret,
        old_secret=row.old_secret,
        old_until=row.old_until,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
