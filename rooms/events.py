"""What happened in a session: frozen payloads, past tense. Stored with seq and time; pure values, no behaviour.

Wire name = class name in snake_case (``BreakoutStarted`` → ``breakout_started``); ``rooms.wire`` turns them to JSON and
back for the event log, the browsers, webhooks and Slack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from models.recording import DEFAULT_OPTIONS, Layout, RecordingOptions
from models.values import (
    Actor,
    AssignMode,
    CallId,
    CommandId,
    Json,
    PersonId,
    RecordingId,
    RecordingStatus,
    Role,
    RoomId,
    SessionId,
)
from rooms.state import Desired, Room


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all event payloads."""


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    course_id: str
    course_title: str
    room_title: str
    recording: Mapping[str, Json] = field(default_factory=dict)
    """The course's recording options (partial)."""
    record_on_start: bool = False
    sharing: Literal["everyone", "moderators"] = "everyone"
    record_on_start_by: Actor | None = None
    """The moderator who set ``record_on_start``; None when nobody is named."""


@dataclass(frozen=True, slots=True)
class SessionEnded(Event):
    reason: str
    """``moderator`` or ``empty``."""


@dataclass(frozen=True, slots=True)
class ParticipantEntered(Event):
    """Came in or came back. ``room_id`` is where they are now; ``returned`` when they had been here before."""

    person_id: PersonId
    name: str
    role: Role
    room_id: RoomId
    returned: bool


@dataclass(frozen=True, slots=True)
class ParticipantLeft(Event):
    """``lost``: their line broke, they did not press Leave."""

    person_id: PersonId
    lost: bool = False


@dataclass(frozen=True, slots=True)
class ParticipantRemoved(Event):
    person_id: PersonId


@dataclass(frozen=True, slots=True)
class MediaChanged(Event):
    person_id: PersonId
    mic: bool
    camera: bool
    screen: bool


@dataclass(frozen=True, slots=True)
class ParticipantMuted(Event):
    """A moderator switched these microphones off; the clients and the media plane obey."""

    person_ids: tuple[PersonId, ...]


@dataclass(frozen=True, slots=True)
class SharingChanged(Event):
    """Who may share a screen."""

    who: Literal["everyone", "moderators"]


@dataclass(frozen=True, slots=True)
class SharingStopped(Event):
    """A moderator ended these screen shares; the clients and the media plane obey."""

    person_ids: tuple[PersonId, ...]
    name: str
    """Of the moderator."""


@dataclass(frozen=True, slots=True)
class RoomLocked(Event):
    """A room was locked, or unlocked."""

    room_id: RoomId
    locked: bool


@dataclass(frozen=True, slots=True)
class HandChanged(Event):
    person_id: PersonId
    raised: bool


@dataclass(frozen=True, slots=True)
class ChatSent(Event):
    """``room_id``: where the writer was. ``to``: everybody there, the moderators of the session, or ``to_person_id`` (and them)."""

    person_id: PersonId
    name: str
    room_id: RoomId
    text: str
    to: Literal["room", "moderators", "person"] = "room"
    to_person_id: PersonId | None = None


@dataclass(frozen=True, slots=True)
class RoomsCreated(Event):
    """New breakout rooms replace all earlier ones; ``assignments`` is the first plan, also for who is not here yet."""

    rooms: tuple[Room, ...]
    assign: AssignMode
    time_limit_s: int | None
    countdown_s: int
    may_return: bool
    assignments: Mapping[PersonId, RoomId]
    record: bool = False


@dataclass(frozen=True, slots=True)
class RoomsKept(Event):
    time_limit_s: int | None
    countdown_s: int


@dataclass(frozen=True, slots=True)
class RoomsAdded(Event):
    """More breakout rooms beside those that are there."""

    rooms: tuple[Room, ...]


@dataclass(frozen=True, slots=True)
class RoomRemoved(Event):
    """An empty breakout room is gone; nobody is assigned to it any more."""

    room_id: RoomId


@dataclass(frozen=True, slots=True)
class BreakoutOptionsChanged(Event):
    """The options as they are now."""

    time_limit_s: int | None
    countdown_s: int
    may_return: bool
    record: bool


@dataclass(frozen=True, slots=True)
class RoomRenamed(Event):
    room_id: RoomId
    name: str


@dataclass(frozen=True, slots=True)
class ParticipantsAssigned(Event):
    """Plan changed before the start (or a late arrival was placed by rule). None = unassigned."""

    assignments: Mapping[PersonId, RoomId | None]


@dataclass(frozen=True, slots=True)
class BreakoutStarting(Event):
    """The countdown to the breakout runs; its moves apply at ``effective_at``. Who asked is the event's actor."""

    transition_id: str
    effective_at: datetime
    moves: Mapping[PersonId, RoomId]
    record: bool


