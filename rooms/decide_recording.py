"""Decisions about recordings: what is asked (``desired``) and what the recorder reports (``status``). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from models.recording import BadOption, RecordingOptions, merged, options_from_json
from models.values import MAIN_ROOM, ActorKind, BreakoutStatus, PersonId, RecordingId, RecordingStatus, RoomId
from rooms import commands as c
from rooms import events as e
from rooms.context import Context
from rooms.errors import DomainError
from rooms.events import Event
from rooms.state import Desired, Recording, Room, SessionState

Events = tuple[Event, ...]
S = RecordingStatus

REPORTS: dict[RecordingStatus, frozenset[RecordingStatus]] = {
    S.INVOKED: frozenset({S.RECORDING, S.PAUSED, S.UPLOADING, S.ERRORED}),
    S.RECORDING: frozenset({S.PAUSED, S.UPLOADING, S.ERRORED}),
    S.PAUSED: frozenset({S.RECORDING, S.UPLOADING, S.ERRORED}),
    S.UPLOADING: frozenset({S.UPLOADED, S.ERRORED}),
    S.UPLOADED: frozenset(),
    S.ERRORED: frozenset({S.UPLOADING}),
}
"""From each status the statuses that a report may name; ERRORED → UPLOADING is a salvage from the journal."""


def live(state: SessionState) -> list[Recording]:
    """Recordings that still run and were not asked to stop, oldest first."""
    running = (r for r in state.recordings.values() if r.status.is_live and r.desired != "stopped")
    return sorted(running, key=lambda r: r.invoked_at)


def is_recorded(state: SessionState, room_id: RoomId) -> bool:
    return any(r.room_id == room_id for r in live(state))


def invoke(
    ctx: Context,
    rooms: Iterable[Room],
    parent_id: str | None,
    options: RecordingOptions,
    reason: str,
    owner: PersonId | None,
) -> Events:
    """Ask the recorder for these rooms. Ids follow from the command and the room's number.

    ``owner``: who asked for the recordings, which need not be who makes them begin now.
    """
    return tuple(
        e.RecordingInvoked(
            RecordingId(ctx.new_id("k", room.number)),
            room.room_id,
            room.name,
            owner,
            parent_id,
            options,
            reason,
        )
        for room in rooms
    )


def record_all(ctx: Context, options: RecordingOptions, reason: str, owner: PersonId | None) -> Events:
    """Every breakout room that is not recorded yet, and those to come, for ``owner``."""
    parent_id = ctx.new_id("g")
    rooms = [room for room in ctx.state.breakout_rooms if not is_recorded(ctx.state, room.room_id)]
    return (
        e.AllRoomsRecorded(parent_id, options, owner),
        *invoke(ctx, rooms, parent_id, options, reason, owner),
    )


def stop_all(state: SessionState, reason: str, rooms: frozenset[RoomId] | None = None) -> Events:
    """Ask every live recording (of these rooms) to stop."""
    return tuple(
        e.RecordingRequested(r.recording_id, "stopped", reason)
        for r in live(state)
        if rooms is None or r.room_id in rooms
    )


def options_of(ctx: Context, given: Mapping[str, Any]) -> RecordingOptions:
    """The course's options with what the call says. Raises ``bad_value`` naming the field."""
    try:
        return options_from_json(merged(ctx.state.recording_defaults, given))
    except BadOption as error:
        raise DomainError("bad_value", f"“{error.field}” {error.message}.", field=error.field) from None


def _reason(ctx: Context) -> str:
    return "api" if ctx.actor.kind is ActorKind.API else "moderator"


def start_recording(ctx: Context, x: c.StartRecording) -> Events:
    options = options_of(ctx, x.options)
    if x.all_rooms:
        if ctx.breakout_status not in (BreakoutStatus.RUNNING, BreakoutStatus.STARTING):
            raise DomainError("not_running")
        if all(is_recorded(ctx.state, room.room_id) for room in ctx.state.breakout_rooms):
            raise DomainError("already_recording")
        return record_all(ctx, options, _reason(ctx), ctx.actor.person_id)
    room = ctx.room(x.room_id if x.room_id is not None else ctx.me.room_id)
    if room.number > 0 and ctx.breakout_status not in (BreakoutStatus.RUNNING, BreakoutStatus.CLOSING):
        raise DomainError("not_running")
    if is_recorded(ctx.state, room.room_id) and not x.allow_multiple:
        raise DomainError("already_recording")
    return invoke(ctx, [room], None, options, _reason(ctx), ctx.actor.person_id)


def _one(ctx: Context, recording_id: RecordingId) -> Recording:
    recording = ctx.state.recordings.get(recording_id)
    if recording is None:
        raise DomainError("recording_unknown")
    if not recording.status.is_live or recording.desired == "stopped":
        raise DomainError("nothing_recording")
    return recording


def pause_recording(ctx: Context, x: c.PauseRecording) -> Events:
    return _request(ctx, x.recording_id, "recording", "paused", "already_paused")


def resume_recording(ctx: Context, x: c.ResumeRecording) -> Events:
    return _request(ctx, x.recording_id, "paused", "recording", "not_paused")


def _request(
    ctx: Context, recording_id: RecordingId | None, now: Desired, then: Desired, otherwise: str
) -> Events:
    if recording_id is not None:
        if _one(ctx, recording_id).desired != now:
            raise DomainError(otherwise)
        return (e.RecordingRequested(recording_id, then),)
    running = live(ctx.state)
    if not running:
        raise DomainError("nothing_recording")
    wanted = [r for r in running if r.desired == now]
    if not wanted:
        raise DomainError(otherwise)
    return tuple(e.RecordingRequested(r.recording_id, then) for r in wanted)


