"""People of a course by name, as launches and the roster told them."""

from __future__ import annotations

from sqlmodel import col, select

from foundation.text import fold
from models.store.database import Database
from models.store.people import PREVIEW
from models.tables import MembershipRow, PersonRow, SlackLinkRow
from models.values import PersonId, Role


def find_members(db: Database, course_id: str, name: str) -> list[PersonId]:
    """Members with exactly this name (by the key of comparisons), else those whose name begins with it or has it as a word."""
    with db.read() as session:
        rows = session.exec(
            select(PersonRow.id, PersonRow.name)
            .join(MembershipRow, col(MembershipRow.person_id) == col(PersonRow.id))
            .where(MembershipRow.course_id == course_id, MembershipRow.source != PREVIEW)
        ).all()
    wanted = fold(name).split()
    exact = [PersonId(key) for key, known in rows if fold(known).split() == wanted]
    if exact or not wanted:
        return exact
    return [PersonId(key) for key, known in rows if set(wanted) <= set(fold(known).split())]


def moderators_on_slack(db: Database, team_id: str, course_id: str) -> dict[PersonId, str]:
    """Moderators of a course who are linked in this workspace: person → Slack user."""
    with db.read() as session:
        rows = session.exec(
            select(SlackLinkRow.person_id, SlackLinkRow.user_id)
            .join(MembershipRow, col(MembershipRow.person_id) == col(SlackLinkRow.person_id))
            .where(
                SlackLinkRow.team_id == team_id,
                col(SlackLinkRow.suspended).is_(False),
                MembershipRow.course_id == course_id,
                MembershipRow.role == Role.MODERATOR.value,
            )
        ).all()
    return {PersonId(person_id): user_id for person_id, user_id in rows}
