"""Slack's limits under a storm of changes, with a clock that is moved by hand; faults; requests that come twice."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bot.notify import Notifier
from bot.outbox import Outbox
from models.store import people, slack, slack_outbox
from models.store.slack_install import Installation, Installations
from models.values import Actor, ActorKind, CommandId, Role, SessionId
from rooms import commands as c
from rooms.commands import Command, Envelope
from rooms.ports import Committed
from sandbox.slack import client as slack_client
from sandbox.slack.setup import CHANNELS, TEAM_ID
from tests.botkit import (
    ALICE,
    BOB,
    ISSUER,
    MODS,
    TOKEN,
    Bot,
    Moved,
    until,
)
from tests.slackkit import oauth_settings

pytestmark = pytest.mark.integration
SESSIONS = 10
SECONDS = 130
UPDATES_A_MINUTE = 50
"""Slack's own limit for chat.update in a workspace."""


class Storm:
    """Ten courses, each with a live session and a moderators’ channel; notifier and outbox work by hand."""

    def __init__(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bot = bot
        self.clock = Moved()
        self.clock.at = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
        self.notifier = Notifier(bot.db, bot.rooms, "https://room.test", self.clock.now)
        self.outbox: Outbox = bot.outbox(clock=self.clock)
        self.commits: list[Committed] = []
        self.sent: list[tuple[float, str, str]] = []
        self.count = 0
        bot.rooms.subscribe(self.commits.append)
        self.sessions: list[tuple[SessionId, Actor]] = []
        alice = bot.actors[ALICE]
        assert alice.person_id is not None
        for number in range(SESSIONS):
            course = people.upsert_course(bot.db, ISSUER, f"storm{number}", f"STORM {number}")
            people.upsert_membership(bot.db, course, alice.person_id, Role.MODERATOR, [])
            channel = f"C0STORM{number}"
            monkeypatch.setitem(CHANNELS, channel, (channel.lower(), True))
            slack.link_channel(bot.db, TEAM_ID, channel, course, "moderators", alice.person_id)
            session_id = bot.rooms.open_session(course, f"STORM {number}", "Room")
            actor = Actor(ActorKind.PERSON, alice.person_id, "Alice", Role.MODERATOR, course)
            self.sessions.append((session_id, actor))
            self.do(session_id, actor, c.EnterSession("Alice", Role.MODERATOR))
            self.do(session_id, actor, c.CreateRooms(2, countdown_s=0, time_limit_s=3600))
            self.do(session_id, actor, c.StartBreakout())

    def do(self, session_id: SessionId, actor: Actor, command: Command) -> None:
        self.count += 1
        self.bot.rooms.submit(Envelope(CommandId(f"storm-{self.count}"), session_id, actor, command))

    def tell(self) -> None:
        """What was committed becomes rows."""
        while self.commits:
            self.notifier.notify(self.commits.pop(0))

    def work(self) -> None:
        """Send what may be sent at this moment; remember what went out when."""
        before = len(self.bot.slack.store.calls)
        while self.outbox.work():
            pass
        for call in list(self.bot.slack.store.calls)[before:]:
            self.sent.append((self.clock.seconds, call["method"], str(call["body"].get("channel", ""))))

    def most_in(self, seconds: float, method: str) -> int:
        times = [at for at, name, _ in self.sent if name == method]
        return max((sum(1 for t in times if at <= t < at + seconds) for at in times), default=0)


def test_ten_changing_sessions_stay_under_slacks_limits_and_end_right(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = Storm(bot, monkeypatch)
    for second in range(SECONDS):
        for session_id, actor in storm.sessions:
            room = storm.bot.rooms.state(session_id).breakout_rooms[second % 2]
            storm.do(session_id, actor, c.RenameRoom(room.room_id, f"Name {second}"))
        storm.tell()
        for _ in range(4):
            storm.work()
            storm.clock.forward(0.25)
    assert storm.most_in(60.0, "chat.update") <= UPDATES_A_MINUTE
    posts = Counter((int(at), channel) for at, name, channel in storm.sent if name == "chat.postMessage")
    assert max(posts.values()) == 1, "one message a second and channel"
    updates = Counter(channel for _, name, channel in storm.sent if name == "chat.update")
    assert min(updates[f"C0STORM{n}"] for n in range(SESSIONS)) >= 5, updates
    for session_id, actor in storm.sessions:
        storm.do(session_id, actor, c.EndSession())
    storm.tell()
    ended_at = storm.clock.seconds
    while slack_outbox.depth(bot.db, storm.clock.now())[0] and storm.clock.seconds < ended_at + 60:
        storm.work()
        storm.clock.forward(0.5)
    assert storm.most_in(60.0, "chat.update") <= UPDATES_A_MINUTE
    for number in range(SESSIONS):
        (card,) = bot.bot_messages(f"C0STORM{number}")
        assert card["text"] == f"STORM {number}: the session has ended"
        assert "action_id" not in json.dumps(card["blocks"])


def test_a_help_call_passes_the_storm(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    storm = Storm(bot, monkeypatch)
    storm.tell()
    storm.work()
    bot.run_breakout(2)
    storm.clock.forward(2)
    bot.do(BOB, c.CallModerator())
    storm.tell()
    before = len(storm.sent)
    storm.work()
    assert storm.sent[before][1:] == ("chat.postMessage", MODS), "the call goes first"
    assert any("needs help" in m["text"] for m in bot.bot_messages())


# -- waiting as Slack asks -------------------------------------------------------------------------------------


def test_a_limit_parks_one_method_only(bot: Bot) -> None:
    clock = Moved()
    clock.at = datetime.now(UTC) + timedelta(seconds=5)
    outbox = bot.outbox(clock=clock)
    bot.put("card", "card:x", 1)
    outbox.work()
    clock.forward(10)
    bot.slack.store.faults["chat.update"].append({"status": 429, "retry_after": 120})
    bot.put("card again", "card:x", 2)
    outbox.work()
    bot.put("a post", priority=1)
    outbox.work()
    assert "a post" in [m["text"] for m in bot.bot_messages()], "posting is not limited"
    assert outbox.health()["limited"] == [TEAM_ID]
    assert "limiting updates" in json.dumps(bot.door.home.view(TEAM_ID, ALICE, limited=True))
    clock.forward(119)
    assert not outbox.work()
    clock.forward(2)
    assert outbox.work()
    assert "card again" in [m["text"] for m in bot.bot_messages()]


def test_calls_that_came_too_late_become_one_line(bot: Bot) -> None:
    clock = Moved()
    clock.at = datetime.now(UTC) + timedelta(minutes=6)
    outbox = bot.outbox(clock=clock)
    bot.slack.store.faults["chat.postMessage"].extend([{"status": 503, "error": "service_unavailable"}] * 3)
    for number in range(3):
        bot.put(f"Bob {number} asks for help", f"call:h{number}", 1, priority=1)
    for _ in range(40):
        outbox.work()
        clock.forward(1)
    assert [m["text"] for m in bot.bot_messages()] == [
        ":warning: 3 help calls couldn’t be shown here while Slack was unavailable."
    ]


def test_an_outage_ends_with_one_update_a_card(bot: Bot) -> None:
    clock = Moved()
    clock.at = datetime.now(UTC) + timedelta(seconds=5)
    outbox = bot.outbox(clock=clock)
    bot.put("card 0", "card:x", 0)
    outbox.work()
    bot.slack.store.faults["chat.update"].extend([{"status": 500, "error": "fatal_error"}] * 6)
    for rev in range(1, 40):
        bot.put(f"card {rev}", "card:x", rev)
        outbox.work()
        clock.forward(3)
    for _ in range(40):
        outbox.work()
        clock.forward(3)
    assert [m["text"] for m in bot.bot_messages()] == ["card 39"]
    assert slack_outbox.depth(bot.db, clock.now())[0] == 0


def test_a_hanging_card_does_not_hold_a_help_call_up(bot: Bot) -> None:
    bot.put("card", "card:x", 1)
    bot.outbox().work()
    bot.slack.store.faults["chat.update"].append({"hang": 6})
    outbox = bot.outbox()
    bot.put("card again", "card:x", 2)
    outbox.start()
    try:
        until(
            lambda: any(call["method"] == "chat.update" for call in bot.slack.store.calls), "the hanging call"
        )
        bot.put("help", "call:h", 1, priority=1)
        until(lambda: "help" in [m["text"] for m in bot.bot_messages()], "the help call", 5)
        assert "card again" not in [m["text"] for m in bot.bot_messages()], "the card still hangs"
    finally:
        outbox.stop()


def test_a_revoked_token_stops_the_workspace_for_a_while(bot: Bot) -> None:
    clock = Moved()
    clock.at = datetime.now(UTC) + timedelta(seconds=5)
    outbox = bot.outbox(clock=clock)
    bot.slack.store.faults["chat.postMessage"].append({"error": "token_revoked"})
    bot.put("first")
    bot.put("second", channel="C0BIO101")
    outbox.work()
    assert [call["method"] for call in bot.slack.store.calls] == ["chat.postMessage"], "one try is enough"
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert not link.suspended, "it is not the channel's fault"
    clock.forward(61)
    for _ in range(3):
        outbox.work()
        clock.forward(1)
    assert [m["text"] for m in bot.bot_messages()] == ["first"]


def test_a_workspace_that_took_the_token_back_is_suspended(bot: Bot) -> None:
    settings = oauth_settings(bot)
    installs = Installations(bot.db, settings.token_key)
    installs.save(Installation(TEAM_ID, TOKEN))
    bot.slack.store.faults["chat.postMessage"].append({"error": "token_revoked"})
    bot.put("anybody?")
    Outbox(settings, bot.db).work()
    assert installs.find(TEAM_ID) is None
    assert slack_outbox.depth(bot.db)[0] == 0
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert link.suspended, "kept for the day the app is installed again"


# -- twice -----------------------------------------------------------------------------------------------------


def test_every_request_twice_changes_nothing_more(bot: Bot) -> None:
    bot.run_breakout(2)
    bot.do(BOB, c.CallModerator())
    (call,) = bot.state.calls.values()
    bodies = [
        slack_client.command_body(ALICE, MODS, "/breakout", "add 5m", "", "t1"),
        slack_client.command_body(ALICE, MODS, "/broadcast", "Two minutes", "", "t2"),
        slack_client.command_body(ALICE, MODS, "/record", "start main now", "", "t3"),
    ]
    for action_id, value in (
        ("help_join", f"{bot.session_id}:{call.call_id}"),
        ("add_time", str(bot.session_id)),
        ("shuffle", str(bot.session_id)),
    ):
        payload = bot.action(
            ALICE, {"action_id": action_id, "type": "button", "value": value, "action_ts": "7"}
        )
        bodies.append(slack_client.interaction_body(payload))
    for body in bodies:
        assert bot.post(body).status_code == 200
    bot.settle()
    events = bot.events()
    for body in bodies * 2:
        assert bot.post(body).status_code == 200
    bot.settle()
    assert bot.events() == events


# -- a classroom that cannot be reached ------------------------------------------------------------------------


def broken(*_: object, **__: object) -> Any:
    raise OperationalError("select", {}, Exception("no database"))


def test_an_end_is_kept_while_the_classroom_is_away(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    bot.run_breakout(2)
    with monkeypatch.context() as patched:
        patched.setattr(bot.rooms, "state", broken)
        refused = bot.say(ALICE, "/breakout add 5m")
        assert "can’t be reached" in refused
        assert "kept" not in refused
        assert "keep trying" in bot.say(ALICE, "/breakout end now")
    until(lambda: bot.state.breakout.status.value in ("closing", "configured"), "the end", 20)


def test_requests_are_told_apart_without_a_database(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    body = slack_client.command_body(ALICE, MODS, "/room", "status", "", "t1")
    with monkeypatch.context() as patched:
        patched.setattr("models.store.slack_inbox.write", broken)
        assert "BIO 101" in str(bot.post(body).json)
        assert bot.post(body).text == ""
        assert bot.event({"type": "channel_archive", "channel": MODS}, "EvX") == 500, "Slack sends it again"
    assert bot.event({"type": "channel_archive", "channel": MODS}, "EvX") == 200
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert link.suspended


def test_late_answers_follow_by_themselves(bot: Bot) -> None:
    """A loaded classroom: the acknowledgement does not wait, the answer comes by the response_url."""
    url = bot.slack.store.new_response_url(bot.slack.url, MODS, ALICE)
    object.__setattr__(bot.settings, "answer_within_s", 0.0)
    body = slack_client.command_body(ALICE, MODS, "/room", "status", url, "t1")
    assert bot.post(body).text == ""
    bot.settle()
    bot.outbox().work()
    (said,) = [m for m in bot.slack.store.seen_by(MODS, ALICE) if m.get("only_for") == ALICE]
    assert "BIO 101" in said["text"]
