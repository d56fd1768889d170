"""Handlers of ``/api/v1/webhooks``: set up, test, see what was delivered, send again. docs/webhooks.md tells receivers' side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from api.v1.base import Answer, At, Body, PageQuery
from api.v1.call import Call, Page
from models.store import webhook_outbox as outbox
from models.store.database import Database
from models.store.people import get_course
from models.store.webhook_outbox import Delivery
from models.store.webhooks import Webhook, list_webhooks
from models.values import CourseId
from rooms.errors import DomainError
from webhooks.events import EVENTS

EventName = Literal[
    "meeting.started",
    "meeting.ended",
    "meeting.participantJoined",
    "meeting.participantLeft",
    "recording.statusUpdate",
    "recording.filmUpdate",
]


class WebhookBody(Body):
    """A new webhook. ``course_id``: only of this course (a key for one course always makes such)."""

    name: str = Field(min_length=1, max_length=100)
    url: str = Field(min_length=1, max_length=2000)
    events: list[EventName] = Field(min_length=1, max_length=len(EVENTS))
    enabled: bool = True
    course_id: str | None = Field(None, max_length=100)


class WebhookReplacement(Body):
    """Everything that may be replaced."""

    name: str = Field(min_length=1, max_length=100)
    url: str = Field(min_length=1, max_length=2000)
    events: list[EventName] = Field(min_length=1, max_length=len(EVENTS))
    enabled: bool = True


class WebhookChange(Body):
    """Only what is to be different."""

    name: str | None = Field(None, min_length=1, max_length=100)
    url: str | None = Field(None, min_length=1, max_length=2000)
    events: list[EventName] | None = Field(None, min_length=1, max_length=len(EVENTS))
    enabled: bool | None = None


class RotateBody(Body):
    """How long the old secret signs beside the new one."""

    keep_old_seconds: int = Field(86_400, ge=0, le=604_800)


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    status: list[Literal["pending", "delivered", "failed"]] = Field(default_factory=list)


class WebhookData(Answer):
    """A webhook as it is kept; its secret is not among it."""

    id: str
    name: str
    url: str
    events: list[EventName]
    enabled: bool
    disabled_reason: str = Field(description="Why it was switched off by itself; empty otherwise.")
    course_id: str | None = Field(description="Null: events of all courses.")
    old_secret_until: At | None
    created_at: At
    updated_at: At


class WebhookWithSecret(WebhookData):
    """The one answer that shows the signing secret."""

    secret: str


class EventData(Answer):
    """An event that webhooks can hear of."""

    event: str
    description: str


class AttemptData(Answer):
    at: At
    duration_ms: int
    response_status: int | None
    response_text: str = Field(description="The beginning of what the receiver answered.")
    error: str


class DeliveryData(Answer):
    """A message and how it fares. ``next_at``: when it is tried again."""

    id: int
    message_id: str
    event: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    next_at: At | None
    response_status: int | None
    error: str
    created_at: At
    done_at: At | None


class DeliveryDetails(DeliveryData):
    """With its body and every try."""

    body: dict[str, Any]
    tries: list[AttemptData]


def listing(call: Call) -> list[WebhookData]:
    return [shown(hook) for hook in list_webhooks(call.deps.db, call.course_id)]


def events(_call: Call) -> list[EventData]:
    return [EventData(event=event, description=text) for event, text in EVENTS.items()]


def create(call: Call) -> WebhookWithSecret:
    body = call.body_as(WebhookBody)
    course_id = CourseId(body.course_id) if body.course_id else call.course_id
    if call.course_id not in (None, course_id):
        raise DomainError("other_course", "This key is for another course.")
    if course_id is not None and get_course(call.deps.db, course_id) is None:
        raise DomainError("course_unknown")
    hook, secret = call.deps.webhooks.create(
        body.name, body.url, body.events, course_id, enabled=body.enabled
    )
    return _with_secret(hook, secret)


def details(call: Call) -> WebhookData:
    return shown(call.deps.webhooks.get(call.path["webhook_id"], call.course_id))


def replace(call: Call) -> WebhookData:
    body = call.body_as(WebhookReplacement)
    return _change(call, body.name, body.url, body.events, body.enabled)


def change(call: Call) -> WebhookData:
    body = call.body_as(WebhookChange)
    return _change(call, body.name, body.url, body.events, body.enabled)


def _change(
    call: Call, name: str | None, url: str | None, events: Sequence[str] | None, enabled: bool | None
) -> WebhookData:
    setup, webhook_id = call.deps.webhooks, call.path["webhook_id"]
    return shown(setup.change(webhook_id, call.course_id, name=name, url=url, events=events, enabled=enabled))


def delete(call: Call) -> None:
    call.deps.webhooks.delete(call.path["webhook_id"], call.course_id)


def rotate(call: Call) -> WebhookWithSecret:
    keep_s = call.body_as(RotateBody).keep_old_seconds
    return _with_secret(*call.deps.webhooks.rotate(call.path["webhook_id"], call.course_id, keep_s))


def test(call: Call) -> DeliveryData:
    return delivery_data(call.deps.webhooks.test(call.path["webhook_id"], call.course_id))


def deliveries(call: Call) -> Page:
    query, webhook_id = call.query_as(DeliveriesQuery), call.path["webhook_id"]
    call.deps.webhooks.get(webhook_id, call.course_id)
    found, total = outbox.find_deliveries(
        call.deps.db, webhook_id, query.status, query.page_no, query.per_page
    )
    return Page([delivery_data(delivery) for delivery in found], total)


def delivery(call: Call) -> DeliveryDetails:
    found = call.deps.webhooks.delivery(call.path["webhook_id"], _delivery_id(call), call.course_id)
    return delivery_details(call.deps.db, found)


def redeliver(call: Call) -> DeliveryData:
    webhook_id = call.path["webhook_id"]
    return delivery_data(call.deps.webhooks.redeliver(webhook_id, _delivery_id(call), call.course_id))


def _delivery_id(call: Call) -> int:
    given = call.path["delivery_id"]
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise DomainError("delivery_unknown")
    return int(given)


def shown(hook: Webhook) -> WebhookData:
    return WebhookData(
        id=hook.webhook_id,
        name=hook.name,
        url=hook.url,
        events=list(hook.events),  # type: ignore[arg-type]
        enabled=hook.enabled,
        disabled_reason=hook.disabled_reason,
        course_id=hook.course_id,
        old_secret_until=hook.old_until,
        created_at=hook.created_at,
        updated_at=hook.updated_at,
    )


def _with_secret(hook: Webhook, secret: str) -> WebhookWithSecret:
    return WebhookWithSecret(**shown(hook).model_dump(), secret=secret)


def delivery_data(found: Delivery) -> DeliveryData:
    return DeliveryData(
        id=found.delivery_id,
        message_id=found.message_id,
        event=found.event,
        status=found.status,  # type: ignore[arg-type]
        attempts=found.attempts,
        next_at=found.next_at if found.status == "pending" else None,
        response_status=found.response_status,
        error=found.error,
        created_at=found.created_at,
        done_at=found.done_at,
    )


def delivery_details(db: Database, found: Delivery) -> DeliveryDetails:
    tries = [
        AttemptData(
            at=attempt.at,
            duration_ms=attempt.duration_ms,
            response_status=attempt.response_status,
            response_text=attempt.response_text,
            error=attempt.error,
        )
        for attempt in outbox.attempts_of(db, found.delivery_id)
    ]
    return DeliveryDetails(**delivery_data(found).model_dump(), body=json.loads(found.body), tries=tries)
