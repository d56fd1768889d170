"""What a journal tells about itself: gaps, losses, frozen and missing sources, clocks, and how well sound and picture meet. Pure.

Together with ``recorder.quality`` (which opens the finished file) it is the quality report that stands with every recording.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from recorder.timeline import Line, Segment, Timeline, ntp_to_us

WINDOW_US: Final = 30_000_000
NEAR_US: Final = 5_000_000
LEAST_REPORTS: Final = 3
GOOD_OFFSET_MS: Final = 90.0
BAD_PPM: Final = 500.0
LONG_FREEZE_S: Final = 5.0
LATE_S: Final = 3.0
MANY_LOST: Final = 0.05
MOVING_BYTES: Final = 300
"""A picture's size on average, from which on something moves in it."""
MAX_SPANS: Final = 50
UNREAD: Final = ("mark", "beat", "asked", "layout", "event", "size")
"""Kinds of manifest lines that say nothing here."""
_WHILE: Final = {
    "recorder": " while the recorder was restarted",
    "media": " while the media server was restarted",
}
_WHAT: Final = {
    "mic": "microphone",
    "camera": "camera",
    "screen": "shared screen",
    "screen_audio": "shared sound",
}


@dataclass(frozen=True, slots=True)
class JournalReport:
    """``facts`` is JSON for the library entry; ``warnings`` are sentences for moderators."""

    facts: dict[str, Any]
    warnings: list[str]
    pictures: float
    """Share of the recording in which a camera was captured whose picture moved."""
    sound: bool


@dataclass(slots=True)
class _Seen:
    """What the manifest says besides the time line."""

    reports: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    ends: dict[int, Line] = field(default_factory=dict)
    spans: dict[str, list[tuple[int, int, Line]]] = field(default_factory=dict)
    open: dict[tuple[str, str, str], Line] = field(default_factory=dict)
    stuck: int = 0
    refused: list[Line] = field(default_factory=list)
    dropped: int = 0
    malformed: int = 0
    names: dict[str, str] = field(default_factory=dict)
    stop_reason: str = ""
    gap_reasons: list[tuple[int, str]] = field(default_factory=list)
    restarts: int = 0
    late_us: int = 0
    apart_us: int = 0


def report(lines: Iterable[Line], timeline: Timeline) -> JournalReport:
    """The report of a whole manifest."""
    seen = _read(lines, timeline)
    offsets = _av_offsets(seen, timeline)
    freezes = _freezes(seen, timeline)
    segments = list(timeline.segments.values())
    frames = sum(int(end.get("frames", 0)) for end in seen.ends.values())
    lost = sum(segment.lost_packets for segment in segments)
    ppm = max((abs(segment.ppm) for segment in segments), default=0.0)
    facts: dict[str, Any] = {
        "gaps": _spans(timeline, [(g.start, g.end, {"reason": _reason(seen, g.end)}) for g in timeline.gaps]),
        "restarts": seen.restarts,
        "late_start_s": _s(seen.late_us),
        "paused_s": _s(sum(cut.end - cut.start for cut in timeline.cuts)),
        "missing": _spans(timeline, seen.spans.get("missing", [])),
        "silent_microphones": _spans(timeline, seen.spans.get("silent", [])),
        "freezes": _spans(timeline, freezes),
        "frozen_s": _s(sum(end - start for start, end, _ in freezes)),
        "lost_packets": lost,
        "frames": frames,
        "dropped": seen.dropped,
        "malformed": seen.malformed,
        "restarted_tracks": seen.stuck,
        "clock_halts": _spans(
            timeline, [(h.at, h.at + h.length, {"person_id": h.person_id}) for h in timeline.halts]
        ),
        "av_offset_ms": _offset_facts(offsets),
        "clock_ppm": round(ppm, 1),
        "tracks": len(segments),
        "tracks_by_reports": sum(segment.by == "reports" for segment in segments),
        "stop_reason": seen.stop_reason,
    }
    warnings = _warnings(facts, seen, timeline, frames)
    moving = [s for s in segments if s.source == "camera" and _moves(seen.ends.get(s.number))]
    pictures = _share(timeline, moving)
    return JournalReport(facts, warnings, pictures, any(segment.is_audio for segment in segments))


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(lines: Iterable[Line], timeline: Timeline) -> _Seen:
    seen = _Seen()
    for line in lines:
        # A line that lacks something says nothing; it must not cost the film.
        with contextlib.suppress(KeyError, ValueError, TypeError):
            _take(seen, line, timeline)
    for (kind, _, _), line in seen.open.items():
        with contextlib.suppress(KeyError, ValueError, TypeError):
            seen.spans.setdefault(kind, []).append((int(line["since"]), timeline.stop, line))
    return seen


