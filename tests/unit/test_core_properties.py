"""Whatever people do: nobody in two rooms, nobody lost, replay equals live, views leak nothing and patches are exact."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.values import (
    MAIN_ROOM,
    SYSTEM,
    Actor,
    ActorKind,
    AssignMode,
    BreakoutStatus,
    CallId,
    CommandId,
    PersonId,
    RecordingId,
    Role,
    RoomId,
)
from rooms import commands as c
from rooms import policy, view
from rooms.commands import Command, Envelope
from rooms.core import decide, evolve
from rooms.errors import DomainError
from rooms.events import Recorded
from rooms.ports import Committed
from rooms.state import SessionState
from signalling.lens import Lens, Portrait
from tests.people import ALICE, BEA, BEN, BOB, COURSE, SESSION

pytestmark = pytest.mark.unit
TARA = Actor(ActorKind.PERSON, PersonId("tara"), "Tara", Role.MODERATOR, COURSE)
PEOPLE = (ALICE, TARA, BOB, BEA, BEN)
START = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


@dataclass
class History:
    """A session told command by command, with its own clock; remembers every state."""

    state: SessionState = field(default_factory=lambda: SessionState(SESSION))
    now: datetime = START
    log: list[Recorded] = field(default_factory=list)
    states: list[SessionState] = field(default_factory=list)
    count: int = 0

    def do(self, actor: Actor, command: Command) -> str:
        """Submit; returns ``ok`` or the error's code."""
        self.count += 1
        envelope = Envelope(CommandId(f"c{self.count}"), SESSION, actor, command)
        try:
            policy.authorise(self.state, envelope)
            events = decide(self.state, envelope, self.now)
        except DomainError as error:
            return error.code
        for event in events:
            recorded = Recorded(SESSION, self.state.seq + 1, self.now, actor, envelope.command_id, event)
            self.log.append(recorded)
            self.state = evolve(self.state, recorded)
        self.states.append(self.state)
        return "ok"

    def wait(self, seconds: float) -> None:
        """Time passes and alarms ring in order."""
        end = self.now + timedelta(seconds=seconds)
        while True:
            due: list[tuple[datetime, Command]] = [
                (t.effective_at, c.CompleteTransition(t.transition_id))
                for t in self.state.transitions.values()
            ]
            ends_at = self.state.breakout.ends_at
            if self.state.breakout.status is BreakoutStatus.RUNNING and ends_at is not None:
                due.append((ends_at, c.TimeIsUp(ends_at.isoformat())))
            due = [item for item in due if item[0] <= end]
            if not due:
                break
            at, command = min(due, key=lambda item: item[0])
            self.now = max(self.now, at)
            assert self.do(SYSTEM, command) == "ok"
        self.now = end


def opened() -> History:
    history = History()
    assert history.do(SYSTEM, c.OpenSession(COURSE, "BIO 101", "Room")) == "ok"
    for actor in PEOPLE[:4]:
        assert history.do(actor, c.EnterSession(actor.name, actor.role or Role.GUEST)) == "ok"
    return history


Step = Callable[[History], None]


def _room(history: History, number: int) -> RoomId:
    rooms = sorted(history.state.rooms.values(), key=lambda r: r.number)
    return rooms[number % len(rooms)].room_id


def _step(build: Callable[[History, Actor, Actor, int], tuple[Actor, Command]]) -> st.SearchStrategy[Step]:
    def make(who: Actor, whom: Actor, number: int) -> Step:
        def step(history: History) -> None:
            actor, command = build(history, who, whom, number)
            history.do(actor, command)

        return step

    return st.builds(make, st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.integers(0, 7))


def _id(actor: Actor) -> PersonId:
    assert actor.person_id is not None
    return actor.person_id


def _call(history: History, number: int) -> CallId:
    calls = list(history.state.calls)
    return calls[number % len(calls)] if calls else CallId("none")


def _recording(history: History, number: int) -> RecordingId:
    recordings = list(history.state.recordings)
    return recordings[number % len(recordings)] if recordings else RecordingId("none")


def _groups(a: Actor, b: Actor) -> tuple[tuple[PersonId, ...], ...]:
    """Ready-made groups, with somebody who has not arrived at first and people named twice."""
    return ((_id(a), PersonId("nobody")), (_id(BEN), _id(b)))


