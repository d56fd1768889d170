"""The LMS roles of a course's members, and the roles here that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlmodel import col, select

from models.store.database import Database
from models.tables import CourseRow, MembershipRow
from models.values import Role


def time_zone(db: Database, course_id: str) -> str:
    """The zone of a course's dates: as its platform told it, else the site's setting; empty: UTC, and that is said."""
    with db.read() as session:
        row = session.get(CourseRow, course_id)
    return (row.time_zone if row is not None else "") or db.time_zone


def lms_roles(db: Database, course_id: str, person_id: str) -> list[str]:
    """A person's roles in a course as the LMS last named them."""
    with db.read() as session:
        row = session.get(MembershipRow, (course_id, person_id))
    return list(row.lms_roles) if row is not None else []


def map_roles_anew(db: Database, course_id: str, role: Callable[[Sequence[str]], Role]) -> None:
    """Give every member of a course the role that ``role`` makes of their LMS roles."""
    with db.write() as session:
        for row in session.exec(select(MembershipRow).where(MembershipRow.course_id == course_id)).all():
            row.role = role(row.lms_roles).value


def copied_from(db: Database, course_id: str) -> list[str]:
    """Courses that this one was copied from, as far as we know them: their published media are shown here too."""
    with db.read() as session:
        row = session.get(CourseRow, course_id)
        if row is None or not row.history:
            return []
        # Never somebody's My Workspace, whatever the platform names.
        named = [context_id for context_id in row.history if not context_id.startswith("~")]
        where = (CourseRow.issuer == row.issuer, col(CourseRow.context_id).in_(named))
        return [
            found for found in session.exec(select(CourseRow.id).where(*where)).all() if found != course_id
        ]
