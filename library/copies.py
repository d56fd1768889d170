"""Copies of an entry's files: which there shall be, making them, reading them, and what pages say about them."""

from __future__ import annotations

import hashlib
import logging
import mimetypes
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

from foundation.zone import local, said
from library.storage import Storages
from library.transfer import Interrupted, Target, TransferFailed
from models.store import library as entries
from models.store import storage as storage_store
from models.store import transfers as store
from models.store.courses import time_zone
from models.store.database import Database
from models.store.media_files import files_of
from models.store.transfers import FileCopy, Transfer
from models.values import EntryId
from rooms.errors import DomainError

log = logging.getLogger("sideroom.transfer")
SMALL_KINDS: Final = frozenset({"thumbnail", "chapters"})
"""Files that stay here also when the copies are confirmed: pages need them at once."""
_MISSING: Final = "{name} is missing in the library’s folder on this server, so it can’t be copied. Restore it from a backup."


# -- which copies there shall be ---------------------------------------------------------------------------------


def plan(db: Database, entry_id: str, course_id: str, recording_id: str, title: str, at: datetime) -> int:
    """Give a new entry its transfers: to the site's and the course's storages and to those of its recording's options.

    Safe to repeat. Returns how many the entry has. What other courses' calls brought is never used.
    """
    options = store.recording_options(db, recording_id)
    also = [str(each) for each in options.get("storages", ())]
    storages = storage_store.usable(db, course_id, also)
    if options.get("storage_override"):
        storages = [storage for storage in storages if storage.storage_id in also]
    missing = set(also) - {storage.storage_id for storage in storages}
    if missing:
        log.warning("transfer.storage_unknown entry_id=%s storages=%s", entry_id, ",".join(sorted(missing)))
    zone = time_zone(db, course_id)
    folder = f"{local(at, zone):%Y-%m-%d_%H-%M}{said(zone).replace(' ', '-')}_{_slug(title)}_{entry_id}"
    folders: dict[str, tuple[str, str]] = {}
    for storage in storages:
        prefix = storage.config.get("path", "") if storage.config["type"] != "local" else ""
        folders[storage.storage_id] = ("t" + uuid4().hex[:20], f"{prefix}/{folder}".lstrip("/"))
    if folders:
        store.plan(db, entry_id, folders, datetime.now(UTC))
    return len(folders)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:60] or "recording"


def wanted_files(db: Database, root: Path, entry: Mapping[str, Any], transfer: Transfer) -> list[FileCopy]:
    """Every file of an entry as it is to be copied. Raises TransferFailed when one is missing here and has no copy."""
    there = {file.name: file for file in transfer.files if file.done_at is not None}
    listed = files_of(db, [EntryId(entry["id"])]).get(EntryId(entry["id"]), [])
    known = {file.name: (file.size_bytes, file.sha256, file.mime) for file in listed}
    if entry["file_name"]:
        known.setdefault(entry["file_name"], (entry["size_bytes"], entry["sha256"], entry["mime"]))
    for name in (entry["quality"].get("thumbnail"), entry["quality"].get("chapters")):
        if isinstance(name, str) and name:
            known.setdefault(name, (0, "", mimetypes.guess_type(name)[0] or ""))
    wanted = []
    for name, (size, sha256, mime) in known.items():
        if name in there and sha256 in ("", there[name].sha256):
            continue
        path = root / entry["path"] / name
        if not path.is_file():
            raise TransferFailed(_MISSING.format(name=name))
        if not sha256:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        wanted.append(FileCopy(name, size or path.stat().st_size, sha256, mime, 0, {}, "", None))
    return wanted


# -- making and deleting them ------------------------------------------------------------------------------------


class _Kept:
    """Progress of one file in the database; ends the copy when the lease is lost or the worker stops."""

    def __init__(self, state: dict[str, Any], keep: Callable[[dict[str, Any], int], bool]) -> None:
        self.state = state
        self._keep = keep

    def save(self, state: dict[str, Any], copied_bytes: int) -> None:
        if not self._keep(state, copied_bytes):
            raise Interrupted
        self.state = state


