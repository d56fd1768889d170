"""Help calls as messages: calls raised within two seconds share one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from bot.blocks.parts import Block, actions, button, clock_time, escape, section
from models.values import CallStatus, PersonId
from rooms.state import HelpCall, SessionState

TOGETHER: Final = timedelta(seconds=2)
MAX_TOGETHER: Final = 20
"""Two blocks a call, fifty a message."""

NameOf = Callable[[PersonId], str]
"""A helper as a Slack mention or an escaped name."""


def groups(calls: Iterable[HelpCall]) -> list[list[HelpCall]]:
    """Calls by message: each begins with a call and takes those raised within two seconds of it. Oldest first.

    The same calls always give the same groups, so a message can be drawn again after a restart.
    """
    made: list[list[HelpCall]] = []
    for call in sorted(calls, key=lambda c: (c.raised_at, c.call_id)):
        first = made[-1][0] if made else None
        near = first is not None and call.raised_at - first.raised_at <= TOGETHER
        if near and len(made[-1]) < MAX_TOGETHER:
            made[-1].append(call)
        else:
            made.append([call])
    return made


def call_text(state: SessionState, call: HelpCall) -> str:
    """One line for notifications and lists."""
    who, where = _names(state, call)
    return f"{who} needs help in {where}"


def group_text(state: SessionState, calls: list[HelpCall]) -> str:
    """The sentence for notifications and screen readers."""
    if len(calls) == 1:
        return call_text(state, calls[0])
    return f"{len(calls)} people need help: " + ", ".join(_names(state, call)[0] for call in calls)


def _names(state: SessionState, call: HelpCall) -> tuple[str, str]:
    person, room = state.people.get(call.person_id), state.rooms.get(call.room_id)
    return escape(person.name if person else "A participant"), escape(room.name if room else "a room")


def group_message(state: SessionState, calls: list[HelpCall], name_of: NameOf) -> list[Block]:
    """The message of calls that were raised together; the ids carry the revision."""
    return [block for call in calls for block in _call(state, call, name_of)]


def _call(state: SessionState, call: HelpCall, name_of: NameOf) -> list[Block]:
    """An open call with its buttons, or what became of it."""
    who, where = _names(state, call)
    block_id = f"call:{call.call_id}:{state.seq}"
    helper = name_of(call.handled_by) if call.handled_by is not None else ""
    if call.status is CallStatus.RAISED and state.is_open:
        since = clock_time(call.raised_at)
        room = state.rooms.get(call.room_id)
        value = f"{state.session_id}:{call.call_id}"
        return [
            section(f":bell: *{who}* needs help in *{where}* · since {since}", block_id=block_id),
            actions(
                f"callact:{call.call_id}:{state.seq}",
                button(f"Join {room.name if room else 'room'}", "help_join", value, style="primary"),
                button("Dismiss", "help_dismiss", value),
            ),
        ]
    if call.status is CallStatus.CLAIMED and state.is_open:
        text = f":white_check_mark: {helper or 'A moderator'} is on the way to *{who}* in *{where}*{_after(call)}"
        return [section(text, block_id=block_id)]
    word = {CallStatus.DISMISSED: "dismissed", CallStatus.DONE: "done"}.get(call.status)
    end = f"{word} by {helper}" if word and helper else (word or "the session has ended")
    return [section(f"~{who} needed help in {where}~ · {end}", block_id=block_id)]


def _after(call: HelpCall) -> str:
    if call.handled_at is None:
        return ""
    return f" · after {max(0, round((call.handled_at - call.raised_at).total_seconds()))} s"
