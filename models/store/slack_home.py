"""Who opened App Home (and so sees changes there), and their settings."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from models.store.database import Database
from models.tables import MembershipRow, SlackHomeRow, SlackLinkRow
from models.values import Role


def opened(db: Database, team_id: str, user_id: str) -> None:
    """Somebody looks at their Home."""
    _change(db, team_id, user_id)


def wants_calls(db: Database, team_id: str, user_id: str) -> bool:
    with db.read() as session:
        row = session.get(SlackHomeRow, (team_id, user_id))
    return row is not None and row.dm_calls


def want_calls(db: Database, team_id: str, user_id: str, wanted: bool) -> None:
    """Whether a direct message comes at each help call."""
    _change(db, team_id, user_id, wanted)


def _change(db: Database, team_id: str, user_id: str, dm_calls: bool | None = None) -> None:
    now = datetime.now(UTC)
    with db.write() as session:
        row = session.get(SlackHomeRow, (team_id, user_id))
        if row is None:
            row = SlackHomeRow(team_id=team_id, user_id=user_id, opened_at=now)
            session.add(row)
        row.opened_at = now
        row.dm_calls = row.dm_calls if dm_calls is None else dm_calls


def viewers(db: Database, course_id: str, since: datetime) -> list[tuple[str, str]]:
    """(team_id, user_id) of members of a course who looked at their Home since then."""
    with db.read() as session:
        rows = session.exec(
            select(SlackHomeRow.team_id, SlackHomeRow.user_id)
            .join(SlackLinkRow, _same_user())
            .join(MembershipRow, col(MembershipRow.person_id) == col(SlackLinkRow.person_id))
            .where(MembershipRow.course_id == course_id, col(SlackHomeRow.opened_at) >= since)
        ).all()
    return [(team_id, user_id) for team_id, user_id in rows]


def to_message(db: Database, team_id: str, course_id: str) -> list[str]:
    """Slack users of a workspace who moderate a course and want a message at each help call."""
    with db.read() as session:
        rows = session.exec(
            select(SlackHomeRow.user_id)
            .join(SlackLinkRow, _same_user())
            .join(MembershipRow, col(MembershipRow.person_id) == col(SlackLinkRow.person_id))
            .where(
                SlackHomeRow.team_id == team_id,
                col(SlackHomeRow.dm_calls).is_(True),
                col(SlackLinkRow.suspended).is_(False),
                MembershipRow.course_id == course_id,
                MembershipRow.role == Role.MODERATOR.value,
            )
        ).all()
    return list(rows)


def _same_user() -> ColumnElement[bool]:
    return (col(SlackLinkRow.team_id) == col(SlackHomeRow.team_id)) & (
        col(SlackLinkRow.user_id) == col(SlackHomeRow.user_id)
    )
