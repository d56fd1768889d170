"""Sign in with Slack from the course page: who is linked to whom, and everything that must not link anybody."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bot import identity_links
from models.store import slack, slack_people
from models.store.slack_install import State, new_state, take_state
from sandbox.slack.setup import TEAM_ID
from tests.botkit import (
    ALICE,
    BOB,
    CHARLIE,
    STRANGER,
    Bot,
    until,
)
from tests.slackkit import Pages, pages, signin_settings

pytestmark = pytest.mark.integration
OVER = "This sign-in has ended"


@pytest.fixture
def bot(bot: Bot) -> Bot:
    bot.slack.provider.claims.clear()
    return bot


@pytest.fixture
def door(bot: Bot) -> Iterator[Pages]:
    with pages(bot, signin_settings(bot)) as made:
        yield made


def slack_page(door: Pages, who: str) -> str:
    return str(door.ask(who, "POST", "/app/api/slack/signin")["url"])


def test_a_sign_in_begun_in_the_course_page_links_both(door: Pages) -> None:
    bot = door.bot
    identity_links.disconnect(bot.db, str(bot.actors[BOB].person_id), "page")
    url = slack_page(door, BOB)
    assert "scope=openid+profile" in url and f"team={TEAM_ID}" in url
    shown = door.get(door.at_slack(url, STRANGER))
    assert shown.status_code == 200
    assert "U0STRANGER" in shown.text and "Bob Keller" in shown.text and "BIO 101" in shown.text
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) is None, "nothing is linked before the button"
    assert "Connected" in door.confirm(shown).text
    assert slack.person_of(bot.db, TEAM_ID, STRANGER) == bot.actors[BOB].person_id
    assert "connect by sign-in" in [
        line.action for line in slack_people.audit_of(bot.db, person_id=bot.actors[BOB].person_id)
    ]


def test_each_step_works_once(door: Pages) -> None:
    back = door.at_slack(slack_page(door, BOB), STRANGER)
    shown = door.get(back)
    assert OVER in door.get(back).text, "the state was used"
    assert "Connected" in door.confirm(shown).text
    again = door.confirm(shown)
    assert again.status_code == 403 and OVER in again.text


def test_the_button_works_only_in_the_browser_that_came_back(door: Pages) -> None:
    shown = door.get(door.at_slack(slack_page(door, BOB), STRANGER))
    other = door.confirm(shown, door.another_browser())
    assert other.status_code == 403 and OVER in other.text
    assert OVER in door.confirm(shown).text, "a stolen state is gone for all"
    assert slack.person_of(door.bot.db, TEAM_ID, STRANGER) is None


@pytest.mark.parametrize("query", ["", "state=", "state=unknown&code=x", "state=" + "x" * 5000])
def test_coming_back_with_a_strange_state_links_nobody(door: Pages, query: str) -> None:
    answer = door.get(f"/slack/openid_redirect?{query}")
    assert answer.status_code == 403 and OVER in answer.text


def test_who_does_not_agree_is_not_linked(door: Pages) -> None:
    answer = door.get(door.at_slack(slack_page(door, BOB), "nobody"))
    assert answer.status_code == 403 and "didn’t allow access" in answer.text


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"nonce": "of-another-sign-in"}, "belongs to another sign-in"),
        ({"aud": "another-app"}, "couldn’t be verified"),
        ({"iss": "https://slack.example"}, "couldn’t be verified"),
        ({"exp": 1_000_000}, "couldn’t be verified"),
        ({"https://slack.com/team_id": "T0ELSEWHERE"}, "doesn’t work with"),
        ({"https://slack.com/user_id": ""}, "didn’t say who you are"),
        ({"https://slack.com/user_id": "U0NOWHERE"}, "another Slack workspace"),
    ],
)
def test_a_token_that_proves_nothing_links_nobody(door: Pages, claims: dict[str, Any], words: str) -> None:
    door.bot.slack.provider.claims.update(claims)
    answer = door.get(door.at_slack(slack_page(door, BOB), STRANGER))
    assert answer.status_code == 403 and words in answer.text
    assert "<form" not in answer.text


def test_a_token_signed_with_another_key_links_nobody(door: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = door.bot.slack.provider
    back = door.at_slack(slack_page(door, BOB), STRANGER)
    door.get(door.at_slack(slack_page(door, BOB), STRANGER))  # the keys are known now
    monkeypatch.setattr(provider, "key", rsa.generate_private_key(65537, 2048))
    answer = door.get(back)
    assert answer.status_code == 403 and "couldn’t be verified" in answer.text


def test_a_code_of_slack_works_once_and_only_for_our_address(door: Pages) -> None:
    back = door.at_slack(slack_page(door, BOB), STRANGER)
    code = back.partition("code=")[2].partition("&")[0]
    door.get(back)
    mine = new_state(door.bot.db, State("signin", str(door.bot.actors[BOB].person_id)))
    answer = door.get(f"/slack/openid_redirect?state={mine}&code={code}")
    assert answer.status_code == 403 and "didn’t accept" in answer.text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"deleted": True}, "deactivated"),
        ({"is_bot": True}, "Apps and bots"),
        ({"is_stranger": True}, "another Slack workspace"),
        ({"team_id": "T0OTHER"}, "another Slack workspace"),
        ({"is_restricted": True}, "You’re a guest"),
        ({"is_ultra_restricted": True}, "You’re a guest"),
    ],
)
def test_who_may_not_act_is_not_linked(door: Pages, flags: dict[str, Any], words: str) -> None:
    door.bot.slack.store.set_user(STRANGER, **flags)
    door.bot.slack.provider.claims["https://slack.com/team_id"] = TEAM_ID
    answer = door.get(door.at_slack(slack_page(door, ALICE), STRANGER))
    assert answer.status_code == 403 and words in answer.text


def test_a_guest_may_be_a_student(door: Pages) -> None:
    door.bot.slack.store.set_user(STRANGER, is_restricted=True)
    shown = door.get(door.at_slack(slack_page(door, BOB), STRANGER))
    assert "Connected" in door.confirm(shown).text


def test_a_new_link_replaces_and_tells_both_sides(door: Pages) -> None:
    bot = door.bot
    shown = door.get(door.at_slack(slack_page(door, BOB), CHARLIE))
    assert "Connected" in door.confirm(shown).text
    assert slack.person_of(bot.db, TEAM_ID, CHARLIE) == bot.actors[BOB].person_id
    assert slack.person_of(bot.db, TEAM_ID, BOB) is None
    with bot.posting():
        until(lambda: all(bot.bot_messages(who) for who in (BOB, CHARLIE)), "both are told")
    told = {who: str(bot.bot_messages(who)[0]["text"]) for who in (BOB, CHARLIE)}
    assert "was replaced" in told[BOB]
    assert "Charlie Novak" in told[CHARLIE] and "instead of" in told[CHARLIE]
    actions = [line.action for line in slack_people.audit_of(bot.db, person_id=bot.actors[CHARLIE].person_id)]
    assert "connection replaced" in actions


def test_of_two_who_come_back_at_once_one_passes(bot: Bot) -> None:
    for _ in range(5):
        secret = new_state(bot.db, State("signin", "p1"))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _, s=secret: take_state(bot.db, "signin", s), range(8)))
        assert sum(one is not None for one in found) == 1
    assert take_state(bot.db, "install", new_state(bot.db, State("signin"))) is None


# -- the page's overview ---------------------------------------------------------------------------------------


def test_the_page_shows_what_is_linked_and_done(door: Pages) -> None:
    bot = door.bot
    assert "BIO 101" in bot.say(ALICE, "/room status")
    bot.say(BOB, "/breakout start 4 auto")
    seen = door.ask(ALICE, "GET", "/app/api/slack")
    assert seen["enabled"] and seen["can_sign_in"]
    assert [(link["team_id"], link["user_id"], link["suspended"]) for link in seen["links"]] == [
        (TEAM_ID, ALICE, "")
    ]
    bobs = [line for line in seen["actions"] if not line["mine"]]
    assert bobs and bobs[0]["who"] == "Bob Keller" and bobs[0]["result"] == "not_moderator"
    mine = door.ask(BOB, "GET", "/app/api/slack")["actions"]
    assert mine and all(line["mine"] for line in mine), "students see only what they did themselves"
    assert not [a for a in door.ask(CHARLIE, "GET", "/app/api/slack")["actions"] if not a["mine"]]


def test_the_page_disconnects(door: Pages) -> None:
    door.ask(BOB, "DELETE", "/app/api/slack/link?team_id=T0OTHER")
    assert slack.person_of(door.bot.db, TEAM_ID, BOB) is not None
    door.ask(BOB, "DELETE", "/app/api/slack/link")
    assert slack.person_of(door.bot.db, TEAM_ID, BOB) is None
    assert slack.person_of(door.bot.db, TEAM_ID, ALICE) is not None
    assert "Connect your course account first" in door.bot.say(BOB, "/room status")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/app/api/slack"),
        ("POST", "/app/api/slack/code"),
        ("POST", "/app/api/slack/signin"),
        ("DELETE", "/app/api/slack/link"),
    ],
)
def test_nothing_without_the_pages_token(door: Pages, method: str, path: str) -> None:
    answer = door.client.open(path, method=method, headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401 and answer.json is not None
    assert answer.json["error"]["code"] == "unauthenticated"
