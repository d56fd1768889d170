"""What an administrator is told of a platform's refusal: its own words where it has any, never a page of HTML."""

from __future__ import annotations

import json

import pytest

from lti.services.connector import _detail

pytestmark = pytest.mark.unit
OAUTH = json.dumps({"error": "invalid_client", "error_description": "unknown\n key"}).encode()


@pytest.mark.parametrize(
    ("headers", "raw", "told"),
    [
        ({"X-Tsugi-LTI13-Error-Detail": "deployment  unknown"}, OAUTH, ": deployment unknown"),
        ({}, OAUTH, ": invalid_client unknown key"),
        ({}, b'{"error": null}', ""),
        ({}, b'"scope refused"', ": scope refused"),
        ({}, b"[1, 2]", ""),
        ({}, b"Not allowed", ": Not allowed"),
        ({}, b"x" * 201, ""),
        ({}, b"<h1>Sorry</h1>", ""),
        ({}, json.dumps({"error": "e" * 500}).encode(), ": " + "e" * 160),
        ({}, b"[" * 100_000, ""),
    ],
)
def test_the_platforms_own_words(headers: dict[str, str], raw: bytes, told: str) -> None:
    assert _detail(headers, raw) == told
