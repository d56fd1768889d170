"""Payloads as Slack sends them (tests/payloads/slack), each replayed as a really signed request: what follows, and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from models.store import people, slack, slack_home
from models.values import BreakoutStatus, CallStatus, Role
from rooms import commands as c
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import ALICE, BOB, CLASS, ISSUER, MODS, Bot

pytestmark = pytest.mark.integration
FOLDER = Path(__file__).parents[1] / "payloads" / "slack"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def running(bot: Bot) -> Bot:
    """Two rooms; Bob calls from room 1."""
    bot.run_breakout(2)
    bot.do(BOB, c.CallModerator())
    return bot


def load(bot: Bot, name: str, user: str = ALICE) -> Any:
    """A payload with this world's ids in the places of SID, CALL, TRIGGER and RESPONSE_URL."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    call = next(iter(bot.state.calls.values()), None)
    places = {
        "RESPONSE_URL": bot.slack.store.new_response_url(bot.slack.url, MODS, user),
        "TRIGGER": bot.slack.store.new_trigger(user),
        "SID": bot.session_id,
        "CALL": call.call_id if call is not None else "none",
    }
    for place, value in places.items():
        text = text.replace(place, value)
    return json.loads(text)


def replay(bot: Bot, name: str, headers: dict[str, str] | None = None, **changes: Any) -> TestResponse:
    """Send it signed, as its kind is sent; wait until it is worked off."""
    payload = {**load(bot, name), **changes}
    if name.startswith("slash_"):
        answer = bot.post(urlencode(payload), headers=headers)
    elif name.startswith(("event_", "app_rate", "url_")):
        answer = bot.post(json.dumps(payload), headers={**JSON, **(headers or {})})
    else:
        answer = bot.post(slack_client.interaction_body(payload), headers=headers)
    bot.settle()
    return answer


def said(answer: TestResponse) -> str:
    return str((answer.get_json(silent=True) or {}).get("text", ""))


ALL = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", ALL)
def test_a_forged_payload_is_refused_and_does_nothing(running: Bot, name: str) -> None:
    before = running.events()
    assert replay(running, name, headers={"X-Slack-Signature": "v0=" + "0" * 64}).status_code == 401
    assert running.events() == before
    assert slack.channel_link(running.db, TEAM_ID, MODS) is not None


@pytest.mark.parametrize("name", ALL)
def test_every_payload_is_acknowledged_also_twice(running: Bot, name: str) -> None:
    first = replay(running, name)
    assert first.status_code == 200, first.text
    after = running.events()
    payload_headers = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
    if name.startswith("event_"):
        assert replay(running, name, headers=payload_headers).status_code == 200
    assert running.events() == after


# -- 1: slash commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["slash_room_status", "slash_enterprise", "slash_text_empty", "slash_direct_message"]
)
def test_status_is_answered_everywhere(running: Bot, name: str) -> None:
    assert "BIO 101" in said(replay(running, name))


def test_a_mention_moves_somebody(running: Bot) -> None:
    assert said(replay(running, "slash_mention")) == "*Bob* is moving to *Room 2*."


def test_a_private_channel_in_a_text_is_only_text(running: Bot) -> None:
    assert said(replay(running, "slash_private_channel")).startswith("Sent to 2 rooms")
    assert running.names()[-1] == "MessageBroadcast"


# -- 2, 3: buttons ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["block_actions_message", "block_actions_thread"])
def test_a_button_adds_time(running: Bot, name: str) -> None:
    assert replay(running, name).text == ""
    assert running.names()[-1] == "TimeAdded"


@pytest.mark.parametrize("name", ["block_actions_external", "block_actions_org", "view_submission_connect"])
def test_other_organisations_change_nothing(running: Bot, name: str) -> None:
    before = running.events()
    assert replay(running, name).status_code == 200
    assert running.events() == before


def test_a_menu_and_a_button_with_an_address(running: Bot) -> None:
    replay(running, "block_actions_overflow")
    alice = running.actors[ALICE].person_id
    assert running.state.people[alice].room_id == running.state.breakout_rooms[1].room_id  # type: ignore[index]
    before = running.events()
    assert replay(running, "block_actions_url").text == ""
    assert replay(running, "block_actions_modal").text == ""
    assert running.events() == before


def test_the_second_who_claims_hears_who_was_first(running: Bot) -> None:
    olga = people.upsert_person(running.db, ISSUER, "olga", "Olga")
    people.upsert_membership(running.db, running.course_id, olga, Role.MODERATOR, [])
    running.slack.store.set_user("U0OLGA")
    slack.link_user(running.db, TEAM_ID, "U0OLGA", olga)
    replay(running, "block_actions_claim")
    (call,) = running.state.calls.values()
    assert call.status is CallStatus.CLAIMED
    url = running.slack.store.new_response_url(running.slack.url, MODS, "U0OLGA")
    replay(running, "block_actions_claim", user={"id": "U0OLGA", "team_id": TEAM_ID}, response_url=url)
    running.outbox().work()
    texts = [m["text"] for m in running.slack.store.seen_by(MODS, "U0OLGA") if m.get("only_for") == "U0OLGA"]
    assert texts == ["*Alice* is already on the way."]


