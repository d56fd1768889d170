"""The database handle: engine, sessions and transactions. SQLite (WAL) by default, PostgreSQL by one setting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlmodel import Session

from models.store import search  # noqa: F401 - keeps the keys of what is written


class Database:
    """One per process. Thread-safe; each ``read``/``write`` opens its own session.

    ``time_zone`` is that of courses whose platform tells none (``courses.time_zone``).
    ``url`` is a SQLAlchemy URL: ``sqlite:////path/file.db`` or ``postgresql+psycopg://…``.
    """

    def __init__(self, url: str, time_zone: str = "") -> None:
        self.url = url
        self.time_zone = time_zone
        self.is_sqlite = url.startswith("sqlite")
        # Threads of one process queue here: SQLite's own waiting sleeps ever longer and lets late ones overtake.
        self._writer = threading.RLock() if self.is_sqlite else nullcontext()
        # Errors are logged: they must not carry what people wrote.
        self._swept: dict[str, float] = {}
        self.engine: Engine = create_engine(url, pool_pre_ping=not self.is_sqlite, hide_parameters=True)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _sqlite_pragmas)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back on an exception.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so two writers queue instead of failing midway.
        """
        with self._writer, Session(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield session
            except BaseException:
                session.rollback()
                raise
            session.commit()

    def is_due(self, chore: str, every_s: float) -> bool:
        """Should this process do a chore (clear old rows away) now? At most about once in ``every_s`` seconds."""
        now = time.monotonic()
        if now - self._swept.get(chore, -every_s) < every_s:
            return False
        self._swept[chore] = now
        return True

    def close(self) -> None:
        self.engine.dispose()


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    # Autocommit mode: SQLAlchemy's own BEGIN would be deferred; ``write`` starts the transaction itself.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
