"""What every decision starts from: state, who asks, when; and small checks that many share. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundation.text import clean, fits, is_visible
from models.values import Actor, BreakoutStatus, PersonId, RoomId
from rooms.commands import MAX_COUNTDOWN_S, MAX_NAME_CHARS, Envelope
from rooms.errors import DomainError
from rooms.state import Participant, Room, SessionState

CLOCK_SLACK_S = 2
"""Clocks of our processes may differ by so much."""


@dataclass(frozen=True, slots=True)
class Context:
    """State before the command, the envelope, and the time at which it is decided (aware UTC)."""

    state: SessionState
    envelope: Envelope
    now: datetime

    @property
    def actor(self) -> Actor:
        return self.envelope.actor

    @property
    def me(self) -> Participant:
        """The actor as a participant. Raises ``not_in_session``."""
        person = self.state.people.get(self.actor.person_id) if self.actor.person_id else None
        if person is None:
            raise DomainError("not_in_session")
        return person

    def new_id(self, prefix: str, number: int = 0) -> str:
        """An id that follows from the command's id: deciding twice gives the same."""
        digest = hashlib.sha256(f"{self.envelope.command_id}/{prefix}/{number}".encode()).hexdigest()
        return f"{prefix}{digest[:16]}"

    def person(self, person_id: PersonId) -> Participant:
        person = self.state.people.get(person_id)
        if person is None:
            raise DomainError("person_unknown")
        return person

    def room(self, room_id: RoomId) -> Room:
        room = self.state.rooms.get(room_id)
        if room is None:
            raise DomainError("room_unknown")
        return room

    def is_over(self, countdown_ends_at: datetime) -> bool:
        """A countdown has run out; also one that lies further ahead than it was long: the clock was set back."""
        left_s = (countdown_ends_at - self.now).total_seconds()
        return left_s <= 0 or left_s > self.state.breakout.countdown_s + CLOCK_SLACK_S

    def after(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    @property
    def breakout_status(self) -> BreakoutStatus:
        return self.state.breakout.status

    def require_running(self) -> None:
        """Raises ``not_running`` or ``closing`` unless the breakout runs."""
        if self.breakout_status is BreakoutStatus.CLOSING:
            raise DomainError("closing")
        if self.breakout_status is not BreakoutStatus.RUNNING:
            raise DomainError("not_running")


def clean_text(text: str, most: int, what: str, *, keep_lines: bool = False) -> str:
    """Text of 1…``most`` characters, as people count them, as it can be kept and shown, on one line unless ``keep_lines``. Raises ``bad_value``.

    What cannot be seen is taken out rather than refused: it comes along unnoticed when people paste.
    """
    kept = clean(text, keep_lines=keep_lines)
    if not kept or not fits(kept, most):
        raise DomainError("bad_value", f"{what} must have 1 to {most} characters.", field=what, most=most)
    if not is_visible(kept):
        raise DomainError("bad_value", f"{what} has no visible characters.", field=what)
    return kept


def display_name(name: str) -> str:
    """A person's name as it can be shown: cleaned, on one line, cut at ``MAX_NAME_CHARS``.

    Names come from the LMS; an odd one must never keep its owner out.
    """
    shown = clean(name, MAX_NAME_CHARS, most_bytes=4 * MAX_NAME_CHARS)
    return shown if is_visible(shown) else "Guest"


def check_range(value: int, least: int, most: int, what: str) -> int:
    """Raises ``bad_value`` outside ``least``…``most``."""
    if not least <= value <= most:
        raise DomainError(
            "bad_value", f"{what} must be from {least} to {most}.", field=what, least=least, most=most
        )
    return value


def check_countdown(value: int) -> int:
    return check_range(value, 0, MAX_COUNTDOWN_S, "The countdown (seconds)")
