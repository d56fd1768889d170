"""Sends what waits in the outbox: signed, in order for each recording, again and again for a day, one log line a try.

A slow receiver holds up nobody else: each webhook has a few sendings of its own at a time, one while it fails.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

from models.store import webhook_outbox as outbox
from models.store import webhooks as hooks
from models.store.database import Database
from models.store.webhook_outbox import Attempt, Delivery
from models.store.webhooks import Webhook
from webhooks import signing
from webhooks.send import TIMEOUT_S, Answer, post
from webhooks.signing import Seal, WrongSeal

log = logging.getLogger("sideroom.webhooks")
LIFE: Final = timedelta(hours=24)
KEPT: Final = timedelta(days=30)
LEASE: Final = timedelta(seconds=60)
"""Longer than any sending: a message whose sender was killed is due again after this."""
FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 2 * 3600.0
RETRY_STATUSES: Final = frozenset({408, 429})
GONE: Final = 410
AT_ONCE: Final = 4
THREADS: Final = 64
LOOK_S: Final = 1.0
TIDY_S: Final = 600.0
USER_AGENT: Final = "Sideroom-Webhooks/1"


def retry_in(attempts: int, retry_after_s: float | None, chance: float) -> float:
    """Seconds until the next try after ``attempts`` tries: doubling from 5 s to 2 h, ±20 % by ``chance`` (0…1), and
    never before the receiver wants."""
    wait = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20)) * (0.8 + 0.4 * chance)
    return max(wait, min(retry_after_s or 0.0, LIFE.total_seconds()))


def is_worth_retrying(answer: Answer) -> bool:
    if answer.status is None:
        return not answer.refused
    return answer.status in RETRY_STATUSES or answer.status >= 500


class Deliverer:
    """``start`` and ``stop`` belong to the job worker; ``wake`` makes it look at once."""

    def __init__(
        self,
        db: Database,
        seal: Seal,
        *,
        private: bool = False,
        timeout_s: float = TIMEOUT_S,
        look_s: float = LOOK_S,
        retry: Callable[[int, float | None, float], float] = retry_in,
    ) -> None:
        self._db = db
        self._seal = seal
        self._private = private
        self._timeout_s = timeout_s
        self._look_s = look_s
        self._retry = retry
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._failing: set[str] = set()
        self._tidy_at = 0.0
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks.send")
        self._thread = threading.Thread(target=self._run, name="webhooks.deliver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """Ends after the sendings that are under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._timeout_s + 5)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._look_s)
            self._wake.clear()
            try:
                self.work()
            except Exception:
                log.exception("webhooks.deliver_failed")
                self._stopping.wait(LOOK_S)

    def work(self) -> None:
        """Hand every message that is due, and has room, to a thread."""
        now = datetime.now(UTC)
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_S
            self.tidy(now)
        wanted = outbox.webhooks_with_due(self._db, now)
        random.shuffle(wanted)  # so that none is always the last
        for webhook_id in wanted:
            with self._guard:
                room = (1 if webhook_id in self._failing else AT_ONCE) - self._busy[webhook_id]
                # What waits for a thread holds its lease already, and would be taken twice when that runs out.
                room = min(room, THREADS - self._busy.total())
            if room <= 0:
                continue
            for delivery in outbox.due(self._db, webhook_id, now, room):
                if not self._stopping.is_set() and outbox.claim(
                    self._db, delivery.delivery_id, now, now + LEASE
                ):
                    with self._guard:
                        self._busy[webhook_id] += 1
                    self._pool.submit(self._send, delivery)

    def tidy(self, now: datetime) -> None:
        """Give up what is too old, forget the log of a month ago."""
        given_up, forgotten = outbox.give_up(self._db, now), outbox.forget_before(self._db, now - KEPT)
        if given_up or forgotten:
            log.info("webhooks.tidied given_up=%d forgotten=%d", given_up, forgotten)

    def _send(self, delivery: Delivery) -> None:
        try:
            self._try(delivery)
        except Exception:
            # The lease runs out and the message is due again.
            log.exception("webhooks.send_failed delivery_id=%d", delivery.delivery_id)
        finally:
            with self._guard:
                self._busy[delivery.webhook_id] -= 1
                if not self._busy[delivery.webhook_id]:
                    del self._busy[delivery.webhook_id]
            self._wake.set()

    def _try(self, delivery: Delivery) -> None:
        hook = hooks.get_webhook(self._db, delivery.webhook_id)
        if hook is None:
            return
        began, at = time.monotonic(), datetime.now(UTC)
        answer = self._post(hook, delivery, at)
        now = datetime.now(UTC)
        attempt = Attempt(
            at, round((time.monotonic() - began) * 1000), answer.status, answer.text, answer.error
        )
        is_delivered = answer.status is not None and 200 <= answer.status < 300
        with self._guard:
            (self._failing.discard if is_delivered else self._failing.add)(hook.webhook_id)
        status, next_at = "delivered" if is_delivered else "failed", None
        if not is_delivered and is_worth_retrying(answer):
            # Not a secret: spreads the tries of many messages.
            wait = self._retry(delivery.attempts + 1, answer.retry_after_s, random.random())  # noqa: S311
            if now + timedelta(seconds=wait) < delivery.give_up_at:
                status, next_at = "pending", now + timedelta(seconds=wait)
        outbox.finish(self._db, delivery.delivery_id, attempt, status, next_at)
        if answer.status == GONE:
            hooks.disable_webhook(self._db, hook.webhook_id, "The receiver answered 410 Gone.", now)
        log.info(
            "webhooks.tried delivery_id=%d webhook_id=%s status=%s response=%s ms=%d",
            delivery.delivery_id,
            hook.webhook_id,
            status,
            answer.status,
            attempt.duration_ms,
        )

    def _post(self, hook: Webhook, delivery: Delivery, at: datetime) -> Answer:
        try:
            secrets = [self._seal.open(hook.secret)]
            if hook.old_secret and hook.old_until is not None and at < hook.old_until:
                secrets.append(self._seal.open(hook.old_secret))
        except WrongSeal:
            return Answer(None, error="The signing secret can’t be read. Rotate it.", refused=True)
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **signing.headers(secrets, delivery.message_id, at, body),
        }
        return post(hook.url, body, headers, private=self._private, timeout_s=self._timeout_s)
