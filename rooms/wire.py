"""JSON ⇄ commands, events, actors: strict, by reflection on the dataclasses, one table. Pure.

Refusals are ``DomainError("bad_command")`` with the field named in ``facts``.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from math import isfinite
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from models.values import Actor, ActorKind, CommandId, CourseId, Json, PersonId, Role, SessionId
from rooms import commands as _commands
from rooms import events as _events
from rooms.commands import Command
from rooms.errors import DomainError
from rooms.events import Event, Recorded

T = TypeVar("T")
MAX_TEXT = 16_000
"""Unicode code points: a message of nothing but emoji of many parts has so many."""
MAX_ITEMS = 1000


def snake(name: str) -> str:
    """``StartBreakout`` → ``start_breakout``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _subclasses(module: types.ModuleType, base: type) -> dict[str, type]:
    found = (
        v for v in vars(module).values() if isinstance(v, type) and issubclass(v, base) and v is not base
    )
    return {snake(cls.__name__): cls for cls in found}


COMMANDS: dict[str, type[Command]] = _subclasses(_commands, Command)
EVENTS: dict[str, type[Event]] = _subclasses(_events, Event)
_NOT_FOR_CLIENTS = {
    "open_session",
    "enter_session",
    "leave_session",
    "complete_transition",
    "time_is_up",
    "report_recording",
    "expire_recording",
    "warn_of_recording",
    "report_film",
}
CLIENT_COMMANDS: frozenset[str] = frozenset(COMMANDS) - _NOT_FOR_CLIENTS
"""What browsers and integrators may ask for (docs/protocol.md §2)."""


def is_command(name: str) -> bool:
    return name in COMMANDS


def command_name(command: Command) -> str:
    return snake(type(command).__name__)


def event_name(event: Event) -> str:
    return snake(type(event).__name__)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@dataclass(frozen=True, slots=True)
class _Source:
    """How far a JSON value is trusted: what people send is bounded, what stands in our log is taken as it was written."""

    is_ours: bool

    def text(self, field: str, value: Any) -> str:
        if not isinstance(value, str) or not (self.is_ours or len(value) <= MAX_TEXT):
            raise _bad(field, f"a text of at most {MAX_TEXT} characters")
        if not self.is_ours and not is_storable(value):
            raise _bad(field, "a text without characters that cannot be stored")
        return value

    def items(self, field: str, value: Any) -> Sequence[Any]:
        if not isinstance(value, list | tuple) or not (self.is_ours or len(value) <= MAX_ITEMS):
            raise _bad(field, f"a list of at most {MAX_ITEMS}")
        return value

    def json(self, field: str, value: Any) -> Any:
        if self.is_ours:
            return value
        if isinstance(value, str):
            return self.text(field, value)
        if isinstance(value, float) and not isfinite(value):
            raise _bad(field, "a number")
        for inner in (*value, *value.values()) if isinstance(value, dict) else ():
            self.json(field, inner)
        for inner in value if isinstance(value, list) else ():
            self.json(field, inner)
        return value


_PEOPLE = _Source(is_ours=False)
_LOG = _Source(is_ours=True)


def is_storable(text: str) -> bool:
    """PostgreSQL keeps no NUL, and half of a surrogate pair cannot be sent to anybody."""
    return "\x00" not in text and not any("\ud800" <= ch <= "\udfff" for ch in text)


def _bad(field: str, expected: str) -> DomainError:
    return DomainError("bad_command", f"“{field}” must be {expected}.", field=field)


