"""Every command in every state of a breakout: allowed or refused with its code, on purpose. And who may ask at all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.values import (
    MAIN_ROOM,
    SYSTEM,
    Actor,
    ActorKind,
    AssignMode,
    BreakoutStatus,
    CallId,
    CallStatus,
    PersonId,
    RecordingId,
    RecordingStatus,
    Role,
    RoomId,
)
from rooms import commands as c
from rooms import events as e
from rooms.commands import Command
from rooms.core import DECIDERS
from rooms.decide_recording import REPORTS
from rooms.evolve import EVOLVERS
from rooms.policy import RULES
from rooms.wire import CLIENT_COMMANDS, COMMANDS, EVENTS, command_from_json, command_name
from tests.people import ALICE, BEA, BEN, BOB, CHARLIE, COURSE, KEY
from tests.unit.test_core_properties import TARA, History, opened

pytestmark = pytest.mark.unit
NONE, CONFIGURED, STARTING, RUNNING, CLOSING = BreakoutStatus
OK = "ok"


def in_status(status: BreakoutStatus) -> History:
    """A session with Alice, Tara, Bob and Bea whose breakout is in this status; Bob has called for help when possible."""
    history = opened()
    if status is NONE:
        return history
    history.do(ALICE, c.CreateRooms(2, time_limit_s=600))
    if status is CONFIGURED:
        return history
    history.do(ALICE, c.StartBreakout())
    if status is STARTING:
        return history
    history.wait(5)
    history.do(BOB, c.CallModerator())
    if status is CLOSING:
        history.do(ALICE, c.EndBreakout())
    assert history.state.breakout.status is status
    return history


def moderators_commands(history: History) -> dict[str, Command]:
    """One good example of each moderator's command for this state."""
    rooms = history.state.breakout_rooms
    room_id = rooms[-1].room_id if rooms else MAIN_ROOM
    call_id = next(iter(history.state.calls), CallId("none"))
    bob = PersonId("bob")
    return {
        "create_rooms": c.CreateRooms(3),
        "keep_rooms": c.KeepRooms(),
        "add_rooms": c.AddRooms(2),
        "set_breakout_options": c.SetBreakoutOptions(may_return=False),
        "assign_rest": c.AssignRest(),
        "remove_room": c.RemoveRoom(room_id),
        "rename_room": c.RenameRoom(room_id, "Library"),
        "assign_participant": c.AssignParticipant(bob, room_id),
        "start_breakout": c.StartBreakout(),
        "broadcast_message": c.BroadcastMessage("Hello"),
        "add_time": c.AddTime(60),
        "claim_call": c.ClaimCall(call_id),
        "dismiss_call": c.DismissCall(call_id),
        "move_participant": c.MoveParticipant(bob, room_id),
        "shuffle_participants": c.ShuffleParticipants(1),
        "move_to_next_room": c.MoveToNextRoom(),
        "gather_everyone": c.GatherEveryone(),
        "send_everyone_back": c.SendEveryoneBack(),
        "cancel_moves": c.CancelMoves(),
        "end_breakout": c.EndBreakout(),
        "start_recording": c.StartRecording(MAIN_ROOM),
        "pause_recording": c.PauseRecording(),
        "resume_recording": c.ResumeRecording(),
        "stop_recording": c.StopRecording(),
        "set_recording_layout": c.SetRecordingLayout("speaker"),
        "remove_participant": c.RemoveParticipant(bob),
        "mute_participant": c.MuteParticipant(),
        "set_sharing": c.SetSharing("moderators"),
        "stop_sharing": c.StopSharing(bob),
        "lock_room": c.LockRoom(room_id, True),
        "lower_hands": c.LowerHands(),
        "end_session": c.EndSession(),
    }


