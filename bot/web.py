"""``POST /slack/events``: everything Slack sends comes in here. Refuses what is not a Slack request before Bolt sees it."""

from __future__ import annotations

from flask import Blueprint, Response, request
from slack_bolt import App
from slack_bolt.adapter.flask import SlackRequestHandler

MAX_BYTES = 1_000_000


def create_blueprint(app: App) -> Blueprint:
    """The blueprint around a Bolt application."""
    blueprint = Blueprint("slack", __name__)
    handler = SlackRequestHandler(app)

    @blueprint.post("/slack/events")
    def events() -> Response:
        if (request.content_length or 0) > MAX_BYTES:
            return Response("too large", 413, mimetype="text/plain")
        # Bolt fails with a traceback on a timestamp that is no number.
        if not request.headers.get("X-Slack-Request-Timestamp", "").isdigit():
            return Response("not a Slack request", 401, mimetype="text/plain")
        answer: Response = handler.handle(request)
        return answer

    return blueprint
