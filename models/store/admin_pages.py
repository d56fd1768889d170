"""Lists of the administration page: courses and people, with search and paging. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import col, select

from models.store.database import Database
from models.store.people import PREVIEW
from models.store.search import matches
from models.tables import CourseRow, MembershipRow, PersonRow, PlatformRow, RosterSyncRow
from models.values import CourseId, PersonId


@dataclass(frozen=True, slots=True)
class ListedCourse:
    course_id: CourseId
    title: str
    issuer: str
    context_id: str
    platform: str
    members: int
    settings: dict[str, Any]
    roster_at: datetime | None
    roster_error: str


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """``courses`` holds (title, role) of each course the person belongs to."""

    person_id: PersonId
    name: str
    email: str
    issuer: str
    sub: str
    seen_at: datetime
    courses: tuple[tuple[str, str], ...]


def find_courses(db: Database, query: str, page: int, per_page: int) -> tuple[list[ListedCourse], int]:
    """Courses (no My Workspace sites) by title, and how many there are in all."""
    where: list[ColumnElement[bool]] = [~col(CourseRow.context_id).startswith("~")]
    if query:
        ids = (col(id_).icontains(query, autoescape=True) for id_ in (CourseRow.context_id, CourseRow.id))
        where.append(or_(matches(CourseRow.search_key, query), *ids))
    with db.read() as session:
        total = session.exec(select(func.count()).select_from(CourseRow).where(*where)).one()
        rows = session.exec(
            select(CourseRow)
            .where(*where)
            .order_by(col(CourseRow.search_key), col(CourseRow.id))
            .offset(page * per_page)
            .limit(per_page)
        ).all()
        return [_course(session, row) for row in rows], int(total)


def get_listed_course(db: Database, course_id: str) -> ListedCourse | None:
    with db.read() as session:
        row = session.get(CourseRow, course_id)
        return None if row is None else _course(session, row)


def _course(session: Any, row: CourseRow) -> ListedCourse:
    members = session.exec(
        select(func.count())
        .select_from(MembershipRow)
        .where(MembershipRow.course_id == row.id, MembershipRow.source != PREVIEW)
    ).one()
    platform = session.get(PlatformRow, row.platform_id) if row.platform_id is not None else None
    sync = session.get(RosterSyncRow, row.id)
    return ListedCourse(
        course_id=CourseId(row.id),
        title=row.title,
        issuer=row.issuer,
        context_id=row.context_id,
        platform=platform.name if platform is not None else "",
        members=int(members),
        settings=dict(row.settings),
        roster_at=sync.done_at if sync is not None else None,
        roster_error=sync.error if sync is not None else "",
    )


def find_people(db: Database, query: str, page: int, per_page: int) -> tuple[list[ListedPerson], int]:
    """People by name, and how many there are in all."""
    where: list[ColumnElement[bool]] = []
    if query:
        ids = (col(id_).icontains(query, autoescape=True) for id_ in (PersonRow.sub, PersonRow.id))
        where.append(or_(matches(PersonRow.search_key, query), *ids))
    with db.read() as session:
        total = session.exec(select(func.count()).select_from(PersonRow).where(*where)).one()
        rows = session.exec(
            select(PersonRow)
            .where(*where)
            .order_by(col(PersonRow.search_key), col(PersonRow.id))
            .offset(page * per_page)
            .limit(per_page)
        ).all()
        found = session.exec(
            select(MembershipRow.person_id, CourseRow.title, MembershipRow.role)
            .join(CourseRow, col(CourseRow.id) == col(MembershipRow.course_id))
            .where(
                col(MembershipRow.person_id).in_([row.id for row in rows]),
                ~col(CourseRow.context_id).startswith("~"),
            )
            .order_by(CourseRow.title)
        ).all()
    courses: dict[str, list[tuple[str, str]]] = {}
    for person_id, title, role in found:
        courses.setdefault(person_id, []).append((title, role))
    return [
        ListedPerson(
            PersonId(row.id),
            row.name,
            row.email,
            row.issuer,
            row.sub,
            row.seen_at,
            tuple(courses.get(row.id, ())),
        )
        for row in rows
    ], int(total)