def _read(source: _Source, field: str, kind: Any, value: Any) -> Any:
    """A JSON value as the annotated type. Raises DomainError."""
    if kind is Json:
        return source.json(field, value)
    if isinstance(kind, NewType):
        return _read(source, field, kind.__supertype__, value)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(source, field, get_args(kind), value)
    if origin is Literal:
        if value in get_args(kind):
            return value
        raise _bad(field, "one of " + ", ".join(map(str, get_args(kind))))
    if origin is tuple:
        inner = get_args(kind)[0]
        return tuple(_read(source, field, inner, item) for item in source.items(field, value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _bad(field, "an object")
        key_kind, item_kind = get_args(kind)
        return {
            _read(source, field, key_kind, k): _read(source, field, item_kind, v) for k, v in value.items()
        }
    return _read_plain(source, field, kind, value)


def _read_union(source: _Source, field: str, kinds: tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in kinds:
        return None
    (kind,) = (k for k in kinds if k is not type(None))
    return _read(source, field, kind, value)


def _read_plain(source: _Source, field: str, kind: Any, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise _bad(field, "true or false")
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
            return value
        raise _bad(field, "a whole number")
    if kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            return float(value)
        raise _bad(field, "a number")
    if kind is datetime:
        return _read_time(field, value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError:
            raise _bad(field, "one of " + ", ".join(kind)) from None
    if kind is str:
        return source.text(field, value)
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_object(source, kind, value, field)
    raise TypeError(f"no JSON form for {kind!r}")


def _read_time(field: str, value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _bad(field, "a time such as 2026-05-04T10:00:00Z") from None
    if at.tzinfo is None:
        raise _bad(field, "a time with its zone")
    return at.astimezone(UTC)


def _read_object(source: _Source, cls: type[T], data: Any, where: str) -> T:
    if not isinstance(data, Mapping):
        raise _bad(where, "an object")
    hints = _hints(cls)  # type: ignore[arg-type]
    unknown = set(data) - set(hints)
    if unknown and not source.is_ours:
        name = str(min(map(str, unknown)))[:40]
        raise DomainError("bad_command", f"“{name}” isn’t a known field.", field=name)
    values = {}
    for spec in fields(cls):  # type: ignore[arg-type]
        if spec.name in data:
            values[spec.name] = _read(source, spec.name, hints[spec.name], data[spec.name])
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise DomainError("bad_command", f"“{spec.name}” is missing.", field=spec.name)
    return cls(**values)


def to_json(value: Any) -> Any:
    """Any of our values as JSON data. Times become RFC 3339 UTC strings with microseconds kept."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {spec.name: to_json(getattr(value, spec.name)) for spec in fields(value)}
    return value


def command_from_json(name: str, args: Mapping[str, Any]) -> Command:
    """A command by its wire name. Raises DomainError ``bad_command``."""
    cls = COMMANDS.get(name)
    if cls is None:
        raise DomainError("bad_command", f"Unknown command “{name[:40]}”.", field="name")
    return _read_object(_PEOPLE, cls, args, "args")


def command_to_json(command: Command) -> tuple[str, dict[str, Any]]:
    return command_name(command), to_json(command)


def event_to_json(event: Event) -> tuple[str, dict[str, Any]]:
    return event_name(event), to_json(event)


def event_from_json(name: str, data: Mapping[str, Any]) -> Event:
    return _read_object(_LOG, EVENTS[name], data, name)


def actor_to_json(actor: Actor) -> dict[str, Any]:
    data: dict[str, Any] = to_json(actor)
    return data


def actor_from_json(data: Mapping[str, Any]) -> Actor:
    return Actor(
        kind=ActorKind(data["kind"]),
        person_id=PersonId(data["person_id"]) if data.get("person_id") else None,
        name=str(data.get("name", "")),
        role=Role(data["role"]) if data.get("role") else None,
        course_id=CourseId(data["course_id"]) if data.get("course_id") else None,
    )


def recorded_to_json(recorded: Recorded) -> dict[str, Any]:
    """An event as webhooks and REST show it."""
    name, data = event_to_json(recorded.event)
    return {
        "session_id": recorded.session_id,
        "seq": recorded.seq,
        "at": to_json(recorded.at),
        "event": name,
        "data": data,
        "actor": actor_to_json(recorded.actor),
    }


def recorded_from_parts(
    session_id: str,
    seq: int,
    at: datetime,
    actor: Mapping[str, Any],
    command_id: str,
    name: str,
    data: Mapping[str, Any],
) -> Recorded:
    """An event as it was stored."""
    return Recorded(
        SessionId(session_id),
        seq,
        at,
        actor_from_json(actor),
        CommandId(command_id),
        event_from_json(name, data),
    )
