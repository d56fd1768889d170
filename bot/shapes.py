"""Whether a signed request has the shapes that Slack documents, as far as we and Bolt read it. Pure.

Odd ones are answered 400 before anything is done: an error of ours would look to Slack as if it should try again
(docs.slack.dev/reference/interaction-payloads, docs.slack.dev/apis/events-api).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OBJECT, _TEXT = "an object", "a text"
_NAMED: Final = f"{_OBJECT} or {_TEXT}"
_BODY: Final = {
    **dict.fromkeys(
        (
            "type",
            "command",
            "text",
            "team_id",
            "enterprise_id",
            "channel_id",
            "user_id",
            "trigger_id",
            "response_url",
        ),
        _TEXT,
    ),
    **dict.fromkeys(
        (
            "callback_id",
            "api_app_id",
            "event_id",
            "action_id",
            "block_id",
            "value",
            "challenge",
            "context_team_id",
        ),
        _TEXT,
    ),
    **dict.fromkeys(("team", "user", "channel", "enterprise"), _NAMED),
    **dict.fromkeys(("container", "view", "event", "message", "previous_message", "item"), _OBJECT),
    **dict.fromkeys(("assistant_thread", "function_data", "submission", "workflow_step"), _OBJECT),
    **dict.fromkeys(("actions", "authorizations", "response_urls"), "a list of objects"),
}
_INNER: Final[Mapping[str, Mapping[str, str]]] = {
    "team": {"id": _TEXT, "enterprise_id": _TEXT},
    "user": {"id": _TEXT, "team_id": _TEXT},
    "channel": {"id": _TEXT},
    "enterprise": {"id": _TEXT},
    "container": dict.fromkeys(("message_ts", "view_id", "channel_id"), _TEXT),
    "message": {"text": _TEXT},
    "view": {
        **dict.fromkeys(
            ("id", "hash", "callback_id", "private_metadata", "app_installed_team_id", "team_id"), _TEXT
        ),
        "state": _OBJECT,
    },
    "event": {
        **dict.fromkeys(("type", "tab", "old_channel_id", "new_channel_id", "user_team", "thread_ts"), _TEXT),
        **dict.fromkeys(("user", "channel", "team", "enterprise"), _NAMED),
        **dict.fromkeys(("tokens", "item", "assistant_thread", "message", "previous_message"), _OBJECT),
    },
}
_ITEMS: Final[Mapping[str, Mapping[str, str]]] = {
    "actions": {
        **dict.fromkeys(("action_id", "block_id", "value", "action_ts"), _TEXT),
        "selected_option": _OBJECT,
    },
    "authorizations": {
        **dict.fromkeys(("team_id", "enterprise_id", "user_id"), _TEXT),
        **dict.fromkeys(("team", "user", "enterprise"), _NAMED),
    },
}


def problem(body: Any) -> str:
    """What is odd about a parsed request body; empty when we can read it. Null and absent are the same."""
    if not isinstance(body, Mapping):
        return f"the body is not {_OBJECT}"
    found = _wrong(body, _BODY, "")
    for name, fields in _INNER.items():
        if not found and isinstance(body.get(name), Mapping):
            found = _wrong(body[name], fields, f"{name}.")
    for name, fields in _ITEMS.items():
        for item in body.get(name) or () if not found else ():
            found = found or _wrong(item, fields, f"{name}.")
    return found or _missing(body) or _values(body)


def _missing(body: Mapping[str, Any]) -> str:
    """What a body of its kind always has, and Bolt reads without asking."""
    kind, actions = body.get("type"), body.get("actions")
    needed = {
        "event_callback": ("event",),
        "view_submission": ("view",),
        "view_closed": ("view",),
        "block_actions": ("actions",),
        "interactive_message": ("actions",),
        "workflow_step_edit": ("workflow_step",),
    }.get(str(kind), ())
    for name in (*needed, *(name for name in ("actions", "response_urls") if name in body)):
        if body.get(name) is None or (name == "actions" and not actions):
            return f"{name} is missing"
    if kind == "block_actions" and not all(action.get("action_id") for action in actions or ()):
        return "actions.action_id is missing"
    view = body.get("view")
    return (
        "view.type is missing" if isinstance(view, Mapping) and not isinstance(view.get("type"), str) else ""
    )


def _wrong(given: Mapping[str, Any], fields: Mapping[str, str], where: str) -> str:
    for name, wanted in fields.items():
        value = given.get(name)
        if value is not None and not _is(value, wanted):
            return f"{where}{name} is not {wanted}"
    return ""


def _is(value: Any, wanted: str) -> bool:
    if wanted == _TEXT:
        return isinstance(value, str)
    if wanted == _OBJECT:
        return isinstance(value, Mapping)
    if wanted == _NAMED:
        return isinstance(value, Mapping | str)
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _values(body: Mapping[str, Any]) -> str:
    """A form's fields: block id → action id → what was chosen."""
    view = body.get("view")
    state = view.get("state") if isinstance(view, Mapping) else None
    values = state.get("values") if isinstance(state, Mapping) else None
    if values is None:
        return ""
    if not isinstance(values, Mapping):
        return f"view.state.values is not {_OBJECT}"
    for block in values.values():
        for field in block.values() if isinstance(block, Mapping) else ():
            if isinstance(field, Mapping) and not _is_field(field):
                return "a field of view.state.values is odd"
    return ""


def _is_field(field: Mapping[str, Any]) -> bool:
    chosen, option, value = field.get("selected_options"), field.get("selected_option"), field.get("value")
    return (
        (
            chosen is None
            or (_is(chosen, "a list of objects") and all(isinstance(o.get("value"), str) for o in chosen))
        )
        and (option is None or isinstance(option, Mapping))
        and not isinstance(value, Mapping | list)
    )
