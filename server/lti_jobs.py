"""What the job worker does with the platforms' services: rosters that are due, attendance and its scores.

Threads of its own, never a request's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from lti.services.grades import look_at_meeting, send_scores
from lti.services.sync import sync_course
from models.store import grades, roster
from models.store.database import Database
from rooms.ports import Rooms

log = logging.getLogger("sideroom.jobs")
LOOK_S: Final = 2.0
THREADS: Final = 4
"""So many platforms may be slow at the same time without holding up the others."""


class ServiceWorker:
    """Looks for what is due and does it. ``stop`` waits for what is under way (each call has a time limit)."""

    def __init__(self, db: Database, rooms: Rooms) -> None:
        self._db = db
        self._rooms = rooms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lti-services", daemon=True)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lti-service")
        self._busy: set[Future[None]] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception:
                log.exception("lti_jobs.look_failed")
            self._stopping.wait(LOOK_S)

    def look(self) -> None:
        """Begin everything that is due now, as far as there are free hands."""
        self._busy = {future for future in self._busy if not future.done()}
        if len(self._busy) >= THREADS:
            return
        now = datetime.now(UTC)
        for course_id in roster.take_due(self._db, now, most=THREADS - len(self._busy)):
            self._begin(sync_course, course_id)
        for meeting in grades.unseen_meetings(self._db, now):
            try:
                look_at_meeting(self._db, self._rooms, meeting)
            except Exception:
                # One broken log must not hold up all others.
                log.exception("attendance.broke session_id=%s", meeting.session_id)
                grades.save_meeting(self._db, meeting, now, counts=False)
        for course_id in grades.courses_with_due_scores(self._db, now, most=THREADS):
            self._begin(send_scores, course_id)

    def _begin(self, work: Callable[[Database, str], object], course_id: str) -> None:
        def run() -> None:
            try:
                work(self._db, course_id)
            except Exception:
                # Its lease runs out and it is tried again.
                log.exception("lti_jobs.broke course_id=%s", course_id)

        self._busy.add(self._pool.submit(run))
