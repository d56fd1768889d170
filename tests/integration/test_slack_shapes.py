"""Payloads in the shapes that Slack documents for large organisations and shared channels, and signed ones that are odd."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from slack_bolt.request.internals import extract_team_id

from bot.identity import standing_of, team_of
from bot.shapes import problem
from models.store import slack, slack_people
from models.store.slack_people import Standing
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import ALICE, CHARLIE, MODS, STRANGER, Bot

pytestmark = pytest.mark.integration
FOLDER = Path(__file__).parents[1] / "payloads" / "slack"
JSON = {"Content-Type": "application/json"}
HOME, ORGANISATION = "T0LAWSCHOOL", "E0UNIVERSITY"
ODD = (None, [], {}, "", 5, True, [None], [5], {"id": 5}, "x" * 300)


def colleague(bot: Bot, user_id: str = ALICE, teams: tuple[str, ...] = (HOME, TEAM_ID), **flags: Any) -> None:
    """Somebody whose home is another workspace of the same organisation (docs.slack.dev/reference/objects/user-object)."""
    enterprise = {
        "id": user_id,
        "enterprise_id": ORGANISATION,
        "enterprise_name": "University",
        "is_admin": False,
        "is_owner": False,
        "teams": list(teams),
    }
    bot.slack.store.set_user(user_id, team_id=HOME, enterprise_user=enterprise, **flags)


def forget(bot: Bot) -> None:
    """The door is new: it has asked Slack about nobody yet."""
    bot.restart()


# -- Enterprise Grid -------------------------------------------------------------------------------------------


def test_a_colleague_of_another_workspace_runs_the_room(bot: Bot) -> None:
    bot.run_breakout()
    colleague(bot)
    assert bot.press(ALICE, "add_time", bot.session_id, team=HOME) == "Added 5 min."
    assert bot.press(ALICE, "broadcast_open", bot.session_id, team=HOME) == ""
    answer = bot.post(
        slack_client.interaction_body(
            {
                **slack_client.view_payload(
                    ALICE, bot.view(ALICE), {"text": {"v": {"type": "plain_text_input", "value": "Hello"}}}
                ),
                "team": {"id": TEAM_ID, "domain": "practice", "enterprise_id": ORGANISATION},
                "user": {"id": ALICE, "name": "alice", "team_id": HOME},
                "enterprise": {"id": ORGANISATION, "name": "University"},
            }
        )
    )
    assert (answer.status_code, answer.get_json(silent=True)) == (200, None)
    assert bot.names()[-1] == "MessageBroadcast"
    assert len(bot.calls_of("users.info")) == 1, "asked once in five minutes"


def test_slack_away_is_no_reason_to_refuse_a_known_colleague(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot.run_breakout()
    colleague(bot)
    assert bot.press(ALICE, "add_time", bot.session_id, team=HOME) == "Added 5 min."
    monkeypatch.setattr("bot.identity.FRESH", timedelta())
    bot.slack.store.faults["users.info"].append({"error": "internal_error"})
    assert bot.press(ALICE, "add_time", bot.session_id, team=HOME) == "Added 5 min."


@pytest.mark.parametrize(
    ("teams", "flags"),
    [((HOME,), {}), ((), {}), ((HOME, TEAM_ID), {"is_stranger": True}), ((HOME, TEAM_ID), {"deleted": True})],
)
def test_who_does_not_belong_to_this_workspace_changes_nothing(
    bot: Bot, teams: tuple[str, ...], flags: dict[str, bool]
) -> None:
    bot.run_breakout()
    colleague(bot, ALICE, teams, **flags)
    before = bot.events()
    said = bot.press(ALICE, "end", bot.session_id, team=HOME)
    assert "another Slack workspace" in said or "deactivated" in said
    assert bot.events() == before


def test_a_colleague_from_another_course_is_refused_by_the_course(bot: Bot) -> None:
    bot.run_breakout()
    colleague(bot, CHARLIE)
    before = bot.events()
    assert "not in this course" in bot.press(CHARLIE, "end", bot.session_id, team=HOME)
    assert bot.events() == before


def test_a_colleague_who_has_just_left_the_workspace_is_refused(bot: Bot) -> None:
    bot.run_breakout()
    colleague(bot)
    assert bot.press(ALICE, "add_time", bot.session_id, team=HOME) == "Added 5 min."
    colleague(bot, ALICE, (HOME,))
    assert bot.event({"type": "user_change", "user": bot.slack.store.users[ALICE]}) == 200
    before = bot.events()
    bot.press(ALICE, "end", bot.session_id, team=HOME)
    assert bot.events() == before


def test_news_about_a_colleague_suspends_nothing(bot: Bot) -> None:
    colleague(bot)
    assert bot.event({"type": "user_change", "user": bot.slack.store.users[ALICE]}) == 200
    known = slack_people.known(bot.db, TEAM_ID, ALICE)
    assert known is not None and known.standing is Standing.MEMBER
    assert slack.person_of(bot.db, TEAM_ID, ALICE) is not None
    assert (
        bot.event({"type": "user_change", "user": {**bot.slack.store.users[ALICE], "is_restricted": True}})
        == 200
    )
    known = slack_people.known(bot.db, TEAM_ID, ALICE)
    assert known is not None and known.standing is Standing.GUEST


def test_a_link_that_was_suspended_wrongly_works_again(bot: Bot) -> None:
    slack_people.remember(bot.db, TEAM_ID, ALICE, Standing.STRANGER)
    assert slack.person_of(bot.db, TEAM_ID, ALICE) is None
    colleague(bot)
    assert bot.event({"type": "user_change", "user": bot.slack.store.users[ALICE]}) == 200
    assert slack.person_of(bot.db, TEAM_ID, ALICE) is not None


@pytest.mark.parametrize(
    ("user", "standing"),
    [
        ({"id": "U1", "team_id": HOME, "enterprise_user": {"teams": [HOME, TEAM_ID]}}, Standing.MEMBER),
        ({"id": "U1", "team_id": ORGANISATION, "enterprise_user": {"teams": [TEAM_ID]}}, Standing.MEMBER),
        ({"id": "U1", "team_id": HOME, "enterprise_user": {"teams": [HOME]}}, Standing.STRANGER),
        ({"id": "U1", "team_id": HOME, "enterprise_user": {"teams": TEAM_ID}}, Standing.STRANGER),
        ({"id": "U1", "team_id": HOME, "enterprise_user": None}, Standing.STRANGER),
        ({"id": "U1", "team_id": HOME, "enterprise_user": []}, Standing.STRANGER),
        ({"id": "U1", "team_id": HOME}, Standing.STRANGER),
        ({"id": "U1", "team_id": TEAM_ID, "enterprise_user": {}}, Standing.MEMBER),
    ],
)
def test_what_slacks_user_object_says_of_an_organisation(user: dict[str, Any], standing: Standing) -> None:
    assert standing_of(user, TEAM_ID) is standing


# -- events of shared channels ---------------------------------------------------------------------------------


def outer(event: dict[str, Any], team_id: str, authorized: str | None) -> str:
    body = json.loads(slack_client.event_body(event, uuid4().hex))
    granted = [{**body["authorizations"][0], "team_id": authorized}] if authorized else []
    return json.dumps({**body, "team_id": team_id, "authorizations": granted, "is_ext_shared_channel": True})


def test_an_event_belongs_to_the_workspace_that_is_authorized(bot: Bot) -> None:
    """Slack Connect: the outer workspace is the other side's."""
    event = {"type": "channel_id_changed", "old_channel_id": MODS, "new_channel_id": "C0MOVED"}
    assert bot.post(outer(event, "T0OTHER", TEAM_ID), headers=JSON).status_code == 200
    assert slack.channel_link(bot.db, TEAM_ID, "C0MOVED") is not None
    assert slack.channel_link(bot.db, TEAM_ID, MODS) is None


