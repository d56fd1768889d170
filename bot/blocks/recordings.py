"""Recordings as messages: one a recording, rewritten from the start to the end of its days; lists; the room chooser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

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
from foundation.zone import day_and_time
from models.values import RecordingStatus
from rooms.state import Recording, Room, SessionState

MOST_OPTIONS, GROUP = 100, 50
WORDS = {
    RecordingStatus.INVOKED: "starting",
    RecordingStatus.RECORDING: "running",
    RecordingStatus.PAUSED: "paused",
    RecordingStatus.UPLOADING: "processing",
    RecordingStatus.UPLOADED: "ready",
    RecordingStatus.ERRORED: "failed",
}
SIGNS = {
    RecordingStatus.RECORDING: ":red_circle:",
    RecordingStatus.PAUSED: ":double_vertical_bar:",
}


def recording_text(state: SessionState, recording: Recording, ready_at: datetime | None = None) -> str:
    """One line for notifications and lists; ``ready_at``: when its film will be ready, if that is known."""
    when = f", ready around {clock_time(ready_at)}" if ready_at is not None else ""
    return f"{escape(state.course_title)}, {escape(recording.room_name)}: recording {_word(recording)}{when}"


def _word(recording: Recording) -> str:
    if recording.status is RecordingStatus.RECORDING and recording.desired == "stopped":
        return "stopping"
    return WORDS[recording.status]


def recording_message(
    state: SessionState, recording: Recording, entry: Mapping[str, Any] | None, *, may_retry: bool = True
) -> list[Block]:
    """The message of one recording. ``entry``: its row in the library, once there is one."""
    title = f"{escape(state.course_title)}, {escape(recording.room_name)}"
    block_id = f"rec:{recording.recording_id}:{state.seq}"
    if entry is not None and entry["status"] == "expired":
        return [section(f"~Recording – {title}~ · expired and deleted", block_id=block_id)]
    if recording.status is RecordingStatus.UPLOADED:
        return _ready(title, block_id, state, recording, entry)
    if recording.status is RecordingStatus.ERRORED:
        reason = escape(recording.error or "unknown reason")
        blocks = [section(f":warning: *Recording failed* – {title}: {reason}", block_id=block_id)]
        if may_retry and state.is_open:
            value = f"{state.session_id}:{_number(state, recording)}"
            blocks.append(
                actions(f"recact:{recording.recording_id}:{state.seq}", button("Retry", "rec_retry", value))
            )
        return blocks
    sign = SIGNS.get(recording.status, ":hourglass_flowing_sand:")
    done = ""
    if recording.status is RecordingStatus.UPLOADING and entry is not None and entry["progress"]:
        done = f" · {round(float(entry['progress']) * 100)}%"
    return [section(f"{sign} Recording {_word(recording)} – {title}{done}", block_id=block_id)]


def _number(state: SessionState, recording: Recording) -> int:
    room = state.rooms.get(recording.room_id)
    return room.number if room is not None else 0


def _ready(
    title: str, block_id: str, state: SessionState, recording: Recording, entry: Mapping[str, Any] | None
) -> list[Block]:
    rid = recording.recording_id
    text = f":white_check_mark: *Recording ready* – {title}, {length(recording.recorded_s)} min"
    elements = [button("Watch", "rec_watch", rid, style="primary")]
    blocks = [section(text, block_id=block_id)]
    if entry is not None:
        blocks.append(context(_facts(entry)))
        word, action = (
            ("Unpublish", "rec_unpublish")
            if entry["published"]
            else ("Publish to Media Gallery", "rec_publish")
        )
        elements.append(button(word, action, rid))
        options = [option("Audio tracks", f"tracks:{rid}"), option("Delete", f"delete:{rid}")]
        elements.append({"type": "overflow", "action_id": "rec_menu", "options": options})
    return [*blocks, actions(f"recact:{rid}:{state.seq}", *elements)]


def _facts(entry: Mapping[str, Any]) -> str:
    kind = {"video/mp4": "MP4", "video/webm": "WebM", "audio/mp4": "M4A", "audio/mpeg": "MP3"}.get(
        str(entry["mime"]), str(entry["mime"])
    )
    size = size_text(entry["size_bytes"])
    where = "in the Media Gallery" if entry["published"] else "moderators only"
    kept = entry["expires_at"]
    until = f" · kept until {clock_time(kept, '{date_short}')}" if kept is not None else ""
    return f"{kind} · {size} · {where}{until}"


def size_text(size_bytes: int) -> str:
    """“12 MB”, “3.4 MB”, “80 kB”: never a size of nothing for a file that is there."""
    if size_bytes <= 0:
        return "size unknown"
    if size_bytes < 1_000_000:
        return f"{max(1, round(size_bytes / 1000))} kB"
    mb = size_bytes / 1_000_000
    return f"{mb:.1f} MB" if mb < 10 else f"{mb:.0f} MB"


def listed(found: Mapping[str, Any], now: datetime) -> Block:
    """One line of a list, with Watch when it can be watched. ``found``: the fields of a listed recording."""
    status, kept = WORDS[RecordingStatus(found["status"])], found["expires_at"]
    if found["entry_status"] == "expired" or (kept is not None and kept <= now):
        status = "expired"
    ready = status == "ready" and found["entry_status"] == "ready"
    parts = [
        f"*{escape(found['course_title'] or found['meeting_title'])}*",
        escape(found["room_name"]),
        day_and_time(found["invoked_at"], found["time_zone"]),
        length(found["duration_s"]) if found["duration_s"] is not None else "",
        status,
        f"kept until {clock_time(kept, '{date_short}')}" if kept is not None and ready else "",
    ]
    more = {"accessory": button("Watch", "rec_watch", found["recording_id"])} if ready else {}
    return section(" · ".join(part for part in parts if part), **more)


def chooser(session_id: str, rooms: Sequence[Room]) -> list[Block]:
    """Which room do you want to record? One menu."""
    options = [option(room.name, f"{session_id}:{room.number}") for room in rooms]
    if len(rooms) > 1:
        options.insert(0, option("All breakout rooms", f"{session_id}:all"))
    menu: Block = {
        "type": "static_select",
        "action_id": "rec_choose",
        "placeholder": plain("Choose a room"),
    }
    if len(options) <= MOST_OPTIONS:
        menu["options"] = options
    else:
        # Slack takes 100 options, but 100 groups of them.
        menu["option_groups"] = [
            {
                "label": plain(f"Rooms {at + 1} to {min(at + GROUP, len(options))}"),
                "options": options[at : at + GROUP],
            }
            for at in range(0, len(options), GROUP)
        ]
    return [section("Which room do you want to record?", accessory=menu)]
