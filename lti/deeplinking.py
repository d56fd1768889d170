"""Deep linking 2.0: what a selector page may offer, the links it makes, and what such a link opens later.

Sakai's ways (docs/sakai.md): only ``ltiResourceLink`` counts; Lessons and Assignments take one item, the last; customs
must be texts; ``data`` must come back; the editor puts a frame for an item with ``iframe`` and a link otherwise.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal
from uuid import uuid4

from foundation.text import clean
from lti import claims, keys
from models.recording import LAYOUTS, Layout
from models.store.database import Database
from models.store.deeplinks import DeepLink
from models.store.lti import Platform

RESPONSE: Final = "LtiDeepLinkingResponse"
ANSWER_LIFE_S: Final = 300
FRAME: Final = {"width": 640, "height": 420}
_KIND, _ROOM, _ENTRY, _GRANT = "sideroom_item", "sideroom_room", "sideroom_entry", "sideroom_grant"
_WAIT, _TITLE, _RECORD, _LAYOUT = "sideroom_wait", "sideroom_title", "sideroom_record", "sideroom_layout"
_RECORD_BY: Final = "sideroom_record_by"


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """A named room's own settings. ``record``: record as soon as somebody comes; None, or no layout: as in the course.

    ``record_by``: the person who chose to record, to whom the recordings belong while they moderate the course.
    """

    wait: bool = False
    record: bool | None = None
    record_by: str = ""
    layout: Layout | None = None

    @property
    def kept(self) -> dict[str, Any]:
        """As ``models.store.deeplinks.CourseRoom`` keeps them."""
        recording: dict[str, Any] = {}
        if self.record is not None:
            recording["record_on_start"] = self.record
        if self.record and self.record_by:
            recording["record_on_start_by"] = self.record_by
        if self.layout is not None:
            recording["options"] = {"layout": self.layout}
        return {"wait": self.wait} | ({"recording": recording} if recording else {})


def layout_of(value: object) -> Layout | None:
    """A layout by its name; None for anything else."""
    return next((layout for layout in LAYOUTS if layout == value), None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the LMS inserts. ``name`` is Sakai's word (lessons, editor, assignment) or empty."""

    name: str
    multiple: bool
    line_item: bool

    @property
    def in_text(self) -> bool:
        return self.name == "editor"


def place_of(settings: Mapping[str, Any]) -> Place:
    name = settings.get(claims.SAKAI_PLACEMENT)
    return Place(
        name=name if isinstance(name, str) else "",
        multiple=settings.get("accept_multiple") is True,
        line_item=settings.get("accept_lineitem") is True,
    )


# -- the links we make -----------------------------------------------------------------------------------------


def room_item(launch_url: str, title: str, settings: RoomSettings) -> dict[str, Any]:
    """A link to a room of its own, made when it is first opened. Never a frame: rooms need a window."""
    custom = {
        _KIND: "room",
        _ROOM: "r" + uuid4().hex[:16],
        _TITLE: title,
        _WAIT: "1" if settings.wait else "0",
    }
    if settings.record is not None:
        custom[_RECORD] = "1" if settings.record else "0"
    if settings.record and settings.record_by:
        custom[_RECORD_BY] = settings.record_by
    if settings.layout is not None:
        custom[_LAYOUT] = settings.layout
    return _item(launch_url, title, custom)


def entry_item(launch_url: str, title: str, entry_id: str, grant: str, place: Place) -> dict[str, Any]:
    """A link that plays one entry of the library."""
    item = _item(launch_url, title, {_KIND: "media", _ENTRY: entry_id, _GRANT: grant})
    return item | ({"iframe": FRAME} if place.in_text else {})


def gallery_item(launch_url: str, title: str, place: Place) -> dict[str, Any]:
    """A link to the course's gallery."""
    item = _item(launch_url, title, {_KIND: "gallery"})
    return item | ({"iframe": FRAME} if place.in_text else {})


def with_points(item: dict[str, Any], points: float) -> dict[str, Any]:
    """The same link with a column in the gradebook."""
    return item | {"lineItem": {"scoreMaximum": points, "label": item["title"]}}


def _item(launch_url: str, title: str, custom: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "ltiResourceLink",
        "title": title,
        "url": launch_url,
        "custom": custom,
        # Sakai opens a new window unless this old word asks for the frame.
        "placementAdvice": {"presentationDocumentTarget": "iframe"},
    }


def answer(
    db: Database, platform: Platform, asked: DeepLink, items: Sequence[Mapping[str, Any]], message: str
) -> tuple[str, dict[str, str]]:
    """The signed response: where to post it, and the form's fields. One item where the place takes one."""
    if not place_of(asked.settings).multiple:
        items = items[-1:]
    now = int(time.time())
    body: dict[str, Any] = {
        "iss": platform.client_id,
        "aud": platform.issuer,
        "iat": now,
        "exp": now + ANSWER_LIFE_S,
        "nonce": uuid4().hex,
        claims.MESSAGE_TYPE: RESPONSE,
        claims.VERSION: "1.3.0",
        claims.DEPLOYMENT_ID: asked.deployment_id,
        claims.CONTENT_ITEMS: list(items),
    }
    if "data" in asked.settings:
        body[claims.DEEP_LINKING_DATA] = asked.settings["data"]
    if message:
        body[claims.DEEP_LINKING_MESSAGE] = message
    return str(asked.settings["deep_link_return_url"]), {"JWT": keys.sign(db, body)}


# -- what a link opens -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link of ours stands for. ``title`` is the name it was made with."""

    kind: Literal["room", "media", "gallery"]
    room_key: str = ""
    title: str = ""
    settings: RoomSettings = RoomSettings()
    entry_id: str = ""
    grant: str = ""


def linked(custom: Mapping[str, str]) -> Linked | None:
    """Read a launch's customs; None for a launch that is not one of our links."""
    kind, key, entry_id = custom.get(_KIND), custom.get(_ROOM, ""), custom.get(_ENTRY, "")
    if kind == "room" and _is_key(key):
        settings = RoomSettings(
            wait=custom.get(_WAIT) == "1",
            record={"1": True, "0": False}.get(custom.get(_RECORD, "")),
            record_by=custom.get(_RECORD_BY, "")[:64],
            layout=layout_of(custom.get(_LAYOUT)),
        )
        return Linked(
            "room", room_key=key, title=clean(custom.get(_TITLE, ""), 200, most_bytes=800), settings=settings
        )
    if kind == "media" and _is_key(entry_id):
        return Linked("media", entry_id=entry_id, grant=custom.get(_GRANT, ""))
    return Linked("gallery") if kind == "gallery" else None


def _is_key(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isascii() and text.isalnum()


def grant(key: str, issuer: str, entry_id: str) -> str:
    """Proof that somebody who may show this entry made the link: customs can be edited in the LMS, this cannot.

    Good in any course of the platform, so a copied course keeps its films.
    """
    return hmac.new(key.encode(), f"share\n{issuer}\n{entry_id}".encode(), sha256).hexdigest()


def is_granted(keys: Sequence[str], issuer: str, found: Linked) -> bool:
    """Whether one of the keys made this link's grant: the present one, or of an earlier site secret (links stay in the LMS)."""
    return any(
        hmac.compare_digest(grant(key, issuer, found.entry_id).encode(), found.grant.encode())
        for key in keys
        if key
    )
