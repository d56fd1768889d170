"""Setting webhooks up, for the API and the admin page: make, change, rotate, test, send again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models.outbound import Guard, Refused
from models.store import webhook_outbox as outbox
from models.store import webhooks as store
from models.store.database import Database
from models.store.webhook_outbox import Delivery, NewMessage
from models.store.webhooks import Webhook
from models.values import CourseId
from rooms.errors import DomainError
from rooms.wire import to_json
from webhooks.deliver import LIFE
from webhooks.events import EVENTS, TEST
from webhooks.send import PRIVATE_SETTING
from webhooks.signing import Seal, new_message_id, new_secret

MAX_WEBHOOKS = 50
OLD_SECRET_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Setup:
    """``private``: addresses may be http and private. Courses: None for who looks after all of them."""

    db: Database
    seal: Seal
    private: bool = False

    def create(
        self, name: str, url: str, events: Sequence[str], course_id: CourseId | None, *, enabled: bool = True
    ) -> tuple[Webhook, str]:
        """Make a webhook; the second value is its secret, shown only now. Raises ``bad_value``, ``too_many``."""
        self._check(url, events)
        if store.count_webhooks(self.db, course_id) >= MAX_WEBHOOKS:
            raise DomainError("too_many", f"There are {MAX_WEBHOOKS} webhooks already. Delete one first.")
        secret = new_secret()
        made = store.add_webhook(
            self.db,
            name=name,
            url=url,
            events=events,
            enabled=enabled,
            course_id=course_id,
            secret=self.seal.close(secret),
            now=datetime.now(UTC),
        )
        return made, secret

    def change(
        self,
        webhook_id: str,
        course_id: CourseId | None,
        *,
        name: str | None = None,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is given. Raises ``webhook_unknown``, ``bad_value``."""
        self.get(webhook_id, course_id)
        self._check(url, events)
        now = datetime.now(UTC)
        store.change_webhook(self.db, webhook_id, now, name=name, url=url, events=events, enabled=enabled)
        return self.get(webhook_id, course_id)

    def rotate(self, webhook_id: str, course_id: CourseId | None, keep_s: int) -> tuple[Webhook, str]:
        """A new secret, shown only now; the old one signs beside it for ``keep_s`` seconds. Raises ``webhook_unknown``."""
        self.get(webhook_id, course_id)
        secret, now = new_secret(), datetime.now(UTC)
        until = now + timedelta(seconds=keep_s) if keep_s else None
        store.rotate_secret(self.db, webhook_id, self.seal.close(secret), until, now)
        return self.get(webhook_id, course_id), secret

    def reseal(self) -> int:
        """Seal anew with the present key what was sealed under an earlier site secret; how many webhooks that were."""
        return store.reseal_secrets(self.db, lambda sealed: self.seal.renewed(sealed) if sealed else "")

    def delete(self, webhook_id: str, course_id: CourseId | None) -> None:
        """Raises ``webhook_unknown``."""
        self.get(webhook_id, course_id)
        store.delete_webhook(self.db, webhook_id)

    def get(self, webhook_id: str, course_id: CourseId | None) -> Webhook:
        """Raises ``webhook_unknown``, also for a webhook of another course."""
        found = store.get_webhook(self.db, webhook_id, course_id)
        if found is None:
            raise DomainError("webhook_unknown")
        return found

    def test(self, webhook_id: str, course_id: CourseId | None) -> Delivery:
        """Queue a ``webhook.test`` message. Raises ``webhook_unknown``, ``webhook_off``."""
        hook = self._switched_on(webhook_id, course_id)
        now = datetime.now(UTC)
        body = {
            "event": TEST,
            "seq": 0,
            "timestamp": to_json(now),
            "webhook": {"id": hook.webhook_id, "name": hook.name},
        }
        message_id = new_message_id()
        message = NewMessage(message_id, hook.webhook_id, None, TEST, message_id, json.dumps(body))
        return outbox.put(self.db, message, now, now + LIFE)

    def redeliver(self, webhook_id: str, delivery_id: int, course_id: CourseId | None) -> Delivery:
        """Send a message again, with the same id. Raises ``webhook_unknown``, ``delivery_unknown``, ``webhook_off``."""
        self._switched_on(webhook_id, course_id)
        self.delivery(webhook_id, delivery_id, course_id)
        now = datetime.now(UTC)
        outbox.send_again(self.db, delivery_id, now, now + LIFE)
        return self.delivery(webhook_id, delivery_id, course_id)

    def delivery(self, webhook_id: str, delivery_id: int, course_id: CourseId | None) -> Delivery:
        """Raises ``webhook_unknown``, ``delivery_unknown``."""
        self.get(webhook_id, course_id)
        found = outbox.get_delivery(self.db, webhook_id, delivery_id)
        if found is None:
            raise DomainError("delivery_unknown")
        return found

    def _switched_on(self, webhook_id: str, course_id: CourseId | None) -> Webhook:
        hook = self.get(webhook_id, course_id)
        if not hook.enabled:
            raise DomainError("webhook_off")
        return hook

    def _check(self, url: str | None, events: Sequence[str] | None) -> None:
        unknown = sorted(set(events or ()) - set(EVENTS))
        if unknown:
            known = ", ".join(EVENTS)
            raise DomainError(
                "bad_value",
                f"“events”: there is no event “{unknown[0][:40]}”; there are {known}.",
                field="events",
            )
        if url is not None:
            try:
                Guard(self.private, PRIVATE_SETTING).parse(url)
            except Refused as error:
                raise DomainError("bad_value", str(error), field="url") from None
