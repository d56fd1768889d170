"""Who may act from Slack: really signed requests of guests, deactivated users, bots, people of other workspaces and courses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.identity import FRESH, USABLE, home_of, standing_of, team_of
from bot.identity_names import SlackNames
from bot.identity_watch import Watch
from bot.install import Workspaces
from models.store import people, slack, slack_people
from models.store.slack_people import Standing
from models.values import Role
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
from tests.slackkit import pages, signin_settings

pytestmark = pytest.mark.integration
COMMANDS = (
    "/breakout start 4 for 15m auto",
    "/breakout end",
    "/broadcast Two minutes left",
    "/help-calls list",
    "/record start main",
    "/room link moderators",
    "/room unlink",
)


def aged(bot: Bot, user_id: str, age: timedelta) -> None:
    """What Slack said about somebody is so old."""
    with bot.db.write() as session:
        session.connection().execute(
            text("UPDATE slack_user SET checked_at = :at WHERE user_id = :user"),
            {"at": (datetime.now(UTC) - age).strftime("%Y-%m-%d %H:%M:%S.%f"), "user": user_id},
        )


def lookups(bot: Bot) -> int:
    return sum(call["method"] == "users.info" for call in bot.slack.store.calls)


def become(bot: Bot, user_id: str, **flags: Any) -> None:
    """Slack tells that somebody changed."""
    bot.slack.store.set_user(user_id, **flags)
    assert bot.event({"type": "user_change", "user": bot.slack.store.users[user_id]}) == 200


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"is_restricted": True}, "You’re a guest"),
        ({"is_ultra_restricted": True}, "You’re a guest"),
        ({"deleted": True}, "Connect your course account first"),
        ({"is_bot": True}, "Connect your course account first"),
        ({"team_id": "T0OTHER", "is_stranger": True}, "Connect your course account first"),
    ],
    ids=["guest", "channel guest", "deactivated", "bot", "stranger"],
)
def test_a_moderator_who_may_not_act_is_refused(
    bot: Bot, line: str, flags: dict[str, Any], words: str
) -> None:
    become(bot, ALICE, **flags)
    before = bot.names()
    assert words in bot.say(ALICE, line)
    assert bot.names() == before
    assert slack.channel_link(bot.db, TEAM_ID, MODS) is not None


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize(
    ("user", "words"),
    [(CHARLIE, "course"), (STRANGER, "Connect your course account first")],
    ids=["other course", "not linked"],
)
def test_others_are_refused(bot: Bot, line: str, user: str, words: str) -> None:
    before = bot.names()
    assert words in bot.say(user, line)
    assert bot.names() == before
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None and link.course_id == bot.course_id


def test_a_guest_who_does_not_moderate_may_ask_and_is_no_more(bot: Bot) -> None:
    become(bot, BOB, is_restricted=True)
    assert "BIO 101" in bot.say(BOB, "/room status")
    assert "moderator" in bot.say(BOB, "/breakout end")


def test_guests_may_moderate_when_the_settings_say_so(bot: Bot) -> None:
    with pages(bot, replace(signin_settings(bot), guests_moderate=True)):
        become(bot, ALICE, is_restricted=True)
        assert "BIO 101" in bot.say(ALICE, "/room status")


def test_a_role_that_was_lost_is_gone_at_the_next_action(bot: Bot) -> None:
    assert "No one is waiting" in bot.say(ALICE, "/help-calls list")
    person_id = bot.actors[ALICE].person_id
    assert person_id is not None
    people.upsert_membership(bot.db, bot.course_id, person_id, Role.PARTICIPANT, [])
    assert "moderator" in bot.say(ALICE, "/help-calls list")


def test_who_comes_back_acts_again(bot: Bot) -> None:
    become(bot, ALICE, deleted=True)
    (link,) = slack_people.links_of(bot.db, str(bot.actors[ALICE].person_id))
    assert link.suspended and link.reason == "deactivated"
    become(bot, ALICE, deleted=False)
    assert "BIO 101" in bot.say(ALICE, "/room status")
    done = [line.action for line in slack_people.audit_of(bot.db, person_id=bot.actors[ALICE].person_id)]
    assert "is now deactivated" in done and "is now member" in done


def test_nothing_is_kept_about_people_we_do_not_know(bot: Bot) -> None:
    become(bot, "U0NOBODY", is_restricted=True)
    assert slack_people.known(bot.db, TEAM_ID, "U0NOBODY") is None


# -- Slack Connect ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action_id", ["end", "gather", "help_join", "broadcast_open"])
def test_a_button_pressed_by_somebody_outside_does_nothing(bot: Bot, action_id: str) -> None:
    before = bot.names()
    said = bot.press(ALICE, action_id, f"{bot.session_id}:x", team="T0OTHER")
    assert "another" in said and "workspace" in said
    assert bot.names() == before


def test_a_form_of_somebody_outside_does_nothing(bot: Bot) -> None:
    """Bolt and we find the workspace by where the app is installed, not by whose form it is."""
    bot.say(ALICE, "/broadcast")
    view = {**bot.view(ALICE), "app_installed_team_id": TEAM_ID}
    payload = slack_client.view_payload(ALICE, view, {"text": {"v": {"value": "Hello"}}})
    payload["team"]["id"] = payload["user"]["team_id"] = "T0OTHER"
    before = bot.names()
    answer = bot.post(slack_client.interaction_body(payload))
    assert answer.status_code == 200 and answer.json is not None
    assert "workspace" in str(answer.json["errors"])
    assert bot.names() == before


@pytest.mark.parametrize("line", COMMANDS[:5])
def test_nothing_is_run_from_a_shared_channel(bot: Bot, line: str) -> None:
    """Neither from one that nobody linked, nor from a linked one from the moment in which it is shared."""
    before = bot.names()
    assert "isn’t linked to a course" in bot.say(ALICE, line, channel="C0SHARED")
    assert bot.event({"type": "channel_shared", "channel": MODS, "connected_team_id": "T0OTHER"}) == 200
    assert "is suspended" in bot.say(ALICE, line)
    assert bot.names() == before


def test_a_shared_channel_cannot_be_linked(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bot.slack.store.channel_flags, MODS, {"is_ext_shared": True})
    assert "only link channels in this workspace" in bot.say(ALICE, "/room link moderators")


@pytest.mark.parametrize("action_id", ["end", "gather", "broadcast_open", "rec_all", "help_join"])
def test_buttons_of_an_old_card_do_nothing_once_the_channel_is_shared(bot: Bot, action_id: str) -> None:
    bot.event({"type": "channel_shared", "channel": MODS, "connected_team_id": "T0OTHER"})
    before = bot.names()
    assert "is suspended" in bot.press(ALICE, action_id, f"{bot.session_id}:x")
    assert bot.names() == before


def test_a_direct_message_is_as_good_as_the_channel(bot: Bot) -> None:
    assert "BIO 101" in bot.say(ALICE, "/room status", channel="D0ALICE")


@pytest.mark.parametrize(
    ("body", "team", "home"),
    [
        ({"team_id": "T1", "user_id": "U1"}, "T1", ""),
        ({"team": {"id": "T1"}, "user": {"id": "U1", "team_id": "T2"}}, "T1", "T2"),
        ({"team": None, "user": {"id": "U1", "team_id": "T2"}}, "", "T2"),
        ({"team": {"id": "T2"}, "view": {"app_installed_team_id": "T1"}, "user": {"id": "U1"}}, "T1", "T2"),
        ({"team_id": "T1", "event": {"user": {"id": "U1"}}}, "T1", ""),
    ],
)
def test_workspace_and_home_of_a_request(body: dict[str, Any], team: str, home: str) -> None:
    assert (team_of(body), home_of(body)) == (team, home)


@pytest.mark.parametrize(
    ("user", "standing"),
    [
        ({"id": "U1"}, Standing.MEMBER),
        ({"id": "U1", "team_id": "T1", "is_restricted": True}, Standing.GUEST),
        ({"id": "U1", "is_ultra_restricted": True}, Standing.GUEST),
        ({"id": "U1", "is_restricted": True, "deleted": True}, Standing.DEACTIVATED),
        ({"id": "U1", "is_stranger": True}, Standing.STRANGER),
        ({"id": "U1", "team_id": "T2"}, Standing.STRANGER),
        ({"id": "U1", "is_bot": True}, Standing.BOT),
        ({"id": "USLACKBOT"}, Standing.BOT),
    ],
)
def test_what_a_user_object_says(user: dict[str, Any], standing: Standing) -> None:
    assert standing_of(user, "T1") is standing


# -- what is known about people --------------------------------------------------------------------------------


def test_slack_is_not_asked_about_people_it_spoke_of_lately(bot: Bot) -> None:
    bot.say(ALICE, "/room status")
    aged(bot, ALICE, FRESH - timedelta(minutes=1))
    bot.say(ALICE, "/room status")
    assert lookups(bot) == 0
    assert slack_people.wanted(bot.db) == []


def test_what_is_stale_is_used_and_asked_anew_behind_the_answer(bot: Bot) -> None:
    bot.slack.store.set_user(ALICE, deleted=True)
    aged(bot, ALICE, FRESH + timedelta(minutes=1))
    assert "BIO 101" in bot.say(ALICE, "/room status")
    assert lookups(bot) == 0, "the answer did not wait for Slack"
    watch = Watch(bot.settings, bot.db)
    watch.start()
    try:
        until(lambda: slack.person_of(bot.db, TEAM_ID, ALICE) is None, "the link is suspended")
    finally:
        watch.stop()
    assert "Connect your course account first" in bot.say(ALICE, "/room status")


def test_what_is_a_day_old_is_asked_before_anything_is_done(bot: Bot) -> None:
    bot.slack.store.set_user(ALICE, is_restricted=True)
    aged(bot, ALICE, USABLE + timedelta(minutes=1))
    assert "You’re a guest" in bot.say(ALICE, "/breakout start 4 auto")
    assert lookups(bot) == 1


def test_without_slack_nobody_unknown_acts(bot: Bot) -> None:
    aged(bot, ALICE, USABLE + timedelta(minutes=1))
    bot.slack.store.faults["users.info"].extend([{"status": 500}] * 3)
    assert "Slack didn’t say who you are" in bot.say(ALICE, "/breakout start 4 auto")
    assert "BreakoutStarted" not in bot.names()


def test_everybody_linked_is_looked_up_once_a_day(bot: Bot) -> None:
    watch = Watch(bot.settings, bot.db)
    watch.sweep()
    assert slack_people.wanted(bot.db) == []
    for user in (ALICE, BOB):
        aged(bot, user, timedelta(hours=21))
    bot.slack.store.set_user(BOB, deleted=True)
    watch.sweep()
    watch.look()
    assert slack_people.wanted(bot.db) == [] and lookups(bot) == 2
    assert slack.person_of(bot.db, TEAM_ID, BOB) is None
    assert slack.person_of(bot.db, TEAM_ID, ALICE) is not None


def test_a_name_is_never_an_identity(bot: Bot) -> None:
    """A member who calls themself like the moderator, with her e-mail address, is nobody."""
    alice = bot.slack.store.users[ALICE]
    bot.slack.store.set_user("U0FAKE", real_name=alice["real_name"], profile={"email": "alice@lms.test"})
    assert "Connect your course account first" in bot.say("U0FAKE", "/breakout end")


def test_a_link_needs_a_look_at_slack_first(bot: Bot) -> None:
    """Also by code: a guest cannot become a moderator, and without Slack nobody is connected."""
    code = slack.issue_code(bot.db, str(bot.actors[ALICE].person_id))
    bot.slack.store.faults["users.info"].extend([{"error": "internal_error"}])
    assert "Slack didn’t say who you are" in bot.say(STRANGER, f"/room connect {code}")
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) is None
    bot.slack.store.set_user(STRANGER, is_bot=True)
    assert "Apps and bots" in bot.say(STRANGER, f"/room connect {code}")


def test_an_lms_person_is_one_across_courses(bot: Bot) -> None:
    other = people.upsert_course(bot.db, ISSUER, "his200")
    person_id = bot.actors[BOB].person_id
    assert person_id is not None
    people.upsert_membership(bot.db, other, person_id, Role.MODERATOR, [])
    become(bot, BOB, is_restricted=True)
    assert "You’re a guest" in bot.say(BOB, "/room status"), "who moderates anywhere is no student guest"


def test_the_page_shows_the_slack_name_or_the_id(bot: Bot) -> None:
    names = SlackNames(Workspaces(bot.settings, bot.db))
    bot.slack.store.set_user(ALICE, profile={"display_name": "Ali\u200bce M.", "real_name": "Alice Moreau"})
    assert names.of(TEAM_ID, ALICE) == "Alice M."
    asked = lookups(bot)
    assert names.of(TEAM_ID, ALICE) == "Alice M." and lookups(bot) == asked
    bot.slack.store.faults["users.info"].append({"error": "fatal_error"})
    assert names.of(TEAM_ID, BOB) == "", "the page shows the id then"
    assert names.of("T0ELSEWHERE", BOB) == ""
