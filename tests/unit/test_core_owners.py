"""Whose a recording is: the moderator's who asked for it, whatever happens between the asking and the recording."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.values import MAIN_ROOM, SYSTEM, Actor, ActorKind, CourseId, PersonId, Role
from rooms import commands as c
from rooms import events as e
from rooms import wire
from rooms.core import evolve
from rooms.events import Recorded
from rooms.state import Recording, SessionState
from tests.people import ALICE, BEN, BOB, COURSE, KEY, SESSION
from tests.unit.test_core_properties import PEOPLE, STEPS, TARA, History, Step

pytestmark = pytest.mark.unit
FOR_TARA = Actor(ActorKind.API, TARA.person_id, KEY.name, Role.MODERATOR, COURSE)
"""An integrator that says for whom it asks."""
TARA_DEMOTED = replace(TARA, role=Role.PARTICIPANT)
ASKERS = (ALICE, TARA, TARA_DEMOTED, KEY, FOR_TARA, BOB)


def class_of(set_by: Actor | None, *, on_start: bool) -> History:
    """Alice, Tara, Bob and Bea, in a room that may be recorded on start."""
    history = History()
    command = c.OpenSession(COURSE, "BIO 101", "Room", record_on_start=on_start, record_on_start_by=set_by)
    assert history.do(SYSTEM, command) == "ok"
    for actor in (BOB, ALICE, TARA):  # a student comes first
        assert history.do(actor, c.EnterSession(actor.name, actor.role or Role.GUEST)) == "ok"
    return history


def _asked(build: Any) -> st.SearchStrategy[Step]:
    def make(who: Actor, number: int) -> Step:
        return lambda history: _do(history, who, build(number))

    return st.builds(make, st.sampled_from(ASKERS), st.integers(0, 7))


def _do(history: History, actor: Actor, command: c.Command) -> None:
    history.do(actor, command)


MORE: st.SearchStrategy[Step] = st.one_of(
    STEPS,
    _asked(lambda n: c.StartBreakout(record=n < 6)),
    _asked(lambda n: c.StartRecording(MAIN_ROOM if n < 3 else None, all_rooms=n >= 3)),
    _asked(lambda n: c.AddRooms()),
    _asked(lambda n: c.StopRecording()),
    _asked(lambda n: c.EndBreakout()),
    _asked(lambda n: c.CreateRooms(n % 3 + 1, countdown_s=n % 2 * 5)),
    st.builds(lambda who: lambda h: _do(h, who, c.EnterSession(who.name, who.role)), st.sampled_from(PEOPLE)),
    st.builds(lambda s: lambda h: h.wait(s), st.sampled_from([2, 6])),
)


def _prelude(asker: Actor, countdown_s: int, count: int) -> Step:
    def step(history: History) -> None:
        history.do(ALICE, c.CreateRooms(count, countdown_s=countdown_s))
        history.do(asker, c.StartBreakout(record=True))

    return step


HISTORIES = st.builds(
    lambda first, rest: [first, *rest],
    st.builds(_prelude, st.sampled_from(ASKERS), st.sampled_from([0, 5]), st.integers(1, 3)),
    st.lists(MORE, min_size=8, max_size=30),
)


def asked_by(log: list[Recorded], set_by: Actor | None) -> dict[str, Actor]:
    """Recording → who asked for it, told from who gave which command alone."""
    found: dict[str, Actor] = {}
    groups: dict[str, Actor] = {}
    starter = SYSTEM
    for recorded in log:
        event, actor = recorded.event, recorded.actor
        if isinstance(event, e.BreakoutStarting):
            starter = actor
        elif isinstance(event, e.AllRoomsRecorded):
            groups[event.parent_id] = starter if actor == SYSTEM else actor
        elif isinstance(event, e.RecordingInvoked):
            if event.reason == "on_start":
                found[event.recording_id] = set_by or SYSTEM
            else:
                found[event.recording_id] = groups.get(event.parent_id or "", actor)
    return found


@settings(max_examples=250, deadline=None)
@given(HISTORIES, st.sampled_from([None, TARA]), st.booleans())
def test_a_recording_belongs_to_the_moderator_who_asked_for_it(
    steps: list[Step], set_by: Actor | None, on_start: bool
) -> None:
    history = class_of(set_by, on_start=on_start)
    for step in steps:
        step(history)
    asked = asked_by(history.log, set_by)
    invoked = {r.event.recording_id: r.event for r in history.log if isinstance(r.event, e.RecordingInvoked)}
    assert set(invoked) == set(history.state.recordings) == set(asked)
    for recording_id, recording in history.state.recordings.items():
        asker = asked[recording_id]
        assert recording.started_by == invoked[recording_id].started_by == asker.person_id
        assert recording.caller == asker
        assert asker.is_moderator, "nobody comes to own a recording by walking in"


@settings(max_examples=150, deadline=None)
@given(HISTORIES, st.sampled_from([None, TARA]), st.booleans())
def test_a_log_of_an_earlier_version_gives_the_same_owners(
    steps: list[Step], set_by: Actor | None, on_start: bool
) -> None:
    history = class_of(set_by, on_start=on_start)
    for step in steps:
        step(history)
    state = SessionState(SESSION)
    for recorded in history.log:
        state = evolve(state, _as_before(recorded))
    for key, recording in state.recordings.items():
        # Who set “record on start” was not in the log.
        unknown = recording.start_reason == "on_start"
        assert recording.started_by == (None if unknown else history.state.recordings[key].started_by)


def _as_before(recorded: Recorded) -> Recorded:
    """The event as it was written before owners were kept: the person who made it happen, and no new fields."""
    name, data = wire.event_to_json(recorded.event)
    if isinstance(recorded.event, e.RecordingInvoked | e.AllRoomsRecorded):
        data["started_by"] = recorded.actor.person_id
    if isinstance(recorded.event, e.SessionOpened):
        del data["record_on_start_by"]
    return replace(recorded, event=wire.event_from_json(name, data))


def test_who_set_it_survives_the_log() -> None:
    history = class_of(TARA, on_start=True)
    name, data = wire.event_to_json(history.log[0].event)
    assert wire.event_from_json(name, data) == history.log[0].event


def only(history: History) -> Recording:
    [recording] = history.state.recordings.values()
    return recording


@pytest.mark.parametrize(("set_by", "owner"), [(TARA, TARA.person_id), (None, None)])
def test_record_on_start_is_not_the_students_who_comes_first(
    set_by: Actor | None, owner: PersonId | None
) -> None:
    recording = only(class_of(set_by, on_start=True))
    assert (recording.started_by, recording.start_reason) == (owner, "on_start")
    assert recording.caller.person_id == owner


@pytest.mark.parametrize("asker", [TARA, FOR_TARA, KEY])
def test_every_room_after_the_default_countdown_and_rooms_that_come_later(asker: Actor) -> None:
    history = class_of(None, on_start=False)
    assert history.do(ALICE, c.CreateRooms(1)) == "ok"
    assert history.do(asker, c.StartBreakout(record=True)) == "ok"
    assert not history.state.recordings, "the countdown runs"
    history.wait(c.DEFAULT_COUNTDOWN_S)
    assert history.do(ALICE, c.AddRooms()) == "ok"
    assert history.do(BEN, c.EnterSession("Ben", Role.PARTICIPANT)) == "ok"
    later = history.state.breakout_rooms[1].room_id
    history.do(ALICE, c.MoveParticipant(PersonId("ben"), later))
    history.wait(c.DEFAULT_COUNTDOWN_S)
    assert len(history.state.recordings) == 2
    assert {r.started_by for r in history.state.recordings.values()} == {asker.person_id}


@pytest.mark.parametrize("student", [BOB, TARA_DEMOTED])
def test_who_takes_part_cannot_ask(student: Actor) -> None:
    history = class_of(None, on_start=False)
    assert history.do(student, c.StartRecording()) == "not_moderator"
    assert history.do(ALICE, c.CreateRooms(1)) == "ok"
    assert history.do(student, c.StartBreakout(record=True)) == "not_moderator"
    assert not history.state.recordings


def test_the_next_breakout_is_its_own_starters() -> None:
    history = class_of(None, on_start=False)
    history.do(ALICE, c.CreateRooms(1))
    for asker in (ALICE, TARA):
        assert history.do(asker, c.StartBreakout(record=True)) == "ok"
        history.wait(c.DEFAULT_COUNTDOWN_S)
        assert list(history.state.recordings.values())[-1].started_by == asker.person_id
        assert history.do(ALICE, c.EndBreakout()) == "ok"
        history.wait(c.DEFAULT_COUNTDOWN_S)


def test_an_integrator_is_held_to_its_course_also_for_a_person() -> None:
    other = replace(FOR_TARA, course_id=CourseId("his200"))
    history = class_of(None, on_start=False)
    assert history.do(other, c.StartRecording(MAIN_ROOM)) == "other_course"
