"""One list of texts that people really send goes through every door, on both databases, and comes out the same everywhere."""

from __future__ import annotations

import functools
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import requests
from flask import Flask, Response

from api.files import _download_name
from bot.blocks.messages import broadcast_modal
from bot.markup import escaped
from foundation.text import clean, fold, graphemes, initials, is_visible
from lti.services.sync import sync_course
from models.store import (
    admin_pages,
    library,
    meetings_list,
    people,
    roster,
    slack_roster,
)
from models.values import Actor, ActorKind, CommandId, PersonId, Role, SessionId
from recorder import cards, faces
from recorder.layout import Rect
from rooms import commands as c
from rooms.commands import Envelope
from rooms.errors import DomainError
from rooms.events import MessageBroadcast
from sandbox.lms.client import follow, insert, open_room, opened, read_form
from server.ports_check import free_port
from tests.botkit import ALICE, ISSUER, Bot, Practice, make_bot
from tests.lmskit import serving
from tests.ltikit import LTI, World, running
from tests.postgres import temporary_postgres

pytestmark = pytest.mark.integration
NASTY = (
    "Zoë \ud83d Half",
    "Nul\x00 and\x1b[31m Bell\x07",
    "\u202eBidi\u202c \u200bZero\ufeff\u00ad Width",
    "Rene\u0301 Decompose\u0301",
    "Siobhán O\u2019Brien",
    "Jean\u2011Luc d\u2032Or",
    "ＦＵＬＬ　Ｗｉｄｔｈ １",
    "👩🏽\u200d🚀 Ann 🇩🇪",
    "می\u200cخواهم کتاب",
    "Łódź 实验 Übung",
    "İpek Işık",
    "STRASSE Groß",
    "Tab\tand\r\nLine\u2028End",
    '<b>&amp; "quoted" \'*_~`:smile:',
    "a" + "\u0301" * 200 + " zalgo",
    "क्षितिज जोशी",
)
UNSEEN = ("\u200b\u2060", "\u3164", "\u2800 \u2800", "\x00\x07")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("nasty")
    if request.param == "sqlite":
        with running(folder) as made:
            yield made
        return
    with temporary_postgres(tmp_path_factory.mktemp("pg")) as url, running(folder, url=url) as made:
        yield made


def kept(text: str) -> str:
    """What must come out everywhere; also says that it can be shown."""
    made = clean(text)
    made.encode()
    assert is_visible(made) and unicodedata.is_normalized("NFC", made) and made == " ".join(made.split())
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in made)
    return made


def typed(text: str) -> str:
    """As somebody types it on another keyboard: other case, plain apostrophes, taken apart."""
    return unicodedata.normalize("NFD", fold(text).upper())


