"""The protocol's messages as data: parsing what browsers send, building what we send. Pure; docs/protocol.md §1–3.

Every refusal is a ``BadMessage`` with a stable code; the caller decides whether the connection lives on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from models.values import MediaSource
from rooms.errors import DomainError
from rooms.wire import is_storable

VERSION = 1
MAX_SDP_CHARS = 128 * 1024


class BadMessage(Exception):
    """A message that is not of the protocol. ``code``: ``bad_message``, ``bad_sdp`` or ``too_big``."""

    def __init__(self, code: str, message: str, message_id: str | None = None) -> None:
        self.code = code
        self.message = message
        self.message_id = message_id
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class Hello:
    token: str
    last_seq: int
    resume: str | None


@dataclass(frozen=True, slots=True)
class CommandMessage:
    id: str
    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Publish:
    sdp: str
    sources: Mapping[str, MediaSource]


@dataclass(frozen=True, slots=True)
class Subscribed:
    sdp: str
    version: int


@dataclass(frozen=True, slots=True)
class Ping:
    t: float


@dataclass(frozen=True, slots=True)
class Leave:
    pass


Message = Hello | CommandMessage | Publish | Subscribed | Ping | Leave


def parse(text: str) -> Message:
    """One text message → its value. Raises BadMessage."""
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadMessage("bad_message", "This message isn’t JSON.") from error
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise BadMessage("bad_message", "A message is a JSON object with a “type”.")
    parser = _PARSERS.get(data["type"])
    if parser is None:
        raise BadMessage("bad_message", f"Unknown message type “{data['type'][:40]}”.", _id(data))
    return parser(data)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} isn’t JSON")


def _id(data: Mapping[str, Any]) -> str | None:
    value = data.get("id")
    return value[:64] if isinstance(value, str) else None


def _text(data: Mapping[str, Any], key: str, most: int, code: str = "bad_message") -> str:
    value = data.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= most or not is_storable(value):
        raise BadMessage(code, f"“{key}” must be a text of 1 to {most} characters.", _id(data))
    return value


def _number(data: Mapping[str, Any], key: str) -> int:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise BadMessage("bad_message", f"“{key}” must be a whole number of 0 or more.", _id(data))
    return value


def _hello(data: Mapping[str, Any]) -> Hello:
    if data.get("version") != VERSION:
        raise BadMessage("bad_message", f"This server uses version {VERSION}. Reload the page.")
    resume = data.get("resume")
    if resume is not None and (not isinstance(resume, str) or len(resume) > 64):
        raise BadMessage("bad_message", "“resume” must be a connection id or null.")
    return Hello(_text(data, "token", 200), _number(data, "last_seq") if "last_seq" in data else 0, resume)


def _command(data: Mapping[str, Any]) -> CommandMessage:
    args = data.get("args", {})
    if not isinstance(args, dict):
        raise BadMessage("bad_message", "“args” must be an object.", _id(data))
    return CommandMessage(_text(data, "id", 64), _text(data, "name", 64), args)


def _publish(data: Mapping[str, Any]) -> Publish:
    sources = data.get("sources")
    if not isinstance(sources, dict) or len(sources) > 8:
        raise BadMessage("bad_message", "“sources” must map mids to what they carry.", _id(data))
    try:
        named = {str(mid)[:16]: MediaSource(source) for mid, source in sources.items()}
    except ValueError as error:
        raise BadMessage(
            "bad_message", "A source is mic, camera, screen or screen_audio.", _id(data)
        ) from error
    return Publish(_text(data, "sdp", MAX_SDP_CHARS, "bad_sdp"), named)


def _subscribed(data: Mapping[str, Any]) -> Subscribed:
    return Subscribed(_text(data, "sdp", MAX_SDP_CHARS, "bad_sdp"), _number(data, "version"))


def _ping(data: Mapping[str, Any]) -> Ping:
    t = data.get("t", 0)
    return Ping(t if isinstance(t, int | float) and not isinstance(t, bool) and isfinite(t) else 0)


def _leave(_data: Mapping[str, Any]) -> Leave:
    return Leave()


_PARSERS: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "hello": _hello,
    "command": _command,
    "publish": _publish,
    "subscribed": _subscribed,
    "ping": _ping,
    "leave": _leave,
}
CLIENT_TYPES = tuple(_PARSERS)


def stamp(at: datetime) -> str:
    """RFC 3339 UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def refusal(error: DomainError | BadMessage) -> dict[str, object]:
    """The ``error`` member of a ``result``, or an ``error`` message's fields."""
    facts = error.facts if isinstance(error, DomainError) else {}
    return {"code": error.code, "message": error.message, "facts": facts}