def stop_recording(ctx: Context, x: c.StopRecording) -> Events:
    everything = ctx.state.record_all
    if x.all_rooms:
        return _stop_breakout_rooms(ctx)
    is_group = everything is not None and x.recording_id == everything.parent_id
    if x.recording_id is not None and not is_group:
        return (e.RecordingRequested(_one(ctx, x.recording_id).recording_id, "stopped", _reason(ctx)),)
    events: Events = tuple(
        e.RecordingRequested(r.recording_id, "stopped", _reason(ctx))
        for r in live(ctx.state)
        if not is_group or r.parent_id == x.recording_id
    )
    if everything is not None:
        events = (*events, e.AllRoomsReleased(everything.parent_id))
    if not events:
        raise DomainError("nothing_recording")
    return events


def _stop_breakout_rooms(ctx: Context) -> Events:
    rooms = frozenset(r.room_id for r in ctx.state.recordings.values() if r.room_id != MAIN_ROOM)
    events = stop_all(ctx.state, _reason(ctx), rooms)
    if ctx.state.record_all is not None:
        events = (*events, e.AllRoomsReleased(ctx.state.record_all.parent_id))
    if not events:
        raise DomainError("nothing_recording")
    return events


def expire_recording(ctx: Context, x: c.ExpireRecording) -> Events:
    recording = _one(ctx, x.recording_id)
    options = recording.options
    if x.why == "empty":
        since, most = recording.empty_since, options.empty_stop_s
        if since is None or most == 0 or ctx.now < since + timedelta(seconds=most):
            raise DomainError("stale_alarm")
    elif ctx.now < (full_at(recording) or datetime.max.replace(tzinfo=UTC)):
        raise DomainError("stale_alarm")
    return (e.RecordingRequested(recording.recording_id, "stopped", x.why),)


def full_at(recording: Recording) -> datetime | None:
    """When a recording reaches its greatest length; None while it does not run."""
    if recording.since is None:
        return None
    return recording.since + timedelta(seconds=recording.options.max_seconds - recording.recorded_s)


def set_layout(ctx: Context, x: c.SetRecordingLayout) -> Events:
    wanted = live(ctx.state) if x.recording_id is None else [_one(ctx, x.recording_id)]
    if not wanted:
        raise DomainError("nothing_recording")
    return tuple(e.RecordingLayoutChanged(r.recording_id, x.layout) for r in wanted if r.layout != x.layout)


def set_consent(ctx: Context, x: c.SetRecordingConsent) -> Events:
    me = ctx.me
    return () if me.declines_recording == x.declined else (e.ConsentChanged(me.person_id, x.declined),)


def follow_ups(ctx: Context, events: Events, after: Callable[[], SessionState]) -> Events:
    """Recordings that begin because somebody came: the main room's on start, and rooms of a recording of all.

    They belong to who set that up, never to who came.
    """
    if not any(isinstance(event, _ARRIVALS) for event in events):
        return ()
    if ctx.state.record_all is None and not ctx.state.record_on_start:
        return ()
    state = after()
    occupied = {p.room_id for p in state.people.values() if p.online}
    started: list[Event] = []
    if state.record_on_start and MAIN_ROOM in occupied and not state.recordings:
        by = state.record_on_start_by
        owner = by.person_id if by is not None else None
        started += invoke(ctx, [state.rooms[MAIN_ROOM]], None, options_of(ctx, {}), "on_start", owner)
    everything = state.record_all
    if everything is not None:
        rooms = [
            room
            for room in state.breakout_rooms
            if room.room_id in occupied
            and not is_recorded(state, room.room_id)
            and not _was_stopped(state, room.room_id, everything.parent_id)
        ]
        owner = everything.caller.person_id
        started += invoke(ctx, rooms, everything.parent_id, everything.options, "breakout", owner)
    return tuple(started)


def _was_stopped(state: SessionState, room_id: RoomId, parent_id: str) -> bool:
    """Somebody stopped this room's recording on purpose: it does not begin again by itself."""
    of_room = [r for r in state.recordings.values() if r.room_id == room_id and r.parent_id == parent_id]
    return bool(of_room) and of_room[-1].stop_reason in ("moderator", "api")


_ARRIVALS = (e.ParticipantEntered, e.ParticipantsMoved)


MAX_WARNINGS = 50


def warn_of_recording(ctx: Context, x: c.WarnOfRecording) -> Events:
    recording = ctx.state.recordings.get(x.recording_id)
    if recording is None:
        raise DomainError("recording_unknown")
    known = (x.code, x.person_id) in recording.warnings
    if known == x.active or (x.active and len(recording.warnings) >= MAX_WARNINGS):
        return ()
    if x.active and not recording.status.is_live:
        raise DomainError("stale_report", was=recording.status.value, reported=x.code)
    return (e.RecordingWarned(x.recording_id, x.code, x.person_id, x.active),)


def report_film(ctx: Context, x: c.ReportFilm) -> Events:
    if x.recording_id not in ctx.state.recordings:
        raise DomainError("recording_unknown")
    return (e.FilmReported(x.recording_id, x.film_id, x.file_name, x.error),)


def report_recording(ctx: Context, x: c.ReportRecording) -> Events:
    recording = ctx.state.recordings.get(x.recording_id)
    if recording is None:
        raise DomainError("recording_unknown")
    try:
        status = RecordingStatus(x.status)
    except ValueError:
        raise DomainError("bad_value", f"Unknown recording status “{x.status[:20]}”.") from None
    if status not in REPORTS[recording.status]:
        raise DomainError("stale_report", was=recording.status.value, reported=status.value)
    return (e.RecordingStatusChanged(x.recording_id, status, x.error, x.duration_s, x.entry_id),)
