"""Attendance scores into the platform's gradebook (Assignment and Grade Services 2.0); runs in the job worker.

A room whose link has a column of its own in the LMS uses that. Every other room gets one, found again by its tag and
resource id. A score always carries ``scoreGiven``: without it Sakai deletes
the grade. Its progress tells facts: the meetings so far are over (Completed) and nobody needs to look (FullyGraded).
"""

from __future__ import annotations

import logging
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from foundation.address import at_server_of
from lti.services.attendance import MIN_MEETING_S, attendance
from lti.services.connector import Connector
from lti.services.errors import ServiceFailed
from lti.services.offered import LINE_ITEM_SCOPE, SCORE_SCOPE, line_item_of, takes_scores
from models.attendance import SETTING, from_json
from models.store import grades as store
from models.store import people, services
from models.store.database import Database
from models.store.grades import Column, Meeting, Score
from models.store.lti import get_platform
from models.store.services import CourseService
from rooms.errors import DomainError
from rooms.ports import Rooms

log = logging.getLogger("sideroom.lti.services")
TAG: Final = "sideroom-attendance"
MAIN_RESOURCE: Final = "room"
LINE_ITEM: Final = "application/vnd.ims.lis.v2.lineitem+json"
LINE_ITEMS: Final = "application/vnd.ims.lis.v2.lineitemcontainer+json"
SCORE: Final = "application/vnd.ims.lis.v1.score+json"
MAX_PAGES: Final = 50


def look_at_meeting(db: Database, rooms: Rooms, meeting: Meeting) -> None:
    """Who attended a session that has ended, if its course wants to know."""
    now = datetime.now(UTC)
    wanted = from_json(people.course_settings(db, meeting.course_id).get(SETTING))
    if not wanted.enabled:
        store.save_meeting(db, meeting, now, counts=False)
        return
    try:
        found = attendance(rooms.events_after(meeting.session_id, 0))
    except DomainError:
        store.save_meeting(db, meeting, now, counts=False)
        return
    counts = found.length_s >= MIN_MEETING_S
    store.save_meeting(db, meeting, now, counts=counts, length_s=found.length_s, present_s=found.present_s)
    log.info("attendance.counted session_id=%s counts=%s", meeting.session_id, counts)


def send_scores(db: Database, course_id: str) -> None:
    """Send a course's scores that are due. What fails is tried again later."""
    left = deque(store.take_scores(db, course_id, datetime.now(UTC)))
    count = len(left)
    while left:
        service = _gradebook_of(db, course_id, left[0].room_key)
        platform = get_platform(db, service.platform_id) if service is not None else None
        if service is None or platform is None:
            reason = "The LMS offers no gradebook to this tool."
            store.score_failed(db, left.popleft(), datetime.now(UTC), reason, permanent=False)
            continue
        connector = Connector(db, platform, service.deployment_id)
        try:
            _send_room(db, connector, service, left)
        except ServiceFailed as failed:
            if failed.part == "service":
                services.note_health(db, platform.id, "grades", failed.reason)
            log.warning("scores.failed course_id=%s status=%d", course_id, failed.status)
            for rest in left:
                store.score_failed(db, rest, datetime.now(UTC), failed.reason, permanent=False)
            return
        finally:
            connector.close()
        services.note_health(db, platform.id, "grades")
    if count:
        log.info("scores.sent course_id=%s count=%d", course_id, count)


def _gradebook_of(db: Database, course_id: str, room_key: str) -> CourseService | None:
    """Where a room's scores go: the line item of its own link, unless the room has a column that we made."""
    own = services.find_service(db, course_id, line_item_of(room_key))
    column = store.get_column(db, course_id, room_key)
    if own is not None and (column is None or column.url in ("", own.url)):
        return own
    found = services.find_service(db, course_id, "grades")
    return found if found is not None and takes_scores(found) else None


def _send_room(db: Database, connector: Connector, service: CourseService, left: deque[Score]) -> None:
    """Send and take away the first scores of ``left``, those of one room. Raises ServiceFailed: nothing can be sent now."""
    room_key = left[0].room_key
    while left and left[0].room_key == room_key:
        try:
            _send(db, connector, service, left[0])
        except ServiceFailed as failed:
            if not failed.permanent or failed.part != "service":
                raise
            # This person's score only: a member of staff, or somebody who has left.
            store.score_failed(db, left[0], datetime.now(UTC), failed.reason, permanent=True)
        else:
            store.score_sent(db, left[0], datetime.now(UTC))
        left.popleft()


