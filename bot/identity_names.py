"""How somebody is called in Slack, for the page on which they see their own connection. Kept for minutes, in memory only."""

from __future__ import annotations

import threading
import time
from typing import Final

from bot.install import Workspaces
from bot.outcomes import SlackFailure, ask
from foundation.text import clean

KEPT_S: Final = 600.0
KEPT_AFTER_FAILURE_S: Final = 30.0
MOST_KEPT: Final = 1000
MOST_CHARS: Final = 80


class SlackNames:
    """Thread-safe. Slack is asked once in ten minutes about each, and has two seconds to answer."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._guard = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[float, str]] = {}

    def of(self, team_id: str, user_id: str) -> str:
        """The display name, else the full name; empty while Slack does not tell."""
        key = (team_id, user_id)
        with self._guard:
            until, name = self._kept.get(key, (0.0, ""))
        if time.monotonic() < until:
            return name
        try:
            name, kept_s = self._ask(team_id, user_id), KEPT_S
        except SlackFailure:
            kept_s = KEPT_AFTER_FAILURE_S  # what was known stays better than an id
        with self._guard:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = (time.monotonic() + kept_s, name)
        return name

    def _ask(self, team_id: str, user_id: str) -> str:
        client = self._workspaces.client(team_id)
        user = ask(lambda: client.users_info(user=user_id)).get("user") if client is not None else None
        if not isinstance(user, dict):
            return ""
        given = user.get("profile")
        profile = given if isinstance(given, dict) else {}
        found = (
            profile.get("display_name"),
            profile.get("real_name"),
            user.get("real_name"),
            user.get("name"),
        )
        return next((clean(each, MOST_CHARS) for each in found if isinstance(each, str) and clean(each)), "")
