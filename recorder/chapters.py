"""Manifest → chapters: what happened in the recorded room, as WebVTT. Pure.

Told are people who come and go, shared screens, calls for help, messages to the room, pauses and gaps. What happens at nearly
the same time becomes one chapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recorder.timeline import Line, Timeline

MERGE_US: Final = 3_000_000
MAX_TITLE: Final = 120
NAMED: Final = 2
"""So many people are named in one chapter, the others are counted."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """``start``/``end`` in microseconds of the film."""

    start: int
    end: int
    title: str


@dataclass(frozen=True, slots=True)
class _Mark:
    at: int
    kind: str
    who: str = ""
    text: str = ""


def chapters(lines: Sequence[Line], timeline: Timeline) -> list[Chapter]:
    """The film's chapters in order, without holes between them; the first begins at 0."""
    marks = sorted(_marks(lines, timeline), key=lambda mark: mark.at)
    groups: list[list[_Mark]] = []
    for mark in marks:
        if groups and mark.at - groups[-1][0].at < MERGE_US:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    begun = [(group[0].at, _title(group)) for group in groups]
    if not begun or begun[0][0] > 0:
        begun.insert(0, (0, "Start"))
    ends = [*(at for at, _ in begun[1:]), timeline.duration]
    return [Chapter(at, end, title) for (at, title), end in zip(begun, ends, strict=True) if end > at]


def to_vtt(found: Iterable[Chapter]) -> str:
    """A WebVTT file of kind ``chapters``."""
    cues = [
        f"{n}\n{_stamp(c.start)} --> {_stamp(c.end)}\n{_clean(c.title)}\n" for n, c in enumerate(found, 1)
    ]
    return "WEBVTT\n\n" + "\n".join(cues)


def _stamp(us: int) -> str:
    seconds, ms = divmod(us // 1000, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"


def _clean(title: str) -> str:
    """Nothing that WebVTT would read as markup, or as the end of the cue."""
    text = " ".join(title.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"


# -- what happened -----------------------------------------------------------------------------------------------------


def _marks(lines: Sequence[Line], timeline: Timeline) -> Iterator[_Mark]:
    for mark in _roster(lines):
        at = timeline.rec(mark.at)
        if at is not None:
            yield _Mark(at, mark.kind, mark.who, mark.text)
    for line in lines:
        at = timeline.rec(int(line["at"]))
        if line["k"] == "event" and at is not None:
            name = str(line.get("name", "")) or "A participant"
            yield _Mark(at, str(line.get("what")), name, str(line.get("text", "")))
    for cut in timeline.cuts:
        # What is cut out has no time in the film: the chapter begins where it goes on.
        at = timeline.rec(cut.end)
        if at is not None:
            yield _Mark(at, "pause", text=_length(cut.end - cut.start))
    for gap in timeline.gaps:
        at = timeline.rec(gap.start)
        if at is not None:
            yield _Mark(at, "gap", text=_length(gap.end - gap.start))


def _roster(lines: Sequence[Line]) -> Iterator[_Mark]:
    """Comings, goings and shares, in wall time. Who was there at the start did not come; the end is not a going."""
    here: dict[str, Line] = {}
    left_out: set[str] = set()
    start = next((int(line["at"]) for line in lines if line["k"] == "start"), 0)
    for line in lines:
        kind, at = line["k"], int(line["at"])
        if kind not in ("person", "left"):
            continue
        who = str(line["person_id"])
        before = here.pop(who, None)
        name = str((line if kind == "person" else before or line).get("name", ""))
        if line.get("declined"):
            # They are still in the room, only not in the film: nothing is said of it, nor when they are in it again.
            left_out.add(who)
            continue
        if kind == "left":
            if before is not None:
                yield _Mark(at, "left", str(before.get("name", "")))
            left_out.discard(who)
            continue
        here[who] = line
        is_new = before is None and who not in left_out
        left_out.discard(who)
        if is_new and at - start >= MERGE_US:
            yield _Mark(at, "came", name)
        if line.get("screen") and not (before or {}).get("screen"):
            yield _Mark(at, "share", name)
        elif before is not None and before.get("screen") and not line.get("screen"):
            yield _Mark(at, "unshare", name)


def _length(us: int) -> str:
    seconds = max(1, round(us / 1e6))
    return f"{seconds // 60}:{seconds % 60:02d} min" if seconds >= 60 else f"{seconds} s"


# -- what it is called -------------------------------------------------------------------------------------------------

_ORDER: Final = ("gap", "pause", "broadcast", "help", "call", "share", "unshare", "came", "left")


def _title(group: Sequence[_Mark]) -> str:
    parts = []
    for kind in _ORDER:
        marks = [mark for mark in group if mark.kind == kind]
        if marks:
            parts.append(_say(kind, marks))
    return "; ".join(parts)[:MAX_TITLE]


def _say(kind: str, marks: Sequence[_Mark]) -> str:
    who, text = _names(marks), marks[-1].text
    said: dict[str, str] = {
        "gap": f"Nothing was captured for {text}",
        "pause": f"Resumed after {text}",
        "broadcast": f"Message: {text}",
        "help": f"{who} came to help",
        "call": f"{who} needs help" if len(marks) == 1 else f"{who} need help",
        "share": f"{who} shared their screen" if len(marks) == 1 else f"{who} shared their screens",
        "unshare": "Screen sharing ended",
        "came": f"{who} joined",
        "left": f"{who} left",
    }
    return said[kind]


def _names(marks: Sequence[_Mark]) -> str:
    names = list(dict.fromkeys(mark.who or "A participant" for mark in marks))
    if len(names) > NAMED + 1:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} others"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def as_json(found: Iterable[Chapter]) -> list[dict[str, Any]]:
    """For pages: start in seconds and title."""
    return [{"at_s": round(c.start / 1e6, 3), "title": c.title} for c in found]
