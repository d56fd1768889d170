"""State after an event: one small function an event type, in a table. Pure; every event is accepted as it was committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from models.values import (
    MAIN_ROOM,
    SYSTEM,
    Actor,
    ActorKind,
    BreakoutStatus,
    CallStatus,
    CourseId,
    PersonId,
    RecordingStatus,
    Role,
    RoomId,
    SessionStatus,
)
from rooms import events as e
from rooms.events import Event, Recorded
from rooms.state import (
    Breakout,
    HelpCall,
    LeftRoom,
    Participant,
    RecordAll,
    Recording,
    Room,
    SessionState,
    Transition,
    TransitionKind,
)

K = TypeVar("K")
V = TypeVar("V")
_Evolver = Callable[[SessionState, Recorded, Any], SessionState]


def frozen(mapping: Mapping[K, V]) -> Mapping[K, V]:
    return MappingProxyType(dict(mapping))


def _with(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return frozen({**mapping, key: value})


def _without(mapping: Mapping[K, V], keys: Iterable[K]) -> Mapping[K, V]:
    gone = set(keys)
    return frozen({k: v for k, v in mapping.items() if k not in gone})


def _person(state: SessionState, person_id: PersonId, **changes: Any) -> SessionState:
    person = state.people.get(person_id)
    if person is None:
        return state
    return replace(state, people=_with(state.people, person_id, replace(person, **changes)))


def evolve(state: SessionState, recorded: Recorded) -> SessionState:
    """Apply one event; ``seq`` of the result is the event's."""
    after = EVOLVERS[type(recorded.event)](state, recorded, recorded.event)
    if after.recordings and (after.people is not state.people or after.recordings is not state.recordings):
        after = _note_empty(after, recorded)
    return replace(after, seq=recorded.seq)


def _note_empty(state: SessionState, r: Recorded) -> SessionState:
    """Since when nobody has been in the rooms that are being recorded."""
    occupied = {person.room_id for person in state.people.values() if person.online}
    changed = {
        k: replace(x, empty_since=None if x.room_id in occupied else r.at)
        for k, x in state.recordings.items()
        if x.status.is_live and (x.room_id in occupied) == (x.empty_since is not None)
    }
    return replace(state, recordings=frozen({**state.recordings, **changed})) if changed else state


def _opened(state: SessionState, r: Recorded, x: e.SessionOpened) -> SessionState:
    main = Room(MAIN_ROOM, "Main room", 0)
    return replace(
        state,
        course_id=CourseId(x.course_id),
        course_title=x.course_title,
        room_title=x.room_title,
        opened_at=r.at,
        rooms=frozen({MAIN_ROOM: main}),
        recording_defaults=frozen(x.recording),
        record_on_start=x.record_on_start,
        sharing=x.sharing,
        record_on_start_by=x.record_on_start_by,
    )


def _ended(state: SessionState, r: Recorded, _x: e.SessionEnded) -> SessionState:
    people = {
        k: replace(p, online=False, mic=False, camera=False, screen=False, screen_since=None)
        for k, p in state.people.items()
    }
    return replace(
        state,
        status=SessionStatus.ENDED,
        ended_at=r.at,
        people=frozen(people),
        transitions=frozen({}),
        calls=frozen({}),
        record_all=None,
    )


def _entered(state: SessionState, r: Recorded, x: e.ParticipantEntered) -> SessionState:
    known = state.people.get(x.person_id)
    if known is None:
        # A moderator is never sent to a room by a plan made before.
        room_id = None if x.role is Role.MODERATOR else state.expected.get(x.person_id)
        person = Participant(
            x.person_id, x.name, x.role, x.room_id, assigned_room_id=room_id, entered_at=r.at
        )
    else:
        person = replace(known, name=x.name, role=x.role, room_id=x.room_id, online=True)
    return replace(
        state,
        people=_with(state.people, x.person_id, person),
        expected=_without(state.expected, [x.person_id]),
    )


