"""Small pieces of Block Kit with Slack's size limits and escaping built in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

Block = dict[str, Any]


def escape(text: str) -> str:
    """Names and titles as plain words: a room called <!channel> must not ping the class."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, most: int = 75) -> Block:
    return {
        "type": "plain_text",
        "text": text if len(text) <= most else text[: most - 1] + "…",
        "emoji": True,
    }


def mrkdwn(text: str, most: int = 3000) -> Block:
    """``verbatim``: what looks like an address, a channel or @here in somebody's name stays plain words."""
    return {"type": "mrkdwn", "text": cut(text, most), "verbatim": True}


def cut(text: str, most: int) -> str:
    """At most so many characters; never ends inside an entity or a token such as ``<!date^…>``."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    for opening, closing in (("<", ">"), ("&", ";")):
        at = kept.rfind(opening)
        if at >= 0 and closing not in kept[at:]:
            kept = kept[:at]
    return kept + "…"


def section(text: str, **more: Any) -> Block:
    return {"type": "section", "text": mrkdwn(text), **more}


def context(text: str) -> Block:
    return {"type": "context", "elements": [mrkdwn(text, 2000)]}


def button(
    text: str,
    action_id: str,
    value: str = "",
    *,
    style: str = "",
    url: str = "",
    confirm: Block | None = None,
) -> Block:
    made: Block = {"type": "button", "text": plain(text), "action_id": action_id}
    if value:
        made["value"] = value[:2000]
    if style:
        made["style"] = style
    if url:
        made["url"] = url[:3000]
    if confirm is not None:
        made["confirm"] = confirm
    return made


def confirm(title: str, text: str, yes: str) -> Block:
    return {
        "title": plain(title, 100),
        "text": mrkdwn(text, 300),
        "confirm": plain(yes, 30),
        "deny": plain("Cancel", 30),
    }


def actions(block_id: str, *elements: Block) -> Block:
    return {"type": "actions", "block_id": block_id[:255], "elements": list(elements)}


def option(text: str, value: str) -> Block:
    return {"text": plain(text), "value": value[:150]}


def clock_time(at: datetime, form: str = "{time}") -> str:
    """A time that Slack shows in the reader's zone."""
    return f"<!date^{int(at.timestamp())}^{form}|{at:%H:%M} UTC>"


def length(seconds: float) -> str:
    """``4:05`` or ``1:04:05``."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
