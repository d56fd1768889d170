"""Installing the app in a workspace: ``/slack/install`` leads to Slack, ``/slack/oauth_redirect`` takes the token.

Only workspaces that the settings name may install it. States are one-use rows, bound to the browser by a cookie.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, request
from slack_sdk import WebClient
from werkzeug.wrappers import Response as BaseResponse

from bot.install import Workspaces
from bot.manifest import BOT_SCOPES, OPTIONAL_SCOPES
from bot.meters import Meters
from bot.outcomes import SlackFailure, ask
from bot.pages import page
from bot.settings import BotSettings
from models.store.access import hash_secret
from models.store.database import Database
from models.store.slack_install import STATE_LIFE, Installation, State, new_state, take_state

log = logging.getLogger("sideroom.bot")
COOKIE = "sideroom_slack_install"
TIMEOUT_S = 10
AGAIN = "Open /slack/install on this server again."


def create_blueprint(settings: BotSettings, db: Database, meters: Meters | None = None) -> Blueprint:
    """The two addresses; registered only when workspaces install the app themselves."""
    blueprint = Blueprint("slack_install", __name__)
    door = _Door(settings, db, meters or Meters())
    blueprint.add_url_rule("/slack/install", "install", door.install)
    blueprint.add_url_rule("/slack/oauth_redirect", "oauth_redirect", door.came_back)
    return blueprint


class InstallFailed(Exception):
    """``text`` says what happened and what to do; ``code`` is for the log."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(code)


class _Door:
    def __init__(self, settings: BotSettings, db: Database, meters: Meters) -> None:
        self._settings = settings
        self._meters = meters
        self._db = db
        self._workspaces = Workspaces(settings, db)

    @property
    def _redirect_uri(self) -> str:
        return f"{self._settings.base_url}/slack/oauth_redirect"

    def install(self) -> BaseResponse:
        """Lead to Slack's page."""
        browser = secrets.token_urlsafe(24)
        state = new_state(self._db, State("install", browser_hash=hash_secret(browser)))
        asked = {
            "client_id": self._settings.client_id,
            "scope": ",".join([*BOT_SCOPES, *OPTIONAL_SCOPES]),
            "state": state,
            "redirect_uri": self._redirect_uri,
        }
        answer = redirect(f"{self._settings.web_url}/oauth/v2/authorize?{urlencode(asked)}")
        answer.headers["Cache-Control"] = "no-store"
        answer.set_cookie(
            COOKIE,
            browser,
            max_age=int(STATE_LIFE.total_seconds()),
            secure=self._settings.base_url.startswith("https:"),
            httponly=True,
            samesite="Lax",
            path="/slack",
        )
        return answer

    def came_back(self) -> BaseResponse:
        """Take the code, keep the token."""
        state = take_state(self._db, "install", request.args.get("state", "")[:200])
        browser = request.cookies.get(COOKIE, "")
        if state is None or not browser or hash_secret(browser) != state.browser_hash:
            return page(
                "This installation has ended",
                f"It was already finished, has expired, or was started in another browser. {AGAIN}",
                status=403,
            )
        if request.args.get("error"):
            return page("Not installed", f"You didn’t allow access in Slack. {AGAIN}", status=403)
        try:
            installation = self._installation(request.args.get("code", "")[:500])
        except InstallFailed as failed:
            log.warning("slack.install_failed code=%s", failed.code)
            self._meters.install_failed()
            return page("Not installed", failed.text, status=403)
        self._workspaces.installs.save(installation)
        log.info("slack.installed team_id=%s", installation.team_id)
        missing = sorted(set(BOT_SCOPES) - set(installation.scopes.split(",")))
        more = f" Slack didn’t grant: {', '.join(missing)}. Some commands will fail." if missing else ""
        return page(
            "Installed",
            f"The app is in the workspace “{installation.team_name or installation.team_id}”.{more} Next: open the room in your course and "
            "connect under Slack, then type /invite and /room link in a channel.",
        )

    def _installation(self, code: str) -> Installation:
        client = WebClient(base_url=self._settings.api_url, timeout=TIMEOUT_S)
        try:
            return self._checked(
                ask(
                    lambda: client.oauth_v2_access(
                        client_id=self._settings.client_id,
                        client_secret=self._settings.client_secret,
                        code=code,
                        redirect_uri=self._redirect_uri,
                    )
                )
            )
        except SlackFailure as failure:
            if failure.is_refusal:
                raise InstallFailed(
                    failure.code, f"Slack didn’t accept this installation ({failure.code[:40]}). {AGAIN}"
                ) from failure
            raise InstallFailed(
                "unreachable", f"Slack can’t be reached right now. Wait a minute. {AGAIN}"
            ) from failure

    def _checked(self, answer: dict[str, Any]) -> Installation:
        """Refuse what we cannot work with; a token that is not kept is given back."""
        token = str(answer.get("access_token") or "")
        client = WebClient(token=token, base_url=self._settings.api_url, timeout=TIMEOUT_S)
        team, enterprise, user = (_object(answer, name) for name in ("team", "enterprise", "authed_user"))
        team_id = str(team.get("id") or "")
        if answer.get("is_enterprise_install") or not team_id:
            ask(client.auth_revoke)
            raise InstallFailed(
                "org_install",
                "The app was installed for a whole organization. Install it in one workspace at a time: choose the workspace on Slack’s page.",
            )
        if not self._workspaces.is_allowed(team_id):
            ask(client.auth_revoke)
            raise InstallFailed(
                "team_refused",
                f"This server doesn’t work with the workspace {team_id}. The server’s administrator lists allowed workspaces in SIDEROOM_SLACK_TEAM_ID.",
            )
        if not token.startswith(("xoxb-", "xoxe.xoxb-")):
            raise InstallFailed(
                "no_bot_token", "Slack didn’t issue a bot token. Check that the app has a bot user."
            )
        who = ask(client.auth_test)
        expires_s = answer["expires_in"] if isinstance(answer.get("expires_in"), int) else 0
        return Installation(
            team_id=team_id,
            bot_token=token,
            team_name=str(team.get("name") or ""),
            enterprise_id=str(enterprise.get("id") or ""),
            app_id=str(answer.get("app_id") or ""),
            bot_user_id=str(answer.get("bot_user_id") or ""),
            bot_id=str(who.get("bot_id") or ""),
            scopes=str(answer.get("scope") or ""),
            refresh_token=str(answer.get("refresh_token") or ""),
            token_expires_at=datetime.now(UTC) + timedelta(seconds=expires_s) if expires_s else None,
            installed_by=str(user.get("id") or ""),
        )


def _object(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that is an object, or null (``team`` of an organisation's installation)."""
    found = answer.get(name)
    return found if isinstance(found, dict) else {}
