"""The practice Slack: its page's actions reach the bot really signed; its Web API refuses what Slack refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from bot.registry import DESCRIPTIONS
from models.store import slack_home
from rooms.events import MessageBroadcast
from sandbox.slack.setup import TEAM_ID
from tests.botkit import ALICE, BOB, MODS, TOKEN, Bot, make_bot, practice_slack, served, until

pytestmark = pytest.mark.integration
SOME = [{"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}]


@dataclass(slots=True)
class Page:
    """What somebody does on the page."""

    bot: Bot

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        url = self.bot.slack.url + path
        answer = requests.get(url, timeout=20) if body is None else requests.post(url, json=body, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def type(self, user: str, text: str) -> Any:
        return self.ask("/type", {"user": user, "channel": MODS, "text": text})

    def seen(self, user: str) -> list[dict[str, Any]]:
        return list(self.ask(f"/channel/{MODS}?user={user}&since=0")["messages"])

    def texts(self, user: str) -> list[str]:
        return [str(message["text"]) for message in self.seen(user)]

    def api(self, method: str, token: str = TOKEN, **body: Any) -> Any:
        answer = requests.post(
            f"{self.bot.slack.url}/api/{method}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )
        return answer.json()


@pytest.fixture
def page(tmp_path: Path, empty: Path) -> Iterator[Page]:
    outer = Flask("outer")
    with (
        served(outer) as bot_url,
        practice_slack(f"{bot_url}/slack/events") as practice,
        make_bot(tmp_path, empty, practice) as bot,
    ):
        outer.wsgi_app = bot.flask.wsgi_app  # type: ignore[method-assign]
        yield Page(bot)


def test_the_page_shows_the_manifests_commands(page: Page) -> None:
    html = requests.get(page.bot.slack.url, timeout=10).text
    assert "<script" in html
    assert requests.get(f"{page.bot.slack.url}/static/slack.js", timeout=10).status_code == 200
    world = page.ask("/world")
    assert {c["command"]: c["description"] for c in world["commands"]} == DESCRIPTIONS
    assert ALICE in [user["id"] for user in world["users"]]


def test_a_message_is_seen_by_all_and_an_answer_only_by_who_asked(page: Page) -> None:
    page.type(BOB, "hello")
    assert page.type(ALICE, "/room status")["ok"] is True
    assert page.texts(BOB) == ["hello"]
    assert "BIO 101" in page.texts(ALICE)[-1]
    assert page.type(ALICE, "/giphy cat")["ok"] is False
    assert "not a command here" in page.texts(ALICE)[-1]


def test_a_class_is_run_from_the_page(page: Page) -> None:
    bot = page.bot
    bob = bot.actors[BOB].person_id
    assert bob is not None
    bot.run_breakout(2)
    assert page.type(ALICE, "/breakout move @Bob Keller 2")["ok"] is True
    assert bot.state.people[bob].room_id == bot.state.breakout_rooms[1].room_id
    with bot.posting():
        card = until(lambda: [m for m in page.seen(ALICE) if m["blocks"]], "the card")[0]
        button = next(
            element
            for block in card["blocks"]
            for element in block.get("elements", [])
            if element.get("action_id") == "gather"
        )
        action = {"action_id": "gather", "type": "button", "value": button["value"]}
        done = page.ask("/click", {"user": ALICE, "channel": MODS, "ts": card["ts"], "action": action})
        assert done["ok"] is True
        until(lambda: "Everyone is returning to the main room." in page.texts(ALICE), "the answer")
    assert "Everyone is returning to the main room." not in page.texts(BOB)


def test_home_is_opened_and_used_from_the_page(page: Page) -> None:
    assert page.ask("/home", {"user": ALICE})["ok"] is True
    page.bot.outbox().work()
    (shown,) = page.ask(f"/channel/home?user={ALICE}&since=0")["messages"]
    assert "Live now" in json.dumps(shown["blocks"])
    assert page.ask(f"/channel/home?user={BOB}&since=0")["messages"][0]["blocks"] == []
    action = {"action_id": "dm_calls", "type": "button", "value": "on"}
    done = page.ask("/click", {"user": ALICE, "channel": "home", "ts": "home", "action": action})
    assert done["ok"] is True
    page.bot.settle()
    assert slack_home.wants_calls(page.bot.db, TEAM_ID, ALICE)


def test_a_form_is_opened_corrected_and_submitted(page: Page) -> None:
    page.type(ALICE, "/broadcast")
    page.type(ALICE, "/breakout start")
    values: dict[str, Any] = {
        "rooms": {"v": {"type": "number_input", "value": "0"}},
        "assign": {"v": {"type": "radio_buttons", "selected_option": {"value": "manual"}}},
        "mins": {"v": {"type": "number_input", "value": None}},
        "opts": {"v": {"type": "checkboxes", "selected_options": []}},
    }
    wrong = page.ask("/submit", {"user": ALICE, "values": values})
    assert (wrong["ok"], set(wrong["errors"])) == (False, {"rooms"})
    values["rooms"]["v"]["value"] = "2"
    assert page.ask("/submit", {"user": ALICE, "values": values})["ok"] is True
    assert len(page.bot.state.breakout_rooms) == 2
    assert page.bot.slack.store.views_of(ALICE) == []


def test_a_bot_that_is_down_shows_slacks_own_words(page: Page) -> None:
    with practice_slack() as lonely:
        body = {"user": ALICE, "channel": MODS, "text": "/room status"}
        assert requests.post(f"{lonely.url}/type", json=body, timeout=20).json() == {"ok": False}
        (said,) = lonely.store.seen_by(MODS, ALICE)
        assert "operation_timeout" in said["text"]


def test_a_response_url_can_be_used_five_times(page: Page) -> None:
    url = page.bot.slack.store.new_response_url(page.bot.slack.url, MODS, BOB)
    statuses = [requests.post(url, json={"text": "x"}, timeout=10).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [404]


def test_a_trigger_opens_one_form(page: Page) -> None:
    trigger = page.bot.slack.store.new_trigger(ALICE)
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Form"}, "blocks": SOME}
    assert page.api("views.open", trigger_id=trigger, view=view)["ok"] is True
    assert page.api("views.open", trigger_id=trigger, view=view)["error"] == "expired_trigger_id"


def test_the_web_api_refuses_what_slack_refuses(page: Page) -> None:
    assert page.api("chat.postMessage", channel=MODS, text="x", token="xoxb-other")["error"] == "invalid_auth"
    assert page.api("chat.unknown")["error"] == "unknown_method"
    assert page.api("chat.postMessage", channel="C0NOWHERE", text="x")["error"] == "channel_not_found"
    assert page.api("chat.postMessage", channel=MODS)["error"] == "no_text"
    assert page.api("chat.update", channel=MODS, ts="1.2", text="x")["error"] == "message_not_found"
    assert page.api("users.info", user="U0NOBODY")["error"] == "user_not_found"


BAD_BLOCKS = {
    "too many": SOME * 51,
    "a long section": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}],
    "a long button": [
        {
            "type": "actions",
            "elements": [
                {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x" * 76}}
            ],
        }
    ],
    "an unknown type": [{"type": "marquee"}],
    "one id twice": [{**SOME[0], "block_id": "same"}, {**SOME[0], "block_id": "same"}],
}


@pytest.mark.parametrize("blocks", BAD_BLOCKS.values(), ids=BAD_BLOCKS)
def test_bad_blocks_are_refused(page: Page, blocks: list[dict[str, Any]]) -> None:
    ts = page.api("chat.postMessage", channel=MODS, text="x", blocks=SOME)["ts"]
    assert page.api("chat.postMessage", channel=MODS, text="x", blocks=blocks)["error"] == "invalid_blocks"
    assert page.api("chat.update", channel=MODS, ts=ts, text="x", blocks=blocks)["error"] == "invalid_blocks"


def test_faults_are_played_in_turn(page: Page) -> None:
    faults = {"method": "auth.test", "faults": [{"error": "fatal_error"}, {"status": 429, "retry_after": 7}]}
    page.ask("/test/faults", faults)
    assert page.api("auth.test")["error"] == "fatal_error"
    limited = requests.post(f"{page.bot.slack.url}/api/auth.test", timeout=10)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert page.api("auth.test")["ok"] is True
    assert [call["method"] for call in page.ask("/test/calls")].count("auth.test") == 3
    assert TOKEN not in json.dumps(page.ask("/test/calls"))


def test_shortcuts_and_pickers_work_from_the_page(page: Page) -> None:
    bot = page.bot
    bot.run_breakout(2)
    assert [each["callback_id"] for each in page.ask("/world")["shortcuts"]] == [
        "start_breakout",
        "broadcast_message",
    ]
    page.type(ALICE, "Q&A at <3> on https://x.org/?a=1&b=2")
    (message,) = page.seen(ALICE)
    assert page.ask(
        "/shortcut",
        {"user": ALICE, "channel": MODS, "ts": message["ts"], "callback_id": "broadcast_message"},
    )["ok"]
    bot.settle()
    assert "Q&A at <3>" in bot.view(ALICE)["blocks"][0]["element"]["initial_value"]
    page.ask("/close", {"user": ALICE})
    page.type(ALICE, "/room link")
    (option,) = page.ask("/options", {"user": ALICE, "block_id": "course", "value": ""})["options"]
    assert option["text"]["text"] == "BIO 101"
    page.ask("/close", {"user": ALICE})
    assert page.ask("/shortcut", {"user": ALICE, "channel": MODS, "callback_id": "start_breakout"})["ok"]
    bot.settle()
    assert bot.view(ALICE)["callback_id"] == "create_breakout"


def test_a_command_comes_as_slack_escapes_it(page: Page) -> None:
    page.bot.run_breakout(2)
    page.type(ALICE, "/broadcast Q&A <now> at https://x.org/?a=1&b=2 with @Bob Keller")
    (sent,) = [each.event for each in page.bot.events() if isinstance(each.event, MessageBroadcast)]
    assert sent.text == "Q&A <now> at https://x.org/?a=1&b=2 with @bob"
