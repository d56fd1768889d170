"""Takes composed files into the library: moved atomically, once per recording, never half visible."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from library.values import FOLDER_BREAKOUT, CompositionFacts, RecordingInfo
from models.store import library as store
from models.store.database import Database
from models.values import EntryId

log = logging.getLogger("sideroom.library")


def entry_id_of(recording_id: str) -> EntryId:
    """An entry's id follows from its recording's: taking it twice gives the same entry."""
    return EntryId("e" + hashlib.sha256(recording_id.encode()).hexdigest()[:20])


def ensure_processing_entry(db: Database, recording: RecordingInfo) -> EntryId:
    """Show a recording that is being composed in the library at once. Safe to repeat; a finished entry stays."""
    entry_id = entry_id_of(recording.recording_id)
    known = store.get_entry(db, entry_id)
    if known is None or known["status"] == "failed":
        store.save_entry(db, entry_id, {**_facts(recording), "status": "processing"})
    return entry_id


def mark_failed(db: Database, recording: RecordingInfo) -> None:
    """The composition was given up; the entry says so (the reason stands with the recording)."""
    store.save_entry(db, entry_id_of(recording.recording_id), {**_facts(recording), "status": "failed"})


def _facts(recording: RecordingInfo) -> dict[str, object]:
    at = recording.started_at or recording.invoked_at
    return {
        "course_id": recording.course_id,
        "owner_id": recording.started_by,
        "recording_id": recording.recording_id,
        "title": f"{recording.course_title} – {recording.room_name} – {at:%Y-%m-%d %H:%M}",
        "room_name": recording.room_name,
        "folder": FOLDER_BREAKOUT if recording.is_breakout else "",
        "recorded_at": at,
        "created_at": datetime.now(UTC),
    }


def take(
    db: Database,
    root: Path,
    recording: RecordingInfo,
    result_folder: Path,
    facts: CompositionFacts,
    retention: timedelta | None = None,
) -> EntryId:
    """Move the composed files into ``root`` and make the entry ready. Repeated calls give the same entry.

    Raises OSError when the library cannot be written; then nothing is visible and ``result_folder`` is as it was.
    """
    entry_id = entry_id_of(recording.recording_id)
    known = store.get_entry(db, entry_id)
    if known is not None and known["status"] == "ready":
        return entry_id
    folder = root / entry_id
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in (facts.thumbnail, facts.chapters, facts.file_name) if name]
    for name in names:  # the video last: an entry without it is not ready
        place(result_folder / name, folder / name)
    now = datetime.now(UTC)
    values = {
        **_facts(recording),
        "status": "ready",
        "path": entry_id,
        "file_name": facts.file_name,
        "mime": facts.mime,
        "size_bytes": facts.size_bytes,
        "duration_s": facts.duration_s,
        "width": facts.width,
        "height": facts.height,
        "sha256": facts.sha256,
        "quality": {**facts.quality, "warnings": list(facts.warnings), "thumbnail": facts.thumbnail},
        "expires_at": now + retention if retention is not None else None,
    }
    store.save_entry(db, entry_id, values)
    log.info("library.taken entry_id=%s size_bytes=%d", entry_id, facts.size_bytes)
    return entry_id


def place(source: Path, target: Path) -> None:
    """Move a file so that the target name is never half written; a target from an earlier try is replaced."""
    if not source.exists() and target.exists():
        return  # an earlier try came this far
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(target.name + ".part")
        try:
            with source.open("rb") as reading, part.open("wb") as writing:
                shutil.copyfileobj(reading, writing, 1024 * 1024)
                writing.flush()
                os.fsync(writing.fileno())
            os.replace(part, target)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        source.unlink(missing_ok=True)
