"""What becomes of our messages when Slack (or what stands before it) does not take them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from bot.blocks.parts import section
from models.store import slack, slack_people
from sandbox.slack.setup import TEAM_ID
from tests.botkit import ALICE, CLASS, MODS, Bot, Moved
from tests.slackacts import second_moderator

pytestmark = pytest.mark.integration
HTML = {"body": "<html><title>Sign in to the campus network</title></html>"}


class Ahead(Moved):
    """Stands a minute ahead, so that what is put out now is due."""

    def __init__(self) -> None:
        super().__init__()
        self.forward(60)


def fault(bot: Bot, method: str, *faults: dict[str, Any], times: int = 1) -> None:
    bot.slack.store.faults[method].extend([*faults] * times)


@pytest.mark.parametrize(
    "code",
    [
        "rate_limited",
        "ratelimited",
        "org_login_required",
        "team_added_to_org",
        "internal_error",
        "service_unavailable",
        "external_channel_migrating",
    ],
)
def test_what_slack_cannot_do_for_an_hour_arrives_after_it(bot: Bot, code: str) -> None:
    bot.put("still news")
    clock = Ahead()
    outbox = bot.outbox(clock=clock)
    waited = 0
    while waited < 3600:
        fault(bot, "chat.postMessage", {"error": code})
        outbox.work()
        clock.forward(60)
        waited += 60
    bot.slack.store.faults.clear()
    assert bot.bot_messages() == []
    outbox.work()
    assert [m["text"] for m in bot.bot_messages()] == ["still news"]


def test_an_update_that_fails_inside_slack_is_made_later(bot: Bot) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    bot.put("first", "card:1", 1)
    outbox.work()
    bot.put("second", "card:1", 2)
    fault(bot, "chat.update", {"error": "update_failed"}, times=8)
    for _ in range(12):
        clock.forward(61)
        outbox.work()
    assert [m["text"] for m in bot.bot_messages()] == ["second"]


def test_a_workspace_in_migration_is_left_alone_for_a_minute(bot: Bot) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    fault(bot, "chat.postMessage", {"error": "team_added_to_org"})
    bot.put("one", channel=MODS)
    bot.put("two", channel=CLASS)
    outbox.work()
    outbox.work()
    assert len(bot.calls_of("chat.postMessage")) == 1
    clock.forward(61)
    outbox.work()
    assert [m["text"] for m in (*bot.bot_messages(MODS), *bot.bot_messages(CLASS))] == ["one", "two"]


@pytest.mark.parametrize(
    "answer",
    [
        HTML,
        {"body": "{not json", "mimetype": "application/json"},
        {"body": "[]", "mimetype": "application/json"},
        {"body": "{}", "mimetype": "application/json"},
        {"body": '"ok"', "mimetype": "application/json"},
        {"body": "", "mimetype": "application/json"},
        {"body": "zip", "mimetype": "application/gzip"},
        {"body": '{"ok": true, "ts": "1"', "mimetype": "application/json", "cut": True},
        {**HTML, "status": 502},
        {**HTML, "status": 403},
    ],
    ids=str,
)
def test_another_servers_answer_is_not_slacks(bot: Bot, answer: dict[str, Any]) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    fault(bot, "chat.postMessage", answer, times=8)
    bot.put("through at last")
    for _ in range(10):
        outbox.work()
        clock.forward(61)
    assert [m["text"] for m in bot.bot_messages()] == ["through at last"]
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None and not link.suspended


def test_a_code_we_do_not_know_is_given_up_after_an_hour(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    fault(bot, "chat.postMessage", {"error": "something_new"}, times=100)
    bot.put("hello")
    for _ in range(65):
        outbox.work()
        clock.forward(61)
    assert bot.waiting == 0
    assert 55 < len(bot.calls_of("chat.postMessage")) < 75
    assert "slack.given_up" in caplog.text and "page=https://docs.slack.dev/" in caplog.text


@pytest.mark.parametrize(
    "code",
    [
        "restricted_action_read_only_channel",
        "restricted_action",
        "restricted_action_thread_only_channel",
        "is_archived",
        "not_in_channel",
    ],
)
def test_a_channel_that_takes_no_posts_is_told_to_its_moderator(bot: Bot, code: str) -> None:
    fault(bot, "chat.postMessage", {"error": code})
    bot.put("card", "card:1")
    outbox = bot.outbox(clock=(clock := Ahead()))
    outbox.work()
    clock.forward(2)
    outbox.work()
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None and link.suspended
    (told,) = bot.bot_messages(ALICE)
    assert f"<#{MODS}>" in told["text"] and "/room link" in told["text"]


def test_when_the_linker_is_not_on_slack_any_more_another_moderator_is_told(bot: Bot) -> None:
    olga = second_moderator(bot)
    slack.unlink_user(bot.db, TEAM_ID, ALICE)
    fault(bot, "chat.postMessage", {"error": "restricted_action_read_only_channel"})
    bot.put("card", "card:1")
    outbox = bot.outbox(clock=(clock := Ahead()))
    outbox.work()
    clock.forward(2)
    outbox.work()
    (told,) = bot.bot_messages(olga)
    assert "read-only" in told["text"]


@pytest.mark.parametrize(
    "code", ["msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format", "msg_too_long"]
)
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
def test_blocks_that_slack_refuses_become_their_sentence(bot: Bot, code: str, method: str) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    if method == "chat.update":
        bot.put("before", "card:1", 1)
        outbox.work()
        clock.forward(60)
    fault(bot, method, {"error": code})
    bot.put("Breakout running, 12 people", "card:1", 2, payload={"blocks": [section("much")]})
    outbox.work()
    (shown,) = bot.bot_messages()
    assert (shown["text"], shown["blocks"]) == ("Breakout running, 12 people", [])
    assert bot.waiting == 0


def test_a_lost_thread_or_a_channel_without_threads_gets_the_call_itself(bot: Bot) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    bot.put("card", "card:1", 1)
    outbox.work()
    for number, code in enumerate(
        ("thread_not_found", "restricted_action_non_threadable_channel", "restricted_action_thread_locked")
    ):
        clock.forward(5)
        fault(bot, "chat.postMessage", {"error": code})
        bot.put(f"call {number}", f"call:{number}", 2, payload={"thread_key": "card:1"}, priority=1)
        outbox.work()
    assert [m["text"] for m in bot.bot_messages()] == ["card", "call 0", "call 1", "call 2"]
    assert bot.waiting == 0


@pytest.mark.parametrize(
    "answer", [{"error": "internal_error"}, {"status": 503}, {"error": "ratelimited"}, HTML]
)
def test_a_hiccup_makes_no_lasting_message_of_an_answer(bot: Bot, answer: dict[str, Any]) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    fault(bot, "chat.postEphemeral", answer)
    bot.put("only you", method="ephemeral", payload={"user": ALICE}, priority=0)
    outbox.work()
    clock.forward(5)
    outbox.work()
    assert bot.bot_messages(ALICE) == []
    assert [m["text"] for m in bot.slack.store.seen_by(MODS, ALICE) if m.get("only_for")] == ["only you"]


@pytest.mark.parametrize("code", ["user_not_in_channel", "not_in_channel", "channel_not_found"])
def test_who_is_not_in_the_channel_is_told_directly(bot: Bot, code: str) -> None:
    outbox = bot.outbox(clock=(clock := Ahead()))
    fault(bot, "chat.postEphemeral", {"error": code})
    bot.put("only you", method="ephemeral", payload={"user": ALICE}, priority=0)
    outbox.work()
    clock.forward(5)
    outbox.work()
    assert [m["text"] for m in bot.bot_messages(ALICE)] == ["only you"]


@pytest.mark.parametrize(
    "answer",
    [
        {"body": '{"ok": true}', "mimetype": "application/json"},
        {"body": '{"ok": true, "user": null}', "mimetype": "application/json"},
        {"body": '{"ok": true, "user": {}}', "mimetype": "application/json"},
        {"body": '{"ok": true, "user": "U0ALICE"}', "mimetype": "application/json"},
        HTML,
    ],
)
def test_an_answer_without_its_user_makes_nobody_a_member(bot: Bot, answer: dict[str, Any]) -> None:
    with bot.db.write() as session:
        session.connection().execute(text("DELETE FROM slack_user"))
    bot.run_breakout()
    before = bot.events()
    fault(bot, "users.info", answer)
    assert "Slack didn’t say who you are" in bot.say(ALICE, "/breakout end now")
    assert bot.events() == before
    assert slack_people.known(bot.db, TEAM_ID, ALICE) is None


def test_a_form_that_slack_cannot_open_is_told(bot: Bot) -> None:
    fault(bot, "views.open", HTML)
    assert "couldn’t be opened" in bot.say(ALICE, "/breakout start")


def test_linking_a_channel_says_when_slack_did_not_tell_about_it(bot: Bot) -> None:
    for answer in (HTML, {"body": '{"ok": true}', "mimetype": "application/json"}, {"error": "fatal_error"}):
        fault(bot, "conversations.info", answer)
        assert "Slack didn’t return this channel’s details" in bot.say(ALICE, "/room link moderators BIO 101")
