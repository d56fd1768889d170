"""Compositions that were asked for after the first: the same recording in another layout, size or format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NewType
from uuid import uuid4

from sqlalchemy import or_, update
from sqlmodel import col, select

from models.recording import RecordingOptions, merged, options_from_json
from models.store.database import Database
from models.tables import CompositionRow, RecordingRow
from models.values import PersonId, RecordingId

CompositionId = NewType("CompositionId", str)
WAITING, DONE, FAILED = "waiting", "done", "failed"


@dataclass(frozen=True, slots=True)
class Requested:
    """One composition that was asked for. ``status``: waiting (also while it is made), done or failed; ``options``: those
    that were asked for; ``file_name``: in the entry's folder, when done."""

    composition_id: CompositionId
    recording_id: RecordingId
    options: dict[str, Any]
    status: str
    progress: float
    eta_at: datetime | None
    error: str | None
    file_name: str
    attempts: int
    created_at: datetime


def film_options(started_with: Mapping[str, Any], asked: Mapping[str, Any]) -> RecordingOptions:
    """What is asked for, laid over what the recording was started with. Raises BadOption."""
    wanted = merged(started_with, {"type": "COMPOSITE", "export_video": True}, asked)
    if "audio_codec" not in asked:
        # What was started as WebM may be wanted as MP4, and the other way round.
        wanted.pop("audio_codec", None)
    return options_from_json(wanted)


def request_composition(
    db: Database,
    recording_id: RecordingId,
    options: Mapping[str, Any],
    now: datetime,
    requested_by: PersonId | None = None,
) -> CompositionId | None:
    """Ask for another film of a recording; ``options`` are laid over those it was started with. None: no such recording.

    Whether the journal is still kept is found when it is composed. Raises BadOption.
    """
    composition_id = CompositionId("c" + uuid4().hex[:20])
    with db.write() as session:
        recording = session.get(RecordingRow, recording_id)
        if recording is None:
            return None
        film_options(recording.options, options)
        session.add(
            CompositionRow(
                id=composition_id,
                recording_id=recording_id,
                options=dict(options),
                requested_by=requested_by,
                status=WAITING,
                created_at=now,
            )
        )
    return composition_id


def get_composition(db: Database, composition_id: CompositionId) -> Requested | None:
    with db.read() as session:
        row = session.get(CompositionRow, composition_id)
    return _requested(row) if row is not None else None


def compositions_of(db: Database, recording_id: RecordingId) -> list[Requested]:
    """All that were asked for, oldest first."""
    with db.read() as session:
        rows = session.exec(
            select(CompositionRow)
            .where(CompositionRow.recording_id == recording_id)
            .order_by(col(CompositionRow.created_at))
        ).all()
    return [_requested(row) for row in rows]


def waiting_compositions(db: Database, now: datetime) -> list[Requested]:
    """Those that nobody works on, oldest first."""
    free = or_(col(CompositionRow.lease_until).is_(None), col(CompositionRow.lease_until) < now)
    with db.read() as session:
        rows = session.exec(
            select(CompositionRow)
            .where(CompositionRow.status == WAITING, free)
            .order_by(col(CompositionRow.created_at))
        ).all()
    return [_requested(row) for row in rows]


def lease_composition(
    db: Database, composition_id: CompositionId, owner: str, now: datetime, life: timedelta
) -> bool:
    """Take one for ``owner``; False when somebody else was faster. Counts the attempt."""
    free = or_(col(CompositionRow.lease_until).is_(None), col(CompositionRow.lease_until) < now)
    with db.write() as session:
        result = session.execute(
            update(CompositionRow)
            .where(col(CompositionRow.id) == composition_id, col(CompositionRow.status) == WAITING, free)
            .values(lease_owner=owner, lease_until=now + life, attempts=CompositionRow.attempts + 1)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def renew_composition(
    db: Database,
    composition_id: CompositionId,
    owner: str,
    lease_until: datetime,
    progress: float,
    eta_at: datetime | None,
) -> bool:
    """Prolong the lease. False: it belongs to another by now."""
    values: dict[str, Any] = {"lease_until": lease_until, "progress": progress}
    if eta_at is not None:
        values["eta_at"] = eta_at
    return _update(db, composition_id, owner, values)


def release_composition(
    db: Database,
    composition_id: CompositionId,
    owner: str,
    not_before: datetime | None = None,
    *,
    uncounted: bool = False,
) -> None:
    """Give it back unfinished; with ``not_before`` nobody takes it earlier. ``uncounted``: this was no attempt."""
    values: dict[str, Any] = {"lease_owner": "", "lease_until": not_before}
    if uncounted:
        values["attempts"] = CompositionRow.attempts - 1
    _update(db, composition_id, owner, values)


def end_composition(
    db: Database, composition_id: CompositionId, owner: str, *, file_name: str = "", error: str | None = None
) -> None:
    """It is done (``file_name``) or given up (``error``)."""
    values = {
        "lease_owner": "",
        "lease_until": None,
        "status": DONE if error is None else FAILED,
        "progress": 1.0 if error is None else 0.0,
        "eta_at": None,
        "file_name": file_name,
        "error": error,
    }
    _update(db, composition_id, owner, values)


def _update(db: Database, composition_id: CompositionId, owner: str, values: Mapping[str, Any]) -> bool:
    with db.write() as session:
        result = session.execute(
            update(CompositionRow)
            .where(col(CompositionRow.id) == composition_id, col(CompositionRow.lease_owner) == owner)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def _requested(row: CompositionRow) -> Requested:
    return Requested(
        composition_id=CompositionId(row.id),
        recording_id=RecordingId(row.recording_id),
        options=row.options,
        status=row.status,
        progress=row.progress,
        eta_at=row.eta_at,
        error=row.error,
        file_name=row.file_name,
        attempts=row.attempts,
        created_at=row.created_at,
    )
