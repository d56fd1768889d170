"""The practice Slack's side of Socket Mode: WebSocket connections of the app, envelopes to it, its acknowledgements."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

ACK_S = 3.0
logging.getLogger("websockets").setLevel(logging.WARNING)


class SocketHub:
    """Listens on a free loopback port from the first ``ticket`` on. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._tickets: set[str] = set()
        self._open: list[ServerConnection] = []
        self._waiting: dict[str, Future[dict[str, Any]]] = {}
        self.opened = 0
        self.acknowledged: list[str] = []

    def ticket(self) -> str:
        """An address for one connection (``apps.connections.open``)."""
        with self._lock:
            if self._server is None:
                self._server = serve(self._serve, "127.0.0.1", 0)
                threading.Thread(target=self._server.serve_forever, daemon=True).start()
            ticket = secrets.token_urlsafe(12)
            self._tickets.add(ticket)
            port = self._server.socket.getsockname()[1]
        return f"ws://127.0.0.1:{port}/link/?ticket={ticket}"

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._open)

    def send(self, kind: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Send an envelope over one of the connections; the payload of its acknowledgement.

        ``kind``: slash_commands | interactive | events_api. Raises TimeoutError without an acknowledgement in 3 s,
        ConnectionError when the app is not connected.
        """
        envelope_id = str(uuid4())
        envelope = {"type": kind, "envelope_id": envelope_id, "payload": payload, **more}
        envelope["accepts_response_payload"] = kind != "events_api"
        answer: Future[dict[str, Any]] = Future()
        with self._lock:
            if not self._open:
                raise ConnectionError("the app is not connected")
            self._waiting[envelope_id] = answer
            connection = self._open[0]
            self._open.append(self._open.pop(0))  # each in its turn
        try:
            connection.send(json.dumps(envelope))
            return answer.result(ACK_S)
        except ConnectionClosed as error:
            raise ConnectionError("the connection broke") from error
        finally:
            with self._lock:
                self._waiting.pop(envelope_id, None)

    def each(self, do: Callable[[ServerConnection], None]) -> None:
        """Do something with every connection: ask it to come anew, or cut it."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            do(connection)

    def refresh(self) -> None:
        """Ask every connection to be opened anew, as Slack does about every hour."""
        frame = json.dumps({"type": "disconnect", "reason": "refresh_requested", "debug_info": {}})
        self.each(lambda connection: connection.send(frame))

    def cut(self) -> None:
        """Break every connection without a word."""
        self.each(lambda connection: connection.socket.shutdown(socket.SHUT_RDWR))

    def close(self) -> None:
        if self._server is not None:
            self.each(lambda connection: connection.close())
            self._server.shutdown()

    def _serve(self, connection: ServerConnection) -> None:
        request = connection.request
        ticket = request.path.partition("ticket=")[2] if request is not None else ""
        with self._lock:
            known = ticket in self._tickets
            self._tickets.discard(ticket)
        if not known:
            connection.close(1008, "unknown ticket")
            return
        connection.send(
            json.dumps(
                {
                    "type": "hello",
                    "num_connections": 1,
                    "connection_info": {"app_id": "A0PRACTICE"},
                    "debug_info": {"approximate_connection_time": 3600},
                }
            )
        )
        with self._lock:
            self._open.append(connection)
            self.opened += 1
        try:
            for message in connection:
                self._acknowledged(json.loads(message))
        except (ConnectionClosed, OSError):
            pass
        finally:
            with self._lock:
                self._open = [other for other in self._open if other is not connection]

    def _acknowledged(self, message: dict[str, Any]) -> None:
        envelope_id = str(message.get("envelope_id", ""))
        with self._lock:
            self.acknowledged.append(envelope_id)
            waiting = self._waiting.get(envelope_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(dict(message.get("payload") or {}))
