"""Alarms: rings at the times that stand in the sessions' states. What it does is submit a command with a deterministic id.

Ringing twice, or on two servers, has one effect: the command's id is the same and the state guards itself
(``stale_alarm``). Alarms are set again from the database at the start; what is overdue rings at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
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
_Pool: Any = ThreadPoolExecutor
GRACE = timedelta(milliseconds=5)
"""Rings a little late rather than a little early: an early ring would be refused."""
RING_AGAIN = timedelta(seconds=1)
RESTART = timedelta(seconds=5)
"""After a restart of everything the recorder gets so long to find what waits for it."""
NO_RECORDER_TEXT = "The recording didn’t start within 10 seconds. Check that the recorder process is running, then start it again."
THREADS = 4
LOOK_AT_CLOCK_S = 1.0
STEP_S = 0.5
"""Where the wall clock and the steady one part by more than this, the wall clock was set."""


class _PeacefulStop(BackgroundScheduler):
    """Stops in peace: the library forgets its jobs first, and its thread then looks in vain for the one it just ran."""

    def _process_jobs(self) -> Any:
        try:
            return super()._process_jobs()  # type: ignore[no-untyped-call]
        except JobLookupError:
            if self.running:
                raise
            return None


_Scheduler: Any = _PeacefulStop


class Alarms:
    """Follows the sessions and keeps one job for each of their times. ``start`` and ``stop`` belong to the server."""

    def __init__(self, rooms: Rooms, empty_session_s: int = 900, no_recorder_s: float = 40) -> None:
        self._rooms = rooms
        self._empty = timedelta(seconds=empty_session_s)
        self._no_recorder = timedelta(seconds=no_recorder_s)
        # A recording that no recorder has begun by then has failed: nobody shall believe that it runs. A recorder that is
        # restarted on a busy machine needs up to 30 s and then begins it.
        # The library has no types: its objects are Any here.
        self._pool: Any = _Pool(THREADS)
        self._scheduler: Any = _Scheduler(
            timezone=UTC,
            executors={"default": self._pool},
            # However late (a machine that slept for hours): a countdown that never rings would hold people in it.
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        self._guard = threading.Lock()
        self._seqs: dict[SessionId, int] = {}
        self._jobs: dict[SessionId, set[str]] = {}
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_clock, name="alarms.clock", daemon=True)
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        self._unsubscribe = self._rooms.subscribe(self._follow)
        self._scheduler.start()
        self._watch.start()
        self._set_all()

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._stopping.set()
        self._watch.join(LOOK_AT_CLOCK_S + 10)
        # Not ``wait=True``: it would hold its locks while it waits for an alarm that asks for them to set the next one.
        self._scheduler.shutdown(wait=False)
        self._pool.shutdown(wait=True)

    def _set_all(self) -> None:
        for session_id in self._rooms.open_sessions():
            try:
                self.set(self._rooms.state(session_id))
            except Exception:
                # One session that cannot be read must not take the countdowns of all others with it.
                log.exception("alarm.session_skipped session_id=%s", session_id)

    def _watch_clock(self) -> None:
        """Alarms wait for wall clock times: when the wall clock is set they are set again."""
        apart = time.time() - time.monotonic()
        while not self._stopping.wait(LOOK_AT_CLOCK_S):
            before, apart = apart, time.time() - time.monotonic()
            if abs(apart - before) > STEP_S:
                log.warning("alarm.clock_was_set by_s=%.1f", apart - before)
                self.clock_was_set()

    def clock_was_set(self) -> None:
        """Set every alarm again, by the clock as it is now."""
        try:
            with self._guard:
                for jobs in self._jobs.values():
                    for job_id in jobs:
                        self._take_away(job_id)
                self._jobs.clear()
                self._seqs.clear()
            self._set_all()
        except Exception:
            log.exception("alarm.clock_failed")

    def _follow(self, committed: Committed) -> None:
        self.set(committed.after)

    def set(self, state: SessionState) -> None:
        """Set the alarms that this state wants, and take away those it does not want any more."""
        with self._guard:
            session_id = state.session_id
            if state.seq <= self._seqs.get(session_id, 0):
                return  # what is set already follows from a newer state
            self._seqs[session_id] = state.seq
            wanted = self._wanted(state)
            known = self._jobs.pop(session_id, set())
            for job_id in known - wanted.keys():
                self._take_away(job_id)
            for job_id in wanted.keys() - known:
                at, command, command_id = wanted[job_id]
                self._add(job_id, max(at + GRACE, datetime.now(UTC)), session_id, command, command_id)
            if wanted:
                self._jobs[session_id] = set(wanted)
            elif not state.is_open:
                self._seqs.pop(session_id)

    def _add(
        self, job_id: str, at: datetime, session_id: SessionId, command: Command, command_id: str
    ) -> None:
        arguments = (session_id, command, command_id)
        self._scheduler.add_job(
            self._ring, "date", run_date=at, args=arguments, id=job_id, replace_existing=True
        )

    def _take_away(self, job_id: str) -> None:
        try:
            self._scheduler.remove_job(job_id)
        except JobLookupError:
            pass  # it has rung

    def _wanted(self, state: SessionState) -> dict[str, tuple[datetime, Command, str]]:
        """Job id → (when, what, command id). The ids hold the time, so a changed time is another job."""
        if not state.is_open:
            return {}
        session_id = state.session_id
        wanted: dict[str, tuple[datetime, Command, str]] = {}
        for transition in state.transitions.values():
            key = transition.transition_id
            # A countdown is never longer than the breakout's: one that ends later was begun before the clock was set back.
            at = min(
                transition.effective_at, datetime.now(UTC) + timedelta(seconds=state.breakout.countdown_s)
            )
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
            if error.code == "conflict" or self._rang_too_early(session_id, command_id, error):
                self._again(session_id, command, command_id)
        except Exception:
            # A locked or restarting database must not lose a countdown: people would be stuck in it.
            log.exception("alarm.failed command=%s", type(command).__name__)
            self._again(session_id, command, command_id)
        else:
            log.info("alarm.rang command=%s session_id=%s", type(command).__name__, session_id)

    def _rang_too_early(self, session_id: SessionId, command_id: str, error: DomainError) -> bool:
        """A little, as after the clock was set back: the state still waits for it."""
        if error.code != "stale_alarm":
            return False
        wanted = self._wanted(self._rooms.state(session_id)).values()
        return any(known == command_id for _, _, known in wanted)

    def _is_out_of_date(self, session_id: SessionId, command: Command) -> bool:
        """Somebody came back, or the recorder began in the last moment."""
        if isinstance(command, EndSession):
            return any(p.online for p in self._rooms.state(session_id).people.values())
        if isinstance(command, ReportRecording):
            recording = self._rooms.state(session_id).recordings.get(command.recording_id)
            return recording is None or recording.status is not RecordingStatus.INVOKED
        return False

    def _again(self, session_id: SessionId, command: Command, command_id: str) -> None:
        at = datetime.now(UTC) + RING_AGAIN
        self._add(f"{session_id}/again/{command_id}", at, session_id, command, command_id)
