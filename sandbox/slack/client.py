"""Really signed Slack requests, as Slack sends them; used by the practice page, tests and the self-test."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import requests

from sandbox.slack.setup import CHANNELS, TEAM_ID, USERS

TIMEOUT_S = 10


def signature(secret: str, timestamp: str, body: str) -> str:
    """``v0=`` + HMAC-SHA256 of ``v0:timestamp:body`` (docs.slack.dev, verifying requests)."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()


def post_signed(
    url: str,
    secret: str,
    body: str,
    content_type: str = "application/x-www-form-urlencoded",
    *,
    at: int | None = None,
) -> requests.Response:
    """POST a body with Slack's signature; ``at`` is the time it claims (Unix seconds)."""
    timestamp = str(int(time.time()) if at is None else at)
    headers = {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": signature(secret, timestamp, body),
        "Content-Type": content_type,
    }
    return requests.post(url, data=body.encode(), headers=headers, timeout=TIMEOUT_S)


def command_body(
    user: str, channel: str, command: str, text: str, response_url: str = "", trigger_id: str = ""
) -> str:
    """The form body of a slash command."""
    return urlencode(
        {
            "token": "deprecated",
            "team_id": TEAM_ID,
            "team_domain": "practice",
            "channel_id": channel,
            "channel_name": CHANNELS.get(channel, ("direct", True))[0],
            "user_id": user,
            "user_name": USERS.get(user, (user, user))[0],
            "command": command,
            "text": text,
            "response_url": response_url,
            "trigger_id": trigger_id or uuid4().hex,
            "api_app_id": "A0PRACTICE",
            "is_enterprise_install": "false",
        }
    )


def send_command(
    bot_url: str,
    secret: str,
    user: str,
    channel: str,
    command: str,
    text: str,
    *,
    response_url: str = "",
    trigger_id: str = "",
) -> requests.Response:
    """Type a slash command. The answer's JSON is the ephemeral message."""
    return post_signed(bot_url, secret, command_body(user, channel, command, text, response_url, trigger_id))


def interaction_body(payload: dict[str, Any]) -> str:
    return urlencode({"payload": json.dumps(payload)})


def action_payload(
    user: str,
    channel: str,
    message: dict[str, Any],
    action: dict[str, Any],
    response_url: str,
    trigger_id: str = "",
) -> dict[str, Any]:
    """``block_actions`` of a button or menu in a message."""
    return {
        **_from(user),
        "type": "block_actions",
        "container": {
            "type": "message",
            "message_ts": message.get("ts", ""),
            "channel_id": channel,
            "is_ephemeral": bool(message.get("only_for")),
        },
        "trigger_id": trigger_id or uuid4().hex,
        "channel": {"id": channel, "name": CHANNELS.get(channel, ("direct", True))[0]},
        "message": message,
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [{"action_ts": f"{time.time():.6f}", **action}],
    }


def home_payload(user: str, view: dict[str, Any], action: dict[str, Any], trigger_id: str) -> dict[str, Any]:
    """``block_actions`` of App Home: no channel, message or response_url."""
    payload = action_payload(user, "", {}, action, "", trigger_id)
    for name in ("channel", "message", "response_url"):
        payload.pop(name)
    shown = {"id": "VHOME", "hash": "home", "private_metadata": "", "callback_id": "", **view}
    return {**payload, "container": {"type": "view", "view_id": "VHOME"}, "view": shown}


def click(
    bot_url: str,
    secret: str,
    user: str,
    channel: str,
    message: dict[str, Any],
    action: dict[str, Any],
    response_url: str = "",
) -> requests.Response:
    """Press a button or choose from a menu of a message."""
    payload = action_payload(user, channel, message, action, response_url)
    return post_signed(bot_url, secret, interaction_body(payload))


def view_payload(user: str, view: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """``view_submission`` of a form; ``values`` is ``state.values`` (block_id → action_id → value)."""
    return {
        **_from(user),
        "type": "view_submission",
        "trigger_id": uuid4().hex,
        "view": {**view, "state": {"values": values}},
        "response_urls": [],
    }


def suggestion_payload(user: str, view: dict[str, Any], block_id: str, typed: str) -> dict[str, Any]:
    """``block_suggestion`` of a form's picker while somebody types."""
    blocks = [block for block in view.get("blocks", []) if block.get("block_id") == block_id]
    return {
        **_from(user),
        "type": "block_suggestion",
        "action_id": blocks[0]["element"]["action_id"] if blocks else "",
        "block_id": block_id,
        "value": typed,
        "view": view,
    }


def shortcut_payload(
    user: str,
    callback_id: str,
    trigger_id: str,
    channel: str = "",
    message: dict[str, Any] | None = None,
    response_url: str = "",
) -> dict[str, Any]:
    """A shortcut from anywhere, or of a message in a channel."""
    made = {
        **_from(user),
        "type": "shortcut" if message is None else "message_action",
        "callback_id": callback_id,
        "trigger_id": trigger_id,
        "action_ts": f"{time.time():.6f}",
    }
    if message is None:
        return made
    return {
        **made,
        "channel": {"id": channel, "name": CHANNELS.get(channel, ("direct", True))[0]},
        "message": {"type": "message", **message},
        "message_ts": message.get("ts", ""),
        "response_url": response_url,
    }


def _from(user: str) -> dict[str, Any]:
    return {
        "team": {"id": TEAM_ID, "domain": "practice"},
        "user": {"id": user, "username": USERS.get(user, (user, user))[0], "team_id": TEAM_ID},
        "api_app_id": "A0PRACTICE",
        "token": "deprecated",
        "enterprise": None,
        "is_enterprise_install": False,
    }


def submit_view(
    bot_url: str, secret: str, user: str, view: dict[str, Any], values: dict[str, Any]
) -> requests.Response:
    """Submit a form."""
    return post_signed(bot_url, secret, interaction_body(view_payload(user, view, values)))


def event_body(event: dict[str, Any], event_id: str) -> str:
    """The JSON body around an event."""
    outer = {
        "type": "event_callback",
        "token": "deprecated",
        "team_id": TEAM_ID,
        "api_app_id": "A0PRACTICE",
        "event": event,
        "event_context": "practice",
        "event_id": event_id,
        "event_time": int(time.time()),
        "authorizations": [{"enterprise_id": None, "team_id": TEAM_ID, "user_id": "U0BOT", "is_bot": True}],
        "is_ext_shared_channel": False,
    }
    return json.dumps(outer)
