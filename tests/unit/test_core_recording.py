"""Recordings in the core: options, limits, layouts, consent, and a recording of all rooms that follows people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import recording as options
from models.recording import BadOption, RecordingOptions, options_from_json, options_to_json
from models.values import MAIN_ROOM, SYSTEM, CommandId, PersonId, Role
from rooms import commands as c
from rooms.context import Context
from rooms.decide_recording import full_at, options_of
from rooms.errors import DomainError
from rooms.state import Recording
from tests.people import ALICE, BEN, BOB, COURSE, KEY
from tests.unit.test_core_properties import History, opened

pytestmark = pytest.mark.unit


def running(count: int = 2, **course: Any) -> History:
    """Alice, Tara, Bob and Bea; a breakout of ``count`` rooms runs, Bea in room 1, Bob in room 2."""
    history = opened()
    if course:
        history.state = replace(history.state, recording_defaults=course)
    history.do(ALICE, c.CreateRooms(count, countdown_s=0))
    assert history.do(ALICE, c.StartBreakout()) == "ok"
    return history


def recordings(history: History) -> list[Recording]:
    return list(history.state.recordings.values())


def report(history: History, status: str, number: int = 0) -> None:
    assert history.do(SYSTEM, c.ReportRecording(recordings(history)[number].recording_id, status)) == "ok"


# -- options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"width": 1281}, "width"),
        ({"width": 62}, "width"),
        ({"height": 1922}, "height"),
        ({"height": True}, "height"),
        ({"fps": 29}, "fps"),
        ({"layout": "mosaic"}, "layout"),
        ({"layout": 3}, "layout"),
        ({"video_codec": "VP9"}, "video_codec"),
        ({"audio_codec": "OPUS"}, "audio_codec"),
        ({"audio_codec": "OPUS", "export_video": False}, "audio_codec"),
        ({"audio_channels": 6}, "audio_channels"),
        ({"clock": "yes"}, "clock"),
        ({"max_seconds": 59}, "max_seconds"),
        ({"max_seconds": 86401}, "max_seconds"),
        ({"empty_stop_s": -1}, "empty_stop_s"),
        ({"file_name_prefix": "a/b"}, "file_name_prefix"),
        ({"people": "bob"}, "people"),
        ({"storages": ["a"] * 9}, "storages"),
        ({"type": "TRACK"}, "type"),
        ({"watermark": {"url": "file:///etc/passwd"}}, "watermark.url"),
        ({"watermark": {"url": "https://x.example/a.png", "position": "middle"}}, "watermark.position"),
        ({"watermark": {"url": "https://x.example/a.png", "width": -1}}, "watermark.width"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_option_out_of_range_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadOption) as refused:
        options_from_json(given)
    assert refused.value.field == field
    history = opened()
    assert history.do(ALICE, c.StartRecording(MAIN_ROOM, options=given)) == "bad_value"
    assert not recordings(history)


GOOD = st.fixed_dictionaries(
    {},
    optional={
        "layout": st.sampled_from(options.LAYOUTS),
        "width": st.integers(32, 960).map(lambda n: n * 2),
        "fps": st.sampled_from(options.RATES),
        "audio_tracks": st.booleans(),
        "max_seconds": st.integers(60, 86_400),
        "file_name_prefix": st.from_regex(r"[A-Za-z0-9_]{0,64}", fullmatch=True),
        "people": st.lists(st.sampled_from(["bob", "bea"]), max_size=3),
        "watermark": st.none() | st.just({"url": "https://x.example/logo.png", "width": 80}),
        "video_codec": st.sampled_from(["H264", "VP8"]),
    },
)


@given(GOOD)
def test_options_survive_json(given: dict[str, Any]) -> None:
    made = options_from_json(given)
    assert options_from_json(options_to_json(made)) == made
    assert options_to_json(RecordingOptions()) == {}


@pytest.mark.parametrize("codec", ["AAC", "MP3", "OPUS"])
def test_a_film_with_vp8_has_opus_and_an_audio_file_what_was_asked_for(codec: str) -> None:
    given = {"video_codec": "VP8", "audio_codec": codec}
    assert options_from_json(given).audio_codec == "OPUS"
    if codec != "OPUS":
        assert options_from_json(given | {"export_video": False}).audio_codec == codec


def test_the_call_wins_over_the_course() -> None:
    history = running(fps=25, clock=True)
    assert history.do(ALICE, c.StartRecording(MAIN_ROOM, options={"fps": 24})) == "ok"
    chosen = recordings(history)[0].options
    assert (chosen.fps, chosen.clock, chosen.width) == (24, True, 1280)


# -- one recording ---------------------------------------------------------------------------------------------


def test_two_recordings_of_a_room_only_when_asked() -> None:
    history = opened()
    assert history.do(ALICE, c.StartRecording(MAIN_ROOM)) == "ok"
    assert history.do(KEY, c.StartRecording(MAIN_ROOM)) == "already_recording"
    assert history.do(KEY, c.StartRecording(MAIN_ROOM, allow_multiple=True)) == "ok"
    assert [r.start_reason for r in recordings(history)] == ["moderator", "api"]
    assert recordings(history)[1].caller == KEY
    assert history.do(KEY, c.StopRecording(recordings(history)[0].recording_id)) == "ok"
    assert (recordings(history)[0].stop_reason, recordings(history)[0].stopper) == ("api", KEY)


def test_the_layout_changes_while_it_runs() -> None:
    history = opened()
    history.do(ALICE, c.StartRecording(MAIN_ROOM))
    key = recordings(history)[0].recording_id
    assert history.do(ALICE, c.SetRecordingLayout("speaker")) == "ok"
    assert history.do(ALICE, c.SetRecordingLayout("stage", key)) == "ok"
    assert (recordings(history)[0].layout, recordings(history)[0].options.layout) == ("stage", "grid")
    length = len(history.log)
    assert history.do(ALICE, c.SetRecordingLayout("stage", key)) == "ok"
    assert len(history.log) == length
    history.do(ALICE, c.StopRecording())
    assert history.do(ALICE, c.SetRecordingLayout("grid", key)) == "nothing_recording"


def test_a_recording_is_as_long_as_it_may_be_without_its_pauses() -> None:
    history = opened()
    history.do(ALICE, c.StartRecording(MAIN_ROOM, options={"max_seconds": 60}))
    key = recordings(history)[0].recording_id
    assert full_at(recordings(history)[0]) is None
    report(history, "RECORDING")
    history.now += timedelta(seconds=40)
    report(history, "PAUSED")
    history.now += timedelta(seconds=1000)
    assert history.do(SYSTEM, c.ExpireRecording(key, "length")) == "stale_alarm"
    report(history, "RECORDING")
    full = full_at(recordings(history)[0])
    assert full == history.now + timedelta(seconds=20)
    assert history.do(SYSTEM, c.ExpireRecording(key, "length")) == "stale_alarm"
    history.now = full
    assert history.do(SYSTEM, c.ExpireRecording(key, "length")) == "ok"
    assert (recordings(history)[0].desired, recordings(history)[0].stop_reason) == ("stopped", "length")


def test_an_empty_room_stops_its_recording_after_a_while() -> None:
    history = running()
    room = next(p.room_id for p in history.state.people.values() if p.person_id == "bob")
    history.do(ALICE, c.StartRecording(room, options={"empty_stop_s": 30}))
    key = recordings(history)[0].recording_id
    assert recordings(history)[0].empty_since is None
    history.do(BOB, c.JoinRoom(MAIN_ROOM))
    history.now += timedelta(seconds=29)
    assert history.do(SYSTEM, c.ExpireRecording(key, "empty")) == "stale_alarm"
    history.do(BOB, c.JoinRoom(room))
    history.now += timedelta(seconds=60)
    assert history.do(SYSTEM, c.ExpireRecording(key, "empty")) == "stale_alarm"
    history.do(SYSTEM, c.LeaveSession(PersonId("bob")))
    history.now += timedelta(seconds=30)
    assert history.do(SYSTEM, c.ExpireRecording(key, "empty")) == "ok"
    assert recordings(history)[0].stop_reason == "empty"


def test_never_stops_when_empty_if_told_so() -> None:
    history = opened()
    history.do(ALICE, c.StartRecording(MAIN_ROOM, options={"empty_stop_s": 0}))
    for person_id in list(history.state.people):
        history.do(SYSTEM, c.LeaveSession(person_id))
    history.now += timedelta(days=1)
    key = recordings(history)[0].recording_id
    assert history.do(SYSTEM, c.ExpireRecording(key, "empty")) == "stale_alarm"


def test_a_person_declines_for_themself() -> None:
    history = opened()
    assert history.do(BOB, c.SetRecordingConsent(True)) == "ok"
    assert history.state.people[PersonId("bob")].declines_recording
    assert not history.state.people[PersonId("bea")].declines_recording
    history.do(SYSTEM, c.LeaveSession(PersonId("bob")))
    history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT))
    assert history.state.people[PersonId("bob")].declines_recording, "coming back changes nothing"
    assert history.do(BOB, c.SetRecordingConsent(False)) == "ok"
    assert not history.state.people[PersonId("bob")].declines_recording


# -- all rooms -------------------------------------------------------------------------------------------------


def test_rooms_added_and_people_coming_later_are_recorded_too() -> None:
    history = running(2)
    assert history.do(ALICE, c.StartRecording(all_rooms=True, options={"fps": 25})) == "ok"
    parent = recordings(history)[0].parent_id
    assert [r.parent_id for r in recordings(history)] == [parent, parent]
    assert history.do(ALICE, c.AddRooms(2)) == "ok"
    assert [r.name for r in history.state.breakout_rooms] == ["Room 1", "Room 2", "Room 3", "Room 4"]
    assert len(recordings(history)) == 2, "an empty new room needs no film yet"
    third = history.state.breakout_rooms[2]
    assert history.do(BEN, c.EnterSession("Ben", Role.PARTICIPANT)) == "ok"
    assert history.do(ALICE, c.MoveParticipant(PersonId("ben"), third.room_id)) == "ok"
    history.wait(60)
    (late,) = [r for r in recordings(history) if r.room_id == third.room_id]
    assert (late.parent_id, late.options.fps, late.start_reason) == (parent, 25, "breakout")


def test_a_room_that_fell_empty_is_recorded_again_when_somebody_comes() -> None:
    history = running(2)
    history.do(ALICE, c.StartRecording(all_rooms=True))
    room = recordings(history)[1].room_id
    assert history.state.people[PersonId("bob")].room_id == room
    history.do(SYSTEM, c.LeaveSession(PersonId("bob")))
    history.now += timedelta(seconds=90)
    assert history.do(SYSTEM, c.ExpireRecording(recordings(history)[1].recording_id, "empty")) == "ok"
    assert history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT)) == "ok"
    again = [r for r in recordings(history) if r.room_id == room]
    assert len(again) == 2
    assert again[0].recording_id != again[1].recording_id
    assert again[0].parent_id == again[1].parent_id


def test_a_room_that_somebody_stopped_stays_stopped() -> None:
    history = running(2)
    history.do(ALICE, c.StartRecording(all_rooms=True))
    bobs = recordings(history)[1]
    assert history.do(ALICE, c.StopRecording(bobs.recording_id)) == "ok"
    history.do(SYSTEM, c.LeaveSession(PersonId("bob")))
    history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT))
    assert len(recordings(history)) == 2
    assert history.do(ALICE, c.StartRecording(bobs.room_id)) == "ok", "but may be started by hand"


@pytest.mark.parametrize("end", ["stop", "breakout"])
def test_after_the_stop_nobody_is_recorded_by_coming(end: str) -> None:
    history = running(2)
    history.do(ALICE, c.StartRecording(all_rooms=True))
    if end == "stop":
        assert history.do(ALICE, c.StopRecording()) == "ok"
        assert {r.stop_reason for r in recordings(history)} == {"moderator"}
        room = history.state.breakout_rooms[1].room_id
        assert history.do(BOB, c.JoinRoom(room)) == "ok"
    else:
        history.do(ALICE, c.EndBreakout())
        history.wait(5)
        assert {r.stop_reason for r in recordings(history)} == {"breakout_ended"}
        history.do(ALICE, c.StartBreakout())
        history.wait(5)
    assert len(recordings(history)) == 2


def test_a_course_may_record_from_the_start() -> None:
    history = History()
    history.do(SYSTEM, c.OpenSession(COURSE, "BIO 101", "Room", {"fps": 24}, True))
    assert not recordings(history)
    history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT))
    (only,) = recordings(history)
    assert (only.start_reason, only.room_id, only.options.fps) == ("on_start", MAIN_ROOM, 24)
    history.do(ALICE, c.StopRecording())
    history.do(ALICE, c.EnterSession("Alice", Role.MODERATOR))
    assert len(recordings(history)) == 1, "once stopped it stays stopped"


def test_a_refusal_names_the_field() -> None:
    history = opened()
    envelope = c.Envelope(CommandId("c"), history.state.session_id, ALICE, c.StartRecording())
    with pytest.raises(DomainError) as refused:
        options_of(Context(history.state, envelope, history.now), {"fps": 1})
    assert refused.value.facts == {"field": "fps"}
    assert "24, 25 or 30" in refused.value.message
