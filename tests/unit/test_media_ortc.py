"""The private names of aiortc and pylibsrtp that media.ortc stands on: a new version that changes them fails here."""

from __future__ import annotations

import inspect

import pytest
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport
from pylibsrtp import Policy, Session
from pylibsrtp._binding import lib

from media.ortc import DATAGRAM_SIZE, Certificate, Datagram

pytestmark = pytest.mark.unit


def test_dtls_transport_has_what_we_use() -> None:
    class Ice:
        role = "controlled"
        state = "completed"

    transport = RTCDtlsTransport(Ice(), [RTCCertificate.generateCertificate()])
    assert transport.state == "new"
    transport._set_role("server")
    assert transport._role == "server"
    for name in ("_rx_srtp", "_tx_srtp", "_task", "_ssl", "_srtp_profiles"):
        assert hasattr(transport, name), name
    assert inspect.iscoroutinefunction(transport.start) and inspect.iscoroutinefunction(transport.stop)
    assert list(inspect.signature(transport.start).parameters) == ["remoteParameters"]
    assert {"fingerprints", "role"} <= set(inspect.signature(RTCDtlsParameters).parameters)
    source = inspect.getsource(RTCDtlsTransport)
    assert "self.transport._recv()" in source and "self.transport._send(" in source


def test_srtp_works_in_place_on_our_memory() -> None:
    policies = [
        Policy(key=b"k" * 30, ssrc_type=kind) for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND)
    ]
    sender, receiver = (Session(policy) for policy in policies)
    packet = bytes.fromhex("806000010000000100000001") + b"hello"
    datagram = Datagram()
    datagram.view[: len(packet)] = packet
    datagram._length[0] = len(packet)
    assert lib.srtp_protect(sender._srtp[0], datagram._pointer, datagram._length) == 0
    assert datagram._length[0] > len(packet) and bytes(datagram.data[12:17]) != b"hello"
    assert lib.srtp_unprotect(receiver._srtp[0], datagram._pointer, datagram._length) == 0
    assert bytes(datagram.data[: datagram._length[0]]) == packet
    assert lib.srtp_unprotect(receiver._srtp[0], datagram._pointer, datagram._length) != 0, "not authentic"
    assert len(datagram.data) == DATAGRAM_SIZE


def test_certificate_has_a_sha256_fingerprint() -> None:
    assert len(Certificate().fingerprint.split(":")) == 32
