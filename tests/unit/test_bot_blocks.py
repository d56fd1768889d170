"""Cards, messages and forms keep Slack's sizes, as its own SDK checks them, and never let a name ping the class."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.ask import WhichOne, choice
from bot.blocks import calls, card, messages, recordings
from bot.blocks.parts import TooLong, button, clock_time, escape, length, mrkdwn, option, plain, size
from bot.markup import unescaped
from models.values import (
    MAIN_ROOM,
    BreakoutStatus,
    CallId,
    CallStatus,
    PersonId,
    RecordingId,
    RecordingStatus,
    Role,
    RoomId,
    SessionId,
    SessionStatus,
)
from rooms.state import Breakout, HelpCall, Participant, Recording, Room, SessionState
from sandbox.slack.limits import blocks_are_good, view_is_good

pytestmark = pytest.mark.unit

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
EVIL = "<!channel> & <@U0BOB>"


def state_with(rooms: int, name: str = "Room", *, person: str = "Bob") -> SessionState:
    """A running breakout: Alice in the main room, Bob in room 1, who calls; room 1 is recorded."""
    room_ids = [RoomId(f"r{n}") for n in range(1, rooms + 1)]
    made = {MAIN_ROOM: Room(MAIN_ROOM, "Main room", 0)}
    made |= {room_id: Room(room_id, name, n) for n, room_id in enumerate(room_ids, 1)}
    first = room_ids[0] if room_ids else MAIN_ROOM
    alice = Participant(PersonId("alice"), "Alice", Role.MODERATOR)
    bob = Participant(PersonId("bob"), person, Role.PARTICIPANT, first)
    call = HelpCall(CallId("h1"), bob.person_id, first, NOW)
    recording = Recording(RecordingId("rec1"), first, name, alice.person_id, NOW, RecordingStatus.RECORDING)
    return SessionState(
        SessionId("s" * 32),
        course_title=name,
        seq=12_345,
        people={alice.person_id: alice, bob.person_id: bob},
        rooms=made,
        breakout=Breakout(BreakoutStatus.RUNNING, 1, ends_at=NOW),
        calls={call.call_id: call},
        recordings={recording.recording_id: recording},
    )


def check(blocks: list[dict[str, Any]], most: int = 50) -> str:
    """Slack's own models find no fault; the JSON text."""
    assert 1 <= len(blocks) <= most
    for parsed in Block.parse_all(blocks):
        parsed.to_dict()
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    assert len(set(ids)) == len(ids)
    return json.dumps(blocks)


@pytest.mark.parametrize("rooms", [0, 1, 20, 21, 100])
@pytest.mark.parametrize("name", ["Room", "R" * 300, EVIL * 20])
@pytest.mark.parametrize("moderators", [True, False])
def test_the_card_keeps_slacks_sizes(rooms: int, name: str, moderators: bool) -> None:
    check(card.card(state_with(rooms, name), NOW, "https://room.example/go", moderators=moderators))


def test_a_class_channel_sees_no_controls_and_no_names() -> None:
    said = check(card.card(state_with(3), NOW, "https://room.example/go", moderators=False))
    assert "open_dashboard" in said
    for hidden in ("gather", "room_menu", "rec_all", "Bob", "REC"):
        assert hidden not in said


def test_an_ended_session_has_no_buttons() -> None:
    ended = replace(state_with(2), status=SessionStatus.ENDED)
    said = check(card.card(ended, NOW, "https://room.example/go"))
    assert "has ended" in said
    assert "action_id" not in said


def named(_person_id: PersonId) -> str:
    return "<@U0ALICE>"


ENTRY: dict[str, Any] = {
    "status": "ready",
    "published": True,
    "progress": 0.4,
    "mime": "video/mp4",
    "size_bytes": 212_000_000,
    "expires_at": NOW,
}


def every_message(state: SessionState) -> list[list[dict[str, Any]]]:
    (call,) = state.calls.values()
    (recording,) = state.recordings.values()
    calls_made = [
        calls.group_message(state, [replace(call, status=status, handled_by=PersonId("alice"))], named)
        for status in CallStatus
    ]
    recordings_made = [
        recordings.recording_message(state, replace(recording, status=status, error=EVIL), entry)
        for status in RecordingStatus
        for entry in (None, ENTRY, {**ENTRY, "status": "expired"}, {**ENTRY, "published": False})
    ]
    rooms = list(state.rooms.values())
    return [*calls_made, *recordings_made, recordings.chooser(state.session_id, rooms * 100)]


@pytest.mark.parametrize("name", ["Room", "R" * 300, EVIL * 20])
def test_messages_keep_slacks_sizes(name: str) -> None:
    for blocks in every_message(state_with(1, name, person=name)):
        check(blocks)


