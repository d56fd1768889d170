"""A stored recording as ``/api/v1`` and webhooks show it: names, files, signed links. No Flask, no permissions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from api.v1.recordings_schemas import (
    Copy,
    File,
    Group,
    MeetingName,
    Recording,
    StartReason,
    StopReason,
    in_our_names,
)
from library import links
from library.copies import states
from models.recording import BadOption, RecordingOptions, options_from_json
from models.store import recordings_list as store
from models.store.database import Database
from models.store.media_files import MediaFile, files_of
from models.store.recordings_list import ListedRecording
from models.values import EntryId, RecordingId, RecordingStatus
from rooms.reasons import start_reason, stop_reason
from rooms.wire import to_json


@dataclass(frozen=True, slots=True)
class View:
    """``base_url`` is the site's address, with which links begin; ``link_key`` signs them."""

    db: Database
    link_key: str
    base_url: str

    def recordings(self, rows: Iterable[ListedRecording]) -> list[Recording]:
        """Each row with its files and fresh links."""
        found = list(rows)
        ready = [EntryId(r.entry_id) for r in found if r.entry_id is not None and r.entry_status == "ready"]
        files = files_of(self.db, ready)
        transfers = states(self.db, [r.entry_id for r in found if r.entry_id is not None])
        now_s = int(time.time())
        return [
            self._one(
                row, files.get(EntryId(row.entry_id or ""), []), transfers.get(row.entry_id or "", []), now_s
            )
            for row in found
        ]

    def group(self, group_id: str, rows: list[ListedRecording]) -> Group:
        return Group(id=group_id, meeting_id=rows[0].session_id, recordings=self.recordings(rows))

    def uploaded(self, recording_id: RecordingId) -> Mapping[str, object]:
        """What a webhook adds once a recording is UPLOADED: size, name, files, links."""
        rows = store.get_recordings(self.db, recording_id, None)
        if not rows:
            return {}
        (shown,) = self.recordings(rows)
        names = (
            "output_file_name",
            "file_size",
            "total_size",
            "download_url",
            "audio_download_url",
            "download_url_expiry",
            "files",
            "warnings",
            "expires_at",
        )
        data: dict[str, object] = shown.model_dump(mode="json", include=set(names))
        return data

    def _one(
        self, row: ListedRecording, files: list[MediaFile], transfers: list[dict[str, Any]], now_s: int
    ) -> Recording:
        is_ready = row.entry_status == "ready" and row.entry_id is not None
        if is_ready and row.file_name and all(file.name != row.file_name for file in files):
            files = [_main_file(row), *files]
        shown = [self._file(row, file, now_s) for file in files] if is_ready else []
        kind = _options(row).type
        # One person's track must not pass for the whole.
        main = next((f for f in shown if f.name == row.file_name and kind == "COMPOSITE"), None)
        audio = next((f for f in shown if f.kind == "audio"), None)
        offered = main or audio
        warnings = row.quality.get("warnings")
        return Recording(
            id=row.recording_id,
            type=kind,
            meeting_id=row.session_id,
            meeting=MeetingName(
                id=row.session_id,
                title=row.meeting_title,
                course_id=row.course_id,
                course_title=row.course_title,
            ),
            room_id=row.room_id,
            room_name=row.room_name,
            parent_id=row.parent_id,
            status=RecordingStatus(row.status).value,
            layout=row.layout,  # type: ignore[arg-type]
            progress=row.progress,
            estimated_ready_time=row.eta_at,
            error=row.error,
            invoked_time=row.invoked_at,
            started_time=row.started_at,
            stopped_time=row.stopped_at,
            recording_duration=round(row.duration_s) if row.duration_s is not None else None,
            title=row.title,
            published=row.published,
            output_file_name=offered.name if offered is not None else None,
            file_size=offered.file_size if offered is not None else None,
            total_size=sum(file.file_size for file in shown),
            download_url=offered.download_url if offered is not None else None,
            audio_download_url=audio.download_url if audio is not None else None,
            download_url_expiry=datetime.fromtimestamp(links.expiry(now_s), UTC) if shown else None,
            files=shown,
            copies=[Copy.model_validate(transfer) for transfer in transfers],
            warnings=[str(w) for w in warnings] if isinstance(warnings, list) else [],
            quality=row.quality if is_ready else {},
            deleted=row.status == RecordingStatus.UPLOADED.value and row.entry_id is None,
            expired=row.entry_status == "expired",
            expires_at=row.expires_at,
            start_reason=StartReason.model_validate(
                start_reason(row.start_reason, row.caller.get("start") or _starter(row))
            ),
            stop_reason=_stop_reason(row),
            options=in_our_names(to_json(asdict(_options(row)))),
        )

    def _file(self, row: ListedRecording, file: MediaFile, now_s: int) -> File:
        path = links.link(self.link_key, row.entry_id or "", file.name, now_s, download=True)
        return File(
            kind=file.kind,
            name=file.name,
            mime=file.mime,
            file_size=file.size_bytes,
            duration=round(file.duration_s),
            sha256=file.sha256,
            person_id=file.person_id,
            title=file.title,
            start_offset=file.quality.get("start_offset"),
            end_offset=file.quality.get("end_offset"),
            download_url=self.base_url.rstrip("/") + path,
        )


def _options(row: ListedRecording) -> RecordingOptions:
    try:
        return options_from_json(row.options)
    except BadOption:
        return RecordingOptions()  # of a version with other options


def _starter(row: ListedRecording) -> dict[str, Any] | None:
    """Who started a recording of a version that did not note it."""
    if row.started_by is None:
        return None
    return {"kind": "person", "name": row.started_by_name, "person_id": row.started_by}


def _stop_reason(row: ListedRecording) -> StopReason | None:
    found = stop_reason(
        row.stop_reason, row.caller.get("stop"), is_error=row.status == RecordingStatus.ERRORED.value
    )
    return None if found is None else StopReason.model_validate(found)


def _main_file(row: ListedRecording) -> MediaFile:
    return MediaFile(
        name=row.file_name,
        kind="audio" if row.mime.startswith("audio/") else "composite",
        mime=row.mime,
        size_bytes=row.size_bytes or 0,
        duration_s=row.duration_s or 0.0,
    )
