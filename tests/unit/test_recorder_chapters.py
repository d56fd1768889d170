"""Chapters and the journal's own report: pure functions of the manifest."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import MAIN_ROOM, CallId, CommandId, PersonId, RoomId, SessionId
from recorder.chapters import Chapter, chapters, to_vtt
from recorder.happenings import happening
from recorder.report import report
from recorder.timeline import NTP_EPOCH_US, build
from rooms import events as e
from rooms.events import Event, Recorded
from rooms.state import HelpCall, Participant, SessionState
from tests.people import ALICE

pytestmark = pytest.mark.unit
T0 = 1_800_000_000_000_000
S = 1_000_000
Line = dict[str, Any]


def line(kind: str, at_s: float, **facts: Any) -> Line:
    return {"k": kind, "at": T0 + round(at_s * S), **facts}


def person(at_s: float, name: str, **facts: Any) -> Line:
    return line("person", at_s, person_id=name.lower(), name=name, entered=T0, **facts)


def told(*lines: Line) -> list[tuple[float, str]]:
    ordered = sorted(lines, key=lambda x: int(x["at"]))
    return [(c.start / S, c.title) for c in chapters(ordered, build(ordered))]


def test_people_shares_help_messages_pauses_and_gaps_become_chapters() -> None:
    found = told(
        line("start", 0),
        person(0, "Alice"),
        person(10, "Bob"),
        person(20, "Bob", screen=True),
        person(30, "Bob"),
        line("event", 40, seq=1, what="call", name="Bob"),
        line("event", 50, seq=2, what="help", name="Alice"),
        line("event", 60, seq=3, what="broadcast", name="Alice", text="Five minutes left"),
        line("pause", 70),
        line("resume", 170),
        line("gap", 190, since=T0 + 180 * S, reason="recorder"),
        line("left", 200, person_id="bob"),
        line("stop", 210),
    )
    assert found == [
        (0, "Start"),
        (10, "Bob joined"),
        (20, "Bob shared their screen"),
        (30, "Screen sharing ended"),
        (40, "Bob needs help"),
        (50, "Alice came to help"),
        (60, "Message: Five minutes left"),
        (70, "Resumed after 1:40 min"),
        (80, "Nothing was captured for 10 s"),
        (100, "Bob left"),
    ]


def test_what_happens_at_nearly_the_same_time_is_one_chapter_and_many_people_are_counted() -> None:
    comers = [person(60 + n * 0.5, f"P{n}") for n in range(5)]
    found = told(line("start", 0), *comers, person(61.0, "P0", screen=True), line("stop", 90))
    assert found == [(0, "Start"), (60, "P0 shared their screen; P0, P1 and 3 others joined")]


def test_who_declines_is_not_named() -> None:
    found = told(
        line("start", 0),
        line("person", 10, person_id="bob", name="", declined=True, entered=T0),
        person(20, "Alice"),
        line("person", 30, person_id="alice", name="", declined=True, entered=T0),
        line("stop", 40),
    )
    assert found == [(0, "Start"), (20, "Alice joined")]


KINDS = st.sampled_from(["person", "left", "pause", "resume", "event"])


@given(st.lists(st.tuples(st.integers(0, 600), KINDS, st.integers(0, 3), st.booleans()), max_size=40))
def test_chapters_cover_the_film_without_holes(happened: list[tuple[int, str, int, bool]]) -> None:
    lines = [line("start", 0)]
    for at, kind, who, screen in sorted(happened):
        facts: Line = {"person_id": str(who), "name": f"P{who}", "screen": screen, "seq": at, "what": "call"}
        lines.append(line(kind, at, **facts))
    lines.append(line("stop", 601))
    timeline = build(lines)
    found = chapters(lines, timeline)
    if timeline.duration == 0:
        assert found == []
        return
    assert found[0].start == 0 and found[-1].end == timeline.duration
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(c.start < c.end and c.title for c in found)


def test_webvtt_has_no_markup_and_no_broken_cues() -> None:
    text = to_vtt(
        [Chapter(0, 3_723_004_000, "A <b> & --> C\n\nNOTE x"), Chapter(3_723_004_000, 3_724_000_000, "y")]
    )
    assert text.startswith(
        "WEBVTT\n\n1\n00:00:00.000 --> 01:02:03.004\nA &lt;b&gt; &amp; --&gt; C NOTE x\n\n2\n"
    )


# -- which events are told ---------------------------------------------------------------------------------------------

BOB = Participant(PersonId("bob"), "Bob", ALICE.role, RoomId("r1"))  # type: ignore[arg-type]
STATE = SessionState(
    SessionId("s"),
    people={BOB.person_id: BOB},
    calls={CallId("h"): HelpCall(CallId("h"), BOB.person_id, RoomId("r1"), None)},  # type: ignore[arg-type]
)


def after(event: Event, state: SessionState = STATE, room: str = "r1") -> tuple[str, dict[str, Any]] | None:
    recorded = Recorded(state.session_id, 1, None, ALICE, CommandId("c"), event)  # type: ignore[arg-type]
    return happening(recorded, state, RoomId(room))


def test_messages_and_calls_are_told_in_their_rooms_only() -> None:
    message = e.MessageBroadcast(BOB.person_id, "Bob", "Five minutes", (RoomId("r1"),), 3)
    assert after(message) == ("broadcast", {"name": "Bob", "text": "Five minutes"})
    assert after(message, room="r2") is None
    assert after(e.CallRaised(CallId("h"), BOB.person_id, RoomId("r1"))) == ("call", {"name": "Bob"})
    assert after(e.CallRaised(CallId("h"), BOB.person_id, RoomId("r1")), room=MAIN_ROOM) is None
    assert after(e.CallClaimed(CallId("h"), BOB.person_id)) == ("help", {"name": "Bob"})
    assert after(e.ChatSent(BOB.person_id, "Bob", RoomId("r1"), "hello")) is None


# -- the report --------------------------------------------------------------------------------------------------------


def segment(number: int, source: str, rate: int, at_s: float = 0.0) -> Line:
    codec = "opus" if rate == 48_000 else "vp8"
    facts = {"n": number, "person_id": "bob", "peer_id": "p1", "source": source, "codec": codec}
    return line("segment", at_s, **facts, clock_rate=rate)


def test_who_is_left_out_of_the_recording_is_not_named_as_leaving_or_coming() -> None:
    found = told(
        line("start", 0),
        person(0, "Alice"),
        person(10, "Bob"),
        line("person", 30, person_id="bob", name="", declined=True, entered=T0),
        person(60, "Bob"),
        line("person", 90, person_id="bob", name="", declined=True, entered=T0),
        line("left", 120, person_id="bob"),
        person(150, "Bob"),
        line("stop", 180),
    )
    assert found == [(0, "Start"), (10, "Bob joined"), (150, "Bob joined")]


def ntp(at_s: float) -> int:
    return ((T0 + round(at_s * S) + NTP_EPOCH_US) << 32) // S


def reports(number: int, rate: int, end_s: int, late_s: float = 0.0, drift: float = 0.0) -> list[Line]:
    """Sender reports of a track whose RTP times lie by ``late_s`` beside the clock that it shares with the others."""
    lines = []
    for at in range(0, end_s, 2):
        rtp = round((at * (1 + drift) + late_s) * rate)
        lines += [line("sr", at, n=number, ntp=ntp(at), rtp=rtp), line("mark", at, n=number, rtp=rtp)]
    return lines


def reported(*lines: Line) -> Any:
    ordered = sorted(
        [line("start", 0), person(0, "Bob", mic=True, camera=True), *lines], key=lambda x: int(x["at"])
    )
    return report(ordered, build(ordered))


def test_tracks_of_one_clock_are_found_in_step_and_a_wandering_one_is_not() -> None:
    both = [segment(1, "mic", 48_000), segment(2, "camera", 90_000)]
    good = reported(*both, *reports(1, 48_000, 120), *reports(2, 90_000, 120), line("stop", 120))
    assert good.facts["av_offset_ms"]["p95"] < 5 and good.facts["av_offset_ms"]["checked"] >= 4
    # A clock that wanders by 0.2 % for a minute and back again: no straight line fits it.
    wander = [
        {**x, "rtp": x["rtp"] + round(min(x["at"] - T0, T0 + 240 * S - x["at"]) / S * 180)}
        for x in reports(2, 90_000, 240)
    ]
    bad = reported(*both, *reports(1, 48_000, 240), *wander, line("stop", 240))
    assert bad.facts["av_offset_ms"]["p95"] > 90
    assert any("sound and picture" in warning for warning in bad.warnings)


def test_reports_of_a_busy_sender_scatter_and_alarm_nobody() -> None:
    both = [segment(1, "mic", 48_000), segment(2, "camera", 90_000)]
    # Every third report of the camera says a time that is 0.2 s late.
    noisy = [
        {**x, "ntp": x["ntp"] + 2**32 // 5} if x["k"] == "sr" and x["at"] // S % 6 == 0 else x
        for x in reports(2, 90_000, 120)
    ]
    found = reported(*both, *reports(1, 48_000, 120), *noisy, line("stop", 120))
    assert found.facts["av_offset_ms"]["p95"] < 90 and found.warnings == []


def test_gaps_freezes_and_missing_sources_are_told_with_names_and_places() -> None:
    found = reported(
        segment(1, "camera", 90_000),
        *reports(1, 90_000, 30),
        line("broken", 12, n=1, since=T0 + 10 * S),
        line("stalled", 28, n=1, since=T0 + 20 * S),
        line("missing", 9, person_id="bob", source="mic", since=T0 + 4 * S),
        line("gap", 35, since=T0 + 33 * S, reason="recorder"),
        line("silent", 39, person_id="bob", since=T0 + 36 * S),
        line("heard", 39.5, person_id="bob", since=T0 + 36 * S),
        line("refused", 2, person_id="bob", source="screen", codec="av1"),
        line("end", 39, n=1, frames=100, lost=30, bad=0, dropped=2, reason="left"),
        line("stop", 40, reason="empty"),
    )
    facts = found.facts
    assert facts["gaps"] == [{"at_s": 33.0, "length_s": 2.0, "reason": "recorder"}]
    assert (facts["frozen_s"], [x["length_s"] for x in facts["freezes"]]) == (10.0, [8.0, 2.0])
    assert facts["missing"] == [{"at_s": 4.0, "length_s": 36.0, "person_id": "bob", "source": "mic"}]
    assert facts["silent_microphones"][0]["length_s"] == 3.5
    assert (facts["lost_packets"], facts["dropped"], facts["stop_reason"]) == (30, 2, "empty")
    text = "; ".join(found.warnings)
    for part in (
        "nothing was captured for 2.0 s",
        "microphone of Bob was on but did not arrive for 36 s",
        "camera of Bob stood still for 8 s",
        "av1 cannot be recorded",
        "30 packets were lost",
        "2 packets or frames were dropped",
        "nothing was heard from Bob",
    ):
        assert part in text, part


def test_a_whole_recording_has_no_warnings() -> None:
    both = [segment(1, "mic", 48_000), segment(2, "camera", 90_000)]
    ends = [
        line("end", 60, n=n, frames=900, bytes=900_000, lost=3, bad=0, dropped=0, reason="stopped")
        for n in (1, 2)
    ]
    found = reported(*both, *reports(1, 48_000, 60), *reports(2, 90_000, 60), *ends, line("stop", 60))
    assert found.warnings == [] and found.sound and found.pictures > 0.9


def test_an_open_journal_says_that_it_was_not_closed() -> None:
    found = reported(segment(1, "mic", 48_000), *reports(1, 48_000, 10), line("beat", 10))
    assert found.warnings == ["the recorder was interrupted: the last moments may be missing"]
