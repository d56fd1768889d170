"""Signed, short-lived links to files: bound to one entry and one file name, good until they expire. Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal
from urllib.parse import quote, urlencode

LIFE_S = 3600


def sign(key: str, entry_id: str, name: str, expires_s: int) -> str:
    """The signature (hex) of a link; ``expires_s`` is Unix time."""
    return hmac.new(key.encode(), f"{entry_id}\n{name}\n{expires_s}".encode(), hashlib.sha256).hexdigest()


def expiry(now_s: int, life_s: int = LIFE_S) -> int:
    """When a link made now ends (Unix time).

    Rounded up to a minute, so that a page that asks twice gets the same address and the browser's cache works.
    """
    return (now_s + life_s) // 60 * 60 + 60


def link(
    key: str, entry_id: str, name: str, now_s: int, life_s: int = LIFE_S, *, download: bool = False
) -> str:
    """A path such as ``/media/e1/video.mp4?exp=…&sig=…`` that works until ``expiry``."""
    expires_s = expiry(now_s, life_s)
    query = {"exp": str(expires_s), "sig": sign(key, entry_id, name, expires_s)}
    if download:
        query["download"] = "1"
    return f"/media/{quote(entry_id, safe='')}/{quote(name, safe='')}?{urlencode(query)}"


def check(
    key: str, entry_id: str, name: str, exp: str, sig: str, now_s: int
) -> Literal["good", "expired", "wrong"]:
    """Is a link what we signed, and is its time not over?"""
    if not (exp.isascii() and exp.isdigit()) or len(exp) > 12:
        return "wrong"
    if not hmac.compare_digest(sign(key, entry_id, name, int(exp)).encode(), sig.encode()):
        return "wrong"
    return "good" if now_s <= int(exp) else "expired"
