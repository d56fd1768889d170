"""``sideroom slack check`` and ``manifest``: each mistake of a set-up is found and named with what to do about it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, redirect

from bot import check
from bot.check import Finding
from bot.manifest import BOT_SCOPES
from bot.settings import BotSettings
from models.store.slack_install import Installation, Installations
from sandbox.slack.setup import TEAM_ID
from server.cli import main
from tests.botkit import (
    APP_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    SECRET,
    TOKEN,
    Bot,
    served,
)
from tests.slackkit import KEY, oauth_settings, pages

pytestmark = pytest.mark.integration


@pytest.fixture
def bot(bot: Bot) -> Bot:
    bot.slack.provider.scopes = ",".join([*BOT_SCOPES, "chat:write.public"])
    return bot


def found(bot: Bot, settings: BotSettings, level: str = "") -> list[Finding]:
    return [finding for finding in check.check(settings, bot.db) if level in ("", finding.level)]


def said(bot: Bot, settings: BotSettings, level: str = "wrong") -> str:
    """What is wrong, and what to do."""
    return "\n".join(f"{finding.what} {finding.todo}" for finding in found(bot, settings, level))


def test_a_good_set_up_answers_everywhere(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_private", lambda _url: "")  # a loopback address stands for the public one
    outer = Flask("outer")
    with served(outer) as url:
        settings = replace(bot.settings, base_url=url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        with pages(bot, settings) as door:
            outer.wsgi_app = door.flask.wsgi_app  # type: ignore[method-assign]
            findings = found(bot, settings)
    assert [finding.what for finding in findings if finding.level != "ok"] == []
    text = "\n".join(finding.what for finding in findings)
    for part in (
        "HTTP",
        "Practice (T0PRACTICE)",
        "all 6 scopes",
        "answers a signed request",
        "openid_redirect",
    ):
        assert part in text
    for secret in (SECRET, TOKEN, CLIENT_SECRET):
        assert secret not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signing_secret": "xoxb-123"}, "SIDEROOM_SLACK_SIGNING_SECRET; not the client secret"),
        ({"client_secret": SECRET, "client_id": "1"}, "are the same"),
        ({"bot_token": "xoxp-123"}, "is a user token"),
        ({"bot_token": "xapp-123"}, "is an app-level token"),
        ({"bot_token": "xoxb-unknown"}, "Slack refuses the bot token (invalid_auth)"),
        ({"team_id": "T0OTHER"}, "Set SIDEROOM_SLACK_TEAM_ID=T0PRACTICE"),
        ({"app_token": "wrong"}, "must begin with xapp-"),
        ({"app_token": "xapp-unknown"}, "Make a new app-level token with the scope connections:write"),
        ({"base_url": "http://rooms.invalid"}, "it is not https"),
        ({"base_url": "https://127.0.0.1:9"}, "not a public address"),
        ({"base_url": "https://rooms.internal"}, "not a public address"),
        ({"api_url": "http://127.0.0.1:9/api/"}, "Slack cannot be reached"),
    ],
)
def test_each_mistake_is_named(bot: Bot, changes: dict[str, str], words: str) -> None:
    assert words in said(bot, replace(bot.settings, **changes))  # type: ignore[arg-type]


def test_missing_scopes_are_named(bot: Bot) -> None:
    bot.slack.provider.scopes = "commands,chat:write,groups:read,im:write"
    text = said(bot, bot.settings)
    assert "lacks scopes: channels:read, users:read" in text and "Reinstall" in text
    assert "chat:write.public" in said(bot, bot.settings, "warning")


def test_a_revoked_token_is_explained(bot: Bot) -> None:
    bot.slack.store.faults["auth.test"].append({"error": "account_inactive"})
    assert "removed from the workspace" in said(bot, bot.settings)


def test_socket_mode_needs_no_address(bot: Bot) -> None:
    settings = replace(bot.settings, signing_secret="", app_token=APP_TOKEN, base_url="http://127.0.0.1:8080")
    assert found(bot, settings, "wrong") == []
    assert "Slack opens connections" in said(bot, settings, "ok")


def test_a_server_with_another_secret_and_a_proxy_that_redirects(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_private", lambda _url: "")
    outer = Flask("outer")
    with served(outer) as url:
        settings = replace(bot.settings, base_url=url)
        assert "404" in said(bot, settings)
        with pages(bot, replace(settings, signing_secret="f" * 32)) as door:
            outer.wsgi_app = door.flask.wsgi_app  # type: ignore[method-assign]
            assert "another SIDEROOM_SLACK_SIGNING_SECRET" in said(bot, settings)
        moved = Flask("moved")
        moved.add_url_rule(
            "/slack/events", "e", lambda: redirect("https://elsewhere.example/"), methods=["POST"]
        )
        outer.wsgi_app = moved.wsgi_app  # type: ignore[method-assign]
        assert "redirects to https://elsewhere.example/" in said(bot, settings)


def test_installations_are_checked_one_by_one(bot: Bot) -> None:
    settings = oauth_settings(bot, f"{TEAM_ID},T0GONE,T0LOST")
    assert "/slack/install" in said(bot, settings, "warning")
    installs = Installations(bot.db, KEY)
    installs.save(Installation(TEAM_ID, TOKEN, "Practice"))
    installs.save(Installation("T0GONE", "xoxb-1", "Gone"))
    installs.suspend("T0GONE", "app_uninstalled")
    installs.save(Installation("T0LESS", "xoxb-1", "Unnamed"))
    Installations(bot.db, "cd" * 32).save(Installation("T0LOST", "xoxb-1", "Lost"))
    assert "Practice (T0PRACTICE)" in said(bot, settings, "ok")
    warnings = said(bot, settings, "warning")
    assert "Gone: the app was removed" in warnings and "Unnamed: installed, but not named" in warnings
    assert "Lost: its token cannot be decrypted" in said(bot, settings)


# -- the command -----------------------------------------------------------------------------------------------


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(tmp_path / "data"))
    return monkeypatch


def test_the_command_says_what_to_mend(
    bot: Bot, environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slack", "check"]) == 2
    assert "Slack is off" in capsys.readouterr().err
    environ.setenv("SIDEROOM_SLACK_APP_TOKEN", APP_TOKEN)
    environ.setenv("SIDEROOM_SLACK_BOT_TOKEN", TOKEN)
    environ.setenv("SIDEROOM_SLACK_TEAM_ID", TEAM_ID)
    environ.setenv("SIDEROOM_SLACK_API_URL", f"{bot.slack.url}/api/")
    assert main(["slack", "check"]) == 0
    assert "No problems found." in capsys.readouterr().out
    environ.setenv("SIDEROOM_SLACK_TEAM_ID", "T0OTHER")
    assert main(["slack", "check"]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out and "1 problem(s) to fix." in out and TOKEN not in out


def test_the_command_prints_the_manifest(
    environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slack", "manifest", "--url", "https://rooms.example.edu/"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["settings"]["event_subscriptions"]["request_url"] == "https://rooms.example.edu/slack/events"
    assert main(["slack", "manifest", "--socket"]) == 0
    shown = capsys.readouterr()
    assert "://" not in shown.out and json.loads(shown.out)["settings"]["socket_mode_enabled"]
    assert main(["slack", "manifest"]) == 0
    assert "only calls public https addresses" in capsys.readouterr().err
    assert main(["slack", "manifest", "--url", "https://x/y"]) == 2
    environ.setenv("SIDEROOM_SLACK_COMMANDS", "room=/classroom,record=")
    assert main(["slack", "manifest", "--socket"]) == 0
    named = json.loads(capsys.readouterr().out)["features"]["slash_commands"]
    assert [c["command"] for c in named] == ["/classroom", "/breakout", "/broadcast", "/help-calls"]
