"""Webhooks from the event log to a real receiver: each event once, in order, signed, whatever fails on the way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from models.store import webhook_outbox as outbox
from models.store import webhooks as store
from models.store.database import Database
from models.store.migrate import upgrade
from models.store.webhook_outbox import Delivery
from models.values import MAIN_ROOM, SYSTEM, RecordingId, Role, SessionId
from rooms import commands as c
from rooms.errors import DomainError
from rooms.service import RoomsService
from server.settings import Settings
from server.webhooks_job import WebhooksJob
from tests.hookkit import Receiver, Reply, receiver
from tests.librarykit import World, make_world
from tests.people import ask
from tests.postgres import temporary_postgres
from webhooks.deliver import Deliverer, retry_in
from webhooks.events import EVENTS, FILM_UPDATE, STATUS_UPDATE
from webhooks.follow import Follower
from webhooks.send import post
from webhooks.setup import Setup
from webhooks.signing import Seal

pytestmark = pytest.mark.integration
SEAL_KEY = "5e" * 32
ROOT = Path(__file__).parents[2]
STATUSES = ("RECORDING", "PAUSED", "RECORDING", "UPLOADING", "UPLOADED")


def until(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@dataclass(slots=True)
class Site:
    world: World
    rooms: RoomsService
    hooks: Setup
    receiver: Receiver
    running: list[Deliverer] = field(default_factory=list)

    @property
    def db(self) -> Database:
        return self.world.db

    def webhook(self, path: str = "/", *events: str) -> tuple[str, str]:
        """A webhook of the world's course; returns (id, secret)."""
        wanted = events or tuple(EVENTS)
        hook, secret = self.hooks.create("Test", self.receiver.url + path, wanted, self.world.course)
        return hook.webhook_id, secret

    def follow(self) -> None:
        follower = Follower(self.db, lambda recording_id: {"file_size": 7, "name": recording_id})
        while follower.work():
            pass

    def deliver(self, **more: object) -> Deliverer:
        settings = {"private": True, "look_s": 0.05, "retry": lambda *_: 0.05, **more}
        made = Deliverer(self.db, self.hooks.seal, **settings)  # type: ignore[arg-type]
        made.start()
        made.wake()
        self.running.append(made)
        return made

    def deliveries(self, webhook_id: str, *statuses: str) -> list[Delivery]:
        """Oldest first."""
        return outbox.find_deliveries(self.db, webhook_id, statuses, 0, 1000)[0][::-1]

    def session(self, key: str = "") -> SessionId:
        return self.rooms.open_session(self.world.course, "Biology 101", "Lecture", key)

    def record(self, session_id: SessionId) -> str:
        """One recording through all its states."""
        recording_id = self.start(session_id)
        for status in STATUSES:
            self.report(session_id, recording_id, status)
        return recording_id

    def start(self, session_id: SessionId) -> str:
        command = c.StartRecording(MAIN_ROOM, allow_multiple=True)
        before = set(self.rooms.state(session_id).recordings)
        self.rooms.submit(ask(SYSTEM, command, session_id, uuid4().hex))
        return next(iter(set(self.rooms.state(session_id).recordings) - before))

    def report(self, session_id: SessionId, recording_id: str, status: str) -> None:
        command = c.ReportRecording(recording_id, status)  # type: ignore[arg-type]
        self.rooms.submit(ask(SYSTEM, command, session_id, uuid4().hex))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    world = make_world(tmp_path)
    rooms = RoomsService(world.db)
    with receiver() as listening:
        made = Site(world, rooms, Setup(world.db, Seal(SEAL_KEY), private=True), listening)
        yield made
        listening.release.set()
        for deliverer in made.running:
            deliverer.stop()
    rooms.close()
    world.db.close()


