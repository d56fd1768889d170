"""Fetches a watermark's picture once, when its recording begins. The composer itself never reaches out."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import requests

from models.outbound import Guard, Refused

MAX_BYTES: Final = 4 << 20
TIMEOUT_S: Final = 8
MOST_S: Final = 30
"""In all: a server that sends a byte now and then meets no timeout of its own."""
PIECE: Final = 1 << 16
_SIGNATURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class PictureRefused(Exception):
    """The picture cannot be used; the text says why."""


def fetch(url: str, path: Path, *, allow_private: bool = False) -> None:
    """Store the PNG or JPEG at ``url`` as ``path``, unless it is there already.

    No redirects, at most 4 MiB, public addresses only. Raises PictureRefused or OSError (also of the network).
    """
    if path.exists():
        return
    try:
        Guard(allow_private, "SIDEROOM_STORAGE_PRIVATE_ENDPOINTS").check(url)
    except Refused as error:
        raise PictureRefused(f"the watermark's address may not be used: {error}") from error
    data, deadline = bytearray(), time.monotonic() + MOST_S
    with requests.get(url, timeout=TIMEOUT_S, allow_redirects=False, stream=True) as answer:
        if answer.status_code != 200:
            raise PictureRefused(f"the watermark's server answered {answer.status_code}")
        for piece in answer.iter_content(PIECE):
            data += piece
            if len(data) > MAX_BYTES:
                raise PictureRefused("the watermark is larger than 4 MiB")
            if time.monotonic() > deadline:
                raise PictureRefused(f"the watermark's server took longer than {MOST_S} s")
    if not bytes(data[:8]).startswith(_SIGNATURES):
        raise PictureRefused("the watermark is neither PNG nor JPEG")
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)
