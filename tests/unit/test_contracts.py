"""Documents and code say the same: error codes, commands, wire forms, packages."""

from __future__ import annotations

import importlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.values import Json
from rooms import commands as c
from rooms import events as e
from rooms import wire
from rooms.errors import CODES, DomainError
from signalling.messages import CLIENT_TYPES
from tests.people import ALICE
from tests.unit.test_core_properties import History
from tests.unit.test_core_table import RUNNING, in_status

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
PACKAGES = (
    "foundation models rooms media signalling recorder library webhooks lti api bot server sandbox".split()
)


def test_the_protocol_lists_every_error_code_with_status_and_sentence() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PROTOCOL[PROTOCOL.index("## 6.") :], re.M))
    for code, (status, sentence) in CODES.items():
        assert rows.get(code) == f"{status} | {sentence}"


def test_the_protocol_names_what_clients_may_not_ask_and_every_message_type() -> None:
    refused = set(wire.COMMANDS) - wire.CLIENT_COMMANDS
    paragraphs = [" ".join(text.split()) for text in PROTOCOL.split("\n\n")]
    paragraph = next(text for text in paragraphs if "are not for clients" in text)
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"not_allowed"} == refused
    for kind in CLIENT_TYPES:
        assert f"`{kind}`" in PROTOCOL or f'"type": "{kind}"' in PROTOCOL


st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(Json, st.booleans() | TEXT | st.integers(-(2**52), 2**52))
st.register_type_strategy(int, st.integers(-(2**52), 2**52))


@pytest.mark.parametrize("name", sorted(wire.COMMANDS))
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_command_survives_the_wire(name: str, data: st.DataObject) -> None:
    command = data.draw(st.from_type(wire.COMMANDS[name]))
    assert wire.command_to_json(command)[0] == name
    assert wire.command_from_json(*_through_json(wire.command_to_json(command))) == command


@pytest.mark.parametrize("name", sorted(wire.EVENTS))
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_event_survives_the_log(name: str, data: st.DataObject) -> None:
    event = data.draw(st.from_type(wire.EVENTS[name]))
    assert wire.event_to_json(event)[0] == name
    assert wire.event_from_json(*_through_json(wire.event_to_json(event))) == event


def _through_json(value: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    name, data = json.loads(json.dumps(value))
    return name, data


def test_a_whole_history_survives_the_log() -> None:
    history: History = in_status(RUNNING)
    history.do(ALICE, c.EndSession())
    for recorded in history.log:
        name, data = wire.event_to_json(recorded.event)
        actor = wire.actor_to_json(recorded.actor)
        again = wire.recorded_from_parts(
            recorded.session_id, recorded.seq, recorded.at, actor, recorded.command_id, name, data
        )
        assert again == recorded


@pytest.mark.parametrize(
    ("name", "args", "field"),
    [
        ("dance", {}, "name"),
        ("set_hand", {}, "raised"),
        ("set_hand", {"raised": 1}, "raised"),
        ("set_hand", {"raised": True, "colour": "red"}, "colour"),
        ("create_rooms", {"count": "4"}, "count"),
        ("create_rooms", {"count": True}, "count"),
        ("create_rooms", {"count": 4, "assign": "magic"}, "assign"),
        ("create_rooms", {"count": 4, "names": "Red"}, "names"),
        ("broadcast_message", {"text": "x" * (wire.MAX_TEXT + 1)}, "text"),
        ("add_time", {"seconds": 2**60}, "seconds"),
        ("assign_participant", {"person_id": "\ud800", "room_id": None}, "person_id"),
        ("assign_participant", {"person_id": "b\x00b", "room_id": None}, "person_id"),
        ("create_rooms", {"count": 1, "members": [["\udfff"]]}, "members"),
        ("start_recording", {"options": {"title": {"text": ["\x00"]}}}, "options"),
        ("start_recording", {"options": {"max_seconds": float("nan")}}, "options"),
        ("start_recording", {"options": {"\ud800": 1}}, "options"),
    ],
)
def test_what_does_not_fit_a_command_is_refused_with_its_field(
    name: str, args: dict[str, object], field: str
) -> None:
    with pytest.raises(DomainError) as refused:
        wire.command_from_json(name, args)
    assert refused.value.code == "bad_command"
    assert refused.value.facts["field"] == field


def test_the_log_is_read_as_it_was_written_whatever_people_may_send_today() -> None:
    long = "x" * (wire.MAX_TEXT + 1)
    opened = {"course_id": "c", "course_title": long, "room_title": "\x00", "added_by_a_later_version": 1}
    assert wire.event_from_json("session_opened", opened) == e.SessionOpened("c", long, "\x00")
    muted = [f"p{number}" for number in range(wire.MAX_ITEMS + 1)]
    assert len(wire.event_from_json("participant_muted", {"person_ids": muted}).person_ids) == len(muted)  # type: ignore[attr-defined]


def test_our_packages_are_ours() -> None:
    for package in PACKAGES:
        found = importlib.import_module(package).__file__
        assert found is not None and Path(found).is_relative_to(ROOT)
    assert importlib.import_module("models").__doc__ is None, "models/__init__ stays empty"