def copy(
    db: Database,
    storages: Storages,
    root: Path,
    transfer_id: str,
    owner: str,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Copy what a leased transfer still lacks; True when everything is confirmed there.

    Raises TransferFailed or DomainError with what to do, Interrupted when the lease is lost or the worker stops.
    """
    transfer = store.get(db, transfer_id)
    entry = entries.get_entry(db, transfer.entry_id) if transfer is not None else None
    if transfer is None or entry is None or entry["status"] != "ready":
        raise Interrupted
    store.add_files(db, transfer_id, wanted_files(db, root, entry, transfer))
    transfer = store.get(db, transfer_id) or transfer
    missing = [file for file in transfer.files if file.done_at is None]
    target = storages.target(transfer.storage_id) if missing else None
    for file in missing:
        assert target is not None

        def keep(state: dict[str, Any], copied_bytes: int, name: str = file.name) -> bool:
            return store.save(db, transfer_id, owner, name, state, copied_bytes) and not stopping()

        source = root / entry["path"] / file.name
        if not source.is_file():
            raise TransferFailed(_MISSING.format(name=file.name))
        there, kept = f"{transfer.folder}/{file.name}", _Kept(file.state, keep)
        address = target.put(source, there, file.sha256, kept, file.mime)
        if not store.file_done(db, transfer_id, owner, file.name, address, datetime.now(UTC)):
            raise Interrupted
    return store.done(db, transfer_id, owner, datetime.now(UTC))


def delete(db: Database, storages: Storages, transfer_id: str, owner: str) -> None:
    """Delete a leased transfer's copies there; a complete set stays where the storage is set so."""
    transfer = store.get(db, transfer_id)
    if transfer is None:
        return
    target = storages.target(transfer.storage_id)
    everything = transfer.done_at is None or storages.get(transfer.storage_id).delete_copies
    for file in transfer.files:
        name = f"{transfer.folder}/{file.name}"
        if file.state:
            target.forget(name, file.state)
        if everything:
            target.delete(name)
    store.deleted(db, transfer_id, owner)


def confirmed(db: Database, root: Path, entry_id: str, retention: timedelta | None, now: datetime) -> None:
    """When every copy of an entry is confirmed, its clock starts, and files here may go. Safe to repeat."""
    entry = entries.get_entry(db, entry_id)
    if entry is None or entry["status"] != "ready" or not store.all_done(db, entry_id):
        return
    if retention is not None and entry["expires_at"] is None:
        entries.save_entry(db, entry_id, {"expires_at": now + retention})
    transfers = [each for each in store.of_entry(db, entry_id) if each.status == "done"]
    keeps = [storage_store.get(db, each.storage_id) for each in transfers]
    if all(storage is None or storage.keep_local for storage in keeps):
        return
    small = {
        f.name for f in files_of(db, [EntryId(entry_id)]).get(EntryId(entry_id), []) if f.kind in SMALL_KINDS
    }
    small |= {name for name in (entry["quality"].get("thumbnail"), entry["quality"].get("chapters")) if name}
    for name in {file.name for transfer in transfers for file in transfer.files} - small:
        path = root / entry["path"] / name
        if path.is_file():
            path.unlink()
            log.info("transfer.local_removed entry_id=%s", entry_id)


def still_there(db: Database, storages: Storages, entry_id: str) -> Literal["there", "missing", "unseen"]:
    """Is every confirmed copy still at its store, whole? What is missing is copied again.

    ``unseen``: a store does not answer. A storage that was removed proves nothing: with no other, copies are ``missing``.
    """
    found: list[bool] = []
    for transfer in store.of_entry(db, entry_id):
        storage = storage_store.get(db, transfer.storage_id)
        if storage is None or storage.removed_at is not None or transfer.status in ("deleting", "deleted"):
            continue
        try:
            target = storages.target(transfer.storage_id)
            sizes = {file.name: target.size(f"{transfer.folder}/{file.name}") for file in transfer.files}
        except (OSError, DomainError):
            return "unseen"
        lost = [file.name for file in transfer.files if sizes[file.name] != file.size_bytes]
        if lost:
            store.copy_again(db, transfer.transfer_id, lost)
            log.warning("transfer.copy_lost transfer_id=%s files=%d", transfer.transfer_id, len(lost))
        found.append(transfer.status == "done" and not lost)
    return "there" if found and all(found) else "missing"


# -- reading them ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """A confirmed copy that can be read now."""

    target: Target
    name: str
    size_bytes: int
    sha256: str
    mime: str

    def read(self, start: int, length: int) -> Generator[bytes, None, None]:
        """Bytes from the copy in pieces. Each may raise TransferFailed."""
        yield from self.target.read(self.name, start, length)


def readable(db: Database, storages: Storages, entry_id: str, name: str) -> Iterator[Copy]:
    """Copies of a file that is not here any more, in the order in which they should be tried."""
    for storage_id, folder, file in store.confirmed(db, entry_id, name):
        try:
            target = storages.target(storage_id)
        except (TransferFailed, DomainError) as error:
            log.warning("transfer.unreadable storage_id=%s reason=%s", storage_id, type(error).__name__)
            continue
        yield Copy(target, f"{folder}/{file.name}", file.size_bytes, file.sha256, file.mime)


# -- what pages say ----------------------------------------------------------------------------------------------


def states(db: Database, entry_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Entry → the state of each of its targets, as API and pages show it."""
    return {
        entry_id: [
            _state(transfer) for transfer in transfers if transfer.status not in ("deleting", "deleted")
        ]
        for entry_id, transfers in store.of_entries(db, entry_ids).items()
    }


def _state(transfer: Transfer) -> dict[str, Any]:
    total = sum(file.size_bytes for file in transfer.files)
    copied = sum(file.copied_bytes for file in transfer.files)
    finished = transfer.status == "done"
    return {
        "id": transfer.transfer_id,
        "storage_id": transfer.storage_id,
        "name": transfer.storage_name,
        "type": transfer.storage_type,
        "status": transfer.status,
        "percent": 100 if finished else min(99, copied * 100 // total) if total else 0,
        "error": transfer.error if transfer.status == "failed" else None,
        "next_try_time": _time(transfer.next_at) if transfer.status == "failed" else None,
        "confirmed_time": _time(transfer.done_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
