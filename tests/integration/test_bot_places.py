"""Where something is said: direct messages of people with several courses, channels of one room of a course."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.store import deeplinks, people, slack
from models.values import Actor, ActorKind, CommandId, Role, SessionId
from rooms import commands as c
from rooms.commands import Envelope
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import ALICE, BOB, CHARLIE, CLASS, ISSUER, MODS, Bot, until

pytestmark = pytest.mark.integration
DIRECT = "D0ALICE"


@pytest.fixture
def second(bot: Bot) -> SessionId:
    """Alice moderates CHE 200 too; its room is live."""
    course = people.upsert_course(bot.db, ISSUER, "che200", "CHE 200")
    person_id = bot.actors[ALICE].person_id
    assert person_id is not None
    people.upsert_membership(bot.db, course, person_id, Role.MODERATOR, [])
    session_id = bot.rooms.open_session(course, "CHE 200", "Room")
    alice = Actor(ActorKind.PERSON, person_id, "Alice", Role.MODERATOR, course)
    enter = c.EnterSession("Alice", Role.MODERATOR)
    bot.rooms.submit(Envelope(CommandId("enter"), session_id, alice, enter))
    return session_id


def said(bot: Bot, line: str, channel: str = DIRECT, user: str = ALICE) -> dict[str, Any]:
    command, _, text = line.partition(" ")
    trigger = bot.slack.store.new_trigger(user)
    answer = bot.post(slack_client.command_body(user, channel, command, text, "", trigger))
    return dict(answer.get_json(silent=True) or {})


def buttons(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (row,) = [block for block in answer["blocks"] if block["type"] == "actions"]
    return {element["text"]["text"]: element for element in row["elements"]}


def press(bot: Bot, button: dict[str, Any], user: str = ALICE) -> str:
    return bot.press(user, button["action_id"], button["value"], channel=DIRECT)


def test_where_two_are_live_one_says_which(bot: Bot, second: SessionId) -> None:
    asked = said(bot, "/breakout start 3 manual")
    assert asked["text"] == "Which course?"
    assert set(buttons(asked)) == {"BIO 101", "CHE 200"}
    assert "3 rooms start" in press(bot, buttons(asked)["CHE 200"])
    assert len(bot.rooms.state(second).breakout_rooms) == 3
    assert bot.state.breakout_rooms == ()


def test_a_chosen_course_gives_no_right(bot: Bot, second: SessionId) -> None:
    button = buttons(said(bot, "/breakout start 3 manual"))["CHE 200"]
    for user, words in ((BOB, "not in this course"), (CHARLIE, "not in this course")):
        assert words in press(bot, button, user)
    assert bot.rooms.state(second).breakout_rooms == ()
    in_class = json.loads(button["value"])
    in_class["in"] = bot.session_id
    assert "Only moderators" in press(bot, {**button, "value": json.dumps(in_class)}, BOB)


def test_recordings_are_listed_of_the_course_that_was_chosen(bot: Bot, second: SessionId) -> None:
    assert "no recordings" in press(bot, buttons(said(bot, "/record list"))["CHE 200"])


def test_a_form_opens_in_the_course_that_was_chosen(bot: Bot, second: SessionId) -> None:
    press(bot, buttons(said(bot, "/breakout start"))["CHE 200"])
    assert json.loads(bot.view(ALICE)["private_metadata"])["s"] == second


def test_in_the_channel_nothing_is_asked(bot: Bot, second: SessionId) -> None:
    assert "3 rooms start" in said(bot, "/breakout start 3 manual", MODS)["text"]


def test_a_direct_message_is_not_linked_and_takes_no_card(bot: Bot) -> None:
    assert "in the channel you want to link" in said(bot, "/room link moderators")["text"]
    assert "Post card here" not in json.dumps(said(bot, "/room status"))
    assert "Post card here" in json.dumps(said(bot, "/room status", MODS))


# -- rooms of a course -----------------------------------------------------------------------------------------


def test_a_channel_may_belong_to_one_room_of_the_course(bot: Bot) -> None:
    deeplinks.ensure_room(bot.db, bot.course_id, "lab", "Lab", {})
    answer = said(bot, "/room link class BIO 101 · Lab", CLASS)["text"]
    assert answer == "This channel is linked to *BIO 101 · Lab* as its class channel."
    assert "BIO 101 · every room" in said(bot, "/room link moderators bio 101", MODS)["text"]
    assert "no live session" in said(bot, "/room status", CLASS)["text"]
    lab = bot.rooms.open_session(bot.course_id, "BIO 101", "Lab", "lab")
    assert "BIO 101" in said(bot, "/room status", CLASS)["text"]
    with bot.posting():
        until(lambda: len(bot.bot_messages(MODS)) >= 3, "cards of both rooms, and the notice of the link")
        until(lambda: len(bot.bot_messages(CLASS)) >= 2, "the card of the lab, and the notice")
        bot.do(ALICE, c.CreateRooms(2))
        until(lambda: bot.waiting == 0, "all is sent")
    in_class = json.dumps(bot.bot_messages(CLASS))
    assert str(lab) in in_class
    assert str(bot.session_id) not in in_class


def test_the_form_offers_the_rooms_too(bot: Bot) -> None:
    deeplinks.ensure_room(bot.db, bot.course_id, "lab", "Lab", {})
    said(bot, "/room link", CLASS)
    view = bot.view(ALICE)
    assert view["blocks"][0]["element"]["initial_option"]["text"]["text"] == "BIO 101 · every room"
    values = {
        "course": {"course_pick": {"selected_option": {"value": f"{bot.course_id}/lab"}}},
        "role": {"v": {"selected_option": {"value": "class"}}},
    }
    assert bot.submit(ALICE, view, values) == {}
    link = slack.channel_link(bot.db, TEAM_ID, CLASS)
    assert link is not None
    assert (link.course_id, link.room_key) == (bot.course_id, "lab")


def test_a_channel_that_is_no_longer_shared_works_again(bot: Bot) -> None:
    bot.event({"type": "channel_shared", "channel": MODS, "connected_team_id": "T0OTHER"})
    bot.event({"type": "channel_unshared", "channel": MODS, "is_ext_shared": True})
    assert "suspended" in bot.say(ALICE, "/room status"), "another organisation is still there"
    bot.event({"type": "channel_unshared", "channel": MODS, "is_ext_shared": False})
    assert "BIO 101" in bot.say(ALICE, "/room status")