def boot_of(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text[:400]
    found = re.search(r'id="boot"[^>]*>(.*?)</script>', answer.text, re.S)
    assert found is not None
    boot: dict[str, Any] = json.loads(found[1])
    return boot


def launched(world: World, number: int, name: str, title: str = "BIO 101", **more: Any) -> requests.Response:
    context = {"id": f"nasty{number}", "title": title}
    return world.launched(name=name, sub=f"{world.lms}/user/n{number}", **{LTI + "context": context}, **more)


@pytest.mark.parametrize("number", range(len(NASTY)))
def test_a_launch_a_page_an_upload_the_room_and_the_searches(world: World, number: int) -> None:
    text = NASTY[number]
    boot = boot_of(launched(world, number, text, text))
    assert (boot["person"]["name"], boot["course"]["title"]) == (kept(text), kept(text))
    course = people.upsert_course(world.db, world.lms, f"nasty{number}")
    person = people.upsert_person(world.db, world.lms, f"{world.lms}/user/n{number}")
    # An upload's name, then its page, then a new title.
    sent = requests.post(
        f"{world.url}/app/api/uploads",
        params={"name": (text if can_be_sent(text) else kept(text)) + ".mp4"},
        headers={"Authorization": f"Bearer {boot['token']}"},
        data=a_film(),
        timeout=60,
    )
    assert sent.status_code == 201, sent.text
    entry_id = sent.json()["entry_id"]

    def rename(title: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {boot['token']}"}
        return requests.patch(
            f"{world.url}/app/api/media/{entry_id}", json={"title": title}, headers=headers, timeout=60
        )

    if not can_be_sent(text):
        assert (rename(text).status_code, rename(text).json()["error"]["code"]) == (400, "bad_command")
    changed = rename(text if can_be_sent(text) else kept(text))
    assert changed.status_code == 200, changed.text
    assert changed.json()["title"] == kept(text)
    row = library.get_entry(world.db, entry_id)
    assert row is not None and row["title"] == kept(text)
    _download_name(row, row["file_name"]).encode()
    # The room: a name, a room's name, a message, as they come from pages, Slack and the API alike.
    session_id = world.rooms.open_session(course, kept(text), text)
    alice = Actor(ActorKind.PERSON, person, "Alice", Role.MODERATOR, course)

    def do(command: Any) -> None:
        envelope = Envelope(CommandId(f"n{number}{type(command).__name__}"), session_id, alice, command)
        world.rooms.submit(envelope)

    do(c.EnterSession(text, Role.MODERATOR))
    do(c.CreateRooms(2, names=(text[:40], "Other")))
    do(c.SendChat(text))
    state = world.rooms.state(session_id)
    assert state.people[PersonId(person)].name == kept(text)
    assert [room.name for room in state.rooms.values() if room.number == 1] == [kept(text[:40])]
    # Every search finds it, however it is typed.
    for wanted in {text if can_be_sent(text) else kept(text), kept(text), typed(text)}:
        assert [e["id"] for e in library.find_mine(world.db, person, wanted).rows] == [entry_id], ascii(
            wanted
        )
        assert course in {found.course_id for found in admin_pages.find_courses(world.db, wanted, 0, 50)[0]}
        assert person in {found.person_id for found in admin_pages.find_people(world.db, wanted, 0, 50)[0]}
        meetings, _ = meetings_list.find_meetings(world.db, meetings_list.MeetingFilter(search=wanted), 0, 50)
        assert session_id in {meeting.session_id for meeting in meetings}
        # Moving somebody by name, from Slack.
        assert slack_roster.find_members(world.db, course, wanted) == [person]


@pytest.mark.parametrize("number", range(len(NASTY)))
def test_the_selector_of_a_deep_link(world: World, number: int) -> None:
    text = NASTY[number]
    page = opened(follow(f"{world.lms}/site/bio101/insert/lessons?as=alice"))
    form = {
        "token": page.token,
        "deep_link": page.boot["deep_link"]["id"],
        "items": json.dumps([{"kind": "room", "title": text}]),
    }
    before = set(world.practice.items)
    answer = requests.post(f"{world.url}/lti/deeplink", data=form, timeout=60)
    assert answer.status_code == 200, answer.text[:400]
    assert insert(*read_form(answer.text)).status_code == 200
    [item] = [item for key, item in world.practice.items.items() if key not in before]
    assert item.title == kept(text)
    lobby = opened(follow(f"{world.lms}/site/{item.site}/item/{item.content}?as=alice"))
    assert world.ask(lobby, "GET", "/app/api/lobby").json()["room"]["title"] == kept(text)
    session_id = SessionId(open_room(lobby).session_id)
    assert world.rooms.state(session_id).room_title == kept(text)


@pytest.fixture(scope="module")
def class_in_slack(
    tmp_path_factory: pytest.TempPathFactory, empty: Path, practice: Practice
) -> Iterator[Bot]:
    """A running breakout; everybody of the list is in the course and in the main room."""
    with make_bot(tmp_path_factory.mktemp("slack"), empty, practice) as bot:
        for number, text in enumerate(NASTY):
            person = people.upsert_person(bot.db, ISSUER, f"n{number}", kept(text))
            people.upsert_membership(bot.db, bot.course_id, person, Role.PARTICIPANT, [])
            bot.actors[text] = Actor(ActorKind.PERSON, person, text, Role.PARTICIPANT, bot.course_id)
        bot.run_breakout(2)
        for text in NASTY:
            bot.do(text, c.EnterSession(text, Role.PARTICIPANT))
        yield bot


def in_slack(text: str) -> str:
    """What Slack sends when this is pasted: no halves of characters, no NUL, signs of its markup as entities."""
    text = text if can_be_sent(text) else kept(text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("text", NASTY)
def test_people_are_moved_from_slack_by_a_pasted_name(class_in_slack: Bot, text: str) -> None:
    bot = class_in_slack
    person = bot.actors[text].person_id
    assert person is not None
    pasted = {
        "as the roster shows it": in_slack(kept(text)),
        "as it came": in_slack(text),
        "in quotation marks": f"“{in_slack(kept(text))}”",
        "from a message of ours": escaped(text),
        "typed": in_slack(typed(text)),
    }
    for turn, (how, name) in enumerate(pasted.items()):
        room = bot.state.breakout_rooms[turn % 2]
        said = bot.say(ALICE, f"/breakout move {name} {room.number}")
        assert said == f"*{escaped(text)}* is moving to *Room {room.number}*.", how
        assert bot.state.people[person].room_id == room.room_id, how


@pytest.mark.parametrize("text", NASTY)
def test_slacks_command_and_form(class_in_slack: Bot, text: str) -> None:
    bot = class_in_slack
    sent = text if can_be_sent(text) else kept(text)

    def newest() -> str:
        return str([r.event for r in bot.events() if isinstance(r.event, MessageBroadcast)][-1].text)

    def count() -> int:
        return bot.names().count("MessageBroadcast")

    before = count()
    assert bot.say(ALICE, f"/broadcast {in_slack(text)}").startswith("Sent to 2 rooms")
    assert count() == before + 1 and newest() == clean(sent, keep_lines=True)
    view = {
        **broadcast_modal(json.dumps({"s": bot.session_id})),
        "id": "V1",
        "hash": text.encode().hex() if can_be_sent(text) else "h",
    }
    form = {"text": {"v": {"type": "plain_text_input", "value": sent}}}
    assert bot.submit(ALICE, view, form).get("response_action") != "errors"
    bot.settle()
    assert count() == before + 2 and newest() == clean(sent, keep_lines=True)


def can_be_sent(text: str) -> bool:
    """The pages' and integrators' JSON refuses NUL and halves of characters with a reason."""
    return not re.search("[\x00\ud800-\udfff]", text)


@functools.cache
def a_film() -> bytes:
    """What browsers play, as somebody uploads it."""
    raw = io.BytesIO()
    with av.open(raw, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for number in range(5):
            picture = np.full((90, 160, 3), number * 40, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return raw.getvalue()


def test_a_roster_and_its_groups_come_whole(world: World) -> None:
    """One odd row keeps nobody out, and an id that cannot be kept is told; nobody is put out for it."""
    members = [
        {
            "user_id": f"r{number}",
            "roles": ["Learner"],
            "name": text,
            "sakai_ext": {"sakai_groups": [{"id": f"g{number}", "title": text}]},
        }
        for number, text in enumerate(NASTY)
    ]
    members += [
        {"user_id": bad, "roles": ["Learner"], "name": "Odd"} for bad in ("half\ud83d", "nul\x00", "x" * 400)
    ]
    groups = [{"id": f"g{number}", "name": text} for number, text in enumerate(NASTY)]
    groups += [{"id": "empty", "name": NASTY[4]}, {"id": "bad\ud83d", "name": "x"}]
    app = Flask("roster")
    app.add_url_rule(
        "/names", "names", lambda: Response(json.dumps({"members": members}), mimetype="application/json")
    )
    app.add_url_rule(
        "/groups", "groups", lambda: Response(json.dumps({"groups": groups}), mimetype="application/json")
    )
    port = free_port()
    more = {
        "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {
            "context_memberships_url": f"http://127.0.0.1:{port}/names"
        },
        "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice": {
            "context_groups_url": f"http://127.0.0.1:{port}/groups"
        },
    }
    assert launched(world, 900, "Alice", **more).status_code == 200
    course = people.upsert_course(world.db, world.lms, "nasty900")
    with serving(app, port), token(world):
        assert sync_course(world.db, course) == ""
        names = {person.name for person in roster.list_roster(world.db, course)}
        assert names >= {kept(text) for text in NASTY} and "Odd" not in names
        found = {group.name for group in roster.list_groups(world.db, course)}
        assert found == {kept(text) for text in NASTY}
        before = roster.list_roster(world.db, course)
        members[:] = [{"user_id": 7}]
        assert sync_course(world.db, course) == "" and roster.list_roster(world.db, course) == before


def token(world: World) -> Any:
    """The practice LMS gives tokens to the tool's key; the rosters here ask for none."""
    from unittest.mock import patch

    from lti.services.connector import Connector

    return patch.object(Connector, "get_access_token", lambda *_: "token")


@pytest.mark.parametrize("bad", ["half\ud83d", "nul\x00", "x" * 400])
@pytest.mark.parametrize("where", ["sub", "context", "resource_link", "deployment_id"])
def test_an_id_that_cannot_be_kept_is_refused_with_a_reason(world: World, where: str, bad: str) -> None:
    claims: dict[str, Any] = {
        "sub": {"sub": bad},
        "context": {LTI + "context": {"id": bad, "title": "x"}},
        "resource_link": {LTI + "resource_link": {"id": bad}},
        "deployment_id": {LTI + "deployment_id": bad},
    }[where]
    answer = world.launched(**claims)
    assert answer.status_code in (400, 403), answer.text[:300]
    assert (
        "identifier that can’t be stored" in answer.text
        or "didn’t say where this tool is installed" in answer.text
    )


@pytest.mark.parametrize("text", UNSEEN)
def test_what_cannot_be_seen_names_nobody_and_nothing(world: World, text: str) -> None:
    assert boot_of(launched(world, 901, text))["person"]["name"] == "Guest"
    course = people.upsert_course(world.db, world.lms, "nasty901")
    session_id = world.rooms.open_session(course, "x", "x", "unseen")
    person = people.upsert_person(world.db, world.lms, f"{world.lms}/user/n901")
    alice = Actor(ActorKind.PERSON, person, "Alice", Role.MODERATOR, course)
    world.rooms.submit(
        Envelope(CommandId(f"in{fold(repr(text))}"), session_id, alice, c.EnterSession("x", Role.MODERATOR))
    )
    for command in (c.CreateRooms(1, names=(text,)), c.SendChat(text)):
        with pytest.raises(DomainError) as refused:
            world.rooms.submit(
                Envelope(
                    CommandId(f"u{fold(repr(text))}{type(command).__name__}"), session_id, alice, command
                )
            )
        assert refused.value.code == "bad_value"


@pytest.mark.parametrize("text", NASTY)
def test_the_film_draws_every_name_without_boxes(text: str) -> None:
    tile = Rect(0, 0, 320, 180)
    tag, clean_tag = cards.name_tag(text, False, tile), cards.name_tag(kept(text), False, tile)
    assert tag.y.shape == clean_tag.y.shape and (tag.y == clean_tag.y).all()
    letters = initials(kept(text))
    assert 1 <= len(graphemes(letters)) <= 2
    card = cards.initials_card(text, "p1", 320, 180)
    assert (card.y == cards.initials_card(kept(text), "p1", 320, 180).y).all()
    assert faces.cut(kept(text), 20, 60).removesuffix("…").rstrip() in kept(text)
