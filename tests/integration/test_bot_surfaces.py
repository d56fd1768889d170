"""App Home, shortcuts, the link form, help calls in threads, watching a recording: what people see besides the card."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from bot.outbox import Clock
from models.store import library as library_store
from models.store import people, slack, slack_home, slack_outbox
from models.store.media_files import MediaFile, save_files
from models.tables import SlackOutboxRow
from models.values import SYSTEM, CommandId, EntryId, Role
from rooms import commands as c
from rooms.commands import Envelope, ReportRecording
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


def home_of(bot: Bot, user: str) -> str:
    """Open App Home; what it shows, as JSON."""
    assert bot.event({"type": "app_home_opened", "user": user, "tab": "home", "channel": "D1"}) == 200
    bot.outbox().work()
    return json.dumps(bot.slack.store.homes[user], ensure_ascii=False)


def press_home(bot: Bot, user: str, action_id: str, value: str = "") -> None:
    """Press a button of App Home: there is no channel, message or response_url."""
    payload = bot.action(user, {"action_id": action_id, "type": "button", "value": value})
    for name in ("channel", "message", "response_url"):
        payload.pop(name)
    payload["container"] = {"type": "view", "view_id": "VHOME"}
    payload["view"] = {"id": "VHOME", "type": "home", "hash": "1", "private_metadata": "", "callback_id": ""}
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200
    bot.settle()


def shortcut(bot: Bot, user: str, callback_id: str, text: str = "", channel: str = MODS) -> None:
    message = {"ts": "1.1", "text": text, "user": user} if text else None
    url = bot.slack.store.new_response_url(bot.slack.url, channel, user)
    trigger = bot.slack.store.new_trigger(user)
    payload = slack_client.shortcut_payload(user, callback_id, trigger, channel, message, url)
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200
    bot.settle()


def record(bot: Bot, tmp_path: Path, owner: str = ALICE) -> str:
    """A recording that is ready in the library; its id."""
    bot.do(owner, c.StartRecording())
    (recording,) = bot.state.recordings.values()
    for status, more in (
        ("RECORDING", {}),
        ("UPLOADING", {}),
        ("UPLOADED", {"duration_s": 65.0, "entry_id": "e1"}),
    ):
        report = ReportRecording(recording.recording_id, status, **more)  # type: ignore[arg-type]
        bot.rooms.submit(Envelope(CommandId(uuid4().hex), bot.session_id, SYSTEM, report))
    folder = tmp_path / "library" / "e1"
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(b"film")
    library_store.save_entry(
        bot.db,
        "e1",
        {
            "course_id": bot.course_id,
            "owner_id": bot.actors[owner].person_id,
            "recording_id": recording.recording_id,
            "title": "BIO 101 <film>",
            "published": False,
            "status": "ready",
            "path": "e1",
            "file_name": "video.mp4",
            "size_bytes": 212_000_000,
            "recorded_at": datetime.now(UTC),
            "created_at": datetime.now(UTC),
            "expires_at": datetime.now(UTC) + timedelta(days=7),
        },
    )
    return str(recording.recording_id)


# -- App Home --------------------------------------------------------------------------------------------------


def test_home_of_a_moderator_shows_what_is_live_and_waits(bot: Bot, tmp_path: Path) -> None:
    bot.run_breakout(2)
    bot.do(BOB, c.CallModerator())
    record(bot, tmp_path)
    shown = home_of(bot, ALICE)
    for words in (
        "Connected as *Alice Moreau*",
        "BIO 101",
        "asks for help",
        "rec_watch",
        f"<#{MODS}>",
        "kept until",
    ):
        assert words in shown
    assert home_of(bot, STRANGER).count("connect_open") == 1
    shown = home_of(bot, BOB)
    assert "BIO 101" in shown
    for hidden in ("asks for help", "rec_watch", MODS, "dm_calls", '"end"'):
        assert hidden not in shown, "a student has no controls"
    assert "BIO 101" not in home_of(bot, CHARLIE)


def test_home_follows_what_happens(bot: Bot) -> None:
    assert "Start breakout" in home_of(bot, ALICE)
    with bot.posting():
        bot.run_breakout(2)
        until(lambda: "End breakout" in json.dumps(bot.slack.store.homes[ALICE]), "the end button", 30)


def test_the_breakout_is_ended_from_home_by_moderators_only(bot: Bot) -> None:
    bot.run_breakout(2)
    for user in (BOB, CHARLIE, STRANGER):
        press_home(bot, user, "end", bot.session_id)
        assert bot.state.breakout.status.value == "running"
    press_home(bot, ALICE, "end", bot.session_id)
    assert bot.state.breakout.status.value != "running"


def test_a_message_at_each_help_call_is_a_setting(bot: Bot) -> None:
    press_home(bot, BOB, "dm_calls", "on")
    assert not slack_home.wants_calls(bot.db, TEAM_ID, BOB), "only moderators"
    press_home(bot, ALICE, "dm_calls", "on")
    assert slack_home.wants_calls(bot.db, TEAM_ID, ALICE)
    bot.run_breakout(2)
    with bot.posting():
        bot.do(BOB, c.CallModerator())
        until(
            lambda: any("asks for help" in m["text"] for m in bot.bot_messages(ALICE)), "the direct message"
        )
    press_home(bot, ALICE, "dm_calls", "off")
    assert not slack_home.wants_calls(bot.db, TEAM_ID, ALICE)


def test_a_channel_is_unlinked_from_home(bot: Bot) -> None:
    press_home(bot, CHARLIE, "unlink", MODS)
    press_home(bot, BOB, "unlink", MODS)
    assert slack.channel_link(bot.db, TEAM_ID, MODS) is not None
    press_home(bot, ALICE, "unlink", MODS)
    assert slack.channel_link(bot.db, TEAM_ID, MODS) is None


# -- shortcuts and forms ---------------------------------------------------------------------------------------


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
    assert "start in" in bot.say(ALICE, "/breakout start keep")
    assert len(bot.state.breakout_rooms) == 3


def link_values(course_id: str, role: str) -> dict[str, Any]:
    return {
        "course": {"course_pick": {"type": "external_select", "selected_option": {"value": course_id}}},
        "role": {"v": {"type": "radio_buttons", "selected_option": {"value": role}}},
    }


def test_the_link_form_links_and_tells_the_channel(bot: Bot) -> None:
    bot.press(ALICE, "unlink", MODS)
    assert bot.say(ALICE, "/room link") == ""
    view = bot.view(ALICE)
    his = people.upsert_course(bot.db, ISSUER, "his200")
    assert "Only moderators" in bot.submit(ALICE, view, link_values(his, "class"))["errors"]["course"]
    again = {**view, "hash": "2"}
    assert bot.submit(ALICE, again, link_values(bot.course_id, "moderators")) == {}
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert (link.course_id, link.role) == (bot.course_id, "moderators")
    with bot.posting():
        until(
            lambda: any("linked this channel to *BIO 101*" in m["text"] for m in bot.bot_messages()),
            "the notice",
        )


@pytest.mark.parametrize("user", [BOB, STRANGER])
def test_the_link_form_is_for_moderators(bot: Bot, user: str) -> None:
    assert bot.say(user, "/room link") != ""
    assert bot.slack.store.views_of(user) == []


def test_the_course_picker_suggests_own_courses_only(bot: Bot) -> None:
    def suggested(user: str, typed: str) -> list[str]:
        view = {"id": "V1", "private_metadata": json.dumps({"c": MODS})}
        payload = slack_client.suggestion_payload(user, view, "course", typed)
        answer = bot.post(slack_client.interaction_body(payload))
        assert answer.status_code == 200
        return [option["text"]["text"] for option in (answer.json or {})["options"]]

    assert suggested(ALICE, "") == ["BIO 101"]
    assert suggested(ALICE, "bio") == ["BIO 101"]
    assert suggested(ALICE, "his") == []
    assert suggested(CHARLIE, "") == ["HIS 200"]
    assert suggested(BOB, "") == []
    assert suggested(STRANGER, "") == []


def test_a_live_room_is_opened_by_its_moderator(bot: Bot) -> None:
    bot.do(ALICE, c.EndSession())
    assert "no live session" in bot.say(ALICE, "/room status")
    assert "Only moderators" in bot.press(BOB, "session_start")
    assert "You do not belong" in bot.press(CHARLIE, "session_start")
    assert bot.rooms.live_session(bot.course_id) is None
    assert "is live" in bot.press(ALICE, "session_start")
    assert bot.rooms.live_session(bot.course_id) is not None


def test_a_refusal_has_a_code_and_a_way_out(bot: Bot) -> None:
    body = slack_client.command_body(STRANGER, MODS, "/room", "status")
    blocks = (bot.post(body).json or {})["blocks"]
    assert blocks[0]["block_id"] == "refused:not_connected"
    assert blocks[1]["elements"][0]["action_id"] == "connect_open"
    bot.press(STRANGER, "connect_open")
    assert bot.view(STRANGER)["callback_id"] == "connect"


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
    assert found["text"] == "The breakout ends after the countdown."
    assert found["blocks"] == []


# -- moving by name --------------------------------------------------------------------------------------------


def test_people_are_moved_by_mention_or_name_also_before_they_come(bot: Bot) -> None:
    bot.run_breakout(2)
    ben = people.upsert_person(bot.db, ISSUER, "ben", "Ben Okafor")
    people.upsert_membership(bot.db, bot.course_id, ben, Role.PARTICIPANT, [])
    assert bot.say(ALICE, "/breakout move Bob Keller 2") == "*Bob* moves to *Room 2*."
    said = bot.say(ALICE, "/breakout move “Ben Okafor” to room 2")
    assert said == "*Ben Okafor* has not come in yet, and will come into *Room 2*."
    assert bot.state.expected[ben] == bot.state.breakout_rooms[1].room_id
    assert "has not connected" in bot.say(ALICE, f"/breakout move <@{STRANGER}> 2")
    assert "does not belong" in bot.say(ALICE, f"/breakout move <@{CHARLIE}> 2")
    assert "Nobody in this course is called" in bot.say(ALICE, "/breakout move Charlie Novak 2")
    twin = people.upsert_person(bot.db, ISSUER, "ben2", "Ben Okafor")
    people.upsert_membership(bot.db, bot.course_id, twin, Role.PARTICIPANT, [])
    assert "More than one person" in bot.say(ALICE, "/breakout move Ben Okafor 1")


# -- help calls ------------------------------------------------------------------------------------------------


def test_calls_stand_below_the_card_and_nobody_is_forgotten(bot: Bot) -> None:
    bot.run_breakout(2)
    with bot.posting():
        until(lambda: bot.bot_messages(), "the card")
        bot.do(BOB, c.CallModerator())
        until(lambda: any("asks for help" in m["text"] for m in bot.bot_messages()), "the call")
        posted = [call["body"] for call in bot.slack.store.calls if call["method"] == "chat.postMessage"]
        card_ts = next(m["ts"] for m in bot.bot_messages() if "live room" in json.dumps(m["blocks"]))
        call = next(body for body in posted if "asks for help" in body["text"])
        assert call["thread_ts"] == card_ts
        assert str(call["reply_broadcast"]).lower() in ("1", "true")
        with bot.db.write() as session:  # a minute later
            late = SlackOutboxRow.coalesce_key.like("remind:%")  # type: ignore[union-attr]
            session.execute(update(SlackOutboxRow).where(late).values(not_before=datetime.now(UTC)))
        until(lambda: any("nobody has answered" in m["text"] for m in bot.bot_messages()), "the reminder")
    reminder = next(m["text"] for m in bot.bot_messages() if "nobody has answered" in m["text"])
    assert "<@U0ALICE>" in reminder
    assert "U0BOB" not in reminder


def test_an_answered_call_reminds_nobody(bot: Bot) -> None:
    bot.run_breakout(2)
    with bot.posting():
        bot.do(BOB, c.CallModerator())
        until(lambda: any("asks for help" in m["text"] for m in bot.bot_messages()), "the call")
        (call,) = bot.state.calls.values()
        bot.do(ALICE, c.ClaimCall(call.call_id))
        until(lambda: any("on the way" in json.dumps(m) for m in bot.bot_messages()), "the answer")

    class Later(Clock):
        def now(self) -> datetime:
            return super().now() + timedelta(minutes=5)

    bot.outbox(clock=Later()).work()
    assert not any("nobody has answered" in m["text"] for m in bot.bot_messages())


# -- recordings ------------------------------------------------------------------------------------------------


def watch_url(said: dict[str, Any]) -> str:
    return str(said["blocks"][1]["elements"][0]["url"])


def press_watch(bot: Bot, user: str, recording_id: str) -> dict[str, Any]:
    """The ephemeral answer to Watch."""
    bot.press(user, "rec_watch", recording_id)
    mine = [m for m in bot.slack.store.seen_by(MODS, user) if m.get("only_for") == user]
    return mine[-1]


def test_watch_gives_a_link_of_ones_own_that_plays(bot: Bot, tmp_path: Path) -> None:
    recording_id = record(bot, tmp_path)
    url = watch_url(press_watch(bot, ALICE, recording_id))
    assert url.startswith("https://room.test/slack/watch/e1?")
    page = bot.client.get(url.removeprefix("https://room.test"))
    assert page.status_code == 200
    assert "<video controls" in page.text
    assert "BIO 101 &lt;film&gt;" in page.text
    assert "script" not in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    for text in ("p=", "exp=", "sig="):
        spoiled = url.replace(text, text + "1").removeprefix("https://room.test")
        assert bot.client.get(spoiled).status_code == 403
    slack.unlink_user(bot.db, TEAM_ID, ALICE)
    assert bot.client.get(url.removeprefix("https://room.test")).status_code == 404, "no longer connected"


def test_watch_is_for_those_who_may_see_it(bot: Bot, tmp_path: Path) -> None:
    recording_id = record(bot, tmp_path)
    for user in (BOB, CHARLIE):
        assert "not yours to see" in press_watch(bot, user, recording_id)["text"]
    assert "Connect your course account" in press_watch(bot, STRANGER, recording_id)["text"]
    assert "is in the course's gallery" in bot.press(ALICE, "rec_publish", recording_id)
    assert "/slack/watch/e1" in watch_url(press_watch(bot, BOB, recording_id)), (
        "published: the class may see it"
    )
    assert "not yours to see" in press_watch(bot, CHARLIE, recording_id)["text"]
    assert "Only its owner" in bot.press(BOB, "rec_unpublish", recording_id)
    assert "not allowed" in bot.press(BOB, "rec_menu", f"delete:{recording_id}")


def test_a_recording_is_deleted_after_a_question(bot: Bot, tmp_path: Path) -> None:
    recording_id = record(bot, tmp_path)
    payload = bot.action(
        ALICE,
        {"action_id": "rec_menu", "type": "overflow", "selected_option": {"value": f"delete:{recording_id}"}},
    )
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200
    assert "for ever?" in bot.answered(ALICE)
    assert library_store.get_entry(bot.db, "e1") is not None
    for user in (BOB, CHARLIE, STRANGER):
        bot.press(user, "rec_delete", recording_id)
    assert library_store.get_entry(bot.db, "e1") is not None
    assert "is deleted" in bot.press(ALICE, "rec_delete", recording_id)
    assert library_store.get_entry(bot.db, "e1") is None


def test_the_list_of_recordings(bot: Bot, tmp_path: Path) -> None:
    assert "no recordings" in bot.say(ALICE, "/record list")
    record(bot, tmp_path)
    assert bot.say(ALICE, "/record list") == "1 recordings of BIO 101"
    assert "Only moderators" in bot.say(BOB, "/record list")
    assert "do not belong" in bot.say(CHARLIE, "/record list")


# -- suspended links -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [("is_archived", "archived"), ("not_in_channel", "/invite"), ("channel_not_found", "/invite")],
)
def test_whoever_linked_a_channel_hears_that_it_is_gone(bot: Bot, code: str, words: str) -> None:
    bot.slack.store.faults["chat.postMessage"].append({"error": code})
    slack_outbox.put_out(
        bot.db, team_id=TEAM_ID, channel_id=MODS, method="message", payload={"text": "anybody?"}
    )
    bot.outbox().work()
    with bot.posting():
        (told,) = until(lambda: bot.bot_messages(ALICE), "the direct message")
    assert MODS in told["text"]
    assert words in told["text"]
    assert "suspended" in bot.say(ALICE, "/room status")
    assert "suspended" in home_of(bot, ALICE)


def test_an_unarchived_channel_works_again(bot: Bot) -> None:
    bot.event({"type": "channel_archive", "channel": CLASS})
    bot.event({"type": "channel_shared", "channel": MODS})
    bot.event({"type": "channel_unarchive", "channel": CLASS})
    bot.event({"type": "channel_unarchive", "channel": MODS})
    assert [link.channel_id for link in slack.channels_of(bot.db, bot.course_id)] == [CLASS]


def test_a_channel_with_a_new_id_stays_linked(bot: Bot) -> None:
    slack.save_message(bot.db, TEAM_ID, MODS, "card:x", "1.5")
    bot.event({"type": "channel_id_changed", "old_channel_id": MODS, "new_channel_id": "C0NEW"})
    assert slack.channel_link(bot.db, TEAM_ID, MODS) is None
    assert slack.channel_link(bot.db, TEAM_ID, "C0NEW") is not None
    assert slack.message_ts(bot.db, TEAM_ID, "C0NEW", "card:x") == "1.5"


def test_separate_tracks_are_for_who_may_edit(bot: Bot, tmp_path: Path) -> None:
    recording_id = record(bot, tmp_path)
    menu = f"tracks:{recording_id}"

    def choose(user: str) -> str:
        action = {"action_id": "rec_menu", "type": "overflow", "selected_option": {"value": menu}}
        assert bot.post(slack_client.interaction_body(bot.action(user, action))).status_code == 200
        return bot.answered(user)

    assert "no separate tracks" in choose(ALICE)
    save_files(
        bot.db, EntryId("e1"), [MediaFile("bob.webm", "track_audio", "audio/webm", title="Bob <Keller>")]
    )
    assert "separate tracks stand below" in choose(ALICE)
    page = bot.client.get(watch_url(press_watch(bot, ALICE, recording_id)).removeprefix("https://room.test"))
    assert "Bob &lt;Keller&gt;" in page.text
    bot.press(ALICE, "rec_publish", recording_id)
    page = bot.client.get(watch_url(press_watch(bot, BOB, recording_id)).removeprefix("https://room.test"))
    assert page.status_code == 200
    assert "Tracks" not in page.text
    assert "not allowed" in choose(BOB)


# -- the card and its menus ------------------------------------------------------------------------------------


def test_which_room_shall_be_recorded_is_asked(bot: Bot) -> None:
    bot.run_breakout(2)
    alice = bot.actors[ALICE].person_id
    assert alice is not None
    bot.do(ALICE, c.LeaveSession(alice))
    body = slack_client.command_body(ALICE, MODS, "/record", "start")
    blocks = (bot.post(body).json or {})["blocks"]
    values = [option["value"] for option in blocks[0]["accessory"]["options"]]
    assert values == [f"{bot.session_id}:{which}" for which in ("all", 0, 1, 2)]
    action = {"action_id": "rec_choose", "type": "static_select", "selected_option": {"value": values[2]}}
    for user, words in ((BOB, "Only moderators"), (ALICE, "Record *Room 1*?")):
        assert bot.post(slack_client.interaction_body(bot.action(user, action))).status_code == 200
        assert words in bot.answered(user)
    assert "momentarily" in bot.press(ALICE, "rec_go", values[2])
    (recording,) = bot.state.recordings.values()
    assert recording.room_name == "Room 1"


def test_a_room_is_emptied_from_the_card(bot: Bot) -> None:
    bot.run_breakout(2)
    bob = bot.actors[BOB].person_id
    assert bob is not None
    room = next(r for r in bot.state.breakout_rooms if r.room_id == bot.state.people[bob].room_id)
    said = bot.press(ALICE, "room_menu", f"close:{bot.session_id}:{room.number}")
    assert "comes back to the main room" in said
    assert bot.state.people[bob].room_id == "main"
    assert "Nobody is in" in bot.press(ALICE, "room_menu", f"close:{bot.session_id}:{room.number}")


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
    assert "Corner" not in json.dumps(bot.bot_messages()[0])
    assert bot.bot_messages()[0]["ts"] == first["ts"]
    permalink = slack.permalink(bot.db, TEAM_ID, MODS, f"card:{bot.session_id}")
    assert permalink.startswith("https://practice.slack.com/archives/")
    body = slack_client.command_body(ALICE, MODS, "/breakout", "start 2")
    blocks = (bot.post(body).json or {})["blocks"]
    assert blocks[0]["block_id"] == "refused:already_running"
    assert blocks[1]["elements"][0]["url"] == permalink
