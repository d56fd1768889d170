"""Registry, manifest files and documentation say the same; the manifest keeps Slack's limits; the signature's vector."""

from __future__ import annotations

from pathlib import Path

import pytest
from slack_sdk.signature import SignatureVerifier

from bot import manifest
from bot.registry import ALIASES, DEFAULT_VERB, DESCRIPTIONS, ROOT, USAGE, VERBS
from sandbox.slack.client import signature

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


def commands_table() -> list[str]:
    """The table of docs/slack.md, made from the registry."""
    short = {group: alias for alias, group in ALIASES.items()}
    rows = ["| Type | What it does | Who |", "|---|---|---|"]
    for verb in VERBS:
        call = " ".join(part for part in (short.get(verb.group, ROOT), verb.name, verb.usage) if part)
        rows.append(f"| `{call.replace('|', chr(92) + '|')}` | {verb.help} | {verb.who} |")
    return rows


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


@pytest.mark.parametrize("socket", [False, True])
def test_manifest_keeps_slacks_limits(socket: bool) -> None:
    made = manifest.manifest(socket=socket)
    display, features = made["display_information"], made["features"]
    assert len(display["name"]) <= 35
    assert len(display["description"]) <= 140
    assert len(features["bot_user"]["display_name"]) <= 80
    assert 1 <= len(features["slash_commands"]) <= 50
    for command in features["slash_commands"]:
        assert command["command"].startswith("/")
        assert len(command["command"]) <= 32
        assert command["should_escape"] is True
        assert ("url" in command) is not socket
    assert len(made["settings"]["event_subscriptions"]["bot_events"]) <= 100
    assert made["settings"]["socket_mode_enabled"] is socket
    assert ("https://" in manifest.text(socket=socket)) is not socket


def test_every_command_is_described_and_has_a_default() -> None:
    assert {ROOT, *ALIASES} == set(DESCRIPTIONS) == set(USAGE)
    assert set(DEFAULT_VERB) == {"", *ALIASES.values()} == {verb.group for verb in VERBS}
    assert len({(verb.group, verb.name) for verb in VERBS}) == len(VERBS)


def test_the_signature_of_slacks_own_example() -> None:
    assert signature(SECRET, TIMESTAMP, BODY) == SIGNATURE
    assert SignatureVerifier(SECRET).generate_signature(timestamp=TIMESTAMP, body=BODY) == SIGNATURE
