"""Rosters and course groups as the platforms last told them, and when they are to be fetched again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from foundation.text import fold
from models.store.database import Database
from models.store.people import PREVIEW
from models.tables import (
    CourseGroupRow,
    CourseServiceRow,
    GroupMemberRow,
    MembershipRow,
    PersonRow,
    RosterSyncRow,
)
from models.values import CourseId, PersonId, Role

FRESH: Final = timedelta(minutes=5)
"""A roster fetched this short a time ago is not fetched again because of a launch."""
PART: Final = 250
"""So many people of a roster are written at a time."""
LEASE: Final = timedelta(minutes=5)
AGAIN: Final = timedelta(hours=6)
IN_USE: Final = timedelta(days=14)
"""A course that nobody has launched for so long is left alone until somebody does."""
BACKOFF: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
LAUNCH_HOLDS: Final = timedelta(days=14)
"""So long a launch counts of somebody who never stood in the roster (delegated access, administrators)."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of a roster. ``groups`` holds (group id, its name or an empty text)."""

    sub: str
    name: str
    email: str
    role: Role
    lms_roles: tuple[str, ...]
    groups: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RosterPerson:
    person_id: PersonId
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Group:
    """A course group with its participants (moderators are left out), by name."""

    group_id: str
    name: str
    members: tuple[PersonId, ...]


@dataclass(frozen=True, slots=True)
class SyncState:
    course_id: CourseId
    due_at: datetime | None
    done_at: datetime | None
    members: int
    error: str


# -- when ------------------------------------------------------------------------------------------------------


def want_sync(db: Database, course_id: str, *, now: datetime | None = None, force: bool = False) -> bool:
    """Let a course's roster be fetched soon, unless that was done a short while ago (``force``: even then)."""
    now = now or datetime.now(UTC)
    with db.read() as session:
        known = session.get(RosterSyncRow, course_id)
    if not force and known is not None and known.done_at is not None and known.done_at > now - FRESH:
        return False
    try:
        with db.write() as session:
            row = session.get(RosterSyncRow, course_id)
            if row is None:
                session.add(RosterSyncRow(course_id=course_id, due_at=now))
                return True
            fresh = row.done_at is not None and row.done_at > now - FRESH
            soon = row.due_at is not None and row.due_at <= now + LEASE and row.attempts == 0
            if not force and (fresh or soon):
                return False
            row.due_at = now
            return True
    except IntegrityError:
        return True  # two launches at once: the other one has asked


def take_due(db: Database, now: datetime, most: int = 100) -> list[CourseId]:
    """Courses whose roster is due, each for one caller: it is due again when the caller never finishes."""
    due = select(RosterSyncRow).where(col(RosterSyncRow.due_at) <= now)
    with db.read() as session:
        rows = session.exec(due.order_by(col(RosterSyncRow.due_at)).limit(most)).all()
    taken: list[CourseId] = []
    for row in rows:
        with db.write() as session:
            won = session.execute(
                update(RosterSyncRow)
                .where(col(RosterSyncRow.course_id) == row.course_id, col(RosterSyncRow.due_at) == row.due_at)
                .values(due_at=now + LEASE)
                .execution_options(synchronize_session=False)
            )
        if won.rowcount == 1:  # type: ignore[attr-defined]
            taken.append(CourseId(row.course_id))
    return taken


def finish_sync(db: Database, course_id: str, now: datetime, *, members: int = 0, error: str = "") -> None:
    """Note what came of a fetch and when the next one is due."""
    with db.write() as session:
        row = session.get(RosterSyncRow, course_id)
        if row is None:
            return
        service = session.get(CourseServiceRow, (course_id, "roster"))
        in_use = service is not None and service.seen_at > now - IN_USE
        row.error = error
        if error:
            wait = BACKOFF[row.attempts] if row.attempts < len(BACKOFF) else AGAIN
            row.attempts += 1
        else:
            wait, row.attempts, row.done_at, row.members = AGAIN, 0, now, members
        row.due_at = now + wait if in_use else None


def sync_state(db: Database, course_id: str) -> SyncState | None:
    with db.read() as session:
        row = session.get(RosterSyncRow, course_id)
    return (
        None
        if row is None
        else SyncState(CourseId(row.course_id), row.due_at, row.done_at, row.members, row.error)
    )


# -- what ------------------------------------------------------------------------------------------------------


def save_roster(
    db: Database, course_id: str, issuer: str, members: Sequence[Member], fetched_at: datetime
) -> None:
    """Keep a complete roster that was asked for at ``fetched_at``.

    A launch after that moment knows better and stays as it is. Who stood in an earlier roster and is missing has left
    the course. Who never stood in one (delegated access, administrators) belongs to it for ``LAUNCH_HOLDS`` after a
    launch. An empty roster tells nothing and changes nothing.
    """
    if not members:
        return
    here: dict[str, str] = {}
    # In parts: a launch must not wait for the rows of thousands of people.
    for start in range(0, len(members), PART):
        part = members[start : start + PART]
        with db.write() as session:
            found = _people(session, issuer, part, fetched_at)
            _memberships(session, course_id, part, found, fetched_at)
        here |= found
    with db.write() as session:
        present = set(here.values())
        for row in session.exec(select(MembershipRow).where(MembershipRow.course_id == course_id)).all():
            since = fetched_at if row.roster_at is not None else fetched_at - LAUNCH_HOLDS
            held = row.source in ("launch", PREVIEW) and row.seen_at > since
            if row.person_id not in present and not held:
                session.delete(row)
        _save_groups(session, course_id, members, here)


