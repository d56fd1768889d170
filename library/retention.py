"""Deletes the files of entries whose time is over; the entry stays and says so."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from library.media import remove_files
from models.store import library as store
from models.store.database import Database

log = logging.getLogger("sideroom.library")


def expire(db: Database, root: Path, now: datetime) -> int:
    """Expire what is due; returns how many entries. Files go first, so a crash between leaves a repeatable state."""
    due = store.expired_entries(db, now)
    for row in due:
        remove_files(root, row["path"])
        store.save_entry(db, row["id"], {"status": "expired"})
        log.info("library.expired entry_id=%s", row["id"])
    return len(due)
