"""The workspaces the app is in, and a Web API client for each: one fixed token, or installations by OAuth."""

from __future__ import annotations

import time
from dataclasses import replace

from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.settings import ANY_TEAM, BotSettings
from models.store.database import Database
from models.store.slack_install import Installation, Installations

LISTENER_TIMEOUT_S = 2
"""Slack waits 3 s for an answer; whoever calls it before answering has this patience."""


REMEMBERED_S = 2.0
"""So long an answer of the database is used again; a removed app is refused after that at the latest."""


class Workspaces:
    """Asks the database, never Slack. Each part of the server may have one of its own. Thread-safe."""

    def __init__(self, settings: BotSettings, db: Database) -> None:
        self._settings = settings
        self._found: dict[str, tuple[float, Installation | None]] = {}
        self.installs = Installations(db, settings.token_key, settings.old_token_keys)

    def find(self, team_id: str) -> Installation | None:
        """The workspace when the app may act in it now."""
        until, found = self._found.get(team_id, (0.0, None))
        if time.monotonic() >= until:
            found = self._find(team_id) if self.is_allowed(team_id) else None
            self._found[team_id] = (time.monotonic() + REMEMBERED_S, found)
        return found

    def _find(self, team_id: str) -> Installation | None:
        if self._settings.by_oauth:
            return self.installs.find(team_id)
        noted = self.installs.note_of(team_id)
        if noted is not None and noted.suspended:
            return None
        return replace(noted or Installation(team_id, ""), bot_token=self._settings.bot_token)

    def is_allowed(self, team_id: str) -> bool:
        """Whether the settings name this workspace."""
        teams = self._settings.teams
        return team_id in teams or ANY_TEAM in teams or (not teams and not self._settings.by_oauth)

    def suspend(self, team_id: str, reason: str) -> None:
        """The app was taken out of a workspace: forget its token, keep its links but suspended."""
        if self.is_allowed(team_id):
            self.installs.suspend(team_id, reason)
        self._found.pop(team_id, None)

    def team_ids(self) -> list[str]:
        """Every workspace that may be used now."""
        if not self._settings.by_oauth:
            return sorted(self._settings.teams)
        return [found.team_id for found in self.installs.all() if not found.suspended]

    def name_of(self, team_id: str) -> str:
        """A workspace's name as Slack told it; its id before that."""
        noted = self.installs.note_of(team_id)
        return noted.team_name if noted is not None and noted.team_name else team_id

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