def test_every_change_of_a_recording_arrives_signed_and_in_order(site: Site) -> None:
    _, secret = site.webhook()
    session_id = site.session()
    alice = site.world.access("alice").actor
    site.rooms.submit(ask(alice, c.EnterSession("Alice", Role.MODERATOR), session_id))
    recording_id = site.record(session_id)
    film = c.ReportFilm(RecordingId(recording_id), "c1", "recording-speaker-c1.mp4")
    site.rooms.submit(ask(SYSTEM, film, session_id, uuid4().hex))
    assert alice.person_id is not None
    site.rooms.submit(ask(SYSTEM, c.LeaveSession(alice.person_id), session_id))
    site.rooms.submit(ask(SYSTEM, c.EndSession(), session_id))
    site.follow()
    site.deliver()
    until(lambda: len(site.receiver.got) == 11, "all messages arrive")
    told = [got.verified(secret) for got in site.receiver.got]
    mine = [data for data in told if data["event"] == STATUS_UPDATE]
    assert [data["recording"]["status"] for data in mine] == ["INVOKED", *STATUSES]
    assert [data["seq"] for data in mine] == sorted(data["seq"] for data in mine)
    assert {data["event"] for data in told} == set(EVENTS)
    done = mine[-1]["recording"]
    assert (done["id"], done["file_size"], done["name"]) == (recording_id, 7, recording_id)
    assert "file_size" not in mine[-2]["recording"]
    [other] = [data for data in told if data["event"] == FILM_UPDATE]
    assert other["film"] == {
        "id": "c1",
        "status": "DONE",
        "file_name": "recording-speaker-c1.mp4",
        "error": None,
    }
    assert other["recording"]["id"] == recording_id and other["recording"]["file_size"] == 7
    assert len({got.headers["webhook-id"] for got in site.receiver.got}) == 11
    assert {got.headers["Content-Type"] for got in site.receiver.got} == {"application/json"}


def test_followers_that_run_at_once_double_nothing(site: Site) -> None:
    webhook_id, _ = site.webhook("/", STATUS_UPDATE)
    sessions = [site.session(f"room-{n}") for n in range(6)]
    for session_id in sessions:
        site.record(session_id)
    threads = [threading.Thread(target=site.follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    bodies = [json.loads(d.body) for d in site.deliveries(webhook_id)]
    told = [(b["meeting"]["id"], b["seq"], b["recording"]["status"]) for b in bodies]
    assert len(told) == len(set(told)) == 6 * 6
    for session_id in sessions:
        assert [s for m, _, s in told if m == session_id] == ["INVOKED", *STATUSES]


FOLLOW = """
import sys
from models.store.database import Database
from webhooks.follow import Follower
follower = Follower(Database(sys.argv[1]), lambda recording_id: {})
print("ready", flush=True)
while True:
    follower.work()
"""


def test_a_follower_that_is_killed_again_and_again_loses_and_doubles_nothing(site: Site) -> None:
    webhook_id, _ = site.webhook("/", STATUS_UPDATE)
    session_id = site.session()
    stop = threading.Event()
    counted: list[str] = []

    def work() -> None:
        while not stop.is_set() and len(counted) < 25:
            counted.append(site.record(session_id))

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for _ in range(4):
            process = subprocess.Popen(
                [sys.executable, "-c", FOLLOW, site.db.url], cwd=ROOT, stdout=subprocess.PIPE
            )
            assert process.stdout is not None and process.stdout.readline()
            was = outbox.cursor(site.db)
            until(lambda was=was: outbox.cursor(site.db) != was or not writer.is_alive(), "it follows")  # type: ignore[misc]
            process.kill()
            process.wait(30)
            process.stdout.close()
    finally:
        stop.set()
        writer.join(60)
    site.follow()
    bodies = [json.loads(d.body) for d in site.deliveries(webhook_id)]
    told = [(b["recording"]["id"], b["recording"]["status"]) for b in bodies]
    assert told == [(key, status) for key in counted for status in ("INVOKED", *STATUSES)]


def test_what_comes_late_on_postgresql_is_not_lost(tmp_path: Path) -> None:
    with temporary_postgres(tmp_path) as url:
        upgrade(url)
        db = Database(url)
        hooks = Setup(db, Seal(SEAL_KEY), private=True)
        hook, _ = hooks.create("Test", "http://127.0.0.1:9/", ["meeting.started"], None)
        insert = text(
            "INSERT INTO event (session_id, seq, at, command_id, actor, type, data) VALUES (:s, 1, :at, :s, "
            """'{"kind": "system"}', 'session_opened', '{"course_id": "c", "course_title": "", "room_title": ""}')"""
        )
        with db.engine.connect() as slow, db.engine.connect() as quick:
            slow.execute(insert, {"s": "slow", "at": datetime.now(UTC)})
            quick.execute(insert, {"s": "quick", "at": datetime.now(UTC)})
            quick.commit()
            follower = Follower(db, lambda _id: {})
            assert follower.work() == 1 and len(outbox.cursor(db).gaps) == 1
            slow.commit()
        assert follower.work() == 1 and follower.work() == 0
        assert outbox.cursor(db).gaps == {}
        rows, _ = outbox.find_deliveries(db, hook.webhook_id, (), 0, 10)
        assert [json.loads(row.body)["meeting"]["id"] for row in rows[::-1]] == ["quick", "slow"]
        db.close()


def test_only_what_is_asked_for_of_ones_own_course_and_from_now_on(site: Site) -> None:
    site.session("before")
    mine, _ = site.webhook("/", "meeting.started")
    everything, _ = site.hooks.create("All", site.receiver.url, list(EVENTS), None)
    charlies, _ = site.hooks.create("Charlie's", site.receiver.url, list(EVENTS), site.world.other)
    off, _ = site.hooks.create("Off", site.receiver.url, list(EVENTS), None, enabled=False)
    site.record(site.session("after"))
    site.follow()
    assert [d.event for d in site.deliveries(mine)] == ["meeting.started"]
    assert len(site.deliveries(everything.webhook_id)) == 7
    assert site.deliveries(charlies.webhook_id) == site.deliveries(off.webhook_id) == []


@pytest.mark.parametrize("fault", [408, 429, 500, 503, "drop"])
def test_faults_are_tried_again_and_later_news_waits(site: Site, fault: int | str) -> None:
    webhook_id, secret = site.webhook("/", STATUS_UPDATE)
    failing = iter([True] * 3)
    reply = Reply(drop=True) if fault == "drop" else Reply(int(fault))
    site.receiver.answer = lambda _got: reply if next(failing, False) else Reply()
    site.record(site.session())
    site.follow()
    site.deliver()
    until(lambda: len(site.deliveries(webhook_id, "delivered")) == 6, "all are delivered")
    got = site.receiver.got
    assert [g.data["recording"]["status"] for g in got] == ["INVOKED"] * 4 + list(STATUSES)
    assert len({g.headers["webhook-id"] for g in got[:4]}) == 1
    assert all(g.verified(secret) for g in got)
    first = site.deliveries(webhook_id)[0]
    tries = outbox.attempts_of(site.db, first.delivery_id)
    assert first.attempts == len(tries) == 4 and tries[-1].response_status == 204
    assert tries[0].error if fault == "drop" else tries[0].response_status == fault


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404])
def test_refusals_are_not_tried_again_and_hold_up_nothing(site: Site, status: int) -> None:
    webhook_id, _ = site.webhook("/", STATUS_UPDATE)
    site.receiver.answer = lambda got: (
        Reply(status, {"Location": site.receiver.url + "/elsewhere"})
        if got.data["recording"]["status"] == "INVOKED"
        else Reply()
    )
    site.record(site.session())
    site.follow()
    site.deliver()
    until(lambda: len(site.deliveries(webhook_id, "delivered")) == 5, "the others are delivered")
    failed = site.deliveries(webhook_id, "failed")
    assert [(d.attempts, d.response_status) for d in failed] == [(1, status)]
    assert site.receiver.at("/elsewhere") == []


