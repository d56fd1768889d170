"""What can be asked of a session: one frozen dataclass a command, imperative names. Pure values, no behaviour.

A command travels in an ``Envelope`` that says who asks and carries the unique ``command_id`` (a repeated id gets the
first answer). The wire name of a command is its class name in snake_case (``StartBreakout`` → ``start_breakout``);
``rooms.wire`` turns JSON into these and refuses unknown or mistyped fields with ``bad_command``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from models.recording import Layout
from models.values import (
    Actor,
    AssignMode,
    CallId,
    CommandId,
    Json,
    PersonId,
    RecordingId,
    Role,
    RoomId,
    SessionId,
)

MAX_ROOMS = 100
MAX_MESSAGE_CHARS = 1000
MAX_ROOM_NAME_CHARS = 60
MAX_NAME_CHARS = 200
MAX_TIME_LIMIT_S = 24 * 3600
MIN_TIME_LIMIT_S = 30
MAX_COUNTDOWN_S = 120
MAX_EXPECTED = 2000
MAX_PERSON_ID_CHARS = 64
Sharing = Literal["everyone", "moderators"]
"""Who may share a screen."""
DEFAULT_COUNTDOWN_S = 5


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands."""


# -- the session and who is in it (submitted by doors and alarms) ----------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenSession(Command):
    """First command of every session (system).

    ``recording``: the course's recording options (partial); ``record_on_start``: record the main room when somebody comes,
    for ``record_on_start_by`` (a moderator; None: nobody is named); ``sharing``: who may share a screen.
    """

    course_id: str
    course_title: str
    room_title: str
    recording: Mapping[str, Json] = field(default_factory=dict)
    record_on_start: bool = False
    sharing: Sharing = "everyone"
    record_on_start_by: Actor | None = None


@dataclass(frozen=True, slots=True)
class EndSession(Command):
    """Moderator (“end for everyone”) or alarm (empty for long). Stops recordings, closes the breakout."""


@dataclass(frozen=True, slots=True)
class EnterSession(Command):
    """The actor came in, or came back after a reload or a dropped connection: same room as before."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class LeaveSession(Command):
    """The person's last connection is gone (system, after a grace time) or they pressed Leave.

    ``lost``: the line broke. Who comes back then finds their raised hand as it was.
    """

    person_id: PersonId
    lost: bool = False


@dataclass(frozen=True, slots=True)
class RemoveParticipant(Command):
    """Moderator: send somebody out of this session; they cannot re-enter it."""

    person_id: PersonId


@dataclass(frozen=True, slots=True)
class SetMedia(Command):
    """What the actor publishes now; draws mute marks and feeds the recording's timeline. None = unchanged."""

    mic: bool | None = None
    camera: bool | None = None
    screen: bool | None = None


@dataclass(frozen=True, slots=True)
class SetSharing(Command):
    """Who may share a screen from now on; with ``moderators`` the shares of everybody else end."""

    who: Sharing


@dataclass(frozen=True, slots=True)
class StopSharing(Command):
    """Moderator: end somebody's screen share; they may share again unless ``SetSharing`` says otherwise."""

    person_id: PersonId


@dataclass(frozen=True, slots=True)
class LockRoom(Command):
    """Lock a room or unlock it. The main room: nobody new comes into the session. A breakout room: participants go
    there only when they are assigned to it. Moderators, and people who were inside, always may."""

    room_id: RoomId
    locked: bool


@dataclass(frozen=True, slots=True)
class MuteParticipant(Command):
    """Moderator: switch somebody's microphone off (``person_id``), or everybody's but moderators' (None)."""

    person_id: PersonId | None = None


@dataclass(frozen=True, slots=True)
class SetHand(Command):
    """Raise or lower a hand; a moderator may lower somebody else's."""

    raised: bool
    person_id: PersonId | None = None


@dataclass(frozen=True, slots=True)
class LowerHands(Command):
    """Moderator: lower every raised hand of a room (None: of all rooms)."""

    room_id: RoomId | None = None


@dataclass(frozen=True, slots=True)
class SendChat(Command):
    """A chat line to everybody in the actor's present room, or (``to`` = moderators) to the moderators wherever they are.

    ``person_id``: a moderator's private answer to one person, seen by that person and by all moderators.
    """

    text: str
    to: Literal["room", "moderators"] = "room"
    person_id: PersonId | None = None


