"""Commands, buttons and forms against real rooms: what they do, and to whom they are refused."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from models.store import people, slack
from models.tables import SlackCodeRow
from models.values import BreakoutStatus, CallStatus, Role
from rooms import commands as c
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import (
    ALICE,
    BOB,
    CHARLIE,
    CLASS,
    ISSUER,
    MODS,
    STRANGER,
    Bot,
    until,
)

pytestmark = pytest.mark.integration

MODERATORS_ONLY = [
    "/breakout start 2",
    "/breakout start",
    "/breakout add 5m",
    "/breakout gather",
    "/breakout shuffle",
    "/breakout next",
    "/breakout move <@U0BOB|bob> 2",
    "/breakout end",
    "/breakout end now",
    "/broadcast Two minutes left",
    "/broadcast",
    "/help-calls list",
    "/help-calls join 1",
    "/help-calls dismiss 1",
    "/record start all",
    "/record start main",
    "/record start room 1",
    "/record pause",
    "/record resume",
    "/record stop",
    "/record status",
    "/record list",
    "/room unlink",
]
BUTTONS = [
    "gather",
    "end",
    "shuffle",
    "rr",
    "add_time",
    "rec_all",
    "start_open",
    "broadcast_open",
    "help_join",
    "help_dismiss",
    "room_menu:rec_start",
    "room_menu:rec_pause",
    "room_menu:rec_stop",
    "room_menu:close",
    "card_here",
    "calls_show",
    "rec_go",
    "rec_open",
    "rec_show",
]
MODERATOR_WORDS = "Only moderators can do this."
COURSE_WORDS = "You do not belong to this course."
CONNECT_WORDS = "Connect your course account first"


@pytest.fixture
def running(bot: Bot) -> Bot:
    """A breakout with two rooms, Bob calls from room 1, which is recorded."""
    bot.run_breakout(2)
    bot.do(BOB, c.CallModerator())
    bot.do(ALICE, c.StartRecording(bot.state.breakout_rooms[0].room_id))
    return bot


def the_call(bot: Bot) -> Any:
    (call,) = bot.state.calls.values()
    return call


def press_any(bot: Bot, user: str, button: str, team: str = TEAM_ID) -> str:
    name, _, what = button.partition(":")
    value = str(bot.session_id)
    if name == "rec_go":
        value = f"{bot.session_id}:2"
    elif what:
        value = f"{what}:{bot.session_id}:1"
    elif name.startswith("help_"):
        value = f"{bot.session_id}:{the_call(bot).call_id}"
    return bot.press(user, name, value, team=team)


# -- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", MODERATORS_ONLY)
def test_commands_of_moderators_are_refused_to_all_others(running: Bot, line: str) -> None:
    before = running.events()
    for user, words in ((BOB, MODERATOR_WORDS), (CHARLIE, COURSE_WORDS), (STRANGER, CONNECT_WORDS)):
        assert words in running.say(user, line), user
        assert running.slack.store.views_of(user) == []
    assert running.events() == before
    assert MODS in [link.channel_id for link in slack.channels_of(running.db, running.course_id)]


@pytest.mark.parametrize("button", BUTTONS)
def test_buttons_of_moderators_are_refused_to_all_others(running: Bot, button: str) -> None:
    before = running.events()
    for user, words in ((BOB, MODERATOR_WORDS), (CHARLIE, COURSE_WORDS), (STRANGER, CONNECT_WORDS)):
        assert words in press_any(running, user, button), user
        assert running.slack.store.views_of(user) == []
    assert running.events() == before


@pytest.mark.parametrize("button", ["end", "help_join", "start_open", "room_menu:rec_stop"])
def test_somebody_of_another_organisation_is_nobody(running: Bot, button: str) -> None:
    before = running.events()
    assert "another Slack workspace" in press_any(running, ALICE, button, team="T0OTHER")
    assert running.events() == before


@pytest.mark.parametrize("user", [BOB, CHARLIE, STRANGER])
def test_forms_are_refused_to_all_others(bot: Bot, user: str) -> None:
    bot.say(ALICE, "/breakout start")
    view = bot.view(ALICE)
    before = bot.events()
    assert bot.submit(user, view, create_values())["response_action"] == "errors"
    assert bot.events() == before


def test_a_role_that_was_taken_away_counts_at_once(running: Bot) -> None:
    person_id = running.actors[ALICE].person_id
    assert person_id is not None
    people.upsert_membership(running.db, running.course_id, person_id, Role.PARTICIPANT, [])
    assert MODERATOR_WORDS in press_any(running, ALICE, "end")
    assert running.state.breakout.status.value == "running"


# -- what they do ----------------------------------------------------------------------------------------------


def test_start_with_everything_in_one_line(bot: Bot) -> None:
    said = bot.say(ALICE, "/breakout start 4 for 15m auto record")
    assert said == "4 rooms start in 5 s. Every room is recorded."
    state = bot.state
    assert len(state.breakout_rooms) == 4
    assert (state.breakout.time_limit_s, state.breakout.record) == (900, True)
    assert state.breakout.status.value == "starting"
    assert "already running" in bot.say(ALICE, "/room breakout start 4 for 15m auto record")


def test_the_running_breakout_is_steered(running: Bot) -> None:
    bob = running.actors[BOB].person_id
    assert bob is not None
    ends = running.state.breakout.ends_at
    assert running.say(ALICE, "/breakout add 5m") == "Added 5 min."
    assert running.state.breakout.ends_at == ends + timedelta(minutes=5)  # type: ignore[operator]
    assert running.say(ALICE, "/breakout move <@U0BOB|bob> 2") == "*Bob* moves to *Room 2*."
    assert running.state.people[bob].room_id == running.state.breakout_rooms[1].room_id
    assert "no room 9" in running.say(ALICE, "/breakout move <@U0BOB|bob> 9")
    assert running.say(ALICE, "/broadcast “Two minutes left”") == "Sent to 2 rooms, 1 person."
    assert "MessageBroadcast" in running.names()
    assert running.say(ALICE, "/broadcast 2: Only you").startswith("Sent to 1 room,")
    assert (
        running.say(ALICE, "/breakout end")
        == "End the breakout for 1 person? Everybody returns after a countdown."
    )
    assert running.state.breakout.status is BreakoutStatus.RUNNING, "asked first"
    assert "ends after the countdown" in running.press(ALICE, "end", running.session_id)
    assert running.state.breakout.status.value in ("closing", "configured", "none")


def test_recording_from_slack(bot: Bot) -> None:
    assert bot.say(ALICE, "/record start") == "Record *Main room*? Everybody there sees that it is recorded."
    assert bot.state.recordings == {}, "asked first"
    assert "momentarily" in bot.press(ALICE, "rec_go", f"{bot.session_id}:0")
    (recording,) = bot.state.recordings.values()
    assert recording.started_by == bot.actors[ALICE].person_id
    assert "already being recorded" in bot.say(ALICE, "/record start main now")
    assert "recording starting" in bot.say(ALICE, "/record status")
    assert "Recording stops" in bot.say(ALICE, "/record stop")
    assert next(iter(bot.state.recordings.values())).desired == "stopped"


def test_one_room_of_two_recordings(bot: Bot) -> None:
    """Stopping room 2 must leave room 1's recording alone."""
    bot.run_breakout(2)
    bot.say(ALICE, "/record start room 1 now")
    bot.say(ALICE, "/record start room 2 now")
    first, second = bot.state.recordings
    for said in ("/record stop rom 2", "/record stop room", "/record pause 1 2", "/breakout end soon"):
        bot.say(ALICE, said)
    assert bot.state.breakout.status is BreakoutStatus.RUNNING
    assert {r.desired for r in bot.state.recordings.values()} == {"recording"}
    assert "no room 7" in bot.say(ALICE, "/record stop room 7")
    assert "Recording stops" in bot.say(ALICE, "/record stop room 2")
    assert bot.state.recordings[first].desired == "recording"
    assert bot.state.recordings[second].desired == "stopped"
    assert bot.say(ALICE, "/record pause main")
    assert bot.state.recordings[first].desired == "recording"


