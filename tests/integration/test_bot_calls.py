"""Help calls: answered once, below the card, nobody forgotten."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from bot.outbox import Clock
from models.tables import SlackOutboxRow
from models.values import CallStatus, Role
from rooms import commands as c
from sandbox.slack import client as slack_client
from tests.botkit import (
    ALICE,
    BOB,
    MODS,
    Bot,
    until,
)
from tests.slackacts import (
    press_any,
    second_moderator,
    the_call,
)

pytestmark = pytest.mark.integration


def test_a_race_for_a_call_is_decided_once(running: Bot) -> None:
    olga = second_moderator(running)
    value = f"{running.session_id}:{the_call(running).call_id}"
    bodies = [
        slack_client.interaction_body(
            running.action(user, {"action_id": "help_join", "type": "button", "value": value})
        )
        for user in (ALICE, olga)
    ]
    gate = threading.Barrier(2)
    statuses = []

    def press(body: str) -> None:
        gate.wait(10)
        statuses.append(running.post(body).status_code)

    threads = [threading.Thread(target=press, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200, 200]
    running.settle()
    assert running.names().count("CallClaimed") == 1
    assert the_call(running).status is CallStatus.CLAIMED
    running.answered(ALICE)
    texts = sorted(
        str(m["text"])
        for user in (ALICE, olga)
        for m in running.slack.store.seen_by(MODS, user)
        if m.get("only_for") == user
    )
    assert texts[1] == "You’re on the way."
    assert texts[0] in ("*Alice* is already on the way.", "*Olga* is already on the way.")


def test_calls_by_number(running: Bot) -> None:
    assert running.say(ALICE, "/help-calls") == "1. Bob needs help in Room 1 (raised)"
    assert "no call 7" in running.say(ALICE, "/help-calls join 7")
    assert running.say(ALICE, "/help-calls dismiss 1") == "Dismissed."
    assert the_call(running).status is CallStatus.DISMISSED
    assert running.say(ALICE, "/help-calls list") == "No one is waiting for help."
    assert "already closed" in press_any(running, ALICE, "help_join")


def test_a_moderator_whose_page_is_closed_comes_in_at_the_caller(running: Bot) -> None:
    person_id = running.actors[ALICE].person_id
    assert person_id is not None
    running.do(ALICE, c.LeaveSession(person_id))
    said = press_any(running, ALICE, "help_join")
    assert "Open the room to join them" in said
    running.do(ALICE, c.EnterSession("Alice", Role.MODERATOR))
    assert running.state.people[person_id].room_id == the_call(running).room_id


def test_calls_end_with_the_session(running: Bot) -> None:
    with running.posting():
        running.do(ALICE, c.AddTime(60))
        until(lambda: any("needs help" in m["text"] for m in running.bot_messages()), "the call")
        running.do(ALICE, c.EndSession())
        until(
            lambda: not any("help_join" in str(m["blocks"]) for m in running.bot_messages()),
            "the call without buttons",
        )


def test_calls_stand_below_the_card_and_nobody_is_forgotten(bot: Bot) -> None:
    bot.run_breakout(2)
    with bot.posting():
        until(lambda: bot.bot_messages(), "the card")
        bot.do(BOB, c.CallModerator())
        until(lambda: any("needs help" in m["text"] for m in bot.bot_messages()), "the call")
        posted = [call["body"] for call in bot.slack.store.calls if call["method"] == "chat.postMessage"]
        card_ts = next(m["ts"] for m in bot.bot_messages() if "live session" in json.dumps(m["blocks"]))
        call = next(body for body in posted if "needs help" in body["text"])
        assert call["thread_ts"] == card_ts
        assert str(call["reply_broadcast"]).lower() in ("1", "true")
        with bot.db.write() as session:  # a minute later
            late = SlackOutboxRow.coalesce_key.like("remind:%")  # type: ignore[union-attr]
            session.execute(update(SlackOutboxRow).where(late).values(not_before=datetime.now(UTC)))
        until(lambda: any("no one has answered" in m["text"] for m in bot.bot_messages()), "the reminder")
    reminder = next(m["text"] for m in bot.bot_messages() if "no one has answered" in m["text"])
    assert "<@U0ALICE>" in reminder
    assert "U0BOB" not in reminder


def test_an_answered_call_reminds_nobody(bot: Bot) -> None:
    bot.run_breakout(2)
    with bot.posting():
        bot.do(BOB, c.CallModerator())
        until(lambda: any("needs help" in m["text"] for m in bot.bot_messages()), "the call")
        (call,) = bot.state.calls.values()
        bot.do(ALICE, c.ClaimCall(call.call_id))
        until(lambda: any("on the way" in json.dumps(m) for m in bot.bot_messages()), "the answer")

    class Later(Clock):
        def now(self) -> datetime:
            return super().now() + timedelta(minutes=5)

    bot.outbox(clock=Later()).work()
    assert not any("no one has answered" in m["text"] for m in bot.bot_messages())
