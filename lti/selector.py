"""From what was chosen in the selector page to content items: only what this person may insert, in the LMS's shape."""

from __future__ import annotations

from typing import Any

from foundation.text import clean, is_visible
from library.media import Library
from lti import deeplinking
from lti.deeplinking import Place, RoomSettings
from lti.deps import LtiDeps
from lti.roles import is_workspace
from models.store import people
from models.store.access import Access
from models.store.deeplinks import DeepLink
from models.values import Role
from rooms.errors import DomainError

MAX_ITEMS = 50
MAX_TITLE_CHARS = 200
MAX_POINTS = 10_000


def content_items(deps: LtiDeps, access: Access, asked: DeepLink, chosen: Any) -> list[dict[str, Any]]:
    """``chosen`` is the page's list: ``{"kind": "media|gallery|room", "entry_id"?, "title"?, "points"?}``; a room also has
    ``"wait"?, "record"?`` (true, false, null: as in the course) and ``"layout"?``.

    Raises DomainError for what this person may not insert, ValueError for what has no such form.
    """
    if not isinstance(chosen, list) or len(chosen) > MAX_ITEMS:
        raise ValueError("not a list of items")
    course = people.get_course(deps.db, access.course_id)
    in_course = course is not None and not is_workspace(course.context_id)
    place = deeplinking.place_of(asked.settings)
    launch_url = f"{deps.base_url}/lti/launch"
    library = Library(deps.db, deps.library_root)
    issuer = course.issuer if course is not None else ""
    items = []
    for one in chosen:
        if not isinstance(one, dict):
            raise ValueError("not an item")
        title = _title(one.get("title"))
        if one.get("kind") == "media":
            entry = library.get(access, str(one.get("entry_id", ""))[:64])
            if not library.may_edit(access, entry):
                # Who may only watch an entry may not show it elsewhere.
                raise DomainError("not_allowed", "Only its owner and moderators can insert this recording.")
            grant = deeplinking.grant(deps.link_key, issuer, entry.entry_id)
            item = deeplinking.entry_item(launch_url, title or entry.title, entry.entry_id, grant, place)
        elif one.get("kind") == "gallery" and in_course:
            item = deeplinking.gallery_item(launch_url, title or "Media Gallery", place)
        elif one.get("kind") == "room" and in_course:
            if access.role is not Role.MODERATOR:
                raise DomainError("not_moderator")
            settings = _room_settings(one, access)
            item = deeplinking.room_item(launch_url, title or "Room", settings)
        else:
            raise ValueError("unknown kind")
        items.append(_with_points(item, one.get("points"), access, place))
    return items


def _room_settings(one: dict[str, Any], access: Access) -> RoomSettings:
    record, layout = one.get("record"), deeplinking.layout_of(one.get("layout"))
    if not (record is None or isinstance(record, bool)) or (one.get("layout") and layout is None):
        raise ValueError("bad recording settings")
    by = access.person_id if record else ""
    return RoomSettings(wait=one.get("wait") is True, record=record, record_by=by, layout=layout)


def _title(value: Any) -> str:
    title = clean(value, MAX_TITLE_CHARS, most_bytes=4 * MAX_TITLE_CHARS) if isinstance(value, str) else ""
    return title if is_visible(title) else ""


def _with_points(item: dict[str, Any], points: Any, access: Access, place: Place) -> dict[str, Any]:
    if points is None or points == 0 or not place.line_item or access.role is not Role.MODERATOR:
        return item
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points <= MAX_POINTS:
        raise ValueError("bad points")
    return deeplinking.with_points(item, points)