MODES = tuple(AssignMode)
STATUSES = ("RECORDING", "PAUSED", "UPLOADING", "UPLOADED", "ERRORED")
STEPS: st.SearchStrategy[Step] = st.one_of(
    _step(lambda h, a, b, n: (a, c.EnterSession(a.name, a.role or Role.GUEST))),
    _step(lambda h, a, b, n: (SYSTEM, c.LeaveSession(_id(a)))),
    _step(lambda h, a, b, n: (a, c.CreateRooms(n % 4 + 1, MODES[n % 3], countdown_s=n % 3 * 2))),
    _step(
        lambda h, a, b, n: (
            ALICE,
            c.CreateRooms(2, MODES[n % 3], countdown_s=n % 3 * 2, members=_groups(a, b)),
        )
    ),
    _step(lambda h, a, b, n: (a, c.KeepRooms())),
    _step(lambda h, a, b, n: (a, c.AssignParticipant(_id(b), _room(h, n)))),
    _step(lambda h, a, b, n: (ALICE, c.StartBreakout(record=n % 2 == 0))),
    _step(lambda h, a, b, n: (TARA if n % 2 else a, c.MoveParticipant(_id(b), _room(h, n)))),
    _step(lambda h, a, b, n: (a, c.JoinRoom(_room(h, n)))),
    _step(lambda h, a, b, n: (ALICE, c.ShuffleParticipants(n))),
    _step(lambda h, a, b, n: (ALICE, c.MoveToNextRoom())),
    _step(lambda h, a, b, n: (ALICE, c.GatherEveryone())),
    _step(lambda h, a, b, n: (ALICE, c.SendEveryoneBack())),
    _step(lambda h, a, b, n: (a, c.CancelMoves())),
    _step(lambda h, a, b, n: (ALICE, c.AssignRest())),
    _step(lambda h, a, b, n: (ALICE, c.AddRooms()) if n > 4 else (ALICE, c.RemoveRoom(_room(h, n)))),
    _step(lambda h, a, b, n: (ALICE, c.LockRoom(_room(h, n), n % 2 == 0))),
    _step(lambda h, a, b, n: (ALICE, c.SetBreakoutOptions(may_return=n % 2 == 0))),
    _step(lambda h, a, b, n: (a, c.EndBreakout())),
    _step(lambda h, a, b, n: (a, c.CallModerator())),
    _step(lambda h, a, b, n: (a, c.ClaimCall(_call(h, n)))),
    _step(lambda h, a, b, n: (a, c.DismissCall(_call(h, n)))),
    _step(lambda h, a, b, n: (a, c.CancelCall())),
    _step(lambda h, a, b, n: (a, c.SetMedia(mic=n % 2 == 0, camera=n % 3 == 0))),
    _step(lambda h, a, b, n: (a, c.SetMedia(screen=n % 2 == 0))),
    _step(lambda h, a, b, n: (ALICE, c.StopSharing(_id(b)))),
    _step(lambda h, a, b, n: (ALICE, c.SetSharing("moderators" if n % 2 else "everyone"))),
    _step(lambda h, a, b, n: (a, c.MuteParticipant(_id(b) if n else None))),
    _step(lambda h, a, b, n: (a, c.SetHand(n % 2 == 0))),
    _step(lambda h, a, b, n: (a, c.StartRecording(_room(h, n), all_rooms=n == 7))),
    _step(lambda h, a, b, n: (a, c.StopRecording(_recording(h, n)))),
    _step(lambda h, a, b, n: (SYSTEM, c.ReportRecording(_recording(h, n), STATUSES[n % 5]))),
    _step(lambda h, a, b, n: (a, c.RemoveParticipant(_id(b))) if n == 0 else (a, c.SendChat("hello"))),
    _step(lambda h, a, b, n: (a, c.AddTime(30 * n - 60))),
    st.builds(lambda s: lambda h: h.wait(s), st.sampled_from([0.5, 2, 6, 700])),
)


def _prelude(running: bool, count: int, mode: AssignMode, countdown_s: int, record: bool) -> Step:
    """Most histories begin with rooms that are made, and half of them with a breakout that runs."""

    def step(history: History) -> None:
        history.do(ALICE, c.CreateRooms(count, mode, countdown_s=countdown_s))
        if running:
            history.do(ALICE, c.StartBreakout(record=record))
            history.wait(countdown_s)

    return step


PRELUDES = st.builds(
    _prelude, st.booleans(), st.integers(1, 4), st.sampled_from(MODES), st.sampled_from([0, 3]), st.booleans()
)
histories = st.builds(lambda first, rest: [first, *rest], PRELUDES, st.lists(STEPS, min_size=8, max_size=30))


def told(steps: list[Step]) -> History:
    history = opened()
    for step in steps:
        step(history)
    return history


@settings(max_examples=120, deadline=None)
@given(histories)
def test_everybody_is_always_in_exactly_one_room_that_exists(steps: list[Step]) -> None:
    history = told(steps)
    entered: set[PersonId] = set()
    for state in history.states:
        entered |= set(state.people)
        assert set(state.people) | state.removed >= entered, "somebody was lost"
        for person in state.people.values():
            assert person.room_id in state.rooms
        if state.breakout.status not in (BreakoutStatus.RUNNING, BreakoutStatus.CLOSING):
            assert all(p.room_id == MAIN_ROOM for p in state.people.values())
        moving = [k for t in state.transitions.values() if t.kind in ("moves", "gather") for k in t.moves]
        assert len(moving) == len(set(moving)), "two countdowns would move the same person"


