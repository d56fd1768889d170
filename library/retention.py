"""Deletes the files of entries whose time is over, here and (by transfers) there; the entry stays and says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from library.media import remove_files
from models.store import library as store
from models.store import transfers
from models.store.database import Database

log = logging.getLogger("sideroom.library")


STEP: Final = timedelta(minutes=10)
HOLD: Final = timedelta(days=1)


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


def expire(db: Database, root: Path, now: datetime) -> int:
    """Expire what is due; returns how many entries. Files go first, so a crash between leaves a repeatable state."""
    due = store.expired_entries(db, now)
    for row in due:
        transfers.delete_of_entry(db, row["id"])
        remove_files(root, row["path"])
        store.save_entry(db, row["id"], {"status": "expired"})
        log.info("library.expired entry_id=%s", row["id"])
    return len(due)
