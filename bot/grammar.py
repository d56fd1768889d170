"""What a moderator typed, understood: quotes, smart quotes, any case, durations, mentions. Pure; never raises but BadUsage."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from bot.markup import plain_words, unescaped
from bot.names import DEFAULT_NAMES, KEYS, Names
from bot.registry import DEFAULT_VERB, Verb, verbs_of
from foundation.text import clean

MAX_CHARS: Final = 3000
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−〜~", "-") | {"、": ","})
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'"})
_UNIT = r"s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?"
_DURATION = re.compile(rf"([0-9]{{1,4}})({_UNIT})?", re.I)
_LONG = re.compile(r"([0-9]{1,2})(?:h|:)([0-9]{1,2})m?", re.I)
_MIXED = re.compile(r"([0-9]{1,4})m([0-9]{1,2})s", re.I)
_PARTS = re.compile(
    r"\b([0-9]{1,4})\s*(h|hrs?|hours?|m|mins?|minutes?)\.?,?\s+(?:and\s+)?([0-9]{1,2})\s*(m|mins?|minutes?|s|secs?|seconds?)\b",
    re.I,
)
"""``1h 30m``, ``1 hour and 30 minutes``."""
_APART = re.compile(rf"\b([0-9]{{1,4}})\s+({_UNIT})(?=[\s,.;!]|$)", re.I)
"""``15 min`` is one thing."""
_NUMBER = re.compile(r"[0-9]{1,4}")
_MENTION = re.compile(r"<@([A-Z0-9_]+)(?:\|[^>]*)?>")
_HEAD = re.compile(r"(?:rooms?\s*)?[0-9]{1,3}(?:\s*(?:-|,|&|and|to)\s*(?:rooms?\s*)?[0-9]{1,3})*,?")
_RANGE = re.compile(r"([0-9]{1,3})(?:\s*(?:-|to)\s*([0-9]{1,3}))?")
_LONGEST_HEAD: Final = 400
_MOST_ROOMS: Final = 100
_COLONS: Final = ":：﹕︓"
_ENDS: Final = ".,;!。，；！"
"""What people write behind a word without meaning anything by it."""


class BadUsage(Exception):
    """Not understood; the text says how to say it. ``verb``: whose help to show."""

    verb = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command as understood. ``options`` holds only what was said."""

    verb: Verb
    text: str = ""
    rooms: tuple[int, ...] = ()
    number: int | None = None
    seconds: int | None = None
    words: frozenset[str] = frozenset()
    user: str | None = None
    is_bare: bool = field(default=False)
    """Nothing was typed after the command: a form or a status is wanted."""


def parse(command: str, text: str, names: Names = DEFAULT_NAMES) -> Typed:
    """``command`` as typed (``/breakout``), ``text`` all that followed. Raises BadUsage."""
    # Pasted text brings characters that nobody sees; they mean nothing to us (links, names and words keep theirs).
    pasted = clean(text, MAX_CHARS, keep_lines=True)
    text = pasted.translate(_QUOTES)
    group = names.aliases.get(command, "")
    words = text.split()
    if not group and words and _word(words[0]) in KEYS[1:]:
        group = _word(words[0])
        text, pasted = text[len(words[0]) :].strip(), pasted[len(words[0]) :].strip()
        words = words[1:]
    if group == "broadcast":
        return _broadcast(pasted)  # a message keeps its apostrophes and quotation marks
    words = _narrow(text).split()
    known = {verb.name: verb for verb in verbs_of(group)}
    if not words:
        return Typed(known[DEFAULT_VERB[group]], is_bare=True)
    name = _word(words[0])
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.4) or list(known)[:3]
        raise BadUsage(
            f"Unknown command “{_plain(name)}”. Did you mean " + ", ".join(f"`{n}`" for n in near) + "?"
        )
    try:
        return _arguments(known[name], words[1:])
    except BadUsage as usage:
        usage.verb = name
        raise


def _narrow(text: str) -> str:
    """Full-width letters, digits and signs as their narrow ones, and every script's digits as 0 to 9."""
    return "".join(
        chr(ord(each) - 0xFEE0)
        if "！" <= each <= "～"
        else str(unicodedata.decimal(each))
        if each.isdecimal()
        else each
        for each in text
    )