def _left(state: SessionState, _r: Recorded, x: e.ParticipantLeft) -> SessionState:
    state = _person(
        state, x.person_id, online=False, mic=False, camera=False, screen=False, screen_since=None
    )
    return state if x.lost else _person(state, x.person_id, hand_raised_at=None)


def _removed(state: SessionState, _r: Recorded, x: e.ParticipantRemoved) -> SessionState:
    transitions = {
        k: replace(t, moves=_without(t.moves, [x.person_id])) for k, t in state.transitions.items()
    }
    return replace(
        state,
        people=_without(state.people, [x.person_id]),
        removed=state.removed | {x.person_id},
        expected=_without(state.expected, [x.person_id]),
        transitions=frozen(transitions),
    )


def _media(state: SessionState, r: Recorded, x: e.MediaChanged) -> SessionState:
    known = state.people.get(x.person_id)
    since = (known.screen_since if known is not None and known.screen else r.at) if x.screen else None
    return _person(state, x.person_id, mic=x.mic, camera=x.camera, screen=x.screen, screen_since=since)


def _sharing(state: SessionState, _r: Recorded, x: e.SharingChanged) -> SessionState:
    return replace(state, sharing=x.who)


def _sharing_stopped(state: SessionState, _r: Recorded, x: e.SharingStopped) -> SessionState:
    for person_id in x.person_ids:
        state = _person(state, person_id, screen=False, screen_since=None)
    return state


def _locked(state: SessionState, _r: Recorded, x: e.RoomLocked) -> SessionState:
    room = replace(state.rooms[x.room_id], locked=x.locked)
    return replace(state, rooms=_with(state.rooms, x.room_id, room))


def _muted(state: SessionState, _r: Recorded, x: e.ParticipantMuted) -> SessionState:
    for person_id in x.person_ids:
        state = _person(state, person_id, mic=False)
    return state


def _hand(state: SessionState, r: Recorded, x: e.HandChanged) -> SessionState:
    return _person(state, x.person_id, hand_raised_at=r.at if x.raised else None)


def _unchanged(state: SessionState, _r: Recorded, _x: Event) -> SessionState:
    return state


def _assign(state: SessionState, assignments: Mapping[PersonId, RoomId | None]) -> SessionState:
    people = {
        k: replace(p, assigned_room_id=assignments[k]) if k in assignments else p
        for k, p in state.people.items()
    }
    return replace(state, people=frozen(people))


def _rooms_created(state: SessionState, _r: Recorded, x: e.RoomsCreated) -> SessionState:
    rooms = {MAIN_ROOM: state.rooms[MAIN_ROOM]} | {room.room_id: room for room in x.rooms}
    breakout = Breakout(
        status=BreakoutStatus.CONFIGURED,
        run=state.breakout.run,
        assign=x.assign,
        time_limit_s=x.time_limit_s,
        countdown_s=x.countdown_s,
        may_return=x.may_return,
        record=x.record,
    )
    people = {k: replace(p, assigned_room_id=x.assignments.get(k)) for k, p in state.people.items()}
    return replace(
        state,
        rooms=frozen(rooms),
        breakout=breakout,
        people=frozen(people),
        expected=_without(x.assignments, state.people),
    )


def _rooms_kept(state: SessionState, _r: Recorded, x: e.RoomsKept) -> SessionState:
    breakout = replace(
        state.breakout,
        status=BreakoutStatus.CONFIGURED,
        time_limit_s=x.time_limit_s,
        countdown_s=x.countdown_s,
        started_at=None,
        ends_at=None,
        record=False,
        started_by=None,
    )
    return replace(state, breakout=breakout)


def _rooms_added(state: SessionState, _r: Recorded, x: e.RoomsAdded) -> SessionState:
    return replace(state, rooms=frozen({**state.rooms, **{room.room_id: room for room in x.rooms}}))


