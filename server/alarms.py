"""Alarms: rings at the times that stand in the sessions' states. What it does is submit a command with a deterministic id.

Ringing twice, or on two servers, has one effect: the command's id is the same and the state guards itself
(``stale_alarm``). Alarms are set again from the database at the start; what is overdue rings at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from models.values import SYSTEM, BreakoutStatus, CommandId, RecordingStatus, SessionId
from rooms.commands import (
    Command,
    CompleteTransition,
    EndSession,
    Envelope,
    ExpireRecording,
    ReportRecording,
    TimeIsUp,
)
from rooms.decide_recording import full_at, live
from rooms.errors import DomainError
from rooms.ports import Committed, Rooms
from rooms.state import SessionState

log = logging.getLogger("sideroom.alarms")
_Scheduler: Any = BackgroundScheduler
_Pool: Any = ThreadPoolExecutor
GRACE = timedelta(milliseconds=5)
"""Rings a little late rather than a little early: an early ring would be refused."""
RING_AGAIN = timedelta(seconds=1)
RESTART = timedelta(seconds=5)
"""After a restart of everything the recorder gets so long to find what waits for it."""
NO_RECORDER_TEXT = "The recording did not start within 10 seconds. Check that the recorder process runs, then start it again."
THREADS = 4
LATE_S = 3600


class Alarms:
    """Follows the sessions and keeps one job for each of their times. ``start`` and ``stop`` belong to the server."""

    def __init__(self, rooms: Rooms, empty_session_s: int = 900, no_recorder_s: float = 10) -> None:
        self._rooms = rooms
        self._empty = timedelta(seconds=empty_session_s)
        self._no_recorder = timedelta(seconds=no_recorder_s)
        # A recording that no recorder has begun by then has failed: nobody shall believe that it runs.
        # The library has no types: its objects are Any here.
        self._scheduler: Any = _Scheduler(
            timezone=UTC,
            executors={"default": _Pool(THREADS)},
            job_defaults={"misfire_grace_time": LATE_S, "coalesce": True},
        )
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        self._unsubscribe = self._rooms.subscribe(self._follow)
        self._scheduler.start()
        for session_id in self._rooms.open_sessions():
            try:
                self.set(self._rooms.state(session_id))
            except DomainError as error:
                log.warning("alarm.session_skipped session_id=%s code=%s", session_id, error.code)

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._scheduler.shutdown(wait=True)

    def _follow(self, committed: Committed) -> None:
        self.set(committed.after)

    def set(self, state: SessionState) -> None:
        """Set the alarms that this state wants, and take away those it does not want any more."""
        wanted = self._wanted(state)
        prefix = f"{state.session_id}/"
        for job in self._scheduler.get_jobs():
            if job.id.startswith(prefix) and job.id not in wanted and "/again/" not in job.id:
                job.remove()
        for job_id, (at, command, command_id) in wanted.items():
            if self._scheduler.get_job(job_id) is None:
                self._scheduler.add_job(
                    self._ring,
                    "date",
                    run_date=max(at + GRACE, datetime.now(UTC)),
                    args=(state.session_id, command, command_id),
                    id=job_id,
                    replace_existing=True,
                )

    def _wanted(self, state: SessionState) -> dict[str, tuple[datetime, Command, str]]:
        """Job id → (when, what, command id). The ids hold the time, so a changed time is another job."""
        if not state.is_open:
            return {}
        session_id = state.session_id
        wanted: dict[str, tuple[datetime, Command, str]] = {}
        for transition in state.transitions.values():
            key = transition.transition_id
            at = transition.effective_at
            wanted[f"{session_id}/t/{key}"] = (at, CompleteTransition(key), f"alarm:{session_id}:{key}")
        ends_at = state.breakout.ends_at
        if state.breakout.status is BreakoutStatus.RUNNING and ends_at is not None:
            stamp = ends_at.isoformat()
            wanted[f"{session_id}/end/{stamp}"] = (
                ends_at,
                TimeIsUp(stamp),
                f"alarm:{session_id}:end:{stamp}",
            )
        for recording in live(state):
            key = recording.recording_id
            if recording.status is RecordingStatus.INVOKED:
                late = recording.invoked_at + self._no_recorder
                wanted[f"{session_id}/late/{key}"] = (
                    max(late, datetime.now(UTC) + min(RESTART, self._no_recorder)),
                    ReportRecording(key, "ERRORED", error=NO_RECORDER_TEXT),
                    f"alarm:{key}:late",
                )
            full, empty = full_at(recording), recording.empty_since
            if full is not None:
                stamp = full.isoformat()
                wanted[f"{session_id}/full/{key}/{stamp}"] = (
                    full,
                    ExpireRecording(key, "length"),
                    f"alarm:{key}:length:{stamp}",
                )
            if empty is not None and recording.options.empty_stop_s:
                wanted[f"{session_id}/left/{key}/{empty.isoformat()}"] = (
                    empty + timedelta(seconds=recording.options.empty_stop_s),
                    ExpireRecording(key, "empty"),
                    f"alarm:{key}:empty:{empty.isoformat()}",
                )
        if not any(person.online for person in state.people.values()):
            at = datetime.now(UTC) + self._empty
            wanted[f"{session_id}/empty/{state.seq}"] = (
                at,
                EndSession(),
                f"alarm:{session_id}:empty:{state.seq}",
            )
        return wanted

    def _ring(self, session_id: SessionId, command: Command, command_id: str) -> None:
        try:
            if self._is_out_of_date(session_id, command):
                return
            self._rooms.submit(Envelope(CommandId(command_id), session_id, SYSTEM, command))
        except DomainError as error:
            log.info("alarm.refused command=%s code=%s", type(command).__name__, error.code)
            if error.code == "conflict":
                self._again(session_id, command, command_id)
        except Exception:
            # A locked or restarting database must not lose a countdown: people would be stuck in it.
            log.exception("alarm.failed command=%s", type(command).__name__)
            self._again(session_id, command, command_id)
        else:
            log.info("alarm.rang command=%s session_id=%s", type(command).__name__, session_id)

    def _is_out_of_date(self, session_id: SessionId, command: Command) -> bool:
        """Somebody came back, or the recorder began in the last moment."""
        if isinstance(command, EndSession):
            return any(p.online for p in self._rooms.state(session_id).people.values())
        if isinstance(command, ReportRecording):
            recording = self._rooms.state(session_id).recordings.get(command.recording_id)
            return recording is None or recording.status is not RecordingStatus.INVOKED
        return False

    def _again(self, session_id: SessionId, command: Command, command_id: str) -> None:
        self._scheduler.add_job(
            self._ring,
            "date",
            run_date=datetime.now(UTC) + RING_AGAIN,
            args=(session_id, command, command_id),
            id=f"{session_id}/again/{command_id}",
            replace_existing=True,
        )
