"""Slack rows: linking codes, links of users and channels, our messages."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import and_, delete, func, literal, update
from sqlmodel import col, select

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import (
    MediaEntryRow,
    RecordingRow,
    SessionRow,
    SlackChannelRow,
    SlackCodeRow,
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


# -- people ----------------------------------------------------------------------------------------------------


def issue_code(db: Database, person_id: str) -> str:
    """A new one-use code for a person, good for 10 minutes; earlier ones of theirs are void."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))
    now = datetime.now(UTC)
    with db.write() as session:
        session.execute(delete(SlackCodeRow).where(col(SlackCodeRow.person_id) == person_id))
        session.execute(delete(SlackCodeRow).where(col(SlackCodeRow.expires_at) < now))
        session.execute(delete(SlackTryRow).where(col(SlackTryRow.at) < now - CODE_LIFE))
        session.add(
            SlackCodeRow(code_hash=hash_secret(code), person_id=person_id, expires_at=now + CODE_LIFE)
        )
    return code


def read_code(
    db: Database, team_id: str, user_id: str, code: str, *, use: bool
) -> PersonId | Literal["wrong", "too_many"]:
    """Whose code this is, with at most 5 wrong tries in 10 minutes. ``use``: it is good no more after that."""
    now = datetime.now(UTC)
    digest = hash_secret(code.strip().upper().replace("-", ""))
    good = (
        col(SlackCodeRow.code_hash) == digest,
        col(SlackCodeRow.used_at).is_(None),
        col(SlackCodeRow.expires_at) > now,
    )
    with db.write() as session:
        recent = (
            SlackTryRow.team_id == team_id,
            SlackTryRow.user_id == user_id,
            col(SlackTryRow.at) > now - CODE_LIFE,
        )
        if int(session.exec(select(func.count()).select_from(SlackTryRow).where(*recent)).one()) >= MAX_TRIES:
            return "too_many"
        row = session.exec(select(SlackCodeRow).where(*good)).first()
        if row is None:
            session.add(SlackTryRow(team_id=team_id, user_id=user_id, at=now))
            return "wrong"
        person_id = PersonId(row.person_id)
        if use:
            used = session.execute(
                update(SlackCodeRow)
                .where(*good)
                .values(used_at=now)
                .execution_options(synchronize_session=False)
            )
            if used.rowcount != 1:  # type: ignore[attr-defined]
                return "wrong"  # somebody else used it in this very moment
        return person_id


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


def user_of(db: Database, team_id: str, person_id: str) -> str | None:
    """The Slack user that a person is linked to in a workspace."""
    with db.read() as session:
        where = (SlackLinkRow.team_id == team_id, SlackLinkRow.person_id == person_id)
        return session.exec(select(SlackLinkRow.user_id).where(*where)).first()


def unlink_user(db: Database, team_id: str, user_id: str) -> None:
    with db.write() as session:
        where = (col(SlackLinkRow.team_id) == team_id, col(SlackLinkRow.user_id) == user_id)
        session.execute(delete(SlackLinkRow).where(*where))


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


def suspend_channel(db: Database, team_id: str, channel_id: str, reason: str) -> str | None:
    """Stop posting there until it is linked again; never dropped silently. Who linked it, if this is news."""
    with db.write() as session:
        row = session.get(SlackChannelRow, (team_id, channel_id))
        if row is None or row.suspended:
            return None
        row.suspended, row.reason = True, reason
        return row.linked_by


def resume_channel(db: Database, team_id: str, channel_id: str, reasons: Collection[str]) -> None:
    """Post again to a channel that was suspended for one of these reasons."""
    with db.write() as session:
        row = session.get(SlackChannelRow, (team_id, channel_id))
        if row is not None and row.suspended and row.reason in reasons:
            row.suspended, row.reason = False, ""


def rename_channel(db: Database, team_id: str, old: str, new: str) -> None:
    """Slack gave a channel another id: its link, our messages and what waits move along."""
    with db.write() as session:
        if session.get(SlackChannelRow, (team_id, old)) is None:
            return
        if session.get(SlackChannelRow, (team_id, new)) is None:
            for table in (SlackChannelRow, SlackMessageRow, SlackOutboxRow):
                mine = (col(table.team_id) == team_id, col(table.channel_id) == old)
                session.execute(update(table).where(*mine).values(channel_id=new))


def channel_link(db: Database, team_id: str, channel_id: str) -> ChannelLink | None:
    with db.read() as session:
        row = session.get(SlackChannelRow, (team_id, channel_id))
    return None if row is None else _channel(row)


def channels_of(db: Database, course_id: str) -> list[ChannelLink]:
    """Channels of a course that are not suspended."""
    with db.read() as session:
        where = (SlackChannelRow.course_id == course_id, col(SlackChannelRow.suspended).is_(False))
        return [_channel(row) for row in session.exec(select(SlackChannelRow).where(*where)).all()]


