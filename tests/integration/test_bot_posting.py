"""What appears in the channels, end to end with the practice Slack as Web API, also when Slack fails."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from uuid import uuid4

import pytest

from bot.notify import Notifier
from bot.outbox import Outbox
from models.store import slack, slack_outbox
from models.values import SYSTEM, CommandId, RecordingId
from rooms import commands as c
from rooms.commands import Envelope, ReportRecording
from rooms.ports import Committed
from sandbox.slack.setup import TEAM_ID
from tests.botkit import (
    ALICE,
    BOB,
    CLASS,
    MODS,
    Bot,
    until,
)

pytestmark = pytest.mark.integration


def cards(bot: Bot, channel: str = MODS) -> list[dict[str, Any]]:
    return [m for m in bot.bot_messages(channel) if "live session" in json.dumps(m["blocks"])]


def the_message(bot: Bot, words: str, channel: str = MODS) -> dict[str, Any] | None:
    """The only message with these words, or None while there is none."""
    found = [m for m in bot.bot_messages(channel) if words in json.dumps(m, ensure_ascii=False)]
    assert len(found) <= 1
    return found[0] if found else None


def test_one_card_is_posted_then_updated_and_ends_right(bot: Bot) -> None:
    with bot.posting():
        bot.run_breakout(2)
        until(lambda: cards(bot) and cards(bot, CLASS), "cards in both channels")
        for _ in range(30):
            bot.do(ALICE, c.AddTime(60))
        bot.do(ALICE, c.RenameRoom(bot.state.breakout_rooms[0].room_id, "<!channel> corner"))
        until(lambda: "corner" in json.dumps(cards(bot)), "the new name on the card")
        bot.do(ALICE, c.EndSession())
        until(lambda: the_message(bot, "This session has ended"), "the end on the card")
        until(lambda: the_message(bot, "This session has ended", CLASS), "the end in the class channel")
        until(lambda: bot.waiting == 0, "an empty outbox")
    assert len(cards(bot)) == len(cards(bot, CLASS)) == 1
    (card,) = cards(bot)
    assert card["text"] == "BIO 101: the session has ended"
    assert "action_id" not in json.dumps(card["blocks"])
    updates = [call for call in bot.calls_of("chat.update") if call["body"]["channel"] == MODS]
    assert len(updates) < 30, "updates are coalesced"
    assert not any("<!channel>" in json.dumps(call["body"]) for call in bot.slack.store.calls)
    posts = bot.calls_of("chat.postMessage")
    assert all(call["body"].get("unfurl_links") in (False, "0", "false") for call in posts)


def test_only_the_newest_revision_is_sent(bot: Bot) -> None:
    for rev in (1, 3, 2):
        bot.put(f"revision {rev}", "card:x", rev)
    outbox = Outbox(bot.settings, bot.db)
    assert outbox.work()
    assert [call["body"]["text"] for call in bot.calls_of("chat.postMessage")] == ["revision 3"]
    assert bot.waiting == 0


def test_a_help_call_is_one_message_rewritten(bot: Bot) -> None:
    bot.run_breakout(2)
    with bot.posting():
        bot.do(BOB, c.CallModerator())
        call = until(lambda: the_message(bot, "needs help"), "the call")
        buttons = [e["action_id"] for block in call["blocks"] for e in block.get("elements", [])]
        assert buttons == ["help_join", "help_dismiss"]
        value = next(e["value"] for block in call["blocks"] for e in block.get("elements", []))
        bot.click(ALICE, "help_join", value)
        claimed = until(lambda: the_message(bot, "is on the way"), "who answers")
    assert claimed["ts"] == call["ts"]
    assert "<@U0ALICE> is on the way" in json.dumps(claimed["blocks"])
    assert "help_join" not in json.dumps(claimed["blocks"])
    assert not any("needs help" in json.dumps(m) for m in bot.bot_messages(CLASS)), "students read there"


def test_a_recording_is_one_message_from_start_to_ready(bot: Bot) -> None:
    def report(status: str, **more: Any) -> None:
        (recording,) = bot.state.recordings.values()
        command = ReportRecording(RecordingId(recording.recording_id), status, **more)
        bot.rooms.submit(Envelope(CommandId(uuid4().hex), bot.session_id, SYSTEM, command))

    with bot.posting():
        bot.say(ALICE, "/record start main now")
        until(lambda: the_message(bot, "Recording starting"), "the recording")
        report("RECORDING")
        until(lambda: the_message(bot, "Recording running"), "that it runs")
        bot.say(ALICE, "/record stop")
        report("UPLOADING")
        report("UPLOADED", duration_s=65.0, entry_id="e1")
        ready = until(lambda: the_message(bot, "Recording ready"), "that it is ready")
    assert "rec_watch" in json.dumps(ready["blocks"])
    assert "https://" not in json.dumps(ready["blocks"]), "a shared message carries no link to a file"


def test_slack_asks_to_wait(bot: Bot) -> None:
    bot.slack.store.faults["chat.postMessage"].append({"status": 429, "retry_after": 1})
    bot.put("patience")
    outbox = Outbox(bot.settings, bot.db)
    outbox.start()
    try:
        until(lambda: the_message(bot, "patience"), "the message after the wait")
    finally:
        outbox.stop()
    first, second = bot.calls_of("chat.postMessage")
    assert second["at"] - first["at"] >= 0.9


@pytest.mark.parametrize("fault", [{"status": 500, "error": "internal_error"}, {"error": "internal_error"}])
def test_a_failing_slack_gets_it_later(bot: Bot, fault: dict[str, Any]) -> None:
    bot.slack.store.faults["chat.postMessage"].extend([fault, fault])
    bot.put("once more")
    outbox = Outbox(bot.settings, bot.db)
    outbox.start()
    try:
        until(lambda: the_message(bot, "once more"), "the message at the third try")
    finally:
        outbox.stop()
    assert len(bot.calls_of("chat.postMessage")) == 3
    assert bot.waiting == 0


def test_a_channel_that_is_gone_suspends_its_link(bot: Bot) -> None:
    bot.slack.store.faults["chat.postMessage"].append({"error": "channel_not_found"})
    bot.put("anybody?")
    Outbox(bot.settings, bot.db).work()
    link = slack.channel_link(bot.db, TEAM_ID, MODS)
    assert link is not None
    assert link.suspended
    left = [item.channel_id for item in slack_outbox.due(bot.db)]
    assert left == [ALICE], "only the word to who linked it"
    with bot.posting():
        bot.do(ALICE, c.CreateRooms(2))
        until(lambda: cards(bot, CLASS), "the card in the other channel")
    assert cards(bot) == []
    assert "suspended" in bot.say(ALICE, "/room status")


def test_a_message_that_was_deleted_is_posted_again(bot: Bot) -> None:
    outbox = Outbox(bot.settings, bot.db)
    bot.put("first", "card:x", 1)
    assert outbox.work()
    message = the_message(bot, "first")
    assert message is not None
    bot.slack.store.delete(MODS, message["ts"])
    bot.put("second", "card:x", 2)
    until(lambda: (outbox.work(), the_message(bot, "second"))[1], "the message again")
    methods = [call["method"] for call in bot.slack.store.calls if call["method"] != "chat.getPermalink"]
    assert methods == [
        "chat.postMessage",
        "chat.update",
        "chat.postMessage",
    ]


def test_a_message_slack_cannot_read_is_dropped(bot: Bot) -> None:
    bot.slack.store.faults["chat.postMessage"].append({"error": "invalid_blocks"})
    bot.put("bad")
    bot.put("good", channel=CLASS)
    Outbox(bot.settings, bot.db).work()
    assert bot.waiting == 0
    assert the_message(bot, "good", CLASS)


def test_the_rooms_never_wait_for_slack(bot: Bot) -> None:
    bot.slack.store.faults["chat.postMessage"].extend([{"hang": 4}] * 2)
    with bot.posting():
        bot.do(ALICE, c.CreateRooms(2, countdown_s=0))
        until(lambda: bot.calls_of("chat.postMessage"), "a call that hangs")
        began = time.monotonic()
        bot.do(ALICE, c.StartBreakout())
        assert "BIO 101" in bot.say(ALICE, "/room status")
        bot.click(ALICE, "add_time")
        assert time.monotonic() - began < 3.5, "Slack hangs for 4 s"
        assert bot.state.breakout.status.value == "running"
        until(lambda: cards(bot), "the card at last")


def test_cards_are_drawn_again_after_a_restart(bot: Bot) -> None:
    """What happened while nobody listened appears as soon as the notifier starts."""
    bot.run_breakout(3)
    bot.do(BOB, c.CallModerator())
    with bot.posting():
        until(lambda: cards(bot), "the card")
        until(lambda: the_message(bot, "needs help"), "the call")
    first = len(bot.calls_of("chat.postMessage"))
    with bot.posting():
        until(lambda: bot.calls_of("chat.update"), "the card rewritten")
        until(lambda: bot.waiting == 0, "an empty outbox")
    assert len(bot.calls_of("chat.postMessage")) == first, "no message twice"


def test_a_commit_that_cannot_be_told_does_not_end_the_notifier(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = True
    tell = Notifier.notify

    def once_broken(self: Notifier, committed: Committed) -> None:
        nonlocal first
        if first:
            first = False
            raise RuntimeError("disk full")
        tell(self, committed)

    monkeypatch.setattr(Notifier, "notify", once_broken)
    with bot.posting():
        bot.do(ALICE, c.CreateRooms(2))
        bot.do(ALICE, c.RenameRoom(bot.state.breakout_rooms[0].room_id, "Corner"))
        until(lambda: "Corner" in json.dumps(cards(bot)), "the next commit on the card")


def test_an_answer_goes_only_to_slacks_own_address(bot: Bot) -> None:
    real = bot.settings.__class__("s", "t", "https://room.test", TEAM_ID)
    url = bot.slack.store.new_response_url(bot.slack.url, MODS, ALICE)
    for settings, expected in ((real, 0), (bot.settings, 1)):
        slack_outbox.put_out(
            bot.db, team_id=TEAM_ID, channel_id=MODS, method="respond", payload={"url": url, "text": "hello"}
        )
        Outbox(settings, bot.db).work()
        assert len([m for m in bot.slack.store.seen_by(MODS, ALICE) if m["text"] == "hello"]) == expected
    assert bot.waiting == 0


def test_a_help_call_goes_before_the_cards(bot: Bot) -> None:
    """Urgent first, one message a second and channel; the other channel does not wait for this one."""
    for number in range(3):
        bot.put(f"card {number}", f"card:{number}")
    slack_outbox.put_out(
        bot.db,
        team_id=TEAM_ID,
        channel_id=MODS,
        method="message",
        payload={"text": "call", "blocks": []},
        coalesce_key="call:1",
        rev=1,
        priority=1,
    )
    bot.put("class card", "card:0", channel=CLASS)
    Outbox(bot.settings, bot.db).work()
    assert [call["body"]["text"] for call in bot.calls_of("chat.postMessage")] == ["call", "class card"]
    assert bot.waiting == 3


def report(bot: Bot, status: str, **more: Any) -> None:
    """What the recorder tells of the only recording."""
    (recording,) = bot.state.recordings.values()
    command = ReportRecording(recording.recording_id, status, **more)
    bot.rooms.submit(Envelope(CommandId(uuid4().hex), bot.session_id, SYSTEM, command))


def test_a_recording_that_became_ready_while_nobody_listened(bot: Bot) -> None:
    with bot.posting():
        bot.do(ALICE, c.StartRecording())
        until(lambda: the_message(bot, "Recording starting"), "the recording's message")
    for status in ("RECORDING", "UPLOADING"):
        report(bot, status)
    bot.do(ALICE, c.EndSession())
    report(bot, "UPLOADED", duration_s=65.0, entry_id="e1")
    with bot.posting():
        until(lambda: the_message(bot, "Recording ready"), "the same message says ready")
        until(lambda: bot.waiting == 0, "all is sent")
    Notifier(bot.db, bot.rooms, bot.settings.base_url).refresh()
    assert bot.waiting == 0, "what is told is not told again"


def test_a_recording_that_began_while_nobody_listened(bot: Bot) -> None:
    bot.do(ALICE, c.StartRecording())
    with bot.posting():
        until(lambda: the_message(bot, "Recording starting"), "its message")


def test_a_call_that_was_answered_while_nobody_listened(bot: Bot) -> None:
    bot.run_breakout(1)
    with bot.posting():
        bot.do(BOB, c.CallModerator())
        until(lambda: the_message(bot, "help_join"), "the call")
    (call,) = bot.state.calls.values()
    bot.do(ALICE, c.DismissCall(call.call_id))
    with bot.posting():
        until(lambda: the_message(bot, "dismissed by"), "its buttons are gone")


def test_commits_that_found_no_place_are_made_up_for(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = Notifier(bot.db, bot.rooms, bot.settings.base_url, most_waiting=1)
    held, go_on = threading.Event(), threading.Event()
    notify = notifier.notify

    def slowly(committed: Committed) -> None:
        held.set()
        assert go_on.wait(20)
        notify(committed)

    bot.run_breakout(1)
    monkeypatch.setattr(notifier, "notify", slowly)
    notifier.start()
    try:
        bot.do(ALICE, c.AddTime(60))
        assert held.wait(20)
        bot.do(ALICE, c.AddTime(60))  # fills the queue
        bot.do(BOB, c.CallModerator())  # lost
        go_on.set()
        until(lambda: any((i.coalesce_key or "").startswith("call:") for i in slack_outbox.due(bot.db)), "it")
    finally:
        go_on.set()
        notifier.stop()
