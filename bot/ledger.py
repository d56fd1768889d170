"""The door's own rows (requests taken and done, audit): whoever writes first writes for all who wait.

Fifty commands at once make two or three commits instead of two hundred.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from models.store import slack_inbox
from models.store.database import Database
from models.store.slack_inbox import Entry, Finished, Noted, Taken, Work

log = logging.getLogger("sideroom.bot")
KEPT_OFFLINE = 1000


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    is_new: bool | None = None
    error: BaseException | None = None

    @property
    def is_written(self) -> bool:
        return self.is_new is not None or self.error is not None


class Ledger:
    """Thread-safe. Nothing is lost by ``note`` and ``finish`` but what stood there when the process died."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._guard = threading.Lock()
        self._writer = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._offline: dict[str, None] = {}

    def take(self, key: str, kind: str, work: Work | None = None) -> bool:
        """Remember a request (and what it asks, until it is finished); False when it was taken before. Raises SQLAlchemyError."""
        with self._guard:
            if key in self._offline:
                return False
        mine = self._add(Taken(key, kind, work))
        with self._writer:
            if not mine.is_written:
                self._write_all()
        if mine.error is not None:
            raise mine.error
        return bool(mine.is_new)

    def take_offline(self, key: str) -> bool:
        """The same in memory, while the database cannot be reached."""
        with self._guard:
            if key in self._offline:
                return False
            self._offline[key] = None
            if len(self._offline) > KEPT_OFFLINE:
                self._offline.pop(next(iter(self._offline)))
            return True

    def finish(self, key: str, state: str) -> None:
        """What became of a request; written by the next ``flush`` or ``take``."""
        self._add(Finished(key, state))

    def note(self, noted: Noted) -> None:
        """A line of the audit; written by the next ``flush`` or ``take``."""
        self._add(noted)

    def flush(self) -> None:
        """Write what waits."""
        with self._writer:
            self._write_all()

    def _add(self, entry: Entry) -> _Waiting:
        mine = _Waiting(entry)
        with self._guard:
            self._waiting.append(mine)
        return mine

    def _write_all(self) -> None:
        with self._guard:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            answers = slack_inbox.write(self._db, [each.entry for each in batch])
        except SQLAlchemyError as error:
            log.warning("slack.ledger_failed entries=%d error=%s", len(batch), type(error).__name__)
            for each in batch:
                each.error = error
            return
        for each, is_new in zip(batch, answers, strict=True):
            each.is_new = is_new
