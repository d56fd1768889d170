"""Plain values shared by every part: ids, roles, states. Must not import anything but the standard library's types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

SessionId = NewType("SessionId", str)
CourseId = NewType("CourseId", str)
RoomId = NewType("RoomId", str)
PersonId = NewType("PersonId", str)
RecordingId = NewType("RecordingId", str)
CallId = NewType("CallId", str)
EntryId = NewType("EntryId", str)
CommandId = NewType("CommandId", str)
Json = NewType("Json", object)
"""Any JSON value, checked by whoever uses it."""

MAIN_ROOM = RoomId("main")
"""Every session has exactly one main room and it always carries this id."""


class Role(StrEnum):
    """A person's role in one course. Roles never carry over from one course to another."""

    MODERATOR = "moderator"
    PARTICIPANT = "participant"
    GUEST = "guest"


class ActorKind(StrEnum):
    """Who asked: a person, an alarm or process of ours, or an integrator with an API key."""

    PERSON = "person"
    SYSTEM = "system"
    API = "api"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a command, as authenticated by the door. ``role`` is the role in the session's course."""

    kind: ActorKind
    person_id: PersonId | None = None
    name: str = ""
    role: Role | None = None
    course_id: CourseId | None = None
    """The course for which the door proved the role. A command for a session of another course is refused."""

    @property
    def is_moderator(self) -> bool:
        return self.kind is not ActorKind.PERSON or self.role is Role.MODERATOR


SYSTEM = Actor(kind=ActorKind.SYSTEM, name="system")


class SessionStatus(StrEnum):
    OPEN = "open"
    ENDED = "ended"


class BreakoutStatus(StrEnum):
    """One breakout run. ``NONE``: no rooms; ``CLOSING``: end countdown runs, rooms still open."""

    NONE = "none"
    CONFIGURED = "configured"
    STARTING = "starting"
    RUNNING = "running"
    CLOSING = "closing"


class AssignMode(StrEnum):
    AUTO = "auto"
    MANUAL = "manual"
    SELF = "self"


class CallStatus(StrEnum):
    RAISED = "raised"
    CLAIMED = "claimed"
    DISMISSED = "dismissed"
    DONE = "done"


class RecordingStatus(StrEnum):
    """The states of the recording API (INVOKED → RECORDING ⇄ PAUSED → UPLOADING → UPLOADED, or ERRORED)."""

    INVOKED = "INVOKED"
    RECORDING = "RECORDING"
    PAUSED = "PAUSED"
    UPLOADING = "UPLOADING"
    UPLOADED = "UPLOADED"
    ERRORED = "ERRORED"

    @property
    def is_live(self) -> bool:
        """True while the recorder still captures or will capture."""
        return self in (RecordingStatus.INVOKED, RecordingStatus.RECORDING, RecordingStatus.PAUSED)


class MediaSource(StrEnum):
    """What a published track shows. One publish connection carries at most one of each."""

    MIC = "mic"
    CAMERA = "camera"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen_audio"

    @property
    def is_audio(self) -> bool:
        return self in (MediaSource.MIC, MediaSource.SCREEN_AUDIO)
