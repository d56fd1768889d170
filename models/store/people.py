"""People, courses and who has which role where, as proven by launches and rosters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, bindparam, func, or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from models.store.database import Database
from models.store.search import matches
from models.tables import CourseRow, MembershipRow, PersonRow
from models.values import CourseId, PersonId, Role

T = TypeVar("T")
_SYSTEM = "http://purl.imsglobal.org/vocab/lis/v2/system/person#"
SYSTEM_ADMINISTRATORS = frozenset({_SYSTEM + "Administrator", _SYSTEM + "SysAdmin"})
PREVIEW = "preview"
LAUNCH_LASTS = timedelta(hours=8)


_ARRIVED_BEFORE = select(PersonRow, CourseRow, MembershipRow).where(
    PersonRow.issuer == bindparam("issuer"),
    PersonRow.sub == bindparam("sub"),
    CourseRow.issuer == bindparam("issuer"),
    CourseRow.context_id == bindparam("context_id"),
    MembershipRow.course_id == CourseRow.id,
    MembershipRow.person_id == PersonRow.id,
)
"""Built once: every launch asks it."""


@dataclass(frozen=True, slots=True)
class Person:
    person_id: PersonId
    issuer: str
    sub: str
    name: str
    locale: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    course_id: CourseId
    issuer: str
    context_id: str
    title: str


def upsert_person(
    db: Database, issuer: str, sub: str, name: str = "", email: str = "", locale: str = ""
) -> PersonId:
    """The person (issuer, sub), made when new; empty values keep what is known."""

    def write() -> PersonId:
        with db.write() as session:
            return _person(session, issuer, sub, name, email, locale)

    return _twice(write)


def _person(
    session: Session,
    issuer: str,
    sub: str,
    name: str,
    email: str,
    locale: str,
    row: PersonRow | None = None,
) -> PersonId:
    now = datetime.now(UTC)
    row = (
        row or session.exec(select(PersonRow).where(PersonRow.issuer == issuer, PersonRow.sub == sub)).first()
    )
    if row is None:
        row = PersonRow(id="p" + uuid4().hex[:20], issuer=issuer, sub=sub, created_at=now, seen_at=now)
        session.add(row)
    row.name, row.email, row.locale = name or row.name, email or row.email, locale or row.locale
    row.seen_at = now
    return PersonId(row.id)


def upsert_course(
    db: Database,
    issuer: str,
    context_id: str,
    title: str = "",
    nrps_url: str = "",
    platform_id: int | None = None,
) -> CourseId:
    """The course (issuer, context_id), made when new; empty values keep what is known."""

    def write() -> CourseId:
        with db.write() as session:
            row = _course(session, issuer, context_id, title, nrps_url, platform_id)
            return CourseId(row.id)

    return _twice(write)


def _course(
    session: Session,
    issuer: str,
    context_id: str,
    title: str,
    nrps_url: str,
    platform_id: int | None,
    row: CourseRow | None = None,
) -> CourseRow:
    where = (CourseRow.issuer == issuer, CourseRow.context_id == context_id)
    row = row or session.exec(select(CourseRow).where(*where)).first()
    if row is None:
        row = CourseRow(
            id="c" + uuid4().hex[:20], issuer=issuer, context_id=context_id, created_at=datetime.now(UTC)
        )
        session.add(row)
    row.title, row.nrps_url = title or row.title, nrps_url or row.nrps_url
    row.platform_id = platform_id or row.platform_id
    return row


def upsert_membership(
    db: Database, course_id: CourseId, person_id: PersonId, role: Role, lms_roles: list[str]
) -> None:
    """Remember the role that the platform has just proven."""

    def write() -> None:
        with db.write() as session:
            _membership(session, course_id, person_id, role, lms_roles)

    _twice(write)


def _membership(
    session: Session,
    course_id: str,
    person_id: str,
    role: Role,
    lms_roles: list[str],
    row: MembershipRow | None = None,
    source: str = "launch",
) -> None:
    row = row or session.get(MembershipRow, (course_id, person_id))
    if row is None:
        row = MembershipRow(
            course_id=course_id, person_id=person_id, role=role.value, seen_at=datetime.now(UTC)
        )
        session.add(row)
    row.role, row.lms_roles, row.seen_at = role.value, lms_roles, datetime.now(UTC)
    row.source = source


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a launch has proven about a person and a course."""

    issuer: str
    sub: str
    name: str
    email: str
    locale: str
    context_id: str
    context_title: str
    nrps_url: str
    platform_id: int
    lms_roles: list[str]
    preview: bool = False
    """Not a person of the course, but somebody who looks at it as a role sees it."""
    time_zone: str = ""
    """The course's; empty keeps what is known."""


