"""The one road for all doors: policy → decide → commit → publish. One writer a session, whoever asks.

Several services (in several processes) may write to the same database: the unique (session_id, seq) is the optimistic
lock. Each service sees every commit: its own at once, others' by following the log (LISTEN/NOTIFY wakes it on
PostgreSQL, a short poll on SQLite). Nothing is published that is not committed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from foundation.text import clean
from models import room_settings
from models.recording import options_to_json
from models.store import events as log_store
from models.store import sessions as session_store
from models.store.database import Database
from models.store.deeplinks import recording_defaults
from models.store.events import Commit, RecordingFacts
from models.store.people import course_settings
from models.values import MAIN_ROOM, SYSTEM, CommandId, CourseId, SessionId
from rooms import policy, wire
from rooms.commands import Envelope, OpenSession
from rooms.core import decide, evolve
from rooms.errors import DomainError
from rooms.events import Event, Recorded, SessionEnded
from rooms.ports import Accepted, Clock, Committed, Subscriber
from rooms.state import Recording, SessionState

log = logging.getLogger("sideroom.rooms")
OPEN_TRIES = 6
KEPT_ENDED = 64
"""States of ended sessions that stay in memory."""


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class RoomsService:
    """Implements ``rooms.ports.Rooms`` on a database. ``start`` begins to follow the log; ``close`` ends it."""

    def __init__(self, db: Database, clock: Clock | None = None, tail_interval_s: float = 0.15) -> None:
        self._db = db
        self._clock = clock or SystemClock()
        self._interval_s = tail_interval_s
        self._states: dict[SessionId, SessionState] = {}
        self._published: dict[SessionId, int] = {}
        self._locks: dict[SessionId, threading.RLock] = {}
        self._guard = threading.Lock()
        self._subscribers: list[Subscriber] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._tail: threading.Thread | None = None
        self._listener: threading.Thread | None = None
        self._first_id = self._tail_id = log_store.newest_id(db)

    # -- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Follow the log from now on in a thread of its own."""
        self._tail = threading.Thread(target=self._follow, name="rooms.tail", daemon=True)
        self._tail.start()
        if not self._db.is_sqlite:
            self._listener = threading.Thread(target=self._listen, name="rooms.listen", daemon=True)
            self._listener.start()

    def close(self) -> None:
        self._stopping.set()
        self._wake.set()
        for thread in (self._tail, self._listener):
            if thread is not None:
                thread.join(10)

    # -- commands ----------------------------------------------------------------------------------------------

    def submit(self, envelope: Envelope) -> Accepted:
        """See ``rooms.ports.Rooms.submit``."""
        with self._lock(envelope.session_id):
            return self._try(envelope) or self._try_alone(envelope)

    def _try(self, envelope: Envelope) -> Accepted | None:
        """Optimistic: None when another process was faster."""
        before = self._catch_up(envelope.session_id)
        accepted, commit = self._answer(envelope, before)
        if commit is not None:
            try:
                log_store.append(self._db, commit)
            except IntegrityError:
                return None
            self._committed(before, accepted)
        return accepted

    def _try_alone(self, envelope: Envelope) -> Accepted:
        """While the database holds off all other writers of this session: however many there are, nobody is sent away."""
        news: Committed | None = None
        try:
            with log_store.alone(self._db, envelope.session_id) as transaction:
                before, news = self._read(envelope.session_id)
                accepted, commit = self._answer(envelope, before)
                if commit is not None:
                    log_store.append_within(transaction, commit)
        except IntegrityError:
            raise DomainError("conflict") from None
        finally:
            # Not within the transaction: subscribers may write, too.
            if news is not None:
                self._publish(news)
        if commit is not None:
            self._committed(before, accepted)
        return accepted

    def _answer(self, envelope: Envelope, before: SessionState) -> tuple[Accepted, Commit | None]:
        """What follows from a command, and what must be written for it (None: it was answered before)."""
        repeated = self._repeated(envelope, before)
        if repeated is not None:
            return repeated, None
        policy.authorise(before, envelope)
        now = self._clock.now()
        events = decide(before, envelope, now)
        recorded = tuple(
            Recorded(
                envelope.session_id, before.seq + number, now, envelope.actor, envelope.command_id, event
            )
            for number, event in enumerate(events, start=1)
        )
        after = before
        for each in recorded:
            after = evolve(after, each)
        return Accepted(recorded, after), _commit(envelope, before, after, recorded, now)

    def _committed(self, before: SessionState, accepted: Accepted) -> None:
        if accepted.events:
            self._states[accepted.state.session_id] = accepted.state
            self._publish(Committed(accepted.events, before, accepted.state))
            self._notify()

    def _repeated(self, envelope: Envelope, state: SessionState) -> Accepted | None:
        first = log_store.answered(self._db, envelope.command_id)
        if first is None:
            return None
        session_id, first_seq, last_seq = first
        if session_id != envelope.session_id:
            raise DomainError("bad_command", "This command id was used in another session.", field="id")
        events = [r for r in self.events_after(envelope.session_id, first_seq - 1) if r.seq <= last_seq]
        return Accepted(tuple(events), state, repeated=True)

    # -- reading -----------------------------------------------------------------------------------------------

    def state(self, session_id: SessionId) -> SessionState:
        """See ``rooms.ports.Rooms.state``."""
        with self._lock(session_id):
            state = self._catch_up(session_id)
        if state.seq == 0:
            raise DomainError("no_session")
        return state

    def events_after(
        self, session_id: SessionId, seq: int, kind: type[Event] | None = None
    ) -> Sequence[Recorded]:
        """See ``rooms.ports.Rooms.events_after``."""
        name = None if kind is None else wire.snake(kind.__name__)
        return [_recorded(stored) for stored in log_store.events_after(self._db, session_id, seq, name)]

    def live_session(self, course_id: CourseId, room_key: str = "") -> SessionId | None:
        found = session_store.live_session(self._db, course_id, room_key)
        return SessionId(found) if found is not None else None

    def live_sessions_of(self, course_id: CourseId) -> list[SessionId]:
        """Open sessions of a course, newest first."""
        return [SessionId(s) for s in session_store.live_sessions_of(self._db, course_id)]

    def open_sessions(self) -> Sequence[SessionId]:
        return [SessionId(session_id) for session_id in session_store.open_sessions(self._db)]

    def open_session(
        self, course_id: CourseId, course_title: str, room_title: str, room_key: str = ""
    ) -> SessionId:
        """See ``rooms.ports.Rooms.open_session``."""
        course_title, room_title = clean(course_title), clean(room_title)
        for _ in range(OPEN_TRIES):
            found = self.live_session(course_id, room_key)
            session_id = found or SessionId("s" + uuid4().hex)
            if found is None and not session_store.add_session(
                self._db, session_id, course_id, room_key, room_title, self._clock.now()
            ):
                continue
            # Also for a found one: whoever added the row may have died before its first event.
            options, on_start, by = recording_defaults(self._db, course_id, room_key)
            sharing = room_settings.from_json(
                course_settings(self._db, course_id).get(room_settings.SETTING)
            ).sharing
            command = OpenSession(course_id, course_title, room_title, options, on_start, sharing, by)
            self.submit(Envelope(CommandId(f"open:{session_id}"), session_id, SYSTEM, command))
            return session_id
        raise DomainError("conflict")

    # -- publishing --------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """See ``rooms.ports.Rooms.subscribe``."""
        with self._guard:
            self._subscribers = [*self._subscribers, subscriber]

        def unsubscribe() -> None:
            with self._guard:
                self._subscribers = [s for s in self._subscribers if s is not subscriber]

        return unsubscribe

    def _publish(self, committed: Committed) -> None:
        """Called under the session's lock, so subscribers see its commits in seq order and each once."""
        session_id = committed.after.session_id
        if committed.after.seq <= self._published.get(session_id, 0):
            return
        self._published[session_id] = committed.after.seq
        for subscriber in self._subscribers:
            try:
                subscriber(committed)
            except Exception:
                log.exception("rooms.subscriber_failed session_id=%s", session_id)

    def _lock(self, session_id: SessionId) -> threading.RLock:
        with self._guard:
            return self._locks.setdefault(session_id, threading.RLock())

    def _catch_up(self, session_id: SessionId) -> SessionState:
        """The newest state, publishing on the way what others committed. Holds the session's lock."""
        state, news = self._read(session_id)
        if news is not None:
            self._publish(news)
        return state

    def _read(self, session_id: SessionId) -> tuple[SessionState, Committed | None]:
        """The newest state and what others committed since the last one here; the caller publishes it.

        What was in the log before this service was made, or was published before the state was forgotten, is history.
        """
        before = self._states.get(session_id) or SessionState(session_id)
        missed = log_store.events_after(self._db, session_id, before.seq)
        if not missed:
            return before, None
        published = self._published.get(session_id, 0)
        known = [stored.id <= self._first_id or stored.seq <= published for stored in missed]
        for stored, old in zip(missed, known, strict=True):
            if old:
                before = evolve(before, _recorded(stored))
        news = tuple(_recorded(stored) for stored, old in zip(missed, known, strict=True) if not old)
        after = before
        for recorded in news:
            after = evolve(after, recorded)
        self._states[session_id] = after
        self._forget_ended()
        return after, Committed(news, before, after) if news else None

    def _forget_ended(self) -> None:
        ended = [s for s, state in self._states.copy().items() if not state.is_open]
        for session_id in ended[:-KEPT_ENDED]:
            self._states.pop(session_id, None)

    # -- following the log -------------------------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._interval_s)
            self._wake.clear()
            try:
                self._look()
            except Exception:
                log.exception("rooms.tail_failed")
                self._stopping.wait(1.0)

    def _look(self) -> None:
        known = {str(session_id): state.seq for session_id, state in self._states.copy().items()}
        changed, newest = log_store.sessions_changed(self._db, known, self._tail_id)
        for session_id in changed:
            try:
                with self._lock(SessionId(session_id)):
                    self._catch_up(SessionId(session_id))
            except SQLAlchemyError:
                raise  # looked at again
            except Exception:
                # A session that this version cannot read must not hold up the others.
                log.exception("rooms.session_unreadable session_id=%s", session_id)
        # A row with a lower id may still become visible on PostgreSQL: look a little further back each time.
        self._tail_id = newest if self._db.is_sqlite else max(self._first_id, newest - 200)

    def _notify(self) -> None:
        if self._db.is_sqlite:
            return
        try:
            log_store.notify(self._db)
        except SQLAlchemyError:
            log.warning("rooms.notify_failed")  # the others' poll finds the commit all the same

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                for _ in log_store.notifications(self._db, self._stopping.is_set):
                    self._wake.set()
            except Exception:
                log.warning("rooms.listen_failed")
                self._stopping.wait(2.0)


