"""What a moderator typed, understood: quotes, smart quotes, any case, durations, mentions. Pure; never raises but BadUsage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from bot.markup import plain_words
from bot.names import DEFAULT_NAMES, KEYS, Names
from bot.registry import DEFAULT_VERB, Verb, verbs_of

MAX_CHARS: Final = 3000
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'"})
_UNIT = r"s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?"
_DURATION = re.compile(rf"([0-9]{{1,4}})({_UNIT})?", re.I)
_LONG = re.compile(r"([0-9]{1,2})h([0-9]{1,2})m?", re.I)
_APART = re.compile(rf"\b([0-9]{{1,4}})\s+({_UNIT})(?=[\s,]|$)", re.I)
"""``15 min`` is one thing."""
_NUMBER = re.compile(r"[0-9]{1,4}")
_MENTION = re.compile(r"<@([A-Z0-9_]+)(?:\|[^>]*)?>")
_ROOMS = re.compile(r"\s*([0-9]{1,3}(?:\s*,\s*[0-9]{1,3})*)\s*:\s*(.+)", re.S)
_CLOCK = re.compile(r"\s*[0-9]{1,2}:[0-9]{2}(?![0-9])")
"""“10:15 is the end” is a text, not one for room 10."""


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
    text = text.translate(_QUOTES).strip()[:MAX_CHARS]
    group = names.aliases.get(command, "")
    words = text.split()
    if not group and words and words[0].lower() in KEYS[1:]:
        group = words[0].lower()
        text = text[len(words[0]) :].strip()
        words = words[1:]
    if group == "broadcast":
        return _broadcast(text)
    known = {verb.name: verb for verb in verbs_of(group)}
    if not words:
        return Typed(known[DEFAULT_VERB[group]], is_bare=True)
    name = words[0].lower()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.4) or list(known)[:3]
        raise BadUsage(
            f"There is no “{_plain(name)}”. Did you mean " + ", ".join(f"`{n}`" for n in near) + "?"
        )
    try:
        return _arguments(known[name], words[1:])
    except BadUsage as usage:
        usage.verb = name
        raise


def _plain(word: str) -> str:
    return re.sub(r"[<>&`*_~]", "", plain_words(word))[:40]


def _broadcast(text: str) -> Typed:
    (verb,) = verbs_of("broadcast")
    if not text:
        return Typed(verb, is_bare=True)
    found = None if _CLOCK.match(text) else _ROOMS.fullmatch(text)
    rooms = tuple(dict.fromkeys(int(n) for n in found[1].split(","))) if found else ()
    body = plain_words(found[2] if found else text).strip()
    if len(body) > 1 and body[0] == body[-1] == '"':
        body = body[1:-1].strip()
    if not body:
        raise BadUsage("Say what to send: `/broadcast Two minutes left`.")
    return Typed(verb, text=body, rooms=rooms)


def _arguments(verb: Verb, words: list[str]) -> Typed:
    match (verb.group, verb.name):
        case ("breakout", "start"):
            return _start(verb, words)
        case ("breakout", "add"):
            return Typed(verb, seconds=_length(words) if words else 300)
        case ("breakout", "move"):
            return _move(verb, words)
        case ("record", "start" | "pause" | "resume" | "stop"):
            return _record(verb, words)
        case ("breakout", "gather" | "shuffle" | "end") if words == ["now"]:
            return Typed(verb, words=frozenset({"now"}))
        case ("help-calls", "join" | "dismiss"):
            return Typed(verb, number=_number(words, None))
        case ("", "join"):
            return Typed(verb, number=_room(words))
        case ("", "connect"):
            return Typed(verb, text="".join(words))
        case ("", "link"):
            roles = frozenset(word.lower() for word in words) & {"moderators", "class"}
            rest = plain_words(" ".join(w for w in words if w.lower() not in roles))
            return Typed(verb, words=roles, text=rest, is_bare=not words)
        case _:
            if words and not verb.usage:
                raise BadUsage(f"“{_plain(words[0])}” was not understood. Say only `{verb.full}`.")
            return Typed(verb, text=" ".join(words), is_bare=not words)


def _length(words: list[str]) -> int:
    """All words as one time; ``for`` before it is only polite."""
    said = _join_units(" ".join(words)).strip()
    return duration(said[4:] if said.lower().startswith("for ") else said)


def _join_units(text: str) -> str:
    return _APART.sub(r"\1\2", text)


def duration(word: str) -> int:
    """``15m``, ``90s``, ``1h``, ``1h30`` or plain minutes as seconds. Raises BadUsage."""
    long = _LONG.fullmatch(word)
    if long is not None:
        return int(long[1]) * 3600 + int(long[2]) * 60
    found = _DURATION.fullmatch(word)
    if found is None:
        raise BadUsage(f"“{_plain(word)}” is not a time. Say `15m`, `90s` or `1h`.")
    unit = (found[2] or "m")[0].lower()
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[unit]


def _number(words: list[str], default: int | None) -> int | None:
    if not words:
        return default
    word = words[0].removeprefix("#")
    if not _NUMBER.fullmatch(word) or len(words) > 1:
        raise BadUsage(f"“{_plain(' '.join(words))}” is not a number.")
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
        word = rest.pop(0).lower().strip(",")
        if word == "for":
            if not rest:
                raise BadUsage("Say for how long: `for 15m`.")
            seconds = duration(rest.pop(0).strip(","))
        elif word in ("auto", "manual", "self", "keep", "record"):
            said.add(word)
        elif word in ("rooms", "room", "and", "with"):
            continue
        elif _NUMBER.fullmatch(word) and number is None:
            number = int(word)
        elif _DURATION.fullmatch(word) and seconds is None:
            seconds = duration(word)
        else:
            raise BadUsage(
                f"“{_plain(word)}” was not understood. Example: `/breakout start 4 for 15m auto record`."
            )
    if len(said & {"auto", "manual", "self", "keep"}) > 1:
        raise BadUsage("Choose one of `auto`, `manual`, `self`, `keep`.")
    return Typed(verb, number=number, seconds=seconds, words=frozenset(said), is_bare=not words)


def _move(verb: Verb, words: list[str]) -> Typed:
    """``@bob 2``, ``Bob Keller to room 2``, ``"Bob Keller" main``: the last word is the room."""
    usage = BadUsage("Say who and where: `/breakout move @bob 2`.")
    if len(words) < 2:
        raise usage
    *who, where = words
    while who and who[-1].lower() in ("to", "room"):
        who.pop()
    number = 0 if where.lower() == "main" else _number([where], None)
    found = _MENTION.fullmatch(who[0]) if len(who) == 1 else None
    name = plain_words(" ".join(who)).strip("\"'@ ") if "<" not in " ".join(who) else ""
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
        raise BadUsage(f"“{_plain(rest[0])}” was not understood. One room at a time, or `all`.")
    if first in ("all", "main"):
        return Typed(verb, words=frozenset({first}) | said)
    if first == "room":
        raise BadUsage(f"Say which room: `/record {verb.name} room 2`, `main` or `all`.")
    return Typed(verb, number=_number([first], None), words=said)
