"""People connect by a code; channels are linked, suspended and come back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from bot.blocks.messages import link_modal
from models.store import people, slack, slack_outbox
from models.tables import SlackCodeRow
from models.values import Role
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
from tests.slackacts import (
    CONNECT_WORDS,
    MODERATOR_WORDS,
    home_of,
)

pytestmark = pytest.mark.integration


def test_connect_by_code_once(bot: Bot) -> None:
    person_id = str(bot.actors[BOB].person_id)
    code = slack.issue_code(bot.db, person_id)
    assert "wrong, already used or older" in bot.say(STRANGER, "/room connect AAAA2222")
    assert bot.say(STRANGER, f"/room connect {code}") == ""
    assert "*Bob Keller*" in str(bot.view(STRANGER)["blocks"]), "who it is, is shown first"
    assert "BIO 101" in str(bot.view(STRANGER)["blocks"])
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) is None
    assert bot.connect(STRANGER, f"{code[:4].lower()}-{code[4:]}") == "Connected as *Bob Keller*."
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) == person_id
    assert slack.person_of(bot.db, TEAM_ID, BOB) is None, "a new link replaces the old one"
    bot.slack.store.set_user("U0THIEF")
    assert "wrong, already used or older" in bot.say("U0THIEF", f"/room connect {code}")
    assert "Disconnect your" in bot.say(STRANGER, "/room disconnect")
    assert "Disconnected" in bot.press(STRANGER, "disconnect")
    assert CONNECT_WORDS in bot.say(STRANGER, "/room status")


def test_an_old_code_is_refused(bot: Bot) -> None:
    code = slack.issue_code(bot.db, str(bot.actors[BOB].person_id))
    with bot.db.write() as session:
        session.execute(update(SlackCodeRow).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert "wrong, already used or older" in bot.say(STRANGER, f"/room connect {code}")


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
    assert "no longer linked" in bot.press(ALICE, "unlink", MODS)
    assert MODS not in [link.channel_id for link in slack.channels_of(bot.db, bot.course_id)]
    assert MODERATOR_WORDS in bot.say(BOB, "/room link moderators")
    assert (
        bot.say(ALICE, "/room link moderators")
        == "This channel is linked to *BIO 101* as its moderators’ channel."
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
    assert "Everyone can read" in bot.say(ALICE, "/room link moderators", CLASS)
    assert slack.channel_link(bot.db, TEAM_ID, CLASS) is None
    assert "class channel" in bot.say(ALICE, "/room link class", CLASS)


def test_the_app_must_be_in_the_channel(bot: Bot) -> None:
    assert "/invite" in bot.say(ALICE, "/room link moderators", "C0UNSEEN")
    bot.slack.store.faults["conversations.info"].append({"status": 500, "error": "internal_error"})
    assert "Try again" in bot.say(ALICE, "/room link moderators")


def test_who_moderates_two_courses_says_which(bot: Bot) -> None:
    person_id = bot.actors[ALICE].person_id
    assert person_id is not None
    chemistry = people.upsert_course(bot.db, ISSUER, "che1", "CHE 1 <!channel>")
    people.upsert_membership(bot.db, chemistry, person_id, Role.MODERATOR, [])
    said = bot.say(ALICE, "/room link moderators")
    assert "Add which course" in said
    assert "<!channel>" not in said
    assert "linked to *CHE 1" in bot.say(ALICE, "/room link moderators che 1")
    assert "linked to *BIO 101*" in bot.say(ALICE, "/room link moderators BIO 101")


def test_a_suspended_channel_says_how_to_mend_it(bot: Bot) -> None:
    bot.event({"type": "channel_shared", "channel": MODS})
    assert "suspended" in bot.say(ALICE, "/room status")
    assert "linked to *BIO 101*" in bot.say(ALICE, "/room link moderators")
    assert "Main room" in bot.say(ALICE, "/room status")


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
        view = {"id": "V1", **link_modal(json.dumps({"c": MODS}), "", "", "")}
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
