"""Requests that were acknowledged but not finished: what is kept of one until it is done, and what becomes of it. Pure.

A process that dies between its answer to Slack and the work would lose what somebody asked for, as Slack sends only events
again. So the parts that matter wait beside the inbox row, in the outbox, and go with it when the work is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

METHOD: Final = "work"
"""Of the outbox's rows that are requests to us, not calls of Slack."""
RUN_WITHIN_S: Final = 120.0
"""A request is run again only so soon after it came: what a class needed then may be wrong now."""
TOO_LATE: Final = "Sideroom restarted while it was working on this. Check with `/room status`, and try again if it didn’t happen."
_KEPT: Final = (
    "type",
    "command",
    "text",
    "team_id",
    "channel_id",
    "user_id",
    "trigger_id",
    "response_url",
    "team",
    "user",
    "channel",
    "container",
    "actions",
    "callback_id",
)
_KEPT_OF_VIEW: Final = ("id", "hash", "callback_id", "private_metadata", "state", "app_installed_team_id")
_KINDS: Final = ("block_actions", "view_submission", "shortcut", "message_action")


def kept(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """What must be known to do a request later; None for what is not kept: events (Slack sends those again) and linking codes."""
    view = body.get("view")
    said = str(body.get("text") or "").strip().lower()
    if "command" in body:
        if said.startswith("connect"):
            return None
    elif body.get("type") not in _KINDS or str((view or {}).get("callback_id", "")).startswith("connect"):
        return None
    made = {name: body[name] for name in _KEPT if name in body}
    if isinstance(view, Mapping):
        made["view"] = {name: view[name] for name in _KEPT_OF_VIEW if name in view}
    if isinstance(body.get("message"), Mapping):
        made["message"] = {"text": body["message"].get("text") or ""}
    if "actions" in made:
        made["actions"] = [_action(action) for action in made["actions"] if isinstance(action, Mapping)]
    return made


def _action(action: Mapping[str, Any]) -> dict[str, Any]:
    names = ("action_id", "block_id", "value", "selected_option", "action_ts")
    return {name: action[name] for name in names if name in action}