def test_home_has_no_channel_and_no_answer_address(running: Bot) -> None:
    replay(running, "block_actions_home")
    assert slack_home.wants_calls(running.db, TEAM_ID, ALICE)


# -- 4, 5, 6: forms --------------------------------------------------------------------------------------------


def test_a_form_is_submitted(bot: Bot) -> None:
    assert replay(bot, "view_submission").text == ""
    assert len(bot.state.breakout_rooms) == 3
    assert bot.state.breakout.status is BreakoutStatus.STARTING


@pytest.mark.parametrize("name", ["view_submission_invalid_number", "view_submission_untouched"])
def test_a_wrong_number_is_shown_at_its_field(bot: Bot, name: str) -> None:
    answer = replay(bot, name).json
    assert answer is not None
    assert answer["response_action"] == "errors"
    assert set(answer["errors"]) == {"rooms"}
    assert bot.state.breakout_rooms == ()


def test_a_closed_form_does_nothing(bot: Bot) -> None:
    before = bot.events()
    assert replay(bot, "view_closed").text == ""
    assert bot.events() == before


def test_the_course_picker_is_answered(bot: Bot) -> None:
    answer = replay(bot, "block_suggestion").json
    assert [option["value"] for option in (answer or {})["options"]] == [bot.course_id]


# -- 7: shortcuts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"), [("shortcut_global", "create_breakout"), ("message_action", "broadcast")]
)
def test_a_shortcut_opens_a_form(running: Bot, name: str, form: str) -> None:
    assert replay(running, name).text == ""
    assert running.view(ALICE)["callback_id"] == form


# -- 8 to 11: events -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retry", ["", "1", "2", "3"])
def test_home_is_published_also_by_a_retry(bot: Bot, retry: str) -> None:
    headers = {"X-Slack-Retry-Num": retry, "X-Slack-Retry-Reason": "http_error"} if retry else {}
    assert replay(bot, "event_app_home_opened", headers=headers).status_code == 200
    bot.outbox().work()
    assert "BIO 101" in json.dumps(bot.slack.store.homes[ALICE])


def test_the_address_is_verified_only_when_signed(bot: Bot) -> None:
    assert (replay(bot, "url_verification").json or {})["challenge"].startswith("3eZbrw1")
    assert replay(bot, "url_verification", headers={"X-Slack-Signature": ""}).status_code == 401


@pytest.mark.parametrize(
    "order", [("app_uninstalled", "tokens_revoked"), ("tokens_revoked", "app_uninstalled")]
)
def test_a_farewell_comes_in_any_order_and_again(bot: Bot, order: tuple[str, str]) -> None:
    for name in (*order, *order):
        assert replay(bot, f"event_{name}").status_code == 200


def test_a_deactivated_moderator_can_do_nothing(running: Bot) -> None:
    replay(running, "event_user_change")
    before = running.events()
    replay(running, "block_actions_message")
    assert running.events() == before


@pytest.mark.parametrize(
    ("name", "channel"),
    [("channel_archive", CLASS), ("group_archive", MODS), ("channel_shared", MODS)],
)
def test_a_channel_that_is_gone_is_suspended(bot: Bot, name: str, channel: str) -> None:
    assert replay(bot, f"event_{name}").status_code == 200
    link = slack.channel_link(bot.db, TEAM_ID, channel)
    assert link is not None
    assert link.suspended


def test_in_a_shared_channel_nobody_runs_the_room(running: Bot) -> None:
    """Slack Connect: the link is suspended, so neither commands nor buttons of a channel work there."""
    replay(running, "event_channel_shared")
    before = running.events()
    for line in (
        "/breakout end now",
        "/breakout add 5m",
        "/broadcast hello",
        "/record start all now",
        "/help-calls join 1",
    ):
        assert "suspended" in running.say(ALICE, line)
    for button in ("end", "add_time", "shuffle", "gather", "rec_all"):
        assert "suspended" in running.press(ALICE, button, running.session_id)
    assert running.events() == before


def test_in_an_unlinked_channel_nothing_is_guessed(running: Bot) -> None:
    before = running.events()
    assert "isn’t linked to a course" in running.say(ALICE, "/breakout end now", "C0ELSEWHERE")
    assert running.events() == before
    assert "End the breakout" in running.say(ALICE, "/breakout end", "D0ALICE")


def test_a_channel_gets_its_new_id(bot: Bot) -> None:
    replay(bot, "event_channel_id_changed")
    assert slack.channel_link(bot.db, TEAM_ID, "C0NEW") is not None


@pytest.mark.parametrize("name", ["event_link_shared", "event_call_rejected", "app_rate_limited"])
def test_what_needs_nothing_is_acknowledged(bot: Bot, name: str) -> None:
    before = bot.events()
    assert replay(bot, name).status_code == 200
    assert bot.events() == before
