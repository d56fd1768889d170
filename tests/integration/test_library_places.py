"""Who finds what where: My Media, the channel, the breakout recordings folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import text

from library import intake
from library.media import Library, Scope
from models.store import library as store
from models.store import people
from models.values import EntryId, Role
from rooms.errors import DomainError
from tests.librarykit import World, composed, make_world

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


def code(call: object) -> str:
    """What a call did: ``ok`` or the code of its refusal."""
    assert callable(call)
    try:
        call()
    except DomainError as error:
        return error.code
    return "ok"


def add(
    world: World, folder: Path, number: int, *, breakout: bool = True, owner: str | None = "olga"
) -> EntryId:
    result = folder / f"result{number}"
    recording = world.recording(number, breakout=breakout, owner=owner)
    return intake.take(world.db, world.root, recording, result, composed(result))


# person, published: (mine, channel, folder, unowned), see, edit
UNKNOWN = "recording_unknown"
SCOPES = get_args(Scope)
TABLE = [
    ("olga", True, (1, 1, 1, 0), "ok", "ok"),
    ("olga", False, (1, 1, 1, 0), "ok", "ok"),
    ("alice", True, (0, 1, 1, 0), "ok", "ok"),
    ("alice", False, (0, 1, 1, 0), "ok", "ok"),
    ("bob", True, (0, 1, "not_moderator", "not_moderator"), "ok", "not_allowed"),
    ("bob", False, (0, 0, "not_moderator", "not_moderator"), UNKNOWN, UNKNOWN),
    ("charlie", True, (0, 0, 0, 0), UNKNOWN, UNKNOWN),
    ("charlie", False, (0, 0, 0, 0), UNKNOWN, UNKNOWN),
]
# The same of a recording that began by itself, or by an integrator that named nobody.
OF_NOBODY = [
    ("olga", True, (0, 1, 1, 1), "ok", "ok"),
    ("alice", False, (0, 1, 1, 1), "ok", "ok"),
    ("bob", True, (0, 1, "not_moderator", "not_moderator"), "ok", "not_allowed"),
    ("bob", False, (0, 0, "not_moderator", "not_moderator"), UNKNOWN, UNKNOWN),
    ("charlie", True, (0, 0, 0, 0), UNKNOWN, UNKNOWN),
]


@pytest.mark.parametrize(
    ("owner", "name", "published", "places", "see", "edit"),
    [("olga", *row) for row in TABLE] + [(None, *row) for row in OF_NOBODY],
)
def test_who_may_what(
    world: World,
    tmp_path: Path,
    owner: str | None,
    name: str,
    published: bool,
    places: tuple[int | str, ...],
    see: str,
    edit: str,
) -> None:
    entry_id = add(world, tmp_path, 1, owner=owner)
    store.save_entry(world.db, entry_id, {"published": published})
    library, access = Library(world.db, world.root), world.access(name)

    def count(scope: Scope) -> int | str:
        try:
            return library.find(access, scope)[1]
        except DomainError as error:
            return error.code

    assert tuple(count(scope) for scope in SCOPES) == places
    assert code(lambda: library.get(access, entry_id)) == see
    assert code(lambda: library.change(access, entry_id, "New", None)) == edit
    assert code(lambda: library.delete(access, entry_id)) == edit
    assert (world.root / entry_id / "video.mp4").exists() == (edit != "ok")


def test_my_workspace_shows_only_my_media(world: World, tmp_path: Path) -> None:
    add(world, tmp_path, 1)
    library, access = Library(world.db, world.root), world.access("olga", world.spaces)
    assert library.scopes(access) == ["mine"]
    assert library.find(access, "mine")[1] == 1
    assert code(lambda: library.find(access, "channel")) == "not_allowed"
    assert code(lambda: library.find(access, "folder")) == "not_moderator"


def test_the_main_room_is_not_in_the_breakout_folder(world: World, tmp_path: Path) -> None:
    add(world, tmp_path, 1, breakout=False)
    library, access = Library(world.db, world.root), world.access("alice")
    assert library.find(access, "folder")[1] == 0
    assert library.find(access, "channel")[1] == 1


def test_a_role_taken_away_counts_at_once(world: World, tmp_path: Path) -> None:
    entry_id = add(world, tmp_path, 1)
    library, access = Library(world.db, world.root), world.access("alice")
    people.upsert_membership(world.db, world.course, world.ids["alice"], Role.PARTICIPANT, [])
    assert code(lambda: library.find(access, "folder")) == "not_moderator"
    assert code(lambda: library.delete(access, entry_id)) == "not_allowed"


def test_class_recordings_are_gone_with_the_role_and_hold_no_uploads(world: World, tmp_path: Path) -> None:
    add(world, tmp_path, 1, breakout=False, owner=None)
    now = datetime.now(UTC)
    upload = {"course_id": world.course, "owner_id": None, "title": "Film", "recorded_at": now}
    store.save_entry(world.db, "e-upload", {**upload, "created_at": now})
    library, access = Library(world.db, world.root), world.access("alice")
    assert [entry.recording_id for entry in library.find(access, "unowned")[0]] == ["k1"]
    assert library.find(access, "folder")[1] == 0
    people.upsert_membership(world.db, world.course, world.ids["alice"], Role.PARTICIPANT, [])
    assert "unowned" not in library.scopes(access)
    assert code(lambda: library.find(access, "unowned")) == "not_moderator"


def test_who_asked_keeps_their_recording_without_the_role_and_only_theirs(
    world: World, tmp_path: Path
) -> None:
    """Whoever could record had the right to; the recording stays theirs when it is taken away, others' do not."""
    own, others = add(world, tmp_path, 1), add(world, tmp_path, 2, owner="alice")
    people.upsert_membership(world.db, world.course, world.ids["olga"], Role.PARTICIPANT, [])
    library, olga = Library(world.db, world.root), world.access("olga")
    assert [entry.entry_id for entry in library.find(olga, "mine")[0]] == [own]
    assert code(lambda: library.change(olga, own, "Mine", False)) == "ok"
    assert code(lambda: library.change(olga, others, "Mine", None)) == "not_allowed"
    assert code(lambda: library.delete(olga, others)) == "not_allowed"
    assert code(lambda: library.delete(olga, own)) == "ok"


