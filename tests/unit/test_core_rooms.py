"""Moves that are taken back, gatherings that end, rooms that are locked or removed, shared screens, answered calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from models.values import MAIN_ROOM, SYSTEM, AssignMode, CallStatus, PersonId, RecordingId, Role, RoomId
from rooms import commands as c
from rooms import events as e
from rooms import view
from tests.people import ALICE, BEA, BEN, BOB, CHARLIE
from tests.unit.test_core_properties import TARA, History, opened
from tests.unit.test_core_table import CONFIGURED, RUNNING, in_status

pytestmark = pytest.mark.unit
OK = "ok"
BOBS, BEAS, BENS = PersonId("bob"), PersonId("bea"), PersonId("ben")


def places(history: History) -> dict[PersonId, tuple[RoomId, RoomId | None]]:
    """Where everybody is and is assigned."""
    return {k: (p.room_id, p.assigned_room_id) for k, p in history.state.people.items()}


@pytest.mark.parametrize(
    "command", [c.ShuffleParticipants(3), c.MoveToNextRoom(), c.GatherEveryone(), None], ids=str
)
def test_every_kind_of_move_can_be_taken_back_while_its_countdown_runs(command: c.Command | None) -> None:
    history = in_status(RUNNING)
    before = places(history)
    rooms = [room.room_id for room in history.state.breakout_rooms]
    other = next(room for room in rooms if room != before[BOBS][0])
    assert history.do(ALICE, command or c.MoveParticipant(BOBS, other)) == OK
    (transition,) = history.state.transitions
    history.wait(3)
    assert history.do(TARA, c.CancelMoves(transition)) == OK
    assert not history.state.transitions
    history.wait(30)
    assert places(history) == before
    assert history.do(ALICE, c.CancelMoves(transition)) == "no_countdown"


def test_taking_back_the_second_of_two_moves_gives_the_place_before_both() -> None:
    history = in_status(RUNNING)
    before = places(history)
    history.do(ALICE, c.MoveToNextRoom())
    history.wait(2)
    history.do(ALICE, c.GatherEveryone())
    history.do(ALICE, c.MoveToNextRoom())
    assert history.do(ALICE, c.CancelMoves()) == OK
    assert places(history) == before


def test_who_would_have_moved_is_told_and_nobody_else() -> None:
    history = in_status(RUNNING)
    room = next(
        r.room_id for r in history.state.breakout_rooms if r.room_id != history.state.people[BOBS].room_id
    )
    history.do(ALICE, c.MoveParticipant(BOBS, room))
    history.do(ALICE, c.CancelMoves())
    last = history.log[-1]
    tell = [
        view.announcement(last, history.state, who, role)
        for who, role in (
            (BOBS, Role.PARTICIPANT),
            (BEAS, Role.PARTICIPANT),
            (PersonId("tara"), Role.MODERATOR),
        )
    ]
    assert tell == [{"kind": "moves"}, None, {"kind": "moves", "people": 1}]


def test_after_a_gathering_everybody_goes_back_to_their_room() -> None:
    history = in_status(RUNNING)
    before = places(history)
    history.do(ALICE, c.GatherEveryone())
    history.wait(5)
    assert {p.room_id for p in history.state.people.values()} == {MAIN_ROOM}
    assert history.do(ALICE, c.SendEveryoneBack()) == OK
    assert {p.room_id for p in history.state.people.values()} == {MAIN_ROOM}, "after the countdown only"
    history.wait(5)
    assert places(history) == before


def test_sending_back_during_the_countdown_of_a_gathering_keeps_everybody_in_their_rooms() -> None:
    history = in_status(RUNNING)
    before = places(history)
    history.do(ALICE, c.GatherEveryone())
    history.do(ALICE, c.SendEveryoneBack())
    history.wait(30)
    assert places(history) == before


def test_the_rest_is_dealt_into_the_smallest_rooms_before_and_during_a_breakout() -> None:
    history = opened()
    history.do(ALICE, c.CreateRooms(2, AssignMode.MANUAL))
    first, second = (room.room_id for room in history.state.breakout_rooms)
    history.do(ALICE, c.AssignParticipant(BOBS, first))
    assert history.do(ALICE, c.AssignRest()) == OK
    assert history.state.people[BEAS].assigned_room_id == second
    assert all(history.state.people[PersonId(k)].assigned_room_id is None for k in ("alice", "tara"))
    history.do(ALICE, c.StartBreakout())
    history.wait(5)
    history.do(BEN, c.EnterSession("Ben", Role.PARTICIPANT))
    assert history.state.people[BENS].assigned_room_id is None, "assigned by hand"
    history.do(ALICE, c.AssignRest())
    history.wait(5)
    assert history.state.people[BENS].room_id == first


def test_somebody_moved_to_the_main_room_stays_there_in_the_next_breakout_until_the_rest_is_assigned() -> (
    None
):
    history = in_status(RUNNING)
    history.do(ALICE, c.MoveParticipant(BOBS, MAIN_ROOM))
    history.wait(5)
    history.do(ALICE, c.EndBreakout())
    history.wait(5)
    history.do(BEN, c.EnterSession("Ben", Role.PARTICIPANT))
    assert history.do(ALICE, c.StartBreakout()) == OK
    history.wait(5)
    assert history.state.people[BOBS].room_id == MAIN_ROOM != history.state.people[BENS].room_id
    assert history.do(ALICE, c.AssignRest()) == OK
    history.wait(5)
    assert history.state.people[BOBS].room_id != MAIN_ROOM


def test_options_change_before_the_start_and_the_way_back_also_later() -> None:
    history = in_status(CONFIGURED)
    change = c.SetBreakoutOptions(time_limit_s=0, countdown_s=2, may_return=False, record=True)
    assert history.do(ALICE, change) == OK
    breakout = history.state.breakout
    assert (breakout.time_limit_s, breakout.countdown_s, breakout.may_return, breakout.record) == (
        None,
        2,
        False,
        True,
    )
    count = len(history.log)
    assert history.do(ALICE, change) == OK and len(history.log) == count, "nothing changed"
    assert history.do(ALICE, c.SetBreakoutOptions(time_limit_s=5)) == "bad_value"
    history.do(ALICE, c.StartBreakout())
    history.wait(2)
    assert history.state.recordings, "the option to record counts when it starts"
    assert history.do(BOB, c.JoinRoom(MAIN_ROOM)) == "not_allowed"
    assert history.do(ALICE, c.SetBreakoutOptions(may_return=True)) == OK
    assert history.do(BOB, c.JoinRoom(MAIN_ROOM)) == OK
    for late in (c.SetBreakoutOptions(time_limit_s=60), c.SetBreakoutOptions(record=False)):
        assert history.do(ALICE, late) == "already_running"


def test_rooms_made_with_record_are_recorded_without_saying_so_again() -> None:
    history = opened()
    history.do(ALICE, c.CreateRooms(2, record=True))
    history.do(ALICE, c.StartBreakout())
    history.wait(5)
    assert {r.room_id for r in history.state.recordings.values()} == {
        r.room_id for r in history.state.breakout_rooms
    }


def test_an_empty_room_is_removed_with_everything_that_points_to_it() -> None:
    history = in_status(RUNNING)
    history.do(ALICE, c.AddRooms())
    added = history.state.breakout_rooms[-1].room_id
    history.do(ALICE, c.AssignParticipant(PersonId("zoe"), added))
    history.do(ALICE, c.StartRecording(added))
    history.do(ALICE, c.MoveParticipant(BOBS, added))
    assert history.do(ALICE, c.RemoveRoom(added)) == OK
    history.wait(10)
    state = history.state
    assert added not in state.rooms and state.people[BOBS].room_id in state.rooms
    assert PersonId("zoe") not in state.expected
    assert [r.desired for r in state.recordings.values()] == ["stopped"]
    assert history.do(ALICE, c.RemoveRoom(added)) == "room_unknown"
    assert history.do(ALICE, c.RemoveRoom(state.people[BOBS].room_id)) == "room_occupied"


def test_a_room_of_people_who_are_offline_can_go_and_one_room_always_stays() -> None:
    history = in_status(RUNNING)
    room = history.state.people[BOBS].room_id
    history.do(SYSTEM, c.LeaveSession(BOBS))
    assert history.do(ALICE, c.RemoveRoom(room)) == OK
    assert history.state.people[BOBS].room_id == MAIN_ROOM
    assert history.do(ALICE, c.RemoveRoom(history.state.breakout_rooms[0].room_id)) == "not_allowed"


def test_numbers_of_removed_rooms_are_used_again_when_a_hundred_is_reached() -> None:
    history = opened()
    history.do(ALICE, c.CreateRooms(100, AssignMode.MANUAL))
    second = history.state.breakout_rooms[1].room_id
    assert history.do(ALICE, c.AddRooms()) == "bad_value"
    history.do(ALICE, c.RemoveRoom(second))
    assert history.do(ALICE, c.AddRooms()) == OK
    assert [room.number for room in history.state.breakout_rooms] == list(range(1, 101))


def test_a_locked_session_lets_back_in_who_was_inside_and_moderators_and_nobody_new() -> None:
    history = opened()
    history.do(SYSTEM, c.LeaveSession(BOBS))
    assert history.do(ALICE, c.LockRoom(MAIN_ROOM, True)) == OK
    assert history.do(BEN, c.EnterSession("Ben", Role.PARTICIPANT)) == "locked"
    assert history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT)) == OK
    assert history.do(TARA, c.EnterSession("Tara", Role.MODERATOR)) == OK
    history.do(ALICE, c.LockRoom(MAIN_ROOM, False))
    assert history.do(BEN, c.EnterSession("Ben", Role.PARTICIPANT)) == OK


def test_a_locked_breakout_room_is_joined_only_by_who_is_assigned_to_it() -> None:
    history = opened()
    history.do(ALICE, c.CreateRooms(2, AssignMode.SELF))
    history.do(ALICE, c.StartBreakout())
    history.wait(5)
    first = history.state.breakout_rooms[0].room_id
    history.do(BOB, c.JoinRoom(first))
    history.do(BOB, c.JoinRoom(MAIN_ROOM))
    history.do(ALICE, c.LockRoom(first, True))
    assert history.do(BEA, c.JoinRoom(first)) == "locked"
    assert history.do(BOB, c.JoinRoom(first)) == OK
    assert history.do(ALICE, c.JoinRoom(first)) == OK


def test_a_share_ends_by_a_moderator_and_only_moderators_share_where_the_course_says_so() -> None:
    history = opened()
    history.do(BOB, c.SetMedia(screen=True))
    began = history.state.people[BOBS].screen_since
    history.now += timedelta(seconds=5)
    history.do(BOB, c.SetMedia(mic=True))
    assert began is not None and history.state.people[BOBS].screen_since == began
    assert history.do(ALICE, c.StopSharing(BOBS)) == OK
    bob = history.state.people[BOBS]
    assert (bob.screen, bob.screen_since, bob.mic) == (False, None, True)
    assert history.do(BOB, c.SetMedia(screen=True)) == OK
    history.do(ALICE, c.SetMedia(screen=True))
    history.do(ALICE, c.SetSharing("moderators"))
    assert not history.state.people[BOBS].screen and history.state.people[PersonId("alice")].screen
    assert history.do(BOB, c.SetMedia(screen=True)) == "sharing_off"
    assert history.do(BOB, c.SetMedia(mic=False)) == OK
    history.do(ALICE, c.SetSharing("everyone"))
    assert history.do(BOB, c.SetMedia(screen=True)) == OK


def test_the_courses_choice_who_shares_holds_from_the_first_moment() -> None:
    history = History()
    history.do(SYSTEM, c.OpenSession("bio101", "BIO 101", "Room", sharing="moderators"))
    history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT))
    assert history.do(BOB, c.SetMedia(screen=True)) == "sharing_off"
    assert view.view(history.state, BOBS, Role.PARTICIPANT)["session"]["sharing"] == "moderators"


def test_an_answered_call_is_done_and_an_unanswered_one_dismissed_and_the_caller_hears_which() -> None:
    history = in_status(RUNNING)
    (first,) = history.state.calls
    history.do(ALICE, c.DismissCall(first))
    assert history.state.calls[first].status is CallStatus.DISMISSED
    told = view.announcement(history.log[-1], history.state, BOBS, Role.PARTICIPANT)
    assert told is not None and (told["status"], told["handled_by"]) == ("dismissed", "alice")
    history.do(BOB, c.CallModerator())
    second = next(call for call in history.state.calls if call != first)
    history.do(ALICE, c.ClaimCall(second))
    history.do(ALICE, c.DismissCall(second))
    assert history.state.calls[second].status is CallStatus.DONE
    told = view.announcement(history.log[-1], history.state, BOBS, Role.PARTICIPANT)
    assert told is not None and (told["status"], told["marked"]) == ("done", True)
    history.do(BOB, c.CallModerator())
    history.do(BOB, c.CancelCall())
    told = view.announcement(history.log[-1], history.state, BOBS, Role.PARTICIPANT)
    assert told is not None and (told["status"], told["marked"]) == ("done", False)


def test_stopping_all_rooms_leaves_the_main_rooms_recording_alone() -> None:
    history = in_status(RUNNING)
    assert history.do(ALICE, c.StopRecording(all_rooms=True)) == "nothing_recording"
    history.do(ALICE, c.StartRecording(MAIN_ROOM))
    history.do(ALICE, c.StartRecording(all_rooms=True))
    assert history.do(ALICE, c.StopRecording(all_rooms=True)) == OK
    desired = {r.room_id == MAIN_ROOM: r.desired for r in history.state.recordings.values()}
    assert desired == {True: "recording", False: "stopped"}
    assert history.state.record_all is None, "rooms that are entered later are not recorded"
    assert history.do(CHARLIE, c.StopRecording(RecordingId("x"), all_rooms=True)) == "other_course"


def test_added_time_says_who_added_it() -> None:
    history = in_status(RUNNING)
    history.do(ALICE, c.AddTime(-60))
    event = history.log[-1].event
    assert isinstance(event, e.TimeAdded) and (event.seconds, event.name) == (-60, "Alice")
    told = view.announcement(history.log[-1], history.state, BOBS, Role.PARTICIPANT)
    assert told is not None and told["name"] == "Alice"


def test_who_has_just_lost_the_right_takes_nothing_back_and_locks_nothing() -> None:
    """Tara moderated until a moment ago: the door now proves another role."""
    history = in_status(RUNNING)
    history.do(ALICE, c.GatherEveryone())
    demoted = replace(TARA, role=Role.PARTICIPANT)
    room = history.state.breakout_rooms[0].room_id
    asked: tuple[c.Command, ...] = (
        c.CancelMoves(),
        c.SendEveryoneBack(),
        c.AssignRest(),
        c.RemoveRoom(room),
        c.LockRoom(MAIN_ROOM, True),
        c.SetSharing("moderators"),
        c.StopSharing(BOBS),
        c.SetBreakoutOptions(may_return=False),
    )
    before = history.state
    for command in asked:
        assert history.do(demoted, command) == "not_moderator", command
        assert history.do(CHARLIE, command) == "other_course", command
    assert history.state == before
