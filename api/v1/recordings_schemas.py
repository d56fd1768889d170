"""Bodies and answers about recordings. Names are those of docs/rest.md; options become ``models.recording`` fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from api.v1.base import Answer, At, Body, Id, PageQuery, Time
from models.recording import MAX_PEOPLE, MAX_STORAGES, AudioCodec, Layout, Position, VideoCodec

Status = Literal["INVOKED", "RECORDING", "PAUSED", "UPLOADING", "UPLOADED", "ERRORED"]
Ids = Annotated[list[Id], Field(max_length=MAX_PEOPLE)]
StorageIds = Annotated[list[Id], Field(max_length=MAX_STORAGES)]
CHANNELS: Final = {"mono": 1, "stereo": 2}


# -- what may be asked -----------------------------------------------------------------------------------------


class StorageConfigBody(Body):
    """A storage for this recording only; its credentials are kept sealed and never shown. docs/storage.md."""

    type: str = Field(max_length=40, description="aws, azure, digitalocean or s3 (any compatible endpoint).")
    access_key: str | None = Field(None, max_length=2048)
    secret: str | None = Field(None, max_length=2048)
    bucket: str | None = Field(None, max_length=2048)
    region: str | None = Field(None, max_length=2048)
    endpoint_url: str | None = Field(None, max_length=2048)
    path: str | None = Field(None, max_length=2048)


class WatermarkSize(Body):
    """Pixels; 0 or absent: as the picture is."""

    width: int = Field(0, ge=0, le=1920)
    height: int = Field(0, ge=0, le=1920)


class WatermarkBody(Body):
    """A PNG or JPEG laid over a corner."""

    url: str = Field(pattern=r"^https?://", max_length=2000)
    size: WatermarkSize | None = None
    position: Position = "left top"


class VideoConfig(Body):
    """The video. H264 makes an MP4, VP8 a WebM. Width and height are even."""

    codec: VideoCodec | None = None
    width: int | None = Field(None, ge=64, le=1920, multiple_of=2)
    height: int | None = Field(None, ge=64, le=1920, multiple_of=2)
    fps: Literal[24, 25, 30] | None = None
    export_file: bool | None = Field(None, description="False: the result is an audio file.")
    watermark: WatermarkBody | None = None


class AudioConfig(Body):
    """The sound. AAC or MP3 go with H264 and with audio-only results, OPUS with VP8."""

    codec: AudioCodec | None = None
    channel: Literal["mono", "stereo"] | None = None
    export_file: bool | None = Field(None, description="True: an audio file in addition to the video.")


class Tracks(Body):
    """Separate files, one a participant, copied and never encoded again."""

    audio: bool = False
    video: bool = False
    person_ids: Ids = Field(
        default_factory=list, description="Whose; empty: everybody's, also later joiners'."
    )


class Options(Body):
    """What a recording shall be. What is absent (or null) follows the course's settings, then the defaults."""

    layout: Layout | None = None
    video_config: VideoConfig | None = None
    audio_config: AudioConfig | None = None
    tracks: Tracks | None = None
    names: bool | None = Field(None, description="Names at the lower left of each tile.")
    muted_mark: bool | None = None
    title_card: bool | None = None
    clock: bool | None = None
    chapters: bool | None = None
    max_seconds: int | None = Field(None, ge=60, le=86_400)
    file_name_prefix: str | None = Field(None, pattern=r"^[A-Za-z0-9_]{0,64}$")
    empty_stop_seconds: int | None = Field(
        None, ge=0, le=3_600, description="Stops when its room was empty for so long; 0: never."
    )
    storage_ids: StorageIds | None = None
    storage_override: bool | None = Field(None, description="True: copies go to storage_ids only.")

    def partial(self) -> dict[str, Any]:
        """Fields of ``models.recording.RecordingOptions`` that were given."""
        video, audio, tracks = self.video_config, self.audio_config, self.tracks
        given: dict[str, Any] = {
            name: getattr(self, name) for name in ("layout", *_SAME) if getattr(self, name) is not None
        }
        given |= _renamed(self, {"empty_stop_seconds": "empty_stop_s", "storage_ids": "storages"})
        if video is not None:
            given |= _renamed(video, {"codec": "video_codec", "export_file": "export_video"})
            given |= _renamed(video, {"width": "width", "height": "height", "fps": "fps"})
        if video is not None and video.watermark is not None:
            size = video.watermark.size or WatermarkSize(width=0, height=0)
            mark = video.watermark
            given["watermark"] = {
                "url": mark.url,
                "width": size.width,
                "height": size.height,
                "position": mark.position,
            }
        if audio is not None:
            given |= _renamed(audio, {"codec": "audio_codec", "export_file": "export_audio"})
        if audio is not None and audio.channel is not None:
            given["audio_channels"] = CHANNELS[audio.channel]
        if tracks is not None:
            given |= {
                "audio_tracks": tracks.audio,
                "video_tracks": tracks.video,
                "people": list(tracks.person_ids),
            }
        return given