def _recorded(stored: log_store.StoredEvent) -> Recorded:
    return wire.recorded_from_parts(
        stored.session_id, stored.seq, stored.at, stored.actor, stored.command_id, stored.type, stored.data
    )


def _commit(
    envelope: Envelope, before: SessionState, after: SessionState, recorded: Sequence[Recorded], now: datetime
) -> Commit:
    changed = [r for key, r in after.recordings.items() if before.recordings.get(key) != r]
    return Commit(
        session_id=envelope.session_id,
        command_id=envelope.command_id,
        at=now,
        first_seq=before.seq + 1,
        events=[wire.event_to_json(r.event) for r in recorded],
        actor=wire.actor_to_json(envelope.actor),
        ended=any(isinstance(r.event, SessionEnded) for r in recorded),
        recordings=[_facts(after, recording) for recording in changed],
    )


def _facts(state: SessionState, recording: Recording) -> RecordingFacts:
    return RecordingFacts(
        id=recording.recording_id,
        session_id=state.session_id,
        course_id=state.course_id,
        room_id=recording.room_id,
        room_name=recording.room_name,
        is_breakout=recording.room_id != MAIN_ROOM,
        parent_id=recording.parent_id,
        started_by=recording.started_by,
        status=recording.status.value,
        desired=recording.desired,
        invoked_at=recording.invoked_at,
        started_at=recording.started_at,
        stopped_at=recording.stopped_at,
        duration_s=recording.recorded_s,
        error=recording.error,
        options=options_to_json(recording.options),
        layout=recording.layout,
        start_reason=recording.start_reason,
        stop_reason=recording.stop_reason,
        caller={
            "start": wire.actor_to_json(recording.caller),
            "stop": wire.actor_to_json(recording.stopper) if recording.stopper is not None else None,
        },
    )
