"""What Slack accepts as an app manifest (version 2), as a JSON schema: the parts that our manifests use, and no others.

From docs.slack.dev/reference/app-manifest and Slack's published schema: lengths, counts, required keys, nothing unknown.
"""

from __future__ import annotations

from typing import Any


def _text(most: int, least: int = 1, pattern: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string", "minLength": least, "maxLength": most}
    return {**found, "pattern": pattern} if pattern else found


def _object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required or [],
        "additionalProperties": False,
    }


def _list(items: dict[str, Any], most: int, least: int = 0, *, unique: bool = True) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most, "uniqueItems": unique}


BOOL = {"type": "boolean"}
URL = _text(3000, pattern=r"^https?://")
NAMES = _list(_text(50), 255)

SCHEMA: dict[str, Any] = _object(
    ["display_information"],
    _metadata=_object(major_version={"const": 2}, minor_version={"type": "integer"}),
    display_information=_object(
        ["name"],
        name=_text(35),
        description=_text(140),
        long_description=_text(4000, 175),
        background_color=_text(7, 4, r"^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$"),
    ),
    features=_object(
        app_home=_object(
            home_tab_enabled=BOOL, messages_tab_enabled=BOOL, messages_tab_read_only_enabled=BOOL
        ),
        bot_user=_object(["display_name"], display_name=_text(80), always_online=BOOL),
        shortcuts=_list(
            _object(
                ["name", "type", "callback_id", "description"],
                name=_text(24),
                type={"enum": ["message", "global"]},
                callback_id=_text(255),
                description=_text(150),
            ),
            10,
            1,
        ),
        slash_commands=_list(
            _object(
                ["command", "description"],
                command=_text(32, 2, "^/"),
                url=URL,
                description=_text(2000),
                usage_hint=_text(1000),
                should_escape=BOOL,
            ),
            50,
            1,
        ),
        unfurl_domains=_list(_text(255, pattern=r"^(?![.\-])([-a-z0-9.])+([a-z0-9])$"), 5, 1),
    ),
    oauth_config=_object(
        redirect_urls=_list(_text(2500), 1000),
        scopes=_object(bot=NAMES, bot_optional=NAMES, user=NAMES, user_optional=NAMES),
    ),
    settings=_object(
        event_subscriptions=_object(request_url=URL, bot_events=_list(_text(50), 100)),
        interactivity=_object(["is_enabled"], is_enabled=BOOL, request_url=URL, message_menu_options_url=URL),
        org_deploy_enabled=BOOL,
        socket_mode_enabled=BOOL,
        token_rotation_enabled=BOOL,
    ),
)
