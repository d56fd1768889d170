"""What commands do: breakouts, recordings, status, people moved by name."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from models.store import people, slack_inbox
from models.values import BreakoutStatus, Role
from rooms import commands as c
from rooms.commands import Envelope
from rooms.errors import DomainError
from rooms.ports import Accepted
from sandbox.slack import client as slack_client
from tests.botkit import (
    ALICE,
    BOB,
    CHARLIE,
    ISSUER,
    MODS,
    STRANGER,
    Bot,
)
from tests.slackacts import second_moderator

pytestmark = pytest.mark.integration


def test_start_with_everything_in_one_line(bot: Bot) -> None:
    said = bot.say(ALICE, "/breakout start 4 for 15m auto record")
    assert said == "4 rooms start in 5 s. Time limit: 15 min. All rooms are recorded."
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
    assert running.say(ALICE, "/breakout move <@U0BOB|bob> 2") == "*Bob* is moving to *Room 2*."
    assert running.state.people[bob].room_id == running.state.breakout_rooms[1].room_id
    assert "no room 9" in running.say(ALICE, "/breakout move <@U0BOB|bob> 9")
    assert running.say(ALICE, "/broadcast “Two minutes left”") == "Sent to 2 rooms, 1 person."
    assert "MessageBroadcast" in running.names()
    assert running.say(ALICE, "/broadcast 2: Only you") == "Sent to Room 2 only, 1 person."
    assert (
        running.say(ALICE, "/breakout end")
        == "End the breakout for 1 person? Everyone returns after a countdown."
    )
    assert running.state.breakout.status is BreakoutStatus.RUNNING, "asked first"
    assert "will end after the countdown" in running.press(ALICE, "end", running.session_id)
    assert running.state.breakout.status.value in ("closing", "configured", "none")


def test_recording_from_slack(bot: Bot) -> None:
    assert (
        bot.say(ALICE, "/record start")
        == "Record *Main room*? Everyone there will see that it’s being recorded."
    )
    assert bot.state.recordings == {}, "asked first"
    assert "momentarily" in bot.press(ALICE, "rec_go", f"{bot.session_id}:0")
    (recording,) = bot.state.recordings.values()
    assert recording.started_by == bot.actors[ALICE].person_id
    assert "already being recorded" in bot.say(ALICE, "/record start main now")
    assert "recording starting" in bot.say(ALICE, "/record status")
    assert "Recording stopped" in bot.say(ALICE, "/record stop")
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
    assert "Recording stopped" in bot.say(ALICE, "/record stop room 2")
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


def test_zero_is_a_number(bot: Bot) -> None:
    """Nought is not “nothing said”."""
    assert "start in" not in bot.say(ALICE, "/breakout start 0")
    assert bot.state.breakout_rooms == ()
    bot.run_breakout(2)
    ends = bot.state.breakout.ends_at
    assert "Added" not in bot.say(ALICE, "/breakout add 0")
    assert bot.state.breakout.ends_at == ends
    assert bot.say(ALICE, "/room join 2") == "You’re moving to *Room 2*."
    assert bot.say(ALICE, "/room join 0") == "You’re moving to *Main room*."
    bot.do(BOB, c.CallModerator())
    assert "no call 0" in bot.say(ALICE, "/help-calls join 0")


def test_people_are_moved_by_mention_or_name_also_before_they_come(bot: Bot) -> None:
    bot.run_breakout(2)
    ben = people.upsert_person(bot.db, ISSUER, "ben", "Ben Okafor")
    people.upsert_membership(bot.db, bot.course_id, ben, Role.PARTICIPANT, [])
    assert bot.say(ALICE, "/breakout move Bob Keller 2") == "*Bob* is moving to *Room 2*."
    said = bot.say(ALICE, "/breakout move “Ben Okafor” to room 2")
    assert said == "*Ben Okafor* hasn’t joined yet. They’ll go to *Room 2* when they join."
    assert bot.state.expected[ben] == bot.state.breakout_rooms[1].room_id
    assert "hasn’t connected" in bot.say(ALICE, f"/breakout move <@{STRANGER}> 2")
    assert "isn’t in this course" in bot.say(ALICE, f"/breakout move <@{CHARLIE}> 2")
    assert "No one in this course is called" in bot.say(ALICE, "/breakout move Charlie Novak 2")
    twin = people.upsert_person(bot.db, ISSUER, "ben2", "Ben Okafor")
    people.upsert_membership(bot.db, bot.course_id, twin, Role.PARTICIPANT, [])
    assert "More than one person" in bot.say(ALICE, "/breakout move Ben Okafor 1")


def test_a_live_room_is_opened_by_its_moderator(bot: Bot) -> None:
    bot.do(ALICE, c.EndSession())
    assert "no live session" in bot.say(ALICE, "/room status")
    assert "Only moderators" in bot.press(BOB, "session_start")
    assert "You’re not in this course" in bot.press(CHARLIE, "session_start")
    assert bot.rooms.live_session(bot.course_id) is None
    assert "is live" in bot.press(ALICE, "session_start")
    assert bot.rooms.live_session(bot.course_id) is not None


def test_two_who_start_at_once_start_one_breakout(bot: Bot) -> None:
    olga = second_moderator(bot)
    gate = threading.Barrier(3)
    said: dict[str, str] = {}

    def start(user: str, count: int) -> None:
        gate.wait(20)
        said[user] = bot.say(user, f"/breakout start {count} manual")

    def page() -> None:
        gate.wait(20)
        try:
            bot.do(ALICE, c.CreateRooms(5))
            bot.do(ALICE, c.StartBreakout())
            said["page"] = "rooms start"
        except DomainError as error:
            said["page"] = error.code

    threads = [
        threading.Thread(target=start, args=(ALICE, 3)),
        threading.Thread(target=start, args=(olga, 4)),
        threading.Thread(target=page),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert bot.names().count("BreakoutStarting") == 1
    winners = [text for text in said.values() if "rooms start" in text]
    assert len(winners) == 1, said
    others = [text for text in said.values() if "rooms start" not in text]
    assert all("already" in text for text in others), said
    if winners != ["rooms start"]:
        assert winners[0].startswith(f"{len(bot.state.breakout_rooms)} rooms start")


def test_rooms_that_somebody_else_made_meanwhile_are_told(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = bot.rooms.submit

    def page_between(envelope: Envelope) -> Accepted:
        accepted = submit(envelope)
        if isinstance(envelope.command, c.CreateRooms) and envelope.command.count == 3:
            bot.do(ALICE, c.CreateRooms(5))
        return accepted

    monkeypatch.setattr(bot.rooms, "submit", page_between)
    said = bot.say(ALICE, "/breakout start 3")
    assert said.startswith("5 rooms start")
    assert "Another moderator created rooms" in said


def test_the_audit_says_which_room(bot: Bot) -> None:
    bot.run_breakout(2)
    bot.say(ALICE, "/breakout move Bob 2")
    bot.say(ALICE, "/broadcast 1,2: Two minutes left")
    bot.click(ALICE, "room_menu", f"rec_start:{bot.session_id}:2")
    bot.settle()
    bot.door.desk.stop()
    person_id = bot.actors[ALICE].person_id
    assert person_id is not None
    done = [line.action for line in slack_inbox.audit_of(bot.db, person_id)]
    assert done == ["room_menu:rec_start room 2", "broadcast rooms 1, 2", "breakout move room 2"]


def test_what_was_understood_is_said_back(running: Bot) -> None:
    assert running.say(ALICE, "/broadcast 1:1 feedback starts now") == "Sent to 2 rooms, 1 person."
    sent: Any = running.events()[-1].event
    assert (sent.text, len(sent.room_ids)) == ("1:1 feedback starts now", 2)
    assert running.say(ALICE, "/broadcast １：もうすぐ終わります") == "Sent to Room 1 only, 1 person."
    assert running.say(ALICE, "/broadcast 1-2: Back soon") == "Sent to Room 1 and Room 2 only, 1 person."
    assert running.say(ALICE, "/breakout add 1h 30m") == "Added 1 h 30 min."
    assert running.say(ALICE, "/breakout add 90s.") == "Added 1 min 30 s."


def test_start_says_the_time_limit_it_understood(bot: Bot) -> None:
    assert "Time limit: 1 h 30 min." in bot.say(ALICE, "/breakout start 2 for 1:30")


def test_help_is_for_who_asks(bot: Bot) -> None:
    def shown(user: str) -> str:
        body = slack_client.command_body(user, MODS, "/room", "help", "", bot.slack.store.new_trigger(user))
        return json.dumps(bot.post(body).get_json())

    assert "/breakout start" in shown(ALICE)
    assert "/breakout start" in shown(STRANGER), "not connected yet: may be a moderator"
    assert "/breakout start" not in shown(BOB) and "/room join" in shown(BOB)


def test_somebody_is_moved_by_a_name_in_another_spelling(running: Bot) -> None:
    bob = people.get_person(running.db, str(running.actors[BOB].person_id))
    assert bob is not None
    people.upsert_person(running.db, ISSUER, bob.sub, "Bob O’Néill")
    for name in ("Bob O'Neill".replace("e", "é"), "BOB O’NÉILL", "Bob\u200b O‘Ne\u0301ill", "Ｂｏｂ O'Néill"):
        assert "is moving to *Room" in running.say(ALICE, f"/breakout move {name} 2"), name
        running.say(ALICE, f"/breakout move {name} 1")
