"""ICE-lite: which STUN requests are answered, how addresses are learnt and forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from media.icelite import ADDRESSES_PER_ENDPOINT, CONSENT_S, QUIET_S, IceEndpoint, IceSocket

pytestmark = pytest.mark.unit
HOME, CAFE = ("192.0.2.1", 5000), ("192.0.2.2", 6000)


class User:
    def handle_media(self, size: int) -> bool:
        raise AssertionError("no media in these tests")

    def handle_dtls(self, data: bytes) -> None:
        raise AssertionError("no DTLS in these tests")


class Ice(IceSocket):
    """Without a socket: only what is learnt and answered."""

    def __init__(self) -> None:
        self._by_ufrag = {}
        self._by_address = {}


@pytest.fixture
def ice() -> Iterator[Ice]:
    yield Ice()


def request(
    endpoint: IceEndpoint,
    *,
    password: str | None = None,
    nominate: bool = True,
    role: str = "ICE-CONTROLLING",
    username: str | None = None,
    integrity: bool = True,
) -> bytes:
    attributes = {"USERNAME": username or f"{endpoint.ufrag}:browser", "PRIORITY": 1, role: 7}
    if nominate:
        attributes["USE-CANDIDATE"] = None
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, os.urandom(12), attributes)
    if integrity:
        message.add_message_integrity((password or endpoint.password).encode())
    return bytes(message)


def test_good_request_is_answered_and_its_address_learnt(ice: Ice) -> None:
    endpoint = ice.endpoint(User())
    asked = request(endpoint)
    answer = ice.answer(asked, HOME, 1.0)
    assert answer is not None
    message = stun.parse_message(answer)
    assert message.message_class == stun.Class.RESPONSE
    assert message.transaction_id == asked[8:20]
    assert message.attributes["XOR-MAPPED-ADDRESS"] == HOME
    assert message.check_message_integrity(endpoint.password.encode())
    assert endpoint.address == HOME


def test_strangers_get_no_answer_and_change_nothing(ice: Ice) -> None:
    endpoint = ice.endpoint(User())
    bare = request(endpoint, integrity=False)
    for data in (
        request(endpoint, password="x" * 24),
        request(endpoint, username="unknown:browser"),
        bare,
        request(endpoint)[:-1],
        request(endpoint)[:-4] + b"\x00\x00\x00\x00",
        b"\x01\x01" + request(endpoint)[2:],
    ):
        assert ice.answer(data, CAFE, 1.0) is None
    assert endpoint.address is None and endpoint.last_request is None


def test_a_peer_that_claims_our_role_is_told_so(ice: Ice) -> None:
    endpoint = ice.endpoint(User())
    answer = ice.answer(request(endpoint, role="ICE-CONTROLLED"), HOME, 1.0)
    assert answer is not None
    assert stun.parse_message(answer).attributes["ERROR-CODE"][0] == 487
    assert endpoint.address is None


def test_media_follows_a_nominated_new_address(ice: Ice) -> None:
    endpoint = ice.endpoint(User())
    ice.answer(request(endpoint), HOME, 1.0)
    ice.answer(request(endpoint, nominate=False), CAFE, 2.0)
    assert endpoint.address == HOME, "only a nomination moves the connection"
    ice.answer(request(endpoint), CAFE, 3.0)
    assert endpoint.address == CAFE
    assert ice._by_address[HOME] is endpoint, "late packets from the old address are still its own"


def test_address_that_fell_silent_is_left_without_a_nomination(ice: Ice) -> None:
    endpoint = ice.endpoint(User())
    ice.answer(request(endpoint), HOME, 1.0)
    ice.answer(request(endpoint, nominate=False), CAFE, 1.0 + QUIET_S)
    assert endpoint.address == HOME, "the next request may still come from there"
    ice.answer(request(endpoint, nominate=False), CAFE, 1.1 + QUIET_S)
    assert endpoint.address == CAFE
    for passed in range(4):
        ice.answer(request(endpoint, nominate=False), CAFE, 10.0 + 5 * passed)
        ice.answer(request(endpoint, nominate=False), HOME, 10.0 + 5 * passed)
    assert endpoint.address == CAFE, "a second way that is only tried changes nothing"


def test_addresses_are_bounded_and_the_one_in_use_is_kept(ice: Ice) -> None:
    endpoint = ice.endpoint(User())
    ice.answer(request(endpoint), HOME, 1.0)
    for port in range(7000, 7050):
        ice.answer(request(endpoint, nominate=False), ("192.0.2.9", port), 2.0)
    assert len(endpoint.addresses) == ADDRESSES_PER_ENDPOINT == len(ice._by_address)
    assert endpoint.address == HOME and ice._by_address[HOME] is endpoint
    endpoint.close()
    assert not ice._by_address and not ice._by_ufrag


def test_consent_runs_out_without_requests(ice: Ice) -> None:
    endpoint = ice.endpoint(User())
    assert not endpoint.is_lost(1000.0), "never connected is not lost"
    ice.answer(request(endpoint), HOME, 10.0)
    assert not endpoint.is_lost(10.0 + CONSENT_S)
    assert endpoint.is_lost(10.1 + CONSENT_S)


@settings(max_examples=300)
@given(data=st.binary(min_size=0, max_size=200), flip=st.integers(0, 87), value=st.integers(0, 255))
def test_no_datagram_raises(data: bytes, flip: int, value: int) -> None:
    ice = Ice()
    endpoint = ice.endpoint(User())
    ice.answer(b"\x00\x01" + data, CAFE, 1.0)
    broken = bytearray(request(endpoint))
    if broken[flip] != value:  # all that is before the fingerprint is under the integrity check
        broken[flip] = value
        ice.answer(bytes(broken), CAFE, 1.0)
        assert endpoint.address is None
