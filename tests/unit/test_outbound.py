"""Where this server may be sent: public addresses by https, unless an administrator allows more."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from models.outbound import Guard, Refused, is_public

pytestmark = pytest.mark.unit
PUBLIC, PRIVATE = Guard(False, "SIDEROOM_X"), Guard(True, "SIDEROOM_X")


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name lead to these addresses."""

    def found(address: str) -> tuple[object, ...]:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        return family, socket.SOCK_STREAM, 6, "", (address, 443)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [found(each) for each in addresses])


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.edu/x",
        "ftp://hooks.example.edu/x",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://user:pass@hooks.example.edu/x",
        "https://hooks.example.edu\\@10.0.0.1/",
        "https://hooks.example.edu/x#y",
        "https://hooks.example.edu:0/x",
        "https://hooks.example.edu:99999/x",
        "https://localhost/x",
        "https://a.localhost/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3/x",
        "https://192.168.1.1:9000",
        "https://0.0.0.0",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]:9000/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::a00:1]/x",
        "https://hooks.example.edu/a b",
        "https://hooks.example.edu/" + "x" * 2000,
        "not an address",
        "",
    ],
)
def test_addresses_that_may_not_be_called(url: str) -> None:
    with pytest.raises(Refused):
        PUBLIC.parse(url)
    with pytest.raises(Refused):
        PUBLIC.check(url)


@pytest.mark.parametrize(
    "private",
    [
        "127.0.0.1",
        "10.0.0.7",
        "fd00::1",
        "64:ff9b::a00:7",
        "2002:a00:7::1",
        "2001:0:a00:7::1",
        "::ffff:10.0.0.7",
    ],
)
def test_a_name_that_leads_inside_is_refused_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, private: str
) -> None:
    # One inner address among public ones is enough: the connection might take it.
    resolve(monkeypatch, "8.8.8.8", private)
    with pytest.raises(Refused, match=r"private network.*SIDEROOM_X"):
        PUBLIC.check("https://films.example.org")
    PRIVATE.check("http://films.example.org:9000")


def test_a_public_name_may_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "8.8.8.8", "2606:4700::1111")
    PUBLIC.check("https://films.example.org/a?b=c")
    assert PUBLIC.look_up(PUBLIC.parse("https://films.example.org")) == ["8.8.8.8", "2606:4700::1111"]


def test_a_name_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    with pytest.raises(Refused, match="spelling"):
        PUBLIC.check("https://films.example.org")


def test_closed_networks_may_allow_more() -> None:
    assert PRIVATE.parse("http://10.1.2.3:8080/x?y=1").path == "/x?y=1"
    target = PUBLIC.parse("https://hooks.example.edu")
    assert (target.is_tls, target.port, target.path) == (True, 443, "/")
    with pytest.raises(Refused):
        PRIVATE.parse("gopher://10.1.2.3/")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:a00:1::", False),
    ],
)
def test_public_addresses(address: str, expected: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is expected