def _take(seen: _Seen, line: Line, timeline: Timeline) -> None:
    kind, at = str(line["k"]), int(line["at"])
    if kind == "sr" and int(line["n"]) in timeline.segments:
        point = (int(line["rtp"]), ntp_to_us(int(line["ntp"])), at)
        seen.reports.setdefault(int(line["n"]), []).append(point)
    elif kind == "gap":
        seen.gap_reasons.append((at, str(line.get("reason", ""))))
    elif kind in ("adopt", "resumed"):
        seen.restarts += 1
    elif kind == "start":
        seen.late_us = int(line.get("late_us", 0))
    elif kind == "apart":
        seen.apart_us = max(seen.apart_us, abs(int(line["by"])))
    elif kind == "end":
        seen.ends[int(line["n"])] = line
        seen.dropped += int(line.get("dropped", 0))
        seen.malformed += int(line.get("bad", 0))
    elif kind == "dropped":
        seen.dropped += int(line.get("packets", 0))
    elif kind in ("broken", "stalled"):
        seen.spans.setdefault(kind, []).append((int(line["since"]), at, line))
    elif kind in ("missing", "silent"):
        seen.open[kind, str(line["person_id"]), str(line.get("source", "mic"))] = line
    elif kind in ("found", "heard"):
        key = (
            "missing" if kind == "found" else "silent",
            str(line["person_id"]),
            str(line.get("source", "mic")),
        )
        begun = seen.open.pop(key, None)
        if begun is not None:
            seen.spans.setdefault(key[0], []).append((int(begun["since"]), at, begun))
    elif kind == "stuck":
        seen.stuck += 1
    elif kind == "refused":
        seen.refused.append(line)
    elif kind == "person" and line.get("name"):
        seen.names[str(line["person_id"])] = str(line["name"])
    elif kind == "stop":
        seen.stop_reason = str(line.get("reason", ""))


def _s(us: float) -> float:
    return round(us / 1e6, 3)


def _spans(timeline: Timeline, spans: Sequence[tuple[int, int, Line]]) -> list[dict[str, Any]]:
    """Spans as pages show them, the longest first; ``at_s`` is in the film."""
    longest = sorted(spans, key=lambda span: span[0] - span[1])[:MAX_SPANS]
    shown = []
    for start, end, line in longest:
        rec = timeline.rec(max(start, timeline.start))
        item: dict[str, Any] = {"at_s": _s(rec) if rec is not None else None, "length_s": _s(end - start)}
        for key in ("person_id", "source", "reason"):
            if key in line:
                item[key] = line[key]
        shown.append(item)
    return shown


def _reason(seen: _Seen, end: int) -> str:
    """Why nothing was captured up to then."""
    return next((reason for at, reason in seen.gap_reasons if at == end), "")


def _freezes(seen: _Seen, timeline: Timeline) -> list[tuple[int, int, Line]]:
    """Spans in which a picture stood still, with whose it was."""
    found: list[tuple[int, int, Line]] = []
    for start, end, line in [*seen.spans.get("broken", []), *seen.spans.get("stalled", [])]:
        segment = timeline.segments.get(int(line.get("n", 0)))
        if segment is not None and not segment.is_audio:
            found.append((start, end, {"person_id": segment.person_id, "source": segment.source}))
    return found


def _moves(end: Line | None) -> bool:
    """Whether a video segment's pictures changed: encoders spend next to nothing on those that do not."""
    frames = int(end.get("frames", 0)) if end is not None else 0
    return frames > 0 and end is not None and int(end.get("bytes", 0)) > MOVING_BYTES * frames


