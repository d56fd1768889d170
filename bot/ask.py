"""What is asked and what is answered, without Slack's own shapes: who asks, a reply, a refusal with its way out. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from bot.blocks.parts import MOST_VALUE, Block, actions, button, section, size
from rooms.errors import DomainError


@dataclass(frozen=True, slots=True)
class Asker:
    """Who pressed or typed, where, and a key that is the same when Slack sends the request again.

    ``home_team_id``: the workspace the person belongs to; another one than ``team_id`` in a shared channel.
    """

    team_id: str
    user_id: str
    channel_id: str
    key: str
    home_team_id: str = ""
    chosen: str = ""
    """The course or session that was chosen where the place names none (a direct message)."""

    @property
    def is_direct(self) -> bool:
        """App Home, a global shortcut, or a direct message (which may be named by its user): nobody else is there."""
        return not self.channel_id or self.channel_id[0] in "DUW"

    @property
    def is_outside(self) -> bool:
        """Somebody whose home is another workspace: of the same organisation (Enterprise Grid), or of another (Slack Connect)."""
        return bool(self.home_team_id) and self.home_team_id != self.team_id


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer only for who asked. ``modal`` opens a form instead; ``replace`` takes the question's place."""

    text: str = ""
    blocks: list[Block] | None = None
    modal: Block | None = None
    replace: bool = False
    code: str = "ok"


class SlackRefusal(Exception):
    """A refusal that only Slack knows (not linked, no course for this channel). ``code`` is stable."""

    def __init__(self, code: str, text: str, *, value: str = "") -> None:
        self.code = code
        self.text = text
        self.value = value
        super().__init__(code)


class WhichOne(SlackRefusal):
    """Said where several are meant. ``choices``: (title, course or session id)."""

    def __init__(self, choices: list[tuple[str, str]]) -> None:
        super().__init__(
            "which_one", "This could apply to several courses. Do this in the channel of one of them."
        )
        self.choices = choices


FIXES: Final[dict[str, tuple[str, str]]] = {
    "not_connected": ("Connect", "connect_open"),
    "channel_not_linked": ("Link course", "link_open"),
    "app_not_in_channel": ("Try again", "link_open"),
    "no_session": ("Open the room", "session_start"),
    "session_ended": ("Show live sessions", "status_show"),
    "already_running": ("Show the card", "status_show"),
    "not_running": ("Start breakout", "start_open"),
    "no_rooms": ("Start breakout", "start_open"),
    "room_unknown": ("Show the rooms", "status_show"),
    "call_unknown": ("Show help calls", "calls_show"),
    "call_closed": ("Show help calls", "calls_show"),
    "already_claimed": ("Show help calls", "calls_show"),
    "nothing_recording": ("Start recording", "rec_open"),
    "already_recording": ("Show recordings", "rec_show"),
    "recorder_failed": ("Retry", "rec_open"),
    "bad_usage": ("Help", "help_show"),
}
"""Refusal → the one button that helps: its words and its action. Refusals without one say in words what to do."""

KNOWN_REFUSALS: Final = (
    *FIXES,
    "not_moderator",
    "other_course",
    "guest_refused",
    "external_refused",
    "classroom_unreachable",
    "slack_unreachable",
    "channel_unfit",
    "code_wrong",
    "person_unknown",
    "which_one",
)
"""What docs/slack.md explains."""


def refused(code: str, text: str, value: str = "", url: str = "") -> Reply:
    """One line and at most one button; the code stands in the block's id."""
    blocks = [section(text, block_id=f"refused:{code}")]
    if code in FIXES:
        words, action_id = FIXES[code]
        blocks.append(actions(f"fix:{code}", button(words, action_id, value, url=url)))
    return Reply(text, blocks, code=code)


def refusal(error: SlackRefusal | DomainError) -> Reply:
    """The reply for a refusal."""
    if isinstance(error, SlackRefusal):
        return refused(error.code, error.text, error.value)
    return refused(error.code, error.message, url=str(error.facts.get("url", "")))


MOST_CHOICES: Final = 20


def choice(error: WhichOne, command: str, text: str) -> Reply:
    """A button for each; whoever presses one has said it there."""
    values = [
        json.dumps({"in": key, "command": command, "text": text}, ensure_ascii=False, separators=(",", ":"))
        for _, key in error.choices
    ]
    if len(error.choices) > MOST_CHOICES or any(size(value) > MOST_VALUE for value in values):
        return refused(error.code, error.text)
    buttons = [
        button(title, f"run_in:{number}", value)
        for number, ((title, _), value) in enumerate(zip(error.choices, values, strict=True))
    ]
    return Reply("Which course?", [section("Which course?"), actions("run_in", *buttons)], code=error.code)


def question(text: str, action_id: str, value: str, yes: str, *, danger: bool = False) -> Reply:
    """Ask before something that touches everybody: only for who typed it, with one button."""
    style = "danger" if danger else "primary"
    blocks = [section(text), actions(f"ask:{action_id}", button(yes, action_id, value, style=style))]
    return Reply(text, blocks, code="asked")