#                        none              configured        starting           running            closing
TABLE: dict[str, tuple[str, str, str, str, str]] = {
    "create_rooms": (OK, OK, "already_running", "already_running", "already_running"),
    "keep_rooms": ("no_rooms", OK, "already_running", "already_running", "already_running"),
    "add_rooms": ("no_rooms", OK, OK, OK, "closing"),
    "set_breakout_options": ("no_rooms", OK, OK, OK, "closing"),
    "assign_rest": ("no_rooms", OK, OK, OK, "closing"),
    "remove_room": ("not_allowed", OK, OK, "room_occupied", "closing"),
    "rename_room": ("not_allowed", OK, OK, OK, OK),
    "assign_participant": ("no_rooms", OK, OK, "already_running", "closing"),
    "start_breakout": ("no_rooms", OK, "already_running", "already_running", "closing"),
    "broadcast_message": ("not_running", "not_running", "not_running", OK, OK),
    "add_time": ("not_running", "not_running", "not_running", OK, "closing"),
    "claim_call": ("call_unknown", "call_unknown", "call_unknown", OK, OK),
    "dismiss_call": ("call_unknown", "call_unknown", "call_unknown", OK, OK),
    "move_participant": ("not_running", OK, OK, OK, "closing"),
    "shuffle_participants": ("not_running", OK, OK, OK, "closing"),
    "move_to_next_room": ("not_running", "not_running", "not_running", OK, "closing"),
    "gather_everyone": ("not_running", "not_running", "not_running", OK, "closing"),
    "send_everyone_back": ("not_running", "not_running", "not_running", OK, "closing"),
    "cancel_moves": ("no_countdown",) * 5,
    "end_breakout": ("not_running", "not_running", OK, OK, "closing"),
    "start_recording": (OK, OK, OK, OK, OK),
    "pause_recording": ("nothing_recording",) * 5,
    "resume_recording": ("nothing_recording",) * 5,
    "stop_recording": ("nothing_recording",) * 5,
    "set_recording_layout": ("nothing_recording",) * 5,
    "remove_participant": (OK, OK, OK, OK, OK),
    "mute_participant": (OK, OK, OK, OK, OK),
    "set_sharing": (OK, OK, OK, OK, OK),
    "stop_sharing": (OK, OK, OK, OK, OK),
    "lock_room": (OK, OK, OK, OK, OK),
    "lower_hands": (OK, OK, OK, OK, OK),
    "end_session": (OK, OK, OK, OK, OK),
}
OTHERS = {
    "set_media",
    "set_hand",
    "send_chat",
    "join_room",
    "call_moderator",
    "cancel_call",
    "set_recording_consent",
}
"""What everybody in the room may ask."""


@pytest.mark.parametrize("status", list(BreakoutStatus))
def test_every_pair_of_command_and_status_is_decided_on_purpose(status: BreakoutStatus) -> None:
    column = list(BreakoutStatus).index(status)
    assert set(TABLE) | OTHERS == CLIENT_COMMANDS
    for name, row in TABLE.items():
        history = in_status(status)
        command = moderators_commands(history)[name]
        assert command_name(command) == name
        assert history.do(ALICE, command) == row[column], f"{name} while {status}"


#                                  none              configured        starting          running           closing
ANYBODYS: dict[str, tuple[Command, tuple[str, str, str, str, str]]] = {
    "set_media": (c.SetMedia(mic=True), (OK,) * 5),
    "set_hand": (c.SetHand(True), (OK,) * 5),
    "send_chat": (c.SendChat("hello"), (OK,) * 5),
    "call_moderator": (c.CallModerator(), ("not_running",) * 3 + ("already_called",) * 2),
    "set_recording_consent": (c.SetRecordingConsent(True), (OK,) * 5),
    "cancel_call": (c.CancelCall(), ("call_unknown",) * 3 + (OK,) * 2),
}
OURS: dict[str, tuple[Command, tuple[str, str, str, str, str]]] = {
    "open_session": (c.OpenSession("bio101", "BIO 101", "Room"), ("already_open",) * 5),
    "leave_session": (c.LeaveSession(PersonId("bea")), (OK,) * 5),
    "complete_transition": (c.CompleteTransition("long-gone"), ("stale_alarm",) * 5),
    "time_is_up": (c.TimeIsUp("2020-01-01T00:00:00+00:00"), ("stale_alarm",) * 5),
    "report_recording": (c.ReportRecording(RecordingId("none"), "RECORDING"), ("recording_unknown",) * 5),
    "warn_of_recording": (
        c.WarnOfRecording(RecordingId("none"), "microphone_silent", PersonId("bea"), True),
        ("recording_unknown",) * 5,
    ),
    "report_film": (c.ReportFilm(RecordingId("none"), "c1", "film.mp4"), ("recording_unknown",) * 5),
    "expire_recording": (c.ExpireRecording(RecordingId("none"), "empty"), ("recording_unknown",) * 5),
}