def _room_removed(state: SessionState, _r: Recorded, x: e.RoomRemoved) -> SessionState:
    gone = x.room_id
    transitions = {
        key: replace(t, moves=frozen({k: v for k, v in t.moves.items() if v != gone}))
        for key, t in state.transitions.items()
    }
    people = {
        k: replace(p, assigned_room_id=None) if p.assigned_room_id == gone else p
        for k, p in state.people.items()
    }
    return replace(
        state,
        rooms=_without(state.rooms, [gone]),
        people=frozen(people),
        expected=frozen({k: v for k, v in state.expected.items() if v != gone}),
        transitions=frozen({k: t for k, t in transitions.items() if t.moves or t.kind in ("start", "end")}),
    )


def _options(state: SessionState, _r: Recorded, x: e.BreakoutOptionsChanged) -> SessionState:
    breakout = replace(
        state.breakout,
        time_limit_s=x.time_limit_s,
        countdown_s=x.countdown_s,
        may_return=x.may_return,
        record=x.record,
    )
    return replace(state, breakout=breakout)


def _renamed(state: SessionState, _r: Recorded, x: e.RoomRenamed) -> SessionState:
    room = replace(state.rooms[x.room_id], name=x.name)
    return replace(state, rooms=_with(state.rooms, x.room_id, room))


def _assigned(state: SessionState, _r: Recorded, x: e.ParticipantsAssigned) -> SessionState:
    """A changed plan also changes the moves of a start countdown that runs already."""
    transitions = dict(state.transitions)
    for key, transition in state.transitions.items():
        if transition.kind == "start":
            moves = {k: v for k, v in transition.moves.items() if k not in x.assignments}
            moves |= {k: v for k, v in x.assignments.items() if v is not None and k in state.people}
            transitions[key] = replace(transition, moves=frozen(moves))
    absent = {k: v for k, v in x.assignments.items() if k not in state.people}
    expected = _without(state.expected, absent)
    expected = {**expected, **{k: v for k, v in absent.items() if v is not None}}
    state = replace(state, transitions=frozen(transitions), expected=frozen(expected))
    return _assign(state, x.assignments)


def _plan(
    state: SessionState,
    transition_id: str,
    kind: TransitionKind,
    x: e.BreakoutStarting | e.MovesPlanned | e.BreakoutClosing,
) -> SessionState:
    """A new countdown; its people are taken out of earlier ones, an earlier one left empty is gone."""
    others: dict[str, Transition] = {}
    before: dict[PersonId, RoomId | None] = {
        k: state.people[k].assigned_room_id for k in x.moves if k in state.people
    }
    for other in state.transitions.values():
        before |= {k: v for k, v in other.before.items() if k in x.moves and k in other.moves}
    for key, other in state.transitions.items():
        moves = _without(other.moves, x.moves)
        if moves or other.kind in ("start", "end"):
            others[key] = replace(other, moves=moves)
    others[transition_id] = Transition(transition_id, kind, x.effective_at, frozen(x.moves), frozen(before))
    state = replace(state, transitions=frozen(others))
    return state if kind in ("gather", "end") else _assign(state, x.moves)


def _starting(state: SessionState, r: Recorded, x: e.BreakoutStarting) -> SessionState:
    breakout = replace(state.breakout, status=BreakoutStatus.STARTING, record=x.record, started_by=r.actor)
    state = replace(state, breakout=breakout)
    return _plan(state, x.transition_id, "start", x)


def _started(state: SessionState, r: Recorded, x: e.BreakoutStarted) -> SessionState:
    transitions = {k: t for k, t in state.transitions.items() if t.kind != "start"}
    breakout = replace(
        state.breakout, status=BreakoutStatus.RUNNING, run=x.run, started_at=r.at, ends_at=x.ends_at
    )
    return replace(state, breakout=breakout, transitions=frozen(transitions))


def _time_added(state: SessionState, _r: Recorded, x: e.TimeAdded) -> SessionState:
    return replace(state, breakout=replace(state.breakout, ends_at=x.ends_at))


def _moves_planned(state: SessionState, _r: Recorded, x: e.MovesPlanned) -> SessionState:
    return _plan(state, x.transition_id, "gather" if x.kind == "gather" else "moves", x)


def _moves_cancelled(state: SessionState, _r: Recorded, x: e.MovesCancelled) -> SessionState:
    return _assign(replace(state, transitions=_without(state.transitions, [x.transition_id])), x.assignments)


