"""The files of library entries: film, audio, separate tracks, chapters, thumbnail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import update
from sqlmodel import Session, col, delete, select

from models.store.database import Database
from models.tables import MediaFileRow, TransferRow
from models.values import EntryId

FileKind = Literal["composite", "audio", "track_audio", "track_video", "chapters", "thumbnail"]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One file, ``name`` relative to the entry's folder. ``title``: the person's name for tracks."""

    name: str
    kind: FileKind
    mime: str
    size_bytes: int = 0
    sha256: str = ""
    duration_s: float = 0.0
    person_id: str | None = None
    title: str = ""
    quality: Mapping[str, Any] = field(default_factory=dict)


def save_files(db: Database, entry_id: EntryId, files: Iterable[MediaFile]) -> None:
    """Add files to an entry; one of the same name is replaced."""
    with db.write() as session:
        add_files(session, entry_id, files)


def add_files(session: Session, entry_id: EntryId, files: Iterable[MediaFile]) -> None:
    """The same within a transaction. Copies that were complete are not any more: they are worked on again."""
    now = datetime.now(UTC)
    session.execute(
        update(TransferRow)
        .where(col(TransferRow.entry_id) == entry_id, col(TransferRow.status) == "done")
        .values(status="waiting", next_at=None, attempts=0)
        .execution_options(synchronize_session=False)
    )
    for file in files:
        values = {**asdict(file), "quality": dict(file.quality)}
        session.merge(MediaFileRow(entry_id=entry_id, created_at=now, **values))


def files_of(db: Database, entry_ids: Iterable[EntryId]) -> dict[EntryId, list[MediaFile]]:
    """Entry → its files, film first."""
    found: dict[EntryId, list[MediaFile]] = {}
    wanted = list(entry_ids)
    with db.read() as session:
        rows = session.exec(select(MediaFileRow).where(col(MediaFileRow.entry_id).in_(wanted))).all()
    for row in sorted(rows, key=lambda r: (_ORDER.index(r.kind), r.title, r.name)):
        found.setdefault(EntryId(row.entry_id), []).append(_file(row))
    return found


def _file(row: MediaFileRow) -> MediaFile:
    return MediaFile(
        name=row.name,
        kind=row.kind,  # type: ignore[arg-type]
        mime=row.mime,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        duration_s=row.duration_s,
        person_id=row.person_id,
        title=row.title,
        quality=row.quality,
    )


def get_file(db: Database, entry_id: str, name: str) -> MediaFile | None:
    """One file of an entry; None when the entry has no such file, or is of a version that did not list them."""
    with db.read() as session:
        row = session.get(MediaFileRow, (entry_id, name))
    return None if row is None else _file(row)


def forget_files(db: Database, entry_id: EntryId) -> None:
    """The entry's files are gone from the library."""
    with db.write() as session:
        session.execute(delete(MediaFileRow).where(col(MediaFileRow.entry_id) == entry_id))


_ORDER = ("composite", "audio", "track_audio", "track_video", "chapters", "thumbnail")
