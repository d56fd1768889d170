"""The job worker: composes recordings that were closed, hands the files to the library, reports.

``python -m server.jobs``, with settings from the environment. Huey (on SQLite) is the queue; the database says what there is to
do. A recording is leased while it is composed: when a worker dies, its lease runs out and another one does the work again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final
from uuid import uuid4

from huey import SqliteHuey  # type: ignore[attr-defined]

from library.intake import ensure_processing_entry, mark_failed, take
from library.retention import ClockGuard, expire
from library.values import CompositionFacts
from models.store import recordings_jobs as store
from models.store.database import Database
from models.values import SYSTEM, CommandId, EntryId, RecordingId, RecordingStatus
from recorder.compose import CompositionResult, read_progress, read_result
from rooms.commands import Envelope, ReportRecording
from rooms.errors import DomainError
from rooms.ports import Committed, Rooms
from rooms.service import RoomsService
from server.lti_jobs import ServiceWorker
from server.settings import Settings, load, prepare
from server.transfers import TransferSettings, TransferWorker
from server.transfers import from_settings as transfer_settings
from server.webhooks_job import WebhooksJob
from server.webhooks_job import build as build_webhooks

log = logging.getLogger("sideroom.jobs")
LEASE: Final = timedelta(seconds=20)
RENEW_S: Final = 5.0
LOOK_S: Final = 2.0
MAX_ATTEMPTS: Final = 3
RETRY: Final = timedelta(seconds=3)
STOP_S: Final = 5.0
REQUEUE_S: Final = 60.0
TIDY_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class JobSettings:
    """``retention`` None: kept for ever. ``workers``: compositions at the same time. ``options``: CompositeOptions fields."""

    db_url: str
    recordings_dir: Path
    library_dir: Path
    queue_path: Path
    workers: int = 1
    retention: timedelta | None = None
    journals: timedelta | None = None
    """How long a journal is kept after its film is in the library; None: for ever."""
    options: dict[str, int | str] = field(default_factory=dict)


def from_settings(settings: Settings) -> JobSettings:
    """The job worker's part of the site's settings."""
    return JobSettings(
        db_url=settings.db_url,
        recordings_dir=settings.recordings_dir,
        library_dir=settings.library_dir,
        queue_path=settings.data_dir.resolve() / "jobs.db",
        workers=settings.composers,
        retention=timedelta(days=settings.retention_days) if settings.retention_days else None,
        journals=timedelta(days=settings.journal_days) if settings.journal_days else None,
    )


class CompositionFailed(Exception):
    """The composition came to no result; the text says why."""


class JobWorker:
    """Looks for closed recordings and composes them. ``run`` works until ``stop``."""

    def __init__(self, settings: JobSettings, rooms: Rooms, db: Database) -> None:
        self._settings = settings
        self._rooms = rooms
        self._db = db
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._huey = _queue(settings.queue_path)
        self._compose = self._huey.task(name="compose")(self.compose)
        self._queued: dict[RecordingId, float] = {}
        self._tidy_at = 0.0
        self._clock = ClockGuard()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Work until ``stop``. What a dead worker left in the queue is harmless: only a lease lets it be done."""
        consumer = self._huey.create_consumer(
            workers=self._settings.workers, periodic=False, initial_delay=0.05, max_delay=0.5, backoff=1.3
        )
        consumer.start()
        started()  # the consumer has installed signal handlers of its own: now is the time for others
        unsubscribe = self._rooms.subscribe(self._committed)
        log.info("jobs.started owner=%s", self._owner)
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._look()
                if time.monotonic() >= self._tidy_at:
                    self._tidy_at = time.monotonic() + TIDY_S
                    self.tidy()
                self._wake.wait(LOOK_S)
        finally:
            unsubscribe()
            consumer.stop(graceful=True)
            log.info("jobs.stopped")

    def _committed(self, committed: Committed) -> None:
        if any(r.status is RecordingStatus.UPLOADING for r in committed.after.recordings.values()):
            self._wake.set()

    def _look(self) -> None:
        try:
            waiting = store.waiting(self._db, datetime.now(UTC))
        except Exception:
            log.exception("jobs.look_failed")
            return
        for recording_id in waiting:
            if time.monotonic() - self._queued.get(recording_id, -REQUEUE_S) >= REQUEUE_S:
                self._queued[recording_id] = time.monotonic()
                self._show(recording_id)
                self._compose(recording_id)

    def _show(self, recording_id: RecordingId) -> None:
        """The library shows a recording as soon as it waits, also behind others."""
        info = store.recording_info(self._db, recording_id)
        if info is not None:
            ensure_processing_entry(self._db, info)

    def tidy(self) -> None:
        """Expire library entries whose time is over, and remove journals that are not needed any more."""
        now = datetime.now(UTC)
        try:
            if self._clock.believed():
                expire(self._db, self._settings.library_dir, now)
            self._remove_journals(now)
        except Exception:
            log.exception("jobs.tidy_failed")

    def _remove_journals(self, now: datetime) -> None:
        if self._settings.journals is None or not self._settings.recordings_dir.is_dir():
            return
        done = store.uploaded_before(self._db, now - self._settings.journals)
        for folder in self._settings.recordings_dir.iterdir():
            if folder.name in done:
                shutil.rmtree(folder, ignore_errors=True)
                log.info("journal.removed recording_id=%s", folder.name)

    # -- one recording -----------------------------------------------------------------------------------------

    def compose(self, recording_id: str) -> None:
        """Lease, compose, hand over, report. Nothing when another worker has the lease."""
        key = RecordingId(recording_id)
        try:
            if not store.lease(self._db, key, self._owner, datetime.now(UTC), LEASE):
                return
            info = store.recording_info(self._db, key)
            if info is not None:
                ensure_processing_entry(self._db, info)
                self._attempt(info)
        except Exception:
            # The lease runs out and the work is found again.
            log.exception("composition.broke recording_id=%s", recording_id)
        finally:
            self._queued.pop(key, None)

    def _attempt(self, info: store.RecordingInfo) -> None:
        key = info.recording_id
        began = time.monotonic()
        if info.attempts > MAX_ATTEMPTS:
            # Its worker died each time: do not let it take the queue down again.
            self._give_up(info, "its worker was killed each time")
            return
        try:
            result = self._in_process(key)
            entry_id = self._hand_over(info, result)
        except (CompositionFailed, OSError) as error:
            log.warning("composition.failed recording_id=%s attempt=%d reason=%s", key, info.attempts, error)
            if self._stopping.is_set():
                store.release(self._db, key, self._owner)
            elif info.attempts >= MAX_ATTEMPTS:
                self._give_up(info, str(error))
            else:
                store.release(self._db, key, self._owner, datetime.now(UTC) + RETRY * info.attempts)
            return
        self._report(info, ReportRecording(key, "UPLOADED", duration_s=result.duration_s, entry_id=entry_id))
        store.release(self._db, key, self._owner)
        log.info("composition.done recording_id=%s seconds=%.1f", key, time.monotonic() - began)

    def _give_up(self, info: store.RecordingInfo, reason: str) -> None:
        error = (
            f"The recording could not be composed after {MAX_ATTEMPTS} tries: {reason[:300]}. "
            "What was captured is kept; an administrator can compose it again."
        )
        mark_failed(self._db, info)
        self._report(info, ReportRecording(info.recording_id, "ERRORED", error=error))
        store.release(self._db, info.recording_id, self._owner)

    def _in_process(self, recording_id: RecordingId) -> CompositionResult:
        """Run ``recorder.compose`` as a process of low priority, renewing the lease while it works."""
        journal = self._settings.recordings_dir / recording_id
        out = journal / "result"
        command = [sys.executable, "-m", "recorder.compose", str(journal), str(out)]
        command += ["--options", json.dumps(self._settings.options)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")  # noqa: S603
        last_line: list[str] = []
        reader = threading.Thread(target=_keep_last_line, args=(process, last_line), daemon=True)
        reader.start()
        try:
            self._watch(process, recording_id, out)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            reader.join(STOP_S)
        result = read_result(out) if process.returncode == 0 else None
        if result is None:
            raise CompositionFailed(last_line[-1] if last_line else f"exit code {process.returncode}")
        return result

    def _watch(self, process: subprocess.Popen[str], recording_id: RecordingId, out: Path) -> None:
        renew_at = 0.0
        while process.poll() is None:
            if self._stopping.is_set():
                raise CompositionFailed("the worker is stopping")
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + RENEW_S
                now, share = datetime.now(UTC), read_progress(out).share
                if not store.renew(self._db, recording_id, self._owner, now, LEASE, share):
                    raise CompositionFailed("another worker has taken over")
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue

    def _hand_over(self, info: store.RecordingInfo, result: CompositionResult) -> EntryId:
        facts = CompositionFacts(
            file_name=result.path,
            duration_s=result.duration_s,
            width=result.width,
            height=result.height,
            size_bytes=result.size_bytes,
            sha256=result.sha256,
            thumbnail=result.thumbnail,
            warnings=tuple(result.warnings),
            quality={key: value for key, value in asdict(result).items() if key not in _IN_FACTS},
        )
        journal = self._settings.recordings_dir / info.recording_id
        entry_id = take(
            self._db,
            self._settings.library_dir,
            info,
            journal / "result",
            facts,
            self._settings.retention,
        )
        store.write_facts(
            self._db,
            info.recording_id,
            size_bytes=result.size_bytes,
            file_name=result.path,
            journal_path=info.recording_id,
        )
        return entry_id

    def _report(self, info: store.RecordingInfo, command: ReportRecording) -> None:
        command_id = CommandId(f"jobs:{info.recording_id}:{command.status}:{info.attempts}")
        try:
            self._rooms.submit(Envelope(command_id, info.session_id, SYSTEM, command))
        except DomainError as error:
            log.warning("recording.report_refused code=%s recording_id=%s", error.code, info.recording_id)


_IN_FACTS: Final = frozenset(
    {"path", "thumbnail", "duration_s", "width", "height", "size_bytes", "sha256", "warnings"}
)


def _queue(path: Path) -> Any:
    return SqliteHuey("sideroom", filename=str(path), results=False)  # type: ignore[no-untyped-call]


def _keep_last_line(process: subprocess.Popen[str], last_line: list[str]) -> None:
    assert process.stderr is not None
    with process.stderr as pipe:
        for line in pipe:
            if line.strip():
                last_line[:] = [line.strip()]


def run(
    settings: JobSettings,
    copying: TransferSettings | None = None,
    webhooks: Callable[[Database, Rooms], WebhooksJob] | None = None,
) -> None:
    """Run the job worker until SIGTERM or SIGINT. Must be called on the main thread."""
    db = Database(settings.db_url)
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
        worker.run(lambda: _on_signals(worker.stop))
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
    logging.basicConfig(level=loaded.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run(from_settings(loaded), transfer_settings(loaded), partial(build_webhooks, loaded))
