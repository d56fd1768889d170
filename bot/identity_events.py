"""Slack's news about workspaces and people: the app was removed, tokens were revoked, somebody left or became a guest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slack_bolt import App

from bot.identity import standing_of, team_of
from bot.install import Workspaces
from models.store import slack_inbox, slack_people
from models.store.database import Database

log = logging.getLogger("sideroom.bot")
Listener = Callable[..., None]


def register(
    app: App, db: Database, workspaces: Workspaces, finishing: Callable[[Listener], Listener]
) -> None:
    """Add the listeners; before any catch-all. ``finishing`` marks a request as done."""
    news = _News(db, workspaces)
    for name in ("app_uninstalled", "tokens_revoked"):
        app.event(name)(finishing(news.farewell))
    app.event("user_change")(finishing(news.user_change))


class _News:
    def __init__(self, db: Database, workspaces: Workspaces) -> None:
        self._db = db
        self._workspaces = workspaces

    def farewell(self, ack: Callable[..., None], event: dict[str, Any], body: dict[str, Any]) -> None:
        """Both come, in either order, when an app is removed; ``tokens_revoked`` also for users' tokens, which we have none of."""
        revoked = event.get("tokens")
        if event.get("type") == "app_uninstalled" or (isinstance(revoked, dict) and revoked.get("bot")):
            team_id = team_of(body)
            self._workspaces.suspend(team_id, str(event.get("type")))
            log.warning("slack.uninstalled team_id=%s", team_id)
        ack()

    def user_change(self, ack: Callable[..., None], event: dict[str, Any], body: dict[str, Any]) -> None:
        """Slack tells about everybody in the workspace; only of those we know already anything is kept."""
        user = event.get("user")
        user = user if isinstance(user, dict) else {}
        team_id, user_id = team_of(body), str(user.get("id") or "")
        if user_id and slack_people.is_known_or_linked(self._db, team_id, user_id):
            before = slack_people.known(self._db, team_id, user_id)
            standing = standing_of(user, team_id)
            slack_people.remember(self._db, team_id, user_id, standing)
            linked = slack_people.linked_person(self._db, team_id, user_id)
            if linked is not None and before is not None and before.standing is not standing:
                slack_inbox.audit(self._db, user_id, linked[0], f"is now {standing.value}", "", "ok")
        ack()
