"""Events of a workspace: channels that go, come back or are shared; App Home that is opened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from bot.identity import team_of
from bot.install import Workspaces
from bot.scene import Stage, publish
from bot.suspend import suspend_channel
from models.store import slack, slack_home
from models.store.database import Database

log = logging.getLogger("sideroom.bot")
Event = dict[str, Any]
GONE = ("channel_archive", "group_archive", "channel_deleted", "group_deleted", "channel_shared")


class Events:
    """Each method is one short piece of database work; repeating it changes nothing more."""

    def __init__(self, db: Database, workspaces: Workspaces, stage: Stage) -> None:
        self._db = db
        self._workspaces = workspaces
        self._stage = stage
        self._known: dict[str, Callable[[str, Event], None]] = {
            **dict.fromkeys(GONE, self._gone),
            "channel_unarchive": self._back,
            "group_unarchive": self._back,
            "channel_unshared": self._alone,
            "channel_id_changed": self._renamed,
            "member_left_channel": self._left,
            "app_home_opened": self._home,
        }

    def take(self, ack: Callable[..., None], event: Event, body: dict[str, Any]) -> None:
        """One event. What we do not know needs nothing."""
        known = self._known.get(str(event.get("type", "")))
        if known is not None:
            known(team_of(body), event)
        ack()

    def _gone(self, team_id: str, event: Event) -> None:
        """The channel gets no more messages until it is linked again; whoever linked it is told."""
        suspend_channel(self._db, team_id, str(event.get("channel", "")), str(event["type"]))

    def _back(self, team_id: str, event: Event) -> None:
        """Only what the archiving had suspended: a shared channel stays suspended."""
        channel_id = str(event.get("channel", ""))
        reasons = ("channel_archive", "group_archive", "is_archived")
        slack.resume_channel(self._db, team_id, channel_id, reasons)

    def _alone(self, team_id: str, event: Event) -> None:
        """The last other organisation has left a channel: only what their coming had suspended."""
        if event.get("is_ext_shared") is False:
            slack.resume_channel(self._db, team_id, str(event.get("channel", "")), ("channel_shared",))

    def _renamed(self, team_id: str, event: Event) -> None:
        """Slack gave the channel another id (Slack Connect)."""
        old, new = str(event.get("old_channel_id", "")), str(event.get("new_channel_id", ""))
        if old and new:
            slack.rename_channel(self._db, team_id, old, new)

    def _left(self, team_id: str, event: Event) -> None:
        """Our own app was removed from a channel: others who leave are no business of ours."""
        found = self._workspaces.find(team_id)
        ours = found.bot_user_id if found is not None else ""
        if ours and event.get("user") == ours:
            suspend_channel(self._db, team_id, str(event.get("channel", "")), "not_in_channel")

    def _home(self, team_id: str, event: Event) -> None:
        if event.get("tab", "home") != "home":
            return
        user_id = str(event.get("user", ""))
        slack_home.opened(self._db, team_id, user_id)
        publish(self._stage, team_id, user_id, priority=1)
