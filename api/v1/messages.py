"""The bodies of webhook messages as models: for the OpenAPI document, and for tests that hold ``webhooks.events`` to it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from api.v1.base import Answer, At
from api.v1.recordings_schemas import File, StartReason, Status, StopReason
from api.v1.schemas import Meeting


class _Message(Answer):
    seq: int = Field(
        description="Grows with each event of a meeting; messages of a recording come in its order."
    )
    timestamp: At = Field(description="When it happened.")


class RecordingOfMessage(Answer):
    """A recording right after the event. Stop fields only once it has stopped, files only when UPLOADED."""

    id: str
    type: Literal["COMPOSITE", "TRACK"]
    meeting_id: str
    parent_id: str | None
    room_id: str
    room_name: str
    status: Status
    previous_status: Status | None
    invoked_time: At
    started_time: At | None
    error: str | None
    start_reason: StartReason


class StoppedRecording(RecordingOfMessage):
    """After the end of the capture."""

    stopped_time: At
    recording_duration: int
    stop_reason: StopReason | None


class UploadedRecording(StoppedRecording):
    """In the library. Links live about an hour; ``GET /api/v1/recordings/{id}`` gives new ones."""

    output_file_name: str | None
    file_size: int | None
    total_size: int
    download_url: str | None
    audio_download_url: str | None
    download_url_expiry: At | None
    files: list[File]
    warnings: list[str]
    expires_at: At | None


class StatusUpdate(_Message):
    """A recording changed its status."""

    event: Literal["recording.statusUpdate"]
    recording: UploadedRecording | StoppedRecording | RecordingOfMessage
    meeting: Meeting


class FilmOfMessage(Answer):
    """What ``POST /api/v1/recordings/{id}/compositions`` asked for."""

    id: str
    status: Literal["DONE", "FAILED"]
    file_name: str | None = Field(description="Among the recording's files.")
    error: str | None


class FilmUpdate(_Message):
    """Another version of a recording, requested afterwards, is ready or failed."""

    event: Literal["recording.filmUpdate"]
    film: FilmOfMessage
    recording: UploadedRecording | StoppedRecording | RecordingOfMessage
    meeting: Meeting


class MeetingStarted(_Message):
    """A session was opened."""

    event: Literal["meeting.started"]
    meeting: Meeting


class MeetingEnded(_Message):
    """A session ended."""

    event: Literal["meeting.ended"]
    reason: Literal["HOST_ENDED_MEETING", "ALL_PARTICIPANTS_LEFT"]
    meeting: Meeting


class ParticipantOfMessage(Answer):
    person_id: str
    name: str
    role: Literal["moderator", "participant", "guest"]
    room_id: str
    room_name: str


class ParticipantJoined(_Message):
    """Somebody came in, or came back after they had left."""

    event: Literal["meeting.participantJoined"]
    participant: ParticipantOfMessage
    meeting: Meeting


class ParticipantLeft(_Message):
    """Somebody left, or was sent out."""

    event: Literal["meeting.participantLeft"]
    reason: Literal["LEFT", "REMOVED"]
    participant: ParticipantOfMessage
    meeting: Meeting


class WebhookName(Answer):
    id: str
    name: str


class Test(_Message):
    """Sent on request, to see whether the receiver works."""

    event: Literal["webhook.test"]
    webhook: WebhookName


MESSAGES: Final[dict[str, type[BaseModel]]] = {
    "meeting.started": MeetingStarted,
    "meeting.ended": MeetingEnded,
    "meeting.participantJoined": ParticipantJoined,
    "meeting.participantLeft": ParticipantLeft,
    "recording.statusUpdate": StatusUpdate,
    "recording.filmUpdate": FilmUpdate,
    "webhook.test": Test,
}
