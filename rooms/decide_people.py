"""Decisions about the session itself and the people in it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from models.values import (
    MAIN_ROOM,
    ActorKind,
    AssignMode,
    BreakoutStatus,
    CallStatus,
    PersonId,
    Role,
    RoomId,
)
from rooms import commands as c
from rooms import events as e
from rooms.commands import MAX_MESSAGE_CHARS
from rooms.context import Context, clean_text, display_name
from rooms.decide_recording import stop_all
from rooms.errors import DomainError
from rooms.events import Event
from rooms.state import SessionState

Events = tuple[Event, ...]


def open_session(ctx: Context, x: c.OpenSession) -> Events:
    if ctx.state.seq > 0:
        raise DomainError("already_open")
    return (
        e.SessionOpened(
            x.course_id,
            x.course_title,
            x.room_title,
            x.recording,
            x.record_on_start,
            x.sharing,
            x.record_on_start_by if x.record_on_start else None,
        ),
    )


def end_session(ctx: Context, _x: c.EndSession) -> Events:
    reason = "empty" if ctx.actor.kind is ActorKind.SYSTEM else "moderator"
    back: dict[PersonId, RoomId] = {
        p.person_id: MAIN_ROOM for p in ctx.state.people.values() if p.room_id != MAIN_ROOM
    }
    events: list[Event] = list(stop_all(ctx.state, "session_ended"))
    if back:
        events.append(e.ParticipantsMoved(back))
    if ctx.breakout_status in (BreakoutStatus.STARTING, BreakoutStatus.RUNNING, BreakoutStatus.CLOSING):
        events.append(e.BreakoutEnded(ctx.state.breakout.run))
    return (*events, e.SessionEnded(reason))


def enter_session(ctx: Context, x: c.EnterSession) -> Events:
    person_id = ctx.actor.person_id
    assert person_id is not None  # policy
    name = display_name(x.name)
    known = ctx.state.people.get(person_id)
    if known is not None:
        if known.online and known.name == name and known.role is x.role:
            return ()
        room_id = known.room_id if known.room_id in ctx.state.rooms else MAIN_ROOM
        back = e.ParticipantEntered(person_id, name, x.role, room_id, True)
        # Somebody who was away when rooms were dealt is as late as somebody new.
        unplaced = not known.online and known.assigned_room_id is None and room_id == MAIN_ROOM
        return (back, *_place_late(ctx, person_id, x.role)) if unplaced else (back,)
    if ctx.state.rooms[MAIN_ROOM].locked and x.role is not Role.MODERATOR:
        raise DomainError("locked")
    entered = e.ParticipantEntered(person_id, name, x.role, MAIN_ROOM, False)
    return (entered, *_place_late(ctx, person_id, x.role))


def _place_late(ctx: Context, person_id: PersonId, role: Role) -> Events:
    """Somebody without a room while a breakout runs: the room where they are expected, else (automatic breakouts) the
    smallest one; with the usual countdown. Who may choose a room is not moved."""
    breakout = ctx.state.breakout
    running = breakout.status in (BreakoutStatus.STARTING, BreakoutStatus.RUNNING)
    if not running or breakout.assign is AssignMode.SELF or role is Role.MODERATOR:
        return ()
    expected = ctx.state.expected.get(person_id)
    if expected is None and breakout.assign is not AssignMode.AUTO:
        return ()
    room_id = expected or smallest_room(ctx.state)
    if breakout.status is BreakoutStatus.STARTING:
        return (e.ParticipantsAssigned({person_id: room_id}),)
    if breakout.countdown_s == 0:
        return (e.ParticipantsAssigned({person_id: room_id}), e.ParticipantsMoved({person_id: room_id}))
    effective_at = ctx.after(breakout.countdown_s)
    return (e.MovesPlanned(ctx.new_id("t"), "moves", effective_at, {person_id: room_id}),)


def smallest_room(state: SessionState) -> RoomId:
    """The breakout room with the fewest people (assigned, inside or expected), the lowest number among equals."""
    sizes = {room.room_id: 0 for room in state.breakout_rooms}
    for room_id in state.expected.values():
        sizes[room_id] += 1
    for person in state.people.values():
        room_id = person.assigned_room_id or person.room_id
        if room_id in sizes and person.role is not Role.MODERATOR:
            sizes[room_id] += 1
    return min(state.breakout_rooms, key=lambda room: (sizes[room.room_id], room.number)).room_id


def leave_session(ctx: Context, x: c.LeaveSession) -> Events:
    person = ctx.person(x.person_id)
    if not person.online:
        return ()
    return (e.ParticipantLeft(x.person_id, x.lost), *calls_done(ctx, {x.person_id}))


def calls_done(
    ctx: Context, people: Collection[PersonId], *, going: Mapping[PersonId, RoomId] | None = None
) -> Events:
    """Help calls that are over because these people left or changed rooms: their own calls, and those they answered.

    ``going``: where they go, None when they leave the session. A helper who comes to the caller is not done yet.
    """
    done: list[Event] = []
    for call in ctx.state.calls.values():
        if call.status not in (CallStatus.RAISED, CallStatus.CLAIMED):
            continue
        own = call.person_id in people
        helping = call.status is CallStatus.CLAIMED and call.handled_by in people
        if helping and not own and going is not None and call.handled_by is not None:
            caller = ctx.state.people.get(call.person_id)
            helping = caller is None or going.get(call.handled_by) != caller.room_id
        if own or helping:
            done.append(
                e.CallClosed(call.call_id, CallStatus.DONE.value, None if going is None else call.handled_by)
            )
    return tuple(done)


def remove_participant(ctx: Context, x: c.RemoveParticipant) -> Events:
    ctx.person(x.person_id)
    if x.person_id == ctx.actor.person_id:
        raise DomainError("not_allowed", "You can’t remove yourself. Use Leave instead.")
    return (*calls_done(ctx, {x.person_id}), e.ParticipantRemoved(x.person_id))


def set_media(ctx: Context, x: c.SetMedia) -> Events:
    me = ctx.me
    mic = me.mic if x.mic is None else x.mic
    camera = me.camera if x.camera is None else x.camera
    screen = me.screen if x.screen is None else x.screen
    if (mic, camera, screen) == (me.mic, me.camera, me.screen):
        return ()
    if screen and not me.screen and ctx.state.sharing == "moderators" and me.role is not Role.MODERATOR:
        raise DomainError("sharing_off")
    return (e.MediaChanged(me.person_id, mic, camera, screen),)


def mute_participant(ctx: Context, x: c.MuteParticipant) -> Events:
    if x.person_id is not None:
        person = ctx.person(x.person_id)
        return (e.ParticipantMuted((person.person_id,)),) if person.mic else ()
    loud = tuple(
        p.person_id
        for p in ctx.state.people.values()
        if p.mic and p.role is not Role.MODERATOR and p.person_id != ctx.actor.person_id
    )
    return (e.ParticipantMuted(loud),) if loud else ()


def set_hand(ctx: Context, x: c.SetHand) -> Events:
    person = ctx.me if x.person_id is None else ctx.person(x.person_id)
    if (person.hand_raised_at is not None) == x.raised:
        return ()
    return (e.HandChanged(person.person_id, x.raised),)


def lower_hands(ctx: Context, x: c.LowerHands) -> Events:
    if x.room_id is not None:
        ctx.room(x.room_id)
    return tuple(
        e.HandChanged(p.person_id, False)
        for p in ctx.state.people.values()
        if p.hand_raised_at is not None and x.room_id in (None, p.room_id)
    )


def send_chat(ctx: Context, x: c.SendChat) -> Events:
    me = ctx.me
    text = clean_text(x.text, MAX_MESSAGE_CHARS, "The message", keep_lines=True)
    if x.person_id is not None:
        reader = ctx.person(x.person_id)
        return (e.ChatSent(me.person_id, me.name, me.room_id, text, "person", reader.person_id),)
    return (e.ChatSent(me.person_id, me.name, me.room_id, text, x.to),)
