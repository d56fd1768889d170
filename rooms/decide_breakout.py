"""Decisions about breakouts: rooms, assignment, moves, countdowns, broadcast, help calls. Pure.

Every person is in exactly one room at all times: a countdown only plans, ``complete`` moves. A move never touches
anybody's microphone or camera.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from models.values import (
    MAIN_ROOM,
    Actor,
    ActorKind,
    AssignMode,
    BreakoutStatus,
    CallId,
    CallStatus,
    PersonId,
    Role,
    RoomId,
)
from rooms import commands as c
from rooms import events as e
from rooms.commands import (
    MAX_EXPECTED,
    MAX_MESSAGE_CHARS,
    MAX_PERSON_ID_CHARS,
    MAX_ROOM_NAME_CHARS,
    MAX_ROOMS,
    MAX_TIME_LIMIT_S,
)
from rooms.context import Context, check_countdown, check_range, clean_text
from rooms.decide_people import calls_done
from rooms.decide_recording import options_of, record_all, stop_all
from rooms.decide_rooms import check_limit, require_rooms
from rooms.errors import DomainError
from rooms.events import Event
from rooms.state import HelpCall, Participant, Room, SessionState, Transition

Events = tuple[Event, ...]
Moves = dict[PersonId, RoomId]
LEAST_LEFT_S = 10
ACTIVE = (BreakoutStatus.STARTING, BreakoutStatus.RUNNING, BreakoutStatus.CLOSING)


# -- set-up ----------------------------------------------------------------------------------------------------


def create_rooms(ctx: Context, x: c.CreateRooms) -> Events:
    if ctx.breakout_status in ACTIVE:
        raise DomainError("already_running")
    check_range(x.count, 1, MAX_ROOMS, "The number of rooms")
    if len(x.names) > x.count:
        raise DomainError(
            "bad_value", "There are more names than rooms. Add rooms or remove names.", field="names"
        )
    given = [clean_text(name, MAX_ROOM_NAME_CHARS, "A room name") for name in x.names]
    names = given + [f"Room {number}" for number in range(len(given) + 1, x.count + 1)]
    rooms = tuple(
        Room(RoomId(ctx.new_id("r", number)), name, number) for number, name in enumerate(names, start=1)
    )
    assignments = _grouped(ctx, x, rooms)
    if x.assign is AssignMode.AUTO:
        others = [p.person_id for p in participants(ctx.state, online=True) if p.person_id not in assignments]
        assignments |= deal(others, [room.room_id for room in rooms], assignments.values())
    limit = check_limit(x.time_limit_s)
    countdown = check_countdown(x.countdown_s)
    return (e.RoomsCreated(rooms, x.assign, limit, countdown, x.may_return, assignments, x.record),)


def _grouped(ctx: Context, x: c.CreateRooms, rooms: Sequence[Room]) -> Moves:
    """The ready-made groups as assignments. Moderators stay out of them, and who was removed from the session."""
    if len(x.members) > x.count:
        raise DomainError("bad_value", "There are more groups than rooms. Add rooms.", field="members")
    placed: Moves = {}
    for room, people in zip(rooms, x.members, strict=False):
        for person_id in people:
            _check_person_id(person_id)
            known = ctx.state.people.get(person_id)
            if person_id not in ctx.state.removed and (known is None or known.role is not Role.MODERATOR):
                placed.setdefault(person_id, room.room_id)
    if len(placed) > MAX_EXPECTED:
        raise DomainError(
            "bad_value",
            f"At most {MAX_EXPECTED} people can be in groups.",
            field="members",
            most=MAX_EXPECTED,
        )
    return placed


def _check_person_id(person_id: PersonId) -> None:
    if not 0 < len(person_id) <= MAX_PERSON_ID_CHARS:
        raise DomainError("bad_value", "This isn’t a person’s ID.", field="person_id")


def participants(state: SessionState, *, online: bool = False) -> list[Participant]:
    """Everybody but moderators, in order of arrival."""
    people = [p for p in state.people.values() if p.role is not Role.MODERATOR and (p.online or not online)]
    return sorted(people, key=_arrival)


def _arrival(person: Participant) -> tuple[str, str]:
    return (person.entered_at.isoformat() if person.entered_at else "", person.person_id)


def spread(people: Sequence[PersonId], rooms: Sequence[RoomId]) -> Moves:
    """People dealt evenly over rooms: sizes differ by at most one."""
    return {person_id: rooms[index % len(rooms)] for index, person_id in enumerate(people)}


def deal(people: Iterable[PersonId], rooms: Sequence[RoomId], placed: Iterable[RoomId]) -> Moves:
    """Each person in turn into the smallest room, the first among equals; ``placed``: rooms of who has one already."""
    sizes = dict.fromkeys(rooms, 0)
    for room_id in placed:
        # Who was moved to the main room on purpose has a place, but none of these.
        if room_id in sizes:
            sizes[room_id] += 1
    order = {room_id: index for index, room_id in enumerate(rooms)}
    moves: Moves = {}
    for person_id in people:
        room_id = min(rooms, key=lambda r: (sizes[r], order[r]))
        sizes[room_id] += 1
        moves[person_id] = room_id
    return moves


def assign_participant(ctx: Context, x: c.AssignParticipant) -> Events:
    absent = x.person_id not in ctx.state.people
    if ctx.breakout_status is BreakoutStatus.RUNNING and not absent:
        raise DomainError("already_running", "The breakout is running. Move the person instead.")
    if ctx.breakout_status is BreakoutStatus.CLOSING:
        raise DomainError("closing")
    require_rooms(ctx)
    if x.room_id is not None:
        _breakout_room(ctx, x.room_id)
    if absent:
        return _expect(ctx, x.person_id, x.room_id)
    person = ctx.person(x.person_id)
    return () if person.assigned_room_id == x.room_id else (e.ParticipantsAssigned({x.person_id: x.room_id}),)


def _expect(ctx: Context, person_id: PersonId, room_id: RoomId | None) -> Events:
    """Plan for somebody who has not arrived yet."""
    expected = ctx.state.expected
    _check_person_id(person_id)
    if person_id in ctx.state.removed:
        raise DomainError("person_unknown")
    if expected.get(person_id) == room_id:
        return ()
    if person_id not in expected and len(expected) >= MAX_EXPECTED:
        raise DomainError(
            "bad_value",
            f"At most {MAX_EXPECTED} people can be expected.",
            field="person_id",
            most=MAX_EXPECTED,
        )
    return (e.ParticipantsAssigned({person_id: room_id}),)


def _breakout_room(ctx: Context, room_id: RoomId) -> Room:
    room = ctx.room(room_id)
    if room.number == 0:
        raise DomainError("bad_value", "Choose a breakout room.", field="room_id")
    return room


# -- start, end, alarms ----------------------------------------------------------------------------------------


def start_breakout(ctx: Context, x: c.StartBreakout) -> Events:
    if ctx.breakout_status is BreakoutStatus.CLOSING:
        raise DomainError("closing")
    if ctx.breakout_status in ACTIVE:
        raise DomainError("already_running")
    require_rooms(ctx)
    late: dict[PersonId, RoomId | None] = {}
    if ctx.state.breakout.assign is AssignMode.AUTO:
        late = {**_place_unassigned(ctx.state)}
    moves = _assigned_moves(ctx.state) | {k: v for k, v in late.items() if v is not None}
    transition_id = ctx.new_id("t")
    record = x.record or ctx.state.breakout.record
    starting = e.BreakoutStarting(transition_id, ctx.after(ctx.state.breakout.countdown_s), moves, record)
    placed: Events = (e.ParticipantsAssigned(late),) if late else ()
    if ctx.state.breakout.countdown_s == 0:
        return (*placed, starting, *_begin(ctx, moves, transition_id, record, ctx.actor))
    return (*placed, starting)


def _assigned_moves(state: SessionState) -> Moves:
    rooms = state.rooms
    return {
        p.person_id: p.assigned_room_id
        for p in state.people.values()
        if p.assigned_room_id is not None and p.assigned_room_id in rooms
    }


def _place_unassigned(state: SessionState, unassigned: tuple[RoomId | None, ...] = (None,)) -> Moves:
    """Who came after the rooms were made, dealt into the smallest rooms; seats of who is expected stay free.

    ``unassigned``: the assignments that count as none.
    """
    taken = [*_assigned_moves(state).values(), *state.expected.values()]
    late = [p.person_id for p in participants(state, online=True) if p.assigned_room_id in unassigned]
    return deal(late, [room.room_id for room in state.breakout_rooms], taken)


def _begin(
    ctx: Context, moves: Mapping[PersonId, RoomId], transition_id: str, record: bool, asked: Actor
) -> Events:
    """The breakout runs. ``asked``: who started it, before the countdown that has ended now."""
    limit = ctx.state.breakout.time_limit_s
    ends_at = ctx.now + timedelta(seconds=limit) if limit is not None else None
    started = e.BreakoutStarted(ctx.state.breakout.run + 1, ends_at)
    events: list[Event] = [started]
    if moves:
        events.append(e.ParticipantsMoved(dict(moves), transition_id))
    if record:
        events += record_all(ctx, options_of(ctx, {}), "breakout", asked.person_id)
    return tuple(events)


def end_breakout(ctx: Context, _x: c.EndBreakout) -> Events:
    if ctx.breakout_status is BreakoutStatus.CLOSING:
        raise DomainError("closing")
    if ctx.breakout_status is BreakoutStatus.STARTING:
        return _finish(ctx, None)
    ctx.require_running()
    return _close(ctx, "moderator")


def _close(ctx: Context, reason: str) -> Events:
    transition_id = ctx.new_id("t")
    countdown = ctx.state.breakout.countdown_s
    closing = e.BreakoutClosing(transition_id, ctx.after(countdown), _all_back(ctx.state), reason)
    return (closing,) if countdown else (closing, *_finish(ctx, transition_id))


def _all_back(state: SessionState) -> Moves:
    return {p.person_id: MAIN_ROOM for p in state.people.values() if p.room_id != MAIN_ROOM}


def _finish(ctx: Context, transition_id: str | None) -> Events:
    """The breakout is over: everybody (also who is offline) back, calls closed, its rooms' recordings asked to stop."""
    back = _all_back(ctx.state)
    rooms = frozenset(room.room_id for room in ctx.state.breakout_rooms)
    moved: Events = (e.ParticipantsMoved(back, transition_id),) if back else ()
    calls = tuple(
        e.CallClosed(call.call_id, CallStatus.DONE.value, call.handled_by) for call in _open_calls(ctx.state)
    )
    return (
        *stop_all(ctx.state, "breakout_ended", rooms),
        *calls,
        *moved,
        e.BreakoutEnded(ctx.state.breakout.run),
    )


