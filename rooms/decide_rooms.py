"""Decisions about the breakout rooms themselves: kept, added, named, locked, removed, and the options they run with. Pure."""

from __future__ import annotations

from models.values import MAIN_ROOM, ActorKind, BreakoutStatus, PersonId, RoomId
from rooms import commands as c
from rooms import events as e
from rooms.commands import MAX_ROOM_NAME_CHARS, MAX_ROOMS, MAX_TIME_LIMIT_S, MIN_TIME_LIMIT_S
from rooms.context import Context, check_countdown, check_range, clean_text
from rooms.decide_recording import stop_all
from rooms.errors import DomainError
from rooms.events import Event
from rooms.state import Room

Events = tuple[Event, ...]


def check_limit(limit_s: int | None) -> int | None:
    """A time limit in seconds; None: none. Raises ``bad_value``."""
    if limit_s is None:
        return None
    return check_range(limit_s, MIN_TIME_LIMIT_S, MAX_TIME_LIMIT_S, "The time limit (seconds)")


def require_rooms(ctx: Context) -> None:
    """Raises ``no_rooms`` before any were created."""
    if ctx.breakout_status is BreakoutStatus.NONE or not ctx.state.breakout_rooms:
        raise DomainError("no_rooms")


def _require_not_closing(ctx: Context) -> None:
    if ctx.breakout_status is BreakoutStatus.CLOSING:
        raise DomainError("closing")
    require_rooms(ctx)


def keep_rooms(ctx: Context, x: c.KeepRooms) -> Events:
    if ctx.breakout_status in (BreakoutStatus.STARTING, BreakoutStatus.RUNNING, BreakoutStatus.CLOSING):
        raise DomainError("already_running")
    require_rooms(ctx)
    breakout = ctx.state.breakout
    limit = breakout.time_limit_s if x.time_limit_s is None else check_limit(x.time_limit_s)
    countdown = breakout.countdown_s if x.countdown_s is None else check_countdown(x.countdown_s)
    return (e.RoomsKept(limit, countdown),)


def set_options(ctx: Context, x: c.SetBreakoutOptions) -> Events:
    _require_not_closing(ctx)
    now = ctx.state.breakout
    begun = ctx.breakout_status in (BreakoutStatus.STARTING, BreakoutStatus.RUNNING)
    if begun and any(value is not None for value in (x.time_limit_s, x.countdown_s, x.record)):
        raise DomainError(
            "already_running",
            "The breakout is running. Add time, or start and stop recordings, instead of changing its options.",
        )
    limit = now.time_limit_s if x.time_limit_s is None else check_limit(x.time_limit_s or None)
    countdown = now.countdown_s if x.countdown_s is None else check_countdown(x.countdown_s)
    may_return = now.may_return if x.may_return is None else x.may_return
    record = now.record if x.record is None else x.record
    if (limit, countdown, may_return, record) == (
        now.time_limit_s,
        now.countdown_s,
        now.may_return,
        now.record,
    ):
        return ()
    return (e.BreakoutOptionsChanged(limit, countdown, may_return, record),)


def add_rooms(ctx: Context, x: c.AddRooms) -> Events:
    _require_not_closing(ctx)
    taken = {room.number for room in ctx.state.breakout_rooms}
    if len(taken) == MAX_ROOMS:
        raise DomainError(
            "bad_value",
            f"There are already {MAX_ROOMS} rooms. Delete one first.",
            field="count",
            most=MAX_ROOMS,
        )
    check_range(x.count, 1, MAX_ROOMS - len(taken), "The number of rooms to add")
    # Behind the last one; the numbers of removed rooms come last.
    following = [*range(max(taken) + 1, MAX_ROOMS + 1), *range(1, max(taken))]
    numbers = [n for n in following if n not in taken][: x.count]
    return (e.RoomsAdded(tuple(Room(RoomId(ctx.new_id("r", n)), f"Room {n}", n) for n in numbers)),)


def rename_room(ctx: Context, x: c.RenameRoom) -> Events:
    room = ctx.room(x.room_id)
    if room.number == 0:
        raise DomainError("not_allowed", "The main room can’t be renamed.")
    name = clean_text(x.name, MAX_ROOM_NAME_CHARS, "A room name")
    return () if name == room.name else (e.RoomRenamed(room.room_id, name),)


def lock_room(ctx: Context, x: c.LockRoom) -> Events:
    room = ctx.room(x.room_id)
    return () if room.locked == x.locked else (e.RoomLocked(room.room_id, x.locked),)


def remove_room(ctx: Context, x: c.RemoveRoom) -> Events:
    room = ctx.room(x.room_id)
    if room.number == 0:
        raise DomainError("not_allowed", "The main room can’t be deleted.")
    _require_not_closing(ctx)
    if len(ctx.state.breakout_rooms) == 1:
        raise DomainError("not_allowed", "Keep at least one room.")
    inside = [p for p in ctx.state.people.values() if p.room_id == room.room_id]
    if any(p.online for p in inside):
        raise DomainError("room_occupied")
    back: dict[PersonId, RoomId] = {p.person_id: MAIN_ROOM for p in inside}
    moved: Events = (e.ParticipantsMoved(back),) if back else ()
    reason = "api" if ctx.actor.kind is ActorKind.API else "moderator"
    stopped = stop_all(ctx.state, reason, frozenset({room.room_id}))
    return (*stopped, *moved, e.RoomRemoved(room.room_id))
