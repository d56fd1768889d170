"""Slack users as we know them: what Slack last said about each, their links, and what they did (audit)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import bindparam, or_, update
from sqlalchemy import select as sql_select
from sqlmodel import col, select

from models.store.database import Database
from models.tables import AuditRow, SlackChannelRow, SlackLinkRow, SlackUserRow
from models.values import PersonId

DEACTIVATED = "deactivated"


class Standing(StrEnum):
    """What somebody is in a workspace."""

    MEMBER = "member"
    GUEST = "guest"
    BOT = "bot"
    DEACTIVATED = "deactivated"
    STRANGER = "stranger"
    """Of another workspace (Slack Connect), or unknown to Slack."""


@dataclass(frozen=True, slots=True)
class Known:
    """What Slack said, and when."""

    standing: Standing
    checked_at: datetime


def known(db: Database, team_id: str, user_id: str) -> Known | None:
    """What Slack last said about somebody; read before every answer, so without the ORM."""
    with db.engine.connect() as connection:
        row = connection.execute(_KNOWN, {"team": team_id, "user": user_id}).first()
    return None if row is None else Known(Standing(row.standing), row.checked_at)


_KNOWN = sql_select(col(SlackUserRow.standing), col(SlackUserRow.checked_at)).where(
    col(SlackUserRow.team_id) == bindparam("team"), col(SlackUserRow.user_id) == bindparam("user")
)


def remember(db: Database, team_id: str, user_id: str, standing: Standing) -> None:
    """Keep what Slack said; the link of somebody deactivated is suspended, and works again when they come back."""
    now = datetime.now(UTC)
    gone = standing in (Standing.DEACTIVATED, Standing.STRANGER, Standing.BOT)
    with db.write() as session:
        row = session.get(SlackUserRow, (team_id, user_id))
        if row is None:
            row = SlackUserRow(team_id=team_id, user_id=user_id, standing=standing, checked_at=now)
            session.add(row)
        row.standing, row.checked_at, row.wanted = standing.value, now, False
        link = session.get(SlackLinkRow, (team_id, user_id))
        if link is not None and gone and not link.suspended:
            link.suspended, link.reason = True, DEACTIVATED
        elif link is not None and not gone and link.reason == DEACTIVATED:
            link.suspended, link.reason = False, ""


def want(db: Database, team_id: str, user_id: str, *, wanted: bool = True) -> None:
    """Ask Slack again soon (or no more); what is known is used meanwhile."""
    with db.write() as session:
        session.execute(
            update(SlackUserRow)
            .where(col(SlackUserRow.team_id) == team_id, col(SlackUserRow.user_id) == user_id)
            .values(wanted=wanted)
        )


def wanted(db: Database, limit: int = 20) -> list[tuple[str, str]]:
    """(team_id, user_id) whom Slack shall be asked about."""
    with db.read() as session:
        rows = session.exec(select(SlackUserRow).where(col(SlackUserRow.wanted).is_(True)).limit(limit)).all()
    return [(row.team_id, row.user_id) for row in rows]


def want_old(db: Database, older_than: timedelta) -> int:
    """Want everybody linked who was last looked up so long ago (the nightly sweep); how many."""
    with db.write() as session:
        result = session.execute(
            update(SlackUserRow)
            .where(
                col(SlackUserRow.checked_at) < datetime.now(UTC) - older_than,
                col(SlackUserRow.wanted).is_(False),
                select(SlackLinkRow)
                .where(
                    col(SlackLinkRow.team_id) == col(SlackUserRow.team_id),
                    col(SlackLinkRow.user_id) == col(SlackUserRow.user_id),
                )
                .exists(),
            )
            .values(wanted=True)
            .execution_options(synchronize_session=False)
        )
        return int(result.rowcount)  # type: ignore[attr-defined]


def is_known_or_linked(db: Database, team_id: str, user_id: str) -> bool:
    """Whether we keep anything about this user; we learn nothing about others."""
    with db.read() as session:
        return (
            session.get(SlackUserRow, (team_id, user_id)) is not None
            or session.get(SlackLinkRow, (team_id, user_id)) is not None
        )


# -- links -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    team_id: str
    user_id: str
    linked_at: datetime
    suspended: bool
    reason: str


def links_of(db: Database, person_id: str) -> list[Link]:
    """A person's Slack users, one a workspace at most."""
    with db.read() as session:
        rows = session.exec(
            select(SlackLinkRow).where(SlackLinkRow.person_id == person_id).order_by(SlackLinkRow.team_id)
        ).all()
    return [Link(r.team_id, r.user_id, r.linked_at, r.suspended, r.reason) for r in rows]


def linked_person(db: Database, team_id: str, user_id: str) -> tuple[PersonId, str] | None:
    """(person, reason of suspension or empty); None for somebody who is not linked."""
    with db.read() as session:
        row = session.get(SlackLinkRow, (team_id, user_id))
    if row is None:
        return None
    return PersonId(row.person_id), (row.reason or "suspended") if row.suspended else ""


# -- audit -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """One line of the audit log. ``user_id`` is the Slack user, ``channel_id`` where it was done."""

    at: datetime
    user_id: str
    person_id: str | None
    action: str
    channel_id: str
    result: str


def audit_of(
    db: Database, *, person_id: str | None = None, course_id: str | None = None, limit: int = 50
) -> list[Done]:
    """Newest first: what a person did from Slack, and with ``course_id`` what anybody did in that course's channels."""
    wanted_rows = []
    if person_id is not None:
        wanted_rows.append(col(AuditRow.person_id) == person_id)
    if course_id is not None:
        channels = select(SlackChannelRow.channel_id).where(SlackChannelRow.course_id == course_id)
        wanted_rows.append(col(AuditRow.target).in_(channels))
    if not wanted_rows:
        return []
    with db.read() as session:
        rows = session.exec(
            select(AuditRow)
            .where(AuditRow.door == "slack", or_(*wanted_rows))
            .order_by(col(AuditRow.id).desc())
            .limit(limit)
        ).all()
    return [Done(r.at, r.external_id, r.person_id, r.action, r.target, r.result) for r in rows]
