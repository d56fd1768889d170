"""Keeps what we know of Slack true, in a thread of its own: users are looked up again, tokens renewed before they end."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

from slack_sdk import WebClient

from bot.ask import SlackRefusal
from bot.identity import Identity
from bot.install import Workspaces
from bot.outcomes import Outcome, SlackFailure, ask
from bot.settings import BotSettings
from models.store import slack_people
from models.store.database import Database
from models.store.slack_install import Installation

log = logging.getLogger("sideroom.bot")
LOOK_EVERY_S = 1.0
SWEEP_EVERY_S = 3600.0
SWEEP_AGE = timedelta(hours=20)
"""Everybody linked is looked up once a day."""
RENEW_BEFORE = timedelta(minutes=121)
"""Bolt and Slack's own tools renew at 120 minutes."""
RENEW_EVERY_S = 60.0
INTRODUCE_EVERY_S = 60.0
"""Until Slack has answered once."""
REST_S = 30.0
"""After a refusal: Slack asked for less, or cannot be reached."""
TOKEN_LIFE_S = 43_200
"""Of a rotated token (docs.slack.dev/authentication/using-token-rotation), when an answer does not say."""
TIMEOUT_S = 10


class Watch:
    """``start`` and ``stop`` belong to the server."""

    def __init__(self, settings: BotSettings, db: Database) -> None:
        self._settings = settings
        self._db = db
        self._workspaces = Workspaces(settings, db)
        self._identity = Identity(settings, db, self._workspaces)
        self._is_introduced = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bot.watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(15)

    def _run(self) -> None:
        due = {"reseal": 0.0, "introduce": 0.0, "sweep": 0.0, "renew": 0.0, "look": 0.0}
        steps = {
            "reseal": (self.reseal, SWEEP_EVERY_S),
            "introduce": (self.introduce, INTRODUCE_EVERY_S),
            "sweep": (self.sweep, SWEEP_EVERY_S),
            "renew": (self.renew, RENEW_EVERY_S),
            "look": (self.look, LOOK_EVERY_S),
        }
        while not self._stopping.is_set():
            for name, (step, every_s) in steps.items():
                if time.monotonic() < due[name] or self._stopping.is_set():
                    continue
                due[name] = time.monotonic() + every_s
                try:
                    step()
                except Exception:
                    log.exception("slack.watch_failed step=%s", name)
            self._stopping.wait(0.5)

    def reseal(self) -> None:
        """Tokens sealed under an earlier site secret, so that it may be forgotten."""
        if count := self._workspaces.installs.reseal():
            log.info("slack.tokens_resealed workspaces=%s", count)

    def introduce(self) -> None:
        """With a fixed token: ask once who we are there, for the workspace's name and to tell a wrong token early."""
        if self._settings.by_oauth or self._is_introduced:
            return
        client = WebClient(token=self._settings.bot_token, base_url=self._settings.api_url, timeout=TIMEOUT_S)
        try:
            who = ask(client.auth_test)
        except SlackFailure as failure:
            if failure.is_refusal:
                log.error("slack.token_refused code=%s (sideroom slack check says more)", failure.code)
            else:
                log.warning("slack.unreachable method=auth.test error=%s", failure.why)
            # Said once where only another token helps, which needs another start.
            self._is_introduced = failure.permanent and failure.outcome is not Outcome.DROP
            return
        self._is_introduced = True
        team_id = str(who.get("team_id") or "")
        if not self._workspaces.is_allowed(team_id):
            log.error("slack.token_of_other_team team_id=%s", team_id)
            return
        # Saving it takes back a suspension: the token works, so the app is installed again.
        self._workspaces.installs.save(
            Installation(
                team_id,
                bot_token="",
                team_name=str(who.get("team") or ""),
                bot_user_id=str(who.get("user_id") or ""),
                bot_id=str(who.get("bot_id") or ""),
                enterprise_id=str(who.get("enterprise_id") or ""),
                app_id=self._settings.app_id,
            )
        )

    def sweep(self) -> None:
        """Once a day about everybody linked, for news that did not reach us."""
        if count := slack_people.want_old(self._db, SWEEP_AGE):
            log.info("slack.sweep users=%s", count)

    def look(self) -> None:
        """Look up who was needed while what we knew was no longer fresh."""
        for team_id, user_id in slack_people.wanted(self._db):
            if self._stopping.is_set():
                return
            try:
                self._identity.look_up(team_id, user_id)
            except SlackRefusal as refusal:
                slack_people.want(self._db, team_id, user_id, wanted=False)
                if refusal.code == "slack_unreachable":
                    self._stopping.wait(REST_S)
                    return

    def renew(self) -> None:
        """Exchange refresh tokens before the tokens end; each installation is leased, as a refresh token works once."""
        for found in self._workspaces.installs.expiring(RENEW_BEFORE):
            client = WebClient(base_url=self._settings.api_url, timeout=TIMEOUT_S)
            try:
                answer = ask(
                    lambda using=client, token=found.refresh_token: using.oauth_v2_access(  # type: ignore[misc]
                        client_id=self._settings.client_id,
                        client_secret=self._settings.client_secret,
                        grant_type="refresh_token",
                        refresh_token=token,
                    )
                )
            except SlackFailure as failure:
                if failure.is_refusal:
                    log.error("slack.renew_refused team_id=%s code=%s", found.team_id, failure.code)
                else:
                    log.warning("slack.renew_failed team_id=%s error=%s", found.team_id, failure.why)
                continue
            token = answer.get("access_token")
            if not isinstance(token, str) or not token:
                # What is stored may still work; it is asked again when the lease is over.
                log.error("slack.renew_refused team_id=%s code=no_token", found.team_id)
                continue
            life_s = answer.get("expires_in")
            if not isinstance(life_s, int) or life_s <= 0:
                life_s = TOKEN_LIFE_S
            self._workspaces.installs.renew(
                found.team_id,
                token,
                str(answer.get("refresh_token") or ""),
                datetime.now(UTC) + timedelta(seconds=life_s),
            )
            log.info("slack.token_renewed team_id=%s", found.team_id)
