"""Ready-made groups as breakout rooms: members go to their room whenever they come; nobody else is moved about."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.values import MAIN_ROOM, SYSTEM, Actor, ActorKind, AssignMode, PersonId, Role, RoomId
from rooms import commands as c
from rooms.view import view
from tests.people import ALICE, BEA, BEN, BOB, CHARLIE, COURSE
from tests.unit.test_core_properties import TARA, History, opened

pytestmark = pytest.mark.unit
STUDENTS = tuple(
    Actor(ActorKind.PERSON, PersonId(f"s{number:02}"), f"S{number}", Role.PARTICIPANT, COURSE)
    for number in range(12)
)


def _id(actor: Actor) -> PersonId:
    assert actor.person_id is not None
    return actor.person_id


def enter(history: History, actor: Actor) -> None:
    assert history.do(actor, c.EnterSession(actor.name, actor.role or Role.GUEST)) == "ok"


def room_of(history: History, actor: Actor) -> RoomId:
    return history.state.people[_id(actor)].room_id


GROUPS = st.lists(st.lists(st.sampled_from([_id(s) for s in STUDENTS]), max_size=6), min_size=1, max_size=5)
ARRIVALS = st.lists(st.integers(0, 3), min_size=len(STUDENTS), max_size=len(STUDENTS))
"""When each student comes: before the rooms are made, after that, during the countdown, while it runs."""


@settings(max_examples=150, deadline=None)
@given(GROUPS, ARRIVALS, st.sampled_from([0, 3]), st.sampled_from([AssignMode.MANUAL, AssignMode.AUTO]))
def test_everybody_ends_in_the_first_group_that_names_them_whenever_they_come(
    groups: list[list[PersonId]], arrivals: list[int], countdown_s: int, assign: AssignMode
) -> None:
    history = History()
    history.do(SYSTEM, c.OpenSession(COURSE, "BIO 101", "Room"))
    enter(history, ALICE)

    def come(when: int) -> None:
        for student, at in zip(STUDENTS, arrivals, strict=True):
            if at == when:
                enter(history, student)

    come(0)
    members = tuple(tuple(group) for group in groups)
    create = c.CreateRooms(len(groups), assign, countdown_s=countdown_s, members=members)
    assert history.do(ALICE, create) == "ok"
    come(1)
    assert history.do(ALICE, c.StartBreakout()) == "ok"
    come(2)
    history.wait(countdown_s)
    come(3)
    history.wait(countdown_s)
    rooms = history.state.breakout_rooms
    wanted = {
        p: room.room_id for room, group in reversed(list(zip(rooms, groups, strict=True))) for p in group
    }
    assert not history.state.expected
    for student in STUDENTS:
        if _id(student) in wanted:
            assert room_of(history, student) == wanted[_id(student)]
        elif assign is AssignMode.MANUAL:
            assert room_of(history, student) == MAIN_ROOM
        else:
            assert room_of(history, student) != MAIN_ROOM
    assert room_of(history, ALICE) == MAIN_ROOM


@settings(max_examples=100, deadline=None)
@given(GROUPS, st.integers(0, 12))
def test_automatic_assignment_fills_up_the_smallest_groups(groups: list[list[PersonId]], here: int) -> None:
    history = History()
    history.do(SYSTEM, c.OpenSession(COURSE, "BIO 101", "Room"))
    enter(history, ALICE)
    for student in STUDENTS[:here]:
        enter(history, student)
    members = tuple(tuple(group) for group in groups)
    assert history.do(ALICE, c.CreateRooms(len(groups), members=members)) == "ok"
    grouped = {p for group in groups for p in group}
    plan = {p.person_id: p.assigned_room_id for p in history.state.people.values()}
    plan |= dict(history.state.expected)
    rooms = [room.room_id for room in history.state.breakout_rooms]
    assert all(plan[_id(s)] in rooms for s in STUDENTS[:here]), "nobody here is left out"
    sizes = {room: list(plan.values()).count(room) for room in rooms}
    dealt = {plan[_id(s)] for s in STUDENTS[:here] if _id(s) not in grouped}
    # A room that got somebody beside its group is at most one larger than the smallest.
    assert all(sizes[room] - min(sizes.values()) <= 1 for room in rooms if room in dealt)


def test_who_may_choose_a_room_is_not_moved() -> None:
    history = opened()
    create = c.CreateRooms(2, AssignMode.SELF, countdown_s=0, members=((), (_id(BEN),)))
    assert history.do(ALICE, create) == "ok"
    assert history.do(ALICE, c.StartBreakout()) == "ok"
    enter(history, BEN)
    assert room_of(history, BEN) == MAIN_ROOM
    assert history.state.people[_id(BEN)].assigned_room_id == history.state.breakout_rooms[1].room_id


def test_moderators_stay_out_of_groups_also_when_they_come_late() -> None:
    history = opened()
    late = Actor(ActorKind.PERSON, PersonId("late"), "Late", Role.MODERATOR, COURSE)
    members = ((_id(ALICE), _id(TARA), _id(late), _id(BOB)),)
    assert history.do(ALICE, c.CreateRooms(1, AssignMode.MANUAL, countdown_s=0, members=members)) == "ok"
    assert history.do(ALICE, c.StartBreakout()) == "ok"
    enter(history, late)
    assert room_of(history, BOB) != MAIN_ROOM
    assert {room_of(history, a) for a in (ALICE, TARA, late)} == {MAIN_ROOM}
    assert history.state.people[_id(late)].assigned_room_id is None


def test_somebody_not_here_yet_is_assigned_and_taken_back_also_while_it_runs() -> None:
    history = opened()
    assert history.do(ALICE, c.AssignParticipant(_id(BEN), None)) == "no_rooms"
    history.do(ALICE, c.CreateRooms(2, AssignMode.MANUAL, countdown_s=0))
    first, second = (room.room_id for room in history.state.breakout_rooms)
    assert history.do(ALICE, c.AssignParticipant(_id(BEN), first)) == "ok"
    assert history.state.expected == {_id(BEN): first}
    assert history.do(ALICE, c.AssignParticipant(_id(BEN), MAIN_ROOM)) == "bad_value"
    history.do(ALICE, c.StartBreakout())
    assert history.do(ALICE, c.AssignParticipant(_id(BEN), second)) == "ok"
    enter(history, BEN)
    assert (room_of(history, BEN), dict(history.state.expected)) == (second, {})
    assert history.do(ALICE, c.AssignParticipant(_id(BEN), first)) == "already_running"


def test_who_was_removed_is_not_expected_any_more() -> None:
    history = opened()
    history.do(ALICE, c.RemoveParticipant(_id(BOB)))
    assert history.do(ALICE, c.CreateRooms(1, members=((_id(BOB), _id(BEN)),))) == "ok"
    assert set(history.state.expected) == {_id(BEN)}
    room_id = history.state.breakout_rooms[0].room_id
    assert history.do(ALICE, c.AssignParticipant(_id(BOB), room_id)) == "person_unknown"


MANY = tuple(tuple(PersonId(f"p{g}-{n}") for n in range(c.MAX_EXPECTED // 2)) for g in range(2))


@pytest.mark.parametrize(
    ("count", "members"),
    [
        (2, ((), (), ())),
        (1, ((PersonId(""),),)),
        (1, ((PersonId("x" * 65),),)),
        (3, (*MANY, (PersonId("one too many"),))),
    ],
)
def test_groups_that_do_not_fit_are_refused(count: int, members: tuple[tuple[PersonId, ...], ...]) -> None:
    history = opened()
    assert history.do(ALICE, c.CreateRooms(count, members=members)) == "bad_value"
    assert not history.state.breakout_rooms


def test_groups_are_the_moderators_business() -> None:
    history = opened()
    create = c.CreateRooms(1, AssignMode.MANUAL, members=((_id(BEN),),))
    assert history.do(BOB, create) == "not_moderator"
    assert history.do(CHARLIE, create) == "other_course"
    assert history.do(ALICE, create) == "ok"
    assert history.do(BOB, c.AssignParticipant(_id(BEN), None)) == "not_moderator"
    assert history.do(CHARLIE, c.AssignParticipant(_id(BEN), None)) == "other_course"
    seen = view(history.state, _id(ALICE), Role.MODERATOR)["expected"]
    assert seen == {_id(BEN): {"person_id": _id(BEN), "room_id": history.state.breakout_rooms[0].room_id}}
    assert "expected" not in view(history.state, _id(BEA), Role.PARTICIPANT)
