"""The rooms service on real databases: one order for everybody, nothing lost, nothing twice, also from several processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.store.database import Database
from models.store.migrate import metadata, upgrade
from models.values import MAIN_ROOM, SYSTEM, BreakoutStatus, Role, SessionId
from rooms import commands as c
from rooms.errors import DomainError
from rooms.events import Recorded
from rooms.evolve import evolve
from rooms.ports import Committed
from rooms.service import RoomsService
from rooms.state import SessionState
from server.alarms import Alarms
from tests.people import ALICE, BOB, CHARLIE, COURSE, ask
from tests.postgres import temporary_postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("db")
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
    else:
        with temporary_postgres(folder) as made:
            yield made


@pytest.fixture
def services(url: str) -> Iterator[Callable[[], RoomsService]]:
    upgrade(url)
    made: list[tuple[RoomsService, Database]] = []

    def new() -> RoomsService:
        db = Database(url)
        service = RoomsService(db)
        service.start()
        made.append((service, db))
        return service

    yield new
    for service, db in made:
        service.close()
        db.close()


def until(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def opened(service: RoomsService, key: str) -> SessionId:
    session_id = service.open_session(COURSE, "BIO 101", "Room", key)
    service.submit(ask(ALICE, c.EnterSession("Alice", Role.MODERATOR), session_id))
    service.submit(ask(BOB, c.EnterSession("Bob", Role.PARTICIPANT), session_id))
    return session_id


def test_migrations_give_the_tables_and_may_be_repeated(url: str) -> None:
    upgrade(url)
    upgrade(url)
    db = Database(url)
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    db.close()


def test_processes_that_upgrade_at_once_do_not_collide(url: str) -> None:
    code = "import sys; from models.store.migrate import upgrade; upgrade(sys.argv[1])"
    db = Database(url)
    metadata.drop_all(db.engine)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    db.close()
    root = Path(__file__).parents[2]
    started = [subprocess.Popen([sys.executable, "-c", code, url], cwd=root) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]


def test_a_late_report_of_a_forgotten_session_is_published_once(
    services: Callable[[], RoomsService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rooms.service.KEPT_ENDED", 1)
    first, second = services(), services()
    heard: list[Recorded] = []
    first.subscribe(lambda committed: heard.extend(committed.events))
    keys = [f"forgotten-{n}-{time.time_ns()}" for n in range(3)]
    sessions = []
    for key in keys:
        session_id = opened(first, key)
        first.submit(ask(ALICE, c.StartRecording(MAIN_ROOM), session_id))
        first.submit(ask(ALICE, c.EndSession(), session_id))
        sessions.append(session_id)
    recording_id = next(iter(first.state(sessions[0]).recordings))
    # Reading another's commit makes the first service forget its oldest ended sessions.
    first.state(second.open_session(COURSE, "BIO 101", "Room", f"other-{time.time_ns()}"))
    second.submit(ask(SYSTEM, c.ReportRecording(recording_id, "UPLOADING"), sessions[0]))
    last = second.state(sessions[0]).seq
    until(lambda: any(r.session_id == sessions[0] and r.seq == last for r in heard), "the report is heard")
    assert [r.seq for r in heard if r.session_id == sessions[0]] == list(range(1, last + 1))


def test_many_writers_in_two_services_make_one_order(services: Callable[[], RoomsService]) -> None:
    first, second = services(), services()
    heard: dict[str, list[Recorded]] = {"first": [], "second": []}

    def listen(name: str) -> Callable[[Committed], None]:
        return lambda committed: heard[name].extend(committed.events)

    first.subscribe(listen("first"))
    second.subscribe(listen("second"))
    session_id = opened(first, f"order-{time.time_ns()}")
    conflicts: list[str] = []

    def write(service: RoomsService, name: str) -> None:
        for number in range(15):
            try:
                service.submit(ask(BOB, c.SendChat(f"{name} {number}"), session_id))
            except DomainError as error:
                conflicts.append(error.code)

    writers = [
        threading.Thread(target=write, args=(service, f"{name}{n}"))
        for name, service in (("a", first), ("b", second))
        for n in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert conflicts == []
    log = first.events_after(session_id, 0)
    assert [r.seq for r in log] == list(range(1, len(log) + 1))
    assert len(log) == 3 + 8 * 15
    until(lambda: len(heard["first"]) == len(heard["second"]) == len(log), "both hear everything")
    assert [r.seq for r in heard["first"]] == [r.seq for r in heard["second"]] == [r.seq for r in log]
    state = SessionState(session_id)
    for recorded in log:
        state = evolve(state, recorded)
    assert state == first.state(session_id) == second.state(session_id)


def test_server_bot_and_job_worker_write_at_once_and_nothing_is_lost_or_doubled(
    services: Callable[[], RoomsService], url: str
) -> None:
    service = services()
    session_id = opened(service, f"processes-{time.time_ns()}")
    service.submit(ask(ALICE, c.CreateRooms(2, countdown_s=0, time_limit_s=None), session_id))
    service.submit(ask(ALICE, c.StartBreakout(), session_id))
    service.submit(ask(ALICE, c.StartRecording(MAIN_ROOM), session_id))
    (recording_id,) = service.state(session_id).recordings
    service.submit(ask(SYSTEM, c.ReportRecording(recording_id, "RECORDING"), session_id))
    with ExitStack() as stack:
        told = [stack.enter_context(_writer(url, session_id, name)) for name in ("server", "bot", "jobs")]
        assert [each.line() for each in told] == ["ready\n"] * 3
        for each in told:
            each.say("go")
        assert [each.line() for each in told] == ["done\n"] * 3
        log = service.events_after(session_id, 0)
        for each in told:
            each.say(str(len(log)))
        reports = [json.loads(each.line()) for each in told]
    assert [r.seq for r in log] == list(range(1, len(log) + 1))
    written: dict[str, list[int]] = {}
    for recorded in log:
        written.setdefault(recorded.command_id, []).append(recorded.seq)
    refused = set()
    for report in reports:
        assert report["heard"] == list(range(report["from"] + 1, len(log) + 1))
        for command_id, (answer, again) in report["answers"].items():
            if isinstance(answer, str):
                refused.add(answer)
            else:
                assert answer == again == written.get(command_id, [])
    # A report that says what is known already is refused on purpose; nobody is sent away for others' haste.
    assert refused <= {"stale_report"}
    state = SessionState(session_id)
    for recorded in log:
        state = evolve(state, recorded)
    assert state == service.state(session_id)


class _Told:
    """A child that is spoken to line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    def say(self, line: str) -> None:
        self._in.write(line + "\n")
        self._in.flush()

    def line(self) -> str:
        return self._out.readline()