def all_channels_of(db: Database, course_id: str) -> list[tuple[ChannelLink, str]]:
    """Channels of a course, each with the reason when it is suspended."""
    with db.read() as session:
        rows = session.exec(select(SlackChannelRow).where(SlackChannelRow.course_id == course_id)).all()
    return [(_channel(row), row.reason if row.suspended else "") for row in rows]


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


def save_message(
    db: Database, team_id: str, channel_id: str, key: str, ts: str, permalink: str = "", rev: int = 0
) -> None:
    """Remember where a message of ours stands and which revision it shows; an empty ``ts`` forgets it, so it is posted anew."""
    with db.write() as session:
        row = session.get(SlackMessageRow, (team_id, channel_id, key))
        if row is None:
            row = SlackMessageRow(team_id=team_id, channel_id=channel_id, key=key)
            session.add(row)
        row.ts, row.permalink, row.rev = ts, permalink, rev


def update_message(db: Database, team_id: str, channel_id: str, key: str, rev: int) -> None:
    """A message of ours shows another revision now."""
    with db.write() as session:
        row = session.get(SlackMessageRow, (team_id, channel_id, key))
        if row is not None:
            row.rev = rev


def permalink(db: Database, team_id: str, channel_id: str, key: str) -> str:
    """The address of a message of ours; empty while Slack has not told it."""
    with db.read() as session:
        row = session.get(SlackMessageRow, (team_id, channel_id, key))
    return row.permalink if row is not None and row.ts else ""


def purge_messages(db: Database, before: datetime) -> None:
    """Forget where old cards and calls stand. A message's ``ts`` is its time (seconds with six decimals)."""
    with db.write() as session:
        old = (
            col(SlackMessageRow.ts) < f"{before.timestamp():.6f}",
            ~col(SlackMessageRow.key).startswith("rec:", autoescape=True),
        )
        session.execute(delete(SlackMessageRow).where(*old))


def revisions(db: Database, team_id: str, channel_id: str, keys: Collection[str]) -> dict[str, int]:
    """Which of these messages stand in a channel, and the revision that each shows."""
    with db.read() as session:
        rows = session.exec(
            select(SlackMessageRow.key, SlackMessageRow.rev).where(
                SlackMessageRow.team_id == team_id,
                SlackMessageRow.channel_id == channel_id,
                col(SlackMessageRow.key).in_(keys),
                SlackMessageRow.ts != "",
            )
        ).all()
    return {str(row[0]): int(row[1]) for row in rows}


def unfinished_cards(db: Database) -> list[str]:
    """Ended sessions whose card may still look live: their end was not sent."""
    with db.read() as session:
        return list(
            session.exec(
                select(SessionRow.id)
                .join(SlackMessageRow, literal("card:") + col(SessionRow.id) == col(SlackMessageRow.key))
                .where(
                    SessionRow.status != "open",
                    SlackMessageRow.ts != "",
                    col(SlackMessageRow.rev) < col(SessionRow.seq),
                )
                .distinct()
            ).all()
        )


@dataclass(frozen=True, slots=True)
class RecordingMessage:
    """A message of ours about a recording, and what the library knows of it now. ``status``: of the entry; empty: none."""

    channel: ChannelLink
    recording_id: str
    session_id: str
    rev: int
    status: str
    published: bool
    progress: float


def recording_messages(db: Database, limit: int = 200) -> list[RecordingMessage]:
    """The newest messages about recordings, in channels that can be posted to."""
    with db.read() as session:
        rows = session.execute(
            select(SlackChannelRow, RecordingRow, MediaEntryRow, SlackMessageRow.rev)
            .select_from(SlackMessageRow)
            .join(
                SlackChannelRow,
                and_(
                    col(SlackChannelRow.team_id) == col(SlackMessageRow.team_id),
                    col(SlackChannelRow.channel_id) == col(SlackMessageRow.channel_id),
                ),
            )
            .join(RecordingRow, literal("rec:") + col(RecordingRow.id) == col(SlackMessageRow.key))
            .join(MediaEntryRow, col(MediaEntryRow.recording_id) == col(RecordingRow.id), isouter=True)
            .where(SlackMessageRow.ts != "", col(SlackChannelRow.suspended).is_(False))
            .order_by(col(RecordingRow.invoked_at).desc())
            .limit(limit)
        ).all()
    return [
        RecordingMessage(
            _channel(channel),
            recording.id,
            recording.session_id,
            rev,
            entry.status if entry is not None else "",
            entry is not None and entry.published,
            recording.progress,
        )
        for channel, recording, entry, rev in rows
    ]
