"""Help text, the live room in a line, and the forms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.blocks.parts import (
    Block,
    context,
    cut,
    escape,
    length,
    option,
    plain,
    section,
)
from bot.names import DEFAULT_NAMES, Names
from bot.registry import VERBS
from rooms.state import SessionState


def help_blocks(name: str = "", names: Names = DEFAULT_NAMES, *, moderates: bool = True) -> list[Block]:
    """A section a verb: those whose name or group is asked for, else all that may be of use to who asks."""
    mine = [verb for verb in VERBS if moderates or verb.who != "moderator"]
    chosen = [verb for verb in VERBS if name and name.lower() in (verb.name, verb.group)] or mine
    made = [
        section(f"`{escape(names.call(verb.group, verb.name, verb.usage))}`\n{verb.help} ({verb.who})")
        for verb in chosen
    ]
    return [
        *made,
        context(f"You can also type {names.root} breakout, {names.root} record and so on."),
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


MAX_INPUT_UNITS: Final = 3000
"""Slack takes no more in a field; the limit that counts people’s characters is the command’s own, told under the field."""
MOST_ROOMS: Final = 100
"""As many as a breakout may have."""
KEEP = option("Keep existing rooms", "keep")
CREATE = (
    option("Create new rooms, assign automatically", "auto"),
    option("Create new rooms, assign manually", "manual"),
    option("Create new rooms, participants choose", "self"),
)
EXTRAS = (
    option("Record all rooms", "record"),
    option("Participants may return to the main room", "may_return"),
)


def create_modal(meta: str, rooms: int = 0, sessions: Sequence[tuple[str, str]] = ()) -> Block:
    """The form of /breakout start. ``rooms``: how many there are, which may be kept. ``sessions``: (title, id) to choose from."""
    choices = [KEEP, *CREATE] if rooms else list(CREATE)
    blocks = [
        _input("rooms", "Number of rooms", _number(str(rooms or 4), "1", str(MOST_ROOMS))),
        _input(
            "assign",
            "Rooms and assignment",
            {"type": "radio_buttons", "action_id": "v", "options": choices, "initial_option": choices[0]},
        ),
        _input("mins", "Time limit (minutes)", _number("10", "1", "480"), optional=True),
        _input(
            "opts",
            "Options",
            {
                "type": "checkboxes",
                "action_id": "v",
                "options": list(EXTRAS),
                "initial_options": [EXTRAS[1]],
            },
            optional=True,
        ),
    ]
    return _modal("create_breakout", meta, "Start breakout rooms", "Start", [*_sessions(sessions), *blocks])


def _sessions(sessions: Sequence[tuple[str, str]]) -> list[Block]:
    """Which course? Only where more than one is live."""
    if len(sessions) < 2:
        return []
    options = [option(title, key) for title, key in sessions[:100]]
    element: Block = {
        "type": "static_select",
        "action_id": "v",
        "options": options,
        "initial_option": options[0],
    }
    return [_input("session", "Course", element)]


def broadcast_modal(meta: str, text: str = "", sessions: Sequence[tuple[str, str]] = ()) -> Block:
    """The form of a broadcast."""
    element: Block = {
        "type": "plain_text_input",
        "action_id": "v",
        "multiline": True,
        "max_length": MAX_INPUT_UNITS,
    }
    if text:
        element["initial_value"] = cut(text, MAX_INPUT_UNITS, markup=False)
    blocks = [*_sessions(sessions), _input("text", "Message to all breakout rooms", element)]
    return _modal("broadcast", meta, "Broadcast", "Broadcast", blocks)


def connect_modal(meta: str) -> Block:
    """The form of /room connect."""
    element: Block = {"type": "plain_text_input", "action_id": "v", "min_length": 8, "max_length": 12}
    how = "Open the room in your course. Under *Slack*, press *Show code*."
    return _modal(
        "connect", meta, "Connect your account", "Connect", [section(how), _input("code", "Code", element)]
    )


def confirm_modal(meta: str, name: str, courses: Sequence[str]) -> Block:
    """Whose account is about to be connected: shown before anything is."""
    titles = ", ".join(escape(title) for title in courses[:10]) or "no course yet"
    if len(courses) > 10:
        titles += f" and {len(courses) - 10} more"
    text = f"This code belongs to *{escape(name) or 'someone without a name'}* in the course system.\nCourses: {titles}"
    blocks = [section(text), context("Not you? Press Cancel and nothing will be connected.")]
    return _modal("connect_confirm", meta, "Is this you?", "Connect", blocks)


def notice_modal(text: str) -> Block:
    """In a form's place: what went wrong, and nothing to send."""
    made = _modal("notice", "", "Not done", "OK", [section(text)])
    return {key: value for key, value in made.items() if key != "submit"}


def link_modal(meta: str, course_id: str, title: str, role: str) -> Block:
    """The form of /room link; courses are looked up while one types."""
    roles = {
        "moderators": option("Moderators: card with controls, help calls and recordings", "moderators"),
        "class": option("Class: card without names and controls", "class"),
    }
    picker: Block = {
        "type": "external_select",
        "action_id": "course_pick",
        "min_query_length": 0,
        "initial_option": option(title or "Course", course_id),
    }
    radio: Block = {
        "type": "radio_buttons",
        "action_id": "v",
        "options": list(roles.values()),
        "initial_option": roles.get(role, roles["moderators"]),
    }
    blocks = [_input("course", "Course", picker), _input("role", "This channel is for", radio)]
    return _modal("link_channel", meta, "Link this channel", "Link", blocks)


def _modal(callback_id: str, meta: str, title: str, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": meta,
        "title": plain(title, 24),
        "submit": plain(submit, 24),
        "close": plain("Cancel", 24),
        "blocks": blocks,
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
