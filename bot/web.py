"""``POST /slack/events``: everything Slack sends comes in here. Refuses what is not a Slack request before Bolt sees it."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any
from urllib.parse import parse_qs

from flask import Blueprint, Response, request
from slack_bolt import App
from slack_bolt.adapter.flask import SlackRequestHandler
from slack_sdk.signature import SignatureVerifier
from werkzeug.exceptions import RequestEntityTooLarge

from bot.meters import Meters
from bot.settings import BotSettings
from bot.shapes import problem

log = logging.getLogger("sideroom.bot")
MAX_BYTES = 1_000_000
_TIMESTAMP = re.compile(r"^[0-9]{1,12}$")
_SIGNATURE = re.compile(r"^v0=[0-9a-f]{64}$")


def create_blueprint(
    app: App, settings: BotSettings | None = None, meters: Meters | None = None
) -> Blueprint:
    """The blueprint around a Bolt application. ``settings`` for the day on which the signing secret is changed."""
    blueprint = Blueprint("slack", __name__)
    handler = SlackRequestHandler(app)

    @blueprint.post("/slack/events")
    def events() -> Response:
        began = time.monotonic()
        request.max_content_length = MAX_BYTES  # also of a body that does not say how long it is
        # Bolt fails with a traceback on a timestamp that is no number, a signature that is no ASCII, a body that is
        # no object. ssl_check is the one request without a signature.
        try:
            body = request.get_data(as_text=True)
        except RequestEntityTooLarge:
            return Response("too large", 413, mimetype="text/plain")
        signed = _TIMESTAMP.match(request.headers.get("X-Slack-Request-Timestamp", "")) and _SIGNATURE.match(
            request.headers.get("X-Slack-Signature", "")
        )
        if not signed and not _is_ssl_check(body):
            return Response("not a Slack request", 401, mimetype="text/plain")
        try:
            odd = problem(_payload(body, request.mimetype))
        except RecursionError:
            odd = "too deep"
        except ValueError as error:
            odd = str(error)
        if odd:
            return Response(f"not understood: {odd[:200]}", 400, mimetype="text/plain")
        if settings is not None and settings.old_signing_secret:
            _sign_anew(body, settings)
        answer: Response = handler.handle(request)
        if answer.status_code == 404:
            # A kind of request that we have no use for (an old dialog, a workflow's step): Slack need not ask again.
            log.warning("slack.unused_request")
            answer = Response("", 200)
        if meters is not None:
            meters.acknowledged(time.monotonic() - began)
        return answer

    return blueprint


def _sign_anew(body: str, settings: BotSettings) -> None:
    """A request signed with the secret before the last is as good as one with the new: Bolt knows only that."""
    timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
    signature = request.headers.get("X-Slack-Signature", "")
    if SignatureVerifier(settings.old_signing_secret).is_valid(body, timestamp, signature):
        new = SignatureVerifier(settings.signing_secret).generate_signature(timestamp=timestamp, body=body)
        request.environ["HTTP_X_SLACK_SIGNATURE"] = new or ""


def _is_ssl_check(body: str) -> bool:
    return len(body) < 1000 and parse_qs(body).get("ssl_check") == ["1"]


def _payload(body: str, mimetype: str) -> Any:
    """The JSON of a body, read as Bolt reads it; nothing for a command's form. Raises ValueError."""
    if mimetype == "application/json" or body.startswith("{"):
        return json.loads(body)
    form = parse_qs(body, keep_blank_values=True)
    payloads = form.get("payload", [])
    if len(payloads) > 1 or (not payloads and "payload" in body and "command" not in form):
        raise ValueError("a form of one payload or one command is needed")
    return json.loads(payloads[0]) if payloads else {}
