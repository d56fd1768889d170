"""Who may do what: every command, button and form of moderators is refused to all others."""

from __future__ import annotations

import pytest

from models.store import people, slack
from models.values import Role
from sandbox.slack import client as slack_client
from tests.botkit import (
    ALICE,
    BOB,
    CHARLIE,
    MODS,
    STRANGER,
    Bot,
)
from tests.slackacts import CONNECT_WORDS, COURSE_WORDS, MODERATOR_WORDS, create_values, press_any

pytestmark = pytest.mark.integration


MODERATORS_ONLY = [
    "/breakout start 2",
    "/breakout start",
    "/breakout add 5m",
    "/breakout gather",
    "/breakout shuffle",
    "/breakout next",
    "/breakout move <@U0BOB|bob> 2",
    "/breakout end",
    "/breakout end now",
    "/broadcast Two minutes left",
    "/broadcast",
    "/help-calls list",
    "/help-calls join 1",
    "/help-calls dismiss 1",
    "/record start all",
    "/record start main",
    "/record start room 1",
    "/record pause",
    "/record resume",
    "/record stop",
    "/record status",
    "/record list",
    "/room unlink",
]


BUTTONS = [
    "gather",
    "end",
    "shuffle",
    "rr",
    "add_time",
    "rec_all",
    "start_open",
    "broadcast_open",
    "help_join",
    "help_dismiss",
    "room_menu:rec_start",
    "room_menu:rec_pause",
    "room_menu:rec_stop",
    "room_menu:close",
    "card_here",
    "calls_show",
    "rec_go",
    "rec_open",
    "rec_show",
]


@pytest.mark.parametrize("line", MODERATORS_ONLY)
def test_commands_of_moderators_are_refused_to_all_others(running: Bot, line: str) -> None:
    before = running.events()
    for user, words in ((BOB, MODERATOR_WORDS), (CHARLIE, COURSE_WORDS), (STRANGER, CONNECT_WORDS)):
        assert words in running.say(user, line), user
        assert running.slack.store.views_of(user) == []
    assert running.events() == before
    assert MODS in [link.channel_id for link in slack.channels_of(running.db, running.course_id)]


@pytest.mark.parametrize("button", BUTTONS)
def test_buttons_of_moderators_are_refused_to_all_others(running: Bot, button: str) -> None:
    before = running.events()
    for user, words in ((BOB, MODERATOR_WORDS), (CHARLIE, COURSE_WORDS), (STRANGER, CONNECT_WORDS)):
        assert words in press_any(running, user, button), user
        assert running.slack.store.views_of(user) == []
    assert running.events() == before


@pytest.mark.parametrize("button", ["end", "help_join", "start_open", "room_menu:rec_stop"])
def test_somebody_of_another_organisation_is_nobody(running: Bot, button: str) -> None:
    before = running.events()
    assert "another Slack workspace" in press_any(running, ALICE, button, team="T0OTHER")
    assert running.events() == before


@pytest.mark.parametrize("user", [BOB, CHARLIE, STRANGER])
def test_forms_are_refused_to_all_others(bot: Bot, user: str) -> None:
    bot.say(ALICE, "/breakout start")
    view = bot.view(ALICE)
    before = bot.events()
    assert bot.submit(user, view, create_values())["response_action"] == "errors"
    assert bot.events() == before


def test_a_role_that_was_taken_away_counts_at_once(running: Bot) -> None:
    person_id = running.actors[ALICE].person_id
    assert person_id is not None
    people.upsert_membership(running.db, running.course_id, person_id, Role.PARTICIPANT, [])
    assert MODERATOR_WORDS in press_any(running, ALICE, "end")
    assert running.state.breakout.status.value == "running"


def test_a_refusal_has_a_code_and_a_way_out(bot: Bot) -> None:
    body = slack_client.command_body(STRANGER, MODS, "/room", "status")
    blocks = (bot.post(body).json or {})["blocks"]
    assert blocks[0]["block_id"] == "refused:not_connected"
    assert blocks[1]["elements"][0]["action_id"] == "connect_open"
    bot.press(STRANGER, "connect_open")
    assert bot.view(STRANGER)["callback_id"] == "connect"
