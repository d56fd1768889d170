"""Slack rows: linking codes, links of users and channels, our messages, inbox and outbox, audit."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import and_, delete, func, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import (
    AuditRow,
    SlackChannelRow,
    SlackCodeRow,
    SlackInboxRow,
    SlackLinkRow,
    SlackMessageRow,
    SlackOutboxRow,
    SlackTryRow,
)
from models.values import CourseId, PersonId

ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without letters and digits that look alike."""
CODE_CHARS = 8
CODE_LIFE = timedelta(minutes=10)
MAX_TRIES = 5
INBOX_LIFE = timedelta(hours=48)
DEAD_AFTER_S = 30.0
"""A request taken so long ago and not finished belonged to a process that died."""


# -- people ----------------------------------------------------------------------------------------------------


def issue_code(db: Database, person_id: str) -> str:
    """A new one-use code for a person, good for 10 minutes; earlier ones of theirs are void."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))
    now = datetime.now(UTC)
    with db.write() as session:
        session.execute(delete(SlackCodeRow).where(col(SlackCodeRow.person_id) == person_id))
        session.execute(delete(SlackCodeRow).where(col(SlackCodeRow.expires_at) < now))
        session.add(
            SlackCodeRow(code_hash=hash_secret(code), person_id=person_id, expires_at=now + CODE_LIFE)
        )
    return code


def redeem_code(
    db: Database, team_id: str, user_id: str, code: str
) -> PersonId | Literal["wrong", "too_many"]:
    """Link a Slack user by a code: once, with at most 5 wrong tries in 10 minutes. A new link replaces the old one."""
    now = datetime.now(UTC)
    digest = hash_secret(code.strip().upper().replace("-", ""))
    with db.write() as session:
        recent = (
            SlackTryRow.team_id == team_id,
            SlackTryRow.user_id == user_id,
            col(SlackTryRow.at) > now - CODE_LIFE,
        )
        if int(session.exec(select(func.count()).select_from(SlackTryRow).where(*recent)).one()) >= MAX_TRIES:
            return "too_many"
        used = session.execute(
            update(SlackCodeRow)
            .where(
                col(SlackCodeRow.code_hash) == digest,
                col(SlackCodeRow.used_at).is_(None),
                col(SlackCodeRow.expires_at) > now,
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        row = session.exec(select(SlackCodeRow).where(SlackCodeRow.code_hash == digest)).first()
        if used.rowcount != 1 or row is None:  # type: ignore[attr-defined]
            session.add(SlackTryRow(team_id=team_id, user_id=user_id, at=now))
            return "wrong"
        person_id = row.person_id
    link_user(db, team_id, user_id, person_id)
    return PersonId(person_id)


def link_user(db: Database, team_id: str, user_id: str, person_id: str) -> None:
    """One Slack user ↔ one person in a workspace; both sides' earlier links go."""
    with db.write() as session:
        others = (col(SlackLinkRow.team_id) == team_id, col(SlackLinkRow.person_id) == person_id)
        session.execute(delete(SlackLinkRow).where(*others))
        row = session.get(SlackLinkRow, (team_id, user_id))
        if row is None:
            row = SlackLinkRow(
                team_id=team_id, user_id=user_id, person_id=person_id, linked_at=datetime.now(UTC)
            )
            session.add(row)
        row.person_id, row.suspended, row.reason = person_id, False, ""


def person_of(db: Database, team_id: str, user_id: str) -> PersonId | None:
    with db.read() as session:
        row = session.get(SlackLinkRow, (team_id, user_id))
    return PersonId(row.person_id) if row is not None and not row.suspended else None


def link_of(db: Database, person_id: str) -> tuple[str, str] | None:
    """(team_id, user_id) that a person is linked to."""
    with db.read() as session:
        row = session.exec(select(SlackLinkRow).where(SlackLinkRow.person_id == person_id)).first()
    return None if row is None else (row.team_id, row.user_id)


def slack_users(db: Database, team_id: str) -> dict[PersonId, str]:
    """Person → Slack user of a workspace."""
    with db.read() as session:
        rows = session.exec(select(SlackLinkRow).where(SlackLinkRow.team_id == team_id)).all()
    return {PersonId(row.person_id): row.user_id for row in rows}


def unlink_user(db: Database, team_id: str, user_id: str) -> None:
    with db.write() as session:
        where = (col(SlackLinkRow.team_id) == team_id, col(SlackLinkRow.user_id) == user_id)
        session.execute(delete(SlackLinkRow).where(*where))


def unlink_person(db: Database, person_id: str) -> None:
    with db.write() as session:
        session.execute(delete(SlackLinkRow).where(col(SlackLinkRow.person_id) == person_id))


# -- channels --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChannelLink:
    team_id: str
    channel_id: str
    course_id: CourseId
    room_key: str
    role: str
    suspended: bool


def link_channel(
    db: Database, team_id: str, channel_id: str, course_id: str, role: str, linked_by: str, room_key: str = ""
) -> None:
    """Link a channel to a course's room. ``role``: moderators | class."""
    with db.write() as session:
        row = session.get(SlackChannelRow, (team_id, channel_id))
        if row is None:
            row = SlackChannelRow(
                team_id=team_id,
                channel_id=channel_id,
                course_id=course_id,
                linked_by=linked_by,
                linked_at=datetime.now(UTC),
            )
            session.add(row)
        row.course_id, row.role, row.room_key, row.linked_by = course_id, role, room_key, linked_by
        row.suspended, row.reason = False, ""