def test_the_other_sides_event_changes_nothing_here(bot: Bot) -> None:
    event = {"type": "channel_archive", "channel": MODS}
    assert bot.post(outer(event, TEAM_ID, "T0OTHER"), headers=JSON).status_code == 200
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None and not link.suspended
    assert bot.post(outer(event, TEAM_ID, None), headers=JSON).status_code == 200
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None and link.suspended


def test_the_workspace_of_a_body_is_read_as_bolt_reads_it() -> None:
    for path in sorted(FOLDER.glob("*.json")):
        body = json.loads(path.read_text(encoding="utf-8"))
        if body.get("is_enterprise_install") is not True:
            assert team_of(body) == (extract_team_id(body) or ""), path.name


# -- odd payloads ----------------------------------------------------------------------------------------------


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*.json")):
        yield path.stem, json.loads(path.read_text(encoding="utf-8"))
    for name in (
        "dialog_submission",
        "dialog_cancellation",
        "dialog_suggestion",
        "interactive_message",
        "workflow_step_edit",
    ):
        yield (
            name,
            {
                "type": name,
                "token": "deprecated",
                "action_ts": "1714820000.000100",
                "team": {"id": TEAM_ID, "domain": "practice"},
                "user": {"id": ALICE, "name": "alice"},
                "channel": {"id": MODS, "name": "privategroup"},
                "callback_id": "old_form",
                "submission": {"name": "Sigourney"},
                "name": "name",
                "value": "S",
                "state": "limo",
                "response_url": "https://hooks.slack.com/app/T0/1/x",
                "actions": [{"name": "game", "type": "button", "value": "chess"}],
                "workflow_step": {"workflow_id": "1", "step_id": "2"},
            },
        )


