"""Socket Mode: the same Bolt application behind connections that we open to Slack, for servers without a public address.

Two connections, so that one can be renewed while the other listens; Slack sends each request to any one of them, and
what comes twice is told apart by the same inbox as over HTTP.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time

from slack_bolt import App, BoltResponse
from slack_bolt.adapter.socket_mode.internals import run_bolt_app, send_response
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.meters import Meters
from bot.outcomes import SlackFailure, failures
from bot.settings import BotSettings
from bot.shapes import problem

log = logging.getLogger("sideroom.bot")
CONNECTIONS = 2
TIMEOUT_S = 10
PING_S = 5.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
ALARM_AFTER_S = 30.0


class SocketDoor:
    """``start`` and ``stop`` belong to the server. Keeps trying while Slack cannot be reached."""

    def __init__(
        self, app: App, settings: BotSettings, ping_s: float = PING_S, meters: Meters | None = None
    ) -> None:
        self._app = app
        self._meters = meters
        self._settings = settings
        self._ping_s = ping_s
        self._clients: list[SocketModeClient] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bot.socket", daemon=True)
        self._down_since: float | None = None
        self._has_alarmed = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(15)
        closing = [threading.Thread(target=_close, args=(client,)) for client in self._clients]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(15)

    @property
    def connections(self) -> int:
        """How many are open now; 0 for more than 30 s is a failure."""
        return sum(client.is_connected() for client in self._clients)

    def _run(self) -> None:
        """Open the connections, then watch them; each opens itself again when Slack asks for it or it breaks."""
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            if len(self._clients) < CONNECTIONS:
                wait_s = FIRST_WAIT_S if self._open() else min(LONGEST_WAIT_S, wait_s * 2)
                self._stopping.wait(0 if wait_s == FIRST_WAIT_S else wait_s)
            else:
                self._stopping.wait(1.0)
            self._alarm()

    def _open(self) -> bool:
        web = WebClient(base_url=self._settings.api_url, timeout=TIMEOUT_S)
        client = SocketModeClient(
            app_token=self._settings.app_token, web_client=web, ping_interval=self._ping_s
        )
        client.socket_mode_request_listeners.append(self._take)
        try:
            with failures():
                client.connect_to_new_endpoint(force=True)
        except SlackFailure as failure:
            if failure.is_refusal:
                more = " (is SIDEROOM_SLACK_APP_TOKEN right?)" if failure.permanent else ""
                log.error("slack.socket_refused code=%s%s", failure.code, more)
            else:
                log.warning("slack.socket_failed error=%s", failure.why)
            _close(client)
            return False
        if self._stopping.is_set() or not client.is_connected():
            _close(client)
            return False
        self._clients.append(client)
        log.info("slack.socket_open connections=%s", self.connections)
        return True

    def _take(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        """One envelope: as a request over HTTP, but signed by the connection itself."""
        began = time.time()
        try:
            if problem(request.payload):
                # Nothing we could do better the second time: acknowledged, so that Slack does not send it again.
                log.warning("slack.payload_odd kind=%s", request.type)
                client.send_socket_mode_response({"envelope_id": request.envelope_id})
                return
            answer = run_bolt_app(self._app, request)
            if answer.status == 404:
                log.warning("slack.unused_request")
                answer = BoltResponse(status=200, body="")
            send_response(client, request, answer, began)
            if self._meters is not None:
                self._meters.acknowledged(time.time() - began)
        except (SlackClientError, OSError) as error:
            # Not acknowledged: Slack sends events again, and people their commands.
            log.warning("slack.socket_answer_lost error=%s", type(error).__name__)

    def _alarm(self) -> None:
        if self.connections:
            if self._has_alarmed:
                log.warning("slack.socket_back connections=%s", self.connections)
            self._down_since, self._has_alarmed = None, False
            return
        self._down_since = self._down_since or time.monotonic()
        if not self._has_alarmed and time.monotonic() - self._down_since > ALARM_AFTER_S:
            self._has_alarmed = True
            log.error("slack.socket_down seconds=%.0f", ALARM_AFTER_S)


def _close(client: SocketModeClient) -> None:
    """Close for good. The SDK's own ``close`` waits for a reader that wakes every 3 s, and fails when the reader closes
    the connection at the same moment; it may be called again then."""
    client.default_auto_reconnect_enabled = client.auto_reconnect_enabled = False
    for _ in range(3):
        session = client.current_session
        sock = session.sock if session is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        try:
            client.close()
            client.disconnect()  # what a reconnection under way has opened meanwhile
            return
        except AttributeError:
            log.debug("slack.socket_closing_again")