@settings(max_examples=100, deadline=None)
@given(histories)
def test_replaying_the_log_gives_the_live_state(steps: list[Step]) -> None:
    history = told(steps)
    state = SessionState(SESSION)
    for number, recorded in enumerate(history.log, start=1):
        assert recorded.seq == number
        state = evolve(state, recorded)
    assert state == history.state


@settings(max_examples=100, deadline=None)
@given(histories)
def test_a_move_never_touches_microphone_or_camera(steps: list[Step]) -> None:
    history = told(steps)
    state = SessionState(SESSION)
    for recorded in history.log:
        after = evolve(state, recorded)
        if type(recorded.event).__name__ in (
            "ParticipantsMoved",
            "MovesPlanned",
            "BreakoutStarted",
            "BreakoutEnded",
        ):
            for key, person in after.people.items():
                before = state.people[key]
                assert (person.mic, person.camera, person.screen) == (
                    before.mic,
                    before.camera,
                    before.screen,
                )
        state = after


@settings(max_examples=100, deadline=None)
@given(histories)
def test_patches_are_exact_and_views_leak_nothing(steps: list[Step]) -> None:
    history = told(steps)
    viewers = [(_id(actor), actor.role or Role.GUEST) for actor in PEOPLE]
    before = history.states[0]
    for after in history.states[1:]:
        viewer = view.Viewer(before, after)
        for person_id, role in viewers:
            old, new = view.view(before, person_id, role), view.view(after, person_id, role)
            assert _applied(old, view.patch(old, new)) == new
            assert _applied(old, viewer.patch(person_id, role)) == new
            if role is not Role.MODERATOR:
                _leaks_nothing(new, person_id)
        before = after


@settings(max_examples=60, deadline=None)
@given(histories)
def test_the_texts_that_browsers_get_say_what_views_and_patches_say(steps: list[Step]) -> None:
    history = told(steps)
    viewers = [(_id(actor), actor.role or Role.GUEST) for actor in PEOPLE]
    before = history.states[0]
    for after in history.states[1:]:
        events = tuple(r for r in history.log if before.seq < r.seq <= after.seq)
        lens, portrait = Lens(Committed(events, before, after)), Portrait(after)
        for person_id, role in viewers:
            seen = view.view(after, person_id, role)
            assert json.loads(portrait.text(person_id, role)) == seen
            frames = [json.loads(text) for text in lens.frames(person_id, role, before.seq)]
            assert all(frame["patch"] is None for frame in frames[:-1])
            patch = frames[-1]["patch"] if frames else None
            assert _applied(view.view(before, person_id, role), patch) == seen
        before = after


def _applied(old: view.View, patch: view.View | None) -> view.View:
    merged = {key: dict(value) if key in view.COLLECTIONS else value for key, value in old.items()}
    for key, value in (patch or {}).items():
        if key not in view.COLLECTIONS:
            merged[key] = value
            continue
        for entity_id, entity in value.items():
            if entity is None:
                merged[key].pop(entity_id, None)
            else:
                merged[key][entity_id] = entity
    return merged


def _leaks_nothing(seen: view.View, person_id: PersonId) -> None:
    room_id = seen["you"]["room_id"]
    for person in seen["people"].values():
        if person["room_id"] != room_id:
            assert not (person["mic"] or person["camera"] or person["screen"] or person["hand_raised_at"])
    assert all(call["person_id"] == person_id for call in seen["calls"].values())
    assert all(set(t["moves"]) <= {person_id} for t in seen["transitions"].values())
    for recording in seen["recordings"].values():
        assert recording["room_id"] == room_id
        assert set(recording) == {"recording_id", "room_id", "status", "desired"}


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 2**32))
def test_auto_shuffle_and_next_keep_rooms_even(rooms: int, people: int, seed: int) -> None:
    history = History()
    history.do(SYSTEM, c.OpenSession(COURSE, "BIO 101", "Room"))
    history.do(ALICE, c.EnterSession("Alice", Role.MODERATOR))
    for number in range(people):
        student = Actor(ActorKind.PERSON, PersonId(f"s{number:02}"), f"S{number}", Role.PARTICIPANT, COURSE)
        history.do(student, c.EnterSession(student.name, Role.PARTICIPANT))
    assert history.do(ALICE, c.CreateRooms(rooms, countdown_s=0)) == "ok"
    assert history.do(ALICE, c.StartBreakout()) == "ok"

    def sizes() -> list[int]:
        places = [p.room_id for p in history.state.people.values() if p.role is not Role.MODERATOR]
        assert MAIN_ROOM not in places
        return [places.count(room.room_id) for room in history.state.breakout_rooms]

    def even() -> bool:
        return max(sizes()) - min(sizes()) <= 1 and sum(sizes()) == people

    assert even()
    assert history.do(ALICE, c.ShuffleParticipants(seed)) == "ok"
    assert even()
    before = sizes()
    assert history.do(ALICE, c.MoveToNextRoom()) == "ok"
    assert sizes() == before[-1:] + before[:-1]