def test_retry_after_is_heeded(site: Site) -> None:
    webhook_id, _ = site.webhook("/", "meeting.started")
    site.receiver.answer = lambda _got: Reply(503, {"Retry-After": "600"})
    site.session()
    site.follow()
    site.deliver(retry=retry_in)
    until(lambda: site.deliveries(webhook_id)[0].attempts == 1, "one try is logged")
    wait = site.deliveries(webhook_id)[0].next_at - datetime.now(UTC)
    assert timedelta(seconds=500) < wait <= timedelta(seconds=600)


def test_gone_switches_a_webhook_off(site: Site) -> None:
    webhook_id, _ = site.webhook("/", STATUS_UPDATE)
    site.receiver.answer = lambda _got: Reply(410)
    site.record(site.session())
    site.follow()
    site.deliver()
    until(lambda: not site.hooks.get(webhook_id, None).enabled, "it is off")
    hook = site.hooks.get(webhook_id, None)
    assert "410" in hook.disabled_reason and len(site.receiver.got) == 1
    with pytest.raises(DomainError, match="webhook_off"):
        site.hooks.test(webhook_id, None)
    site.receiver.answer = lambda _got: Reply()
    site.hooks.change(webhook_id, None, enabled=True)
    until(lambda: len(site.deliveries(webhook_id, "delivered")) == 5, "what waited goes out")


