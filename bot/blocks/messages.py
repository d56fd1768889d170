"""Help calls, recordings, broadcasts, help text, and the forms."""

from __future__ import annotations

from datetime import datetime

from bot.blocks.parts import (
    Block,
    actions,
    button,
    clock_time,
    context,
    escape,
    length,
    option,
    plain,
    section,
)
from bot.registry import ALIASES, ROOT, VERBS
from models.values import CallStatus, RecordingStatus
from rooms.state import HelpCall, Recording, SessionState


def call_text(state: SessionState, call: HelpCall) -> str:
    person = state.people.get(call.person_id)
    room = state.rooms.get(call.room_id)
    who, where = person.name if person else "Somebody", room.name if room else "a room"
    return f"{escape(who)} in {escape(where)} asks for help"


def call_message(state: SessionState, call: HelpCall, helper: str | None) -> list[Block]:
    """An open call with its buttons, or what became of it. ``helper``: a Slack mention or an escaped name."""
    person = state.people.get(call.person_id)
    room = state.rooms.get(call.room_id)
    who = f"*{escape(person.name if person else 'Somebody')}*"
    where = f"*{escape(room.name if room else 'a room')}*"
    block_id = f"call:{call.call_id}:{state.seq}"
    value = f"{state.session_id}:{call.call_id}"
    if call.status is CallStatus.RAISED and state.is_open:
        return [
            section(
                f":bell: {who} in {where} asks for help · since {clock_time(call.raised_at)}",
                block_id=block_id,
            ),
            actions(
                f"callact:{call.call_id}:{state.seq}",
                button(f"Join {room.name if room else 'room'}", "help_join", value, style="primary"),
                button("Dismiss", "help_dismiss", value),
            ),
        ]
    if call.status is CallStatus.CLAIMED and state.is_open:
        return [
            section(
                f":white_check_mark: {helper or 'A moderator'} is on the way to {who} in {where}",
                block_id=block_id,
            )
        ]
    by = f" by {helper}" if helper else ""
    word = {CallStatus.DISMISSED: "dismissed", CallStatus.DONE: "done"}.get(call.status)
    if word is None:
        word, by = "the session has ended", ""
    return [
        section(
            f"~{escape(person.name if person else 'Somebody')} in {where} asked for help~ · {word}{by}",
            block_id=block_id,
        )
    ]


def recording_text(state: SessionState, recording: Recording) -> str:
    return f"{escape(state.course_title)}, {escape(recording.room_name)}: recording {_word(recording)}"


def _word(recording: Recording) -> str:
    if recording.status is RecordingStatus.RECORDING and recording.desired == "stopped":
        return "stopping"
    return {
        RecordingStatus.INVOKED: "starting",
        RecordingStatus.RECORDING: "running",
        RecordingStatus.PAUSED: "paused",
        RecordingStatus.UPLOADING: "being prepared",
        RecordingStatus.UPLOADED: "ready",
        RecordingStatus.ERRORED: "failed",
    }[recording.status]


def recording_message(state: SessionState, recording: Recording, watch_url: str) -> list[Block]:
    """One message a recording, rewritten from start to ready."""
    title = f"{escape(state.course_title)}, {escape(recording.room_name)}"
    block_id = f"rec:{recording.recording_id}:{state.seq}"
    if recording.status is RecordingStatus.UPLOADED:
        return [
            section(
                f":white_check_mark: *Recording ready* – {title}, {length(recording.recorded_s)} min",
                block_id=block_id,
            ),
            actions(
                f"recact:{recording.recording_id}:{state.seq}",
                button("Watch", "rec_watch", recording.recording_id, style="primary", url=watch_url),
            ),
        ]
    if recording.status is RecordingStatus.ERRORED:
        reason = escape(recording.error or "unknown reason")
        return [section(f":warning: *Recording failed* – {title}: {reason}", block_id=block_id)]
    sign = ":red_circle:" if recording.status is RecordingStatus.RECORDING else ":hourglass_flowing_sand:"
    return [section(f"{sign} Recording {_word(recording)} – {title}", block_id=block_id)]


def help_blocks(name: str = "") -> list[Block]:
    """All verbs, or those whose name is asked for."""
    chosen = [verb for verb in VERBS if not name or name.lower() in (verb.name, verb.group)] or list(VERBS)
    short = {group: alias for alias, group in ALIASES.items()}
    lines = []
    for verb in chosen:
        root = short.get(verb.group, ROOT)
        call = " ".join(part for part in (root, verb.name, verb.usage) if part)
        lines.append(f"`{escape(call)}` – {verb.help} ({verb.who})")
    return [
        section("\n".join(lines)),
        context(f"All commands also work as {ROOT} breakout, {ROOT} record and so on."),
    ]


def status_lines(state: SessionState, now: datetime) -> str:
    """One paragraph about the live room."""
    rooms = []
    for room in state.rooms.values():
        people = sum(1 for p in state.people.values() if p.online and p.room_id == room.room_id)
        rooms.append(f"{escape(room.name)}: {people}")
    left = state.breakout.ends_at
    rest = f" · {length((left - now).total_seconds())} left" if left is not None else ""
    return f"*{escape(state.course_title)}* · breakout {state.breakout.status.value}{rest}\n" + " · ".join(
        rooms
    )


def create_modal(session_id: str) -> Block:
    """The form of /breakout start."""
    assign = [
        option("Automatically", "auto"),
        option("Manually", "manual"),
        option("Let participants choose room", "self"),
        option("Keep existing rooms", "keep"),
    ]
    extras = [
        option("Record every room", "record"),
        option("People may return to the main room", "may_return"),
    ]
    return {
        "type": "modal",
        "callback_id": "create_breakout",
        "private_metadata": session_id,
        "title": plain("Start breakout rooms", 24),
        "submit": plain("Start", 24),
        "close": plain("Cancel", 24),
        "blocks": [
            _input("rooms", "Number of rooms", _number("4", "1", "100")),
            _input(
                "assign",
                "Assignment",
                {"type": "radio_buttons", "action_id": "v", "options": assign, "initial_option": assign[0]},
            ),
            _input("mins", "Time limit (minutes)", _number("10", "1", "480"), optional=True),
            _input(
                "opts",
                "Options",
                {"type": "checkboxes", "action_id": "v", "options": extras, "initial_options": [extras[1]]},
                optional=True,
            ),
        ],
    }


def broadcast_modal(session_id: str, text: str = "") -> Block:
    """The form of Broadcast."""
    element: Block = {"type": "plain_text_input", "action_id": "v", "multiline": True, "max_length": 1000}
    if text:
        element["initial_value"] = text[:1000]
    return {
        "type": "modal",
        "callback_id": "broadcast",
        "private_metadata": session_id,
        "title": plain("Broadcast", 24),
        "submit": plain("Broadcast", 24),
        "close": plain("Cancel", 24),
        "blocks": [_input("text", "Message to all breakout rooms", element)],
    }


def _number(initial: str, least: str, most: str) -> Block:
    return {
        "type": "number_input",
        "action_id": "v",
        "is_decimal_allowed": False,
        "min_value": least,
        "max_value": most,
        "initial_value": initial,
    }


def _input(block_id: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 150),
        "element": element,
        "optional": optional,
    }
