"""The Slack door's own pages with real rows and a practice Slack: a browser that signs in, workspaces that install the app."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bot import identity_web, install_web
from bot.app import build_door
from bot.settings import BotSettings
from bot.web import create_blueprint
from models.store import access as tokens
from models.store.access import Access
from tests.botkit import CLIENT_ID, CLIENT_SECRET, Bot

KEY = "ab" * 32
BASE = "https://room.test"


@dataclass(slots=True)
class Pages:
    """The server as browsers see it. ``client`` is one browser (it keeps cookies)."""

    bot: Bot
    settings: BotSettings
    flask: Flask
    client: FlaskClient

    def another_browser(self) -> FlaskClient:
        return self.flask.test_client()

    def token(self, who: str) -> dict[str, str]:
        """The header of somebody's course page."""
        actor = self.bot.actors[who]
        assert actor.person_id is not None and actor.course_id is not None and actor.role is not None
        access = Access("page", actor.person_id, actor.course_id, actor.role, actor.name)
        return {"Authorization": f"Bearer {tokens.issue_token(self.bot.db, access)}"}

    def ask(self, who: str, method: str, path: str) -> Any:
        """A call of the course page; its JSON."""
        answer = self.client.open(path, method=method, headers=self.token(who))
        assert answer.status_code < 300, answer.text
        return answer.get_json(silent=True)

    def at_slack(self, url: str, user: str) -> str:
        """What Slack's page leads back to (path and query) when ``user`` is signed in to Slack in this browser."""
        answer = requests.get(f"{url}&as={user}", allow_redirects=False, timeout=20)
        assert answer.status_code == 302, answer.text
        parts = urlsplit(answer.headers["Location"])
        assert f"{parts.scheme}://{parts.netloc}" == BASE
        return f"{parts.path}?{parts.query}"

    def confirm(self, shown: TestResponse, browser: FlaskClient | None = None) -> TestResponse:
        """Press the button of the page that asks."""
        found = re.search(r'name="state" value="([^"]+)"', shown.text)
        assert found is not None, shown.text
        return (browser or self.client).post("/slack/openid_confirm", data={"state": found[1]}, base_url=BASE)

    def get(self, path: str, browser: FlaskClient | None = None) -> TestResponse:
        return (browser or self.client).get(path, base_url=BASE)


def oauth_settings(bot: Bot, teams: str = "*") -> BotSettings:
    """Without a fixed token: workspaces install the app."""
    return replace(signin_settings(bot), bot_token="", team_id=teams)


def signin_settings(bot: Bot) -> BotSettings:
    return replace(
        bot.settings, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, token_key=KEY, base_url=BASE
    )


@contextmanager
def pages(bot: Bot, settings: BotSettings) -> Iterator[Pages]:
    """All blueprints of the door for these settings."""
    app = Flask("slack-pages")
    app.register_blueprint(identity_web.create_blueprint(settings, bot.db, enabled=True))
    if settings.by_oauth:
        app.register_blueprint(install_web.create_blueprint(settings, bot.db))
    door = build_door(settings, bot.db, bot.rooms, Path("library"))
    app.register_blueprint(create_blueprint(door.app, settings))
    bot.client = app.test_client()  # what is said in Slack goes to this door
    try:
        yield Pages(bot, settings, app, app.test_client())
    finally:
        door.desk.stop()
