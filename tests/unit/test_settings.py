"""Settings: every key round-trips, all mistakes are told at once, the documentation lists each key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from scripts.configuration import text
from server.settings import Settings, SettingsError, environment, load

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]


def test_every_key_round_trips_through_the_environment() -> None:
    changed = {
        spec.name: (spec.default + 1 if isinstance(spec.default, int) else spec.default)
        for spec in fields(Settings)
    }
    changed |= {"data_dir": Path("/tmp/x"), "secret": "s" * 40, "base_url": "https://rooms.example.edu"}
    settings = Settings(**changed)  # type: ignore[arg-type]
    assert load(environment(settings)) == settings


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        load({"SIDEROOM_PORT": "many", "SIDEROOM_PROT": "1"})
    assert len(error.value.problems) == 2
    assert "SIDEROOM_PROT" in str(error.value)
    with pytest.raises(SettingsError) as error:
        load({"SIDEROOM_PORT": "70000", "SIDEROOM_BASE_URL": "rooms", "SIDEROOM_SECRET": "short"})
    assert len(error.value.problems) == 3


def test_browsers_are_told_addresses_they_can_reach() -> None:
    load({"SIDEROOM_MEDIA_HOST": "::", "SIDEROOM_MEDIA_ADVERTISE_IP": "203.0.113.10, 2001:db8::10"})
    for unusable in ("0.0.0.0", "meet.example.edu", "203.0.113.10,::", " "):
        with pytest.raises(SettingsError, match="SIDEROOM_MEDIA_ADVERTISE_IP"):
            load({"SIDEROOM_MEDIA_ADVERTISE_IP": unusable})


def test_variables_of_the_demo_are_no_mistake() -> None:
    assert load({"SIDEROOM_DEMO_LMS_PORT": "9081"}) == Settings()


def test_slack_needs_both_of_its_secrets() -> None:
    with pytest.raises(SettingsError, match="Slack needs both"):
        load({"SIDEROOM_SLACK_BOT_TOKEN": "xoxb-1"})

    with pytest.raises(SettingsError, match="SLACK_TEAM_ID"):
        load({"SIDEROOM_SLACK_BOT_TOKEN": "xoxb-1", "SIDEROOM_SLACK_SIGNING_SECRET": "s"})


def test_values_that_mean_nothing_are_mistakes() -> None:
    with pytest.raises(SettingsError) as error:
        load({"SIDEROOM_ADMIN_LTI": "maybe", "SIDEROOM_PORT_FILE": "/run/port"})
    assert len(error.value.problems) == 2 and "true or false" in str(error.value)
    with pytest.raises(SettingsError, match="SIDEROOM_GRACE_S"):
        load({"SIDEROOM_GRACE_S": "-1"})


@pytest.mark.parametrize(("raw", "meant"), [("1", True), ("Yes", True), ("off", False), ("", False)])
def test_switches_are_written_in_several_ways(raw: str, meant: bool) -> None:
    assert load({"SIDEROOM_ADMIN_LTI": raw}).admin_lti is meant


def test_the_configuration_page_is_current() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == text(), (
        "write it anew: python -m scripts.configuration"
    )


@pytest.mark.parametrize("url", ["postgres://u@h/d", "postgresql://u@h/d", "mysql://h/d", "sideroom.db"])
def test_a_database_that_is_not_supported_is_told_in_a_line(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({"SIDEROOM_DATABASE_URL": url})
    assert len(error.value.problems) == 1 and "postgresql+psycopg://" in error.value.problems[0]
    assert url not in error.value.problems[0], "it may hold a password"
