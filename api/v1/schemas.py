"""Bodies and answers about meetings, courses, usage and storages."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.v1.base import Answer, At, Body


class Meeting(Answer):
    """A session: one class meeting in a course's room."""

    id: str
    title: str
    course_id: str
    course_title: str
    status: Literal["LIVE", "ENDED"]
    started_at: At
    ended_at: At | None


class Room(Answer):
    """The main room (``main``) or a breakout room."""

    id: str
    name: str
    participants: int


class MeetingDetails(Meeting):
    """A session with who is there now."""

    participants: int = Field(description="How many people are there now.")
    participants_total: int = Field(description="How many have ever come in.")
    breakout_status: Literal["none", "configured", "starting", "running", "closing"]
    rooms: list[Room]
    active_recordings: list[str]


class Course(Answer):
    """A course of the LMS; ``context_id`` is the LMS's own id."""

    id: str
    title: str
    context_id: str


class MeetingParticipant(Answer):
    """Somebody who is or was in a meeting."""

    person_id: str
    name: str
    role: Literal["moderator", "participant", "guest"]
    room_id: str = Field(description="The room they are in, or were last.")
    room_name: str
    online: bool
    microphone: bool
    camera: bool
    screen: bool
    hand_raised: bool
    joined_time: At | None = Field(description="When they came for the first time.")


class CommandBody(Body):
    """A command of docs/protocol.md §2."""

    name: str = Field(max_length=60)
    args: dict[str, Any] = Field(default_factory=dict)
    on_behalf_of: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="A moderator of the course (person_id) for whom it is asked; recordings that follow are theirs.",
    )


class Event(Answer):
    """What happened, as docs/protocol.md §4 names it."""

    session_id: str
    seq: int
    at: str
    event: str
    data: dict[str, Any]
    actor: dict[str, Any]


class Commanded(Answer):
    """What a command caused. ``repeated``: its Idempotency-Key had been used; the events are the first answer's."""

    events: list[Event]
    repeated: bool


class UsageRow(Answer):
    """One course's recordings of one month (UTC)."""

    month: str = Field(description="Such as 2026-05.")
    course_id: str
    course_title: str
    recordings: int
    recorded_minutes: int
    composer_seconds: int
    files: int = Field(description="Files that are kept of these recordings.")
    bytes: int = Field(description="Their size.")
