"""One POST to a receiver: within a time limit as a whole, no redirects, little read of the answer, no proxies."""

from __future__ import annotations

import contextlib
import functools
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from models.outbound import Guard, Refused, Target

PRIVATE_SETTING = "SIDEROOM_WEBHOOK_PRIVATE"
TIMEOUT_S = 10.0
READ_BYTES = 4096
SNIPPET_CHARS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, or an ``error`` in a few words. ``retry_after_s`` is what the receiver asked for."""

    status: int | None
    text: str = ""
    error: str = ""
    retry_after_s: float | None = None
    refused: bool = False
    """True when we may not call this address."""


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, private: bool, timeout_s: float = TIMEOUT_S
) -> Answer:
    """Send ``body``; blocks at most about ``timeout_s``. Never raises for what the network or the receiver does."""
    try:
        guard = Guard(private, PRIVATE_SETTING)
        target = guard.parse(url)
        addresses = guard.look_up(target)
    except Refused as error:
        return Answer(None, error=str(error), refused=True)
    except (OSError, UnicodeError):
        return Answer(None, error="The host’s name couldn’t be looked up.")
    try:
        return _exchange(target, addresses, body, headers, time.monotonic() + timeout_s)
    except TimeoutError:
        return Answer(None, error=f"No answer within {timeout_s:g} s.")
    except ssl.SSLError as error:
        return Answer(None, error=f"TLS failed: {(error.reason or 'handshake')[:100]}")
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, error=f"The connection failed: {type(error).__name__}")


def _exchange(
    target: Target, addresses: list[str], body: bytes, headers: Mapping[str, str], deadline: float
) -> Answer:
    line = _Line(_connect(target, addresses, deadline))
    # A receiver that sends a byte now and then never meets a socket's timeout, so a timer ends the whole exchange.
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), line.cut)
    timer.daemon = True
    timer.start()
    try:
        if target.is_tls:
            line.secure(target.host)
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = line.socket
        connection.request("POST", target.path, body, {"Host": target.authority, **headers})
        answer = connection.getresponse()
        text = answer.read(READ_BYTES).decode("utf-8", "replace")
        retry_after = answer.getheader("Retry-After")
        answer.close()
    except (OSError, http.client.HTTPException) as error:
        if line.is_cut:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
        line.socket.close()
    if line.is_cut:  # what was read ends in the middle
        raise TimeoutError
    return Answer(answer.status, _printable(text), retry_after_s=_retry_after(retry_after))


class _Line:
    """A connection that another thread may cut."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.is_cut = False

    def secure(self, host: str) -> None:
        self.socket = secured = _tls().wrap_socket(
            self.socket, server_hostname=host, do_handshake_on_connect=False
        )
        if self.is_cut:  # while the socket changed hands
            raise TimeoutError
        secured.do_handshake()

    def cut(self) -> None:
        self.is_cut = True
        with contextlib.suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_RDWR)


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(target: Target, addresses: list[str], deadline: float) -> socket.socket:
    """A connection to the first address that answers."""
    problem: OSError = TimeoutError()
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((address, target.port), timeout=left)
        except OSError as error:
            problem = error
    raise problem


def _printable(text: str) -> str:
    return re.sub(r"[^\x20-\x7e\u00a0-\ud7ff\n]+", " ", text)[:SNIPPET_CHARS]


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which gives seconds or a date (RFC 9110 §10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