def time_is_up(ctx: Context, x: c.TimeIsUp) -> Events:
    ends_at = ctx.state.breakout.ends_at
    if ctx.breakout_status is not BreakoutStatus.RUNNING or ends_at is None:
        raise DomainError("stale_alarm")
    if datetime.fromisoformat(x.ends_at) != ends_at or ctx.now < ends_at:
        raise DomainError("stale_alarm")
    return _close(ctx, "time")


def complete_transition(ctx: Context, x: c.CompleteTransition) -> Events:
    transition = ctx.state.transitions.get(x.transition_id)
    if transition is None or not ctx.is_over(transition.effective_at):
        raise DomainError("stale_alarm")
    if transition.kind == "start":
        breakout = ctx.state.breakout
        asked = breakout.started_by or ctx.actor
        return _begin(ctx, _known(ctx, transition), transition.transition_id, breakout.record, asked)
    if transition.kind == "end":
        return _finish(ctx, transition.transition_id)
    moves = _known(ctx, transition)
    return (*calls_done(ctx, moves, going=moves), e.ParticipantsMoved(moves, transition.transition_id))


def _known(ctx: Context, transition: Transition) -> Moves:
    return {k: v for k, v in transition.moves.items() if k in ctx.state.people and v in ctx.state.rooms}


