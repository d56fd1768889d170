"""Registry, manifest files and documentation say the same; the manifest keeps Slack's limits; the signature's vector."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from slack_sdk.signature import SignatureVerifier

from bot import manifest
from bot.ask import FIXES, KNOWN_REFUSALS
from bot.registry import ALIASES, DEFAULT_VERB, DESCRIPTIONS, ROOT, USAGE, VERBS, commands_table
from sandbox.slack.client import signature
from tests.slack_manifest_rules import SCHEMA

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs" / "slack.md"
# The example of docs.slack.dev/authentication/verifying-requests-from-slack
SECRET, TIMESTAMP = "8f742231b10e8888abcd99yyyzzz85a5", "1531420618"
BODY = (
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def test_the_documented_commands_are_those_of_the_registry() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    start = lines.index("| Type | What it does | Who |")
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        found.append(line)
    assert found == commands_table()


@pytest.mark.parametrize("socket", [False, True])
def test_manifest_files_are_up_to_date(socket: bool) -> None:
    name = "slack.socket.json" if socket else "slack.http.json"
    written = (manifest.FOLDER / name).read_text(encoding="utf-8")
    assert written == manifest.text(socket=socket), "run: python -m bot.manifest"


VARIANTS = [
    {"socket": False},
    {"socket": True},
    {"socket": False, "host": "https://rooms.example.edu"},
    {"socket": True, "host": "https://rooms.example.edu"},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_slack_accepts_the_manifest(variant: dict[str, Any]) -> None:
    made = manifest.manifest(**variant)
    jsonschema.Draft7Validator(SCHEMA).validate(made)
    socket = variant["socket"]
    for command in made["features"]["slash_commands"]:
        assert command["should_escape"] is True, "mentions come as ids"
        assert ("url" in command) is not socket
    assert made["settings"]["socket_mode_enabled"] is socket
    assert made["settings"]["token_rotation_enabled"] is False, "it cannot be switched off again"
    scopes = made["oauth_config"]["scopes"]
    assert set(scopes["bot_optional"]) < set(scopes["bot"])
    assert not {"users:read.email", "channels:history", "groups:history"} & set(scopes["bot"])
    assert ("https://" in manifest.text(**variant)) is (not socket or "host" in variant)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m["display_information"].update(name="x" * 36),
        lambda m: m["display_information"].update(long_description="too short"),
        lambda m: m["features"]["shortcuts"][0].update(name="x" * 25),
        lambda m: m["features"]["shortcuts"].extend(m["features"]["shortcuts"] * 9),
        lambda m: m["features"]["slash_commands"][0].update(command="room"),
        lambda m: m["settings"].update(unknown=True),
        lambda m: m["settings"]["event_subscriptions"].update(bot_events=["a"] * 2),
        lambda m: m.pop("display_information"),
    ],
)
def test_the_rules_refuse_what_slack_refuses(spoil: Callable[[dict[str, Any]], object]) -> None:
    made = json.loads(manifest.text(socket=False))
    spoil(made)
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(made)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://rooms.example.edu", "https://rooms.example.edu"),
        ("https://rooms.example.edu/", "https://rooms.example.edu"),
        ("rooms.example.edu:8443", "https://rooms.example.edu:8443"),
    ],
)
def test_an_address_for_the_manifest(address: str, host: str) -> None:
    assert manifest.host_of(address) == host


@pytest.mark.parametrize("address", ["https://rooms.example.edu/slack", "ftp://x", "https://", ""])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="scheme and host"):
        manifest.host_of(address)


def test_every_command_is_described_and_has_a_default() -> None:
    assert {ROOT, *ALIASES} == set(DESCRIPTIONS) == set(USAGE)
    assert set(DEFAULT_VERB) == {"", *ALIASES.values()} == {verb.group for verb in VERBS}
    assert len({(verb.group, verb.name) for verb in VERBS}) == len(VERBS)


def test_the_signature_of_slacks_own_example() -> None:
    assert signature(SECRET, TIMESTAMP, BODY) == SIGNATURE
    assert SignatureVerifier(SECRET).generate_signature(timestamp=TIMESTAMP, body=BODY) == SIGNATURE


def test_every_refusal_is_explained() -> None:
    page = DOCS.read_text(encoding="utf-8")
    table = page[page.index("## What is refused") : page.index("## What we store")]
    explained = set(re.findall(r"`([a-z_]+)`", table))
    assert set(KNOWN_REFUSALS) <= explained
    assert set(FIXES) <= explained
