"""What comes in at ``/slack/events``: signed or not, late, repeated, garbage, from other workspaces; retries after a failure."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import pytest

from bot.web import MAX_BYTES
from models.store import slack, slack_inbox
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import ALICE, MODS, SECRET, TOKEN, Bot

pytestmark = pytest.mark.integration


STATUS = slack_client.command_body(ALICE, MODS, "/room", "status")


def test_a_signed_command_is_answered(bot: Bot) -> None:
    answer = bot.post(STATUS)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["response_type"] == "ephemeral"
    assert "BIO 101" in answer.json["text"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0=\xe9"},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": "-5"},
        {"X-Slack-Request-Timestamp": "\xb2"},
        {"X-Slack-Request-Timestamp": "9" * 400},
    ],
    ids=["forged", "empty", "not-ascii", "no-time", "word", "negative", "superscript", "huge"],
)
def test_what_is_not_signed_is_refused(bot: Bot, headers: dict[str, str]) -> None:
    before = bot.names()
    answer = bot.post(slack_client.command_body(ALICE, MODS, "/breakout", "start 4 auto"), headers=headers)
    assert answer.status_code == 401
    assert bot.names() == before


@pytest.mark.parametrize("seconds", [-301, 302])
def test_a_request_from_another_time_is_refused(bot: Bot, seconds: int) -> None:
    assert bot.post(STATUS, at=int(time.time()) + seconds).status_code == 401


def test_a_changed_body_is_refused(bot: Bot) -> None:
    now = str(int(time.time()))
    signature = slack_client.signature(secret="another", timestamp=now, body=STATUS)
    assert bot.post(STATUS, at=int(now), headers={"X-Slack-Signature": signature}).status_code == 401


def test_an_oversize_request_is_refused_unread(bot: Bot) -> None:
    assert bot.post("text=" + "x" * MAX_BYTES).status_code == 413


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("payload=nonsense", "application/x-www-form-urlencoded"),
        ("payload=[1]", "application/x-www-form-urlencoded"),
        ("payload=7", "application/x-www-form-urlencoded"),
        ("{nonsense", "application/json"),
        ("[1, 2]", "application/json"),
        ('{"payload": ' * 2000, "application/json"),
        ("payload=" + "[" * 50_000, "application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_garbage_is_a_bad_request_and_no_failure(bot: Bot, body: str, kind: str, signed: bool) -> None:
    forged = {} if signed else {"X-Slack-Signature": "v0=" + "0" * 64}
    assert bot.post(body, headers={"Content-Type": kind, **forged}).status_code in (400, 401)


def test_another_workspace_is_ignored_even_with_a_good_signature(bot: Bot) -> None:
    slack.link_user(bot.db, "T0OTHER", ALICE, str(bot.actors[ALICE].person_id))
    before = bot.names()
    body = slack_client.command_body(ALICE, MODS, "/breakout", "start 4 auto").replace(TEAM_ID, "T0OTHER")
    answer = bot.post(body)
    assert (answer.status_code, answer.text) == (200, "")
    assert bot.names() == before


def test_the_address_is_verified(bot: Bot) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "abc", "token": "x"})
    as_json = {"Content-Type": "application/json"}
    answer = bot.post(body, headers=as_json)
    assert answer.status_code == 200
    assert answer.json == {"challenge": "abc"}
    assert bot.post(body, headers={**as_json, "X-Slack-Signature": "v0=0"}).status_code == 401


def test_the_same_command_twice_changes_nothing_more(bot: Bot) -> None:
    assert "4 rooms start" in bot.say(ALICE, "/breakout start 4 for 15m auto record", trigger="t1")
    first = bot.names()
    assert first[-2:] != []
    assert {"RoomsCreated", "BreakoutStarted"} & set(first)
    assert bot.say(ALICE, "/breakout start 4 for 15m auto record", trigger="t1") == ""
    assert bot.names() == first


def test_a_repeated_event_runs_once(bot: Bot) -> None:
    gone = {"type": "channel_archive", "channel": MODS, "user": ALICE}
    assert bot.event(gone, "Ev1") == 200
    assert slack.channels_of(bot.db, bot.course_id) != []
    assert MODS not in [link.channel_id for link in slack.channels_of(bot.db, bot.course_id)]
    assert "linked" in bot.say(ALICE, "/room link moderators")
    assert bot.event(gone, "Ev1", {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}) == 200
    assert MODS in [link.channel_id for link in slack.channels_of(bot.db, bot.course_id)]


def test_an_event_that_failed_runs_again_at_the_retry(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {"type": "channel_archive", "channel": MODS, "user": ALICE}

    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(slack, "suspend_channel", broken)
        assert bot.event(gone, "Ev2") == 500
    assert bot.event(gone, "Ev2", {"X-Slack-Retry-Num": "1"}) == 200
    assert MODS not in [link.channel_id for link in slack.channels_of(bot.db, bot.course_id)]


def test_a_request_whose_process_died_runs_again(bot: Bot) -> None:
    assert slack_inbox.take_in(bot.db, "event:Ev3", "event")
    assert not slack_inbox.take_in(bot.db, "event:Ev3", "event"), "it may still be running"
    assert slack_inbox.take_in(bot.db, "event:Ev3", "event", dead_after_s=0.0)
    slack_inbox.write(bot.db, [slack_inbox.Finished("event:Ev3", "done")])
    assert not slack_inbox.take_in(bot.db, "event:Ev3", "event", dead_after_s=0.0)


def test_a_command_that_fails_says_so(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(bot.rooms, "state", broken)
    assert "Something went wrong" in bot.say(ALICE, "/room status")


@pytest.mark.parametrize("kind", ["app_uninstalled", "user_change", "member_left_channel"])
def test_an_event_nobody_asked_for_is_acknowledged(bot: Bot, kind: str) -> None:
    assert bot.event({"type": kind, "user": "U9"}) == 200


def test_a_button_of_an_old_message_is_acknowledged(bot: Bot) -> None:
    payload = bot.action(ALICE, {"action_id": "of_an_old_version", "type": "button", "value": "x"})
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200


def test_ssl_check_is_answered(bot: Bot) -> None:
    answer = bot.post(urlencode({"ssl_check": "1", "token": "x"}))
    assert answer.status_code == 200


def test_the_log_keeps_no_secrets(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    code = slack.issue_code(bot.db, str(bot.actors[ALICE].person_id))
    body = slack_client.command_body(
        ALICE, MODS, "/room", f"connect {code}", "https://hooks.slack.com/commands/T/1/deep", "trigger-77"
    )
    bot.post(body)
    bot.post(body)
    forged = "v0=" + "a" * 64
    bot.post(body, headers={"X-Slack-Signature": forged})
    bot.event({"type": "user_change", "user": {"profile": {"email": "alice@lms.test"}}})
    said = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("werkzeug")
    )
    assert "slack.repeated" in said
    for secret in (code, "hooks.slack.com", "trigger-77", forged, TOKEN, SECRET, "alice@lms.test"):
        assert secret not in said


def test_the_administrator_sees_how_slack_is_answered(bot: Bot) -> None:
    assert bot.door.meters.report()["ack_p95_ms"] is None
    bot.say(ALICE, "/room status", trigger="1")
    bot.say(ALICE, "/room status", trigger="1")
    bot.slack.store.faults["chat.postMessage"].append({"status": 429, "retry_after": 1})
    bot.put("hello")
    outbox = bot.outbox()
    outbox.work()
    report = outbox.health()
    assert float(str(report["ack_p95_ms"])) > 0
    assert (report["repeated"], report["limited_by_slack"]) == ({"command": 1}, {"chat.postMessage": 1})
    assert report["waiting"] == 1