# -- breakouts -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateRooms(Command):
    """Create new rooms in place of any earlier ones (refused while a breakout runs). 1…100 rooms.

    ``names`` may be shorter than ``count``; the rest are called “Room N”. AUTO assigns all present participants
    evenly (moderators stay in the main room). ``record``: record every room from the start. ``members`` are ready-made groups: ``members[0]`` belongs in the first
    room, also who has not arrived yet; a person in two groups goes to the first. AUTO then deals only the others.
    """

    count: int
    assign: AssignMode = AssignMode.AUTO
    names: tuple[str, ...] = ()
    time_limit_s: int | None = 600
    countdown_s: int = DEFAULT_COUNTDOWN_S
    may_return: bool = True
    members: tuple[tuple[PersonId, ...], ...] = ()
    record: bool = False


@dataclass(frozen=True, slots=True)
class KeepRooms(Command):
    """“Keep existing rooms”: use the rooms and assignments of the earlier breakout again; optional new settings."""

    time_limit_s: int | None = None
    countdown_s: int | None = None


@dataclass(frozen=True, slots=True)
class SetBreakoutOptions(Command):
    """Change what was chosen when the rooms were made; None: unchanged.

    ``time_limit_s``: seconds, 0 for no limit. While the breakout starts or runs only ``may_return`` can change.
    """

    time_limit_s: int | None = None
    countdown_s: int | None = None
    may_return: bool | None = None
    record: bool | None = None


@dataclass(frozen=True, slots=True)
class AssignRest(Command):
    """Deal everybody who is here without a room into the smallest rooms; while it runs they move after the countdown."""


@dataclass(frozen=True, slots=True)
class RemoveRoom(Command):
    """Delete an empty breakout room; who was assigned to it is unassigned. One room always stays."""

    room_id: RoomId


@dataclass(frozen=True, slots=True)
class AddRooms(Command):
    """More breakout rooms, also while the breakout runs; people join them or are moved there."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class RenameRoom(Command):
    room_id: RoomId
    name: str


@dataclass(frozen=True, slots=True)
class AssignParticipant(Command):
    """Before the start: choose a person's room. While running use MoveParticipant. None = unassigned.

    Somebody who has not arrived yet (``person_id`` from the roster) is expected there, also while it runs.
    """

    person_id: PersonId
    room_id: RoomId | None


@dataclass(frozen=True, slots=True)
class StartBreakout(Command):
    """Start with the configured rooms; assigned people move after the countdown. ``record`` = record every room, as
    when the rooms' own option says so."""

    record: bool = False


@dataclass(frozen=True, slots=True)
class BroadcastMessage(Command):
    """Text to all breakout rooms, or to some (``room_ids``). Text only."""

    text: str
    room_ids: tuple[RoomId, ...] | None = None


@dataclass(frozen=True, slots=True)
class AddTime(Command):
    """Add (or with a negative number take) time; the end never lies less than 10 s ahead."""

    seconds: int


@dataclass(frozen=True, slots=True)
class JoinRoom(Command):
    """The actor goes to a room at once. Moderators: any room. Participants: their assigned room, any room in SELF
    mode, the main room if ``may_return`` or no moderator is there."""

    room_id: RoomId


@dataclass(frozen=True, slots=True)
class CallModerator(Command):
    """A participant in a breakout room asks for help. One open call a person."""


@dataclass(frozen=True, slots=True)
class CancelCall(Command):
    """The caller takes the call back."""


@dataclass(frozen=True, slots=True)
class ClaimCall(Command):
    """A moderator answers: the first claim wins (others get ``already_claimed``) and joins the caller's room."""

    call_id: CallId


@dataclass(frozen=True, slots=True)
class DismissCall(Command):
    """Close a call: one that nobody answered is dismissed, and the caller is told; an answered one is done."""

    call_id: CallId


@dataclass(frozen=True, slots=True)
class MoveParticipant(Command):
    """Move somebody (or oneself) after the countdown. Before the start it assigns."""

    person_id: PersonId
    room_id: RoomId


@dataclass(frozen=True, slots=True)
class ShuffleParticipants(Command):
    """Assign everybody who is in a breakout room (or assigned to one) at random and evenly; ``seed`` decides."""

    seed: int


