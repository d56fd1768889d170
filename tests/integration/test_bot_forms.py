"""Forms, shortcuts that open them, menus and questions."""

from __future__ import annotations

import json

import pytest

from models.store import people, slack
from models.values import Role
from rooms import commands as c
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import (
    ALICE,
    BOB,
    CHARLIE,
    ISSUER,
    MODS,
    STRANGER,
    Bot,
    until,
)
from tests.slackacts import (
    create_values,
    press_any,
    shortcut,
)

pytestmark = pytest.mark.integration


def test_the_form_starts_a_breakout(bot: Bot) -> None:
    assert bot.say(ALICE, "/breakout start") == ""
    view = bot.view(ALICE)
    assert view["callback_id"] == "create_breakout"
    wrong = bot.submit(ALICE, view, create_values(rooms="many"))
    assert wrong == {"response_action": "errors", "errors": {"rooms": "Enter a whole number."}}
    wrong = bot.submit(ALICE, view, create_values(mins="²"))
    assert set(wrong["errors"]) == {"mins"}
    assert set(bot.submit(ALICE, view, create_values(rooms="101"))["errors"]) == {"rooms"}
    assert set(bot.submit(ALICE, view, create_values(rooms=None))["errors"]) == {"rooms"}
    assert bot.state.breakout_rooms == ()
    assert bot.submit(ALICE, view, create_values(mins=None, opts=("record", "may_return"))) == {}
    assert len(bot.state.breakout_rooms) == 3
    assert (bot.state.breakout.time_limit_s, bot.state.breakout.record) == (None, True)


def test_the_broadcast_form(running: Bot) -> None:
    assert press_any(running, ALICE, "broadcast_open") == ""
    text = {"text": {"v": {"type": "plain_text_input", "value": "Come back"}}}
    assert running.submit(ALICE, running.view(ALICE), text) == {}
    assert "MessageBroadcast" in running.names()
    empty = {"text": {"v": {"type": "plain_text_input", "value": None}}}
    assert running.submit(ALICE, {**running.view(ALICE), "hash": "2"}, empty)["response_action"] == "errors"


def test_a_form_of_an_ended_session_is_refused(bot: Bot) -> None:
    bot.say(ALICE, "/breakout start")
    view = bot.view(ALICE)
    bot.do(ALICE, c.EndSession())
    bot.rooms.open_session(bot.course_id, "BIO 101", "Room")
    assert "has ended" in bot.submit(ALICE, view, create_values())["errors"]["rooms"]


def test_a_form_that_slack_does_not_open(bot: Bot) -> None:
    bot.slack.store.faults["views.open"].append({"error": "expired_trigger_id"})
    assert "couldn’t be opened" in bot.say(ALICE, "/breakout start")


def test_the_room_menu(running: Bot) -> None:
    first, second = running.state.breakout_rooms

    def choose(what: str, number: int) -> str:
        return running.press(ALICE, "room_menu", f"{what}:{running.session_id}:{number}")

    assert choose("join", 2) == "You’re moving to *Room 2*."
    assert running.state.people[running.actors[ALICE].person_id].room_id == second.room_id  # type: ignore[index]
    assert "Record *Room 2*?" in choose("rec_start", 2)
    assert "momentarily" in running.press(ALICE, "rec_go", f"{running.session_id}:2")
    assert {r.room_id for r in running.state.recordings.values()} == {first.room_id, second.room_id}
    assert "Recording stopped" in choose("rec_stop", 2)
    assert "no room 9" in choose("rec_start", 9)
    assert "no live session" in running.press(ALICE, "room_menu", "rec_start:another:1")
    assert "has ended" in running.press(ALICE, "room_menu", "nonsense")


def test_a_message_is_broadcast_by_its_shortcut(bot: Bot) -> None:
    bot.run_breakout(2)
    for user in (BOB, CHARLIE, STRANGER):
        shortcut(bot, user, "broadcast_message", "Five minutes left")
        assert bot.slack.store.views_of(user) == []
    shortcut(bot, ALICE, "broadcast_message", "Five minutes left")
    view = bot.view(ALICE)
    assert view["blocks"][-1]["element"]["initial_value"] == "Five minutes left"
    text = {"text": {"v": {"type": "plain_text_input", "value": "Five minutes left"}}}
    assert bot.submit(ALICE, view, text) == {}
    assert "MessageBroadcast" in bot.names()
    assert bot.answered(ALICE).startswith("Sent to 2 rooms")


def test_a_breakout_is_started_from_anywhere(bot: Bot) -> None:
    shortcut(bot, BOB, "start_breakout")
    assert bot.slack.store.views_of(BOB) == []
    shortcut(bot, ALICE, "start_breakout")
    assert bot.view(ALICE)["callback_id"] == "create_breakout"


