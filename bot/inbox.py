"""The key of a Slack request: the same when Slack, or a user with a stuck client, sends it again. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def request_key(body: Mapping[str, Any]) -> tuple[str, str]:
    """(key, kind) of a parsed request body (facts of Slack's payloads: event_id, trigger_id, action_ts, view hash)."""
    if "event_id" in body:
        return f"event:{body['event_id']}", "event"
    if "command" in body:
        parts = ("team_id", "user_id", "command", "text", "trigger_id")
        return _hashed("command", *(str(body.get(part, "")) for part in parts)), "command"
    kind = str(body.get("type", "unknown"))
    if kind == "block_actions":
        return _hashed(kind, *_action_parts(body)), kind
    view = body.get("view") or {}
    return _hashed(
        kind, str(view.get("id", "")), str(view.get("hash", "")), str(body.get("trigger_id", ""))
    ), kind


def _action_parts(body: Mapping[str, Any]) -> list[str]:
    container = body.get("container") or {}
    action = (body.get("actions") or [{}])[0]
    chosen = (action.get("selected_option") or {}).get("value", "")
    team, user = body.get("team"), body.get("user")
    return [
        str(team.get("id", "") if isinstance(team, Mapping) else team or ""),
        str(container.get("message_ts") or container.get("view_id") or ""),
        str(user.get("id", "") if isinstance(user, Mapping) else user or ""),
        str(action.get("action_id", "")),
        str(action.get("value") or chosen),
        str(action.get("action_ts", "")),
    ]


def _hashed(kind: str, *parts: str) -> str:
    return f"{kind}:{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:40]}"
