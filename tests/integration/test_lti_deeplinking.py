"""Deep linking against the practice LMS: what may be inserted where and by whom, and what the links open later."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
import requests

from lti import claims, deeplinking
from models.store import library as library_store
from models.store import people
from models.store.deeplinks import list_rooms
from models.values import SessionId
from sandbox.lms.client import LaunchedPage, LaunchFailed, follow, open_room, opened, read_form
from sandbox.lms.client import insert as inserted
from sandbox.lms.inserting import FLOWS
from sandbox.lms.state import Item
from sandbox.lms.world import SITES
from tests.ltikit import LINK_KEY, LTI, World, running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("deeplinking")) as made:
        yield made


def selector(world: World, person: str, flow: str = "lessons", site: str = "bio101") -> LaunchedPage:
    return opened(follow(f"{world.lms}/site/{site}/insert/{flow}?as={person}"))


def answer(world: World, page: LaunchedPage, items: Any) -> requests.Response:
    """Press Insert: our page's form, which gives the platform's form."""
    form = {"token": page.token, "deep_link": page.boot["deep_link"]["id"], "items": json.dumps(items)}
    return requests.post(f"{world.url}/lti/deeplink", data=form, timeout=10)


def insert(world: World, page: LaunchedPage, items: Any) -> list[Item]:
    """Insert, and let the platform take it; returns the links it made."""
    before = set(world.practice.items)
    sent = answer(world, page, items)
    assert sent.status_code == 200, sent.text
    action, fields = read_form(sent.text)
    taken = inserted(action, fields)
    assert taken.status_code == 200, taken.text
    return [item for number, item in world.practice.items.items() if number not in before]


def open_item(world: World, person: str, item: Item) -> LaunchedPage:
    return opened(follow(f"{world.lms}/site/{item.site}/item/{item.content}?as={person}"))


def an_entry(world: World, owner: str, course: str, title: str, *, published: bool = False) -> str:
    """A ready entry of a person of the practice LMS, without files."""
    owner_id = people.upsert_person(world.db, world.lms, world.sub(owner))
    course_id = people.upsert_course(world.db, world.lms, SITES[course].context_id)
    entry_id = "e" + title.encode().hex()[:30]
    now = datetime.now(UTC)
    values = {
        "course_id": course_id,
        "owner_id": owner_id,
        "title": title,
        "published": published,
        "status": "ready",
        "recorded_at": now,
        "created_at": now,
    }
    library_store.save_entry(world.db, entry_id, values)
    return entry_id


# -- the response ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", FLOWS)
def test_the_certifications_seven_points(world: World, flow: str) -> None:
    """Request taken, response sent, its form, its times, its signature, its claims, and the platform affirms it."""
    page = selector(world, "alice", flow)
    assert page.page == "selector" and page.boot["deep_link"]["place"] == flow
    sent = answer(world, page, [{"kind": "gallery"}])
    action, fields = read_form(sent.text)
    assert action.startswith(f"{world.lms}/imsoidc/lti13/resigncontentitem?") and set(fields) == {"JWT"}
    keyset = requests.get(f"{world.url}/lti/jwks.json", timeout=10).json()["keys"]
    header = jwt.get_unverified_header(fields["JWT"])
    key = next(jwt.PyJWK(k).key for k in keyset if k["kid"] == header["kid"])
    body = jwt.decode(fields["JWT"], key, algorithms=["RS256"], audience=world.lms)
    client = world.practice.tools["selector"].client_id
    assert body["iss"] == client and body["nonce"] and header["alg"] == "RS256"
    assert abs(body["iat"] - time.time()) < 60 and body["iat"] < body["exp"] <= body["iat"] + 3600
    assert body[LTI + "message_type"] == "LtiDeepLinkingResponse" and body[LTI + "version"] == "1.3.0"
    assert body[LTI + "deployment_id"] == "1"
    assert "the answer is 42" in body[claims.DEEP_LINKING_DATA]
    [item] = body[claims.CONTENT_ITEMS]
    assert item["type"] == "ltiResourceLink"
    assert ("iframe" in item) == (flow == "editor")
    assert inserted(action, fields).status_code == 200


def test_the_form_is_escaped_and_its_page_lets_it_go_only_there(world: World) -> None:
    begun = world.login()
    hostile = 'https://lms.example/return?a=1&b="><script>alert(1)</script>'
    settings = {
        "deep_link_return_url": hostile,
        "accept_types": ["ltiResourceLink"],
        "accept_presentation_document_targets": ["iframe"],
        "data": "d",
    }
    token = world.sign(
        world.claims(
            begun["nonce"],
            message_type="LtiDeepLinkingRequest",
            resource_link=None,
            **{claims.DEEP_LINKING_SETTINGS: settings},
        )
    )
    boot = world.post(token, begun["state"]).text
    found = json.loads(boot.split('id="boot"')[1].split(">", 1)[1].split("</script>")[0])
    form = {"token": found["token"], "deep_link": found["deep_link"]["id"], "items": "[]"}
    sent = requests.post(f"{world.url}/lti/deeplink", data=form, timeout=10)
    assert "<script>alert" not in sent.text and "&quot;&gt;&lt;script&gt;" in sent.text
    policy = sent.headers["Content-Security-Policy"]
    assert (
        "form-action https://lms.example;" in policy
        and "unsafe-inline'" not in policy.split("style-src-attr")[0]
    )


@pytest.mark.parametrize("flow", FLOWS)
def test_lessons_and_assignments_take_the_last_the_editor_takes_all(world: World, flow: str) -> None:
    page = selector(world, "alice", flow)
    assert page.boot["deep_link"]["multiple"] == (flow == "editor")
    made = insert(world, page, [{"kind": "room", "title": "First"}, {"kind": "gallery", "title": "Last"}])
    assert [item.title for item in made] == (["First", "Last"] if flow == "editor" else ["Last"])
    for item in made:
        assert all(isinstance(value, str) for value in item.custom.values())


def test_choosing_nothing_goes_back_with_a_word(world: World) -> None:
    action, fields = read_form(answer(world, selector(world, "alice"), []).text)
    refused = inserted(action, fields)
    assert refused.status_code == 400 and "Nothing was chosen" in refused.text


def test_points_make_a_column_only_where_the_lms_takes_one(world: World) -> None:
    [graded] = insert(
        world, selector(world, "alice", "assignment"), [{"kind": "room", "title": "Exam", "points": 10}]
    )
    assert graded.raw["lineItem"] == {"scoreMaximum": 10, "label": "Exam"}
    [plain] = insert(
        world, selector(world, "alice", "editor"), [{"kind": "room", "title": "Exam", "points": 10}]
    )
    assert "lineItem" not in plain.raw


def test_a_page_answers_once_and_only_for_its_own_person(world: World) -> None:
    page, other = selector(world, "alice"), selector(world, "bob")
    stolen = {"token": other.token, "deep_link": page.boot["deep_link"]["id"], "items": "[]"}
    assert requests.post(f"{world.url}/lti/deeplink", data=stolen, timeout=10).status_code == 403
    assert answer(world, page, [{"kind": "gallery"}]).status_code == 200
    again = answer(world, page, [{"kind": "gallery"}])
    assert again.status_code == 403 and "(deep_link)" in again.text
    for odd in ("x", [1], [{"kind": "dance"}], {"kind": "room"}, [{"kind": "room", "points": "ten"}] * 60):
        assert answer(world, selector(world, "alice"), odd).status_code == 403


def test_where_only_files_are_taken_the_page_says_so(world: World) -> None:
    settings = {
        "deep_link_return_url": f"{world.lms}/back",
        "accept_types": ["file"],
        "accept_media_types": "imsccv1p3",
        "accept_presentation_document_targets": ["iframe"],
    }
    refused = world.launched(
        message_type="LtiDeepLinkingRequest", resource_link=None, **{claims.DEEP_LINKING_SETTINGS: settings}
    )
    assert refused.status_code == 403 and "Nothing from Sideroom can be inserted here" in refused.text


# -- what the links open ---------------------------------------------------------------------------------------


def test_a_named_room_is_a_room_of_its_own(world: World) -> None:
    [red] = insert(world, selector(world, "alice"), [{"kind": "room", "title": "Red group"}])
    first = open_item(world, "alice", red)
    assert first.page == "lobby"
    lobby = world.ask(first, "GET", "/app/api/lobby").json()
    assert lobby["room"]["title"] == "Red group"
    own, same = open_room(first), open_room(open_item(world, "bob", red))
    assert own.session_id == same.session_id
    main = open_room(opened(follow(f"{world.lms}/site/bio101/tool/room?as=alice")))
    assert main.session_id != own.session_id


def test_a_named_room_has_its_own_recording_settings_over_the_courses(world: World) -> None:
    course_id = people.upsert_course(world.db, world.lms, "bio101")
    mine = {"options": {"layout": "speaker", "names": False}, "record_on_start": False}
    people.set_course_setting(world.db, course_id, "recording", mine)

    def defaults(**chosen: object) -> tuple[dict[str, object], bool]:
        [item] = insert(world, selector(world, "alice"), [{"kind": "room", "title": "Own", **chosen}])
        room = open_room(open_item(world, "alice", item))
        state = world.rooms.state(SessionId(room.session_id))
        return dict(state.recording_defaults), state.record_on_start

    assert defaults() == ({"layout": "speaker", "names": False}, False)
    assert defaults(record=True, layout="stage") == ({"layout": "stage", "names": False}, True)
    people.set_course_setting(world.db, course_id, "recording", mine | {"record_on_start": True})
    assert defaults(record=None) == ({"layout": "speaker", "names": False}, True)
    assert defaults(record=False, layout="") == ({"layout": "speaker", "names": False}, False)
    people.set_course_setting(world.db, course_id, "recording", {})
    for odd in ({"record": "yes"}, {"layout": "circle"}, {"layout": ["grid"]}):
        refused = answer(world, selector(world, "alice"), [{"kind": "room", "title": "x", **odd}])
        assert refused.status_code == 403 and "(deep_link)" in refused.text


def test_a_room_that_records_does_so_for_who_chose_it_also_when_a_student_opens_it(world: World) -> None:
    chosen = [{"kind": "room", "title": "Seen", "record": True}]
    [item] = insert(world, selector(world, "alice"), chosen)
    alice = people.upsert_person(world.db, world.lms, world.sub("alice"))
    state = world.rooms.state(SessionId(open_room(open_item(world, "bob", item)).session_id))
    assert state.record_on_start and state.record_on_start_by is not None
    assert state.record_on_start_by.person_id == alice
    # Edited by hand in the LMS: only a moderator of the course can be named.
    bob = people.upsert_person(world.db, world.lms, world.sub("bob"))
    item.custom["sideroom_record_by"] = bob
    item.custom["sideroom_room"] = "r" + "5" * 16
    state = world.rooms.state(SessionId(open_room(open_item(world, "bob", item)).session_id))
    assert state.record_on_start and state.record_on_start_by is None


def test_participants_wait_until_a_moderator_has_opened_a_waiting_room(world: World) -> None:
    [item] = insert(world, selector(world, "alice"), [{"kind": "room", "title": "Viva", "wait": True}])
    bob, alice = open_item(world, "bob", item), open_item(world, "alice", item)
    assert world.ask(bob, "GET", "/app/api/lobby").json()["waits"]
    with pytest.raises(LaunchFailed, match="403"):
        open_room(bob)
    assert not world.ask(alice, "GET", "/app/api/lobby").json()["waits"]
    session_id = open_room(alice).session_id
    assert not world.ask(bob, "GET", "/app/api/lobby").json()["waits"]
    assert open_room(bob).session_id == session_id


def test_a_copied_course_has_its_own_room_behind_the_same_link(world: World) -> None:
    [item] = insert(world, selector(world, "alice"), [{"kind": "room", "title": "Blue", "wait": True}])
    custom = {LTI + "custom": item.custom, "resource_link": {"id": "content:900", "title": "Blue"}}
    there = world.launched(context={"id": "bio101-copy", "title": "Copy"}, **custom)
    assert there.status_code == 200 and '"page": "lobby"' in there.text
    course_id = people.upsert_course(world.db, world.lms, "bio101-copy")
    assert [(room.title, room.settings["wait"]) for room in list_rooms(world.db, course_id)] == [
        ("Blue", True)
    ]


def test_an_inserted_film_plays_for_the_courses_people_and_nobody_else(world: World) -> None:
    """Recorded in one course, shown in another by its owner: the members of both may see it."""
    entry_id = an_entry(world, "adam", "his200", "Adams film")
    path = f"/app/api/media/{entry_id}"
    bob = opened(follow(f"{world.lms}/site/bio101/tool/gallery?as=bob"))
    assert world.ask(bob, "GET", path).status_code == 404
    [item] = insert(world, selector(world, "adam"), [{"kind": "media", "entry_id": entry_id}])
    assert item.title == "Adams film"
    page = open_item(world, "bob", item)
    assert (page.page, page.boot["entry_id"]) == ("entry", entry_id)
    assert world.ask(page, "GET", path).status_code == 200
    assert not world.ask(page, "GET", path).json()["may_edit"]
    charlie = opened(follow(f"{world.lms}/site/his200/tool/gallery?as=charlie"))
    bea = opened(follow(f"{world.lms}/site/~bea/tool/mymedia?as=bea"))
    assert world.ask(charlie, "GET", path).status_code == 200, "he moderates the course it was recorded in"
    assert world.ask(bea, "GET", path).status_code == 404


def test_nobody_inserts_what_they_may_only_watch(world: World) -> None:
    of_alice = an_entry(world, "alice", "bio101", "Alices film", published=True)
    of_bob = an_entry(world, "bob", "bio101", "Bobs film")
    [item] = insert(world, selector(world, "bob", "editor"), [{"kind": "media", "entry_id": of_bob}])
    assert item.title == "Bobs film"
    for person, entry_id, site in (
        ("bob", of_alice, "bio101"),
        ("charlie", of_alice, "his200"),
        ("charlie", of_bob, "his200"),
    ):
        refused = answer(
            world, selector(world, person, "editor", site), [{"kind": "media", "entry_id": entry_id}]
        )
        assert refused.status_code == 403
    room = answer(world, selector(world, "bob"), [{"kind": "room", "title": "Bob's room"}])
    assert room.status_code == 403 and "(not_moderator)" in room.text
    assert not selector(world, "bob").boot["deep_link"]["rooms"]


def test_a_link_edited_by_hand_shows_nothing(world: World) -> None:
    """Customs can be typed in the LMS: an entry's id alone is no permission, nor is a grant for another entry."""
    entry_id = an_entry(world, "charlie", "his200", "Charlies film")
    other = an_entry(world, "charlie", "his200", "Another film")
    for grant in ("", "0" * 64, deeplinking.grant(LINK_KEY, world.lms, other)):
        custom = {"sideroom_item": "media", "sideroom_entry": entry_id, "sideroom_grant": grant}
        text = world.launched(**{LTI + "custom": custom}).text
        token = json.loads(text.split('id="boot"')[1].split(">", 1)[1].split("</script>")[0])["token"]
        page = LaunchedPage(world.url, token, "entry", "", {})
        assert world.ask(page, "GET", f"/app/api/media/{entry_id}").status_code == 404


def test_a_gallery_link_opens_the_gallery_and_odd_customs_the_room(world: World) -> None:
    [item] = insert(world, selector(world, "alice"), [{"kind": "gallery", "title": "Our films"}])
    assert open_item(world, "bob", item).page == "gallery"
    for custom in ({"sideroom_item": "room", "sideroom_room": "../x"}, {"sideroom_item": 7}, "text", None):
        answer_ = world.launched(**{LTI + "custom": custom})
        assert answer_.status_code == 200 and '"page": "lobby"' in answer_.text