def _word(typed: str) -> str:
    """A word of ours as it was typed: any case and width, with a full stop or comma behind it."""
    return _narrow(typed).lower().rstrip(_ENDS)


def _plain(word: str) -> str:
    return re.sub(r"[<>&`*_~]", "", plain_words(word))[:40]


def _broadcast(text: str) -> Typed:
    (verb,) = verbs_of("broadcast")
    if not text:
        return Typed(verb, is_bare=True)
    rooms, said = _addressed(text)
    body = plain_words(said).strip()
    if len(body) > 1 and body[0].translate(_QUOTES) == body[-1].translate(_QUOTES) == '"':
        body = body[1:-1].strip()
    if not body:
        raise BadUsage("Add the message to send: `/broadcast Two minutes left`.")
    return Typed(verb, text=body, rooms=rooms)


def _addressed(text: str) -> tuple[tuple[int, ...], str]:
    """Room numbers before a colon (``1,3: text``, ``rooms 1-3: text``), and the text. No rooms: a text for all.

    Behind the colon a space or the end is needed: “1:1 feedback” and “10:15 is the end” are texts. A full-width colon carries
    its own space, so only a digit behind it makes a time of it.
    """
    at = min((found for found in (text.find(colon) for colon in _COLONS) if found >= 0), default=-1)
    if not 0 < at <= _LONGEST_HEAD:
        return (), text
    after = text[at + 1 : at + 2]
    is_wide = text[at] != ":"
    if after.isdecimal() or not (is_wide or not after or after.isspace()):
        return (), text
    head = _narrow(plain_words(text[:at])).translate(_DASHES).lower().strip()
    if not _HEAD.fullmatch(head):
        return (), text
    numbers: list[int] = []
    for first, last in _RANGE.findall(head):
        low, high = sorted((int(first), int(last or first)))
        if high - low >= _MOST_ROOMS:
            raise BadUsage(
                f"Rooms {low} to {high} are too many at once. Leave the numbers out to reach all rooms."
            )
        numbers += range(low, high + 1)
    return tuple(dict.fromkeys(numbers)), text[at + 1 :]


def _arguments(verb: Verb, words: list[str]) -> Typed:
    if (verb.group, verb.name) not in (("breakout", "move"), ("", "link"), ("", "help")):
        words = [word for word in (each.rstrip(_ENDS) for each in words) if word]
    match (verb.group, verb.name):
        case ("breakout", "start"):
            return _start(verb, words)
        case ("breakout", "add"):
            return Typed(verb, seconds=_length(words) if words else 300)
        case ("breakout", "move"):
            return _move(verb, words)
        case ("record", "start" | "pause" | "resume" | "stop"):
            return _record(verb, words)
        case ("breakout", "gather" | "shuffle" | "end") if [word.lower() for word in words] == ["now"]:
            return Typed(verb, words=frozenset({"now"}))
        case ("help-calls", "join" | "dismiss"):
            return Typed(verb, number=_number(words, None))
        case ("", "join"):
            return Typed(verb, number=_room(words))
        case ("", "connect"):
            return Typed(verb, text="".join(words))
        case ("", "link"):
            roles = frozenset(word.lower() for word in words) & {"moderators", "class"}
            rest = unescaped(plain_words(" ".join(w for w in words if w.lower() not in roles)))
            return Typed(verb, words=roles, text=rest, is_bare=not words)
        case _:
            if words and not verb.usage:
                raise BadUsage(f"Unknown word “{_plain(words[0])}”. Type only `{verb.full}`.")
            return Typed(verb, text=" ".join(words), is_bare=not words)


def _length(words: list[str]) -> int:
    """All words as one time; ``for`` before it is only polite."""
    said = _join_units(" ".join(words)).strip()
    return duration(said[4:] if said.lower().startswith("for ") else said)


def _join_units(text: str) -> str:
    joined = _PARTS.sub(lambda found: f"{found[1]}{found[2][0]}{found[3]}{found[4][0]}", text)
    return _APART.sub(r"\1\2", joined)