def _gone_to(person: Participant, room_id: RoomId, state: SessionState, seq: int) -> Participant:
    if room_id == person.room_id:
        return person
    others = _without(person.left_rooms, [person.room_id])
    left = state.rooms.get(person.room_id)
    if left is not None:
        others = frozen({**others, left.room_id: LeftRoom(left.name, seq)})
    return replace(person, room_id=room_id, left_rooms=others)


def _moved(state: SessionState, r: Recorded, x: e.ParticipantsMoved) -> SessionState:
    people = {
        k: _gone_to(p, x.moves[k], state, r.seq) if k in x.moves else p for k, p in state.people.items()
    }
    transitions: dict[str, Transition] = {}
    for key, transition in state.transitions.items():
        if key == x.transition_id and transition.kind in ("moves", "gather"):
            continue
        # Who has moved by themselves is not moved again by a countdown that was already running,
        # unless that countdown starts or ends the breakout.
        keep = transition.kind in ("start", "end")
        moves = transition.moves if keep else _without(transition.moves, x.moves)
        if moves or keep:
            transitions[key] = replace(transition, moves=moves)
    return replace(state, people=frozen(people), transitions=frozen(transitions))


def _closing(state: SessionState, _r: Recorded, x: e.BreakoutClosing) -> SessionState:
    state = replace(
        state, breakout=replace(state.breakout, status=BreakoutStatus.CLOSING), transitions=frozen({})
    )
    return _plan(state, x.transition_id, "end", x)


def _breakout_ended(state: SessionState, _r: Recorded, _x: e.BreakoutEnded) -> SessionState:
    breakout = replace(
        state.breakout,
        status=BreakoutStatus.CONFIGURED,
        started_at=None,
        ends_at=None,
        record=False,
        started_by=None,
    )
    return replace(state, breakout=breakout, transitions=frozen({}), record_all=None)


def _call_raised(state: SessionState, r: Recorded, x: e.CallRaised) -> SessionState:
    return replace(
        state, calls=_with(state.calls, x.call_id, HelpCall(x.call_id, x.person_id, x.room_id, r.at))
    )


def _call_claimed(state: SessionState, r: Recorded, x: e.CallClaimed) -> SessionState:
    call = replace(state.calls[x.call_id], status=CallStatus.CLAIMED, handled_by=x.by, handled_at=r.at)
    return replace(state, calls=_with(state.calls, x.call_id, call))


def _call_closed(state: SessionState, r: Recorded, x: e.CallClosed) -> SessionState:
    call = replace(state.calls[x.call_id], status=CallStatus(x.status), handled_by=x.by, handled_at=r.at)
    return replace(state, calls=_with(state.calls, x.call_id, call))


def _asked(state: SessionState, r: Recorded) -> Actor:
    """Who asked for what follows from an event: who started the breakout when a countdown's end did it."""
    return state.breakout.started_by or r.actor if r.actor.kind is ActorKind.SYSTEM else r.actor


def _caller_of(state: SessionState, r: Recorded, x: e.RecordingInvoked) -> Actor:
    """Who asked for a recording. What began because somebody walked in is not theirs, also where an event of an
    earlier version says so."""
    if x.reason == "on_start":
        return state.record_on_start_by or SYSTEM
    if x.reason == "breakout":
        everything = state.record_all
        return everything.caller if everything is not None else _asked(state, r)
    return r.actor


def _invoked(state: SessionState, r: Recorded, x: e.RecordingInvoked) -> SessionState:
    caller = _caller_of(state, r, x)
    recording = Recording(
        x.recording_id,
        x.room_id,
        x.room_name,
        caller.person_id,
        r.at,
        parent_id=x.parent_id,
        options=x.options,
        layout=x.options.layout,
        start_reason=x.reason,
        caller=caller,
    )
    return replace(state, recordings=_with(state.recordings, x.recording_id, recording))


def _all_recorded(state: SessionState, r: Recorded, x: e.AllRoomsRecorded) -> SessionState:
    return replace(state, record_all=RecordAll(x.parent_id, x.options, _asked(state, r)))


