"""The one list of Slack commands: parser, help, manifest and documentation are made from it. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """``/room <group> <name>``; ``group`` empty for verbs of /room itself."""

    group: str
    name: str
    usage: str
    help: str
    who: str
    example: str = ""

    @property
    def full(self) -> str:
        return " ".join(part for part in ("/room", self.group, self.name) if part)


ROOT = "/room"
ALIASES = {
    "/breakout": "breakout",
    "/broadcast": "broadcast",
    "/help-calls": "help-calls",
    "/record": "record",
}
DESCRIPTIONS = {
    "/room": "Your live room: status, connect, join",
    "/breakout": "Start and run breakout rooms",
    "/broadcast": "Send a message to breakout rooms",
    "/help-calls": "Answer help calls",
    "/record": "Record rooms",
}
USAGE = {
    "/room": "status | help | connect CODE | join [N]",
    "/breakout": "start 4 for 15m auto record",
    "/broadcast": "[1,3-5:] TEXT",
    "/help-calls": "list | join N | dismiss N",
    "/record": "start all | pause | resume | stop | status",
}

VERBS: tuple[Verb, ...] = (
    Verb("", "status", "", "Show the live room", "connected user"),
    Verb("", "help", "[verb]", "List the commands", "anyone", "help start"),
    Verb(
        "",
        "connect",
        "[CODE]",
        "Connect your course account with the code from the course page",
        "anyone",
        "connect ABCD2345",
    ),
    Verb("", "disconnect", "", "Disconnect your course account; asks first", "anyone"),
    Verb(
        "",
        "link",
        "[moderators|class] [COURSE]",
        "Link this channel to your course; opens a form without arguments",
        "moderator",
        "link moderators",
    ),
    Verb("", "unlink", "", "Unlink this channel; asks first", "moderator"),
    Verb("", "join", "[N]", "Open the room", "connected user", "join 2"),
    Verb(
        "breakout",
        "start",
        "[N] [for 15m] [auto|manual|self|keep] [record]",
        "Create rooms and start; opens a form without arguments",
        "moderator",
        "start 4 for 15m auto record",
    ),
    Verb("breakout", "add", "5m", "Add time", "moderator", "add 5m"),
    Verb("breakout", "gather", "[now]", "Bring everyone back without ending; asks first", "moderator"),
    Verb("breakout", "shuffle", "[now]", "Assign people at random; asks first", "moderator"),
    Verb("breakout", "next", "", "Move everyone to the next room", "moderator"),
    Verb(
        "breakout",
        "move",
        "@person|NAME N|main",
        "Move a participant to room N or the main room",
        "moderator",
        "move @bob 2",
    ),
    Verb("breakout", "end", "[now]", "End with a countdown; asks first", "moderator"),
    Verb(
        "broadcast",
        "",
        "[1,3-5:] TEXT",
        "Send a message to all rooms, or to some",
        "moderator",
        "1,3: Two minutes left",
    ),
    Verb("help-calls", "list", "", "List open help calls", "moderator"),
    Verb("help-calls", "join", "N", "Answer call N", "moderator", "join 1"),
    Verb("help-calls", "dismiss", "N", "Dismiss call N", "moderator", "dismiss 1"),
    Verb(
        "record",
        "start",
        "[room N|main|all] [now]",
        "Record a room or all breakout rooms; asks first",
        "moderator",
        "start all",
    ),
    Verb(
        "record",
        "pause",
        "[room N|main|all]",
        "Pause recording: of a room, of your room, or choose",
        "moderator",
    ),
    Verb(
        "record",
        "resume",
        "[room N|main|all]",
        "Resume recording: of a room, of your room, or choose",
        "moderator",
    ),
    Verb(
        "record",
        "stop",
        "[room N|main|all]",
        "Stop recording: of a room, of your room, or choose",
        "moderator",
    ),
    Verb("record", "status", "", "What is being recorded", "moderator"),
    Verb("record", "list", "", "The course’s recordings, with Watch", "moderator"),
)
DEFAULT_VERB = {"": "status", "breakout": "start", "broadcast": "", "help-calls": "list", "record": "status"}
"""What a command without arguments means."""


def verbs_of(group: str) -> list[Verb]:
    return [verb for verb in VERBS if verb.group == group]


def verb_of(group: str, name: str) -> Verb:
    """One verb. Raises KeyError."""
    for verb in VERBS:
        if (verb.group, verb.name) == (group, name):
            return verb
    raise KeyError((group, name))


def commands_table() -> list[str]:
    """The table of docs/slack.md, line by line."""
    short = {group: alias for alias, group in ALIASES.items()}
    rows = ["| Type | What it does | Who |", "|---|---|---|"]
    for verb in VERBS:
        call = " ".join(part for part in (short.get(verb.group, ROOT), verb.name, verb.usage) if part)
        rows.append(f"| `{call.replace('|', chr(92) + '|')}` | {verb.help} | {verb.who} |")
    return rows