def _share(timeline: Timeline, segments: Sequence[Segment]) -> float:
    """Share of the recording's time in which one of the segments ran, at 200 points of it."""
    if not segments or timeline.duration <= 0:
        return 0.0
    points = [timeline.wall(timeline.duration * n // 200) for n in range(200)]
    return sum(any(s.start <= at < s.end for s in segments) for at in points) / len(points)


# -- sound against picture ---------------------------------------------------------------------------------------------


def _av_offsets(seen: _Seen, timeline: Timeline) -> list[float]:
    """Milliseconds by which sound would be late against picture, in each half minute of a sender whose tracks both report.

    A sender's reports tie both tracks to its one clock. Where the time line puts them tells how far apart they are placed. Each
    report of the sound is compared with the nearest one of the picture, for between distant ones the clock may have stood still.
    Single reports are as inexact as their sender is busy; of several comparisons the middle one is taken.
    """
    senders: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for number, points in seen.reports.items():
        segment = timeline.segments[number]
        tracks = senders.setdefault(segment.peer_id or segment.person_id, {})
        tracks.setdefault(segment.source, []).extend(
            (arrival, segment.place(rtp, arrival) - ntp) for rtp, ntp, arrival in points
        )
    offsets = []
    for tracks in senders.values():
        camera = sorted(tracks.get("camera", []))
        windows: dict[int, list[int]] = {}
        for arrival, placed in tracks.get("mic", []) if camera else []:
            after = bisect_left(camera, (arrival, 0))
            nearest = min(camera[max(0, after - 1) : after + 1], key=lambda one: abs(one[0] - arrival))
            if abs(nearest[0] - arrival) <= NEAR_US:
                windows.setdefault(arrival // WINDOW_US, []).append(placed - nearest[1])
        offsets += [median(found) / 1000 for found in windows.values() if len(found) >= LEAST_REPORTS]
    return offsets


def _offset_facts(offsets: Sequence[float]) -> dict[str, Any]:
    if not offsets:
        return {"checked": 0, "p50": None, "p95": None}
    ordered = sorted(abs(offset) for offset in offsets)
    return {
        "checked": len(ordered),
        "p50": round(ordered[len(ordered) // 2], 1),
        "p95": round(ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)], 1),
    }


# -- sentences ---------------------------------------------------------------------------------------------------------


def _warnings(facts: Mapping[str, Any], seen: _Seen, timeline: Timeline, frames: int) -> list[str]:
    found = [
        f"nothing was captured for {gap['length_s']:.1f} s{_WHILE.get(gap.get('reason', ''), '')}"
        for gap in facts["gaps"]
    ]
    if facts["late_start_s"] > LATE_S:
        found.append(f"it began {facts['late_start_s']:.0f} s after it had been asked for")
    if seen.apart_us:
        found.append(
            f"clocks were {seen.apart_us / 1e6:.0f} s apart: parts may be missing or stand at the wrong time"
        )
    if not timeline.has_start:
        found.append(
            "part of what was captured could not be read: names and the first moments may be missing"
        )
    if not timeline.complete:
        found.append("the recorder was interrupted: the last moments may be missing")
    for item in facts["missing"]:
        what = _WHAT.get(item["source"], item["source"])
        found.append(
            f"the {what} of {_who(seen, item)} was on but did not arrive for {item['length_s']:.0f} s"
        )
    for item in facts["silent_microphones"]:
        found.append(
            f"nothing was heard from {_who(seen, item)} for {item['length_s']:.0f} s, though unmuted"
        )
    for line in seen.refused:
        what = _WHAT.get(str(line.get("source")), "source")
        found.append(f"the {what} of {_who(seen, line)} was left out: {line.get('codec')} cannot be recorded")
    for item in facts["freezes"]:
        if item["length_s"] > LONG_FREEZE_S:
            what = _WHAT.get(item["source"], item["source"])
            found.append(f"the {what} of {_who(seen, item)} stood still for {item['length_s']:.0f} s")
    for item in facts["clock_halts"]:
        found.append(
            f"{_who(seen, item)}’s computer stood still for {_seconds(item)}, probably asleep: nothing came from it"
        )
    if facts["dropped"]:
        found.append(
            f"the server was too slow for a moment: {facts['dropped']} packets or frames were dropped"
        )
    if frames and facts["lost_packets"] > MANY_LOST * frames:
        found.append(
            f"{facts['lost_packets']} packets were lost on the way: sound and pictures may be missing in places"
        )
    if frames and facts["malformed"] > MANY_LOST * frames:
        found.append(f"{facts['malformed']} packets could not be read: a sender's software is at fault")
    if facts["restarted_tracks"]:
        found.append(
            f"{facts['restarted_tracks']} times a microphone or camera could not be read, and the recorder restarted it"
        )
    p95 = facts["av_offset_ms"]["p95"]
    if p95 is not None and p95 > GOOD_OFFSET_MS:
        found.append(f"sound and picture may be {p95 / 1000:.1f} s apart")
    if facts["clock_ppm"] > BAD_PPM:
        percent = facts["clock_ppm"] / 10_000
        found.append(
            f"the clock of a participant’s computer is off by {percent:.2f} %; their sound was adjusted to it"
        )
    return found


def _seconds(item: Mapping[str, Any]) -> str:
    length_s = float(item["length_s"])
    return f"{length_s:.0f} s" if length_s >= 2 else f"{length_s:.1f} s"


def _who(seen: _Seen, item: Mapping[str, Any]) -> str:
    return seen.names.get(str(item.get("person_id")), "somebody")
