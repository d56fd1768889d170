"""Transfers: the copies of an entry's files at one storage, their progress, and the lease of who copies now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from models.store.database import Database
from models.tables import MediaEntryRow, MediaFileRow, RecordingRow, StorageRow, TransferFileRow, TransferRow

MOST_PAUSE = timedelta(hours=2)
"""No next try is ever set further ahead: one that is shows that the clock was put back, and is due at once."""
_AGAIN: dict[str, Any] = {
    "status": "waiting",
    "next_at": None,
    "failing_since": None,
    "attempts": 0,
    "error": None,
}
OPEN = ("waiting", "copying", "failed", "deleting")


@dataclass(frozen=True, slots=True)
class FileCopy:
    """One file of a transfer; ``state`` is the target's own memory of an unfinished copy."""

    name: str
    size_bytes: int
    sha256: str
    mime: str
    copied_bytes: int
    state: dict[str, Any]
    address: str
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """The copies of one entry at one storage. ``storage_name`` and ``storage_type`` are for people."""

    transfer_id: str
    entry_id: str
    storage_id: str
    storage_name: str
    storage_type: str
    folder: str
    status: str
    attempts: int
    failing_since: datetime | None
    next_at: datetime | None
    error: str | None
    created_at: datetime
    done_at: datetime | None
    files: tuple[FileCopy, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What ``due`` found: a transfer to be copied or deleted."""

    transfer_id: str
    storage_id: str
    deleting: bool


def recording_options(db: Database, recording_id: str) -> dict[str, Any]:
    """What the recording differs in from the defaults of ``models.recording.RecordingOptions``."""
    with db.read() as session:
        row = session.get(RecordingRow, recording_id)
        return {} if row is None else dict(row.options)


def plan(db: Database, entry_id: str, folders: Mapping[str, tuple[str, str]], now: datetime) -> None:
    """Make the transfers of an entry; ``folders`` is storage id → (transfer id, folder there). Safe to repeat."""
    try:
        _plan(db, entry_id, folders, now)
    except IntegrityError:
        # Somebody made them in the same moment.
        _plan(db, entry_id, folders, now)


def _plan(db: Database, entry_id: str, folders: Mapping[str, tuple[str, str]], now: datetime) -> None:
    with db.write() as session:
        known = set(
            session.exec(select(TransferRow.storage_id).where(TransferRow.entry_id == entry_id)).all()
        )
        for storage_id, (transfer_id, folder) in folders.items():
            if storage_id not in known:
                session.add(
                    TransferRow(
                        id=transfer_id,
                        entry_id=entry_id,
                        storage_id=storage_id,
                        folder=folder,
                        created_at=now,
                    )
                )


def add_files(db: Database, transfer_id: str, files: Iterable[FileCopy]) -> None:
    """Files that the transfer shall copy too; what it has already of the same content stays, else it is copied anew."""
    with db.write() as session:
        for file in files:
            row = session.get(TransferFileRow, (transfer_id, file.name))
            if row is None:
                row = TransferFileRow(transfer_id=transfer_id, name=file.name)
            elif row.sha256 == file.sha256 and row.size_bytes == file.size_bytes:
                continue
            row.size_bytes, row.sha256, row.mime = file.size_bytes, file.sha256, file.mime
            row.copied_bytes, row.address, row.done_at = 0, "", None
            session.add(row)


def due(db: Database, now: datetime) -> list[Work]:
    """Transfers of ready entries that may be copied now, and those to be deleted; oldest first."""
    free = or_(
        col(TransferRow.lease_until).is_(None),
        col(TransferRow.lease_until) < now,
        col(TransferRow.lease_until) > now + MOST_PAUSE,
    )
    time = or_(
        and_(col(TransferRow.next_at).is_(None), col(TransferRow.status) != "failed"),
        col(TransferRow.next_at) <= now,
        col(TransferRow.next_at) > now + MOST_PAUSE,
    )
    with db.read() as session:
        rows = session.execute(
            select(col(TransferRow.id), col(TransferRow.storage_id), col(TransferRow.status))
            .join(MediaEntryRow, col(MediaEntryRow.id) == col(TransferRow.entry_id), isouter=True)
            .where(
                free,
                time,
                col(TransferRow.status).in_(OPEN),
                or_(col(TransferRow.status) == "deleting", col(MediaEntryRow.status) == "ready"),
            )
            .order_by(col(TransferRow.created_at), col(TransferRow.id))
        ).all()
    return [Work(transfer_id, storage_id, status == "deleting") for transfer_id, storage_id, status in rows]


def reopen(db: Database, transfer_id: str) -> bool:
    """Copy (again) now: there are new files, or somebody asks for another try. False: there is nothing to try."""
    with db.write() as session:
        result = session.execute(
            update(TransferRow)
            .where(
                col(TransferRow.id) == transfer_id, col(TransferRow.status).in_(["done", "failed", "waiting"])
            )
            .values(**_AGAIN)
        )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]


def copy_again(db: Database, transfer_id: str, names: Iterable[str]) -> None:
    """These files are not there any more, whatever was confirmed."""
    with db.write() as session:
        row = session.get(TransferRow, transfer_id, with_for_update=True)
        if row is None or row.status != "done":
            return
        for name in names:
            file = session.get(TransferFileRow, (transfer_id, name))
            if file is not None:
                file.done_at, file.copied_bytes, file.state = None, 0, {}
        row.status, row.next_at, row.attempts, row.failing_since = "waiting", None, 0, None


def lease(db: Database, work: Work, owner: str, now: datetime, life: timedelta) -> bool:
    """Take a transfer; False when somebody else was faster."""
    with db.write() as session:
        row = session.get(TransferRow, work.transfer_id, with_for_update=True)
        if row is None or row.status not in OPEN or (row.status == "deleting") is not work.deleting:
            return False
        until = row.lease_until
        if row.lease_owner and until is not None and now <= until <= now + MOST_PAUSE:
            return False
        row.lease_owner, row.lease_until, row.next_at = owner, now + life, None
        if not work.deleting:
            row.status = "copying"
        row.attempts += 1
    return True


def retry_failed(db: Database, storage_id: str) -> int:
    """Copy what failed at a storage again now; returns how many transfers."""
    with db.write() as session:
        result = session.execute(
            update(TransferRow)
            .where(col(TransferRow.storage_id) == storage_id, col(TransferRow.status) == "failed")
            .values(**_AGAIN)
            .execution_options(synchronize_session=False)
        )
    return int(result.rowcount)  # type: ignore[attr-defined]


def holders(db: Database) -> set[str]:
    """Who holds leases, over or not."""
    with db.read() as session:
        return set(session.exec(select(TransferRow.lease_owner).where(TransferRow.lease_owner != "")).all())


def free(db: Database, owner: str) -> None:
    """End every lease of an owner that is known to be dead."""
    with db.write() as session:
        session.execute(
            update(TransferRow)
            .where(col(TransferRow.lease_owner) == owner)
            .values(lease_owner="", lease_until=None)
        )


def renew(db: Database, transfer_id: str, owner: str, now: datetime, life: timedelta) -> bool:
    """Prolong a lease. False: it is another's by now, or the transfer is not wanted any more."""
    with db.write() as session:
        row = _held(session, transfer_id, owner)
        if row is not None:
            row.lease_until = now + life
        return row is not None


def save(
    db: Database, transfer_id: str, owner: str, name: str, state: dict[str, Any], copied_bytes: int
) -> bool:
    """Keep what a target needs to go on, and the progress. False as for ``renew``; then nothing is kept."""
    with db.write() as session:
        if _held(session, transfer_id, owner) is None:
            return False
        row = session.get(TransferFileRow, (transfer_id, name))
        if row is not None:
            row.state, row.copied_bytes = dict(state), copied_bytes
        return row is not None


def file_done(db: Database, transfer_id: str, owner: str, name: str, address: str, at: datetime) -> bool:
    """A file's size and checksum are confirmed there. False as for ``renew``."""
    with db.write() as session:
        if _held(session, transfer_id, owner) is None:
            return False
        row = session.get(TransferFileRow, (transfer_id, name))
        if row is not None:
            row.done_at, row.address, row.state, row.copied_bytes = at, address, {}, row.size_bytes
        return row is not None


def done(db: Database, transfer_id: str, owner: str, at: datetime) -> bool:
    """Every file of the entry is confirmed. False when that is not so, or as for ``renew``."""
    with db.write() as session:
        row = _held(session, transfer_id, owner)
        files = session.exec(select(TransferFileRow).where(TransferFileRow.transfer_id == transfer_id)).all()
        if row is None or any(file.done_at is None for file in files):
            return False
        there = {file.name: file.sha256 for file in files}
        listed = session.exec(select(MediaFileRow).where(MediaFileRow.entry_id == row.entry_id)).all()
        if any(file.name not in there or file.sha256 not in ("", there[file.name]) for file in listed):
            return False  # one was added while the others were copied
        row.status, row.done_at, row.settled = "done", at, False
        row.error = row.next_at = row.failing_since = row.lease_until = None
        row.lease_owner = ""
    return True


def failed(
    db: Database,
    transfer_id: str,
    owner: str,
    error: str,
    since: datetime,
    next_at: datetime | None,
    attempts: int,
) -> None:
    """This try came to nothing; ``next_at`` None: no other is made by itself. One to be deleted stays so."""
    with db.write() as session:
        row = _held(session, transfer_id, owner)
        if row is None:
            return
        if row.status != "deleting":
            row.status = "failed"
        elif next_at is None:
            row.status = "deleted"
        row.error, row.failing_since, row.next_at, row.attempts = error, since, next_at, attempts
        row.lease_owner, row.lease_until = "", None


def release(db: Database, transfer_id: str, owner: str) -> None:
    """Give the lease back without a verdict: the worker stops."""
    with db.write() as session:
        row = _held(session, transfer_id, owner)
        if row is not None:
            row.lease_owner, row.lease_until = "", None
            if row.status == "copying":
                row.status = "waiting"


def delete_of_entry(db: Database, entry_id: str) -> None:
    """Its entry is over: unfinished copies are given up, and those at storages that want it so are deleted."""
    with db.write() as session:
        rows = session.exec(select(TransferRow).where(TransferRow.entry_id == entry_id)).all()
        for row in rows:
            storage = session.get(StorageRow, row.storage_id)
            if storage is None or storage.removed_at is not None:
                continue
            if row.status in ("waiting", "copying", "failed") or (
                row.status == "done" and storage.delete_copies
            ):
                row.status, row.error, row.next_at, row.attempts = "deleting", None, None, 0
                row.lease_owner, row.lease_until, row.failing_since = "", None, None


def deleted(db: Database, transfer_id: str, owner: str) -> None:
    """What was to be deleted there is gone."""
    with db.write() as session:
        row = _held(session, transfer_id, owner)
        if row is not None:
            row.status, row.error, row.next_at, row.lease_until, row.lease_owner = (
                "deleted",
                None,
                None,
                None,
                "",
            )


def get(db: Database, transfer_id: str) -> Transfer | None:
    with db.read() as session:
        row = session.get(TransferRow, transfer_id)
        return None if row is None else _transfers(session, [row])[0]


def of_entry(db: Database, entry_id: str) -> list[Transfer]:
    """An entry's transfers, oldest first."""
    return of_entries(db, [entry_id]).get(entry_id, [])


def of_entries(db: Database, entry_ids: Iterable[str]) -> dict[str, list[Transfer]]:
    """Entry → its transfers, oldest first."""
    found: dict[str, list[Transfer]] = {}
    with db.read() as session:
        rows = session.exec(
            select(TransferRow)
            .where(col(TransferRow.entry_id).in_(list(entry_ids)))
            .order_by(col(TransferRow.created_at), col(TransferRow.id))
        ).all()
        for transfer in _transfers(session, rows):
            found.setdefault(transfer.entry_id, []).append(transfer)
    return found


def confirmed(db: Database, entry_id: str, name: str) -> list[tuple[str, str, FileCopy]]:
    """Copies of one file that can be read back: (storage id, folder, file), oldest first."""
    return [
        (transfer.storage_id, transfer.folder, file)
        for transfer in of_entry(db, entry_id)
        if transfer.status not in ("deleting", "deleted")
        for file in transfer.files
        if file.name == name and file.done_at is not None
    ]


def all_done(db: Database, entry_id: str) -> bool:
    """Is every copy of the entry confirmed, not counting those at storages that were removed meanwhile?"""
    with db.read() as session:
        rows = session.execute(
            select(col(TransferRow.status), col(StorageRow.removed_at))
            .join(StorageRow, col(StorageRow.id) == col(TransferRow.storage_id))
            .where(col(TransferRow.entry_id) == entry_id)
        ).all()
    # A storage that was removed counts for nothing: its bucket may be gone tomorrow.
    return any(status == "done" and removed is None for status, removed in rows) and all(
        status == "done" or removed is not None for status, removed in rows
    )


def unsettled(db: Database) -> list[tuple[str, str]]:
    """(transfer, entry) of finished transfers whose consequences for the entry were not drawn yet."""
    with db.read() as session:
        rows = session.execute(
            select(col(TransferRow.id), col(TransferRow.entry_id)).where(
                col(TransferRow.status) == "done", col(TransferRow.settled).is_(False)
            )
        ).all()
    return [(transfer_id, entry_id) for transfer_id, entry_id in rows]


def settled(db: Database, transfer_id: str) -> None:
    with db.write() as session:
        session.execute(update(TransferRow).where(col(TransferRow.id) == transfer_id).values(settled=True))


def reasons(db: Database) -> dict[str, str]:
    """Storage id → why its newest failed copy failed."""
    with db.read() as session:
        rows = session.execute(
            select(col(TransferRow.storage_id), col(TransferRow.error))
            .where(col(TransferRow.status) == "failed", col(TransferRow.error).is_not(None))
            .order_by(col(TransferRow.created_at))
        ).all()
    return {storage_id: error for storage_id, error in rows if error}


def counts(db: Database) -> dict[str, dict[str, int]]:
    """Storage id → status → how many transfers."""
    found: dict[str, dict[str, int]] = {}
    with db.read() as session:
        columns = (col(TransferRow.storage_id), col(TransferRow.status))
        for storage_id, status, count in session.execute(
            select(*columns, func.count()).group_by(*columns)
        ).all():
            found.setdefault(storage_id, {})[status] = count
    return found


def _held(session: Session, transfer_id: str, owner: str) -> TransferRow | None:
    row = session.get(TransferRow, transfer_id, with_for_update=True)
    return row if row is not None and row.lease_owner == owner else None


def _transfers(session: Session, rows: Sequence[TransferRow]) -> list[Transfer]:
    """The transfers with their storages and files, by three queries for however many."""
    storages = {
        row.id: row
        for row in session.exec(
            select(StorageRow).where(col(StorageRow.id).in_({row.storage_id for row in rows}))
        )
    }
    files: dict[str, list[TransferFileRow]] = {}
    of_these = col(TransferFileRow.transfer_id).in_([row.id for row in rows])
    for file in session.exec(select(TransferFileRow).where(of_these).order_by(col(TransferFileRow.name))):
        files.setdefault(file.transfer_id, []).append(file)
    return [_transfer(row, storages.get(row.storage_id), files.get(row.id, [])) for row in rows]


def _transfer(row: TransferRow, storage: StorageRow | None, files: Iterable[TransferFileRow]) -> Transfer:
    return Transfer(
        transfer_id=row.id,
        entry_id=row.entry_id,
        storage_id=row.storage_id,
        storage_name=storage.name if storage is not None else "",
        storage_type=str(storage.config.get("type", "")) if storage is not None else "",
        folder=row.folder,
        status=row.status,
        attempts=row.attempts,
        failing_since=row.failing_since,
        next_at=row.next_at,
        error=row.error,
        created_at=row.created_at,
        done_at=row.done_at,
        files=tuple(
            FileCopy(
                name=file.name,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                mime=file.mime,
                copied_bytes=file.copied_bytes,
                state=dict(file.state),
                address=file.address,
                done_at=file.done_at,
            )
            for file in files
        ),
    )
