"""The Slack app's manifest, made from the command registry; written to ``manifests/`` by ``python -m bot.manifest``. Pure but for main."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.registry import DESCRIPTIONS, USAGE

HOST = "https://YOUR-HOST"
SCOPES = ["commands", "chat:write", "channels:read", "groups:read", "users:read"]
EVENTS = ["channel_archive", "group_archive", "channel_deleted", "channel_shared"]
FOLDER = Path(__file__).parents[1] / "manifests"


def manifest(*, socket: bool, host: str = HOST) -> dict[str, Any]:
    """The manifest for HTTP, or for Socket Mode (without any address)."""
    url = {} if socket else {"url": f"{host}/slack/events"}
    commands = [
        {"command": name, "description": text, "usage_hint": USAGE[name], "should_escape": True, **url}
        for name, text in DESCRIPTIONS.items()
    ]
    interactivity: dict[str, Any] = {"is_enabled": True}
    subscriptions: dict[str, Any] = {"bot_events": EVENTS}
    if not socket:
        interactivity["request_url"] = subscriptions["request_url"] = f"{host}/slack/events"
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Classroom Breakouts",
            "description": "Run the live room of your course and its breakouts from Slack.",
            "background_color": "#1d3557",
        },
        "features": {
            "bot_user": {"display_name": "Classroom", "always_online": True},
            "slash_commands": commands,
        },
        "oauth_config": {"scopes": {"bot": SCOPES}},
        "settings": {
            "event_subscriptions": subscriptions,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }


def text(*, socket: bool) -> str:
    """The file's content."""
    return json.dumps(manifest(socket=socket), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for name, socket in (("slack.http.json", False), ("slack.socket.json", True)):
        (FOLDER / name).write_text(text(socket=socket), encoding="utf-8")


if __name__ == "__main__":
    main()