def test_status_help_and_an_unknown_verb(bot: Bot) -> None:
    assert "Main room: 2" in bot.say(BOB, "/room")
    answer = bot.post(slack_client.command_body(STRANGER, MODS, "/room", "help"))
    assert "/breakout start" in str(answer.json)
    assert "Did you mean `start`" in bot.say(ALICE, "/breakout sart 4")


def test_no_live_session_is_said(bot: Bot) -> None:
    bot.do(ALICE, c.EndSession())
    assert "no live session" in bot.say(ALICE, "/room status")


# -- help calls ------------------------------------------------------------------------------------------------


def second_moderator(bot: Bot) -> str:
    person_id = people.upsert_person(bot.db, ISSUER, "olga", "Olga")
    people.upsert_membership(bot.db, bot.course_id, person_id, Role.MODERATOR, [])
    bot.slack.store.set_user("U0OLGA")
    slack.link_user(bot.db, TEAM_ID, "U0OLGA", person_id)
    olga = bot.actors[ALICE].__class__(
        bot.actors[ALICE].kind, person_id, "Olga", Role.MODERATOR, bot.course_id
    )
    bot.actors["U0OLGA"] = olga
    bot.do("U0OLGA", c.EnterSession("Olga", Role.MODERATOR))
    return "U0OLGA"