def unlink_channel(db: Database, team_id: str, channel_id: str) -> None:
    with db.write() as session:
        where = (col(SlackChannelRow.team_id) == team_id, col(SlackChannelRow.channel_id) == channel_id)
        session.execute(delete(SlackChannelRow).where(*where))


def suspend_channel(db: Database, team_id: str, channel_id: str, reason: str) -> None:
    """Stop posting there until it is linked again; never dropped silently."""
    with db.write() as session:
        row = session.get(SlackChannelRow, (team_id, channel_id))
        if row is not None:
            row.suspended, row.reason = True, reason


def channel_link(db: Database, team_id: str, channel_id: str) -> ChannelLink | None:
    with db.read() as session:
        row = session.get(SlackChannelRow, (team_id, channel_id))
    return None if row is None else _channel(row)


def channels_of(db: Database, course_id: str) -> list[ChannelLink]:
    """Channels of a course that are not suspended."""
    with db.read() as session:
        where = (SlackChannelRow.course_id == course_id, col(SlackChannelRow.suspended).is_(False))
        return [_channel(row) for row in session.exec(select(SlackChannelRow).where(*where)).all()]


def _channel(row: SlackChannelRow) -> ChannelLink:
    return ChannelLink(
        row.team_id, row.channel_id, CourseId(row.course_id), row.room_key, row.role, row.suspended
    )


# -- our messages ----------------------------------------------------------------------------------------------


def message_ts(db: Database, team_id: str, channel_id: str, key: str) -> str | None:
    """The timestamp of a message of ours (``card:SID``, ``call:HID``, ``rec:RID``)."""
    with db.read() as session:
        row = session.get(SlackMessageRow, (team_id, channel_id, key))
    return row.ts if row is not None and row.ts else None


def save_message(db: Database, team_id: str, channel_id: str, key: str, ts: str) -> None:
    with db.write() as session:
        row = session.get(SlackMessageRow, (team_id, channel_id, key))
        if row is None:
            session.add(SlackMessageRow(team_id=team_id, channel_id=channel_id, key=key, ts=ts))
        else:
            row.ts = ts


# -- inbox -----------------------------------------------------------------------------------------------------


def take_in(db: Database, key: str, kind: str, dead_after_s: float = DEAD_AFTER_S) -> bool:
    """Remember a request before it is answered; False when it was taken before, unless it failed or its process died."""
    now = datetime.now(UTC)
    try:
        with db.write() as session:
            session.execute(delete(SlackInboxRow).where(col(SlackInboxRow.received_at) < now - INBOX_LIFE))
            session.add(SlackInboxRow(key=key, kind=kind, received_at=now))
    except IntegrityError:
        with db.write() as session:
            again = session.execute(
                update(SlackInboxRow)
                .where(
                    col(SlackInboxRow.key) == key,
                    or_(
                        col(SlackInboxRow.state) == "failed",
                        and_(
                            col(SlackInboxRow.state) == "new",
                            col(SlackInboxRow.received_at) <= now - timedelta(seconds=dead_after_s),
                        ),
                    ),
                )
                .values(state="new", received_at=now)
                .execution_options(synchronize_session=False)
            )
        return bool(again.rowcount == 1)  # type: ignore[attr-defined]
    return True


def finish_inbox(db: Database, key: str, state: Literal["done", "failed"]) -> None:
    with db.write() as session:
        row = session.get(SlackInboxRow, key)
        if row is not None:
            row.state = state


# -- outbox ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutboxItem:
    id: int
    team_id: str
    channel_id: str
    method: str
    coalesce_key: str | None
    payload: dict[str, Any]
    rev: int
    attempts: int
    created_at: datetime


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
) -> None:
    """Queue a Slack call. With a ``coalesce_key`` an unsent older revision for the same channel is replaced."""
    now = datetime.now(UTC)
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
                not_before=now + timedelta(seconds=delay_s),
                created_at=now,
            )
        )


def due(db: Database, limit: int = 200) -> list[OutboxItem]:
    """Calls whose time has come, most urgent first."""
    with db.read() as session:
        rows = session.exec(
            select(SlackOutboxRow)
            .where(col(SlackOutboxRow.not_before) <= datetime.now(UTC))
            .order_by(col(SlackOutboxRow.priority), col(SlackOutboxRow.id))
            .limit(limit)
        ).all()
    return [_item(row) for row in rows]


def _item(row: SlackOutboxRow) -> OutboxItem:
    assert row.id is not None
    return OutboxItem(
        row.id,
        row.team_id,
        row.channel_id,
        row.method,
        row.coalesce_key,
        row.payload,
        row.rev,
        row.attempts,
        row.created_at,
    )


def sent(db: Database, item: OutboxItem) -> None:
    """Take a call out; a newer revision that came while it was being sent stays."""
    with db.write() as session:
        where = (col(SlackOutboxRow.id) == item.id, col(SlackOutboxRow.rev) == item.rev)
        session.execute(delete(SlackOutboxRow).where(*where))


def later(db: Database, item: OutboxItem, seconds: float) -> None:
    """Try a call again after some time."""
    with db.write() as session:
        row = session.get(SlackOutboxRow, item.id)
        if row is not None:
            row.attempts += 1
            row.not_before = datetime.now(UTC) + timedelta(seconds=seconds)


def drop(db: Database, item: OutboxItem) -> None:
    with db.write() as session:
        session.execute(delete(SlackOutboxRow).where(col(SlackOutboxRow.id) == item.id))


def audit(
    db: Database, external_id: str, person_id: str | None, action: str, target: str, result: str
) -> None:
    """Who did what from Slack, with which outcome."""
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