@pytest.mark.parametrize("status", list(BreakoutStatus))
def test_what_everybody_and_our_own_processes_ask_is_decided_on_purpose(status: BreakoutStatus) -> None:
    column = list(BreakoutStatus).index(status)
    assert set(ANYBODYS) | {"join_room"} == OTHERS
    assert set(OURS) | {"enter_session"} == set(COMMANDS) - CLIENT_COMMANDS
    for name, (command, row) in ANYBODYS.items():
        assert in_status(status).do(BOB, command) == row[column], f"{name} while {status}"
        assert in_status(status).do(CHARLIE, command) == "other_course"
    for name, (command, row) in OURS.items():
        assert in_status(status).do(SYSTEM, command) == row[column], f"{name} while {status}"
        if name != "leave_session":
            assert in_status(status).do(ALICE, command) == "not_allowed"
    assert in_status(status).do(BEN, c.EnterSession("Ben", Role.PARTICIPANT)) == OK


@pytest.mark.parametrize("status", list(BreakoutStatus))
def test_no_moderators_command_is_for_students_or_strangers(status: BreakoutStatus) -> None:
    for name in TABLE:
        history = in_status(status)
        before = history.state
        command = moderators_commands(history)[name]
        assert history.do(BOB, command) == "not_moderator", name
        assert history.do(CHARLIE, command) == "other_course", name
        assert history.state == before


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (NONE, "room_unknown"),
        (CONFIGURED, "not_running"),
        (STARTING, "not_running"),
        (RUNNING, OK),
        (CLOSING, "closing"),
    ],
)
def test_joining_a_breakout_room_needs_a_running_breakout(status: BreakoutStatus, expected: str) -> None:
    history = in_status(status)
    rooms = history.state.breakout_rooms
    assert history.do(ALICE, c.JoinRoom(rooms[0].room_id if rooms else RoomId("r1"))) == expected


def test_a_student_goes_only_where_the_rules_let_them() -> None:
    history = in_status(RUNNING)
    mine = history.state.people[PersonId("bob")].room_id
    other = next(r.room_id for r in history.state.breakout_rooms if r.room_id != mine)
    assert history.do(BOB, c.JoinRoom(other)) == "not_allowed"
    assert history.do(BOB, c.JoinRoom(MAIN_ROOM)) == OK
    assert history.do(BOB, c.JoinRoom(mine)) == OK
    chosen = opened()
    chosen.do(ALICE, c.CreateRooms(2, AssignMode.SELF, may_return=False))
    chosen.do(ALICE, c.StartBreakout())
    chosen.wait(5)
    assert chosen.do(BOB, c.JoinRoom(chosen.state.breakout_rooms[1].room_id)) == OK
    assert chosen.do(BOB, c.JoinRoom(chosen.state.breakout_rooms[0].room_id)) == OK
    assert chosen.do(BOB, c.JoinRoom(MAIN_ROOM)) == "not_allowed"


def test_the_first_claim_of_a_help_call_wins_and_brings_the_moderator() -> None:
    history = in_status(RUNNING)
    (call_id,) = history.state.calls
    assert history.do(BOB, c.CallModerator()) == "already_called"
    assert history.do(TARA, c.ClaimCall(call_id)) == OK
    assert history.do(ALICE, c.ClaimCall(call_id)) == "already_claimed"
    people = history.state.people
    assert people[PersonId("tara")].room_id == people[PersonId("bob")].room_id
    assert history.do(TARA, c.JoinRoom(MAIN_ROOM)) == OK
    assert history.do(ALICE, c.DismissCall(call_id)) == "call_closed"


def test_the_time_limit_ends_the_breakout_with_a_countdown_for_everybody() -> None:
    history = in_status(RUNNING)
    history.do(SYSTEM, c.LeaveSession(PersonId("bea")))
    history.wait(595)
    assert history.state.breakout.status is RUNNING
    history.wait(6)
    assert history.state.breakout.status is CLOSING
    history.wait(5)
    assert history.state.breakout.status is CONFIGURED
    assert {p.room_id for p in history.state.people.values()} == {MAIN_ROOM}
    assert history.do(ALICE, c.KeepRooms()) == OK
    assert history.do(ALICE, c.StartBreakout()) == OK
    history.wait(5)
    assert history.state.breakout.run == 2
    assert history.state.people[PersonId("bob")].room_id != MAIN_ROOM


