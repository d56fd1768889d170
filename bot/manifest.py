"""The Slack app's manifest, made from the command registry; written to ``manifests/`` by ``python -m bot.manifest``. Pure but for main."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.names import DEFAULT_NAMES, Names
from bot.registry import DESCRIPTIONS, USAGE

HOST = "https://YOUR-HOST"
BOT_SCOPES = ["commands", "chat:write", "channels:read", "groups:read", "im:write", "users:read"]
"""What the app cannot do without."""
OPTIONAL_SCOPES = ["chat:write.public"]
"""What a workspace may refuse: posting in public channels without an invitation."""
EVENTS = [
    "app_home_opened",
    "app_uninstalled",
    "tokens_revoked",
    "user_change",
    "channel_id_changed",
    "channel_archive",
    "channel_unarchive",
    "channel_deleted",
    "channel_shared",
    "channel_unshared",
    "group_archive",
    "group_unarchive",
    "group_deleted",
    "member_left_channel",
]
SHORTCUTS = [
    {
        "name": "Start breakout",
        "type": "global",
        "callback_id": "start_breakout",
        "description": "Create breakout rooms in your live session",
    },
    {
        "name": "Broadcast to rooms",
        "type": "message",
        "callback_id": "broadcast_message",
        "description": "Send this message to the breakout rooms",
    },
]
ABOUT = (
    "Sideroom gives a course live video rooms with breakouts. From Slack, moderators can start breakout rooms, see who’s where, answer "
    "help calls, message all rooms, and start and stop recordings. The course system (LMS) decides who moderates, never "
    "Slack: connect your course account from the course page first. The app doesn’t read messages."
)
FOLDER = Path(__file__).parents[1] / "manifests"


def manifest(*, socket: bool, host: str = "", names: Names = DEFAULT_NAMES) -> dict[str, Any]:
    """The manifest for HTTP, or for Socket Mode. ``host``: Sideroom's address (scheme and host).

    Socket Mode needs no address; given one, Sign in with Slack works there too (browsers come back to it, Slack does not).
    """
    base = host or ("" if socket else HOST)
    url = {} if socket else {"url": f"{base}/slack/events"}
    commands = [
        {
            "command": command,
            "description": DESCRIPTIONS[f"/{key}"],
            "usage_hint": USAGE[f"/{key}"],
            "should_escape": True,
            **url,
        }
        for key, command in names.commands.items()
    ]
    interactivity: dict[str, Any] = {"is_enabled": True}
    subscriptions: dict[str, Any] = {"bot_events": EVENTS}
    if not socket:
        interactivity["request_url"] = subscriptions["request_url"] = f"{base}/slack/events"
        interactivity["message_menu_options_url"] = f"{base}/slack/events"
    oauth_config: dict[str, Any] = {
        "scopes": {"bot": [*BOT_SCOPES, *OPTIONAL_SCOPES], "bot_optional": OPTIONAL_SCOPES}
    }
    if base:
        back = [base + path for path in ("/slack/openid_redirect", "/slack/oauth_redirect")]
        oauth_config = {"redirect_urls": back, **oauth_config}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Sideroom",
            "description": "Run the live room of your course and its breakouts from Slack.",
            "long_description": ABOUT,
            "background_color": "#1d3557",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": "Sideroom", "always_online": True},
            "shortcuts": SHORTCUTS,
            "slash_commands": commands,
        },
        "oauth_config": oauth_config,
        "settings": {
            "event_subscriptions": subscriptions,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }


def host_of(address: str) -> str:
    """Scheme and host of an address. Raises ValueError for what Slack cannot call."""
    parts = urlsplit(address if "//" in address else f"https://{address}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("give scheme and host only, such as https://rooms.example.edu")
    return f"{parts.scheme}://{parts.netloc}"


def text(*, socket: bool, host: str = "", names: Names = DEFAULT_NAMES) -> str:
    """The file's content."""
    made = manifest(socket=socket, host=host, names=names)
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for name, socket in (("slack.http.json", False), ("slack.socket.json", True)):
        (FOLDER / name).write_text(text(socket=socket), encoding="utf-8")


if __name__ == "__main__":
    main()
