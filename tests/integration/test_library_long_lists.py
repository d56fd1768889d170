"""Long lists: as many questions to the database for a page of many as for one of few, and pages that stay put."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from library import intake
from library.media import PER_PAGE
from models.store import transfers as store
from models.store.library import save_entry
from models.store.media_files import MediaFile, save_files
from models.store.recordings_list import Filter, find_recordings
from models.store.storage import Storage, insert
from tests.apikit import Api, running_api
from tests.librarykit import AT, World

pytestmark = pytest.mark.integration


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path) as made:
        yield made


@contextmanager
def counted(world: World) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(world.db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(world.db.engine, "before_cursor_execute", note)


def storages(world: World, count: int) -> None:
    for number in range(count):
        config = {"type": "s3", "bucket": "films"}
        insert(
            world.db,
            Storage(f"st{number}", "site", None, "", config, True, False, None, None, AT, None, "", ""),
        )


def entries(world: World, numbers: range) -> None:
    """Entries of Olga's with a file and a copy at each storage."""
    for number in numbers:
        recording = world.recording(number)
        entry_id = intake.ensure_processing_entry(world.db, recording)
        save_files(world.db, entry_id, [MediaFile("video.mp4", "composite", "video/mp4", 5, "ab")])
        folders = {f"st{n}": (f"t{number}-{n}", "folder") for n in range(3)}
        store.plan(world.db, entry_id, folders, AT)


def test_a_page_of_many_asks_no_more_than_a_page_of_one(api: Api) -> None:
    storages(api.world, 3)
    entries(api.world, range(1))
    asked = []
    for _ in range(2):
        with counted(api.world) as sent:
            page = api.client.get("/app/api/media?scope=channel", headers=api.world.token("alice")).get_json()
        asked.append(len([each for each in sent if each.startswith("SELECT")]))
        entries(api.world, range(1, PER_PAGE + 5))
    assert len(page["entries"]) == PER_PAGE and all(len(each["copies"]) == 3 for each in page["entries"])
    assert asked[0] == asked[1]


def test_a_list_of_many_recordings_asks_no_more_than_one_of_few(api: Api) -> None:
    asked = []
    for number in range(2):
        api.start(allow_multiple_recordings=True)
        with counted(api.world) as sent:
            found = api.good("GET", "/recordings?per_page=100")
        asked.append(len([each for each in sent if each.startswith("SELECT")]))
        assert len(found) == (1 if number == 0 else 13)
        for _ in range(11):
            api.start(allow_multiple_recordings=True)
    assert asked[0] == asked[1]


def test_a_meetings_recordings_are_found_by_the_meeting(api: Api) -> None:
    """However many its course has: SQLite would walk them all for the sake of their order."""
    with counted(api.world) as sent:
        find_recordings(api.world.db, Filter(api.world.course, api.session_id), 0, 1)
    with api.world.db.engine.connect() as connection:
        for statement in sent:
            values = tuple("x" if n < statement.count("?") - 2 else 1 for n in range(statement.count("?")))
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert any("ix_recording_session_id" in str(step) for step in plan), plan


def test_pages_of_an_ascending_list_stay_put_while_recordings_are_made(api: Api) -> None:
    first = [api.start(allow_multiple_recordings=True)["id"] for _ in range(5)]
    seen: list[str] = []
    page = 0
    while found := api.good("GET", f"/recordings?sort_order=ASC&per_page=2&page_no={page}"):
        seen += [each["id"] for each in found]
        page += 1
        if page < 4:
            api.start(allow_multiple_recordings=True)  # meanwhile
    assert seen[:5] == first and len(seen) == len(set(seen)) == 8


def test_a_file_that_is_added_opens_its_copies_again(api: Api) -> None:
    world = api.world
    storages(world, 1)
    entry_id = intake.ensure_processing_entry(world.db, world.recording())
    store.plan(world.db, entry_id, {"st0": ("t1", "folder")}, AT)
    save_entry(world.db, entry_id, {"status": "ready"})
    (work,) = store.due(world.db, AT)
    assert store.lease(world.db, work, "one", AT, timedelta(minutes=1))
    # One that comes while the others are copied: they are not all.
    save_files(world.db, entry_id, [MediaFile("video.mp4", "composite", "video/mp4", 5, "ab")])
    assert not store.done(world.db, "t1", "one", AT)
    copied = store.FileCopy("video.mp4", 5, "ab", "video/mp4", 0, {}, "", None)
    store.add_files(world.db, "t1", [copied])
    assert store.file_done(world.db, "t1", "one", "video.mp4", "there", AT)
    assert store.done(world.db, "t1", "one", AT) and store.due(world.db, AT) == []
    # One that comes after that.
    save_files(world.db, entry_id, [MediaFile("video_2.mp4", "composite", "video/mp4", 5, "cd")])
    assert [each.transfer_id for each in store.due(world.db, AT)] == ["t1"]


def test_an_entry_without_files_is_not_worked_on_for_ever(api: Api) -> None:
    world = api.world
    storages(world, 1)
    entry_id = intake.ensure_processing_entry(world.db, world.recording())
    save_entry(world.db, entry_id, {"status": "ready"})
    store.plan(world.db, entry_id, {"st0": ("t1", "folder")}, AT)
    (work,) = store.due(world.db, AT)
    assert store.lease(world.db, work, "one", AT, timedelta(minutes=1))
    assert store.done(world.db, "t1", "one", AT)
    assert store.due(world.db, AT) == []
