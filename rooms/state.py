"""The state of one session, as it follows from its events. Frozen values only; ``rooms.core.evolve`` is the only maker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from models.recording import DEFAULT_OPTIONS, Layout, RecordingOptions
from models.values import (
    MAIN_ROOM,
    SYSTEM,
    Actor,
    AssignMode,
    BreakoutStatus,
    CallId,
    CallStatus,
    CourseId,
    PersonId,
    RecordingId,
    RecordingStatus,
    Role,
    RoomId,
    SessionId,
    SessionStatus,
)

Desired = Literal["recording", "paused", "stopped"]
NO_COURSE = CourseId("")
TransitionKind = Literal["start", "moves", "gather", "end"]


@dataclass(frozen=True, slots=True)
class LeftRoom:
    """A room somebody has been in: what was written there up to ``seq`` stays readable to them."""

    name: str
    seq: int


@dataclass(frozen=True, slots=True)
class Participant:
    """Anybody who ever entered this session. ``room_id`` is the one room the person is in, also while offline."""

    person_id: PersonId
    name: str
    role: Role
    room_id: RoomId = MAIN_ROOM
    assigned_room_id: RoomId | None = None
    online: bool = True
    mic: bool = False
    camera: bool = False
    screen: bool = False
    screen_since: datetime | None = None
    """When the screen that is shared now was: the latest share is shown."""
    hand_raised_at: datetime | None = None
    entered_at: datetime | None = None
    declines_recording: bool = False
    left_rooms: Mapping[RoomId, LeftRoom] = field(default_factory=lambda: MappingProxyType({}))
    """Rooms the person was moved out of, the one left last at the end."""


@dataclass(frozen=True, slots=True)
class Room:
    """The main room (``MAIN_ROOM``, number 0) or a breakout room (number 1…100)."""

    room_id: RoomId
    name: str
    number: int
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Breakout:
    """One breakout run and its settings. ``run`` counts the starts of this session."""

    status: BreakoutStatus = BreakoutStatus.NONE
    run: int = 0
    assign: AssignMode = AssignMode.AUTO
    time_limit_s: int | None = None
    countdown_s: int = 5
    may_return: bool = True
    record: bool = False
    started_by: Actor | None = None
    """Who asked for the start; every room's recordings are theirs."""
    started_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A countdown that runs: at ``effective_at`` (UTC) the ``moves`` are applied by ``CompleteTransition``."""

    transition_id: str
    kind: TransitionKind
    effective_at: datetime
    moves: Mapping[PersonId, RoomId]
    before: Mapping[PersonId, RoomId | None] = field(default_factory=lambda: MappingProxyType({}))
    """Where its people were assigned before any move that is still planned: a cancelled countdown gives that back."""


@dataclass(frozen=True, slots=True)
class HelpCall:
    call_id: CallId
    person_id: PersonId
    room_id: RoomId
    raised_at: datetime
    status: CallStatus = CallStatus.RAISED
    handled_by: PersonId | None = None
    handled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of one room. ``desired`` is what was asked, ``status`` what the recorder reported.

    ``recorded_s`` counts up to ``since`` (the last change to RECORDING); while RECORDING the length is
    ``recorded_s + (now - since)``.
    """

    recording_id: RecordingId
    room_id: RoomId
    room_name: str
    started_by: PersonId | None
    """Whose recording it is; None when no person is named."""
    invoked_at: datetime
    status: RecordingStatus = RecordingStatus.INVOKED
    desired: Desired = "recording"
    asked_at: datetime | None = None
    """When ``desired`` was asked for, after the beginning."""
    parent_id: str | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    since: datetime | None = None
    recorded_s: float = 0.0
    entry_id: str | None = None
    error: str | None = None
    options: RecordingOptions = DEFAULT_OPTIONS
    layout: Layout = "grid"
    """The one asked for last; the options hold the first."""
    start_reason: str = "moderator"
    stop_reason: str | None = None
    caller: Actor = SYSTEM
    """Who asked for it."""
    stopper: Actor | None = None
    empty_since: datetime | None = None
    """Since when nobody has been in its room; None while somebody is there."""
    warnings: tuple[tuple[str, PersonId], ...] = ()
    """What the recorder misses now: (code, person)."""


@dataclass(frozen=True, slots=True)
class RecordAll:
    """Every breakout room is recorded under ``parent_id`` until the breakout ends or somebody stops it."""

    parent_id: str
    options: RecordingOptions
    caller: Actor
    """Who asked for it; recordings that follow are theirs, whoever walks in."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """Everything the rules need. ``seq`` is the number of the last event applied (0: none yet)."""

    session_id: SessionId
    course_id: CourseId = NO_COURSE
    course_title: str = ""
    room_title: str = ""
    status: SessionStatus = SessionStatus.OPEN
    seq: int = 0
    opened_at: datetime | None = None
    ended_at: datetime | None = None
    people: Mapping[PersonId, Participant] = field(default_factory=lambda: MappingProxyType({}))
    rooms: Mapping[RoomId, Room] = field(default_factory=lambda: MappingProxyType({}))
    breakout: Breakout = Breakout()
    transitions: Mapping[str, Transition] = field(default_factory=lambda: MappingProxyType({}))
    calls: Mapping[CallId, HelpCall] = field(default_factory=lambda: MappingProxyType({}))
    recordings: Mapping[RecordingId, Recording] = field(default_factory=lambda: MappingProxyType({}))
    record_all: RecordAll | None = None
    recording_defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    record_on_start: bool = False
    sharing: Literal["everyone", "moderators"] = "everyone"
    """Who may share a screen."""
    record_on_start_by: Actor | None = None
    removed: frozenset[PersonId] = frozenset()
    expected: Mapping[PersonId, RoomId] = field(default_factory=lambda: MappingProxyType({}))
    """Breakout rooms of people who have not arrived yet; each is assigned there on arrival."""

    @property
    def is_open(self) -> bool:
        return self.seq > 0 and self.status is SessionStatus.OPEN

    @property
    def breakout_rooms(self) -> tuple[Room, ...]:
        """Breakout rooms by number."""
        return tuple(sorted((r for r in self.rooms.values() if r.number > 0), key=lambda r: r.number))