def add_time(ctx: Context, x: c.AddTime) -> Events:
    ctx.require_running()
    ends_at = ctx.state.breakout.ends_at
    if ends_at is None:
        raise DomainError("no_time_limit")
    check_range(abs(x.seconds), 1, MAX_TIME_LIMIT_S, "The time to add (seconds)")
    latest = ctx.now + timedelta(seconds=MAX_TIME_LIMIT_S)
    ends_at = min(latest, max(ctx.after(LEAST_LEFT_S), ends_at + timedelta(seconds=x.seconds)))
    return (e.TimeAdded(x.seconds, ends_at, ctx.actor.name),)


# -- moves -----------------------------------------------------------------------------------------------------


def join_room(ctx: Context, x: c.JoinRoom) -> Events:
    me, room = ctx.me, ctx.room(x.room_id)
    if room.number > 0 and ctx.breakout_status is not BreakoutStatus.RUNNING:
        ctx.require_running()
    if me.role is not Role.MODERATOR:
        _may_join(ctx, me, room)
    if me.room_id == room.room_id:
        return ()
    assigned: Events = ()
    if room.number > 0 and me.assigned_room_id != room.room_id and me.role is not Role.MODERATOR:
        assigned = (e.ParticipantsAssigned({me.person_id: room.room_id}),)
    going: Moves = {me.person_id: room.room_id}
    return (*assigned, *calls_done(ctx, going, going=going), e.ParticipantsMoved(going))


