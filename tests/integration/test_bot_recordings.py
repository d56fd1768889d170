"""Recordings in Slack: which room, watch, tracks, delete, list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.store import library as library_store
from models.store import slack
from models.store.media_files import MediaFile, save_files
from models.values import EntryId
from rooms import commands as c
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import (
    ALICE,
    BOB,
    CHARLIE,
    MODS,
    STRANGER,
    Bot,
)
from tests.slackacts import (
    record,
)

pytestmark = pytest.mark.integration


def watch_url(said: dict[str, Any]) -> str:
    return str(said["blocks"][1]["elements"][0]["url"])


def press_watch(bot: Bot, user: str, recording_id: str) -> dict[str, Any]:
    """The ephemeral answer to Watch."""
    bot.press(user, "rec_watch", recording_id)
    mine = [m for m in bot.slack.store.seen_by(MODS, user) if m.get("only_for") == user]
    return mine[-1]


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
        assert "can’t access it" in press_watch(bot, user, recording_id)["text"]
    assert "Connect your course account" in press_watch(bot, STRANGER, recording_id)["text"]
    assert "is published to the Media Gallery" in bot.press(ALICE, "rec_publish", recording_id)
    assert "/slack/watch/e1" in watch_url(press_watch(bot, BOB, recording_id)), (
        "published: the class may see it"
    )
    assert "can’t access it" in press_watch(bot, CHARLIE, recording_id)["text"]
    assert "Only its owner" in bot.press(BOB, "rec_unpublish", recording_id)
    assert "don’t have permission" in bot.press(BOB, "rec_menu", f"delete:{recording_id}")


def test_a_recording_is_deleted_after_a_question(bot: Bot, tmp_path: Path) -> None:
    recording_id = record(bot, tmp_path)
    payload = bot.action(
        ALICE,
        {"action_id": "rec_menu", "type": "overflow", "selected_option": {"value": f"delete:{recording_id}"}},
    )
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200
    assert "permanently?" in bot.answered(ALICE)
    assert library_store.get_entry(bot.db, "e1") is not None
    for user in (BOB, CHARLIE, STRANGER):
        bot.press(user, "rec_delete", recording_id)
    assert library_store.get_entry(bot.db, "e1") is not None
    assert "Deleted" in bot.press(ALICE, "rec_delete", recording_id)
    assert library_store.get_entry(bot.db, "e1") is None


def test_the_list_of_recordings(bot: Bot, tmp_path: Path) -> None:
    assert "no recordings" in bot.say(ALICE, "/record list")
    record(bot, tmp_path)
    assert bot.say(ALICE, "/record list") == "1 recordings of BIO 101"
    assert "Only moderators" in bot.say(BOB, "/record list")
    assert "not in this course" in bot.say(CHARLIE, "/record list")


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
    assert "separate tracks are below" in choose(ALICE)
    page = bot.client.get(watch_url(press_watch(bot, ALICE, recording_id)).removeprefix("https://room.test"))
    assert "Bob &lt;Keller&gt;" in page.text
    bot.press(ALICE, "rec_publish", recording_id)
    page = bot.client.get(watch_url(press_watch(bot, BOB, recording_id)).removeprefix("https://room.test"))
    assert page.status_code == 200
    assert "Tracks" not in page.text
    assert "don’t have permission" in choose(BOB)