def test_a_race_for_a_call_is_decided_once(running: Bot) -> None:
    olga = second_moderator(running)
    value = f"{running.session_id}:{the_call(running).call_id}"
    bodies = [
        slack_client.interaction_body(
            running.action(user, {"action_id": "help_join", "type": "button", "value": value})
        )
        for user in (ALICE, olga)
    ]
    gate = threading.Barrier(2)
    statuses = []

    def press(body: str) -> None:
        gate.wait(10)
        statuses.append(running.post(body).status_code)

    threads = [threading.Thread(target=press, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200, 200]
    running.settle()
    assert running.names().count("CallClaimed") == 1
    assert the_call(running).status is CallStatus.CLAIMED
    running.answered(ALICE)
    texts = sorted(
        str(m["text"])
        for user in (ALICE, olga)
        for m in running.slack.store.seen_by(MODS, user)
        if m.get("only_for") == user
    )
    assert texts[1] == "You are on the way."
    assert texts[0] in ("*Alice* is already on the way.", "*Olga* is already on the way.")


def test_calls_by_number(running: Bot) -> None:
    assert running.say(ALICE, "/help-calls") == "1. Bob in Room 1 asks for help (raised)"
    assert "no call 7" in running.say(ALICE, "/help-calls join 7")
    assert running.say(ALICE, "/help-calls dismiss 1") == "Dismissed."
    assert the_call(running).status is CallStatus.DISMISSED
    assert running.say(ALICE, "/help-calls list") == "Nobody is waiting for help."
    assert "already closed" in press_any(running, ALICE, "help_join")


def test_a_moderator_whose_page_is_closed_comes_in_at_the_caller(running: Bot) -> None:
    person_id = running.actors[ALICE].person_id
    assert person_id is not None
    running.do(ALICE, c.LeaveSession(person_id))
    said = press_any(running, ALICE, "help_join")
    assert "Open the room: you come in where you are called" in said
    running.do(ALICE, c.EnterSession("Alice", Role.MODERATOR))
    assert running.state.people[person_id].room_id == the_call(running).room_id


def test_calls_end_with_the_session(running: Bot) -> None:
    with running.posting():
        running.do(ALICE, c.AddTime(60))
        until(lambda: any("asks for help" in m["text"] for m in running.bot_messages()), "the call")
        running.do(ALICE, c.EndSession())
        until(
            lambda: not any("help_join" in str(m["blocks"]) for m in running.bot_messages()),
            "the call without buttons",
        )


# -- forms and menus -------------------------------------------------------------------------------------------


def create_values(
    rooms: str | None = "3", mins: str | None = "10", opts: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "rooms": {"v": {"type": "number_input", "value": rooms}},
        "assign": {"v": {"type": "radio_buttons", "selected_option": {"value": "auto"}}},
        "mins": {"v": {"type": "number_input", "value": mins}},
        "opts": {"v": {"type": "checkboxes", "selected_options": [{"value": value} for value in opts]}},
    }


def test_the_form_starts_a_breakout(bot: Bot) -> None:
    assert bot.say(ALICE, "/breakout start") == ""
    view = bot.view(ALICE)
    assert view["callback_id"] == "create_breakout"
    wrong = bot.submit(ALICE, view, create_values(rooms="many"))
    assert wrong == {"response_action": "errors", "errors": {"rooms": "Give a whole number."}}
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
    assert "could not be opened" in bot.say(ALICE, "/breakout start")


def test_the_room_menu(running: Bot) -> None:
    first, second = running.state.breakout_rooms

    def choose(what: str, number: int) -> str:
        return running.press(ALICE, "room_menu", f"{what}:{running.session_id}:{number}")

    assert choose("join", 2) == "You are moving to *Room 2*."
    assert running.state.people[running.actors[ALICE].person_id].room_id == second.room_id  # type: ignore[index]
    assert "Record *Room 2*?" in choose("rec_start", 2)
    assert "momentarily" in running.press(ALICE, "rec_go", f"{running.session_id}:2")
    assert {r.room_id for r in running.state.recordings.values()} == {first.room_id, second.room_id}
    assert "Recording stops" in choose("rec_stop", 2)
    assert "no room 9" in choose("rec_start", 9)
    assert "no live session" in running.press(ALICE, "room_menu", "rec_start:another:1")
    assert "has ended" in running.press(ALICE, "room_menu", "nonsense")


# -- connecting and linking ------------------------------------------------------------------------------------


def test_connect_by_code_once(bot: Bot) -> None:
    person_id = str(bot.actors[BOB].person_id)
    code = slack.issue_code(bot.db, person_id)
    assert "wrong, used or older" in bot.say(STRANGER, "/room connect AAAA2222")
    assert bot.say(STRANGER, f"/room connect {code}") == ""
    assert "*Bob Keller*" in str(bot.view(STRANGER)["blocks"]), "who it is, is shown first"
    assert "BIO 101" in str(bot.view(STRANGER)["blocks"])
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) is None
    assert bot.connect(STRANGER, f"{code[:4].lower()}-{code[4:]}") == "Connected as *Bob Keller*."
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) == person_id
    assert slack.person_of(bot.db, TEAM_ID, BOB) is None, "a new link replaces the old one"
    bot.slack.store.set_user("U0THIEF")
    assert "wrong, used or older" in bot.say("U0THIEF", f"/room connect {code}")
    assert "Disconnect your" in bot.say(STRANGER, "/room disconnect")
    assert "Disconnected" in bot.press(STRANGER, "disconnect")
    assert CONNECT_WORDS in bot.say(STRANGER, "/room status")


