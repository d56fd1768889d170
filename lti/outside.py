"""HTTP calls to a platform that cannot hold us up: limits on each wait, on the whole time and on the size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
import urllib3


class NoAnswer(Exception):
    """No usable answer came; the text is the kind of trouble in a few words, without anything that was sent."""


Headers = Mapping[str, str]
"""Names are compared without regard to case."""


def ask(
    method: str,
    url: str,
    *,
    timeout: float | tuple[float, float],
    deadline_s: float,
    max_bytes: int,
    session: requests.Session | None = None,
    **kwargs: Any,
) -> tuple[int, Headers, bytes]:
    """Status, headers and body. Raises NoAnswer.

    ``timeout``: seconds for the connection and for each piece of the answer; ``deadline_s``: for everything, so that an
    answer that comes a byte at a time ends too.
    """
    deadline = time.monotonic() + deadline_s
    request = session.request if session is not None else requests.request
    try:
        with request(method, url, timeout=timeout, stream=True, **kwargs) as answer:
            body = bytearray()
            # ``read1`` gives what is there; ``iter_content`` would wait until a whole piece is full.
            while piece := answer.raw.read1(64 * 1024, decode_content=True):
                body += piece
                if len(body) > max_bytes:
                    raise NoAnswer("too large")
                if time.monotonic() > deadline:
                    raise NoAnswer("too slow")
            return answer.status_code, answer.headers, bytes(body)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise NoAnswer(type(error).__name__) from error
