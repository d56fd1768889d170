"""The live room card: one message a session, rewritten as the session changes."""

from __future__ import annotations

from datetime import datetime

from bot.blocks.parts import (
    Block,
    actions,
    button,
    clock_time,
    confirm,
    context,
    escape,
    mrkdwn,
    option,
    plain,
    section,
)
from models.values import BreakoutStatus, RecordingStatus, Role, RoomId
from rooms.state import Recording, Room, SessionState

MAX_ROOM_SECTIONS = 20
STATES = {
    BreakoutStatus.NONE: "Open",
    BreakoutStatus.CONFIGURED: "Open, rooms ready",
    BreakoutStatus.STARTING: "Starting",
    BreakoutStatus.RUNNING: "Running",
    BreakoutStatus.CLOSING: "Ending",
}


def text_of(state: SessionState) -> str:
    """The sentence for notifications and screen readers; Slack reads it as mrkdwn, so names are escaped."""
    if not state.is_open:
        return f"{escape(state.course_title)}: the session has ended"
    return f"{escape(state.course_title)}: breakout {STATES[state.breakout.status].lower()}, {_people(state)} people"


def _people(state: SessionState) -> int:
    return sum(1 for p in state.people.values() if p.online)


def _recording_of(state: SessionState, room_id: RoomId) -> Recording | None:
    return next((r for r in state.recordings.values() if r.room_id == room_id and r.status.is_live), None)


def card(state: SessionState, now: datetime, url: str, *, moderators: bool = True) -> list[Block]:
    """The card for a moderators' channel; in a class channel without names, calls and controls."""
    sid, rev = state.session_id, state.seq
    blocks: list[Block] = [
        {"type": "header", "text": plain(f"{state.course_title} – live room", 150)},
        _fields(state, sid, rev),
    ]
    if not state.is_open:
        return [*blocks, context("This session has ended.")]
    active = state.breakout.status in (BreakoutStatus.RUNNING, BreakoutStatus.CLOSING)
    if not moderators:
        return [
            *blocks,
            actions(
                f"top:{sid}:{rev}", button("Open the room", "open_dashboard", sid, style="primary", url=url)
            ),
        ]
    blocks.append(_controls(sid, rev, url, active))
    rooms = state.breakout_rooms
    blocks += [_room(state, room, sid, rev) for room in rooms[:MAX_ROOM_SECTIONS]]
    if len(rooms) > MAX_ROOM_SECTIONS:
        blocks.append(context(f"{len(rooms) - MAX_ROOM_SECTIONS} more rooms: open the dashboard."))
    if active:
        blocks.append(_tools(state, sid, rev))
    return [*blocks, context(f"Updated {clock_time(now, '{time_secs}')} · revision {rev}")]


def _fields(state: SessionState, sid: str, rev: int) -> Block:
    ends = state.breakout.ends_at
    inside = sum(1 for p in state.people.values() if p.online and p.room_id != "main")
    fields = [
        mrkdwn(f"*State*\n{STATES[state.breakout.status] if state.is_open else 'Ended'}"),
        mrkdwn(f"*Ends*\n{clock_time(ends) if ends is not None else 'no limit'}"),
        mrkdwn(f"*Rooms*\n{len(state.breakout_rooms)}"),
        mrkdwn(f"*People*\n{inside} + {_people(state) - inside} in main"),
    ]
    return {"type": "section", "block_id": f"meta:{sid}:{rev}", "fields": fields}


def _controls(sid: str, rev: int, url: str, active: bool) -> Block:
    elements = [button("Open dashboard", "open_dashboard", sid, style="primary", url=url)]
    if active:
        elements += [
            button("Broadcast", "broadcast_open", sid),
            button(
                "Gather everyone",
                "gather",
                sid,
                confirm=confirm(
                    "Gather everyone?", "Everybody returns to the main room after a countdown.", "Gather"
                ),
            ),
            button(
                "End breakout",
                "end",
                sid,
                style="danger",
                confirm=confirm(
                    "End breakout?", "Everybody returns to the main room and the rooms close.", "End breakout"
                ),
            ),
        ]
    else:
        elements.append(button("Start breakout", "start_open", sid))
    return actions(f"top:{sid}:{rev}", *elements)


def _room(state: SessionState, room: Room, sid: str, rev: int) -> Block:
    inside = [p for p in state.people.values() if p.online and p.room_id == room.room_id]
    students = sum(1 for p in inside if p.role is not Role.MODERATOR)
    recording = _recording_of(state, room.room_id)
    mark = ""
    options = [option("Join room", f"join:{sid}:{room.number}")]
    if recording is None:
        options.append(option("Start recording", f"rec_start:{sid}:{room.number}"))
    else:
        paused = recording.desired == "paused" or recording.status is RecordingStatus.PAUSED
        mark = " · :double_vertical_bar: paused" if paused else " · :red_circle: REC"
        options.append(
            option("Resume recording" if paused else "Pause recording", f"rec_toggle:{sid}:{room.number}")
        )
        options.append(option("Stop recording", f"rec_stop:{sid}:{room.number}"))
    people = "1 person" if students == 1 else f"{students} people"
    return section(
        f"*{escape(room.name)}* · {people}{mark}",
        block_id=f"room:{sid}:{room.number}:{rev}",
        accessory={"type": "overflow", "action_id": "room_menu", "options": options},
    )


def _tools(state: SessionState, sid: str, rev: int) -> Block:
    elements = [button("Shuffle", "shuffle", sid), button("Next room", "rr", sid)]
    if state.breakout.ends_at is not None:
        elements.append(button("+5 min", "add_time", sid))
    elements.append(button("Record all", "rec_all", sid))
    return actions(f"bottom:{sid}:{rev}", *elements)
