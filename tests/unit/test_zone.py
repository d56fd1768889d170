"""Whose time is shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from foundation.zone import day_and_time, local, read_zone

pytestmark = pytest.mark.unit
EVENING = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["America/Los_Angeles", "Europe/Berlin", "UTC", "Asia/Kolkata"])
def test_what_names_a_zone(name: str) -> None:
    assert read_zone(f" {name} ") == name


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "$Context.timezone",
        "GMT+25",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe",
        "Mars/Base",
        "x" * 500,
        "Europe/Berlin\x00",
        "\ud83d",
        None,
        5,
        ["UTC"],
    ],
)
def test_what_names_none(sent: object) -> None:
    assert read_zone(sent) == ""


def test_an_evening_bears_its_own_day_and_utc_is_said() -> None:
    assert day_and_time(EVENING, "America/Los_Angeles") == "2026-11-27 18:30"
    assert day_and_time(EVENING, "Asia/Kolkata") == "2026-11-28 08:00"
    for unknown in ("", "Mars/Base", "UTC"):
        assert day_and_time(EVENING, unknown) == "2026-11-28 02:30 UTC"
    assert local(EVENING, "Europe/Berlin").utcoffset() is not None
