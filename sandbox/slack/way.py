"""How the practice Slack reaches the app: a signed request to its address, or an envelope over its socket when it has one open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import requests

from sandbox.slack import client
from sandbox.slack.socket import SocketHub


@dataclass(frozen=True, slots=True)
class Answer:
    """The app's acknowledgement."""

    ok: bool
    data: dict[str, Any]


NONE = Answer(False, {})


@dataclass(frozen=True, slots=True)
class Way:
    """``bot_url``: the app's request URL; used while no socket is open."""

    bot_url: str
    secret: str
    hub: SocketHub

    def command(self, body: str) -> Answer:
        """A slash command, as its form body."""
        if self.hub.connections:
            return self._envelope("slash_commands", dict(parse_qsl(body, keep_blank_values=True)))
        return self._post(body)

    def interaction(self, payload: dict[str, Any]) -> Answer:
        """A pressed button, a submitted form, a shortcut."""
        if self.hub.connections:
            return self._envelope("interactive", payload)
        return self._post(client.interaction_body(payload))

    def event(self, body: str) -> Answer:
        """An event, as its JSON body."""
        if self.hub.connections:
            return self._envelope("events_api", json.loads(body))
        return self._post(body, "application/json")

    def _envelope(self, kind: str, payload: dict[str, Any]) -> Answer:
        try:
            return Answer(True, self.hub.send(kind, payload))
        except (TimeoutError, OSError):
            return NONE

    def _post(self, body: str, kind: str = "application/x-www-form-urlencoded") -> Answer:
        try:
            answer = client.post_signed(self.bot_url, self.secret, body, kind)
        except requests.RequestException:
            return NONE
        try:
            data = answer.json() if answer.content else {}
        except ValueError:
            data = {}
        return Answer(answer.status_code == 200, data if isinstance(data, dict) else {})