def arrive(
    db: Database, seen: Arrival, role: Callable[[Mapping[str, Any]], Role]
) -> tuple[PersonId, CourseId, Role]:
    """Person, course and membership of a launch in one transaction. ``role`` gets the course's settings."""

    def write() -> tuple[PersonId, CourseId, Role]:
        with db.write() as session:
            # One question for all three where they are known; each is made otherwise.
            asked = {"issuer": seen.issuer, "sub": seen.sub, "context_id": seen.context_id}
            known = session.execute(_ARRIVED_BEFORE, asked).first()
            person, course, membership = tuple(known) if known is not None else (None, None, None)
            person_id = _person(session, seen.issuer, seen.sub, seen.name, seen.email, seen.locale, person)
            course = _course(
                session,
                seen.issuer,
                seen.context_id,
                seen.context_title,
                seen.nrps_url,
                seen.platform_id,
                course,
            )
            course.time_zone = seen.time_zone or course.time_zone
            found = role(course.settings)
            if membership is None:
                session.flush()
            source = PREVIEW if seen.preview else "launch"
            _membership(session, course.id, person_id, found, seen.lms_roles, membership, source)
            return person_id, CourseId(course.id), found

    return _twice(write)


def _twice(write: Callable[[], T]) -> T:
    """Two launches may insert the same row at once: the loser finds it at the second try."""
    try:
        return write()
    except IntegrityError:
        return write()


def get_person(db: Database, person_id: str) -> Person | None:
    with db.read() as session:
        row = session.get(PersonRow, person_id)
    return None if row is None else Person(PersonId(row.id), row.issuer, row.sub, row.name, row.locale)


def get_course(db: Database, course_id: str) -> Course | None:
    with db.read() as session:
        row = session.get(CourseRow, course_id)
    return None if row is None else Course(CourseId(row.id), row.issuer, row.context_id, row.title)


def find_courses(
    db: Database, course_id: str | None, search: str, page: int, per_page: int
) -> tuple[list[Course], int]:
    """One page (from 0) of all courses (or only this one), by title, and how many; ``search``: an id, part of a title."""
    where: list[ColumnElement[bool]] = []
    if course_id is not None:
        where.append(col(CourseRow.id) == course_id)
    if search:
        named = matches(CourseRow.search_key, search)
        where.append(or_(col(CourseRow.id) == search, col(CourseRow.context_id) == search, named))
    with db.read() as session:
        total = session.exec(select(func.count()).select_from(CourseRow).where(*where)).one()
        rows = session.exec(
            select(CourseRow)
            .where(*where)
            .order_by(col(CourseRow.search_key), col(CourseRow.id))
            .offset(page * per_page)
            .limit(per_page)
        ).all()
    return [Course(CourseId(r.id), r.issuer, r.context_id, r.title) for r in rows], int(total)


def membership_role(db: Database, course_id: str, person_id: str) -> Role | None:
    """The person's role in a course, None for somebody who does not belong to it."""
    with db.read() as session:
        row = session.get(MembershipRow, (course_id, person_id))
    return None if row is None else Role(row.role)


def is_preview(db: Database, course_id: str, person_id: str) -> bool:
    """Does somebody look at the course as a role sees it, rather than belong to it?"""
    with db.read() as session:
        row = session.get(MembershipRow, (course_id, person_id))
    return row is not None and row.source == PREVIEW


def is_system_administrator(db: Database, course_id: str, person_id: str) -> bool:
    """Has a launch of this course in the last hours said that the person administers the whole LMS?"""
    with db.read() as session:
        row = session.get(MembershipRow, (course_id, person_id))
    if row is None or row.source != "launch" or row.seen_at < datetime.now(UTC) - LAUNCH_LASTS:
        return False
    return not SYSTEM_ADMINISTRATORS.isdisjoint(row.lms_roles)


def courses_of(db: Database, person_id: str) -> list[Course]:
    """Courses a person belongs to, last seen first."""
    with db.read() as session:
        rows = session.exec(
            select(CourseRow)
            .join(MembershipRow, col(MembershipRow.course_id) == col(CourseRow.id))
            .where(MembershipRow.person_id == person_id)
            .order_by(col(MembershipRow.seen_at).desc())
        ).all()
    return [Course(CourseId(r.id), r.issuer, r.context_id, r.title) for r in rows]


def course_settings(db: Database, course_id: str) -> dict[str, Any]:
    """The course's settings; empty for an unknown course. ``recording``: {"options": partial, "record_on_start": bool,
    "record_on_start_by": person's id or null}."""
    with db.read() as session:
        row = session.get(CourseRow, course_id)
        return dict(row.settings) if row is not None else {}


def set_course_setting(db: Database, course_id: str, key: str, value: Any) -> bool:
    """Replace one member of the course's settings; False for an unknown course."""
    with db.write() as session:
        row = session.get(CourseRow, course_id)
        if row is None:
            return False
        row.settings = {**row.settings, key: value}
    return True
