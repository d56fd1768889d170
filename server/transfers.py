"""Copies finished recordings to their storages, inside the job worker's process; the database says what there is to do.

A transfer is leased while it is copied: when this process dies, its lease runs out and the next one goes on where it stopped.
A copy that fails is tried again with growing pauses for days; the file here stays until every copy is confirmed.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

from library import copies
from library.retention import ClockGuard, expire
from library.storage import Storages
from library.storage_vault import Vault
from library.transfer import Interrupted
from models.store import storage as storage_store
from models.store import transfers as store
from models.store.database import Database
from models.store.transfers import Transfer, Work
from rooms.errors import DomainError
from rooms.events import RecordingInvoked
from rooms.ports import Committed, Rooms
from server.settings import Settings

log = logging.getLogger("sideroom.transfer")
LEASE: Final = timedelta(seconds=20)
RENEW_S: Final = 5.0
STOP_S: Final = 3.0
AT_ONCE: Final = 2
"""Copies at the same time to one storage: a slow one holds up nobody but itself."""
FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(hours=1)
CHECK_AGAIN: Final = timedelta(minutes=10)
CALL_STORAGES_KEPT: Final = timedelta(days=30)
TIDY_S: Final = 3600.0
EXPIRE_S: Final = 600.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """``retention``: from when all copies are confirmed; None: kept for ever. ``give_up``: how long a failing copy is tried again."""

    library_dir: Path
    key: str
    previous_keys: tuple[str, ...] = ()
    allow_private: bool = False
    retention: timedelta | None = None
    give_up: timedelta = timedelta(days=14)
    first_pause: timedelta = FIRST_PAUSE
    look_s: float = 2.0
    timeout_s: float = 60.0


def from_settings(settings: Settings) -> TransferSettings:
    """The transfers' part of the site's settings."""
    return TransferSettings(
        library_dir=settings.library_dir,
        key=settings.key("storage"),
        previous_keys=tuple(settings.previous_keys("storage")),
        allow_private=settings.storage_private_endpoints,
        retention=settings.retention,
        give_up=timedelta(days=settings.transfer_days),
    )


def pause(attempts: int, first: timedelta = FIRST_PAUSE) -> timedelta:
    """How long to wait after this many failures in a row: doubled each time, at most an hour."""
    doublings = min(max(attempts, 1) - 1, 20)
    return min(first * (1 << doublings), LONGEST_PAUSE)


class TransferWorker:
    """Looks for transfers and copies them on threads of its own. ``start`` once, ``stop`` when the process ends."""

    def __init__(self, settings: TransferSettings, db: Database, rooms: Rooms | None = None) -> None:
        self._settings = settings
        self._db = db
        self._rooms = rooms
        vault = Vault(settings.key, settings.previous_keys)
        self.storages = Storages(
            db, vault, allow_private=settings.allow_private, timeout_s=settings.timeout_s
        )
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Work, threading.Thread]] = {}
        self._to_check: set[str] = set()
        self._courses: set[str] = set()
        self._main: threading.Thread | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._renew_at = self._tidy_at = self._expire_at = 0.0
        self._clock = ClockGuard()
        self._expiring: threading.Thread | None = None

    def start(self) -> None:
        if self._rooms is not None:
            self._unsubscribe = self._rooms.subscribe(self._committed)
        self._main = threading.Thread(target=self._run, name="transfers", daemon=True)
        self._main.start()

    def stop(self) -> None:
        """Ends soon: copies under way stop at their next part and go on at the next start."""
        self._stopping.set()
        self._wake.set()
        self._unsubscribe()
        deadline = time.monotonic() + STOP_S
        with self._lock:
            threads = [thread for _, thread in self._running.values()]
        for thread in (*(each for each in (self._main, self._expiring) if each is not None), *threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _committed(self, committed: Committed) -> None:
        if any(isinstance(recorded.event, RecordingInvoked) for recorded in committed.events):
            self._courses.add(committed.after.course_id)
            self._wake.set()

    def _run(self) -> None:
        log.info("transfers.started owner=%s", self._owner)
        self._guarded(self._take_over)
        self._guarded(self.storages.reseal)
        self._to_check |= {storage.storage_id for storage in self._guarded(self.storages.listed) or ()}
        while not self._stopping.is_set():
            self._wake.clear()
            self._guarded(self._look)
            self._wake.wait(self._settings.look_s)
        log.info("transfers.stopped")

    def _take_over(self) -> None:
        """What a killed process of this machine was copying goes on at once; elsewhere its leases must run out."""
        for owner in store.holders(self._db):
            host, pid, _ = owner.split(":")
            if host == socket.gethostname() and not _lives(int(pid)):
                store.free(self._db, owner)

    def _guarded(self, work: Callable[[], T]) -> T | None:
        """The database may be away or full for a while: that ends a look, never the worker."""
        try:
            return work()
        except Exception:
            log.exception("transfers.look_failed")
            return None

    def _look(self) -> None:
        now = datetime.now(UTC)
        self._renew(now)
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_S
            self._tidy(now)
        self._check_storages(now)
        self._expire()
        for transfer_id, entry_id in store.unsettled(self._db):
            root, retention = self._settings.library_dir, self._settings.retention
            copies.confirmed(self._db, root, entry_id, retention, datetime.now(UTC))
            store.settled(self._db, transfer_id)
        with self._lock:
            busy = Counter(work.storage_id for work, _ in self._running.values())
            running = set(self._running)
        for work in store.due(self._db, now):
            if work.transfer_id in running or busy[work.storage_id] >= AT_ONCE:
                continue
            if store.lease(self._db, work, self._owner, now, LEASE):
                busy[work.storage_id] += 1
                thread = threading.Thread(target=self._do, args=(work,), name="transfer", daemon=True)
                with self._lock:
                    self._running[work.transfer_id] = (work, thread)
                thread.start()

    def _renew(self, now: datetime) -> None:
        """Also while a slow part is under way and nothing is saved."""
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + RENEW_S
        with self._lock:
            running = list(self._running)
        for transfer_id in running:
            store.renew(self._db, transfer_id, self._owner, now, LEASE)

    def _tidy(self, now: datetime) -> None:
        for storage_id in storage_store.idle_call_storages(self._db, now - CALL_STORAGES_KEPT):
            self.storages.remove(storage_id)

    # -- the end of their time -----------------------------------------------------------------------------------

    def _expire(self) -> None:
        """On a thread of its own: each copy is looked at before the file here goes, and a store may be slow."""
        if time.monotonic() >= self._expire_at and not (self._expiring and self._expiring.is_alive()):
            self._expire_at = time.monotonic() + EXPIRE_S
            self._expiring = threading.Thread(target=self._expire_now, name="expire", daemon=True)
            self._expiring.start()

    def _expire_now(self) -> None:
        if self._clock.believed():
            root = self._settings.library_dir
            self._guarded(lambda: expire(self._db, root, datetime.now(UTC), self.storages))

    # -- dry runs ----------------------------------------------------------------------------------------------

    def _check_storages(self, now: datetime) -> None:
        """At the worker's start, and when a recording starts: what does not work is known before the film is made."""
        while self._courses:
            for storage in storage_store.usable(self._db, self._courses.pop()):
                if storage.checked_at is None or abs(now - storage.checked_at) > CHECK_AGAIN:
                    self._to_check.add(storage.storage_id)
        if self._to_check:
            wanted, self._to_check = self._to_check, set()
            threading.Thread(target=self._check, args=(sorted(wanted),), name="check", daemon=True).start()

    def _check(self, storage_ids: list[str]) -> None:
        for storage_id in storage_ids:
            if self._stopping.is_set():
                return
            try:
                problem = self.storages.check(storage_id)
            except DomainError:
                continue  # removed meanwhile
            except Exception:
                log.exception("storage.check_failed storage_id=%s", storage_id)
                continue
            if problem is not None:
                log.warning("storage.problem storage_id=%s problem=%s", storage_id, problem)

    # -- one transfer ------------------------------------------------------------------------------------------

    def _do(self, work: Work) -> None:
        try:
            self._try(work)
        except Exception:
            # The lease runs out and the work is found again.
            log.exception("transfer.broke transfer_id=%s", work.transfer_id)
        finally:
            with self._lock:
                self._running.pop(work.transfer_id, None)
            self._wake.set()

    def _try(self, work: Work) -> None:
        key, began = work.transfer_id, time.monotonic()
        before = store.get(self._db, key)
        if before is None:
            return
        try:
            if work.deleting:
                copies.delete(self._db, self.storages, key, self._owner)
                log.info("transfer.deleted transfer_id=%s", key)
                return
            done = copies.copy(
                self._db, self.storages, self._settings.library_dir, key, self._owner, self._stopping.is_set
            )
        except Interrupted:
            store.release(self._db, key, self._owner)
            log.info("transfer.interrupted transfer_id=%s", key)
            return
        except OSError as error:
            self._failed(
                before, str(error) if error.errno is None else f"{error.strerror}. Check this server’s disk."
            )
            return
        except DomainError as error:
            self._failed(before, error.message)
            return
        if done:
            log.info("transfer.done transfer_id=%s seconds=%.1f", key, time.monotonic() - began)
        else:
            store.release(self._db, key, self._owner)

    def _failed(self, before: Transfer, reason: str) -> None:
        """Set the next try. A try that came further than the one before counts as the first failure."""
        now, after = datetime.now(UTC), store.get(self._db, before.transfer_id)
        if after is None:
            return
        further = copied_bytes(after) > copied_bytes(before)
        attempts = 1 if further else after.attempts
        since = now if further or after.failing_since is None else after.failing_since
        # The count as well: the clock may have been put forward.
        over = (
            now - since >= self._settings.give_up and attempts * LONGEST_PAUSE * 2 >= self._settings.give_up
        )
        next_at = None if over else now + pause(attempts, self._settings.first_pause)
        if over:
            reason = (
                f"{reason} Given up after {self._settings.give_up.days} days. An administrator can retry it."
            )
        store.failed(self._db, before.transfer_id, self._owner, reason, since, next_at, attempts)
        log.warning(
            "transfer.failed transfer_id=%s attempt=%d reason=%s", before.transfer_id, attempts, reason
        )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def copied_bytes(transfer: Transfer) -> int:
    return sum(file.copied_bytes for file in transfer.files)