def _may_join(ctx: Context, me: Participant, room: Room) -> None:
    breakout = ctx.state.breakout
    if room.number == 0:
        # Without a moderator nobody could let them out.
        guarded = any(p.online and p.role is Role.MODERATOR for p in ctx.state.people.values())
        if not breakout.may_return and breakout.status is BreakoutStatus.RUNNING and guarded:
            raise DomainError(
                "not_allowed", "You can’t return to the main room while the breakout is running."
            )
    elif me.assigned_room_id == room.room_id:
        return
    elif breakout.assign is not AssignMode.SELF:
        raise DomainError("not_allowed", "You’re assigned to another room.")
    elif room.locked:
        raise DomainError("locked", f"A moderator locked {room.name}. Choose another room.")


def move_participant(ctx: Context, x: c.MoveParticipant) -> Events:
    person, room = ctx.person(x.person_id), ctx.room(x.room_id)
    if ctx.breakout_status in (BreakoutStatus.CONFIGURED, BreakoutStatus.STARTING):
        room_id = None if room.number == 0 else room.room_id
        if person.assigned_room_id == room_id:
            return ()
        return (e.ParticipantsAssigned({person.person_id: room_id}),)
    ctx.require_running()
    planned = any(t.moves.get(person.person_id) == room.room_id for t in ctx.state.transitions.values())
    if planned:
        return ()
    return _plan(ctx, {person.person_id: room.room_id}, "moves")


def _plan(ctx: Context, moves: Moves, kind: str) -> Events:
    """Moves with the breakout's countdown (0: at once); a moderator who moves herself goes at once."""
    state = ctx.state
    pending = {k for t in state.transitions.values() if t.kind in ("moves", "gather") for k in t.moves}
    moves = {k: v for k, v in moves.items() if state.people[k].room_id != v or k in pending}
    if not moves:
        return ()
    alone = list(moves) == [ctx.actor.person_id]
    if state.breakout.countdown_s == 0 or alone:
        assigned: Events = () if kind == "gather" or alone else (e.ParticipantsAssigned({**moves}),)
        return (*assigned, *calls_done(ctx, moves, going=moves), e.ParticipantsMoved(moves))
    return (e.MovesPlanned(ctx.new_id("t"), kind, ctx.after(state.breakout.countdown_s), moves),)


