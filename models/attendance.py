"""A course's attendance score as its settings hold it (``CourseRow.settings["attendance"]``). Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SETTING: Final = "attendance"


@dataclass(frozen=True, slots=True)
class AttendanceSettings:
    """``maximum``: points for attending every meeting. A meeting is attended by being there for ``min_percent`` of it."""

    enabled: bool = False
    maximum: float = 100.0
    min_percent: int = 50


def from_json(value: Any) -> AttendanceSettings:
    """The settings of a course; anything odd is as if it were not set."""
    try:
        return checked(value if isinstance(value, Mapping) else {})
    except ValueError:
        return AttendanceSettings()


def checked(value: Mapping[str, Any]) -> AttendanceSettings:
    """Raises ValueError with a sentence that names the field."""
    unknown = set(value) - {"enabled", "maximum", "min_percent"}
    if unknown:
        raise ValueError(f"“{min(unknown)[:40]}” isn’t a known setting.")
    enabled, maximum = value.get("enabled", False), value.get("maximum", 100)
    min_percent = value.get("min_percent", 50)
    if not isinstance(enabled, bool):
        raise ValueError("“enabled” is true or false.")
    if isinstance(maximum, bool) or not isinstance(maximum, int | float) or not 0 < maximum <= 10_000:
        raise ValueError("“maximum” is a number of points above 0, at most 10000.")
    if isinstance(min_percent, bool) or not isinstance(min_percent, int) or not 1 <= min_percent <= 100:
        raise ValueError("“min_percent” is a whole number from 1 to 100.")
    return AttendanceSettings(enabled, float(maximum), min_percent)
