"""The WebSocket door's pure parts: messages, bounded queue, rate limit, TURN credentials."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import MediaSource
from signalling.connection import Outbox, RateLimit
from signalling.messages import BadMessage, CommandMessage, Hello, Ping, Publish, parse
from signalling.settings import SignallingSettings
from signalling.turn import ice_servers

pytestmark = pytest.mark.unit


def test_messages_of_the_protocol_are_understood() -> None:
    assert parse('{"type":"hello","version":1,"token":"t","last_seq":3,"resume":null}') == Hello("t", 3, None)
    assert parse('{"type":"command","id":"1","name":"set_hand","args":{"raised":true}}') == CommandMessage(
        "1", "set_hand", {"raised": True}
    )
    publish = parse('{"type":"publish","sdp":"v=0","sources":{"0":"mic"}}')
    assert publish == Publish("v=0", {"0": MediaSource.MIC})
    assert parse('{"type":"ping","t":1.5}') == Ping(1.5)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_message"),
        ("[]", "bad_message"),
        ("{}", "bad_message"),
        ('{"type":7}', "bad_message"),
        ('{"type":"dance"}', "bad_message"),
        ('{"type":"hello","version":2,"token":"t"}', "bad_message"),
        ('{"type":"hello","version":1,"token":""}', "bad_message"),
        ('{"type":"hello","version":1,"token":"t","last_seq":true}', "bad_message"),
        ('{"type":"command","id":"","name":"x"}', "bad_message"),
        ('{"type":"command","id":"1","name":"x","args":[]}', "bad_message"),
        ('{"type":"publish","sdp":"v=0","sources":{"0":"window"}}', "bad_message"),
        ('{"type":"publish","sdp":"","sources":{}}', "bad_sdp"),
        ('{"type":"subscribed","sdp":"v=0","version":-1}', "bad_message"),
        ("[" * 100_000, "bad_message"),
        ('{"type":"ping","t":NaN}', "bad_message"),
        ('{"type":"command","id":"a\\u0000","name":"x"}', "bad_message"),
        ('{"type":"command","id":"\\ud800","name":"x"}', "bad_message"),
    ],
)
def test_what_is_not_of_the_protocol_is_refused_with_its_code(text: str, code: str) -> None:
    with pytest.raises(BadMessage) as error:
        parse(text)
    assert error.value.code == code


_leaf = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
_json = _leaf | st.lists(_leaf, max_size=2) | st.dictionaries(st.text(max_size=3), _leaf, max_size=2)


@given(
    st.sampled_from(["hello", "command", "publish", "subscribed", "ping", "leave"]),
    st.dictionaries(
        st.sampled_from(["id", "name", "args", "sdp", "sources", "version", "t", "token", "resume"]), _json
    ),
)
def test_no_json_makes_the_parser_fail(kind: str, fields: dict[str, Any]) -> None:
    try:
        parse(json.dumps({"type": kind, **fields}))
    except BadMessage as error:
        assert error.message


def test_a_full_queue_drops_what_waits_and_says_so() -> None:
    async def story() -> None:
        outbox = Outbox(3)
        for number in range(3):
            outbox.put({"n": number})
        assert [json.loads(text)["n"] for text in await outbox.take()] == [0, 1, 2]
        for number in range(5):
            outbox.put({"n": number})
        assert outbox.overflowed
        assert len(await outbox.take()) <= 3

    asyncio.run(story())


def test_rate_limit_allows_bursts_but_no_flood() -> None:
    limit = RateLimit(50, 10, 0.0)
    assert all(limit.allows(0.0) for _ in range(500))
    assert not limit.allows(0.0)
    assert limit.allows(0.1)


def test_turn_credentials_are_what_coturn_computes() -> None:
    settings = SignallingSettings(
        turn_urls=("turn:turn.example.edu:3478",), turn_secret="s3cret", turn_life_s=3600
    )
    (server,) = ice_servers(settings, "p1", 1_000)
    assert server["username"] == "4600:p1"
    digest = hmac.new(b"s3cret", b"4600:p1", hashlib.sha1).digest()
    assert server["credential"] == base64.b64encode(digest).decode()
    assert ice_servers(SignallingSettings(), "p1", 1_000) == []