def test_no_message_is_taken_before_a_thread_is_free_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for a thread would outlive its lease and be sent twice."""
    monkeypatch.setattr("webhooks.deliver.THREADS", 2)
    for _ in range(5):
        site.webhook("/slow", STATUS_UPDATE)
    site.receiver.answer = lambda _: Reply(slow_s=0.05)
    site.start(site.session())
    site.follow()
    deliverer = site.deliver(timeout_s=20.0)

    def leased() -> int:
        with site.db.read() as session:
            found = session.execute(
                text("SELECT count(*) FROM webhook_delivery WHERE lease_until IS NOT NULL")
            )
            return int(found.scalar_one())

    until(lambda: len(site.receiver.got) == 2, "two are being sent")
    deliverer.work()
    assert leased() == 2
    site.receiver.answer = lambda _: Reply()
    site.receiver.release.set()
    until(lambda: len({got.headers["webhook-id"] for got in site.receiver.got}) == 5, "the others follow")


def test_a_slow_receiver_holds_up_nobody(site: Site) -> None:
    slow, _ = site.webhook("/slow", STATUS_UPDATE)
    quick, _ = site.webhook("/quick", STATUS_UPDATE)
    site.receiver.answer = lambda got: Reply(slow_s=0.05) if got.path == "/slow" else Reply()
    for number in range(5):
        site.record(site.session(f"room-{number}"))
    site.follow()
    site.deliver(timeout_s=2.0)
    until(lambda: len(site.deliveries(quick, "delivered")) == 30, "the quick one has everything", 20)
    assert site.deliveries(slow, "delivered") == []
    until(lambda: any(d.attempts for d in site.deliveries(slow)), "the slow one runs out of time")
    first = next(d for d in site.deliveries(slow) if d.attempts)
    assert first.error == "No answer within 2 s." and first.status == "pending"


def test_a_day_is_the_limit(site: Site) -> None:
    webhook_id, _ = site.webhook("/", "meeting.started")
    site.receiver.answer = lambda _got: Reply(500)
    site.session()
    site.follow()
    site.deliver(retry=lambda *_: 25 * 3600.0)
    until(lambda: site.deliveries(webhook_id, "failed"), "it is given up")
    assert outbox.give_up(site.db, datetime.now(UTC) + timedelta(days=2)) == 0
    store.change_webhook(site.db, webhook_id, datetime.now(UTC), enabled=False)
    outbox.send_again(
        site.db, site.deliveries(webhook_id)[0].delivery_id, datetime.now(UTC), datetime.now(UTC)
    )
    assert outbox.give_up(site.db, datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert outbox.forget_before(site.db, datetime.now(UTC) - timedelta(days=30)) == 0
    assert outbox.forget_before(site.db, datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert site.deliveries(webhook_id) == []


def test_a_sender_that_was_killed_is_made_up_for(site: Site) -> None:
    webhook_id, _ = site.webhook("/", "meeting.started")
    site.session()
    site.follow()
    (waiting,) = site.deliveries(webhook_id)
    now = datetime.now(UTC)
    assert outbox.claim(site.db, waiting.delivery_id, now, now + timedelta(seconds=1.5))
    assert not outbox.claim(site.db, waiting.delivery_id, now, now + timedelta(seconds=60))
    site.deliver()
    until(lambda: site.deliveries(webhook_id, "delivered"), "its lease ran out and another sent it")
    assert len(site.receiver.got) == 1


def test_rotation_signs_with_both_secrets_for_a_while(site: Site) -> None:
    webhook_id, old = site.webhook("/", "meeting.started")
    _, new = site.hooks.rotate(webhook_id, None, 3600)
    site.deliver()
    site.hooks.test(webhook_id, None)
    until(lambda: len(site.receiver.got) == 1, "the test arrives")
    (got,) = site.receiver.got
    assert got.verified(old) == got.verified(new) and got.data["event"] == "webhook.test"
    site.hooks.rotate(webhook_id, None, 0)
    site.hooks.test(webhook_id, None)
    until(lambda: len(site.receiver.got) == 2, "the second test arrives")
    assert site.receiver.got[1].headers["webhook-signature"].count("v1,") == 1


def test_a_message_can_be_sent_again(site: Site) -> None:
    webhook_id, secret = site.webhook("/", "meeting.started")
    site.session()
    site.follow()
    site.deliver()
    until(lambda: site.deliveries(webhook_id, "delivered"), "it is delivered")
    (first,) = site.deliveries(webhook_id)
    site.hooks.redeliver(webhook_id, first.delivery_id, None)
    until(lambda: len(site.receiver.got) == 2, "it is sent again")
    assert {g.headers["webhook-id"] for g in site.receiver.got} == {first.message_id}
    assert all(g.verified(secret) for g in site.receiver.got)
    with pytest.raises(DomainError, match="delivery_unknown"):
        site.hooks.redeliver(webhook_id, 10**9, None)
    with pytest.raises(DomainError, match="webhook_unknown"):
        site.hooks.redeliver(webhook_id, first.delivery_id, site.world.other)


def test_private_addresses_are_not_called_unless_allowed(site: Site) -> None:
    answer = post(site.receiver.url.replace("http:", "https:"), b"{}", {}, private=False)
    assert answer.refused and answer.status is None
    # A name that leads inside is found out when it is looked up.
    answer = post("https://localhost.localdomain.:443/", b"{}", {}, private=False, timeout_s=5)
    assert answer.status is None and site.receiver.got == []
    webhook_id, _ = site.webhook("/", "meeting.started")
    site.session()
    site.follow()
    site.deliver(private=False)
    until(lambda: site.deliveries(webhook_id, "failed"), "it is refused")
    assert site.receiver.got == [] and "https" in site.deliveries(webhook_id)[0].error


def test_names_that_lead_inside_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: inside)
    answer = post("https://hooks.example.edu/", b"{}", {}, private=False)
    assert answer.refused and "private" in answer.error


def test_the_job_worker_delivers(site: Site) -> None:
    webhook_id, secret = site.webhook()
    job = WebhooksJob(site.db, site.rooms, site.hooks.seal, lambda _id: {}, private=True)
    job.start()
    try:
        site.record(site.session())
        until(lambda: len(site.deliveries(webhook_id, "delivered")) == 7, "all are delivered")
    finally:
        job.stop()
    assert [g.verified(secret)["seq"] for g in site.receiver.got if g.data["event"] == STATUS_UPDATE]


def test_the_job_worker_may_be_killed_at_any_moment(site: Site, tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "SIDEROOM_DATA_DIR": str(tmp_path / "data"),
        "SIDEROOM_DATABASE_URL": site.db.url,
        "SIDEROOM_SECRET": "s" * 40,
        "SIDEROOM_WEBHOOK_PRIVATE": "1",
    }
    seal = Seal(Settings(secret="s" * 40).key("webhooks"))
    hook, secret = Setup(site.db, seal, private=True).create("Test", site.receiver.url, [STATUS_UPDATE], None)
    # Slow enough that each worker dies with messages under way.
    site.receiver.answer = lambda _got: time.sleep(0.02) or Reply()  # type: ignore[func-returns-value]
    wanted = []
    for round_no in range(2):
        wanted += [site.record(site.session(f"room-{round_no}-{n}")) for n in range(3)]
        got = len(site.receiver.got)
        worker = subprocess.Popen([sys.executable, "-m", "server.jobs"], cwd=ROOT, env=environ)
        try:
            until(lambda got=got: len(site.receiver.got) > got + 4, "messages arrive", 60)  # type: ignore[misc]
        finally:
            worker.kill()
            worker.wait(30)
    with site.db.write() as session:  # the killed workers' leases would run out in a minute
        session.execute(text("UPDATE webhook_delivery SET lease_until = NULL"))
    follower = Follower(site.db, lambda _id: {})
    while follower.work():
        pass
    last = Deliverer(site.db, seal, private=True, look_s=0.05)
    last.start()
    site.running.append(last)
    until(lambda: len(site.deliveries(hook.webhook_id, "delivered")) == 6 * 6, "all are delivered")
    ids = [got.headers["webhook-id"] for got in site.receiver.got]
    first = [got.verified(secret) for n, got in enumerate(site.receiver.got) if ids[n] not in ids[:n]]
    told = [(data["recording"]["id"], data["recording"]["status"]) for data in first]
    for recording_id in wanted:
        assert [status for key, status in told if key == recording_id] == ["INVOKED", *STATUSES]


def test_tls_receivers_must_prove_who_they_are(site: Site) -> None:
    url = site.receiver.url.replace("http:", "https:")
    answer = post(url, b"{}", {}, private=True, timeout_s=10)
    assert (answer.status is None and "TLS" in answer.error) or "failed" in answer.error
    assert site.receiver.got == []


def test_a_new_site_secret_reads_the_secrets_and_seals_them_anew(site: Site) -> None:
    webhook_id, _ = site.webhook()
    _, secret = site.hooks.rotate(webhook_id, None, 3600)
    new = "cd" * 32
    moved = Setup(site.db, Seal(new, [SEAL_KEY]), private=True)
    assert (moved.reseal(), moved.reseal()) == (1, 0)
    hook = moved.get(webhook_id, None)
    assert Seal(new).open(hook.secret) == secret, "the old site secret may be forgotten"
    assert Seal(new).open(hook.old_secret)
    assert Setup(site.db, Seal("ef" * 32), private=True).reseal() == 0
