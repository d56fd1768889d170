"""The library's plain values: what the composer hands over, and an entry as pages see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from models.store.media_files import MediaFile
from models.store.recordings_jobs import RecordingInfo
from models.values import CourseId, EntryId, PersonId, RecordingId

FOLDER_BREAKOUT = "breakout"


@dataclass(frozen=True, slots=True)
class CompositionFacts:
    """What was composed. File names are relative to the result folder; ``sha256`` is the video's, hex."""

    file_name: str
    duration_s: float
    width: int
    height: int
    size_bytes: int
    sha256: str
    mime: str = "video/mp4"
    thumbnail: str | None = None
    chapters: str | None = None
    warnings: tuple[str, ...] = ()
    quality: dict[str, object] = field(default_factory=dict)
    files: tuple[MediaFile, ...] = ()
    """What there is beside the film."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of the library with the names that pages show."""

    entry_id: EntryId
    course_id: CourseId
    owner_id: PersonId | None
    recording_id: RecordingId | None
    title: str
    course_title: str
    time_zone: str
    """Of its date (``models.store.courses.time_zone``); empty: UTC."""
    room_name: str
    owner_name: str
    folder: str
    published: bool
    status: str
    progress: float
    ready_at: datetime | None
    """While it is prepared: when it will be ready, if that is known."""
    error: str | None
    path: str
    file_name: str
    mime: str
    size_bytes: int
    duration_s: float
    width: int
    height: int
    sha256: str
    quality: dict[str, object]
    recorded_at: datetime
    expires_at: datetime | None


__all__ = ["FOLDER_BREAKOUT", "CompositionFacts", "Entry", "RecordingInfo"]
