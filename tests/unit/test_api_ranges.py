"""Byte ranges as players ask for them."""

from __future__ import annotations

import pytest

from api.ranges import NotThere, Span, wanted_span

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-", (10, 100)),
        ("bytes=99-", (99, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-7", (93, 100)),
        # A suffix longer than the file is the file (RFC 9110 §14.1.2).
        ("bytes=-5000", (0, 100)),
        ("Bytes=5-6", (5, 7)),
        ("bytes=99999999-5", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=1-2-3", None),
        ("bytes=" + "9" * 40 + "-", None),
        ("pages=1-2", None),
        ("bytes", None),
        ("", None),
    ],
)
def test_what_is_asked_of_a_hundred_bytes(header: str, span: tuple[int, int] | None) -> None:
    assert wanted_span(header, 100) == (Span(*span) if span is not None else None)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-100", "bytes=500-600", "bytes=-0"])
def test_what_lies_beyond_the_end_is_not_there(header: str) -> None:
    with pytest.raises(NotThere):
        wanted_span(header, 100)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_an_empty_file_has_no_ranges(header: str) -> None:
    with pytest.raises(NotThere):
        wanted_span(header, 0)


def test_an_open_end_may_be_bounded_and_a_closed_one_is_not() -> None:
    assert wanted_span("bytes=5-", 100, 10) == Span(5, 15)
    assert wanted_span("bytes=95-", 100, 10) == Span(95, 100)
    assert wanted_span("bytes=5-94", 100, 10) == Span(5, 95)