@contextmanager
def _writer(url: str, session_id: SessionId, name: str) -> Iterator[_Told]:
    command = [sys.executable, "-m", "tests.integration.writer", url, session_id, name, "25"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _Told(process)
        except BaseException:
            process.kill()
            raise


def test_a_repeated_command_gets_the_first_answer_from_any_service(
    services: Callable[[], RoomsService],
) -> None:
    first, second = services(), services()
    session_id = opened(first, f"repeat-{time.time_ns()}")
    command_id = f"once-{time.time_ns()}"
    answer = first.submit(ask(BOB, c.SendChat("once"), session_id, command_id))
    again = second.submit(ask(BOB, c.SendChat("once"), session_id, command_id))
    assert again.repeated and again.events == answer.events
    assert len(first.events_after(session_id, 0)) == 4


def test_a_refusal_changes_nothing(services: Callable[[], RoomsService]) -> None:
    service = services()
    session_id = opened(service, f"refuse-{time.time_ns()}")
    before = service.state(session_id)
    for actor, code in ((BOB, "not_moderator"), (CHARLIE, "other_course")):
        with pytest.raises(DomainError) as refused:
            service.submit(ask(actor, c.CreateRooms(2), session_id))
        assert refused.value.code == code
    assert service.state(session_id) == before
    with pytest.raises(DomainError, match="no_session"):
        service.state(SessionId("nowhere"))


def test_two_who_open_at_once_meet_in_one_session(services: Callable[[], RoomsService]) -> None:
    first, second = services(), services()
    key = f"meet-{time.time_ns()}"
    found: list[SessionId] = []
    both = [
        threading.Thread(target=lambda s=s: found.append(s.open_session(COURSE, "BIO 101", "Room", key)))  # type: ignore[misc]
        for s in (first, second, first, second)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    first.submit(ask(ALICE, c.EnterSession("Alice", Role.MODERATOR), found[0]))
    first.submit(ask(ALICE, c.EndSession(), found[0]))
    assert first.open_session(COURSE, "BIO 101", "Room", key) != found[0]


def test_alarms_complete_countdowns_ring_once_and_after_a_restart(
    services: Callable[[], RoomsService],
) -> None:
    first, second = services(), services()
    session_id = opened(first, f"alarm-{time.time_ns()}")
    # Two servers ring for the same countdown: one effect.
    alarms = [Alarms(first), Alarms(second)]
    for each in alarms:
        each.start()
    try:
        first.submit(ask(ALICE, c.CreateRooms(1, countdown_s=1, time_limit_s=30), session_id))
        first.submit(ask(ALICE, c.StartBreakout(), session_id))
        until(
            lambda: first.state(session_id).breakout.status is BreakoutStatus.RUNNING, "the breakout starts"
        )
        kinds = [type(r.event).__name__ for r in first.events_after(session_id, 0)]
        assert kinds.count("BreakoutStarted") == 1
    finally:
        for each in alarms:
            each.stop()
    # Nobody rings while the servers are down; the next start catches up.
    first.submit(ask(ALICE, c.EndBreakout(), session_id))
    ends = next(iter(first.state(session_id).transitions.values())).effective_at
    until(lambda: datetime.now(UTC) > ends, "the countdown is over")
    assert first.state(session_id).breakout.status is BreakoutStatus.CLOSING
    late = Alarms(services())
    late.start()
    try:
        until(
            lambda: first.state(session_id).breakout.status is BreakoutStatus.CONFIGURED,
            "the overdue alarm rings",
        )
    finally:
        late.stop()
    assert {p.room_id for p in first.state(session_id).people.values()} == {MAIN_ROOM}


def test_alarms_may_be_stopped_while_one_rings(
    services: Callable[[], RoomsService], monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = services()
    session_id = opened(rooms, f"alarm-{time.time_ns()}")
    alarms = Alarms(rooms)
    alarms.start()
    scheduler, stopping = alarms._scheduler, threading.Event()
    ran = scheduler.remove_job

    def slow(*arguments: Any) -> None:
        """Its own thread has just rung, and finds all jobs forgotten when it goes on."""
        if threading.current_thread() is scheduler._thread:
            stopping.set()
            until(lambda: not scheduler.running, "the scheduler is told to stop")
        ran(*arguments)

    monkeypatch.setattr(scheduler, "remove_job", slow)
    rooms.submit(ask(ALICE, c.CreateRooms(1, countdown_s=1, time_limit_s=30), session_id))
    rooms.submit(ask(ALICE, c.StartBreakout(), session_id))
    assert stopping.wait(30), "the alarm rings"
    thread = scheduler._thread
    alarms.stop()
    thread.join(30)
    assert not thread.is_alive()


class _Unhurried:
    """A rooms service that has a command done only when the alarms are told to stop, and tells them of it then."""

    def __init__(self, rooms: RoomsService) -> None:
        self._rooms = rooms
        self.alarms = Alarms(self)  # type: ignore[arg-type]
        self.asked = threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._rooms, name)

    def submit(self, envelope: c.Envelope) -> object:
        self.asked.set()
        until(lambda: not self.alarms._scheduler.running, "the scheduler is told to stop")
        accepted = self._rooms.submit(envelope)
        self.alarms.set(accepted.state)
        return accepted


def test_an_alarm_that_rings_at_the_end_may_set_the_next_one(services: Callable[[], RoomsService]) -> None:
    rooms = services()
    session_id = opened(rooms, f"alarm-{time.time_ns()}")
    slow = _Unhurried(rooms)
    slow.alarms.start()
    rooms.submit(ask(ALICE, c.CreateRooms(1, countdown_s=1, time_limit_s=30), session_id))
    rooms.submit(ask(ALICE, c.StartBreakout(), session_id))
    assert slow.asked.wait(30), "the alarm rings"
    ended = threading.Thread(target=slow.alarms.stop, daemon=True)
    ended.start()
    ended.join(60)
    assert not ended.is_alive(), "the alarms do not wait for each other"
    assert rooms.state(session_id).breakout.status is BreakoutStatus.RUNNING


class _Unlucky:
    """A rooms service whose first submits fail, as with a locked database or too many writers."""

    def __init__(self, rooms: RoomsService, failures: list[Exception]) -> None:
        self._rooms = rooms
        self.failures = failures

    def __getattr__(self, name: str) -> object:
        return getattr(self._rooms, name)

    def submit(self, envelope: c.Envelope) -> object:
        if self.failures:
            raise self.failures.pop()
        return self._rooms.submit(envelope)


def test_an_alarm_that_could_not_be_delivered_rings_again(services: Callable[[], RoomsService]) -> None:
    service = services()
    session_id = opened(service, f"unlucky-{time.time_ns()}")
    unlucky = _Unlucky(service, [OSError("database is locked"), DomainError("conflict")])
    alarms = Alarms(unlucky)  # type: ignore[arg-type]
    alarms.start()
    try:
        service.submit(ask(ALICE, c.CreateRooms(1, countdown_s=1, time_limit_s=None), session_id))
        service.submit(ask(ALICE, c.StartBreakout(), session_id))
        until(
            lambda: service.state(session_id).breakout.status is BreakoutStatus.RUNNING, "the breakout starts"
        )
        assert unlucky.failures == []
    finally:
        alarms.stop()


class _SetBack:
    """A clock that is an hour ahead until it is put right."""

    def __init__(self) -> None:
        self.ahead = timedelta(hours=1)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def test_a_countdown_begun_before_the_clock_was_set_back_still_ends(url: str) -> None:
    upgrade(url)
    db, clock = Database(url), _SetBack()
    service = RoomsService(db, clock)
    session_id = opened(service, f"clock-{time.time_ns()}")
    alarms = Alarms(service)
    try:
        service.submit(ask(ALICE, c.CreateRooms(1, countdown_s=1, time_limit_s=None), session_id))
        service.submit(ask(ALICE, c.StartBreakout(), session_id))
        clock.ahead = timedelta(0)
        alarms.start()
        until(lambda: service.state(session_id).breakout.status is BreakoutStatus.RUNNING, "it starts")
        clock.ahead = timedelta(seconds=1.5)
        service.submit(ask(ALICE, c.EndBreakout(), session_id))
        clock.ahead = timedelta(0)
        alarms.clock_was_set()
        until(lambda: service.state(session_id).breakout.status is BreakoutStatus.CONFIGURED, "it ends")
    finally:
        alarms.stop()
        db.close()


def test_an_alarm_that_rang_meanwhile_or_is_hours_late_holds_up_no_other(
    services: Callable[[], RoomsService],
) -> None:
    service = services()
    session_id = opened(service, f"gone-{time.time_ns()}")
    alarms = Alarms(service)
    alarms.start()
    try:
        service.submit(ask(ALICE, c.CreateRooms(1, countdown_s=1, time_limit_s=600), session_id))
        service.submit(ask(ALICE, c.StartBreakout(), session_id))
        until(lambda: service.state(session_id).breakout.status is BreakoutStatus.RUNNING, "it starts")
        # The time limit's alarm leaves the scheduler in the moment in which somebody ends the breakout.
        for job in alarms._scheduler.get_jobs():
            job.remove()
        service.submit(ask(ALICE, c.EndBreakout(), session_id))
        until(lambda: service.state(session_id).breakout.status is BreakoutStatus.CONFIGURED, "it ends")
        late = datetime.now(UTC) - timedelta(hours=5)
        for person in list(service.state(session_id).people):
            service.submit(ask(SYSTEM, c.LeaveSession(person), session_id))
        alarms._add("slept", late, session_id, c.EndSession(), f"slept-{session_id}")
        until(lambda: not service.state(session_id).is_open, "it rings however late")
    finally:
        alarms.stop()


def test_a_session_that_cannot_be_read_does_not_stop_the_alarms_of_others(
    services: Callable[[], RoomsService], url: str
) -> None:
    service = services()
    broken = opened(service, f"broken-{time.time_ns()}")
    session_id = opened(service, f"whole-{time.time_ns()}")
    service.submit(ask(ALICE, c.CreateRooms(1, countdown_s=1, time_limit_s=None), session_id))
    service.submit(ask(ALICE, c.StartBreakout(), session_id))
    db = Database(url)
    with db.write() as session:
        session.connection().execute(
            text("UPDATE event SET type = 'from_the_future' WHERE session_id = :id AND seq = 1"),
            {"id": broken},
        )
    fresh = services()
    alarms = Alarms(fresh)
    alarms.start()
    heard: list[str] = []
    fresh.subscribe(lambda committed: heard.extend(r.session_id for r in committed.events))
    try:
        until(lambda: fresh.state(session_id).breakout.status is BreakoutStatus.RUNNING, "it starts")
        # Neither is the log followed less: what others commit is heard.
        service.submit(ask(BOB, c.SendChat("in the broken one"), broken))
        service.submit(ask(BOB, c.SendChat("in the other"), session_id))
        heard.clear()
        service.submit(ask(BOB, c.SetHand(True), session_id))
        until(lambda: session_id in heard, "commits of others are heard")
    finally:
        alarms.stop()
        with db.write() as session:
            session.connection().execute(
                text("UPDATE event SET type = 'session_opened' WHERE session_id = :id AND seq = 1"),
                {"id": broken},
            )
        db.close()


def test_errors_of_the_database_tell_no_values(url: str) -> None:
    upgrade(url)
    db = Database(url)
    secret = f"what Bob said {time.time_ns()}"
    with pytest.raises(DBAPIError) as error, db.write() as session:
        session.connection().execute(text("INSERT INTO nowhere VALUES (:said)"), {"said": secret})
    assert secret not in str(error.value)
    db.close()


def test_an_empty_session_ends_by_itself(services: Callable[[], RoomsService]) -> None:
    service = services()
    session_id = opened(service, f"empty-{time.time_ns()}")
    alarms = Alarms(service, empty_session_s=1)
    alarms.start()
    try:
        for person in list(service.state(session_id).people):
            service.submit(ask(SYSTEM, c.LeaveSession(person), session_id))
        until(lambda: not service.state(session_id).is_open, "the empty session ends")
    finally:
        alarms.stop()


def test_a_recording_of_an_empty_room_stops_by_itself(services: Callable[[], RoomsService]) -> None:
    service = services()
    session_id = opened(service, f"left-{time.time_ns()}")
    alarms = Alarms(service)
    alarms.start()
    try:
        service.submit(ask(ALICE, c.StartRecording(MAIN_ROOM, options={"empty_stop_s": 1}), session_id))
        for person in list(service.state(session_id).people):
            service.submit(ask(SYSTEM, c.LeaveSession(person), session_id))
        (recording,) = service.state(session_id).recordings
        until(
            lambda: service.state(session_id).recordings[recording].desired == "stopped",
            "the recording stops",
        )
        assert service.state(session_id).recordings[recording].stop_reason == "empty"
        assert service.state(session_id).is_open
    finally:
        alarms.stop()
