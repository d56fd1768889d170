"""A receiver of webhooks on a free loopback port, which answers as it is told and remembers what it got."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass(slots=True)
class Got:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def verified(self, secret: str) -> dict[str, Any]:
        """The body, checked by the standard's own library. Raises WebhookVerificationError."""
        found: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return found


@dataclass(slots=True)
class Reply:
    """What to answer; ``slow_s`` sends the answer's bytes one by one with this pause, ``drop`` hangs up instead."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    slow_s: float = 0.0


class Receiver:
    """``answer`` decides each reply from the request; ``release`` ends slow answers."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got], Reply] = lambda _got: Reply()
        self.release = threading.Event()
        self.url = ""

    def at(self, path: str) -> list[Got]:
        return [got for got in self.got if got.path == path]


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed in the middle of it
                self.close_connection = True
                return
            got = Got(self.path, dict(self.headers), body, time.monotonic())
            reply = made.answer(got)
            made.got.append(got)
            if reply.slow_s:
                self._trickle(reply.slow_s)
            elif not reply.drop:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
            self.close_connection = True

        def _trickle(self, pause_s: float) -> None:
            try:
                for byte in b"HTTP/1.1 204 No Content\r\nX-Slow: " + b"x" * 1000:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if made.release.wait(pause_s):
                        return
            except OSError:
                return

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        made.release.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
