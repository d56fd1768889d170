"""What the commands are called here: ``/room`` and its aliases, each of which a site may rename or leave out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

KEYS: Final = ("room", "breakout", "broadcast", "help-calls", "record")
_COMMAND = re.compile(r"/[a-z0-9_-]{1,31}")
_TYPED = re.compile(r"(?<![\w/:.])/(" + "|".join(KEYS) + r")(?![\w-])")


class BadNames(ValueError):
    """The setting cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Names:
    """``commands``: key → command as typed. Keys without one have no command of their own (``/room`` always has)."""

    commands: Mapping[str, str] = field(default_factory=lambda: {key: f"/{key}" for key in KEYS})

    @property
    def root(self) -> str:
        return self.commands["room"]

    @property
    def aliases(self) -> dict[str, str]:
        """Command → the group of verbs that it stands for."""
        return {command: key for key, command in self.commands.items() if key != "room"}

    def call(self, group: str, name: str, usage: str = "") -> str:
        """How a verb is typed."""
        alias = self.commands.get(group) if group else self.root
        first = alias if alias is not None else f"{self.root} {group}"
        return " ".join(part for part in (first, name, usage) if part)

    def render(self, text: str) -> str:
        """A text of ours that speaks of ``/room`` and the others, with this site's names."""
        return _TYPED.sub(lambda found: self.call("" if found[1] == "room" else found[1], ""), text)


def read_names(text: str) -> Names:
    """``room=/classroom, record=`` as in the setting: renamed, or (empty) left out. Raises BadNames."""
    commands = {key: f"/{key}" for key in KEYS}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, command = (piece.strip() for piece in part.partition("="))
        if key not in KEYS or not equals:
            raise BadNames(f"“{part}”: say {', '.join(KEYS)} = the command.")
        if not command and key != "room":
            del commands[key]
        elif _COMMAND.fullmatch(command):
            commands[key] = command
        else:
            raise BadNames(
                f"“{command}” is no command: a slash, then up to 31 small letters, digits, - and _."
            )
    if len(set(commands.values())) < len(commands):
        raise BadNames("Two commands have the same name.")
    return Names(commands)


DEFAULT_NAMES: Final = Names()