@dataclass(frozen=True, slots=True)
class BreakoutStarted(Event):
    run: int
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class MessageBroadcast(Event):
    person_id: PersonId | None
    name: str
    text: str
    room_ids: tuple[RoomId, ...]
    people: int
    """How many people are in those rooms now."""


@dataclass(frozen=True, slots=True)
class TimeAdded(Event):
    """``seconds`` is negative when time was taken away. ``name`` says who changed it; empty in old logs."""

    seconds: int
    ends_at: datetime
    name: str = ""


@dataclass(frozen=True, slots=True)
class MovesPlanned(Event):
    """A countdown before moves: ``kind`` is ``moves`` or ``gather``."""

    transition_id: str
    kind: str
    effective_at: datetime
    moves: Mapping[PersonId, RoomId]


@dataclass(frozen=True, slots=True)
class MovesCancelled(Event):
    """A countdown before moves was taken back: ``people`` stay, and are assigned as before it."""

    transition_id: str
    kind: str
    people: tuple[PersonId, ...]
    assignments: Mapping[PersonId, RoomId | None]


@dataclass(frozen=True, slots=True)
class ParticipantsMoved(Event):
    """These people are in these rooms from now on. ``transition_id`` None: the person went by themself, at once."""

    moves: Mapping[PersonId, RoomId]
    transition_id: str | None = None


@dataclass(frozen=True, slots=True)
class BreakoutClosing(Event):
    transition_id: str
    effective_at: datetime
    moves: Mapping[PersonId, RoomId]
    reason: str
    """``moderator`` or ``time``."""


@dataclass(frozen=True, slots=True)
class BreakoutEnded(Event):
    run: int


@dataclass(frozen=True, slots=True)
class CallRaised(Event):
    call_id: CallId
    person_id: PersonId
    room_id: RoomId


@dataclass(frozen=True, slots=True)
class CallClaimed(Event):
    call_id: CallId
    by: PersonId


@dataclass(frozen=True, slots=True)
class CallClosed(Event):
    """``status`` is ``dismissed`` (by a moderator) or ``done`` (caller took it back, left, or help is over)."""

    call_id: CallId
    status: str
    by: PersonId | None
    marked: bool = False
    """A moderator closed it on purpose; otherwise it ended because somebody left, went elsewhere, or took it back."""


@dataclass(frozen=True, slots=True)
class RecordingInvoked(Event):
    recording_id: RecordingId
    room_id: RoomId
    room_name: str
    started_by: PersonId | None
    """Whose recording it is: who asked for it, however it began. None when no person is named."""
    parent_id: str | None
    options: RecordingOptions = DEFAULT_OPTIONS
    reason: str = "moderator"
    """``moderator``, ``api``, ``breakout`` (every room, from its start or because somebody came) or ``on_start``."""


@dataclass(frozen=True, slots=True)
class AllRoomsRecorded(Event):
    """Every breakout room is recorded from now on, also those that are added or entered later."""

    parent_id: str
    options: RecordingOptions
    started_by: PersonId | None


@dataclass(frozen=True, slots=True)
class AllRoomsReleased(Event):
    """Rooms that are entered from now on are not recorded by themselves any more."""

    parent_id: str


@dataclass(frozen=True, slots=True)
class RecordingRequested(Event):
    """Somebody asked to pause, resume or stop; the recorder obeys and reports."""

    recording_id: RecordingId
    desired: Desired
    reason: str = ""
    """Of a stop: ``moderator``, ``api``, ``breakout_ended``, ``session_ended``, ``empty`` or ``length``."""


@dataclass(frozen=True, slots=True)
class RecordingLayoutChanged(Event):
    recording_id: RecordingId
    layout: Layout


@dataclass(frozen=True, slots=True)
class ConsentChanged(Event):
    """A person declined to be recorded, or took that back."""

    person_id: PersonId
    declined: bool


@dataclass(frozen=True, slots=True)
class RecordingStatusChanged(Event):
    recording_id: RecordingId
    status: RecordingStatus
    error: str | None = None
    duration_s: float | None = None
    entry_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingWarned(Event):
    """The recorder misses something of a person (``active``), or has it again; moderators are told while it lasts."""

    recording_id: RecordingId
    code: str
    person_id: PersonId
    active: bool


@dataclass(frozen=True, slots=True)
class FilmReported(Event):
    """Another film of a recording, asked for afterwards, is made (``file_name``) or was given up (``error``)."""

    recording_id: RecordingId
    film_id: str
    file_name: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as committed: its place in the session's log, when, and who asked."""

    session_id: SessionId
    seq: int
    at: datetime
    actor: Actor
    command_id: CommandId
    event: Event
