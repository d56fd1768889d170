"""Deep linking under way, the rooms that links made, and the entries that links show in other courses."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.recording import merged
from models.store.access import hash_secret
from models.store.database import Database
from models.store.people import course_settings
from models.tables import CourseRoomRow, DeepLinkRow, MediaShareRow, MembershipRow, PersonRow
from models.values import Actor, ActorKind, CourseId, PersonId, Role

ANSWER_LIFE = timedelta(hours=4)
"""How long a selector page may stay open before it answers."""


@dataclass(frozen=True, slots=True)
class DeepLink:
    """A deep linking request as the platform sent it; ``settings`` is its settings claim."""

    platform_id: int
    deployment_id: str
    course_id: str
    person_id: str
    settings: dict[str, Any]


def begin_deep_link(db: Database, asked: DeepLink) -> str:
    """Keep a request until its answer; returns the id that the selector page gives back."""
    link_id = secrets.token_urlsafe(24)
    now = datetime.now(UTC)
    with db.write() as session:
        session.execute(delete(DeepLinkRow).where(col(DeepLinkRow.expires_at) < now))
        session.add(
            DeepLinkRow(
                id_hash=hash_secret(link_id),
                platform_id=asked.platform_id,
                deployment_id=asked.deployment_id,
                course_id=asked.course_id,
                person_id=asked.person_id,
                settings=asked.settings,
                expires_at=now + ANSWER_LIFE,
            )
        )
    return link_id


def find_deep_link(db: Database, link_id: str) -> DeepLink | None:
    """A request that waits for its answer; None: unknown, answered or expired."""
    with db.read() as session:
        row = session.get(DeepLinkRow, hash_secret(link_id))
    if row is None or row.used_at is not None or row.expires_at <= datetime.now(UTC):
        return None
    return DeepLink(row.platform_id, row.deployment_id, row.course_id, row.person_id, row.settings)


def use_deep_link(db: Database, link_id: str) -> bool:
    """Use a request up: exactly one answer is made."""
    now = datetime.now(UTC)
    with db.write() as session:
        used = session.execute(
            update(DeepLinkRow)
            .where(
                col(DeepLinkRow.id_hash) == hash_secret(link_id),
                col(DeepLinkRow.used_at).is_(None),
                col(DeepLinkRow.expires_at) > now,
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        return bool(used.rowcount == 1)  # type: ignore[attr-defined]


# -- rooms that links made -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CourseRoom:
    """A named room of a course. ``settings``: ``wait`` (bool): participants come in once a moderator has opened it;
    ``recording``: what the room has otherwise than its course (``recording_defaults``).
    """

    room_key: str
    title: str
    settings: dict[str, Any]


def get_room(db: Database, course_id: str, room_key: str) -> CourseRoom | None:
    """The named room, None for the course's first room (key empty) and for unknown ones."""
    if not room_key:
        return None
    with db.read() as session:
        row = session.get(CourseRoomRow, (course_id, room_key))
    return None if row is None else CourseRoom(row.room_key, row.title, row.settings)


def ensure_room(
    db: Database, course_id: str, room_key: str, title: str, settings: Mapping[str, Any]
) -> CourseRoom:
    """The named room, made when it is not there (a copied course brings links to rooms it does not have yet)."""
    found = get_room(db, course_id, room_key)
    if found is not None:
        return found
    try:
        with db.write() as session:
            session.add(
                CourseRoomRow(
                    course_id=course_id,
                    room_key=room_key,
                    title=title,
                    settings=dict(settings),
                    created_at=datetime.now(UTC),
                )
            )
    except IntegrityError:
        pass  # two first launches at once: the other one made it
    return get_room(db, course_id, room_key) or CourseRoom(room_key, title, dict(settings))


def recording_defaults(
    db: Database, course_id: str, room_key: str
) -> tuple[dict[str, Any], bool, Actor | None]:
    """Recording options (partial), whether to record as soon as somebody comes, and the moderator who set that: the
    room's own over its course's.

    Nobody is named when the person does not moderate this course (any more): in a copied course, or without the role.
    """
    course = course_settings(db, course_id).get("recording", {})
    room = get_room(db, course_id, room_key)
    own = room.settings.get("recording", {}) if room is not None else {}
    options = merged(course.get("options", {}), own.get("options", {}))
    setting = own if "record_on_start" in own else course
    on_start = bool(setting.get("record_on_start"))
    by = setting.get("record_on_start_by")
    return options, on_start, _moderator(db, course_id, by) if on_start and isinstance(by, str) else None


def _moderator(db: Database, course_id: str, person_id: str) -> Actor | None:
    """A person as an actor, if they moderate the course."""
    with db.read() as session:
        role = session.get(MembershipRow, (course_id, person_id))
        person = session.get(PersonRow, person_id)
    if role is None or person is None or role.role != Role.MODERATOR.value:
        return None
    return Actor(ActorKind.PERSON, PersonId(person.id), person.name, Role.MODERATOR, CourseId(course_id))


def list_rooms(db: Database, course_id: str) -> list[CourseRoom]:
    """A course's named rooms by title."""
    with db.read() as session:
        rows = session.exec(
            select(CourseRoomRow)
            .where(CourseRoomRow.course_id == course_id)
            .order_by(col(CourseRoomRow.title))
        ).all()
    return [CourseRoom(row.room_key, row.title, row.settings) for row in rows]


# -- entries that links show -----------------------------------------------------------------------------------


def share_entry(db: Database, entry_id: str, course_id: str) -> None:
    """Let the members of a course see an entry. Safe to repeat."""
    if is_shared(db, entry_id, course_id):
        return
    try:
        with db.write() as session:
            session.add(MediaShareRow(entry_id=entry_id, course_id=course_id, created_at=datetime.now(UTC)))
    except IntegrityError:
        pass  # shared in the same moment


def is_shared(db: Database, entry_id: str, course_id: str) -> bool:
    with db.read() as session:
        return session.get(MediaShareRow, (entry_id, course_id)) is not None
