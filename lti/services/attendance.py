"""Who attended a meeting, out of its events. Pure: times come from the events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.values import PersonId, Role
from rooms import events as e
from rooms.events import Recorded

MIN_MEETING_S = 300.0
"""A shorter meeting is a try and counts for nobody."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """``length_s``: how long at least one moderator was there; ``present_s``: each other person's share of that time."""

    length_s: float
    present_s: dict[PersonId, float]


def attendance(log: Sequence[Recorded]) -> Attendance:
    """Presence by the events of one session, in order."""
    here: dict[PersonId, Role] = {}
    present: dict[PersonId, float] = {}
    moderated_s = 0.0
    before: datetime | None = None
    for recorded in log:
        passed = (recorded.at - before).total_seconds() if before is not None else 0.0
        if passed > 0 and Role.MODERATOR in here.values():
            moderated_s += passed
            for person_id, role in here.items():
                if role is not Role.MODERATOR:
                    present[person_id] = present.get(person_id, 0.0) + passed
        before = recorded.at if before is None else max(before, recorded.at)
        _follow(here, recorded)
    return Attendance(moderated_s, present)


def _follow(here: dict[PersonId, Role], recorded: Recorded) -> None:
    event = recorded.event
    if isinstance(event, e.ParticipantEntered):
        here[event.person_id] = event.role
    elif isinstance(event, e.ParticipantLeft | e.ParticipantRemoved):
        here.pop(event.person_id, None)
    elif isinstance(event, e.SessionEnded):
        here.clear()
