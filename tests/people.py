"""Test people, with fixed names and roles: Alice moderates, Bob is her student, Charlie moderates another course."""

from __future__ import annotations

from itertools import count

from models.values import Actor, ActorKind, CommandId, CourseId, PersonId, Role, SessionId
from rooms.commands import Command, Envelope

COURSE = CourseId("bio101")
OTHER_COURSE = CourseId("his200")
SESSION = SessionId("s1")

ALICE = Actor(ActorKind.PERSON, PersonId("alice"), "Alice", Role.MODERATOR, COURSE)
BOB = Actor(ActorKind.PERSON, PersonId("bob"), "Bob", Role.PARTICIPANT, COURSE)
BEA = Actor(ActorKind.PERSON, PersonId("bea"), "Bea", Role.PARTICIPANT, COURSE)
BEN = Actor(ActorKind.PERSON, PersonId("ben"), "Ben", Role.PARTICIPANT, COURSE)
CHARLIE = Actor(ActorKind.PERSON, PersonId("charlie"), "Charlie", Role.MODERATOR, OTHER_COURSE)
KEY = Actor(ActorKind.API, None, "Records office", Role.MODERATOR, COURSE)
"""An integrator's key for the course."""

_numbers = count(1)


def ask(
    actor: Actor, command: Command, session_id: SessionId = SESSION, command_id: str | None = None
) -> Envelope:
    """An envelope with a fresh command id."""
    return Envelope(CommandId(command_id or f"test-{next(_numbers)}"), session_id, actor, command)