def in_rooms(state: SessionState) -> dict[PersonId, RoomId]:
    """Participants of the breakout: where each is, or is assigned to while in the main room."""
    rooms = {room.room_id for room in state.breakout_rooms}
    places: dict[PersonId, RoomId] = {}
    for person in participants(state):
        room_id = person.room_id if person.room_id in rooms else person.assigned_room_id
        if room_id in rooms and room_id is not None:
            places[person.person_id] = room_id
    return places


def shuffle_participants(ctx: Context, x: c.ShuffleParticipants) -> Events:
    if ctx.breakout_status not in (BreakoutStatus.CONFIGURED, BreakoutStatus.STARTING):
        ctx.require_running()
    require_rooms(ctx)
    running = ctx.breakout_status is BreakoutStatus.RUNNING
    drawn = in_rooms(ctx.state) if running else [p.person_id for p in participants(ctx.state, online=True)]
    # Order by a hash of seed and person: as good as a random shuffle, and the same for the same seed.
    people = sorted(drawn, key=lambda p: hashlib.sha256(f"{x.seed}/{p}".encode()).digest())
    moves = spread(people, [room.room_id for room in ctx.state.breakout_rooms])
    if running:
        return _plan(ctx, moves, "moves")
    return (e.ParticipantsAssigned({**moves}),) if moves else ()


def move_to_next_room(ctx: Context, _x: c.MoveToNextRoom) -> Events:
    ctx.require_running()
    order = [room.room_id for room in ctx.state.breakout_rooms]
    following = {room_id: order[(index + 1) % len(order)] for index, room_id in enumerate(order)}
    return _plan(ctx, {person: following[room] for person, room in in_rooms(ctx.state).items()}, "moves")


def gather_everyone(ctx: Context, _x: c.GatherEveryone) -> Events:
    ctx.require_running()
    # Also who is in the main room but was about to be moved out of it.
    leaving = {k: MAIN_ROOM for t in ctx.state.transitions.values() if t.kind == "moves" for k in t.moves}
    return _plan(ctx, leaving | _all_back(ctx.state), "gather")


def send_everyone_back(ctx: Context, _x: c.SendEveryoneBack) -> Events:
    ctx.require_running()
    waiting = {p.person_id: p.assigned_room_id for p in participants(ctx.state) if p.room_id == MAIN_ROOM}
    # Also who is in a room still, but was about to be gathered.
    gathered = {k for t in ctx.state.transitions.values() if t.kind == "gather" for k in t.moves}
    waiting |= {p.person_id: p.assigned_room_id for p in participants(ctx.state) if p.person_id in gathered}
    rooms = ctx.state.rooms
    return _plan(ctx, {k: v for k, v in waiting.items() if v is not None and v in rooms}, "moves")


def assign_rest(ctx: Context, _x: c.AssignRest) -> Events:
    if ctx.breakout_status is BreakoutStatus.CLOSING:
        raise DomainError("closing")
    require_rooms(ctx)
    placed = _place_unassigned(ctx.state, (None, MAIN_ROOM))
    if not placed:
        return ()
    if ctx.breakout_status is BreakoutStatus.RUNNING:
        return _plan(ctx, placed, "moves")
    return (e.ParticipantsAssigned({**placed}),)


def cancel_moves(ctx: Context, x: c.CancelMoves) -> Events:
    planned = [
        t
        for t in ctx.state.transitions.values()
        if t.kind in ("moves", "gather") and x.transition_id in (None, t.transition_id)
    ]
    if not planned:
        raise DomainError("no_countdown")
    return tuple(_cancel(ctx.state, transition) for transition in planned)


