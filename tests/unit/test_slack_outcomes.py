"""The table of Slack's refusals, and that everything else the network may send is no refusal of Slack's."""

from __future__ import annotations

import re
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web import SlackResponse

from bot.outcomes import RULES, UNREACHABLE, Outcome, SlackFailure, answered, ask, rule_of

pytestmark = pytest.mark.unit
BOT = Path(__file__).parents[2] / "bot"


def answer(data: object, status: int = 200, headers: dict[str, str] | None = None) -> SlackResponse:
    return SlackResponse(
        client=WebClient(),
        http_verb="POST",
        api_url="https://slack.test/api/chat.postMessage",
        req_args={},
        data=data,  # type: ignore[arg-type]
        headers=headers or {},
        status_code=status,
    )


def failure(data: object, status: int = 200, headers: dict[str, str] | None = None) -> SlackFailure:
    with pytest.raises(SlackFailure) as caught:
        ask(lambda: answer(data, status, headers).validate())
    return caught.value


@pytest.mark.parametrize(
    ("code", "outcome", "permanent"),
    [
        ("internal_error", Outcome.RETRY, False),
        ("update_failed", Outcome.RETRY, False),
        ("rate_limited", Outcome.WAIT, False),
        ("ratelimited", Outcome.WAIT, False),
        ("org_login_required", Outcome.PARK, False),
        ("team_added_to_org", Outcome.PARK, False),
        ("invalid_auth", Outcome.PARK, True),
        ("token_revoked", Outcome.SUSPEND_WORKSPACE, True),
        ("message_not_found", Outcome.REPOST, True),
        ("thread_not_found", Outcome.UNTHREAD, True),
        ("msg_blocks_too_long", Outcome.PLAIN, True),
        ("restricted_action_read_only_channel", Outcome.SUSPEND_CHANNEL, True),
        ("is_archived", Outcome.SUSPEND_CHANNEL, True),
        ("missing_scope", Outcome.DROP, True),
        ("something_new", Outcome.UNKNOWN, False),
    ],
)
def test_what_a_code_means(code: str, outcome: Outcome, permanent: bool) -> None:
    found = failure({"ok": False, "error": code})
    assert (found.code, found.outcome, found.permanent, found.is_refusal) == (code, outcome, permanent, True)


def test_each_rule_names_slacks_page() -> None:
    for code, rule in RULES.items():
        assert re.fullmatch(r"https://docs\.slack\.dev/[a-zA-Z0-9./-]+", rule.page), code
        if rule.outcome in (Outcome.RETRY, Outcome.WAIT):
            assert not rule.permanent, code


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"ok": False, "error": "Received a response in a non-JSON format: <html>"}, 200),
        ({}, 200),
        (None, 200),
        ({"status": "up"}, 200),
        ({"ok": False}, 200),
        ({"ok": False, "error": {"code": 7}}, 200),
        (["login"], 200),
        ("login", 200),
        (b"\x1f\x8b", 200),
        ({"ok": False, "error": "<html>Bad gateway</html>"}, 502),
        ({"message": "no route"}, 404),
    ],
)
def test_what_is_not_slacks_answer_is_tried_again(data: object, status: int) -> None:
    found = failure(data, status)
    assert (found.code, found.outcome, found.permanent, found.is_refusal) == (
        UNREACHABLE,
        Outcome.RETRY,
        False,
        False,
    )


def test_a_proxy_that_limits_us_is_waited_for() -> None:
    found = failure({"ok": False, "error": "Too many requests"}, 429, {"Retry-After": "9"})
    assert (found.outcome, found.retry_after_s) == (Outcome.WAIT, 9.0)


@pytest.mark.parametrize(
    "error",
    [
        URLError("no route"),
        ConnectionResetError(),
        TimeoutError(),
        IncompleteRead(b"{"),
        ValueError("not JSON"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        SlackRequestError("proxy"),
        SlackApiError("nothing came", None),
    ],
)
def test_transport_faults_are_no_refusals(error: Exception) -> None:
    def call() -> SlackResponse:
        raise error

    with pytest.raises(SlackFailure) as caught:
        ask(call)
    assert caught.value.outcome is Outcome.RETRY
    assert not caught.value.is_refusal


def test_a_good_answer_is_its_fields() -> None:
    data, headers = answered(
        lambda: answer({"ok": True, "ts": "1.2"}, headers={"X-OAuth-Scopes": "commands"})
    )
    assert (data["ts"], headers["x-oauth-scopes"]) == ("1.2", "commands")


def test_five_hundred_is_transient_whatever_it_says() -> None:
    assert rule_of("something_new", 503).outcome is Outcome.RETRY


def test_every_call_of_slack_goes_through_the_table() -> None:
    """No part of the bot reads the SDK's errors by itself."""
    for path in BOT.rglob("*.py"):
        if path.name != "outcomes.py":
            assert "SlackApiError" not in path.read_text(encoding="utf-8"), path.name