def test_late_people_are_placed_and_returning_people_keep_their_room() -> None:
    history = in_status(RUNNING)
    room_id = history.state.people[PersonId("bob")].room_id
    history.do(SYSTEM, c.LeaveSession(PersonId("bob")))
    assert history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT)) == OK
    assert history.state.people[PersonId("bob")].room_id == room_id
    assert history.do(BEN, c.EnterSession("Ben", Role.PARTICIPANT)) == OK
    assert history.state.people[PersonId("ben")].room_id == MAIN_ROOM
    history.wait(5)
    assert history.state.people[PersonId("ben")].room_id != MAIN_ROOM


def test_recordings_of_breakout_rooms_stop_with_the_breakout_the_main_rooms_goes_on() -> None:
    history = in_status(RUNNING)
    assert history.do(ALICE, c.StartRecording(all_rooms=True)) == OK
    assert history.do(ALICE, c.StartRecording(all_rooms=True)) == "already_recording"
    assert history.do(ALICE, c.StartRecording(MAIN_ROOM)) == OK
    assert len({r.parent_id for r in history.state.recordings.values() if r.room_id != MAIN_ROOM}) == 1
    history.do(ALICE, c.EndBreakout())
    history.wait(5)
    desired = {r.room_id == MAIN_ROOM: r.desired for r in history.state.recordings.values()}
    assert desired == {True: "recording", False: "stopped"}


@pytest.mark.parametrize("was", list(RecordingStatus))
@pytest.mark.parametrize("reported", list(RecordingStatus))
def test_reports_follow_the_table_of_recording_states(
    was: RecordingStatus, reported: RecordingStatus
) -> None:
    roads: dict[RecordingStatus, list[str]] = {
        RecordingStatus.INVOKED: [],
        RecordingStatus.RECORDING: ["RECORDING"],
        RecordingStatus.PAUSED: ["RECORDING", "PAUSED"],
        RecordingStatus.UPLOADING: ["RECORDING", "UPLOADING"],
        RecordingStatus.UPLOADED: ["RECORDING", "UPLOADING", "UPLOADED"],
        RecordingStatus.ERRORED: ["ERRORED"],
    }
    history = opened()
    history.do(ALICE, c.StartRecording(MAIN_ROOM))
    (recording_id,) = history.state.recordings
    for step in roads[was]:
        assert history.do(SYSTEM, c.ReportRecording(recording_id, step)) == OK
    expected = OK if reported in REPORTS[was] else "stale_report"
    assert history.do(SYSTEM, c.ReportRecording(recording_id, reported.value)) == expected
    assert history.do(ALICE, c.ReportRecording(recording_id, reported.value)) == "not_allowed"


ACTIONS: dict[str, tuple[type[Command], tuple[str, str, str, str]]] = {
    #                              recording         paused            stopped              finished
    "pause": (c.PauseRecording, (OK, "already_paused", "nothing_recording", "nothing_recording")),
    "resume": (c.ResumeRecording, ("not_paused", OK, "nothing_recording", "nothing_recording")),
    "stop": (c.StopRecording, (OK, OK, "nothing_recording", "nothing_recording")),
}


@pytest.mark.parametrize("action", list(ACTIONS))
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("named", [True, False])
def test_every_recording_action_in_every_state(action: str, column: int, named: bool) -> None:
    kind, expected = ACTIONS[action]
    history = opened()
    history.do(ALICE, c.StartRecording(MAIN_ROOM))
    (recording_id,) = history.state.recordings
    if column == 1:
        history.do(ALICE, c.PauseRecording(recording_id))
    if column >= 2:
        history.do(ALICE, c.StopRecording(recording_id))
    if column == 3:
        history.do(SYSTEM, c.ReportRecording(recording_id, "UPLOADING"))
    target = recording_id if named else None
    assert history.do(ALICE, kind(target)) == expected[column]  # type: ignore[call-arg]
    assert history.do(ALICE, kind(RecordingId("other"))) == "recording_unknown"  # type: ignore[call-arg]
    assert history.do(BOB, kind(target)) == "not_moderator"  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "command",
    [
        c.CreateRooms(0),
        c.CreateRooms(101),
        c.CreateRooms(2, names=("a", "b", "c")),
        c.CreateRooms(2, names=("x" * 61,)),
        c.CreateRooms(2, names=("\x00\u200b",)),
        c.CreateRooms(2, time_limit_s=1),
        c.CreateRooms(2, countdown_s=121),
        c.SendChat(""),
        c.SendChat("x" * 1001),
    ],
)
def test_values_out_of_range_are_refused_and_change_nothing(command: Command) -> None:
    history = opened()
    before = history.state
    assert history.do(ALICE, command) == "bad_value"
    assert history.state == before


