"""Links to files: bound to entry, name and time; nothing else opens them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library import links

pytestmark = pytest.mark.unit
KEY, NOW = "secret", 1_800_000_000


def parts(link: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(link).query)
    return query["exp"][0], query["sig"][0]


def test_a_link_is_good_until_its_end_and_not_later() -> None:
    exp, sig = parts(links.link(KEY, "e1", "video.mp4", NOW, 60))
    assert links.check(KEY, "e1", "video.mp4", exp, sig, int(exp)) == "good"
    assert links.check(KEY, "e1", "video.mp4", exp, sig, int(exp) + 1) == "expired"
    assert NOW + 60 <= int(exp) <= NOW + 120


@pytest.mark.parametrize(
    ("key", "entry", "name", "later"),
    [
        ("other", "e1", "video.mp4", 0),
        (KEY, "e2", "video.mp4", 0),
        (KEY, "e1", "thumbnail.jpg", 0),
        (KEY, "e1", "video.mp4", 3600),
    ],
)
def test_a_signature_opens_nothing_else(key: str, entry: str, name: str, later: int) -> None:
    exp, sig = parts(links.link(KEY, "e1", "video.mp4", NOW))
    assert links.check(key, entry, name, str(int(exp) + later), sig, NOW) == "wrong"


@given(st.text(max_size=20), st.text(max_size=80))
def test_hostile_parameters_are_wrong_and_never_break(exp: str, sig: str) -> None:
    assert links.check(KEY, "e1", "video.mp4", exp, sig, NOW) == "wrong"


def test_a_page_that_asks_again_gets_the_same_link() -> None:
    minute = NOW // 60 * 60
    assert links.link(KEY, "e1", "v.mp4", minute) == links.link(KEY, "e1", "v.mp4", minute + 59)
