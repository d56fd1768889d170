"""Slack's own markup in what people type, as plain words: entities, mentions, links, dates. Pure.

Slack sends ``Q&A: <https://x.org>`` for “Q&A: https://x.org”; a room shows what was meant
(docs.slack.dev/messaging/formatting-message-text).
"""

from __future__ import annotations

import re
from typing import Final

from foundation.text import clean

_LOOKALIKES: Final = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})
_ORIGINALS: Final = str.maketrans({"∗": "*", "∼": "~", "ˋ": "`", "ˍ": "_", "꞉": ":"})
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_EMOJI = re.compile(r":([\w+'-]+):")
_TOKEN = re.compile(r"<([^<>]*)>")
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def escaped(text: str) -> str:
    """What others wrote, as plain words inside our mrkdwn: no mention, link, emoji or formatting comes of it.

    Slack knows no sign that takes the meaning from ``*``, ``_``, ``~``, a backtick or ``:name:``, so letters that look the same
    stand for them; an underscore within a word means nothing and stays. ``unescaped`` turns them back when they are pasted.
    """
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _UNDERSCORE.sub("ˍ", text.translate(_LOOKALIKES))
    return _EMOJI.sub(r"꞉\1꞉", text)


def unescaped(text: str) -> str:
    """A name that was copied from a message of ours, as it is called."""
    return text.translate(_ORIGINALS)


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