_SAME: Final = (
    "names",
    "muted_mark",
    "title_card",
    "clock",
    "chapters",
    "max_seconds",
    "file_name_prefix",
    "storage_override",
)
FIELDS: Final = {
    "video_codec": "video_config.codec",
    "width": "video_config.width",
    "height": "video_config.height",
    "fps": "video_config.fps",
    "export_video": "video_config.export_file",
    "watermark": "video_config.watermark",
    "audio_codec": "audio_config.codec",
    "audio_channels": "audio_config.channel",
    "export_audio": "audio_config.export_file",
    "people": "tracks.person_ids",
    "empty_stop_s": "empty_stop_seconds",
    "storages": "storage_ids",
}
"""Option → the field here that sets it, where the names differ."""


def _renamed(part: Body, names: dict[str, str]) -> dict[str, Any]:
    return {
        ours: getattr(part, theirs) for theirs, ours in names.items() if getattr(part, theirs) is not None
    }


def in_our_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Option fields as a start call names them; ``options`` may be partial."""
    shown: dict[str, Any] = {}
    for name, value in options.items():
        if name in ("audio_tracks", "video_tracks"):
            shown.setdefault("tracks", {})[name.removesuffix("_tracks")] = value
        elif name == "audio_channels":
            shown.setdefault("audio_config", {})["channel"] = "mono" if value == 1 else "stereo"
        elif name == "watermark" and value:
            size = {"width": value["width"], "height": value["height"]}
            mark = {"url": value["url"], "size": size, "position": value["position"]}
            shown.setdefault("video_config", {})["watermark"] = mark
        elif name != "type":
            part, _, inner = FIELDS.get(name, name).partition(".")
            if inner:
                shown.setdefault(part, {})[inner] = value
            else:
                shown[part] = value
    return shown


class Where(Body):
    """Which session, and of it which room: the main room, another one, or every breakout room."""

    meeting_id: Id
    room_id: Id | None = None
    all_rooms: bool = False
    on_behalf_of: Id | None = Field(
        None,
        description="A moderator of the course (person_id), whose recording it is: it appears in their My Media. Without "
        "one it appears in the moderators' “Class recordings”.",
    )
    storage_config: StorageConfigBody | None = Field(
        None, description="One more target; tried out before the recording starts."
    )


class StartBody(Options, Where):
    """Begin to record."""

    allow_multiple_recordings: bool = Field(
        False, description="True: also when the room is being recorded already."
    )


class TrackBody(Where):
    """Start recording tracks only, without a composite video."""

    audio: bool = True
    video: bool = False
    person_ids: Ids = Field(
        default_factory=list, description="Whose; empty: everybody's, also later joiners'."
    )
    allow_multiple_recordings: bool = False
    max_seconds: int | None = Field(None, ge=60, le=86_400)
    file_name_prefix: str | None = Field(None, pattern=r"^[A-Za-z0-9_]{0,64}$")
    empty_stop_seconds: int | None = Field(None, ge=0, le=3_600)
    storage_ids: StorageIds | None = None
    storage_override: bool | None = None

    def partial(self) -> dict[str, Any]:
        given: dict[str, Any] = {
            "type": "TRACK",
            "audio_tracks": self.audio,
            "video_tracks": self.video,
            "people": list(self.person_ids),
        }
        same = {n: n for n in ("max_seconds", "file_name_prefix", "storage_override")}
        return given | _renamed(
            self, {**same, "empty_stop_seconds": "empty_stop_s", "storage_ids": "storages"}
        )


class ActBody(Body):
    """What to do with a recording."""

    action: Literal["stop", "pause", "resume"]


class EntryBody(Body):
    """What the library shows; at least one of the two."""

    title: str | None = Field(None, max_length=8000, description="1 to 200 characters, as people count them.")
    published: bool | None = Field(None, description="True: the course sees it in its Media Gallery.")


class LayoutBody(Body):
    """Another layout from now on."""

    layout: Layout


class RecomposeBody(Body):
    """Another version of the recording: give only what is different."""

    layout: Layout | None = None
    video_config: VideoConfig | None = None
    audio_config: AudioConfig | None = None
    names: bool | None = None
    muted_mark: bool | None = None
    title_card: bool | None = None
    clock: bool | None = None
    chapters: bool | None = None

    def partial(self) -> dict[str, Any]:
        """Fields of ``models.recording.RecordingOptions`` that were given."""
        return Options.model_validate(self.model_dump(exclude_none=True)).partial()


class ListQuery(PageQuery):
    """Which recordings."""

    meeting_id: str | None = Field(None, max_length=100)
    status: list[Status] = Field(default_factory=list)
    search: str = Field(
        "", max_length=100, description="A meeting's id, or a part of its title or its course's."
    )
    start_time: Time | None = None
    end_time: Time | None = None
    expired: Literal["true", "false"] | None = None
    sort_by: Literal["invoked_time", "invokedTime"] = "invoked_time"
    sort_order: Literal["ASC", "DESC"] = "DESC"


class RecordingConfig(Body):
    """A course's settings for recordings: its defaults, and whether its main room is recorded when somebody comes."""

    record_on_start: bool = False
    on_behalf_of: Id | None = Field(
        None,
        description="A moderator of the course (person_id), to whom recordings that start by themselves belong.",
    )
    options: Options | None = None