def test_who_has_left_the_course_finds_only_their_own(world: World, tmp_path: Path) -> None:
    entry_id = add(world, tmp_path, 1)
    library, bob, olga = Library(world.db, world.root), world.access("bob"), world.access("olga")
    assert library.find(bob, "channel")[1] == 1
    with world.db.write() as session:  # as the roster does when somebody is not in it any more
        session.execute(text("DELETE FROM membership WHERE course_id = :c"), {"c": world.course})
    assert library.scopes(bob) == library.scopes(olga) == ["mine"]
    assert code(lambda: library.find(bob, "channel")) == "not_allowed"
    assert code(lambda: library.get(bob, entry_id)) == UNKNOWN
    assert code(lambda: library.find(olga, "folder")) == "not_moderator"
    assert library.get(olga, entry_id).entry_id == entry_id


def test_separate_tracks_are_for_moderators_until_one_of_them_publishes_them(
    world: World, tmp_path: Path
) -> None:
    recording = replace(world.recording(1), options={"type": "TRACK"})
    entry_id = intake.ensure_processing_entry(world.db, recording)
    intake.take(world.db, world.root, recording, tmp_path / "a", composed(tmp_path / "a"))
    library, bob = Library(world.db, world.root), world.access("bob")
    assert library.find(bob, "channel")[1] == 0
    for name in ("bob", "charlie"):
        assert code(lambda name=name: library.get(world.access(name), entry_id)) == UNKNOWN
    assert library.find(world.access("alice"), "channel")[1] == 1
    library.change(world.access("alice"), entry_id, None, True)
    assert library.get(bob, entry_id).published


@pytest.mark.parametrize("hostile", ["%", "_", "\\", "'; drop table media_entry; --"])
def test_a_search_is_taken_literally(world: World, tmp_path: Path, hostile: str) -> None:
    entry_id = add(world, tmp_path, 1)
    library, access = Library(world.db, world.root), world.access("olga")
    assert library.find(access, "mine", hostile)[1] == 0
    store.save_entry(world.db, entry_id, {"title": f"50{hostile} done"})
    assert library.find(access, "mine", hostile)[1] == 1


def test_pages_hold_each_entry_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        intake.ensure_processing_entry(world.db, world.recording(number))
    monkeypatch.setattr("library.media.PER_PAGE", 3)
    library, access = Library(world.db, world.root), world.access("olga")
    pages = [library.find(access, "mine", "", page) for page in range(4)]
    assert [len(entries) for entries, _ in pages] == [3, 3, 1, 0]
    assert {total for _, total in pages} == {7}
    assert len({entry.entry_id for entries, _ in pages for entry in entries}) == 7


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
def test_a_title_out_of_bounds_is_refused(world: World, title: str) -> None:
    entry_id = intake.ensure_processing_entry(world.db, world.recording())
    library = Library(world.db, world.root)
    assert code(lambda: library.change(world.access("olga"), entry_id, title, None)) == "bad_value"


def test_what_is_being_composed_cannot_be_deleted(world: World) -> None:
    entry_id = intake.ensure_processing_entry(world.db, world.recording())
    library = Library(world.db, world.root)
    assert code(lambda: library.delete(world.access("olga"), entry_id)) == "still_recording"