def duration(word: str) -> int:
    """``15m``, ``90s``, ``1h``, ``1h30``, ``1:30`` (hours), ``1m30s`` or plain minutes as seconds. Raises BadUsage."""
    word = word.rstrip(_ENDS)
    mixed = _MIXED.fullmatch(word)
    if mixed is not None:
        return int(mixed[1]) * 60 + int(mixed[2])
    long = _LONG.fullmatch(word)
    if long is not None:
        return int(long[1]) * 3600 + int(long[2]) * 60
    found = _DURATION.fullmatch(word)
    if found is None:
        raise BadUsage(f"“{_plain(word)}” isn’t a time. Use `15m`, `90s` or `1h 30m`.")
    unit = (found[2] or "m")[0].lower()
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[unit]


def _number(words: list[str], default: int | None) -> int | None:
    if not words:
        return default
    word = words[0].removeprefix("#")
    if not _NUMBER.fullmatch(word) or len(words) > 1:
        raise BadUsage(f"“{_plain(' '.join(words))}” isn’t a number.")
    return int(word)


def _room(words: list[str]) -> int | None:
    """``2``, ``room 2`` or ``main``."""
    rest = words[1:] if words and words[0].lower() == "room" and len(words) > 1 else words
    return 0 if [word.lower() for word in rest] == ["main"] else _number(rest, None)


def _start(verb: Verb, words: list[str]) -> Typed:
    number: int | None = None
    seconds: int | None = None
    said: set[str] = set()
    rest = _join_units(" ".join(words)).split()
    while rest:
        word = rest.pop(0).lower().strip(_ENDS)
        if word == "for":
            if not rest:
                raise BadUsage("Add how long: `for 15m`.")
            seconds = duration(rest.pop(0).strip(_ENDS))
        elif word in ("auto", "manual", "self", "keep", "record"):
            said.add(word)
        elif word in ("rooms", "room", "and", "with"):
            continue
        elif _NUMBER.fullmatch(word) and number is None:
            number = int(word)
        elif seconds is None and any(form.fullmatch(word) for form in (_DURATION, _LONG, _MIXED)):
            seconds = duration(word)
        else:
            raise BadUsage(
                f"Unknown word “{_plain(word)}”. Example: `/breakout start 4 for 15m auto record`."
            )
    if len(said & {"auto", "manual", "self", "keep"}) > 1:
        raise BadUsage("Choose one of `auto`, `manual`, `self`, `keep`.")
    return Typed(verb, number=number, seconds=seconds, words=frozenset(said), is_bare=not words)


def _move(verb: Verb, words: list[str]) -> Typed:
    """``@bob 2``, ``Bob Keller to room 2``, ``"Bob Keller" main``: the last word is the room."""
    usage = BadUsage("Add who and where: `/breakout move @bob 2`.")
    if len(words) < 2:
        raise usage
    *who, where = words
    while who and who[-1].lower() in ("to", "room"):
        who.pop()
    number = 0 if _word(where) == "main" else _number([_word(where)], None)
    found = _MENTION.fullmatch(who[0]) if len(who) == 1 else None
    name = unescaped(plain_words(" ".join(who))).strip("\"'@ ") if "<" not in " ".join(who) else ""
    if found is not None:
        return Typed(verb, user=found[1], number=number)
    if not name:
        raise usage
    return Typed(verb, text=name, number=number)


def _record(verb: Verb, words: list[str]) -> Typed:
    lowered = [word.lower() for word in words]
    said = frozenset({"now"} & set(lowered[-1:]))
    lowered = lowered[: len(lowered) - len(said)]
    if not lowered:
        return Typed(verb, words=said, is_bare=True)
    first, *rest = lowered[1:] if lowered[0] == "room" and len(lowered) > 1 else lowered
    if rest:
        raise BadUsage(f"Unknown word “{_plain(rest[0])}”. Name one room, or `all`.")
    if first in ("all", "main"):
        return Typed(verb, words=frozenset({first}) | said)
    if first == "room":
        raise BadUsage(f"Add which room: `/record {verb.name} room 2`, `main` or `all`.")
    return Typed(verb, number=_number([first], None), words=said)
