"""Sends what waits in the outbox: urgent first, about one message a second and channel, patient with every failure.

The classroom never waits for Slack: this is the only thread that posts. A card is updated at most every few seconds;
only its newest revision is sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from http.client import HTTPException

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from bot.install import Workspaces
from bot.settings import BotSettings
from models.store import slack
from models.store.database import Database
from models.store.slack import OutboxItem

log = logging.getLogger("sideroom.bot")
GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
CHANNEL = {
    "channel_not_found",
    "is_archived",
    "is_inactive",
    "not_in_channel",
    "no_permission",
    "restricted_action",
}
DISABLED = {"account_inactive", "token_revoked", "invalid_auth", "token_expired", "not_authed"}
BUGS = {
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_too_long",
    "missing_scope",
    "invalid_arguments",
    "no_text",
}
RESPONSE_HOSTS = ("https://hooks.slack.com/", "https://hooks.slack-gov.com/")
TIMEOUT_S = 10
LATEST_RESPONSE_S = 60.0
"""An answer to a button is not worth more trouble."""
ACTIVE_S = 120.0
"""A card that was not rewritten for so long takes no share of Slack's limit."""
UPDATES_A_MINUTE = 45
"""Slack allows about 50 chat.update a minute and workspace; some are for help calls and recordings."""
LATEST_CALL_S = 300.0
"""A help call that could not be posted for so long is not news any more."""


class Outbox:
    """One worker thread. ``start`` and ``stop`` belong to the server."""

    def __init__(self, settings: BotSettings, db: Database) -> None:
        self._settings = settings
        self._db = db
        self._workspaces = Workspaces(settings, db)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bot.outbox", daemon=True)
        self._parked: dict[str, float] = {}
        self._posted: dict[str, float] = {}
        self._updated: dict[tuple[str, str | None], float] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(15)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                busy = self.work()
            except Exception:
                log.exception("slack.outbox_failed")
                busy = False
            self._stopping.wait(0.05 if busy else 0.25)

    def work(self) -> bool:
        """Send what may be sent now; True when something was."""
        busy = False
        for item in slack.due(self._db):
            if self._stopping.is_set() or not self._may_send(item):
                continue
            self._send(item)
            busy = True
        return busy

    def _method(self, item: OutboxItem) -> str:
        if item.method == "respond":
            return "respond"
        known = slack.message_ts(self._db, item.team_id, item.channel_id, item.coalesce_key or "")
        return "chat.update" if known else "chat.postMessage"

    def _may_send(self, item: OutboxItem) -> bool:
        now = time.monotonic()
        method = self._method(item)
        if self._parked.get(method, 0.0) > now:
            return False
        if method == "respond":
            return True
        if method == "chat.postMessage":
            return now - self._posted.get(item.channel_id, -10.0) >= 1.0
        least = 0.3
        if (item.coalesce_key or "").startswith("card:"):
            self._updated = {key: at for key, at in self._updated.items() if now - at < ACTIVE_S}
            cards = sum((key or "").startswith("card:") for _, key in self._updated)
            least = card_interval(self._settings.card_interval_s, cards)
        return now - self._updated.get((item.channel_id, item.coalesce_key), -100.0) >= least

    def _send(self, item: OutboxItem) -> None:
        method = self._method(item)
        try:
            self._call(item, method)
        except SlackApiError as error:
            self._refused(item, method, error)
        except (SlackClientError, OSError, HTTPException) as error:
            log.warning("slack.unreachable method=%s error=%s", method, type(error).__name__)
            self._again(item)

    def _call(self, item: OutboxItem, method: str) -> None:
        now = time.monotonic()
        key = item.coalesce_key or ""
        client = self._workspaces.client(item.team_id, timeout_s=TIMEOUT_S)
        if method == "respond":
            self._respond(item)
        elif client is None:
            log.warning("slack.not_installed")
        elif method == "chat.update":
            ts = slack.message_ts(self._db, item.team_id, item.channel_id, key) or ""
            self._updated[item.channel_id, item.coalesce_key] = now
            text, blocks = item.payload.get("text", ""), item.payload.get("blocks", [])
            client.chat_update(channel=item.channel_id, ts=ts, text=text, blocks=blocks)
        else:
            self._posted[item.channel_id] = now
            self._updated[item.channel_id, item.coalesce_key] = now
            answer = client.chat_postMessage(channel=item.channel_id, **item.payload)
            if key:
                slack.save_message(self._db, item.team_id, item.channel_id, key, str(answer.get("ts", "")))
        slack.sent(self._db, item)

    def _respond(self, item: OutboxItem) -> None:
        """Answer a button, only for who pressed it."""
        url = str(item.payload.get("url", ""))
        if self._settings.api_url.startswith("https://slack.com/") and not url.startswith(RESPONSE_HOSTS):
            log.warning("slack.response_url_refused")
            return
        answer = WebhookClient(url, timeout=5).send(
            text=str(item.payload.get("text", "")), response_type="ephemeral", replace_original=False
        )
        if answer.status_code != 200:
            log.warning("slack.respond_refused status=%s", answer.status_code)

    def _refused(self, item: OutboxItem, method: str, error: SlackApiError) -> None:
        code = str(error.response.get("error", "")) if error.response is not None else ""
        status = getattr(error.response, "status_code", 200)
        log.warning("slack.refused method=%s code=%s status=%s", method, code, status)
        if status == 429 or code == "ratelimited":
            wait = retry_after(error.response.headers)
            self._parked[method] = time.monotonic() + wait
            slack.later(self._db, item, 0.0)
        elif code in GONE:
            slack.save_message(self._db, item.team_id, item.channel_id, item.coalesce_key or "", "")
        elif code in CHANNEL:
            slack.suspend_channel(self._db, item.team_id, item.channel_id, code)
            slack.drop(self._db, item)
        elif code in BUGS:
            slack.drop(self._db, item)
        else:
            self._again(item, 60.0 if code in DISABLED else None)

    def _again(self, item: OutboxItem, seconds: float | None = None) -> None:
        age = time.time() - item.created_at.timestamp()
        is_late = (item.coalesce_key or "").startswith("call:") and age > LATEST_CALL_S
        if is_late or (item.method == "respond" and age > LATEST_RESPONSE_S):
            slack.drop(self._db, item)
            return
        slack.later(
            self._db, item, min(60.0, 0.5 * 2.0 ** min(item.attempts, 7)) if seconds is None else seconds
        )


def card_interval(least_s: float, cards: int) -> float:
    """Seconds between two updates of one card when ``cards`` are being rewritten."""
    return max(least_s, 60.0 * cards / UPDATES_A_MINUTE)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, 1 to 300; the header's name comes in any case."""
    found = next((value for name, value in headers.items() if name.lower() == "retry-after"), "1")
    return min(300.0, max(1.0, float(found))) if found.isdecimal() else 1.0
