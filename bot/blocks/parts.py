"""Small pieces of Block Kit with Slack's size limits and escaping built in."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from bot.markup import escaped
from foundation.text import graphemes

Block = dict[str, Any]
MOST_VALUE: Final = 2000
"""Of a button's value."""


class TooLong(ValueError):
    """A value that Slack would not take, and that must not be cut (it is read again when the button comes back)."""


def escape(text: str) -> str:
    """Names and titles as plain words: a room called <!channel> must not ping the class, one called *x* is not bold."""
    return escaped(text)


def size(text: str) -> int:
    """A text's length as Slack counts it: in UTF-16 units, entities as written."""
    return len(text) + sum(each > "\uffff" for each in text)


def plain(text: str, most: int = 75) -> Block:
    """``emoji`` off: a room called :tada: is called so."""
    return {"type": "plain_text", "text": cut(text, most, markup=False), "emoji": False}


def mrkdwn(text: str, most: int = 3000) -> Block:
    """``verbatim``: what looks like an address, a channel or @here in somebody's name stays plain words."""
    return {"type": "mrkdwn", "text": cut(text, most), "verbatim": True}


def cut(text: str, most: int, *, markup: bool = True) -> str:
    """At most so many UTF-16 units; never ends inside a character, an entity or a token such as ``<!date^…>``."""
    if size(text) <= most:
        return text
    kept, length_so_far = [], 0
    for each in graphemes(text[:most]):
        length_so_far += size(each)
        if length_so_far > most - 1:
            break
        kept.append(each)
    found = "".join(kept)
    for opening, closing in (("<", ">"), ("&", ";")) if markup else ():
        at = found.rfind(opening)
        if at >= 0 and closing not in found[at:]:
            found = found[:at]
    return found + "…"


def value_of(text: str, most: int) -> str:
    """A value that Slack gives back to us: whole, or not at all. Raises TooLong."""
    if size(text) > most:
        raise TooLong(f"a value of {size(text)} where Slack takes {most}")
    return text


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
        made["value"] = value_of(value, MOST_VALUE)
    if style:
        made["style"] = style
    if url:
        made["url"] = value_of(url, 3000)
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
    return {"type": "actions", "block_id": value_of(block_id, 255), "elements": list(elements)}


def option(text: str, value: str) -> Block:
    return {"text": plain(text), "value": value_of(value, 150)}


def clock_time(at: datetime, form: str = "{time}") -> str:
    """A time that Slack shows in the reader's zone."""
    return f"<!date^{int(at.timestamp())}^{form}|{at:%H:%M} UTC>"


def length(seconds: float) -> str:
    """``4:05`` or ``1:04:05``."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
