"""What a launch offers beside the launch itself: services of the platform, and the course's history. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from foundation.text import is_keepable
from lti import claims
from models.store.services import CourseService, Offered, ServiceName

NRPS_SCOPE: Final = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
GROUPS_SCOPE: Final = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
_AGS: Final = "https://purl.imsglobal.org/spec/lti-ags/scope/"
LINE_ITEM_SCOPE: Final = _AGS + "lineitem"
SCORE_SCOPE: Final = _AGS + "score"
GROUPS_CLAIM: Final = "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice"
AGS_CLAIM: Final = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
_CUSTOM: Final = "https://purl.imsglobal.org/spec/lti/claim/custom"
HISTORY: Final = ("context_history", "context_id_history")
"""Names of the custom parameter that is set to ``$Context.id.history``."""
MAX_HISTORY: Final = 50
_SERVICES: Final[tuple[tuple[ServiceName, str, str, tuple[str, ...], tuple[str, ...]], ...]] = (
    # name, claim, member with the address, scopes we use, scopes when the claim names none
    ("roster", claims.NRPS, "context_memberships_url", (NRPS_SCOPE,), (NRPS_SCOPE,)),
    ("groups", GROUPS_CLAIM, "context_groups_url", (GROUPS_SCOPE,), (GROUPS_SCOPE,)),
    ("grades", AGS_CLAIM, "lineitems", (LINE_ITEM_SCOPE, SCORE_SCOPE), ()),
)


def line_item_of(room_key: str) -> str:
    """The name under which the line item of a room's own link is kept."""
    return f"line item {room_key}"


def takes_scores(service: CourseService) -> bool:
    """Can scores be sent by this service: into columns that we make, or into the one of a link?"""
    needed = {LINE_ITEM_SCOPE, SCORE_SCOPE} if service.name == "grades" else {SCORE_SCOPE}
    return needed <= set(service.scopes)


def offered(body: Mapping[str, Any], room_key: str | None = None) -> list[Offered]:
    """The services of a launch with those of their scopes that we use: one scope too many and Sakai refuses all.

    ``room_key`` is the room that the link opens, None for another page. A link may have a line item of its own.
    """
    found: list[Offered] = []
    for name, claim, member, wanted, default in _SERVICES:
        given = body.get(claim)
        if not isinstance(given, Mapping):
            continue
        url, scopes = given.get(member), given.get("scope")
        granted = [s for s in wanted if s in scopes] if isinstance(scopes, list) else list(default)
        if isinstance(url, str) and _is_web(url) and granted:
            found.append(Offered(name, url, tuple(granted)))
    own = body.get(AGS_CLAIM)
    if room_key is not None and isinstance(own, Mapping):
        url, scopes = own.get("lineitem"), own.get("scope")
        if isinstance(url, str) and _is_web(url) and isinstance(scopes, list) and SCORE_SCOPE in scopes:
            found.append(Offered(line_item_of(room_key), url, (SCORE_SCOPE,)))
    return found


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and len(url) <= 2000
            and is_keepable(url)
        )
    except ValueError:
        return False


def history(body: Mapping[str, Any]) -> list[str] | None:
    """Context ids that the course was copied from, nearest first; None when the platform does not say."""
    custom = body.get(_CUSTOM)
    for name in HISTORY:
        text = custom.get(name) if isinstance(custom, Mapping) else None
        # A platform that does not know the variable sends its name.
        if isinstance(text, str) and not text.startswith("$"):
            return [part.strip() for part in text.split(",") if part.strip() and is_keepable(part)][
                :MAX_HISTORY
            ]
    return None
