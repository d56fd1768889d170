"""The LTI messages that we take, and what each must hold. Pure: looks at claims, decides nothing else.

These checks stand in place of the library's: it refuses context launches, knows the data privacy launch by an old name
and forbids it the context that Sakai sends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from lti import claims
from lti.errors import LaunchRefused

RESOURCE_LINK: Final = "LtiResourceLinkRequest"
DEEP_LINKING: Final = "LtiDeepLinkingRequest"
CONTEXT: Final = "LtiContextLaunchRequest"
REVIEW: Final = "LtiSubmissionReviewRequest"
PRIVACY: Final = "LtiDataPrivacyLaunchRequest"
_ALIASES: Final = {"DataPrivacyLaunchRequest": PRIVACY}


def check(body: Mapping[str, Any], base_url: str) -> str:
    """The message's type, once it holds what it must. Raises LaunchRefused."""
    kind = body.get(claims.MESSAGE_TYPE)
    kind = _ALIASES.get(kind, kind) if isinstance(kind, str) else None
    rule = _RULES.get(kind or "")
    if kind is None or rule is None:
        raise LaunchRefused(
            "message",
            "The LMS sent a message that can’t be used.",
            "message_type is missing or not known here",
        )
    target = body.get(claims.TARGET_LINK_URI)
    if not (isinstance(target, str) and is_ours(target, base_url)) and (
        target is not None or kind == RESOURCE_LINK
    ):
        raise LaunchRefused(
            "wrong_target",
            "The tool’s address in the LMS isn’t this server’s.",
            "target_link_uri is not ours",
        )
    rule(body)
    return kind


def is_ours(url: str, base_url: str) -> bool:
    """Is this our launch address? Nothing else may be a target: it becomes part of where a browser is sent."""
    try:
        theirs, ours = urlsplit(url), urlsplit(base_url)
        same = (theirs.scheme, theirs.hostname, _port(theirs)) == (ours.scheme, ours.hostname, _port(ours))
    except ValueError:
        return False
    return same and theirs.username is None and theirs.path.rstrip("/") == "/lti/launch"


def _port(parts: Any) -> int | None:
    return parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _resource_link(body: Mapping[str, Any]) -> None:
    if not _text(body, claims.RESOURCE_LINK, "id"):
        raise LaunchRefused("message", "The LMS didn’t say which link was opened.", "resource_link has no id")


def _context(body: Mapping[str, Any]) -> None:
    if not _text(body, claims.CONTEXT, "id"):
        raise LaunchRefused("message", "The LMS didn’t say which course this is.", "context has no id")


def _review(body: Mapping[str, Any]) -> None:
    if not _text(body, claims.FOR_USER, "user_id"):
        raise LaunchRefused("message", "The LMS didn’t say whose work to show.", "for_user has no user_id")


def _deep_linking(body: Mapping[str, Any]) -> None:
    settings = body.get(claims.DEEP_LINKING_SETTINGS)
    if not isinstance(settings, dict):
        raise LaunchRefused(
            "message", "The LMS didn’t say what can be inserted.", "deep_linking_settings are missing"
        )
    parts = urlsplit(str(settings.get("deep_link_return_url", "")))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LaunchRefused(
            "message", "The LMS didn’t say where to insert.", "deep_link_return_url is missing"
        )
    types = settings.get("accept_types")
    if not isinstance(types, list) or "ltiResourceLink" not in types:
        raise LaunchRefused(
            "accept_types",
            "Nothing from Sideroom can be inserted here.",
            "accept_types has no ltiResourceLink; use the tool in Lessons, the editor or Assignments",
        )


def _privacy(_body: Mapping[str, Any]) -> None:
    """Needs nothing more than who asks; Sakai sends context and resource link all the same."""


_RULES: Final[dict[str, Callable[[Mapping[str, Any]], None]]] = {
    RESOURCE_LINK: _resource_link,
    CONTEXT: _context,
    REVIEW: _review,
    DEEP_LINKING: _deep_linking,
    PRIVACY: _privacy,
}


def _text(body: Mapping[str, Any], claim: str, key: str) -> str:
    value = body.get(claim)
    found = value.get(key) if isinstance(value, dict) else None
    return found.strip() if isinstance(found, str) else ""
