"""How a course's rooms behave: who may open one, and who may share a screen. Pure values."""

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
_CHOICES: dict[str, tuple[str, ...]] = {"opens": get_args(Opens), "sharing": get_args(Sharing)}


@dataclass(frozen=True, slots=True)
class RoomSettings:
    opens: Opens = "after_end"
    sharing: Sharing = "everyone"


def from_json(data: Any) -> RoomSettings:
    """As it was kept; what is unknown or missing counts as the default."""
    known = data if isinstance(data, dict) else {}
    return RoomSettings(**{k: v for k, v in known.items() if v in _CHOICES.get(k, ())})


def checked(data: Mapping[str, Any], kept: RoomSettings) -> RoomSettings:
    """What somebody asks for, over what is kept. Raises ValueError with a sentence that names what is possible."""
    values: dict[str, Any] = {spec.name: getattr(kept, spec.name) for spec in fields(kept)}
    for name, value in data.items():
        if name not in _CHOICES:
            raise ValueError(f"“{name[:40]}” is not known here.")
        if value not in _CHOICES[name]:
            raise ValueError(f"“{name}” is one of {', '.join(_CHOICES[name])}.")
        values[name] = value
    return RoomSettings(**values)
