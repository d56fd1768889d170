"""App Home: what it shows to whom, and its settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.store import slack, slack_home
from rooms import commands as c
from sandbox.slack.setup import TEAM_ID
from tests.botkit import (
    ALICE,
    BOB,
    CHARLIE,
    MODS,
    STRANGER,
    Bot,
    until,
)
from tests.slackacts import (
    home_of,
    press_home,
    record,
)

pytestmark = pytest.mark.integration


def test_home_of_a_moderator_shows_what_is_live_and_waits(bot: Bot, tmp_path: Path) -> None:
    bot.run_breakout(2)
    bot.do(BOB, c.CallModerator())
    record(bot, tmp_path)
    shown = home_of(bot, ALICE)
    for words in (
        "Connected as *Alice Moreau*",
        "BIO 101",
        "needs help",
        "rec_watch",
        f"<#{MODS}>",
        "kept until",
    ):
        assert words in shown
    assert home_of(bot, STRANGER).count("connect_open") == 1
    shown = home_of(bot, BOB)
    assert "BIO 101" in shown
    for hidden in ("needs help", "rec_watch", MODS, "dm_calls", '"end"'):
        assert hidden not in shown, "a student has no controls"
    assert "BIO 101" not in home_of(bot, CHARLIE)


def test_home_follows_what_happens(bot: Bot) -> None:
    assert "Start breakout" in home_of(bot, ALICE)
    with bot.posting():
        bot.run_breakout(2)
        until(lambda: "End breakout" in json.dumps(bot.slack.store.homes[ALICE]), "the end button", 30)


def test_the_breakout_is_ended_from_home_by_moderators_only(bot: Bot) -> None:
    bot.run_breakout(2)
    for user in (BOB, CHARLIE, STRANGER):
        press_home(bot, user, "end", bot.session_id)
        assert bot.state.breakout.status.value == "running"
    press_home(bot, ALICE, "end", bot.session_id)
    assert bot.state.breakout.status.value != "running"


def test_a_message_at_each_help_call_is_a_setting(bot: Bot) -> None:
    press_home(bot, BOB, "dm_calls", "on")
    assert not slack_home.wants_calls(bot.db, TEAM_ID, BOB), "only moderators"
    press_home(bot, ALICE, "dm_calls", "on")
    assert slack_home.wants_calls(bot.db, TEAM_ID, ALICE)
    bot.run_breakout(2)
    with bot.posting():
        bot.do(BOB, c.CallModerator())
        until(lambda: any("needs help" in m["text"] for m in bot.bot_messages(ALICE)), "the direct message")
    press_home(bot, ALICE, "dm_calls", "off")
    assert not slack_home.wants_calls(bot.db, TEAM_ID, ALICE)


def test_a_channel_is_unlinked_from_home(bot: Bot) -> None:
    press_home(bot, CHARLIE, "unlink", MODS)
    press_home(bot, BOB, "unlink", MODS)
    assert slack.channel_link(bot.db, TEAM_ID, MODS) is not None
    press_home(bot, ALICE, "unlink", MODS)
    assert slack.channel_link(bot.db, TEAM_ID, MODS) is None