def mrkdwn_texts(found: Any) -> list[str]:
    """All texts that Slack reads as mrkdwn."""
    if isinstance(found, list):
        return [text for each in found for text in mrkdwn_texts(each)]
    if not isinstance(found, dict):
        return []
    if found.get("type") == "mrkdwn":
        return [found["text"]]
    return mrkdwn_texts(list(found.values()))


def test_a_room_called_channel_pings_nobody() -> None:
    state = state_with(2, EVIL, person=EVIL)
    for blocks in [card.card(state, NOW, "https://room.example/go"), *every_message(state)]:
        said = "".join(mrkdwn_texts(blocks))
        assert "<!channel>" not in said
        assert "<@U0BOB>" not in said
    (call,) = state.calls.values()
    (recording,) = state.recordings.values()
    for text in (
        card.text_of(state),
        card.text_of(replace(state, status=SessionStatus.ENDED)),
        calls.call_text(state, call),
        recordings.recording_text(state, recording),
        messages.status_lines(state, NOW),
    ):
        assert "<!channel>" not in text, "the text beside the blocks is mrkdwn too"
        assert "&lt;!channel&gt;" in text


def test_an_open_call_can_be_answered_and_a_claimed_one_not() -> None:
    state = state_with(1)
    (call,) = state.calls.values()
    assert "help_join" in check(calls.group_message(state, [call], named))
    helped = replace(
        call, status=CallStatus.CLAIMED, handled_by=PersonId("alice"), handled_at=NOW + timedelta(seconds=40)
    )
    claimed = check(calls.group_message(state, [helped], named))
    assert "help_join" not in claimed
    assert "<@U0ALICE> is on the way" in claimed
    assert "after 40 s" in claimed


def test_calls_raised_together_share_a_message() -> None:
    state = state_with(1)
    (first,) = state.calls.values()
    at = {"h1": 0.0, "h2": 1.9, "h3": 2.0, "h4": 2.1, "h5": 60.0}
    raised = [
        replace(first, call_id=CallId(key), raised_at=NOW + timedelta(seconds=s)) for key, s in at.items()
    ]
    grouped = calls.groups(reversed(raised))
    assert [[call.call_id for call in group] for group in grouped] == [["h1", "h2", "h3"], ["h4"], ["h5"]]
    check(calls.group_message(state, grouped[0], named))
    assert calls.group_text(state, grouped[0]).startswith("3 people need help")
    crowd = [replace(first, call_id=CallId(f"c{n:03}")) for n in range(45)]
    assert [len(group) for group in calls.groups(crowd)] == [20, 20, 5]
    check(calls.group_message(state, calls.groups(crowd)[0], named))


def test_forms_keep_slacks_sizes() -> None:
    many = [("C" * 200, f"s{n}") for n in range(120)]
    for view in (
        messages.create_modal("{}"),
        messages.create_modal("{}", 4, many),
        messages.broadcast_modal("{}", "x" * 5000, many),
        messages.connect_modal("{}"),
        messages.confirm_modal("{}", EVIL, ["C" * 400] * 40),
        messages.notice_modal(EVIL),
        messages.link_modal("{}", "c1", "T" * 200, "class"),
    ):
        View(**view).to_dict()
        check(view["blocks"], most=100)


@pytest.mark.parametrize("name", ["", "start", "nonsense", "record"])
def test_help_fits_in_a_message(name: str) -> None:
    check(messages.help_blocks(name))


def test_small_pieces() -> None:
    assert len(plain("x" * 76)["text"]) == 75
    assert len(button("x" * 200, "a")["text"]["text"]) == 75
    assert escape("<a & b>") == "&lt;a &amp; b&gt;"
    assert clock_time(NOW) == f"<!date^{int(NOW.timestamp())}^{{time}}|10:00 UTC>"
    assert (length(245), length(3845), length(-3)) == ("4:05", "1:04:05", "0:00")


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "size unknown"), (40, "1 kB"), (412_300, "412 kB"), (1_234_567, "1.2 MB"), (48_700_000, "49 MB")],
)
def test_a_small_files_size_is_not_nothing(size_bytes: int, text: str) -> None:
    assert recordings.size_text(size_bytes) == text


# -- names as plain words, values whole ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "*Bob*",
        "_Bob_",
        "~Bob~",
        "`Bob`",
        "a *b",
        "Bob_",
        ":tada:",
        ":a:b:",
        "x :+1: y",
        "<!channel>",
        "<@U1>",
        "a\nb",
        "\u202eboB",
    ],
)
def test_a_name_formats_nothing(name: str) -> None:
    shown = escape(name)
    assert not set("*~`<>\n\u202e\x01") & set(shown)
    assert not re.search(r"(?<![^\W_])_|_(?![^\W_])", shown)
    assert not re.search(r":[\w+'-]+:", shown)


