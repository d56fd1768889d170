"""The workspaces the app is in, and a Web API client for each: one fixed token, or installations by OAuth."""

from __future__ import annotations

from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.settings import ANY_TEAM, BotSettings
from models.store.database import Database
from models.store.slack_install import Installation, Installations

LISTENER_TIMEOUT_S = 2
"""Slack waits 3 s for an answer; whoever calls it before answering has this patience."""


class Workspaces:
    """Holds no state of its own, so each part may have one. Asks the database, never Slack."""

    def __init__(self, settings: BotSettings, db: Database) -> None:
        self._settings = settings
        self.installs = Installations(db, settings.token_key) if settings.by_oauth else None

    def find(self, team_id: str) -> Installation | None:
        """The workspace when the app may act in it now."""
        if self.installs is not None:
            return self.installs.find(team_id) if self.may_install(team_id) else None
        teams = self._settings.teams
        if teams and team_id not in teams:
            return None
        return Installation(team_id, self._settings.bot_token, app_id=self._settings.app_id)

    def may_install(self, team_id: str) -> bool:
        """Whether the settings name this workspace."""
        teams = self._settings.teams
        return team_id in teams or ANY_TEAM in teams

    def team_ids(self) -> list[str]:
        """Every workspace that may be used now."""
        if self.installs is not None:
            return [found.team_id for found in self.installs.all() if not found.suspended]
        return sorted(self._settings.teams)

    def authorize(self, team_id: str) -> AuthorizeResult:
        """For Bolt: whose token belongs to a request. What Slack would say is known, so it is not asked.

        Without a token for a workspace the app is not in: the door refuses those itself, in silence.
        """
        found = self.find(team_id)
        if found is None:
            return AuthorizeResult(enterprise_id=None, team_id=team_id)
        return AuthorizeResult(
            enterprise_id=found.enterprise_id or None,
            team_id=team_id,
            bot_token=found.bot_token,
            bot_id=found.bot_id or "B0",
            bot_user_id=found.bot_user_id or "U0",
        )

    def client(self, team_id: str, timeout_s: int = LISTENER_TIMEOUT_S) -> WebClient | None:
        """A client with the workspace's token; None when the app is not (or no longer) installed there."""
        found = self.find(team_id)
        if found is None:
            return None
        return WebClient(token=found.bot_token, base_url=self._settings.api_url, timeout=timeout_s)
