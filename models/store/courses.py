"""The LMS roles of a course's members, and the roles here that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlmodel import select

from models.store.database import Database
from models.tables import MembershipRow
from models.values import Role


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
