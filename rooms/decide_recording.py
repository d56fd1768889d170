"""Decisions about recordings: what is asked (``desired``) and what the recorder reports (``status``). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from models.values import BreakoutStatus, RecordingId, RecordingStatus, RoomId
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


def invoke(ctx: Context, rooms: Iterable[Room], parent_id: str | None) -> Events:
    return tuple(
        e.RecordingInvoked(
            RecordingId(ctx.new_id("k", room.number)), room.room_id, room.name, ctx.actor.person_id, parent_id
        )
        for room in rooms
    )


def stop_all(state: SessionState, rooms: frozenset[RoomId] | None = None) -> Events:
    """Ask every live recording (of these rooms) to stop."""
    return tuple(
        e.RecordingRequested(r.recording_id, "stopped")
        for r in live(state)
        if rooms is None or r.room_id in rooms
    )


def start_recording(ctx: Context, x: c.StartRecording) -> Events:
    if x.all_rooms:
        if ctx.breakout_status not in (BreakoutStatus.RUNNING, BreakoutStatus.STARTING):
            raise DomainError("not_running")
        rooms = [room for room in ctx.state.breakout_rooms if not is_recorded(ctx.state, room.room_id)]
        if not rooms:
            raise DomainError("already_recording")
        return invoke(ctx, rooms, ctx.new_id("g"))
    room = ctx.room(x.room_id if x.room_id is not None else ctx.me.room_id)
    if room.number > 0 and ctx.breakout_status not in (BreakoutStatus.RUNNING, BreakoutStatus.CLOSING):
        raise DomainError("not_running")
    if is_recorded(ctx.state, room.room_id):
        raise DomainError("already_recording")
    return invoke(ctx, [room], None)


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
    if x.recording_id is not None:
        return (e.RecordingRequested(_one(ctx, x.recording_id).recording_id, "stopped"),)
    events = stop_all(ctx.state)
    if not events:
        raise DomainError("nothing_recording")
    return events


def report_recording(ctx: Context, x: c.ReportRecording) -> Events:
    recording = ctx.state.recordings.get(x.recording_id)
    if recording is None:
        raise DomainError("recording_unknown")
    try:
        status = RecordingStatus(x.status)
    except ValueError:
        raise DomainError("bad_value", f"There is no recording status “{x.status[:20]}”.") from None
    if status not in REPORTS[recording.status]:
        raise DomainError("stale_report", was=recording.status.value, reported=status.value)
    return (e.RecordingStatusChanged(x.recording_id, status, x.error, x.duration_s, x.entry_id),)
