"""The outbox when something is in its way: workspaces that wait, refusals, places that cannot be posted to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.store import slack, slack_outbox
from sandbox.slack.setup import TEAM_ID
from tests.botkit import ALICE, MODS, Bot, Moved

pytestmark = pytest.mark.integration


def test_a_workspace_that_must_wait_holds_no_other_up(bot: Bot) -> None:
    for number in range(slack_outbox.A_WORKSPACE + 30):
        bot.put("no news", f"card:{number}", team="T0WAITS", channel=f"C{number}", priority=1)
    bot.put("help", "call:h", priority=1)
    found = slack_outbox.due(bot.db)
    assert "help" in [item.payload["text"] for item in found]
    assert len(found) == slack_outbox.A_WORKSPACE + 1


def test_a_channel_with_very_much_to_say_holds_no_other_up(bot: Bot) -> None:
    for number in range(slack_outbox.A_CHANNEL + 30):
        bot.put(f"call {number}", f"call:{number}", channel="C0LOUD", priority=1)
    bot.put("ready", "rec:1", priority=3)
    found = [item.payload["text"] for item in slack_outbox.due(bot.db)]
    assert found == [f"call {number}" for number in range(slack_outbox.A_CHANNEL)] + ["ready"]


def test_each_lane_sees_its_own(bot: Bot) -> None:
    bot.put("urgent", priority=3)
    bot.put("calm", priority=4)
    assert [item.payload["text"] for item in slack_outbox.due(bot.db, urgent=3)] == ["urgent"]
    assert [item.payload["text"] for item in slack_outbox.due(bot.db, calm=3)] == ["calm"]


def test_what_slack_refuses_for_ever_is_given_up(bot: Bot) -> None:
    bot.slack.store.faults["chat.postMessage"].extend([{"error": "messages_tab_disabled"}] * 50)
    bot.put("hello")
    clock = Moved()
    outbox = bot.outbox(clock=clock)
    for _ in range(20):
        outbox.work()
        clock.forward(61)
    assert len(bot.calls_of("chat.postMessage")) == 1
    assert bot.waiting == 0


def test_what_slack_cannot_do_now_is_tried_for_long(bot: Bot) -> None:
    bot.slack.store.faults["chat.postMessage"].extend([{"error": "internal_error"}] * 15)
    bot.put("hello")
    clock = Moved()
    outbox = bot.outbox(clock=clock)
    for _ in range(20):
        outbox.work()
        clock.forward(61)
    assert [m["text"] for m in bot.bot_messages()] == ["hello"]


def test_an_answer_that_the_channel_does_not_take_comes_directly(bot: Bot) -> None:
    """A form may be opened where the app is not: whoever sent it hears what became of it all the same."""
    bot.slack.store.faults["chat.postEphemeral"].append({"error": "channel_not_found"})
    bot.put("Sent to 2 rooms.", method="ephemeral", payload={"user": ALICE}, priority=0)
    bot.outbox().work()
    bot.outbox().work()
    assert [m["text"] for m in bot.bot_messages(ALICE)] == ["Sent to 2 rooms."]
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert not link.suspended


@pytest.mark.parametrize(
    ("api_url", "url", "allowed"),
    [
        ("https://slack.com/api/", "https://hooks.slack.com/commands/1", True),
        ("https://slack.com/api/", "https://hooks.slack.com.evil.org/commands/1", False),
        ("https://slack.com/api/", "http://hooks.slack.com/commands/1", False),
        ("https://slack-gov.com/api/", "https://hooks.slack-gov.com/commands/1", True),
        ("https://slack-gov.com/api/", "https://10.0.0.1/commands/1", False),
        ("http://127.0.0.1:8082/api/", "http://127.0.0.1:8082/response/1", True),
    ],
)
def test_where_answers_may_go(bot: Bot, api_url: str, url: str, allowed: bool) -> None:
    settings = bot.settings.__class__("s", "t", "https://room.test", TEAM_ID, api_url)
    assert url.startswith(settings.response_urls) is allowed


def test_old_places_are_forgotten_but_those_of_recordings(bot: Bot) -> None:
    now = datetime.now(UTC)
    for key, age in (("card:old", 91), ("call:old", 91), ("rec:old", 91), ("card:new", 1)):
        at = (now - timedelta(days=age)).timestamp()
        slack.save_message(bot.db, TEAM_ID, MODS, key, f"{at:.6f}")
    slack.purge_messages(bot.db, now - timedelta(days=90))
    keys = ("card:old", "call:old", "rec:old", "card:new")
    assert set(slack.revisions(bot.db, TEAM_ID, MODS, keys)) == {"rec:old", "card:new"}


def test_an_error_of_the_database_tells_no_secrets(bot: Bot) -> None:
    with pytest.raises(DBAPIError) as caught, bot.db.read() as session:
        session.connection().execute(text("SELECT * FROM nowhere WHERE token = :it"), {"it": "xoxb-secret"})
    assert "xoxb" not in str(caught.value)
