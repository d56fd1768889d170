"""App Home: what is live, who waits for help, recordings, linked channels, settings. At most 100 blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bot.blocks.calls import call_text
from bot.blocks.card import STATES, end_button
from bot.blocks.parts import Block, actions, button, clock_time, confirm, context, escape, plain, section
from bot.blocks.recordings import listed
from models.values import BreakoutStatus, CallStatus
from rooms.state import SessionState

MAX_BLOCKS: Final = 100
MAX_LIVE, MAX_CALLS, MAX_CHANNELS = 8, 10, 8

RESULTS: Final = {
    "ok": "done",
    "asked": "question shown",
    "opened": "form shown",
    "shown": "shown",
    "too_late": "not done",
}
"""What became of an action, in words; everything else is the code of a refusal."""


@dataclass(frozen=True, slots=True)
class Live:
    """A live session as this person has it."""

    state: SessionState
    is_moderator: bool
    url: str


@dataclass(frozen=True, slots=True)
class LinkedChannel:
    """A channel that a course of theirs is linked to. ``reason``: why it is suspended."""

    channel_id: str
    course_title: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Home:
    """Everything that one person's Home shows. ``audit``: (time, what, result), newest first."""

    name: str
    live: Sequence[Live]
    recordings: Sequence[dict[str, Any]]
    channels: Sequence[LinkedChannel]
    moderates: bool
    dm_calls: bool
    audit: Sequence[tuple[datetime, str, str]]
    limited: bool = False


def _view(blocks: list[Block]) -> Block:
    return {"type": "home", "blocks": blocks[:MAX_BLOCKS]}


def _header(text: str) -> Block:
    return {"type": "header", "text": plain(text, 150)}


def unlinked_view() -> Block:
    """For somebody whose course account is not connected (or may not act)."""
    how = "Open the room in your course. Under *Slack*, sign in, or press *Show code* and come back here."
    return _view(
        [
            _header("Sideroom"),
            section(how),
            actions("connect", button("Connect", "connect_open", style="primary")),
        ]
    )


def home_view(home: Home, now: datetime) -> Block:
    """For a connected person."""
    blocks = [_header("Sideroom"), section(f"Connected as *{escape(home.name)}*.")]
    if home.limited:
        blocks.append(context(":hourglass_flowing_sand: Slack is limiting updates. Cards may be delayed."))
    blocks.append(_header("Live now"))
    for live in home.live[:MAX_LIVE]:
        blocks += _live(live)
    if not home.live:
        blocks.append(section("None of your courses are live."))
    blocks += _calls(home)
    if home.recordings:
        blocks.append(_header("Recordings"))
        blocks += [listed(each, now) for each in home.recordings]
    blocks += _channels(home)
    return _view([*blocks, *_settings(home), *_audit(home)])


def _live(live: Live) -> list[Block]:
    state = live.state
    people = sum(1 for p in state.people.values() if p.online)
    ends = state.breakout.ends_at
    until = f" · ends {clock_time(ends)}" if ends is not None else ""
    sid = state.session_id
    elements = [button("Join", "open_dashboard", sid, style="primary", url=live.url)]
    running = state.breakout.status in (BreakoutStatus.RUNNING, BreakoutStatus.CLOSING)
    if live.is_moderator and running:
        elements += [button("Broadcast", "broadcast_open", sid), end_button(sid)]
    elif live.is_moderator:
        elements.append(button("Start breakout", "start_open", sid))
    text = f"*{escape(state.course_title)}* · {STATES[state.breakout.status]} · {people} people{until}"
    return [section(text), actions(f"live:{sid}", *elements)]


def _calls(home: Home) -> list[Block]:
    waiting = [
        (live.state, call)
        for live in home.live
        if live.is_moderator
        for call in live.state.calls.values()
        if call.status is CallStatus.RAISED
    ]
    if not waiting:
        return []
    blocks = [_header("Help calls")]
    for state, call in sorted(waiting, key=lambda pair: pair[1].raised_at)[:MAX_CALLS]:
        value = f"{state.session_id}:{call.call_id}"
        text = f":bell: {call_text(state, call)} · since {clock_time(call.raised_at)}"
        blocks.append(section(text, accessory=button("Join", "help_join", value, style="primary")))
    return blocks


def _channels(home: Home) -> list[Block]:
    if not home.channels:
        return []
    blocks = [_header("Linked channels")]
    asked = confirm("Unlink?", "It will no longer get the card, help calls or recordings.", "Unlink")
    for channel in home.channels[:MAX_CHANNELS]:
        state = f" · :warning: suspended ({escape(channel.reason)})" if channel.reason else ""
        text = f"<#{channel.channel_id}> · {escape(channel.course_title)} · {channel.role}{state}"
        blocks.append(section(text, accessory=button("Unlink", "unlink", channel.channel_id, confirm=asked)))
    return blocks


def _settings(home: Home) -> list[Block]:
    elements = []
    if home.moderates:
        word = "Don’t message me about help calls" if home.dm_calls else "Message me about help calls"
        elements.append(button(word, "dm_calls", "off" if home.dm_calls else "on"))
    asked = confirm("Disconnect?", "Your course account will no longer be connected to Slack.", "Disconnect")
    elements.append(button("Disconnect", "disconnect", style="danger", confirm=asked))
    return [_header("Settings"), actions("settings", *elements)]


def _audit(home: Home) -> list[Block]:
    if not home.audit:
        return []
    lines = [
        f"{clock_time(at, '{date_short} {time}')} · {escape(what)} · {RESULTS.get(result) or f'refused ({escape(result)})'}"
        for at, what, result in home.audit
    ]
    return [context("Your recent Slack activity:\n" + "\n".join(lines))]