def test_limits_count_characters_as_people_do() -> None:
    """Sixty families are sixty characters, of seven code points each; they arrive whole."""
    family = "👨\u200d👩\u200d👧\u200d👦"
    history = opened()
    assert history.do(ALICE, c.CreateRooms(1, names=(family * 60,))) == OK
    assert [room.name for room in history.state.breakout_rooms] == [family * 60]
    assert history.do(ALICE, c.CreateRooms(1, names=(family * 61,))) == "bad_value"
    assert history.do(ALICE, command_from_json("send_chat", {"text": family * 1000})) == OK
    assert history.do(ALICE, c.SendChat(family * 1001)) == "bad_value"


def test_the_end_for_everyone_and_what_is_possible_after_it() -> None:
    history = in_status(RUNNING)
    history.do(ALICE, c.StartRecording(all_rooms=True))
    assert history.do(ALICE, c.EndSession()) == OK
    assert {r.desired for r in history.state.recordings.values()} == {"stopped"}
    assert all(p.room_id == MAIN_ROOM and not p.online for p in history.state.people.values())
    assert history.do(ALICE, c.EnterSession("Alice", Role.MODERATOR)) == "session_ended"
    recording_id = next(iter(history.state.recordings))
    assert history.do(SYSTEM, c.ReportRecording(recording_id, "UPLOADING")) == OK


def test_tables_cover_every_command_and_event() -> None:
    assert set(RULES) == set(DECIDERS) == set(COMMANDS.values())
    assert set(EVOLVERS) == set(EVENTS.values())
    assert COURSE != CHARLIE.course_id


def test_who_was_away_when_rooms_were_dealt_is_placed_on_return() -> None:
    history = opened()
    bob = PersonId("bob")
    assert history.do(BOB, c.LeaveSession(bob)) == OK
    assert history.do(ALICE, c.CreateRooms(2)) == OK
    assert history.do(ALICE, c.StartBreakout()) == OK
    history.wait(6)
    assert history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT)) == OK
    assert history.state.people[bob].room_id == MAIN_ROOM
    history.wait(6)
    # Bea has the first room; Bob gets the empty one.
    assert history.state.people[bob].room_id == history.state.breakout_rooms[1].room_id


def test_gathering_takes_back_a_move_out_of_the_main_room() -> None:
    history = in_status(RUNNING)
    bob = PersonId("bob")
    room_id = history.state.people[bob].room_id
    assert history.do(BOB, c.JoinRoom(MAIN_ROOM)) == OK
    assert history.do(ALICE, c.MoveParticipant(bob, room_id)) == OK
    assert history.do(ALICE, c.GatherEveryone()) == OK
    history.wait(20)
    assert {p.room_id for p in history.state.people.values()} == {MAIN_ROOM}


def test_a_claim_from_outside_stays_open_until_the_helper_leaves_the_callers_room() -> None:
    history = in_status(RUNNING)
    call_id = next(iter(history.state.calls))
    outside = Actor(ActorKind.PERSON, PersonId("mia"), "Mia", Role.MODERATOR, COURSE)
    assert history.do(outside, c.ClaimCall(call_id)) == OK
    assert history.do(outside, c.EnterSession("Mia", Role.MODERATOR)) == OK
    assert history.do(outside, c.JoinRoom(history.state.people[PersonId("bob")].room_id)) == OK
    assert history.state.calls[call_id].status is CallStatus.CLAIMED
    assert history.do(outside, c.JoinRoom(MAIN_ROOM)) == OK
    assert history.state.calls[call_id].status is CallStatus.DONE


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Ada   Lovelace\n", "Ada Lovelace"),
        ("O\x00d\x1fd\ud800 \u2028name", "O d d\ufffd name"),
        ("\x07 ", "Guest"),
        ("Zoë 🎓 \u202eمها", "Zoë 🎓 مها"),
        ("\u200b\u3164", "Guest"),
        ("x" * 5000, "x" * 200),
    ],
)
def test_no_name_keeps_its_owner_out(given: str, shown: str) -> None:
    history = opened()
    assert history.do(BEN, c.EnterSession(given, Role.PARTICIPANT)) == OK
    assert history.state.people[PersonId("ben")].name == shown


