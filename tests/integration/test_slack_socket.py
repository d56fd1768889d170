"""Socket Mode end to end: the same commands, buttons and events over connections to the practice Slack; it comes back by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests

from bot.app import build_door
from bot.socket import CONNECTIONS, SocketDoor
from models.store import slack
from sandbox.slack import client as slack_client
from sandbox.slack.setup import CLASS_CHANNEL, TEAM_ID
from tests.botkit import (
    ALICE,
    APP_TOKEN,
    BOB,
    MODS,
    Bot,
    Practice,
    practice_slack,
    until,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def practice() -> Iterator[Practice]:
    with practice_slack() as running:
        yield running


@contextmanager
def connected(bot: Bot, app_token: str = APP_TOKEN) -> Iterator[SocketDoor]:
    """The bot without any address: only its connections."""
    settings = replace(bot.settings, signing_secret="", app_token=app_token)
    inner = build_door(settings, bot.db, bot.rooms, Path(bot.db.url).parent)
    door = SocketDoor(inner.app, settings, ping_s=0.5)
    door.start()
    try:
        yield door
    finally:
        door.stop()
        inner.desk.stop()


@pytest.fixture
def door(bot: Bot) -> Iterator[SocketDoor]:
    with connected(bot) as made:
        until(lambda: made.connections == CONNECTIONS == bot.slack.hub.connections, "both connections")
        yield made


def command(user: str, line: str, trigger: str = "") -> dict[str, Any]:
    name, _, rest = line.partition(" ")
    body = slack_client.command_body(user, MODS, name, rest, "", trigger)
    return dict(parse_qsl(body, keep_blank_values=True))


def say(bot: Bot, user: str, line: str, trigger: str = "") -> str:
    return str(bot.slack.hub.send("slash_commands", command(user, line, trigger)).get("text", ""))


def test_a_lesson_without_a_public_address(bot: Bot, door: SocketDoor) -> None:
    """Typed on the practice page, answered over the socket: the page's own address of the bot is nobody's."""
    page = bot.slack.url
    body = {"user": ALICE, "channel": MODS, "text": "/breakout start 2 for 15m auto"}
    answer = requests.post(f"{page}/type", json=body, timeout=20).json()
    assert answer["ok"] and "2 rooms start" in answer["answer"]["text"]
    assert {"RoomsCreated", "BreakoutStarted"} & set(bot.names())
    assert bot.slack.hub.acknowledged


def test_who_may_not_is_refused_here_too(bot: Bot, door: SocketDoor) -> None:
    before = bot.names()
    assert "moderator" in say(bot, BOB, "/breakout end")
    outside = bot.action(ALICE, {"action_id": "end", "type": "button", "value": "x"}, team="T0OTHER")
    bot.slack.hub.send("interactive", outside)
    # The answer is written by a thread of the other door than the kit waits for.
    until(lambda: "another" in bot.answered(ALICE), "the refusal")
    assert bot.names() == before


def test_what_comes_twice_is_done_once_whichever_way(bot: Bot, door: SocketDoor) -> None:
    assert "rooms start" in say(bot, ALICE, "/breakout start 4 auto", trigger="t1")
    before = bot.names()
    assert say(bot, ALICE, "/breakout start 4 auto", trigger="t1") == ""
    assert bot.say(ALICE, "/breakout start 4 auto", trigger="t1") == "", "over HTTP it is the same request"
    assert bot.names() == before


def test_an_event_sent_again_over_the_socket_runs_once(bot: Bot, door: SocketDoor) -> None:
    event = json.loads(slack_client.event_body({"type": "channel_archive", "channel": CLASS_CHANNEL}, "Ev9"))
    bot.slack.hub.send("events_api", event)
    link = slack.channel_link(bot.db, TEAM_ID, CLASS_CHANNEL)
    assert link is not None and link.suspended
    slack.link_channel(bot.db, TEAM_ID, CLASS_CHANNEL, bot.course_id, "class", "p1")
    bot.slack.hub.send("events_api", event, retry_attempt=1, retry_reason="timeout")
    link = slack.channel_link(bot.db, TEAM_ID, CLASS_CHANNEL)
    assert link is not None and not link.suspended


def test_connections_come_anew_when_slack_asks(bot: Bot, door: SocketDoor) -> None:
    opened = bot.slack.hub.opened
    bot.slack.hub.refresh()
    until(lambda: bot.slack.hub.opened >= opened + CONNECTIONS, "each was opened anew")
    until(lambda: door.connections == CONNECTIONS, "both are open")
    assert "BIO 101" in say(bot, ALICE, "/room status")


def test_connections_come_anew_when_they_break(bot: Bot, door: SocketDoor) -> None:
    opened = bot.slack.hub.opened
    bot.slack.hub.cut()
    until(lambda: bot.slack.hub.opened >= opened + CONNECTIONS, "each was opened anew", 40)
    until(lambda: bot.slack.hub.connections >= 1, "one is open")

    def answers() -> bool:
        try:
            return "BIO 101" in say(bot, ALICE, "/room status")
        except (TimeoutError, OSError):
            return False

    until(answers, "commands are answered again", 40)


def test_many_at_once_are_all_answered(bot: Bot, door: SocketDoor) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(say(bot, ALICE, "/room status"))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 12 and all("BIO 101" in answer for answer in answers)


def test_it_starts_without_slack_and_connects_later(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bot.slack.store.faults["apps.connections.open"].extend([{"error": "internal_error"}] * 2)
    monkeypatch.setattr("bot.socket.FIRST_WAIT_S", 0.05)
    with connected(bot) as door:
        until(lambda: door.connections == CONNECTIONS, "connected in the end", 30)
    assert "slack.socket_refused code=internal_error" in caplog.text


def test_a_wrong_app_token_is_told_and_alarmed(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.socket.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("bot.socket.ALARM_AFTER_S", 0.0)
    with connected(bot, "xapp-wrong") as door:
        until(lambda: "slack.socket_down" in caplog.text, "the alarm")
        assert door.connections == 0
    assert "is SIDEROOM_SLACK_APP_TOKEN right?" in caplog.text
    assert "xapp-wrong" not in caplog.text
