"""Workspaces install the app themselves: states used once, tokens encrypted, rotation, removal and coming back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.identity_watch import RENEW_BEFORE, Watch
from bot.install import Workspaces
from bot.manifest import BOT_SCOPES
from bot.outbox import Outbox
from models.store import slack, slack_outbox
from models.store.slack_install import Installation, Installations
from sandbox.slack import client as slack_client
from sandbox.slack.setup import CLASS_CHANNEL, TEAM_ID
from server.settings import Settings
from server.wiring_slack import bot_settings
from tests.botkit import ALICE, MODS, STRANGER, Bot, until
from tests.slackkit import KEY, Pages, oauth_settings, pages

pytestmark = pytest.mark.integration
OTHER_TEAM = "T0SECOND"


@pytest.fixture
def bot(bot: Bot) -> Bot:
    bot.slack.provider.rotates = bot.slack.provider.org_install = False
    bot.slack.provider.scopes = ",".join(BOT_SCOPES)
    bot.slack.store.set_user("U0SECOND", OTHER_TEAM)
    bot.slack.store.teams[OTHER_TEAM] = "Second"
    return bot


@pytest.fixture
def door(bot: Bot) -> Iterator[Pages]:
    with pages(bot, oauth_settings(bot)) as made:
        yield made


def begin(door: Pages) -> str:
    answer = door.get("/slack/install")
    assert answer.status_code == 302
    return answer.headers["Location"]


def install(door: Pages, user: str = ALICE) -> Any:
    return door.get(door.at_slack(begin(door), user))


def raw(bot: Bot, team_id: str = TEAM_ID) -> Any:
    with bot.db.read() as session:
        return (
            session.connection()
            .execute(text("SELECT * FROM slack_install WHERE team_id = :team"), {"team": team_id})
            .one()
        )


def test_a_workspace_installs_the_app_and_uses_it(door: Pages) -> None:
    bot = door.bot
    assert bot.say(ALICE, "/room status") == "", "not installed: silence"
    shown = install(door)
    assert shown.status_code == 200 and "Practice" in shown.text
    installs = Installations(bot.db, KEY)
    found = installs.find(TEAM_ID)
    assert found is not None and found.bot_token.startswith("xoxb-")
    assert (found.bot_user_id, found.bot_id, found.app_id) == ("U0BOT", "B0PRACTICE", "A0PRACTICE")
    assert found.installed_by == ALICE
    with pages(bot, door.settings):  # the first door remembers for two seconds that there was nothing
        assert "BIO 101" in bot.say(ALICE, "/room status")


def test_tokens_are_encrypted_at_rest(door: Pages) -> None:
    door.bot.slack.provider.rotates = True
    install(door)
    found = Installations(door.bot.db, KEY).find(TEAM_ID)
    assert found is not None and found.refresh_token
    row = raw(door.bot)
    for token in (found.bot_token, found.refresh_token):
        assert token not in str(tuple(row))
    assert Installations(door.bot.db, "cd" * 32).find(TEAM_ID) is None, "another site secret reads nothing"


def test_a_state_is_used_once_and_only_in_its_browser(door: Pages) -> None:
    back = door.at_slack(begin(door), ALICE)
    stranger = door.get(back, door.another_browser())
    assert stranger.status_code == 403 and "another browser" in stranger.text
    assert door.get(back).status_code == 403, "a stolen state is gone for all"
    back = door.at_slack(begin(door), ALICE)
    assert door.get(back).status_code == 200
    replayed = door.get(back)
    assert replayed.status_code == 403 and "already finished" in replayed.text


def test_of_many_who_replay_a_state_at_once_one_installs(door: Pages) -> None:
    back = door.at_slack(begin(door), ALICE)
    cookie = door.client.get_cookie("sideroom_slack_install", domain="room.test", path="/slack")
    assert cookie is not None

    def come_back(_: int) -> int:
        browser = door.another_browser()
        browser.set_cookie("sideroom_slack_install", cookie.value, domain="room.test", path="/slack")
        return door.get(back, browser).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(come_back, range(6)))
    assert sorted(statuses) == [200, 403, 403, 403, 403, 403]


@pytest.mark.parametrize("query", ["", "state=", "state=x&code=y"])
def test_a_strange_state_installs_nothing(door: Pages, query: str) -> None:
    begin(door)
    assert door.get(f"/slack/oauth_redirect?{query}").status_code == 403
    assert Installations(door.bot.db, KEY).all() == []


def test_who_does_not_agree_installs_nothing(door: Pages) -> None:
    answer = door.get(door.at_slack(begin(door), "nobody"))
    assert answer.status_code == 403 and "didn’t allow access" in answer.text


def test_only_named_workspaces_install(bot: Bot) -> None:
    with pages(bot, oauth_settings(bot, teams=TEAM_ID)) as door:
        before = set(bot.slack.store.tokens)
        answer = install(door, "U0SECOND")
        assert answer.status_code == 403 and OTHER_TEAM in answer.text
        assert set(bot.slack.store.tokens) == before, "the token was given back"
        assert Installations(bot.db, KEY).all() == []


def test_an_installation_for_a_whole_organisation_is_refused(door: Pages) -> None:
    door.bot.slack.provider.org_install = True
    answer = install(door)
    assert answer.status_code == 403 and "one workspace at a time" in answer.text
    assert Installations(door.bot.db, KEY).all() == []


def test_missing_scopes_are_named(door: Pages) -> None:
    door.bot.slack.provider.scopes = "commands,chat:write"
    assert "users:read" in install(door).text


def test_a_wrong_client_secret_is_told(door: Pages, bot: Bot) -> None:
    with pages(bot, replace(door.settings, client_secret="wrong")) as wrong:
        answer = install(wrong)
    assert answer.status_code == 403 and "bad_client_secret" in answer.text


# -- removal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [["app_uninstalled", "tokens_revoked"], ["tokens_revoked", "app_uninstalled"], ["app_uninstalled"] * 2],
)
def test_a_removed_app_forgets_its_token_and_keeps_its_links(door: Pages, order: list[str]) -> None:
    bot = door.bot
    install(door)
    slack_outbox.put_out(bot.db, team_id=TEAM_ID, channel_id=MODS, method="message", payload={"text": "late"})
    for name in order:
        more = {"tokens": {"oauth": [], "bot": ["U0BOT"]}} if name == "tokens_revoked" else {}
        assert bot.event({"type": name, **more}) == 200
    row = raw(bot)
    assert (row.bot_token, row.refresh_token, bool(row.suspended)) == ("", "", True)
    assert slack.person_of(bot.db, TEAM_ID, ALICE) is None
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None and link.suspended
    with pages(bot, door.settings):
        assert bot.say(ALICE, "/room status") == ""
    Outbox(door.settings, bot.db).work()
    assert "late" not in [m["text"] for m in bot.bot_messages()]


def test_an_app_that_is_installed_again_finds_its_links(door: Pages) -> None:
    bot = door.bot
    install(door)
    slack.suspend_channel(bot.db, TEAM_ID, CLASS_CHANNEL, "channel_archive")
    bot.event({"type": "app_uninstalled"})
    install(door)
    with pages(bot, door.settings):
        assert "BIO 101" in bot.say(ALICE, "/room status")
    link = slack.channel_link(bot.db, TEAM_ID, CLASS_CHANNEL)
    assert link is not None and link.suspended, "what was suspended for another reason stays so"


def test_revoked_tokens_of_users_change_nothing(door: Pages) -> None:
    install(door)
    door.bot.event({"type": "tokens_revoked", "tokens": {"oauth": [ALICE], "bot": []}})
    assert Installations(door.bot.db, KEY).find(TEAM_ID) is not None


def test_with_a_fixed_token_a_removed_app_comes_back_with_a_working_token(bot: Bot) -> None:
    bot.event({"type": "app_uninstalled"})
    assert Workspaces(bot.settings, bot.db).find(TEAM_ID) is None
    Watch(bot.settings, bot.db).introduce()
    found = Workspaces(bot.settings, bot.db).find(TEAM_ID)
    assert found is not None and (found.bot_token, found.bot_user_id) == (bot.settings.bot_token, "U0BOT")
    assert Workspaces(bot.settings, bot.db).name_of(TEAM_ID) == "Practice"
    assert slack.person_of(bot.db, TEAM_ID, ALICE) is not None


def test_who_we_are_is_asked_until_slack_answers_once(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(bot.settings, bot.db)
    bot.slack.store.faults["auth.test"].append({"error": "internal_error"})
    watch.introduce()
    assert Workspaces(bot.settings, bot.db).name_of(TEAM_ID) == TEAM_ID
    for _ in range(3):
        watch.introduce()
    assert Workspaces(bot.settings, bot.db).name_of(TEAM_ID) == "Practice"
    wrong = Watch(replace(bot.settings, bot_token="xoxb-wrong"), bot.db)
    for _ in range(3):
        wrong.introduce()
    assert caplog.text.count("slack.token_refused code=invalid_auth") == 1
    assert [call["method"] for call in bot.slack.store.calls].count("auth.test") == 3


# -- many workspaces -------------------------------------------------------------------------------------------


def test_each_workspace_gets_its_messages_with_its_own_token(door: Pages) -> None:
    bot = door.bot
    install(door)
    install(door, "U0SECOND")
    installs = Installations(bot.db, KEY)
    first, second = installs.find(TEAM_ID), installs.find(OTHER_TEAM)
    assert first is not None and second is not None and first.bot_token != second.bot_token
    for team_id, said in ((TEAM_ID, "one"), (OTHER_TEAM, "two"), ("T0NOWHERE", "three")):
        slack_outbox.put_out(
            bot.db, team_id=team_id, channel_id=MODS, method="message", payload={"text": said}
        )
    bot.slack.store.calls.clear()
    outbox = Outbox(door.settings, bot.db)

    def posted() -> list[tuple[str, str]]:
        outbox.work()
        made = [call for call in bot.slack.store.calls if call["method"] == "chat.postMessage"]
        return sorted((call["team"], call["body"]["text"]) for call in made)

    until(lambda: len(posted()) == 2 and not slack_outbox.due(bot.db), "both are posted")
    assert posted() == [(TEAM_ID, "one"), (OTHER_TEAM, "two")]


def test_a_request_signed_for_another_app_is_refused(bot: Bot) -> None:
    with pages(bot, replace(bot.settings, app_id="A0OURS")):
        assert bot.say(ALICE, "/room status") == ""
    with pages(bot, replace(bot.settings, app_id="A0PRACTICE")):
        assert "BIO 101" in bot.say(ALICE, "/room status")


def test_the_signing_secret_of_yesterday(bot: Bot) -> None:
    body = slack_client.command_body(ALICE, MODS, "/room", "status")
    with pages(bot, replace(bot.settings, signing_secret="f" * 32)):
        assert bot.post(body).status_code == 401
    with pages(
        bot, replace(bot.settings, signing_secret="f" * 32, old_signing_secret=bot.settings.signing_secret)
    ):
        assert bot.post(body).status_code == 200
        assert (
            bot.post(body + "&text=changed", headers={"X-Slack-Signature": "v0=" + "0" * 64}).status_code
            == 401
        )


# -- rotation --------------------------------------------------------------------------------------------------


def ending(bot: Bot, practice_token: str) -> Installations:
    """An installation whose token ends in two hours."""
    installs = Installations(bot.db, KEY)
    found = installs.find(TEAM_ID)
    assert found is not None and found.bot_token == practice_token
    soon = datetime.now(UTC) + RENEW_BEFORE - timedelta(minutes=1)
    installs.save(replace(found, token_expires_at=soon))
    return installs


def test_a_token_is_renewed_before_it_ends_by_one_of_many(door: Pages) -> None:
    bot = door.bot
    bot.slack.provider.rotates = True
    install(door)
    before = Installations(bot.db, KEY).find(TEAM_ID)
    assert before is not None and before.token_expires_at is not None
    watches = [Watch(door.settings, bot.db) for _ in range(4)]
    for watch in watches:
        watch.renew()
    now = Installations(bot.db, KEY).find(TEAM_ID)
    assert now is not None and now.bot_token == before.bot_token, "11 hours are left"
    installs = ending(bot, before.bot_token)
    bot.slack.store.calls.clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda watch: watch.renew(), watches))
    calls = [c for c in bot.slack.store.calls if c["method"] == "oauth.v2.access"]
    assert len(calls) == 1, "a refresh token works once"
    after = installs.find(TEAM_ID)
    assert after is not None and after.bot_token != before.bot_token
    assert after.refresh_token not in ("", before.refresh_token)
    assert after.token_expires_at is not None
    assert after.token_expires_at > datetime.now(UTC) + timedelta(hours=11)


def test_a_renewal_that_fails_is_tried_again_later(door: Pages) -> None:
    bot = door.bot
    bot.slack.provider.rotates = True
    install(door)
    before = Installations(bot.db, KEY).find(TEAM_ID)
    assert before is not None
    installs = ending(bot, before.bot_token)
    bot.slack.store.faults["oauth.v2.access"].append({"error": "internal_error"})
    Watch(door.settings, bot.db).renew()
    assert list(installs.expiring(RENEW_BEFORE)) == [], "leased for a minute"
    found = installs.find(TEAM_ID)
    assert found is not None and found.bot_token == before.bot_token
    installs.save(replace(found, suspended=False))  # the lease is over
    Watch(door.settings, bot.db).renew()
    after = installs.find(TEAM_ID)
    assert after is not None and after.bot_token != before.bot_token


def test_what_is_not_installed_has_no_client(bot: Bot) -> None:
    workspaces = Workspaces(oauth_settings(bot), bot.db)
    assert workspaces.client(TEAM_ID) is None
    workspaces.installs.save(Installation(TEAM_ID, "xoxb-1"))
    assert Workspaces(oauth_settings(bot), bot.db).client(TEAM_ID) is not None
    assert Workspaces(oauth_settings(bot, OTHER_TEAM), bot.db).client(TEAM_ID) is None, "not named any more"
    assert STRANGER not in workspaces.team_ids() and workspaces.team_ids() == [TEAM_ID]


# -- another site secret ---------------------------------------------------------------------------------------


def test_a_new_site_secret_reads_the_tokens_and_seals_them_anew(door: Pages) -> None:
    bot = door.bot
    bot.slack.provider.rotates = True
    install(door)
    before = Installations(bot.db, KEY).find(TEAM_ID)
    assert before is not None and before.bot_token and before.refresh_token
    new = "cd" * 32
    assert Installations(bot.db, new).find(TEAM_ID) is None
    moved = replace(door.settings, token_key=new, old_token_keys=("ab" * 32, KEY))
    assert Workspaces(moved, bot.db).find(TEAM_ID) == before
    watch = Watch(moved, bot.db)
    watch.reseal()
    assert Installations(bot.db, new).find(TEAM_ID) == before, "the old secret may be forgotten"
    assert Installations(bot.db, KEY).find(TEAM_ID) is None
    assert Installations(bot.db, new, [KEY]).reseal() == 0


def test_a_token_that_no_key_opens_is_left_as_it_is(door: Pages) -> None:
    bot = door.bot
    install(door)
    assert Installations(bot.db, "ef" * 32, ["cd" * 32]).reseal() == 0
    assert Installations(bot.db, KEY).find(TEAM_ID) is not None


def test_the_settings_hand_the_earlier_secrets_on() -> None:
    old = Settings(secret="o" * 40)
    new = Settings(secret="n" * 40, previous_secrets="x" * 40 + ", " + "o" * 40)
    assert old.key("slack tokens") in bot_settings(new).old_token_keys
    assert bot_settings(new).token_key == new.key("slack tokens")


@pytest.mark.parametrize(
    "answer",
    [
        '{"ok": true}',
        '{"ok": true, "access_token": null, "refresh_token": null}',
        '{"ok": true, "access_token": "", "expires_in": 43200}',
        "<html>Sign in to the campus network</html>",
    ],
)
def test_a_renewal_without_tokens_keeps_the_stored_ones(door: Pages, answer: str) -> None:
    bot = door.bot
    bot.slack.provider.rotates = True
    install(door)
    before = Installations(bot.db, KEY).find(TEAM_ID)
    assert before is not None
    installs = ending(bot, before.bot_token)
    bot.slack.store.faults["oauth.v2.access"].append({"body": answer, "mimetype": "application/json"})
    Watch(door.settings, bot.db).renew()
    after = installs.find(TEAM_ID)
    assert after is not None
    assert (after.bot_token, after.refresh_token) == (before.bot_token, before.refresh_token)


def test_a_renewal_without_a_refresh_token_keeps_the_stored_one(door: Pages) -> None:
    bot = door.bot
    bot.slack.provider.rotates = True
    install(door)
    before = Installations(bot.db, KEY).find(TEAM_ID)
    assert before is not None
    installs = ending(bot, before.bot_token)
    answer = '{"ok": true, "access_token": "xoxe.xoxb-new"}'
    bot.slack.store.faults["oauth.v2.access"].append({"body": answer, "mimetype": "application/json"})
    Watch(door.settings, bot.db).renew()
    after = installs.find(TEAM_ID)
    assert after is not None and after.token_expires_at is not None
    assert (after.bot_token, after.refresh_token) == ("xoxe.xoxb-new", before.refresh_token)
    assert after.token_expires_at > datetime.now(UTC) + timedelta(hours=11)


@pytest.mark.parametrize(
    "answer", ['{"ok": true}', '{"ok": true, "team": "T0", "access_token": "xoxb-1"}', "<html></html>", "[]"]
)
def test_an_installation_that_slack_answers_oddly_is_told(door: Pages, answer: str) -> None:
    bot = door.bot
    bot.slack.store.faults["oauth.v2.access"].append({"body": answer, "mimetype": "application/json"})
    assert install(door).status_code == 403
    assert Installations(bot.db, KEY).find(TEAM_ID) is None
