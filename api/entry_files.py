"""What the page of one recording shows besides the film: chapters, other files, the quality report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from library.values import Entry
from models.store.compositions import DONE, compositions_of
from models.store.database import Database
from models.store.media_files import MediaFile, files_of
from models.values import RecordingId

Link = Callable[[str, bool], str]
"""(file name, as a download) → signed address."""
_LISTED: Final = frozenset({"composite", "audio", "track_audio", "track_video"})
_INNER: Final = frozenset({"thumbnail", "warnings", "chapters"})


def details(db: Database, entry: Entry, link: Link, *, may_edit: bool) -> dict[str, Any]:
    """``chapters`` for everybody who may watch; for who may edit: ``tracks`` (all files but the film), ``coming`` (films that were
    asked for afterwards and are not there) and ``quality``."""
    files = files_of(db, [entry.entry_id]).get(entry.entry_id, []) if entry.status == "ready" else []
    chapters = next((file for file in files if file.kind == "chapters"), None)
    film = {
        file.name for file in files if file.kind in ("composite", "audio") and file.name == entry.file_name
    }
    others = [file for file in files if file.kind in _LISTED and file.name not in film]
    quality = {key: value for key, value in entry.quality.items() if key not in _INNER}
    return {
        "chapters_url": link(chapters.name, False) if chapters is not None else None,
        "chapters": list(chapters.quality.get("chapters", [])) if chapters is not None else [],
        "tracks": [_file(file, link) for file in others] if may_edit else [],
        "coming": _coming(db, entry) if may_edit else [],
        "quality": {**quality, "sha256": entry.sha256} if may_edit and entry.status == "ready" else None,
    }


def _coming(db: Database, entry: Entry) -> list[dict[str, Any]]:
    if not entry.recording_id:
        return []
    return [
        {
            "id": film.composition_id,
            "options": film.options,
            "progress": film.progress,
            "ready_at": film.eta_at.isoformat() if film.eta_at is not None else None,
            "error": film.error,
        }
        for film in compositions_of(db, RecordingId(entry.recording_id))
        if film.status != DONE
    ]


def _file(file: MediaFile, link: Link) -> dict[str, Any]:
    warnings = file.quality.get("warnings")
    return {
        "name": file.name,
        "kind": file.kind,
        "mime": file.mime,
        "title": file.title,
        "duration_s": round(file.duration_s, 3),
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "download_url": link(file.name, True),
        "warnings": warnings if isinstance(warnings, list) else [],
    }
