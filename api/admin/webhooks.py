"""Section “Webhooks”: who is told what, whether it arrives, test, send again, a new secret (shown once)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from api.admin.deps import AdminDeps, page_no
from api.common import json_object
from api.v1 import webhooks as v1
from api.v1.base import read
from models.store import webhook_outbox as outbox
from models.store.people import get_course
from models.store.webhooks import Webhook, list_webhooks
from models.values import CourseId
from rooms.errors import DomainError
from webhooks.events import EVENTS

PER_PAGE = 20
KEEP_OLD_S = 86_400


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("webhooks", __name__)
    section = _Webhooks(deps)
    route = blueprint.add_url_rule
    route("/webhooks", "listing", section.listing)
    route("/webhooks", "create", section.create, methods=["POST"])
    route("/webhooks/<webhook_id>", "change", section.change, methods=["PATCH"])
    route("/webhooks/<webhook_id>", "delete", section.delete, methods=["DELETE"])
    route("/webhooks/<webhook_id>/secret", "rotate", section.rotate, methods=["POST"])
    route("/webhooks/<webhook_id>/test", "test", section.test, methods=["POST"])
    route("/webhooks/<webhook_id>/deliveries", "deliveries", section.deliveries)
    route("/webhooks/<webhook_id>/deliveries/<int:delivery_id>", "delivery", section.delivery)
    route(
        "/webhooks/<webhook_id>/deliveries/<int:delivery_id>/redeliver",
        "redeliver",
        section.redeliver,
        methods=["POST"],
    )
    return blueprint


class _Webhooks:
    def __init__(self, deps: AdminDeps) -> None:
        self._db = deps.db
        self._setup = deps.webhooks

    def listing(self) -> Response:
        shown = [self._shown(hook) for hook in list_webhooks(self._db, None)]
        events = [{"event": event, "description": text} for event, text in EVENTS.items()]
        return jsonify({"webhooks": shown, "events": events})

    def create(self) -> tuple[Response, int]:
        body = read(v1.WebhookBody, json_object())
        if body.course_id and get_course(self._db, body.course_id) is None:
            raise DomainError("course_unknown", field="course_id")
        course_id = CourseId(body.course_id) if body.course_id else None
        hook, secret = self._setup.create(body.name, body.url, body.events, course_id, enabled=body.enabled)
        return jsonify({"webhook": self._shown(hook), "secret": secret}), 201

    def change(self, webhook_id: str) -> Response:
        body = read(v1.WebhookChange, json_object())
        hook = self._setup.change(
            webhook_id, None, name=body.name, url=body.url, events=body.events, enabled=body.enabled
        )
        return jsonify(self._shown(hook))

    def delete(self, webhook_id: str) -> tuple[str, int]:
        self._setup.delete(webhook_id, None)
        return "", 204

    def rotate(self, webhook_id: str) -> Response:
        """The old secret signs beside the new one for a day."""
        hook, secret = self._setup.rotate(webhook_id, None, KEEP_OLD_S)
        return jsonify({"webhook": self._shown(hook), "secret": secret})

    def test(self, webhook_id: str) -> tuple[Response, int]:
        return jsonify(_plain(v1.delivery_data(self._setup.test(webhook_id, None)))), 202

    def deliveries(self, webhook_id: str) -> Response:
        self._setup.get(webhook_id, None)
        page = page_no()
        found, total = outbox.find_deliveries(self._db, webhook_id, (), page, PER_PAGE)
        shown = [_plain(v1.delivery_data(delivery)) for delivery in found]
        return jsonify({"deliveries": shown, "total": total, "page": page, "per_page": PER_PAGE})

    def delivery(self, webhook_id: str, delivery_id: int) -> Response:
        found = self._setup.delivery(webhook_id, delivery_id, None)
        return jsonify(_plain(v1.delivery_details(self._db, found)))

    def redeliver(self, webhook_id: str, delivery_id: int) -> tuple[Response, int]:
        return jsonify(_plain(v1.delivery_data(self._setup.redeliver(webhook_id, delivery_id, None)))), 202

    def _shown(self, hook: Webhook) -> dict[str, Any]:
        course = get_course(self._db, hook.course_id) if hook.course_id else None
        return {**_plain(v1.shown(hook)), "course_title": course.title if course is not None else ""}


def _plain(data: v1.WebhookData | v1.DeliveryData) -> dict[str, Any]:
    return data.model_dump(mode="json")
