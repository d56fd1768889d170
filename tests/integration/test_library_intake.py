"""Composed files come into the library whole and once, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest

from library import intake
from library.retention import expire
from models.store import library as store
from tests.librarykit import World, composed, make_world

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_take_moves_the_files_and_the_entry_plays(world: World, tmp_path: Path) -> None:
    facts = composed(tmp_path / "result")
    entry_id = intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts)
    assert names(tmp_path / "result") == []
    video = world.root / entry_id / "video.mp4"
    assert names(world.root) == ["thumbnail.jpg", "video.mp4"]
    assert hashlib.sha256(video.read_bytes()).hexdigest() == facts.sha256
    with av.open(str(video)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 10
    row = store.get_entry(world.db, entry_id)
    assert row is not None
    assert (row["status"], row["folder"], row["course_id"]) == ("ready", "breakout", world.course)
    assert row["owner_id"] == world.ids["olga"]
    assert (row["title"], row["course_title"]) == ("Room 1", "Biology 101")
    assert row["expires_at"] is None


def test_a_repeated_take_gives_the_same_entry(world: World, tmp_path: Path) -> None:
    facts = composed(tmp_path / "result")
    first = intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts)
    assert intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts) == first
    assert store.find_mine(world.db, world.ids["olga"]).total == 1
    assert names(world.root) == ["thumbnail.jpg", "video.mp4"]


def test_simultaneous_takes_make_one_entry(world: World, tmp_path: Path) -> None:
    facts = composed(tmp_path / "result")

    def take(_: int) -> str:
        return intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts)

    with ThreadPoolExecutor(6) as pool:
        taken = set(pool.map(take, range(6)))
    assert len(taken) == 1
    assert names(world.root) == ["thumbnail.jpg", "video.mp4"]
    assert hashlib.sha256((world.root / taken.pop() / "video.mp4").read_bytes()).hexdigest() == facts.sha256


def test_another_file_system_is_copied_to(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "other device")

    monkeypatch.setattr(os, "link", no_links)
    facts = composed(tmp_path / "result")
    entry_id = intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts)
    assert names(world.root) == ["thumbnail.jpg", "video.mp4"]
    assert names(tmp_path / "result") == []
    assert (world.root / entry_id / "video.mp4").stat().st_size == facts.size_bytes


def test_a_full_disk_shows_nothing_and_loses_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = composed(tmp_path / "result")
    before = names(tmp_path / "result")
    entry_id = intake.ensure_processing_entry(world.db, world.recording())

    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "other device")

    copy = shutil.copyfile

    def full(source: Path, target: Path) -> None:
        if "video" in target.name:
            target.write_bytes(source.read_bytes()[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", no_links)
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(OSError, match="No space"):
            intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts)
    assert names(tmp_path / "result") == before
    assert "video.mp4" not in names(world.root)
    assert not [name for name in names(world.root) if name.endswith(".part")]
    row = store.get_entry(world.db, entry_id)
    assert row is not None and row["status"] == "processing"
    # The next try, with room on the disk, succeeds.
    assert intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts) == entry_id
    assert names(world.root) == ["thumbnail.jpg", "video.mp4"]


def test_a_lost_database_keeps_the_composed_files(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = composed(tmp_path / "result")
    before = names(tmp_path / "result")

    def broken(*_: object, **_more: object) -> None:
        raise RuntimeError("database is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_entry", broken)
        with pytest.raises(RuntimeError):
            intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts)
    assert names(tmp_path / "result") == before
    intake.take(world.db, world.root, world.recording(), tmp_path / "result", facts)
    assert names(world.root) == ["thumbnail.jpg", "video.mp4"]


def test_a_composed_name_with_a_folder_is_refused(world: World, tmp_path: Path) -> None:
    facts = composed(tmp_path / "result")
    (tmp_path / "outside.mp4").write_bytes(b"keep")
    hostile = type(facts)("../outside.mp4", 1.0, 1, 1, 4, "")
    with pytest.raises(ValueError, match="without folders"):
        intake.take(world.db, world.root, world.recording(), tmp_path / "result", hostile)
    assert (tmp_path / "outside.mp4").read_bytes() == b"keep"


def test_an_entry_shows_at_once_fails_and_recovers(world: World, tmp_path: Path) -> None:
    recording = world.recording()
    entry_id = intake.ensure_processing_entry(world.db, recording)
    statuses = [store.find_mine(world.db, world.ids["olga"]).rows[0]["status"]]
    intake.mark_failed(world.db, recording)
    statuses.append(store.find_mine(world.db, world.ids["olga"]).rows[0]["status"])
    facts = composed(tmp_path / "result")
    assert intake.take(world.db, world.root, recording, tmp_path / "result", facts) == entry_id
    statuses.append(store.find_mine(world.db, world.ids["olga"]).rows[0]["status"])
    intake.ensure_processing_entry(world.db, recording)
    statuses.append(store.find_mine(world.db, world.ids["olga"]).rows[0]["status"])
    assert statuses == ["processing", "failed", "ready", "ready"]


def test_the_clock_deletes_what_is_due_and_only_that(world: World, tmp_path: Path) -> None:
    kept = intake.take(world.db, world.root, world.recording(1), tmp_path / "a", composed(tmp_path / "a"))
    week = timedelta(days=7)
    due = intake.take(
        world.db, world.root, world.recording(2), tmp_path / "b", composed(tmp_path / "b"), week
    )
    now = datetime.now(UTC)
    assert expire(world.db, world.root, now + timedelta(days=6)) == 0
    assert expire(world.db, world.root, now + timedelta(days=8)) == 1
    assert expire(world.db, world.root, now + timedelta(days=8)) == 0
    assert not (world.root / due).exists()
    assert (world.root / kept / "video.mp4").is_file()
    row = store.get_entry(world.db, due)
    assert row is not None and row["status"] == "expired"


def test_a_name_given_while_composing_stays(world: World, tmp_path: Path) -> None:
    entry_id = intake.ensure_processing_entry(world.db, world.recording())
    store.save_entry(world.db, entry_id, {"title": "Osmosis", "published": False})
    intake.take(world.db, world.root, world.recording(), tmp_path / "result", composed(tmp_path / "result"))
    row = store.get_entry(world.db, entry_id)
    assert row is not None
    assert (row["title"], row["published"], row["status"]) == ("Osmosis", False, "ready")