def _cancel(state: SessionState, transition: Transition) -> e.MovesCancelled:
    rooms = state.rooms
    people = tuple(transition.moves)
    before = {k: transition.before.get(k) for k in people if transition.kind == "moves"}
    # Who was placed in a room that is gone since has none.
    kept = {k: room_id if room_id in rooms else None for k, room_id in before.items()}
    return e.MovesCancelled(transition.transition_id, transition.kind, people, kept)


# -- broadcast and help calls ----------------------------------------------------------------------------------


def broadcast_message(ctx: Context, x: c.BroadcastMessage) -> Events:
    if ctx.breakout_status not in (BreakoutStatus.RUNNING, BreakoutStatus.CLOSING):
        raise DomainError("not_running")
    text = clean_text(x.text, MAX_MESSAGE_CHARS, "The message", keep_lines=True)
    chosen: Iterable[RoomId] = (
        x.room_ids if x.room_ids is not None else [r.room_id for r in ctx.state.breakout_rooms]
    )
    rooms = tuple(dict.fromkeys(ctx.room(room_id).room_id for room_id in chosen))
    if not rooms:
        raise DomainError("bad_value", "Choose at least one room.", field="room_ids")
    people = sum(1 for p in ctx.state.people.values() if p.online and p.room_id in rooms)
    return (e.MessageBroadcast(ctx.actor.person_id, ctx.actor.name, text, rooms, people),)


def _open_calls(state: SessionState) -> list[HelpCall]:
    return [call for call in state.calls.values() if call.status in (CallStatus.RAISED, CallStatus.CLAIMED)]


def call_moderator(ctx: Context, _x: c.CallModerator) -> Events:
    me = ctx.me
    if me.room_id == MAIN_ROOM:
        raise DomainError("not_running", "Help calls are for breakout rooms.")
    if any(call.person_id == me.person_id for call in _open_calls(ctx.state)):
        raise DomainError("already_called")
    return (e.CallRaised(CallId(ctx.new_id("h")), me.person_id, me.room_id),)


def cancel_call(ctx: Context, _x: c.CancelCall) -> Events:
    mine = [call for call in _open_calls(ctx.state) if call.person_id == ctx.me.person_id]
    if not mine:
        raise DomainError("call_unknown")
    return (e.CallClosed(mine[0].call_id, CallStatus.DONE.value, ctx.me.person_id),)


def _open_call(ctx: Context, call_id: CallId) -> HelpCall:
    call = ctx.state.calls.get(call_id)
    if call is None:
        raise DomainError("call_unknown")
    if call.status not in (CallStatus.RAISED, CallStatus.CLAIMED):
        raise DomainError("call_closed")
    return call


def claim_call(ctx: Context, x: c.ClaimCall) -> Events:
    call = _open_call(ctx, x.call_id)
    by = ctx.actor.person_id
    if by is None or ctx.actor.kind is not ActorKind.PERSON:
        raise DomainError("not_allowed", "Only a person can answer a help call.")
    if call.status is CallStatus.CLAIMED and call.handled_by != by:
        raise DomainError("already_claimed", by=call.handled_by)
    claimed: Events = () if call.status is CallStatus.CLAIMED else (e.CallClaimed(call.call_id, by),)
    me = ctx.state.people.get(by)
    caller = ctx.state.people.get(call.person_id)
    room_id = caller.room_id if caller is not None else call.room_id
    if me is None or me.room_id == room_id or ctx.breakout_status is not BreakoutStatus.RUNNING:
        return claimed
    going: Moves = {by: room_id}
    return (*claimed, *calls_done(ctx, going, going=going), e.ParticipantsMoved(going))


def dismiss_call(ctx: Context, x: c.DismissCall) -> Events:
    call = _open_call(ctx, x.call_id)
    # The caller of an answered call was helped; only an unanswered one is turned away.
    status = CallStatus.DONE if call.status is CallStatus.CLAIMED else CallStatus.DISMISSED
    return (e.CallClosed(call.call_id, status.value, ctx.actor.person_id, marked=True),)
