"""How a course's rooms behave: who may open one, who may share a screen, whether participants enter muted. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

SETTING = "room"
"""The course setting that holds it."""
Opens = Literal["anyone", "after_end", "moderators"]
"""Who may open a room that is not live: anyone; anyone until a moderator has ended it for everyone, then moderators; or
moderators only."""
Sharing = Literal["everyone", "moderators"]
_SWITCHES = ("mute_on_entry",)
_CHOICES: dict[str, tuple[str, ...]] = {"opens": get_args(Opens), "sharing": get_args(Sharing)}


@dataclass(frozen=True, slots=True)
class RoomSettings:
    opens: Opens = "after_end"
    sharing: Sharing = "everyone"
    mute_on_entry: bool = False
    """Participants come in with their microphone off; they may switch it on then."""


def from_json(data: Any) -> RoomSettings:
    """As it was kept; what is unknown or missing counts as the default."""
    known = data if isinstance(data, dict) else {}
    return RoomSettings(**{k: v for k, v in known.items() if _is_possible(k, v)})


def _is_possible(name: str, value: Any) -> bool:
    if name in _SWITCHES:
        return isinstance(value, bool)
    return isinstance(value, str) and value in _CHOICES.get(name, ())


def checked(data: Mapping[str, Any], kept: RoomSettings) -> RoomSettings:
    """What somebody asks for, over what is kept. Raises ValueError with a sentence that names what is possible."""
    values: dict[str, Any] = {spec.name: getattr(kept, spec.name) for spec in fields(kept)}
    for name, value in data.items():
        if name not in values:
            raise ValueError(f"“{name[:40]}” isn’t a known setting.")
        if not _is_possible(name, value):
            possible = ("true", "false") if name in _SWITCHES else _CHOICES[name]
            raise ValueError(f"“{name}” is one of {', '.join(possible)}.")
        values[name] = value
    return RoomSettings(**values)
