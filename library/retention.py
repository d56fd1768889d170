"""Deletes the files of entries whose time is over, here and (by transfers) there; the entry stays and says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from library.copies import still_there
from library.media import remove_files
from library.storage import Storages
from models.store import library as store
from models.store import transfers
from models.store.database import Database
from models.store.media_files import forget_files

log = logging.getLogger("sideroom.library")


STEP: Final = timedelta(minutes=10)
HOLD: Final = timedelta(days=1)
LOOK_AGAIN: Final = timedelta(days=1)


class ClockGuard:
    """Tells whether the wall clock can be believed: a step forward must not make a library expire at once.

    ``now`` is the wall clock, ``monotonic`` counts seconds evenly. After a step of more than ten minutes nothing expires
    for a day, or until the clock is put back.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now, self._monotonic = now, monotonic
        self._base = self._offset()
        self._doubted_at: float | None = None

    def _offset(self) -> datetime:
        return self._now() - timedelta(seconds=self._monotonic())

    def believed(self) -> bool:
        """Call it each time before the clock decides about a deletion."""
        step, at = self._offset() - self._base, self._monotonic()
        if abs(step) < STEP:
            self._doubted_at = None
            return True
        if self._doubted_at is None:
            self._doubted_at = at
            log.warning("clock.stepped seconds=%d", step.total_seconds())
        if timedelta(seconds=at - self._doubted_at) < HOLD:
            return False
        self._base, self._doubted_at = self._offset(), None
        return True


def expire(db: Database, root: Path, now: datetime, storages: Storages | None = None) -> int:
    """Expire what is due; returns how many entries. Files go first, so a crash between leaves a repeatable state.

    Without ``storages`` entries that were never copied; with them those that were: each copy is looked at once more, and
    the file here stays when one is missing or cannot be seen. Then this may wait for stores.
    """
    expired = 0
    for row in store.expired_entries(db, now, copied=storages is not None):
        if storages is not None and not _may_go(db, storages, row["id"], now):
            continue
        transfers.delete_of_entry(db, row["id"])
        remove_files(root, row["path"])
        forget_files(db, row["id"])
        store.save_entry(db, row["id"], {"status": "expired"})
        log.info("library.expired entry_id=%s", row["id"])
        expired += 1
    return expired


def _may_go(db: Database, storages: Storages, entry_id: str, now: datetime) -> bool:
    verdict = still_there(db, storages, entry_id)
    if verdict == "there":
        return True
    # Missing: the clock starts again when there is a copy again. Unseen: it is looked at again tomorrow.
    later = None if verdict == "missing" else now + LOOK_AGAIN
    store.save_entry(db, entry_id, {"expires_at": later})
    log.warning("library.expiry_put_off entry_id=%s copies=%s", entry_id, verdict)
    return False