def _memberships(
    session: Session,
    course_id: str,
    members: Sequence[Member],
    people: Mapping[str, str],
    fetched_at: datetime,
) -> None:
    """Rows that say already what the roster says stay untouched."""
    rows = session.exec(
        select(MembershipRow).where(
            MembershipRow.course_id == course_id, col(MembershipRow.person_id).in_(list(people.values()))
        )
    ).all()
    known = {row.person_id: row for row in rows}
    for member in members:
        person_id, role, roles = people[member.sub], member.role.value, list(member.lms_roles)
        row = known.get(person_id)
        if row is None:
            row = known[person_id] = MembershipRow(
                course_id=course_id, person_id=person_id, role="", source="", seen_at=fetched_at
            )
            session.add(row)
        row.roster_at = row.roster_at or fetched_at
        if row.source == "launch" and row.seen_at >= fetched_at:
            continue
        if (row.role, row.lms_roles, row.source) != (role, roles, "roster"):
            row.role, row.lms_roles, row.source, row.seen_at = role, roles, "roster", fetched_at


def _people(session: Session, issuer: str, members: Iterable[Member], now: datetime) -> dict[str, str]:
    """Person ids by sub; people who never arrived are made, names that are missing are filled in."""
    wanted = {member.sub: member for member in members}
    ids: dict[str, str] = {}
    rows = session.exec(
        select(PersonRow).where(PersonRow.issuer == issuer, col(PersonRow.sub).in_(list(wanted)))
    ).all()
    for row in rows:
        ids[row.sub] = row.id
        row.name, row.email = row.name or wanted[row.sub].name, row.email or wanted[row.sub].email
    for sub, member in wanted.items():
        if sub not in ids:
            ids[sub] = "p" + uuid4().hex[:20]
            session.add(
                PersonRow(
                    id=ids[sub],
                    issuer=issuer,
                    sub=sub,
                    name=member.name,
                    email=member.email,
                    created_at=now,
                    seen_at=now,
                )
            )
    session.flush()
    return ids


def _save_groups(
    session: Session, course_id: str, members: Sequence[Member], people: Mapping[str, str]
) -> None:
    groups = session.exec(select(CourseGroupRow).where(CourseGroupRow.course_id == course_id)).all()
    rows = session.exec(select(GroupMemberRow).where(GroupMemberRow.course_id == course_id)).all()
    names = {row.group_id: row for row in groups}
    gone = {(row.group_id, row.person_id): row for row in rows}
    inside: set[tuple[str, str]] = set()
    for member in members:
        for group_id, name in dict(member.groups).items():
            row = names.get(group_id)
            if row is None:
                row = names[group_id] = CourseGroupRow(course_id=course_id, group_id=group_id, name=name)
                session.add(row)
            row.name = name or row.name
            key = (group_id, people[member.sub])
            if gone.pop(key, None) is None and key not in inside:
                session.add(GroupMemberRow(course_id=course_id, group_id=group_id, person_id=key[1]))
            inside.add(key)
    for left in gone.values():
        session.delete(left)


def save_group_names(db: Database, course_id: str, groups: Iterable[tuple[str, str]]) -> None:
    """Keep the complete list of a course's groups, as (id, name): groups that are not in it are gone."""
    wanted = dict(groups)
    with db.write() as session:
        rows = session.exec(select(CourseGroupRow).where(CourseGroupRow.course_id == course_id)).all()
        for row in rows:
            if row.group_id in wanted:
                name = wanted.pop(row.group_id)
                # What is known already may be the same name before somebody wrote it in Latin-1.
                if name != row.name.encode("latin-1", "replace").decode("latin-1"):
                    row.name = name or row.name
            else:
                session.execute(
                    delete(GroupMemberRow).where(
                        col(GroupMemberRow.course_id) == course_id,
                        col(GroupMemberRow.group_id) == row.group_id,
                    )
                )
                session.delete(row)
        for group_id, name in wanted.items():
            session.add(CourseGroupRow(course_id=course_id, group_id=group_id, name=name))


def list_roster(db: Database, course_id: str) -> list[RosterPerson]:
    """Everybody who belongs to a course, by name; nobody who only looks at it as a role sees it."""
    with db.read() as session:
        rows = session.exec(
            select(MembershipRow, PersonRow.name)
            .join(PersonRow, col(PersonRow.id) == col(MembershipRow.person_id))
            .where(MembershipRow.course_id == course_id, MembershipRow.source != PREVIEW)
        ).all()
    found = [RosterPerson(PersonId(row.person_id), name, Role(row.role)) for row, name in rows]
    return sorted(found, key=lambda p: (fold(p.name), p.person_id))


def list_groups(db: Database, course_id: str) -> list[Group]:
    """A course's groups by name, with the participants in each."""
    with db.read() as session:
        groups = session.exec(select(CourseGroupRow).where(CourseGroupRow.course_id == course_id)).all()
        members = session.exec(
            select(GroupMemberRow.group_id, GroupMemberRow.person_id)
            .join(
                MembershipRow,
                (col(MembershipRow.course_id) == col(GroupMemberRow.course_id))
                & (col(MembershipRow.person_id) == col(GroupMemberRow.person_id)),
            )
            .where(GroupMemberRow.course_id == course_id, MembershipRow.role != Role.MODERATOR.value)
            .order_by(GroupMemberRow.person_id)
        ).all()
    inside: dict[str, list[PersonId]] = {}
    for group_id, person_id in members:
        inside.setdefault(group_id, []).append(PersonId(person_id))
    found = [Group(g.group_id, g.name or g.group_id, tuple(inside.get(g.group_id, ()))) for g in groups]
    return sorted(found, key=lambda g: (fold(g.name), g.group_id))
