"""A copied course shows the published media of the course that it was copied from; My Media knows no client ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from library import intake
from library.media import Library
from lti.services.note import note_launch
from models.store import lti, people
from models.store.access import Access
from models.values import CourseId, PersonId, Role
from rooms.errors import DomainError
from tests.librarykit import ISSUER, World, composed, make_world

pytestmark = pytest.mark.integration
CUSTOM = "https://purl.imsglobal.org/spec/lti/claim/custom"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


def add(world: World, folder: Path, number: int, *, published: bool = True) -> str:
    facts = composed(folder / f"r{number}")
    info = world.recording(number, breakout=False)
    entry_id = intake.take(world.db, world.root, info, folder / f"r{number}", facts)
    access = world.access("olga")
    Library(world.db, world.root).change(access, entry_id, f"Film {number}", published)
    return entry_id


def copied(world: World, context_id: str, history: str, issuer: str = ISSUER) -> CourseId:
    """A course that a launch says was copied from others, with Bob in it and Charlie teaching it."""
    platform = lti.add_platform(
        world.db, issuer=issuer, client_id="c", auth_login_url="u", auth_token_url="u", jwks_url="u"
    )
    course = people.upsert_course(world.db, issuer, context_id, "Biology 102")
    body = {CUSTOM: {"context_history": history}}
    note_launch(world.db, platform.id, course, context_id, Role.MODERATOR, body)
    people.upsert_membership(world.db, course, world.ids["charlie"], Role.MODERATOR, [])
    people.upsert_membership(world.db, course, world.ids["bob"], Role.PARTICIPANT, [])
    return course


def seen(world: World, name: str, course: CourseId) -> set[str]:
    entries, total = Library(world.db, world.root).find(world.access(name, course), "channel")
    assert total == len(entries)
    return {entry.title for entry in entries}


def test_a_copy_shows_what_was_published_in_the_original(world: World, tmp_path: Path) -> None:
    shown, hidden = add(world, tmp_path, 1), add(world, tmp_path, 2, published=False)
    copy = copied(world, "bio102", "bio100,bio101")
    assert seen(world, "bob", copy) == seen(world, "charlie", copy) == {"Film 1"}
    library = Library(world.db, world.root)
    for name in ("bob", "charlie"):
        access = world.access(name, copy)
        assert not library.may_edit(access, library.get(access, shown)), "it belongs to the other course"
        for change in (lambda a: library.get(a, hidden), lambda a: library.delete(a, shown)):
            with pytest.raises(DomainError):
                change(access)
    with pytest.raises(DomainError):
        library.get(world.access("alice", copy), hidden)
    assert seen(world, "alice", world.course) == {"Film 1", "Film 2"}, "the original stays as it is"


@pytest.mark.parametrize(
    ("history", "issuer"),
    [("", ISSUER), ("bio99", ISSUER), ("~olga", ISSUER), ("bio101", "https://other.test")],
)
def test_other_courses_show_nothing_of_it(world: World, tmp_path: Path, history: str, issuer: str) -> None:
    add(world, tmp_path, 1)
    assert seen(world, "bob", copied(world, "bio102", history, issuer)) == set()


def test_my_media_is_the_persons_across_all_registrations_and_guests_have_none(
    world: World, tmp_path: Path
) -> None:
    add(world, tmp_path, 1)
    library = Library(world.db, world.root)
    same = people.upsert_person(world.db, ISSUER, "olga")
    assert same == world.ids["olga"], "the person is issuer and sub, whichever tool was launched"
    elsewhere = Access("page", same, world.spaces, Role.PARTICIPANT, "Olga")
    assert [e.title for e in library.find(elsewhere, "mine")[0]] == ["Film 1"]
    other = PersonId(people.upsert_person(world.db, "https://other.test", "olga"))
    assert library.find(Access("page", other, world.spaces, Role.PARTICIPANT, "Olga"), "mine")[0] == []
    guest = Access("page", same, world.course, Role.GUEST, "Olga")
    assert library.scopes(guest) == ["channel"]
    with pytest.raises(DomainError):
        library.find(guest, "mine")
