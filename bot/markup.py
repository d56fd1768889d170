"""Slack's own markup in what people type, as plain words: entities, mentions, links, dates. Pure.

Slack sends ``Q&A: <https://x.org>`` for “Q&A: https://x.org”; a room shows what was meant
(docs.slack.dev/messaging/formatting-message-text).
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN = re.compile(r"<([^<>]*)>")
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def plain_words(text: str) -> str:
    """A text of Slack as its writer saw it: links as addresses (with their words, when those differ), names with @ and #."""
    text = _TOKEN.sub(lambda found: _token(found[1]), text)
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    return text


def _token(inside: str) -> str:
    target, _, words = inside.partition("|")
    if target[:1] in "@#":
        return target[:1] + (words or target[1:]).lstrip("@#")
    if target[:1] == "!":
        return words or "@" + target[1:].partition("^")[0]
    address = target.removeprefix("mailto:")
    return (
        address if words in ("", target, address) or target.endswith("//" + words) else f"{words} ({address})"
    )