def test_a_clock_that_is_set_back_does_not_keep_people_in_a_countdown() -> None:
    history = in_status(RUNNING)
    assert history.do(ALICE, c.EndBreakout()) == OK
    (transition_id,) = history.state.transitions
    complete = c.CompleteTransition(transition_id)
    history.now += timedelta(seconds=1)
    assert history.do(SYSTEM, complete) == "stale_alarm"
    history.now -= timedelta(hours=1)
    assert history.do(SYSTEM, complete) == OK
    assert history.state.breakout.status is CONFIGURED


def test_without_a_moderator_nobody_is_shut_in_a_breakout_room() -> None:
    history = opened()
    history.do(ALICE, c.CreateRooms(2, may_return=False, time_limit_s=None))
    history.do(ALICE, c.StartBreakout())
    history.wait(5)
    assert history.do(BOB, c.JoinRoom(MAIN_ROOM)) == "not_allowed"
    assert history.do(ALICE, c.LeaveSession(PersonId("alice"))) == OK
    assert history.do(BOB, c.JoinRoom(MAIN_ROOM)) == "not_allowed"
    assert history.do(TARA, c.LeaveSession(PersonId("tara"))) == OK
    assert history.do(BOB, c.JoinRoom(MAIN_ROOM)) == OK
    # From Slack, or when she comes back, the moderator still ends it.
    assert history.do(ALICE, c.EndBreakout()) == OK


def test_a_hundred_rooms_are_the_most() -> None:
    history = opened()
    history.do(ALICE, c.CreateRooms(100))
    assert history.do(ALICE, c.AddRooms(1)) == "bad_value"


@pytest.mark.parametrize(("actor", "reason"), [(ALICE, "moderator"), (KEY, "moderator"), (SYSTEM, "empty")])
def test_only_the_alarm_ends_a_session_as_empty(actor: Actor, reason: str) -> None:
    history = in_status(RUNNING)
    assert history.do(actor, c.EndSession()) == "ok"
    assert history.log[-1].event == e.SessionEnded(reason)


def test_a_raised_hand_outlives_a_lost_line_but_not_leaving() -> None:
    history = opened()
    bob, bea = PersonId("bob"), PersonId("bea")
    history.do(BOB, c.SetHand(True))
    history.do(BEA, c.SetHand(True))
    raised_at = history.state.people[bob].hand_raised_at
    history.do(SYSTEM, c.LeaveSession(bob, lost=True))
    history.do(SYSTEM, c.LeaveSession(bea))
    history.do(BOB, c.EnterSession("Bob", Role.PARTICIPANT))
    history.do(BEA, c.EnterSession("Bea", Role.PARTICIPANT))
    assert raised_at is not None and history.state.people[bob].hand_raised_at == raised_at
    assert history.state.people[bea].hand_raised_at is None


def test_a_moderator_lowers_the_hands_of_one_room_or_of_all() -> None:
    history = in_status(RUNNING)
    rooms = [room.room_id for room in history.state.breakout_rooms]
    for actor, room_id in ((BOB, rooms[0]), (BEA, rooms[1])):
        history.do(ALICE, c.MoveParticipant(PersonId(str(actor.person_id)), room_id))
        history.do(actor, c.SetHand(True))
    history.wait(30)
    assert history.do(BOB, c.LowerHands()) == "not_moderator"
    assert history.do(CHARLIE, c.LowerHands()) == "other_course"
    assert history.do(ALICE, c.LowerHands(RoomId("nowhere"))) == "room_unknown"

    def raised() -> set[str]:
        return {str(k) for k, p in history.state.people.items() if p.hand_raised_at is not None}

    assert raised() == {"bob", "bea"}
    assert history.do(ALICE, c.LowerHands(rooms[0])) == OK
    assert raised() == {"bea"}
    assert history.do(ALICE, c.LowerHands()) == OK
    assert raised() == set()


def test_only_a_moderator_writes_to_one_person() -> None:
    history = opened()
    assert history.do(BOB, c.SendChat("psst", person_id=PersonId("bea"))) == "not_moderator"
    assert history.do(CHARLIE, c.SendChat("psst", "moderators")) == "other_course"
    assert history.do(ALICE, c.SendChat("psst", person_id=PersonId("nobody"))) == "person_unknown"
    assert history.do(ALICE, c.SendChat("psst", person_id=PersonId("bea"))) == OK
