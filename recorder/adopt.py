"""What a journal that is taken up again tells about itself: where it stood when its recorder ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recorder.journal import Line, stream_manifest


@dataclass(slots=True)
class Past:
    """Times are Unix microseconds; ``start_us`` 0: nothing has begun. ``seq``: the newest event of the session that is noted."""

    segments: int = 0
    seq: int = 0
    layout: str = ""
    pauses: int = 0
    paused: bool = False
    stopped: bool = False
    start_us: int = 0
    last_us: int = 0
    cut_us: int = 0
    paused_at: int = 0
    resumed_us: int = 0


def past_of(folder: Path) -> Past:
    """The past of a journal; an empty one when there is none yet."""
    past = Past()
    try:
        for line in stream_manifest(folder, without=("sr", "mark", "asked")):
            _learn(past, line)
    except FileNotFoundError:
        return Past()
    return past


def _learn(past: Past, line: Line) -> None:
    kind, at = str(line["k"]), int(line["at"])
    past.last_us = max(past.last_us, at)
    if kind == "segment" and not past.start_us:
        past.start_us = at  # the line that told it is lost
    past.seq = max(past.seq, int(line.get("seq", 0)))
    if kind == "start":
        past.start_us = at
    elif kind == "segment":
        past.segments = max(past.segments, int(line["n"]))
    elif kind == "layout":
        past.layout = str(line["layout"])
    elif kind == "pause" and not past.paused:
        past.pauses, past.paused, past.paused_at = past.pauses + 1, True, at
    elif kind == "resume" and past.paused:
        past.paused, past.cut_us, past.resumed_us = False, past.cut_us + at - past.paused_at, at
    elif kind == "stop":
        past.stopped = True
        if past.paused:
            past.paused, past.cut_us = False, past.cut_us + at - past.paused_at
