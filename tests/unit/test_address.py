"""One server has many spellings of its name."""

from __future__ import annotations

import pytest

from foundation.address import at_server_of, is_same_server, origin

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://LMS.edu:443/x?y", "https://lms.edu"),
        ("HTTP://lms.edu:80", "http://lms.edu"),
        ("http://lms.edu:443", "http://lms.edu:443"),
        ("https://user:word@lms.edu:8443/", "https://lms.edu:8443"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]"),
    ],
)
def test_an_origin_is_written_as_browsers_do(url: str, expected: str) -> None:
    assert origin(url) == expected
    assert origin(expected) == expected


@pytest.mark.parametrize(
    "url", ["", "lms.edu", "ftp://lms.edu", "https://", "https://lms:x/", "https://lms:99999/", "//lms.edu"]
)
def test_what_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError):
        origin(url)
    assert not is_same_server(url, url)


def test_servers_are_the_same_by_name_and_port() -> None:
    assert is_same_server("https://LMS.edu/a", "https://lms.edu:443/b")
    assert is_same_server("http://lms.edu", "https://lms.edu")
    assert not is_same_server("https://lms.edu:8443", "https://lms.edu")
    assert not is_same_server("https://lms.edu.evil.test", "https://lms.edu")


def test_a_token_never_leaves_its_server() -> None:
    known = "https://lms.edu/names/Site?x=1"
    assert at_server_of(known, "http://10.0.0.7:8080/Names?a=1;b=2#f") == "https://lms.edu/Names?a=1;b=2"
    assert at_server_of(known, "?p=2") == "https://lms.edu/names/Site?p=2"
    assert at_server_of(known, "//other/x") == "https://lms.edu/x"
    with pytest.raises(ValueError):
        at_server_of(known, "data:text/plain,x")
