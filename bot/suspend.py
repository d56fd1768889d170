"""A channel that cannot be posted to: its link is suspended, never dropped silently, and whoever made it is told."""

from __future__ import annotations

import logging
from typing import Final

from models.store import slack, slack_outbox, slack_roster
from models.store.database import Database

log = logging.getLogger("sideroom.bot")
WHY: Final = {
    "channel_archive": "it was archived. Unarchive it, or link another channel with `/room link`",
    "group_archive": "it was archived. Unarchive it, or link another channel with `/room link`",
    "is_archived": "it was archived. Unarchive it, or link another channel with `/room link`",
    "channel_deleted": "it was deleted. Link another channel with `/room link`",
    "group_deleted": "it was deleted. Link another channel with `/room link`",
    "channel_shared": "it’s now shared with another organization. Link a channel in this workspace with `/room link`",
    "not_in_channel": "the app is no longer in it. Type `/invite @Sideroom` and `/room link` there",
    "restricted_action_read_only_channel": "it’s read-only. Allow the app to post there, or link another channel with `/room link`",
    "restricted_action_thread_only_channel": "it only allows replies in threads. Link another channel with `/room link`",
    "restricted_action": "a workspace setting stops the app from posting there. Ask an administrator, then type `/room link` there",
    "channel_not_found": "the app can no longer see it. Type `/invite @Sideroom` and `/room link` there",
}


def suspend_channel(db: Database, team_id: str, channel_id: str, reason: str) -> None:
    """Stop posting to a channel until it is linked again. Telling happens once, by a direct message."""
    linked_by = slack.suspend_channel(db, team_id, channel_id, reason)
    if linked_by is None:
        return
    log.info("slack.channel_suspended reason=%s", reason)
    slack_outbox.drop_channel(db, team_id, channel_id)
    user_ids = _whom(db, team_id, channel_id, linked_by)
    why = WHY.get(reason, f"Slack refuses messages there ({reason}). Fix that, then type `/room link` there")
    text = f"<#{channel_id}> will get no more messages about your live session: {why}."
    for user_id in user_ids:
        slack_outbox.put_out(
            db, team_id=team_id, channel_id=user_id, method="message", payload={"text": text}, priority=2
        )


def _whom(db: Database, team_id: str, channel_id: str, linked_by: str) -> list[str]:
    """Who linked the channel; the course's other moderators in this workspace when that person is not on Slack any more."""
    user_id = slack.user_of(db, team_id, linked_by)
    if user_id is not None:
        return [user_id]
    link = slack.channel_link(db, team_id, channel_id)
    return (
        sorted(slack_roster.moderators_on_slack(db, team_id, link.course_id).values())
        if link is not None
        else []
    )
