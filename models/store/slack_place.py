"""Who asks from Slack and what is there: the linked person, the channel's course, the role in it, its live session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, literal, select
from sqlmodel import col

from models.store.database import Database
from models.store.slack import ChannelLink
from models.tables import MembershipRow, PersonRow, SessionRow, SlackChannelRow, SlackLinkRow
from models.values import CourseId, PersonId, Role, SessionId


@dataclass(frozen=True, slots=True)
class Place:
    """``person_id`` None: not linked, or the link is suspended. ``role`` and ``session_id`` are those of the channel's course."""

    person_id: PersonId | None
    name: str
    channel: ChannelLink | None
    role: Role | None
    session_id: SessionId | None


def place_of(db: Database, team_id: str, channel_id: str, user_id: str) -> Place:
    """All of it in one query: it runs before every answer."""
    with db.engine.connect() as connection:
        row = connection.execute(_QUERY, {"team": team_id, "channel": channel_id, "user": user_id}).one()
    linked = row.person_id is not None and row.suspended is False
    channel = None
    if row.course_id is not None:
        channel = ChannelLink(
            team_id,
            channel_id,
            CourseId(row.course_id),
            row.room_key,
            row.channel_role,
            row.channel_suspended,
        )
    return Place(
        PersonId(row.person_id) if linked else None,
        (row.name or "") if linked else "",
        channel,
        Role(row.role) if linked and row.role is not None else None,
        SessionId(row.session_id) if row.session_id is not None else None,
    )


def _query() -> Any:
    one = select(literal(1).label("one")).subquery()
    link, channel, member = SlackLinkRow, SlackChannelRow, MembershipRow
    query: Any = (
        select(
            col(link.person_id),
            col(link.suspended),
            col(PersonRow.name),
            col(channel.course_id),
            col(channel.room_key),
            col(channel.role).label("channel_role"),
            col(channel.suspended).label("channel_suspended"),
            col(member.role),
            col(SessionRow.id).label("session_id"),
        )
        .select_from(one)
        .outerjoin(
            channel,
            and_(col(channel.team_id) == bindparam("team"), col(channel.channel_id) == bindparam("channel")),
        )
        .outerjoin(link, and_(col(link.team_id) == bindparam("team"), col(link.user_id) == bindparam("user")))
        .outerjoin(PersonRow, col(PersonRow.id) == col(link.person_id))
        .outerjoin(
            member,
            and_(
                col(member.course_id) == col(channel.course_id), col(member.person_id) == col(link.person_id)
            ),
        )
        .outerjoin(
            SessionRow, col(SessionRow.live_key) == col(channel.course_id) + "/" + col(channel.room_key)
        )
    )
    return query


_QUERY = _query()
