"""From the library to storages and back: planned, copied, tried again, confirmed, expired; credentials stay hidden."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from library import copies, intake
from library.media import Library
from library.retention import expire
from library.storage import Storages, create, public
from library.storage_vault import Vault
from library.values import CompositionFacts
from models.store import library as entries
from models.store import storage as storage_store
from models.store import transfers as store
from models.store.media_files import MediaFile, save_files
from models.store.recordings_jobs import recording_info
from models.values import MAIN_ROOM, EntryId, Role
from rooms import commands as c
from rooms.errors import DomainError
from rooms.events import RecordingInvoked
from rooms.service import RoomsService
from server.transfers import TransferSettings, TransferWorker
from tests import storagekit as kit
from tests.librarykit import World, composed, make_world
from tests.people import ALICE, ask
from tests.storagekit import DENIED, Fault, Proxy, uploads_part

pytestmark = pytest.mark.integration
KEY = "ab" * 32
FILM = random.Random(3).randbytes(18 * 1024 * 1024)  # three parts
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with kit.moto_s3() as address:
        yield address


@dataclass(slots=True)
class Place:
    """A library with a store behind a proxy; ``working`` runs the worker meanwhile."""

    world: World
    folder: Path
    address: str
    proxy: Proxy
    settings: TransferSettings

    @property
    def storages(self) -> Storages:
        return Storages(self.world.db, Vault(KEY), allow_private=True)

    def s3(self, scope: str = "site", **more: Any) -> str:
        return self.storages.create(scope, kit.s3_config(self.proxy.url, path=self.folder.name), **more)

    def share(self, name: str = "share", **more: Any) -> str:
        (self.folder / name).mkdir()
        return self.storages.create("site", {"type": "local", "path": str(self.folder / name)}, **more)

    def entry(self, data: bytes = b"a short film", number: int = 1) -> EntryId:
        result = self.folder / f"result{number}"
        result.mkdir()
        (result / "video.mp4").write_bytes(data)
        (result / "thumbnail.jpg").write_bytes(b"picture")
        digest = hashlib.sha256(data).hexdigest()
        facts = CompositionFacts("video.mp4", 1.0, 160, 90, len(data), digest, thumbnail="thumbnail.jpg")
        recording = self.world.recording(number)
        return intake.take(self.world.db, self.world.root, recording, result, facts)

    @contextmanager
    def working(self) -> Iterator[TransferWorker]:
        worker = TransferWorker(self.settings, self.world.db)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()

    def states(self, entry_id: str) -> dict[str, dict[str, Any]]:
        found = copies.states(self.world.db, [entry_id]).get(entry_id, [])
        return {each["storage_id"]: each for each in found}

    def here(self, entry_id: str) -> list[str]:
        return sorted(path.name for path in (self.world.root / entry_id).glob("*"))

    def there(self) -> dict[str, bytes]:
        """Name → content at the store, without the folder of this test."""
        client = kit.s3_client(self.address)
        listed = client.list_objects_v2(Bucket=kit.BUCKET, Prefix=f"{self.folder.name}/").get("Contents", [])
        return {
            each["Key"].rsplit("/", 1)[-1]: client.get_object(Bucket=kit.BUCKET, Key=each["Key"])[
                "Body"
            ].read()
            for each in listed
            if ".sideroom-check" not in each["Key"]
        }

    def names_there(self) -> set[str]:
        client = kit.s3_client(self.address)
        listed = client.list_objects_v2(Bucket=kit.BUCKET, Prefix=f"{self.folder.name}/").get("Contents", [])
        names = {each["Key"].rsplit("/", 1)[-1] for each in listed}
        return {name for name in names if not name.startswith(".sideroom-check")}

    def row(self, entry_id: str) -> dict[str, Any]:
        row = entries.get_entry(self.world.db, entry_id)
        assert row is not None
        return row


@pytest.fixture
def place(moto: str, tmp_path: Path) -> Iterator[Place]:
    world = make_world(tmp_path)
    with kit.proxy_to(moto) as proxy:
        settings = TransferSettings(
            library_dir=world.root,
            key=KEY,
            allow_private=True,
            retention=WEEK,
            first_pause=timedelta(milliseconds=50),
            look_s=0.05,
            timeout_s=10.0,
        )
        yield Place(world, tmp_path, moto, proxy, settings)
    world.db.close()


def until(done: Callable[[], Any], what: str, deadline_s: float = 60.0) -> None:
    ends = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < ends, f"did not happen: {what}"
        time.sleep(0.05)


def all_done(place: Place, entry_id: str) -> Callable[[], bool]:
    return lambda: all(each["status"] == "done" for each in place.states(entry_id).values())


def test_every_file_goes_to_every_target_and_then_the_clock_starts(place: Place) -> None:
    share, s3 = place.share(), place.s3()
    entry_id = place.entry(FILM)
    save_files(
        place.world.db,
        entry_id,
        [MediaFile("audio.webm", "track_audio", "audio/webm", 5, hashlib.sha256(b"sound").hexdigest())],
    )
    (place.world.root / entry_id / "audio.webm").write_bytes(b"sound")
    assert place.row(entry_id)["expires_at"] is None
    assert {each["status"] for each in place.states(entry_id).values()} == {"waiting"}
    began = datetime.now(UTC)
    with place.working():
        until(lambda: place.row(entry_id)["expires_at"], "copies confirmed")
    states = place.states(entry_id)
    assert set(states) == {share, s3}
    assert all(
        (each["status"], each["percent"], each["error"]) == ("done", 100, None) for each in states.values()
    )
    assert place.there() == {"video.mp4": FILM, "thumbnail.jpg": b"picture", "audio.webm": b"sound"}
    copied = {path.name: path.read_bytes() for path in (place.folder / "share").rglob("*") if path.is_file()}
    assert copied == place.there()
    assert began + WEEK <= place.row(entry_id)["expires_at"] <= datetime.now(UTC) + WEEK
    assert place.here(entry_id) == ["audio.webm", "thumbnail.jpg", "video.mp4"]


def test_a_file_that_comes_later_is_copied_too(place: Place) -> None:
    place.share()
    entry_id = place.entry()
    with place.working():
        until(all_done(place, entry_id), "first copy")
        (place.world.root / entry_id / "chapters.vtt").write_bytes(b"WEBVTT")
        save_files(place.world.db, entry_id, [MediaFile("chapters.vtt", "chapters", "text/vtt")])
        until(lambda: list((place.folder / "share").rglob("chapters.vtt")), "second copy")
        until(all_done(place, entry_id), "all confirmed")


def test_the_file_here_goes_only_when_all_copies_are_confirmed(place: Place) -> None:
    place.share(keep_local=False)
    s3 = place.s3()
    place.proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    entry_id = place.entry()
    with place.working():
        until(lambda: place.states(entry_id)[s3]["status"] == "failed", "refusal shown")
        state = place.states(entry_id)[s3]
        assert "permission" in state["error"] and "AccessDenied" in state["error"]
        assert state["next_try_time"] is not None
        until(lambda: "done" in {each["status"] for each in place.states(entry_id).values()}, "other target")
        assert place.here(entry_id) == ["thumbnail.jpg", "video.mp4"]
        assert place.row(entry_id)["status"] == "ready" and place.row(entry_id)["expires_at"] is None
        place.proxy.faults.clear()
        until(lambda: place.here(entry_id) == ["thumbnail.jpg"], "removed here")
    (copy, *_) = copies.readable(place.world.db, place.storages, entry_id, "video.mp4")
    assert b"".join(copy.read(2, 5)) == b"a short film"[2:7]


def test_a_stopped_worker_goes_on_with_the_missing_part(place: Place) -> None:
    place.s3()
    hold = Fault(lambda m, p: uploads_part(m, p) and place.proxy.count("PUT", "partNumber") >= 1, delay_s=2)
    place.proxy.faults = [hold]
    entry_id = place.entry(FILM)
    with place.working():
        until(lambda: hold.times == 0, "second part under way")
        (state,) = place.states(entry_id).values()
        assert state["status"] == "copying" and 40 <= state["percent"] < 50
    assert place.names_there() <= {"thumbnail.jpg"}
    with place.working():
        until(all_done(place, entry_id), "confirmed")
    assert place.there()["video.mp4"] == FILM
    assert place.proxy.count("PUT", "partNumber") == 3


def test_two_workers_copy_once(place: Place) -> None:
    place.s3()
    ids = [place.entry(f"film {number}".encode(), number) for number in range(4)]
    with place.working(), place.working():
        until(lambda: all(all_done(place, each)() for each in ids), "all confirmed")
    for entry_id in ids:
        assert place.proxy.count("PUT", f"{entry_id}/video.mp4") == 1


def test_a_slow_store_holds_up_nobody_else(place: Place) -> None:
    place.proxy.faults = [Fault(lambda m, p: m == "PUT" and "video.mp4" in p, delay_s=60, times=-1)]
    s3, share = place.s3(), place.share()
    ids = [place.entry(f"film {number}".encode(), number) for number in range(5)]
    with place.working():
        until(lambda: all(place.states(each)[share]["status"] == "done" for each in ids), "the quick one")
        assert "done" not in {place.states(each)[s3]["status"] for each in ids}


def test_a_clock_put_back_does_not_postpone_the_next_try(place: Place) -> None:
    s3 = place.s3()
    entry_id = place.entry()
    (transfer,) = store.of_entry(place.world.db, entry_id)
    work = store.Work(transfer.transfer_id, s3, deleting=False)
    ahead = datetime.now(UTC) + timedelta(days=300)
    assert store.lease(place.world.db, work, "earlier", ahead, timedelta(seconds=20))
    store.failed(place.world.db, transfer.transfer_id, "earlier", "away", ahead, ahead, 1)
    with place.working():
        until(all_done(place, entry_id), "confirmed")


def test_a_lasting_failure_is_given_up_after_days_and_can_be_tried_again(place: Place) -> None:
    place.settings = replace(place.settings, give_up=timedelta())
    s3 = place.s3()
    place.proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    entry_id = place.entry()
    with place.working():
        until(lambda: "Given up" in (place.states(entry_id)[s3]["error"] or ""), "given up")
        assert place.states(entry_id)[s3]["next_try_time"] is None
        assert place.here(entry_id) == ["thumbnail.jpg", "video.mp4"]
        place.proxy.faults.clear()
        assert store.reopen(place.world.db, place.states(entry_id)[s3]["id"])
        until(all_done(place, entry_id), "confirmed")


def test_a_film_missing_here_is_told(place: Place) -> None:
    share = place.share()
    entry_id = place.entry()
    (place.world.root / entry_id / "video.mp4").unlink()
    with place.working():
        until(lambda: place.states(entry_id)[share]["status"] == "failed", "told")
    assert "backup" in place.states(entry_id)[share]["error"]


# -- which storages ----------------------------------------------------------------------------------------------


def test_site_course_and_call_add_up_and_other_courses_are_left_out(place: Place) -> None:
    world = place.world
    site, course = place.share("a"), place.s3(f"course:{world.course}")
    place.s3(f"course:{world.other}")
    call, foreign = place.s3(f"call:{world.course}"), place.s3(f"call:{world.other}")
    idle = place.s3(f"call:{world.course}")
    rooms = RoomsService(world.db)
    session_id = rooms.open_session(world.course, "Biology 101", "Room", "room")
    alice = replace(ALICE, person_id=world.ids["alice"], course_id=world.course)
    rooms.submit(ask(alice, c.EnterSession("Alice", Role.MODERATOR), session_id))

    def copied_to(number: int, options: dict[str, Any]) -> set[str]:
        command = c.StartRecording(MAIN_ROOM, False, options, allow_multiple=True)
        (invoked,) = (
            recorded.event
            for recorded in rooms.submit(ask(alice, command, session_id)).events
            if isinstance(recorded.event, RecordingInvoked)
        )
        info = recording_info(world.db, invoked.recording_id)
        assert info is not None
        result = place.folder / f"result{number}"
        entry_id = intake.take(world.db, world.root, info, result, composed(result))
        return set(place.states(entry_id))

    assert copied_to(1, {}) == {site, course}
    assert copied_to(2, {"storages": [call, foreign, "gone"]}) == {site, course, call}
    assert copied_to(3, {"storages": [call], "storage_override": True}) == {call}
    rooms.close()
    later = datetime.now(UTC) + timedelta(days=40)
    assert set(storage_store.idle_call_storages(world.db, later)) == {foreign, idle}


def test_the_inline_form_is_saved_for_its_course(place: Place) -> None:
    scope = f"call:{place.world.course}"
    storage_id = create(place.world.db, KEY, scope, kit.s3_config(place.proxy.url), allow_private=True)
    found = place.storages.get(storage_id)
    assert (found.scope, found.course_id, found.problem) == ("call", place.world.course, None)
    assert place.storages.listed() == []
    with pytest.raises(DomainError, match="private"):
        create(place.world.db, KEY, scope, kit.s3_config("https://127.0.0.1:9"))
    with pytest.raises(DomainError) as refused:
        create(place.world.db, KEY, scope, {"type": "local", "path": "/etc"}, allow_private=True)
    assert refused.value.facts["field"] == "storage_config.type"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1),
            "writing a test file: The storage refused",
        ),
        (Fault(lambda method, _: method == "GET", 403, DENIED, times=-1), "reading the test file"),
        (Fault(lambda method, _: method == "DELETE", 403, DENIED, times=-1), "deleting the test file"),
    ],
)
def test_what_does_not_work_is_not_saved(place: Place, fault: Fault, says: str) -> None:
    place.proxy.faults = [replace(fault)]
    with pytest.raises(DomainError) as refused:
        place.s3()
    assert refused.value.code == "storage_unusable" and says in refused.value.message
    assert place.storages.listed() == []


def test_a_store_that_breaks_later_is_shown(place: Place) -> None:
    s3 = place.s3()
    assert place.storages.check(s3) is None
    place.proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    with place.working():  # it is tried out when the worker starts
        until(lambda: place.storages.get(s3).problem, "problem shown")
    assert "permission" in str(place.storages.get(s3).problem)


def test_storages_are_tried_out_when_a_recording_starts(place: Place) -> None:
    s3, db = place.s3(), place.world.db
    rooms = RoomsService(db)
    session_id = rooms.open_session(place.world.course, "Biology 101", "Room", "room")
    rooms.start()
    worker = TransferWorker(place.settings, db, rooms)
    worker.start()
    try:
        old = datetime.now(UTC) - timedelta(hours=2)
        first = place.storages.get(s3).checked_at
        until(lambda: place.storages.get(s3).checked_at != first, "tried at the start")
        storage_store.checked(db, s3, old, None)
        place.proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
        alice = replace(ALICE, person_id=place.world.ids["alice"], course_id=place.world.course)
        for command in (c.EnterSession("Alice", Role.MODERATOR), c.StartRecording(MAIN_ROOM)):
            rooms.submit(ask(alice, command, session_id))
        until(lambda: place.storages.get(s3).problem, "problem shown")
    finally:
        worker.stop()
        rooms.close()


def test_a_removed_storage_is_used_no_more(place: Place) -> None:
    share, s3 = place.share(), place.s3()
    entry_id = place.entry()
    place.storages.remove(s3)
    with pytest.raises(DomainError, match="storage doesn’t exist"):
        place.storages.remove(s3)
    with place.working():
        until(lambda: place.row(entry_id)["expires_at"], "the other is enough")
    assert place.states(entry_id)[share]["status"] == "done"
    assert "removed" in place.states(entry_id)[s3]["error"]
    removed = storage_store.get(place.world.db, s3)
    assert removed is not None and removed.sealed == ""


# -- the end of an entry -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delete_copies", [True, False])
def test_an_expired_entry_takes_its_copies_along_if_so_set(place: Place, delete_copies: bool) -> None:
    s3 = place.s3(delete_copies=delete_copies)
    entry_id = place.entry()
    with place.working():
        until(lambda: place.row(entry_id)["expires_at"], "confirmed")
        assert (
            expire(place.world.db, place.world.root, datetime.now(UTC) + timedelta(days=8), place.storages)
            == 1
        )
        assert place.row(entry_id)["status"] == "expired" and place.here(entry_id) == []
        if delete_copies:
            until(lambda: store.of_entry(place.world.db, entry_id)[0].status == "deleted", "noted")
    assert place.names_there() == (set() if delete_copies else {"thumbnail.jpg", "video.mp4"})
    assert (
        list(copies.readable(place.world.db, place.storages, entry_id, "video.mp4")) == []
        or not delete_copies
    )
    assert place.storages.get(s3).delete_copies is delete_copies


def in_a_week(place: Place) -> int:
    later = datetime.now(UTC) + timedelta(days=8)
    return expire(place.world.db, place.world.root, later, place.storages)


def test_without_a_storage_nothing_expires_by_the_clock_of_copies(place: Place) -> None:
    alone = place.entry()  # made before there was a storage
    with place.working():
        place.share()
        copied = place.entry(b"another film", 2)
        until(lambda: place.row(copied)["expires_at"], "confirmed")
    assert place.row(alone)["expires_at"] is None
    assert in_a_week(place) == 1
    assert (place.row(alone)["status"], place.row(copied)["status"]) == ("ready", "expired")


def test_a_copy_that_was_lost_is_made_again_before_the_file_here_goes(place: Place) -> None:
    place.s3()
    entry_id = place.entry(FILM)
    with place.working():
        until(lambda: place.row(entry_id)["expires_at"], "confirmed")
        client = kit.s3_client(place.address)
        transfer = store.of_entry(place.world.db, entry_id)[0]
        client.delete_object(Bucket=kit.BUCKET, Key=f"{transfer.folder}/video.mp4")
        assert in_a_week(place) == 0
        assert "video.mp4" in place.here(entry_id)
        until(lambda: "video.mp4" in place.names_there(), "copied again")
        until(lambda: place.row(entry_id)["expires_at"], "and the clock starts again")
    assert place.there()["video.mp4"] == FILM
    assert in_a_week(place) == 1 and place.here(entry_id) == []


def test_a_store_that_is_away_when_the_time_is_over_delays_the_end(place: Place) -> None:
    place.s3()
    entry_id = place.entry()
    with place.working():
        until(lambda: place.row(entry_id)["expires_at"], "confirmed")
    place.proxy.faults = [Fault(lambda *_: True, 503, times=-1)]
    assert in_a_week(place) == 0
    assert place.row(entry_id)["status"] == "ready" and "video.mp4" in place.here(entry_id)
    place.proxy.faults = []
    later = datetime.now(UTC) + timedelta(days=10)
    assert expire(place.world.db, place.world.root, later, place.storages) == 1


def test_a_removed_storage_is_no_reason_to_delete_the_file_here(place: Place) -> None:
    share, s3 = place.share(), place.s3()
    entry_id = place.entry()
    with place.working():
        until(lambda: place.row(entry_id)["expires_at"], "confirmed")
        place.storages.remove(share)
        place.storages.remove(s3)
        assert in_a_week(place) == 0
    assert place.row(entry_id)["expires_at"] is None and "video.mp4" in place.here(entry_id)


def test_deleting_an_entry_gives_up_its_unfinished_copy(place: Place) -> None:
    place.s3()
    hold = Fault(lambda m, p: uploads_part(m, p) and place.proxy.count("PUT", "partNumber") >= 1, delay_s=2)
    place.proxy.faults = [hold]
    entry_id = place.entry(FILM)
    library = Library(place.world.db, place.world.root)
    with place.working():
        until(lambda: hold.times == 0, "second part under way")
        library.delete(place.world.access("olga"), entry_id)
        until(lambda: store.of_entry(place.world.db, entry_id)[0].status == "deleted", "given up")
    assert place.there() == {}
    uploads = kit.s3_client(place.address).list_multipart_uploads(Bucket=kit.BUCKET)
    assert [each for each in uploads.get("Uploads", []) if entry_id in each["Key"]] == []


# -- credentials -------------------------------------------------------------------------------------------------


def test_credentials_are_in_no_row_answer_or_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sideroom")
    s3 = place.s3()
    entry_id = place.entry()
    place.proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=3)]
    with place.working():
        until(lambda: place.row(entry_id)["expires_at"], "confirmed")
    shown = public(place.storages.get(s3))
    said = f"{shown} {place.storages.get(s3)!r} {place.states(entry_id)} {caplog.text}"
    on_disk = b"".join(path.read_bytes() for path in place.folder.glob("test.db*"))
    for secret in (kit.ACCESS_KEY, kit.SECRET):
        assert secret not in said and secret.encode() not in on_disk
    assert not {"access_key", "secret", "sealed", "key_id"} & set(shown)


def test_a_new_site_secret_takes_the_stored_credentials_over(place: Place) -> None:
    s3 = place.s3()
    new = "cd" * 32
    moved = Storages(place.world.db, Vault(new, [KEY]), allow_private=True)
    assert moved.check(s3) is None
    assert (moved.reseal(), moved.reseal()) == (1, 0)
    assert Storages(place.world.db, Vault(new), allow_private=True).check(s3) is None
    lost = Storages(place.world.db, Vault("ef" * 32), allow_private=True)
    assert lost.reseal() == 0
    assert "SIDEROOM_PREVIOUS_SECRETS" in str(lost.check(s3))