def test_an_old_code_is_refused(bot: Bot) -> None:
    code = slack.issue_code(bot.db, str(bot.actors[BOB].person_id))
    with bot.db.write() as session:
        session.execute(update(SlackCodeRow).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert "wrong, used or older" in bot.say(STRANGER, f"/room connect {code}")


def test_five_wrong_codes_lock_for_a_while(bot: Bot) -> None:
    code = slack.issue_code(bot.db, str(bot.actors[BOB].person_id))
    for number in range(5):
        assert "wrong" in bot.say(STRANGER, f"/room connect AAAA222{number}")
    assert "Too many wrong codes" in bot.say(STRANGER, f"/room connect {code}")
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) is None
    bot.slack.store.set_user("U0BOBNEW")
    assert "Connected" in bot.connect("U0BOBNEW", code), "others are not locked out"


def test_link_and_unlink_a_channel(bot: Bot) -> None:
    assert "Unlink this channel?" in bot.say(ALICE, "/room unlink")
    assert MODERATOR_WORDS in bot.press(BOB, "unlink", MODS)
    assert "not linked" in bot.press(ALICE, "unlink", MODS)
    assert MODS not in [link.channel_id for link in slack.channels_of(bot.db, bot.course_id)]
    assert MODERATOR_WORDS in bot.say(BOB, "/room link moderators")
    assert (
        bot.say(ALICE, "/room link moderators")
        == "This channel is linked to *BIO 101* as its moderators' channel."
    )
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert (link.course_id, link.role) == (bot.course_id, "moderators")


def test_a_channel_of_another_course_cannot_be_taken(bot: Bot) -> None:
    assert "linked to another course" in bot.say(CHARLIE, "/room link moderators")
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert link.course_id == bot.course_id


def test_a_public_channel_gets_no_help_calls(bot: Bot) -> None:
    bot.press(ALICE, "unlink", CLASS, CLASS)
    assert "Everybody can read" in bot.say(ALICE, "/room link moderators", CLASS)
    assert slack.channel_link(bot.db, TEAM_ID, CLASS) is None
    assert "class channel" in bot.say(ALICE, "/room link class", CLASS)


def test_the_app_must_be_in_the_channel(bot: Bot) -> None:
    assert "/invite" in bot.say(ALICE, "/room link moderators", "C0UNSEEN")
    bot.slack.store.faults["conversations.info"].append({"status": 500, "error": "internal_error"})
    assert "try again" in bot.say(ALICE, "/room link moderators")


def test_who_moderates_two_courses_says_which(bot: Bot) -> None:
    person_id = bot.actors[ALICE].person_id
    assert person_id is not None
    chemistry = people.upsert_course(bot.db, ISSUER, "che1", "CHE 1 <!channel>")
    people.upsert_membership(bot.db, chemistry, person_id, Role.MODERATOR, [])
    said = bot.say(ALICE, "/room link moderators")
    assert "Say which course" in said
    assert "<!channel>" not in said
    assert "linked to *CHE 1" in bot.say(ALICE, "/room link moderators che 1")
    assert "linked to *BIO 101*" in bot.say(ALICE, "/room link moderators BIO 101")


def test_a_suspended_channel_says_how_to_mend_it(bot: Bot) -> None:
    bot.event({"type": "channel_shared", "channel": MODS})
    assert "suspended" in bot.say(ALICE, "/room status")
    assert "linked to *BIO 101*" in bot.say(ALICE, "/room link moderators")
    assert "Main room" in bot.say(ALICE, "/room status")


def test_zero_is_a_number(bot: Bot) -> None:
    """Nought is not “nothing said”."""
    assert "start in" not in bot.say(ALICE, "/breakout start 0")
    assert bot.state.breakout_rooms == ()
    bot.run_breakout(2)
    ends = bot.state.breakout.ends_at
    assert "Added" not in bot.say(ALICE, "/breakout add 0")
    assert bot.state.breakout.ends_at == ends
    assert bot.say(ALICE, "/room join 2") == "You are moving to *Room 2*."
    assert bot.say(ALICE, "/room join 0") == "You are moving to *Main room*."
    bot.do(BOB, c.CallModerator())
    assert "no call 0" in bot.say(ALICE, "/help-calls join 0")
