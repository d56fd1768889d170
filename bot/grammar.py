"""What a moderator typed, understood: quotes, smart quotes, any case, durations, mentions. Pure; never raises but BadUsage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from bot.registry import ALIASES, DEFAULT_VERB, Verb, verbs_of

MAX_CHARS: Final = 3000
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'"})
_DURATION = re.compile(r"^(\d{1,4})(s|sec|m|min|minutes?|h|hours?)?$", re.I)
_NUMBER = re.compile(r"^[0-9]{1,4}$")
_MENTION = re.compile(r"^<@([A-Z0-9_]+)(?:\|[^>]*)?>$")
_ROOMS = re.compile(r"^\s*(\d{1,3}(?:\s*,\s*\d{1,3})*)\s*:\s*(.+)$", re.S)


class BadUsage(Exception):
    """Not understood; the text says how to say it."""


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


def parse(command: str, text: str) -> Typed:
    """``command`` as typed (``/breakout``), ``text`` all that followed. Raises BadUsage."""
    text = text.translate(_QUOTES).strip()[:MAX_CHARS]
    group = ALIASES.get(command, "")
    words = text.split()
    if not group and words and words[0].lower() in set(ALIASES.values()):
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
    return _arguments(known[name], words[1:])


def _plain(word: str) -> str:
    return re.sub(r"[<>&`*_~]", "", word)[:40]


def _broadcast(text: str) -> Typed:
    (verb,) = verbs_of("broadcast")
    if not text:
        return Typed(verb, is_bare=True)
    found = _ROOMS.match(text)
    rooms = tuple(dict.fromkeys(int(n) for n in found[1].split(","))) if found else ()
    body = (found[2] if found else text).strip()
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
            return Typed(verb, seconds=duration(words[0]) if words else 300)
        case ("breakout", "move"):
            return _move(verb, words)
        case ("record", "start" | "pause" | "resume" | "stop"):
            return _record(verb, words)
        case ("help-calls", "join" | "dismiss"):
            return Typed(verb, number=_number(words, 1))
        case ("", "join"):
            return Typed(verb, number=_number(words, None))
        case ("", "connect"):
            return Typed(verb, text="".join(words))
        case ("", "link"):
            roles = frozenset(word.lower() for word in words) & {"moderators", "class"}
            return Typed(verb, words=roles, text=" ".join(w for w in words if w.lower() not in roles))
        case _:
            if words and not verb.usage:
                raise BadUsage(f"“{_plain(words[0])}” was not understood. Say only `{verb.full}`.")
            return Typed(verb, text=" ".join(words), is_bare=not words)


def duration(word: str) -> int:
    """``15m``, ``90s``, ``1h`` or plain minutes as seconds. Raises BadUsage."""
    found = _DURATION.match(word)
    if found is None:
        raise BadUsage(f"“{_plain(word)}” is not a time. Say `15m`, `90s` or `1h`.")
    unit = (found[2] or "m")[0].lower()
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[unit]


def _number(words: list[str], default: int | None) -> int | None:
    if not words:
        return default
    word = words[0].removeprefix("#")
    if not _NUMBER.match(word):
        raise BadUsage(f"“{_plain(words[0])}” is not a number.")
    return int(word)


def _start(verb: Verb, words: list[str]) -> Typed:
    number: int | None = None
    seconds: int | None = None
    said: set[str] = set()
    rest = list(words)
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
        elif _NUMBER.match(word) and number is None:
            number = int(word)
        elif _DURATION.match(word) and seconds is None:
            seconds = duration(word)
        else:
            raise BadUsage(
                f"“{_plain(word)}” was not understood. Example: `/breakout start 4 for 15m auto record`."
            )
    if len(said & {"auto", "manual", "self", "keep"}) > 1:
        raise BadUsage("Choose one of `auto`, `manual`, `self`, `keep`.")
    return Typed(verb, number=number, seconds=seconds, words=frozenset(said), is_bare=not words)


def _move(verb: Verb, words: list[str]) -> Typed:
    found = _MENTION.match(words[0]) if words else None
    numbers = [word for word in words[1:] if _NUMBER.match(word)]
    if found is None or not numbers:
        raise BadUsage("Say who and where: `/breakout move @bob 2`.")
    return Typed(verb, user=found[1], number=_number(numbers, None))


def _record(verb: Verb, words: list[str]) -> Typed:
    lowered = [word.lower() for word in words]
    if not lowered:
        return Typed(verb, is_bare=True)
    first, *rest = lowered[1:] if lowered[0] == "room" and len(lowered) > 1 else lowered
    if rest:
        raise BadUsage(f"“{_plain(rest[0])}” was not understood. One room at a time, or `all`.")
    if first in ("all", "main"):
        return Typed(verb, words=frozenset({first}))
    if first == "room":
        raise BadUsage(f"Say which room: `/record {verb.name} room 2`, `main` or `all`.")
    return Typed(verb, number=_number([first], None))
