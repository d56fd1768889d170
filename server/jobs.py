"""The job worker: composes recordings that were closed, hands the files to the library, reports.

``python -m server.jobs``, with settings from the environment. The database is the queue. A recording is leased while it is
composed: when a worker dies, its lease runs out and another one goes on with the work.
"""

from __future__ import annotations

import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType
from typing import Final

from library.retention import ClockGuard, expire
from models.store import recordings_jobs as store
from models.store.database import Database
from models.values import RecordingId
from rooms.ports import Committed, Rooms
from rooms.service import RoomsService
from server import logs
from server.composition import CompositionQueue
from server.job_settings import JobSettings, from_settings
from server.lti_jobs import ServiceWorker
from server.settings import load, prepare
from server.transfers import TransferSettings, TransferWorker
from server.transfers import from_settings as transfer_settings
from server.webhooks_job import WebhooksJob
from server.webhooks_job import build as build_webhooks

log = logging.getLogger("sideroom.jobs")
LOOK_S: Final = 2.0
LEAST_S: Final = 0.25
"""So long at least between two looks."""
TIDY_S: Final = 600.0
FAILED: Final = timedelta(days=30)
"""What was captured of a recording that failed is kept so long at least: somebody may try again to make its film."""


class JobWorker:
    """Looks for closed recordings and composes them. ``run`` works until ``stop``."""

    def __init__(self, settings: JobSettings, rooms: Rooms, db: Database) -> None:
        self._settings = settings
        self._rooms = rooms
        self._db = db
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._queue = CompositionQueue(settings, rooms, db, self._wake.set)
        self._tidy_at = 0.0
        self._clock = ClockGuard()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Work until ``stop``."""
        unsubscribe = self._rooms.subscribe(self._committed)
        log.info("jobs.started")
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._look()
                if time.monotonic() >= self._tidy_at:
                    self._tidy_at = time.monotonic() + TIDY_S
                    self.tidy()
                # However much happens in the rooms: looking costs the database something.
                self._stopping.wait(LEAST_S)
                self._wake.wait(LOOK_S)
        finally:
            unsubscribe()
            self._queue.stop()
            log.info("jobs.stopped")

    def _committed(self, committed: Committed) -> None:
        if committed.after.recordings:
            self._wake.set()

    def _look(self) -> None:
        try:
            self._queue.look()
        except Exception:
            log.exception("jobs.look_failed")

    def tidy(self) -> None:
        """Expire library entries without copies whose time is over, and remove journals that are not needed any more."""
        now = datetime.now(UTC)
        try:
            if self._clock.believed():
                expire(self._db, self._settings.library_dir, now)
            self._remove_journals(now)
        except Exception:
            log.exception("jobs.tidy_failed")

    def _remove_journals(self, now: datetime) -> None:
        if not self._settings.recordings_dir.is_dir():
            return
        kept = self._settings.journals
        done = store.journals_not_needed(
            self._db, now - kept if kept is not None else None, now - max(kept or FAILED, FAILED)
        )
        for folder in self._settings.recordings_dir.iterdir():
            if folder.name in done:
                shutil.rmtree(folder, ignore_errors=True)
                log.info("journal.removed recording_id=%s", folder.name)

    def compose(self, recording_id: RecordingId) -> None:
        """Compose one closed recording now, here."""
        self._queue.compose(recording_id)


def run(
    settings: JobSettings,
    copying: TransferSettings | None = None,
    webhooks: Callable[[Database, Rooms], WebhooksJob] | None = None,
) -> None:
    """Run the job worker until SIGTERM or SIGINT. Must be called on the main thread."""
    db = Database(settings.db_url, settings.time_zone)
    rooms = RoomsService(db)
    worker = JobWorker(settings, rooms, db)
    transfers = TransferWorker(copying, db, rooms) if copying is not None else None
    services = ServiceWorker(db, rooms)
    messages = webhooks(db, rooms) if webhooks is not None else None
    rooms.start()
    services.start()
    if transfers is not None:
        transfers.start()
    if messages is not None:
        messages.start()
    try:
        _on_signals(worker.stop)
        worker.run()
    finally:
        services.stop()
        if messages is not None:
            messages.stop()
        if transfers is not None:
            transfers.stop()
        rooms.close()
        db.close()


def _on_signals(stop: Callable[[], None]) -> None:
    def end(_signal: int, _frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


if __name__ == "__main__":
    loaded = prepare(load())
    logs.configure(loaded.log_level)
    run(from_settings(loaded), transfer_settings(loaded), partial(build_webhooks, loaded))