def _send(db: Database, connector: Connector, service: CourseService, score: Score) -> None:
    """One score, into its room's column. A column that somebody deleted is made again once."""
    for again in (True, False):
        column = _column(db, connector, service, score)
        body = {
            "userId": score.sub,
            "scoreGiven": _number(min(score.points, column.maximum)),
            "scoreMaximum": _number(column.maximum),
            "activityProgress": "Completed",
            "gradingProgress": "FullyGraded",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "comment": score.comment,
        }
        try:
            connector.call(
                "POST", scores_url(column.url), [SCORE_SCOPE], data=body, content_type=SCORE, accept="*/*"
            )
            return
        except ServiceFailed as failed:
            if failed.status != 404 or not again:
                raise
            store.save_column(db, score.course_id, score.room_key, "", 0.0)
            if service.name == line_item_of(score.room_key):
                # The link's own column is gone: the next attempt makes one, where the LMS lets us.
                services.forget_service(db, score.course_id, service.name)
                raise ServiceFailed(failed.reason, status=failed.status) from failed


def scores_url(line_item: str) -> str:
    """Where a line item takes scores; its address may have a query (Moodle)."""
    parts = urlsplit(line_item)
    return parts._replace(path=parts.path.rstrip("/") + "/scores").geturl()


def _column(db: Database, connector: Connector, service: CourseService, score: Score) -> Column:
    """The room's column, made or changed when needed."""
    column = store.get_column(db, score.course_id, score.room_key)
    if column is None:
        raise ServiceFailed("This room no longer has attendance.", permanent=True)
    if service.name == line_item_of(score.room_key):
        # The teacher's own column: its name and its points are theirs, the LMS scales what we send.
        if (column.url, column.made_maximum) != (service.url, column.maximum):
            store.save_column(db, score.course_id, score.room_key, service.url, column.maximum)
        return Column(column.title, service.url, column.maximum, column.maximum)
    if column.url and column.made_maximum == column.maximum:
        return column
    resource = score.room_key or MAIN_RESOURCE
    items = _line_items(connector, service)
    ours = next((i for i in items if (i.get("tag"), i.get("resourceId")) == (TAG, resource)), None)
    wanted: dict[str, Any] = {
        "label": _label(column.title, items),
        "scoreMaximum": _number(column.maximum),
        "tag": TAG,
        "resourceId": resource,
    }
    try:
        if ours is None:
            made = connector.call(
                "POST", service.url, [LINE_ITEM_SCOPE], data=wanted, content_type=LINE_ITEM, accept=LINE_ITEM
            ).body
        elif ours.get("scoreMaximum") != column.maximum:
            # A teacher may have renamed the column: only its maximum is ours.
            wanted["label"] = ours.get("label") or wanted["label"]
            changed = connector.call(
                "PUT",
                _at_gradebook(service, str(ours["id"])),
                [LINE_ITEM_SCOPE],
                data={**ours, **wanted},
                content_type=LINE_ITEM,
            ).body
            made = changed if isinstance(changed, dict) and "id" in changed else ours
        else:
            made = ours
    except ServiceFailed as failed:
        # No column, no scores: that is never one person's matter.
        raise ServiceFailed(failed.reason, part=failed.part, status=failed.status) from failed
    url = made.get("id") if isinstance(made, dict) else None
    if not isinstance(url, str) or not url:
        raise ServiceFailed("The LMS’s answer to a new gradebook column has no usable address.")
    url = _at_gradebook(service, url)
    store.save_column(db, score.course_id, score.room_key, url, column.maximum)
    return Column(column.title, url, column.maximum, column.maximum)


def _line_items(connector: Connector, service: CourseService) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    parts = urlsplit(service.url)
    query = "&".join(filter(None, (parts.query, urlencode({"limit": 500}))))
    url: str | None = parts._replace(query=query).geturl()
    asked: set[str] = set()
    while url is not None:
        if url in asked or len(asked) >= MAX_PAGES:
            # A second column would be made if ours stood on a page that is not read.
            raise ServiceFailed("The LMS’s list of gradebook columns has no end.")
        asked.add(url)
        answer = connector.call("GET", url, [LINE_ITEM_SCOPE], accept=LINE_ITEMS)
        if answer.body is not None and not isinstance(answer.body, list):
            raise ServiceFailed("The LMS’s answer has no list of gradebook columns.")
        found += [item for item in answer.body or () if isinstance(item, dict) and "id" in item]
        url = answer.next_url
    return found


def _at_gradebook(service: CourseService, url: str) -> str:
    """A line item's address at the server that the launch named. Raises ServiceFailed."""
    try:
        return at_server_of(service.url, url)
    except ValueError as error:
        raise ServiceFailed("The LMS’s address of a gradebook column can’t be used.") from error


def _number(value: float) -> float:
    """Whole numbers without a fraction: some platforms (Open edX) take nothing else as a maximum."""
    return int(value) if value == int(value) else value


def _label(title: str, items: list[dict[str, Any]]) -> str:
    """A label that no column has: in Sakai a new column with the label of another one takes that one over."""
    taken = {str(item.get("label")) for item in items}
    base = f"Attendance: {title or 'Room'}"[:200]
    number = 1
    while (label := base if number == 1 else f"{base} ({number})") in taken:
        number += 1
    return label