@pytest.mark.parametrize("name", ["Bob Keller", "group_2", "10:15", "Émile Ōé", "Q: A", "李雷", "a-b'c"])
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert escape(name) == name


@pytest.mark.parametrize("name", ["*Bob*", "_Bob_", "~B~", "`B`", ":tada:"])
def test_a_copied_name_is_found_again(name: str) -> None:
    assert unescaped(escape(name)) == name


def test_a_button_is_called_as_its_room() -> None:
    assert button("Join :tada:", "help_join")["text"] == {
        "type": "plain_text",
        "text": "Join :tada:",
        "emoji": False,
    }


def test_limits_are_slacks_and_nothing_is_cut_inside_a_character() -> None:
    assert size("é") == 1 and size("😀") == 2
    family = "👨‍👩‍👧‍👦"
    for most in range(1, 90):
        shown = plain(family * 10, most)["text"]
        assert size(shown) <= most
        assert shown.removesuffix("…") == family * (len(shown.removesuffix("…")) // len(family))
    assert size(mrkdwn("&amp;" * 700)["text"]) <= 3000
    assert mrkdwn("&amp;" * 700)["text"].endswith("&amp;…")


def test_a_value_is_whole_or_not_at_all() -> None:
    assert button("x", "a", "v" * 2000)["value"] == "v" * 2000
    for make in (lambda: button("x", "a", "v" * 2001), lambda: option("x", "v" * 151)):
        with pytest.raises(TooLong):
            make()


@pytest.mark.parametrize("letter", ["a", "é", "李", "😀", '"', "\\"])
def test_which_course_is_asked_with_json_that_can_be_read(letter: str) -> None:
    for count in (10, 900, 990, 1900, 3000):
        reply = choice(WhichOne([("BIO", "s1"), ("HIS", "s2")]), "/broadcast", letter * count)
        for block in reply.blocks or []:
            for element in block.get("elements", []):
                if "run_in" in element.get("action_id", ""):
                    assert json.loads(element["value"])["text"] == letter * count
                    assert size(element["value"]) <= 2000
    short = choice(WhichOne([("BIO", "s1"), ("HIS", "s2")]), "/broadcast", "李" * 900)
    assert any("elements" in block for block in short.blocks or []), "measured as it is sent: 900 letters fit"


def rooms_of(count: int) -> list[Room]:
    return [Room(RoomId(f"r{n}"), f"Room {n}", n) for n in range(1, count + 1)]


@pytest.mark.parametrize("count", [2, 99, 100, 101, 150])
def test_the_chooser_offers_every_room(count: int) -> None:
    blocks = recordings.chooser("s1", rooms_of(count))
    assert blocks_are_good(blocks)
    menu = blocks[0]["accessory"]
    options = menu.get("options") or [each for group in menu["option_groups"] for each in group["options"]]
    assert [each["value"] for each in options] == ["s1:all", *(f"s1:{n}" for n in range(1, count + 1))]


@pytest.mark.parametrize("rooms", [0, 1, 50, 51, 100])
def test_the_form_takes_as_many_rooms_as_there_may_be(rooms: int) -> None:
    form = messages.create_modal("{}", rooms)
    assert view_is_good(form)
    (element,) = [b["element"] for b in form["blocks"] if b["block_id"] == "rooms"]
    assert (element["min_value"], element["max_value"]) == ("1", "100")


def test_the_practice_slack_refuses_what_slack_refuses() -> None:
    form = messages.create_modal("{}", 100)
    (element,) = [b["element"] for b in form["blocks"] if b["block_id"] == "rooms"]
    for change in (
        {"max_value": "50"},
        {"min_value": "101"},
        {"initial_value": "many"},
        {"initial_value": "1.5"},
    ):
        wrong = copy.deepcopy(form)
        next(b for b in wrong["blocks"] if b["block_id"] == "rooms")["element"] = {**element, **change}
        assert not view_is_good(wrong), change
    table = {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101}
    assert not blocks_are_good([table])
    assert blocks_are_good([{**table, "rows": table["rows"][:100]}])
    assert not blocks_are_good([{"type": "section", "text": {"type": "mrkdwn", "text": "😀" * 1501}}])


def test_help_shows_a_student_what_a_student_may_do() -> None:
    mine = json.dumps(messages.help_blocks(moderates=False))
    assert "/room join" in mine and "/breakout" not in mine.replace("/room breakout", "")
    assert "/breakout start" in json.dumps(messages.help_blocks("start", moderates=False))
