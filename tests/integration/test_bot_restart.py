"""Between its answer to Slack and the work a process may die: nothing of what was asked is lost, nothing is done twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.ask import Reply
from bot.redo import RUN_WITHIN_S, TOO_LATE
from models.store import people, slack_outbox
from models.store.slack_inbox import DEAD_AFTER_S
from models.values import Role
from sandbox.slack import client as slack_client
from tests.botkit import ALICE, MODS, Bot, Moved

pytestmark = pytest.mark.integration


def die(bot: Bot, body: str) -> None:
    """A request is acknowledged and the process dies: nobody begins the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bot.door.desk, "answer", lambda *_args, **_more: Reply())
        patch.setattr(bot.door.desk, "submit", lambda *_args: None)
        assert bot.post(body).status_code == 200
    bot.restart()


def later(bot: Bot, seconds: float) -> None:
    """So long after that the new process looks."""
    clock = Moved()
    clock.forward(seconds)
    bot.outbox(clock=clock).work()
    bot.settle()
    bot.outbox(clock=clock).work()


def kept(bot: Bot) -> list[dict[str, Any]]:
    at = Moved().now() + timedelta(days=1)
    return [item.payload for item in slack_outbox.due(bot.db, at) if item.method == "work"]


def typed(bot: Bot, line: str) -> str:
    command, _, text = line.partition(" ")
    url = bot.slack.store.new_response_url(bot.slack.url, MODS, ALICE)
    return slack_client.command_body(ALICE, MODS, command, text, url, bot.slack.store.new_trigger(ALICE))


def told(bot: Bot) -> str:
    return " ".join(m["text"] for m in bot.slack.store.seen_by(MODS, ALICE) if m.get("only_for") == ALICE)


def test_a_command_is_done_by_the_next_process(bot: Bot) -> None:
    die(bot, typed(bot, "/breakout start 3"))
    assert bot.state.breakout_rooms == ()
    later(bot, DEAD_AFTER_S / 2)
    assert bot.state.breakout_rooms == (), "it may still be running"
    later(bot, DEAD_AFTER_S + 1)
    assert len(bot.state.breakout_rooms) == 3
    assert "3 rooms start" in told(bot)
    assert kept(bot) == []


def test_a_pressed_button_is_done_by_the_next_process(bot: Bot) -> None:
    bot.run_breakout(2)
    ends_at = bot.state.breakout.ends_at
    action = {"action_id": "add_time", "type": "button", "value": str(bot.session_id)}
    die(bot, slack_client.interaction_body(bot.action(ALICE, action)))
    later(bot, DEAD_AFTER_S + 1)
    assert ends_at is not None
    assert bot.state.breakout.ends_at == ends_at + timedelta(minutes=5)
    assert kept(bot) == []


def test_what_is_too_old_is_not_done_but_said(bot: Bot) -> None:
    bot.run_breakout(2)
    die(bot, typed(bot, "/breakout end now"))
    later(bot, RUN_WITHIN_S + 10)
    assert bot.state.breakout.status.value == "running"
    assert TOO_LATE in told(bot)
    assert kept(bot) == []


def test_who_lost_the_right_meanwhile_is_refused(bot: Bot) -> None:
    die(bot, typed(bot, "/breakout start 3"))
    person_id = bot.actors[ALICE].person_id
    assert person_id is not None
    people.upsert_membership(bot.db, bot.course_id, person_id, Role.PARTICIPANT, [])
    later(bot, DEAD_AFTER_S + 1)
    assert told(bot) == "Only moderators can do this."
    assert bot.state.breakout_rooms == ()
    assert kept(bot) == []


def test_what_is_done_is_kept_no_longer(bot: Bot) -> None:
    bot.say(ALICE, "/breakout start 2")
    bot.click(ALICE, "open_dashboard", str(bot.session_id))  # only an address
    bot.click(ALICE, "of_an_older_version")
    bot.say(ALICE, "/nonsense")
    bot.settle()
    bot.door.desk.stop()
    assert kept(bot) == []


def test_no_code_is_kept_and_no_token(bot: Bot) -> None:
    die(bot, typed(bot, "/room connect ABCD2345"))
    assert kept(bot) == []
    die(bot, typed(bot, "/room status"))
    (payload,) = kept(bot)
    assert "token" not in payload