def test_who_has_two_live_courses_says_which_in_the_form(bot: Bot) -> None:
    alice = bot.actors[ALICE].person_id
    assert alice is not None
    chemistry = people.upsert_course(bot.db, ISSUER, "che1", "CHE 1")
    people.upsert_membership(bot.db, chemistry, alice, Role.MODERATOR, [])
    other = bot.rooms.open_session(chemistry, "CHE 1", "Room")
    shortcut(bot, ALICE, "start_breakout")
    view = bot.view(ALICE)
    choices = view["blocks"][0]["element"]["options"]
    assert {option["value"] for option in choices} == {bot.session_id, other}
    values = {
        "session": {"v": {"type": "static_select", "selected_option": {"value": other}}},
        "rooms": {"v": {"type": "number_input", "value": "2"}},
        "assign": {"v": {"type": "radio_buttons", "selected_option": {"value": "auto"}}},
        "mins": {"v": {"type": "number_input", "value": None}},
        "opts": {"v": {"type": "checkboxes", "selected_options": []}},
    }
    assert bot.submit(ALICE, view, values) == {}
    assert len(bot.rooms.state(other).breakout_rooms) == 2
    assert bot.state.breakout_rooms == ()


def test_existing_rooms_may_be_kept(bot: Bot) -> None:
    bot.do(ALICE, c.CreateRooms(3, countdown_s=0))
    bot.say(ALICE, "/breakout start")
    options = bot.view(ALICE)["blocks"][1]["element"]["options"]
    assert options[0]["value"] == "keep"
    assert "start in" in bot.say(ALICE, "/breakout start keep for 7m")
    assert len(bot.state.breakout_rooms) == 3
    assert bot.state.breakout.time_limit_s == 7 * 60


def test_an_answer_takes_the_place_of_its_question(bot: Bot) -> None:
    bot.run_breakout(2)
    said = bot.post(slack_client.command_body(ALICE, MODS, "/breakout", "end")).json or {}
    ts = bot.slack.store.add(MODS, {"bot": True, **said, "only_for": ALICE})
    question = bot.slack.store.find(MODS, ts) or {}
    url = bot.slack.store.new_response_url(bot.slack.url, MODS, ALICE, ts)
    action = {**question["blocks"][1]["elements"][0], "action_ts": "1"}
    payload = slack_client.action_payload(ALICE, MODS, question, action, url)
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200
    bot.settle()
    bot.outbox().work()
    found = bot.slack.store.find(MODS, ts) or {}
    assert found["text"] == "The breakout will end after the countdown."
    assert found["blocks"] == []


def test_a_room_is_emptied_from_the_card(bot: Bot) -> None:
    bot.run_breakout(2)
    bob = bot.actors[BOB].person_id
    assert bob is not None
    room = next(r for r in bot.state.breakout_rooms if r.room_id == bot.state.people[bob].room_id)
    said = bot.press(ALICE, "room_menu", f"close:{bot.session_id}:{room.number}")
    assert "is returning to the main room" in said
    assert bot.state.people[bob].room_id == "main"
    assert "No one is in" in bot.press(ALICE, "room_menu", f"close:{bot.session_id}:{room.number}")


def test_the_card_is_posted_anew_where_one_asks(bot: Bot) -> None:
    bot.run_breakout(2)
    with bot.posting():
        until(lambda: bot.bot_messages(), "the card")
        (first,) = bot.bot_messages()
        answer = bot.post(slack_client.command_body(ALICE, MODS, "/room", "")).json or {}
        assert answer["blocks"][-1]["elements"][0]["action_id"] == "card_here"
        bot.click(ALICE, "card_here", bot.session_id)
        until(lambda: len(bot.bot_messages()) == 2, "the card again")
        bot.do(ALICE, c.RenameRoom(bot.state.breakout_rooms[0].room_id, "Corner"))
        until(lambda: "Corner" in json.dumps(bot.bot_messages()[-1]), "the new card is rewritten")
        until(lambda: "has moved further down" in bot.bot_messages()[0]["text"], "the old card says so")
    assert "end" not in json.dumps(bot.bot_messages()[0]["blocks"]), "it has no buttons"
    assert bot.bot_messages()[0]["ts"] == first["ts"]
    permalink = slack.permalink(bot.db, TEAM_ID, MODS, f"card:{bot.session_id}")
    assert permalink.startswith("https://practice.slack.com/archives/")
    body = slack_client.command_body(ALICE, MODS, "/breakout", "start 2")
    blocks = (bot.post(body).json or {})["blocks"]
    assert blocks[0]["block_id"] == "refused:already_running"
    assert blocks[1]["elements"][0]["url"] == permalink


def test_an_old_card_that_was_deleted_stays_deleted(bot: Bot) -> None:
    slack.save_message(bot.db, TEAM_ID, MODS, f"card:{bot.session_id}", "1.000009")
    bot.press(ALICE, "card_here", str(bot.session_id))
    for _ in range(3):
        bot.outbox().work()
    assert "has moved further down" not in json.dumps(bot.bot_messages())
    assert bot.waiting == 0
