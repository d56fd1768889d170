"""A course's roster and groups from the platform into the database; runs in the job worker, never in a request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from foundation.text import is_keepable
from lti.roles import map_role
from lti.services import roster
from lti.services.connector import Connector
from lti.services.errors import ServiceFailed
from lti.services.roster import RawMember
from models.store import people, services
from models.store import roster as store
from models.store.database import Database
from models.store.lti import Platform, get_platform
from models.store.people import Course
from models.store.roster import Member

log = logging.getLogger("sideroom.lti.services")


def sync_course(db: Database, course_id: str) -> str:
    """Fetch and keep a course's roster and groups. Returns an empty text, or why it failed."""
    now = datetime.now(UTC)
    try:
        count = _fetch(db, course_id, now)
    except ServiceFailed as failed:
        log.warning("roster.failed course_id=%s status=%d", course_id, failed.status)
        store.finish_sync(db, course_id, now, error=failed.reason)
        return failed.reason
    except Exception:
        # Whatever it is, somebody must be able to read that it failed, and the next attempt comes later.
        log.exception("roster.fault course_id=%s", course_id)
        reason = "The roster couldn’t be stored. See the server’s log for the reason."
        store.finish_sync(db, course_id, now, error=reason)
        return reason
    store.finish_sync(db, course_id, now, members=count)
    log.info("roster.synced course_id=%s members=%d", course_id, count)
    return ""


def _fetch(db: Database, course_id: str, now: datetime) -> int:
    course = people.get_course(db, course_id)
    service = services.find_service(db, course_id, "roster")
    platform = get_platform(db, service.platform_id) if service is not None else None
    if course is None or service is None or platform is None:
        raise ServiceFailed(
            "The LMS hasn’t offered a roster for this course yet. Open the room from the course once.",
            permanent=True,
        )
    connector = Connector(db, platform, service.deployment_id)
    try:
        try:
            found = roster.fetch_members(connector, service)
        except ServiceFailed as failed:
            _note(db, platform, "roster", failed)
            raise
        odd = sum(1 for member in found if not roster.has_id(member))
        services.note_health(db, platform.id, "roster", _odd(odd))
        found = [member for member in found if roster.has_id(member)]
        table = people.course_settings(db, course_id).get("roles")
        members = [_member(member, course, table if isinstance(table, dict) else {}) for member in found]
        store.save_roster(db, course_id, course.issuer, members, now)
    finally:
        connector.close()
    named = {group_id: name for member in members for group_id, name in member.groups if name}
    _groups(db, course_id, named)
    return len(members)


def _odd(count: int) -> str:
    """What is said of members whose id cannot be kept; the others are."""
    if not count:
        return ""
    who = "1 person of the roster has an id" if count == 1 else f"{count} people of the roster have ids"
    return f"{who} with control characters, halves of characters or over {roster.MAX_TEXT} characters, and can’t be stored."


def _note(db: Database, platform: Platform, kind: services.HealthKind, failed: ServiceFailed) -> None:
    # A refused token stands under “token” already.
    if failed.part == "service":
        services.note_health(db, platform.id, kind, failed.reason)


def _member(member: RawMember, course: Course, table: Mapping[str, Any]) -> Member:
    """``table``: the course's own choice of roles (``lti.roles.role_of``)."""
    roles = roster.roles_of(member)
    return Member(
        sub=str(member["user_id"]),
        name=roster.name_of(member),
        email=roster.email_of(member),
        role=map_role(roles, course.context_id, roster.sakai_of(member), table),
        lms_roles=tuple(role[: roster.MAX_TEXT] for role in roles if is_keepable(role))[:20],
        groups=roster.groups_of(member),
    )


def _groups(db: Database, course_id: str, named: Mapping[str, str]) -> None:
    """The groups, also those without members, where the platform has a service for them; failing here is no failure of the roster.

    ``named``: names by group id as the roster has them. They win: Sakai's groups service can only write Latin-1.
    """
    service = services.find_service(db, course_id, "groups")
    platform = get_platform(db, service.platform_id) if service is not None else None
    if service is None or platform is None:
        return
    connector = Connector(db, platform, service.deployment_id)
    try:
        groups = roster.fetch_groups(connector, service)
    except ServiceFailed as failed:
        _note(db, platform, "groups", failed)
        log.warning("groups.failed course_id=%s status=%d", course_id, failed.status)
        return
    finally:
        connector.close()
    services.note_health(db, platform.id, "groups")
    store.save_group_names(
        db, course_id, [(group_id, named.get(group_id) or name) for group_id, name in groups]
    )
