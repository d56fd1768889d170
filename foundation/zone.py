"""Whose time is shown: one zone for a course's recordings, wherever their date stands."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MAX_CHARS: Final = 100


def read_zone(value: object) -> str:
    """The IANA name of a time zone that others sent; empty for what names none here, such as a variable that was not filled in."""
    name = value.strip() if isinstance(value, str) else ""
    return name if _zone(name) is not None else ""


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    if not 0 < len(name) <= MAX_CHARS or name.startswith(("/", ".")) or not name.isascii():
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def local(at: datetime, zone: str) -> datetime:
    """A time in this zone; in UTC when it names none."""
    return at.astimezone(_zone(zone) or UTC)


def said(zone: str) -> str:
    """What stands behind a time of this zone: nothing, but “ UTC” where no zone of the course is known."""
    return "" if zone not in ("", "UTC", "Etc/UTC") and _zone(zone) is not None else " UTC"


def day_and_time(at: datetime, zone: str) -> str:
    """``2026-11-28 18:10`` in the zone; “ UTC” behind it when it is that."""
    return f"{local(at, zone):%Y-%m-%d %H:%M}{said(zone)}"
