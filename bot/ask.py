"""What is asked and what is answered, without Slack's own shapes: who asks, and a refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def is_outside(self) -> bool:
        """Somebody of another organisation (Slack Connect)."""
        return bool(self.home_team_id) and self.home_team_id != self.team_id


class SlackRefusal(Exception):
    """A refusal that only Slack knows (not linked, no course for this channel). ``code`` is stable."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(code)