@dataclass(frozen=True, slots=True)
class MoveToNextRoom(Command):
    """Round robin: everybody in room N goes to room N+1, from the last to the first."""


@dataclass(frozen=True, slots=True)
class GatherEveryone(Command):
    """Everybody back to the main room after the countdown, without ending the breakout."""


@dataclass(frozen=True, slots=True)
class SendEveryoneBack(Command):
    """After a gathering: everybody in the main room who is assigned to a breakout room goes there, after the countdown."""


@dataclass(frozen=True, slots=True)
class CancelMoves(Command):
    """Take back moves whose countdown still runs (None: all of them): people stay, and their rooms are as before."""

    transition_id: str | None = None


@dataclass(frozen=True, slots=True)
class EndBreakout(Command):
    """End with countdown; everybody returns to the main room; rooms are kept for next time."""


@dataclass(frozen=True, slots=True)
class CompleteTransition(Command):
    """Alarm only: the countdown of ``transition_id`` (start, moves, gather, end) is over; apply what it planned."""

    transition_id: str


@dataclass(frozen=True, slots=True)
class TimeIsUp(Command):
    """Alarm only: the breakout's time limit is reached; ``ends_at`` guards against an alarm from before AddTime."""

    ends_at: str


# -- recording -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartRecording(Command):
    """Record a room (None: the room the actor is in), or every breakout room (``all_rooms``).

    ``options``: fields of ``models.recording.RecordingOptions`` that differ from the course's. One recording a room,
    unless ``allow_multiple``.
    """

    room_id: RoomId | None = None
    all_rooms: bool = False
    options: Mapping[str, Json] = field(default_factory=dict)
    allow_multiple: bool = False


@dataclass(frozen=True, slots=True)
class PauseRecording(Command):
    """None: every live recording of the session that is RECORDING."""

    recording_id: RecordingId | None = None


@dataclass(frozen=True, slots=True)
class ResumeRecording(Command):
    recording_id: RecordingId | None = None


@dataclass(frozen=True, slots=True)
class StopRecording(Command):
    """None: all of the session. A parent's id: its recordings, and rooms that are entered later are not recorded.

    ``all_rooms``: those of every breakout room; the main room's goes on.
    """

    recording_id: RecordingId | None = None
    all_rooms: bool = False


@dataclass(frozen=True, slots=True)
class ExpireRecording(Command):
    """Alarm only: its room has been empty for too long (``empty``), or it is as long as it may be (``length``)."""

    recording_id: RecordingId
    why: Literal["empty", "length"]


@dataclass(frozen=True, slots=True)
class SetRecordingLayout(Command):
    """Another layout from now on; None: in every live recording of the session."""

    layout: Layout
    recording_id: RecordingId | None = None


@dataclass(frozen=True, slots=True)
class SetRecordingConsent(Command):
    """A person declines to be recorded (or takes that back): neither captured, nor seen or heard in any film."""

    declined: bool


@dataclass(frozen=True, slots=True)
class ReportRecording(Command):
    """System only: the recorder or the job worker tells what became of a recording.

    ``status``: RECORDING (first frame written, or resumed), PAUSED, UPLOADING (capture closed, composing),
    UPLOADED (in the library), ERRORED. A report that the state machine does not allow is refused as ``stale_report``.
    """

    recording_id: RecordingId
    status: str
    error: str | None = None
    duration_s: float | None = None
    entry_id: str | None = None


@dataclass(frozen=True, slots=True)
class WarnOfRecording(Command):
    """System only: the recorder misses something of a person while it records (``active``), or has it again.

    ``code``: microphone_missing, camera_missing, screen_missing (switched on, but nothing arrives), microphone_silent, or
    clock_apart (media come with times that are not now; of nobody: ``person_id`` is empty).
    """

    recording_id: RecordingId
    code: str
    person_id: PersonId
    active: bool


@dataclass(frozen=True, slots=True)
class ReportFilm(Command):
    """System only: the job worker tells what became of another film of a recording that was asked for afterwards."""

    recording_id: RecordingId
    film_id: str
    file_name: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One command on its way: unique id, the session, who asks."""

    command_id: CommandId
    session_id: SessionId
    actor: Actor
    command: Command
