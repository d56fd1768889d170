"""Commands that a site calls otherwise: setting, parser, texts, help."""

from __future__ import annotations

import json

import pytest

from bot.ask import refused
from bot.blocks.messages import help_blocks
from bot.desk import shown
from bot.grammar import parse
from bot.names import KEYS, BadNames, Names, read_names
from bot.registry import VERBS

pytestmark = pytest.mark.unit


def test_renamed_and_left_out_commands_are_understood() -> None:
    names = read_names("room=/classroom, record=, broadcast = /tell")
    assert names.root == "/classroom"
    assert parse("/classroom", "record start all", names).verb.full == "/room record start"
    assert parse("/tell", "hello", names).text == "hello"
    assert parse("/breakout", "start 4", names).number == 4
    assert set(names.aliases) == {"/breakout", "/tell", "/help-calls"}


@pytest.mark.parametrize("text", ["", " , ", "room=/room"])
def test_nothing_said_changes_nothing(text: str) -> None:
    assert read_names(text) == Names()


@pytest.mark.parametrize(
    "text",
    [
        "room=",
        "rooms=/x",
        "room",
        "room=/Room",
        "room=x",
        "room=/a b",
        "record=/breakout",
        "room=/" + "x" * 32,
    ],
)
def test_names_that_cannot_be(text: str) -> None:
    with pytest.raises(BadNames):
        read_names(text)


def test_texts_and_help_use_the_sites_names() -> None:
    names = read_names("room=/classroom, record=, breakout=/groups")
    reply = refused(
        "bad_usage", "Type `/room link`, `/breakout start 4` or `/record stop`; see https://x/room/1."
    )
    made = shown(reply, names)
    assert (
        made["text"]
        == "Type `/classroom link`, `/groups start 4` or `/classroom record stop`; see https://x/room/1."
    )
    assert "/room link" not in json.dumps(made["blocks"])
    text = json.dumps(help_blocks("", names))
    for verb in VERBS:
        assert names.call(verb.group, verb.name) in text
    assert "`/record" not in text
    assert len(KEYS) == 5