def oddities(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a payload but for Slack's copies of what we sent."""
    if len(path) > 3 or path[-1:] in (
        ("blocks",),
        ("title",),
        ("submit",),
        ("close",),
        ("text",),
        ("profile",),
    ):
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from oddities(inner, (*path, key))


def changed(body: dict[str, Any], path: tuple[Any, ...], value: Any, *, gone: bool = False) -> dict[str, Any]:
    made: Any = copy.deepcopy(body)
    place = made
    for key in path[:-1]:
        place = place[key]
    if gone and isinstance(place, dict):
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return dict(made)


def send(bot: Bot, name: str, body: dict[str, Any]) -> int:
    if name.startswith("slash_"):
        return bot.post(urlencode(body)).status_code
    if name.startswith(("event_", "app_rate", "url_")):
        return bot.post(json.dumps(body), headers=JSON).status_code
    return bot.post(slack_client.interaction_body(body)).status_code


@pytest.mark.parametrize("name", [name for name, _ in bodies()])
def test_a_signed_odd_payload_is_never_an_error_of_ours(
    bot: Bot, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = dict(bodies())[name]
    assert send(bot, name, body) == 200
    wrong = []
    for number, path in enumerate(oddities(body)):
        odd = [(ODD[(number + step) % len(ODD)], False) for step in (0, 3)] + [(None, True)]
        for value, gone in odd:
            status = send(bot, name, changed(body, path, value, gone=gone))
            if status not in (200, 400, 401):
                wrong.append((status, path, "gone" if gone else value))
    bot.settle()
    assert wrong == []
    assert "slack.listener_failed" not in caplog.text
    assert "slack.command_failed" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        "",
        "payload=",
        "payload=5",
        "payload=[]",
        "payload=null",
        "payload=%7B%7D",
        "payload={&payload={}",
        "[]",
        "{}",
        "nothing",
    ],
)
def test_a_signed_body_of_another_kind_is_answered(bot: Bot, body: str) -> None:
    assert bot.post(body).status_code in (200, 400)
    assert bot.post(body, headers=JSON).status_code in (200, 400)


def test_every_documented_payload_has_a_shape_that_we_read() -> None:
    for name, body in bodies():
        if not name.startswith("dialog") and not name.startswith(("workflow", "interactive")):
            assert problem(body) == "", name


def test_an_old_dialog_and_empty_actions_do_nothing(bot: Bot) -> None:
    bot.run_breakout()
    before = bot.events()
    found = dict(bodies())
    assert send(bot, "dialog_submission", found["dialog_submission"]) == 200
    assert send(bot, "block_actions", {**found["block_actions_message"], "actions": []}) == 400
    bot.settle()
    assert bot.events() == before
    assert STRANGER not in str(before)
