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
    length,
    mrkdwn,
    option,
    plain,
    section,
)
from models.values import BreakoutStatus, RecordingStatus, RoomId
from rooms.state import Recording, Room, SessionState

MAX_ROOM_SECTIONS = 20
MAX_TABLE_ROWS = 99
"""Slack takes 100 rows; the first is the head."""
STATES = {
    BreakoutStatus.NONE: "Open",
    BreakoutStatus.CONFIGURED: "Open, breakout rooms ready",
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


def card(
    state: SessionState, now: datetime, url: str, *, moderators: bool = True, starter: str = ""
) -> list[Block]:
    """The card for a moderators' channel; in a class channel without names, calls and controls.

    ``starter``: who started the breakout, as a Slack mention or an escaped name. Never more than 50 blocks.
    """
    sid, rev = state.session_id, state.seq
    blocks: list[Block] = [
        {"type": "header", "text": plain(f"{state.course_title} – live session", 150)},
        _fields(state, sid, rev),
    ]
    if not state.is_open:
        return [*blocks, context("This session has ended.")]
    active = state.breakout.status in (BreakoutStatus.RUNNING, BreakoutStatus.CLOSING)
    if not moderators:
        open_room = button("Open the room", "open_dashboard", sid, style="primary", url=url)
        return [*blocks, actions(f"top:{sid}:{rev}", open_room)]
    blocks.append(_controls(sid, rev, url, active))
    rooms = state.breakout_rooms
    if len(rooms) <= MAX_ROOM_SECTIONS:
        blocks += [_room(state, room, now, sid, rev) for room in rooms]
    if active:
        blocks.append(_tools(state, sid, rev))
    by = f" · started by {starter}" if starter and active else ""
    blocks.append(context(f"Updated {clock_time(now, '{time_secs}')}{by}"))
    if len(rooms) > MAX_ROOM_SECTIONS:
        # Slack shows a table at the message's end; what one does with a room is done in the dashboard then.
        blocks.append(_table(state, now, sid, rev))
        if (more := len(rooms) - MAX_TABLE_ROWS) > 0:
            words = "1 more room is" if more == 1 else f"{more} more rooms are"
            blocks.append(context(f"{words} not shown here. *Open dashboard* shows all {len(rooms)}."))
    return blocks


def _fields(state: SessionState, sid: str, rev: int) -> Block:
    ends = state.breakout.ends_at
    if not state.is_open:
        return {"type": "section", "block_id": f"meta:{sid}:{rev}", "fields": [mrkdwn("*State*\nEnded")]}
    fields = [
        mrkdwn(f"*State*\n{STATES[state.breakout.status]}"),
        mrkdwn(f"*Ends*\n{clock_time(ends) if ends is not None else 'no limit'}"),
        mrkdwn(f"*Rooms*\n{len(state.breakout_rooms)}"),
        mrkdwn(f"*People*\n{_where(state)}"),
    ]
    return {"type": "section", "block_id": f"meta:{sid}:{rev}", "fields": fields}


def _where(state: SessionState) -> str:
    inside = sum(1 for p in state.people.values() if p.online and p.room_id != "main")
    main = _people(state) - inside
    return f"{inside} in rooms, {main} in main" if state.breakout_rooms else str(main)


def gather_button(sid: str) -> Block:
    """Gather everyone, after a question."""
    asked = confirm("Gather everyone?", "Everyone returns to the main room after a countdown.", "Gather")
    return button("Gather everyone", "gather", sid, confirm=asked)


def end_button(sid: str) -> Block:
    """End the breakout, after a question."""
    asked = confirm("End breakout?", "Everyone returns to the main room and the rooms close.", "End breakout")
    return button("End breakout", "end", sid, style="danger", confirm=asked)


def _controls(sid: str, rev: int, url: str, active: bool) -> Block:
    elements = [button("Open dashboard", "open_dashboard", sid, style="primary", url=url)]
    if active:
        elements += [button("Broadcast", "broadcast_open", sid), gather_button(sid), end_button(sid)]
    else:
        elements.append(button("Start breakout", "start_open", sid))
    return actions(f"top:{sid}:{rev}", *elements)


def _inside(state: SessionState, room: Room) -> str:
    people = sum(1 for p in state.people.values() if p.online and p.room_id == room.room_id)
    return "1 person" if people == 1 else f"{people} people"


def _mark(recording: Recording | None, now: datetime) -> str:
    """How long it has recorded, as of this drawing of the card."""
    if recording is None:
        return ""
    if recording.status is RecordingStatus.INVOKED:
        return ":hourglass_flowing_sand: recording starts"
    if _is_paused(recording):
        return f":double_vertical_bar: paused {length(recording.recorded_s)}"
    more = (now - recording.since).total_seconds() if recording.since is not None else 0.0
    return f":red_circle: REC {length(recording.recorded_s + more)}"


def _is_paused(recording: Recording) -> bool:
    return recording.desired == "paused" or recording.status is RecordingStatus.PAUSED


def _room(state: SessionState, room: Room, now: datetime, sid: str, rev: int) -> Block:
    recording = _recording_of(state, room.room_id)
    options = [option("Join room", f"join:{sid}:{room.number}")]
    if recording is None:
        options.append(option("Start recording", f"rec_start:{sid}:{room.number}"))
    else:
        what, words = (
            ("rec_resume", "Resume recording") if _is_paused(recording) else ("rec_pause", "Pause recording")
        )
        options.append(option(words, f"{what}:{sid}:{room.number}"))
        options.append(option("Stop recording", f"rec_stop:{sid}:{room.number}"))
    options.append(option("Send everyone back", f"close:{sid}:{room.number}"))
    parts = (f"*{escape(room.name)}*", _inside(state, room), _mark(recording, now))
    return section(
        " · ".join(part for part in parts if part),
        block_id=f"room:{sid}:{room.number}:{rev}",
        accessory={"type": "overflow", "action_id": "room_menu", "options": options},
    )


def _table(state: SessionState, now: datetime, sid: str, rev: int) -> Block:
    def cell(text: str) -> Block:
        return {"type": "raw_text", "text": text or "–"}

    marks = {":red_circle: ": "", ":double_vertical_bar: ": "", ":hourglass_flowing_sand: ": ""}
    rows = [[cell("Room"), cell("People"), cell("Recording")]]
    for room in state.breakout_rooms[:MAX_TABLE_ROWS]:
        mark = _mark(_recording_of(state, room.room_id), now)
        for sign, word in marks.items():
            mark = mark.replace(sign, word)
        rows.append([cell(room.name), cell(_inside(state, room)), cell(mark)])
    return {"type": "table", "block_id": f"rooms:{sid}:{rev}", "rows": rows}


def _tools(state: SessionState, sid: str, rev: int) -> Block:
    elements = [button("Shuffle", "shuffle", sid), button("Move to next room", "rr", sid)]
    if state.breakout.ends_at is not None:
        elements.append(button("+5 min", "add_time", sid))
    asked = confirm(
        "Record all rooms?", "Everyone in the rooms will see that they’re being recorded.", "Start recording"
    )
    elements.append(button("Record all rooms", "rec_all", sid, confirm=asked))
    return actions(f"bottom:{sid}:{rev}", *elements)