# -- what is answered ------------------------------------------------------------------------------------------


class Caller(Answer):
    """Who asked: a person, an integrator (by its key's name), or the server itself."""

    type: Literal["USER", "ORGANIZATION", "SYSTEM"]
    name: str
    person_id: str | None


class StartReason(Answer):
    reason: Literal["API_CALL", "MODERATOR", "BREAKOUT", "RECORD_ON_START"]
    caller: Caller


class StopReason(Answer):
    reason: Literal[
        "API_CALL",
        "MODERATOR",
        "BREAKOUT_ENDED",
        "SESSION_ENDED",
        "ALL_PEERS_LEFT",
        "MAX_SECONDS",
        "INTERNAL_ERROR",
    ]
    caller: Caller


class File(Answer):
    """One file of a recording. ``person_id`` and ``title`` say whose track it is."""

    kind: Literal["composite", "audio", "track_audio", "track_video", "chapters", "thumbnail"]
    name: str
    mime: str
    file_size: int
    duration: int
    sha256: str
    person_id: str | None
    title: str
    start_offset: float | None = Field(
        description="Of a track: seconds from the recording's start to what was sent first. The file begins at 0 all the "
        "same; what comes before is filled."
    )
    end_offset: float | None = Field(description="Of a track: seconds to the end of what was sent last.")
    download_url: str


class Copy(Answer):
    """The copies of a recording's files at one storage."""

    id: str
    storage_id: str
    name: str
    type: str
    status: Literal["waiting", "copying", "done", "failed"]
    percent: int
    error: str | None
    next_try_time: At | None
    confirmed_time: At | None


class MeetingName(Answer):
    id: str
    title: str
    course_id: str
    course_title: str


class Recording(Answer):
    """One recording of one room."""

    id: str
    type: Literal["COMPOSITE", "TRACK"]
    meeting_id: str
    meeting: MeetingName
    room_id: str
    room_name: str
    parent_id: str | None = Field(description="The group's id, when one call recorded every room.")
    status: Status
    layout: Layout
    progress: float = Field(description="Of the composition, 0…1.")
    estimated_ready_time: At | None = Field(description="When the video will be ready; null: not known.")
    error: str | None
    invoked_time: At
    started_time: At | None
    stopped_time: At | None
    recording_duration: int | None
    title: str | None = Field(description="Its name in the library; null before it is there.")
    published: bool = Field(description="Whether the course sees it in its Media Gallery.")
    output_file_name: str | None = Field(description="The file of `download_url`; null where that is null.")
    file_size: int | None = Field(
        description="Of that one file, in bytes; null where `download_url` is null."
    )
    total_size: int = Field(description="Of all `files` together, in bytes.")
    download_url: str | None = Field(
        description="The video, or the audio file when there is no video. Always null for type TRACK: each participant's file "
        "stands in `files`, with an address and a size of its own."
    )
    audio_download_url: str | None
    download_url_expiry: At | None
    files: list[File] = Field(description="Everything there is to download, also each participant's tracks.")
    copies: list[Copy] = Field(description="How the copies to storages fare.")
    warnings: list[str] = Field(description="What the check of the file found.")
    quality: dict[str, Any] = Field(description="The quality report; empty until UPLOADED.")
    deleted: bool = Field(
        description="True: somebody deleted it in the library; there are no files any more."
    )
    expired: bool
    expires_at: At | None
    start_reason: StartReason
    stop_reason: StopReason | None
    options: dict[str, Any] = Field(description="What it shall be, in the names of the start call.")


class Composition(Answer):
    """Another version that was requested. When it's done, it's among the recording's files by ``file_name``."""

    id: str
    recording_id: str
    status: Literal["waiting", "done", "failed"] = Field(description="Waiting also while it is made.")
    progress: float
    estimated_ready_time: At | None
    error: str | None
    file_name: str | None
    created_at: At
    options: dict[str, Any] = Field(description="What was asked for.")


class Group(Answer):
    """One call's recordings of every breakout room; rooms that are opened later join it."""

    id: str
    type: Literal["GROUP"] = "GROUP"
    meeting_id: str
    recordings: list[Recording]


class RecordingConfigData(Answer):
    """A course's settings, as they were put."""

    course_id: str
    record_on_start: bool
    on_behalf_of: str | None = Field(
        description="The moderator to whom recordings that start by themselves belong."
    )
    options: dict[str, Any] = Field(description="Options as given, in the names of a start call's options.")
    effective: dict[str, Any] = Field(description="The same in full, with the defaults.")