def _all_released(state: SessionState, _r: Recorded, _x: e.AllRoomsReleased) -> SessionState:
    return replace(state, record_all=None)


def _requested(state: SessionState, r: Recorded, x: e.RecordingRequested) -> SessionState:
    recording = replace(state.recordings[x.recording_id], desired=x.desired, asked_at=r.at)
    if x.desired == "stopped":
        recording = replace(recording, stop_reason=x.reason or None, stopper=r.actor)
    return replace(state, recordings=_with(state.recordings, x.recording_id, recording))


def _layout(state: SessionState, _r: Recorded, x: e.RecordingLayoutChanged) -> SessionState:
    recording = replace(state.recordings[x.recording_id], layout=x.layout)
    return replace(state, recordings=_with(state.recordings, x.recording_id, recording))


def _consent(state: SessionState, _r: Recorded, x: e.ConsentChanged) -> SessionState:
    return _person(state, x.person_id, declines_recording=x.declined)


def _warned(state: SessionState, _r: Recorded, x: e.RecordingWarned) -> SessionState:
    recording = state.recordings[x.recording_id]
    others = tuple(w for w in recording.warnings if w != (x.code, x.person_id))
    warnings = (*others, (x.code, x.person_id)) if x.active else others
    return replace(
        state, recordings=_with(state.recordings, x.recording_id, replace(recording, warnings=warnings))
    )


def _recording(state: SessionState, r: Recorded, x: e.RecordingStatusChanged) -> SessionState:
    old = state.recordings[x.recording_id]
    recorded_s = old.recorded_s
    if old.since is not None:
        recorded_s += max(0.0, (r.at - old.since).total_seconds())
    recording = replace(
        old,
        status=x.status,
        since=r.at if x.status is RecordingStatus.RECORDING else None,
        recorded_s=recorded_s if x.duration_s is None else x.duration_s,
        started_at=old.started_at or (r.at if x.status is RecordingStatus.RECORDING else None),
        stopped_at=old.stopped_at or (None if x.status.is_live else r.at),
        error=x.error or old.error,
        entry_id=x.entry_id or old.entry_id,
    )
    return replace(state, recordings=_with(state.recordings, x.recording_id, recording))


EVOLVERS: dict[type[Event], _Evolver] = {
    e.SessionOpened: _opened,
    e.SessionEnded: _ended,
    e.ParticipantEntered: _entered,
    e.ParticipantLeft: _left,
    e.ParticipantRemoved: _removed,
    e.MediaChanged: _media,
    e.ParticipantMuted: _muted,
    e.SharingChanged: _sharing,
    e.SharingStopped: _sharing_stopped,
    e.RoomLocked: _locked,
    e.HandChanged: _hand,
    e.ChatSent: _unchanged,
    e.RoomsCreated: _rooms_created,
    e.RoomsKept: _rooms_kept,
    e.RoomsAdded: _rooms_added,
    e.RoomRemoved: _room_removed,
    e.BreakoutOptionsChanged: _options,
    e.RoomRenamed: _renamed,
    e.ParticipantsAssigned: _assigned,
    e.BreakoutStarting: _starting,
    e.BreakoutStarted: _started,
    e.MessageBroadcast: _unchanged,
    e.TimeAdded: _time_added,
    e.MovesPlanned: _moves_planned,
    e.MovesCancelled: _moves_cancelled,
    e.ParticipantsMoved: _moved,
    e.BreakoutClosing: _closing,
    e.BreakoutEnded: _breakout_ended,
    e.CallRaised: _call_raised,
    e.CallClaimed: _call_claimed,
    e.CallClosed: _call_closed,
    e.RecordingInvoked: _invoked,
    e.AllRoomsRecorded: _all_recorded,
    e.AllRoomsReleased: _all_released,
    e.RecordingRequested: _requested,
    e.RecordingLayoutChanged: _layout,
    e.ConsentChanged: _consent,
    e.RecordingStatusChanged: _recording,
    e.RecordingWarned: _warned,
    e.FilmReported: _unchanged,
}
