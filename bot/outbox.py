"""Sends what waits in the outbox: urgent first, as often as Slack allows, patient with every failure.

The classroom never waits for Slack: only these threads post. What is urgent (answers, help calls, ends, recordings) has a
thread of its own, so a card that Slack is slow to take does not hold a help call up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Final

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from bot import redo
from bot.install import Workspaces
from bot.meters import Meters
from bot.pace import URGENT, Pace, Place, retry_after
from bot.settings import BotSettings
from bot.suspend import suspend_channel
from models.store import slack, slack_inbox, slack_outbox
from models.store.database import Database
from models.store.slack_outbox import OutboxItem

log = logging.getLogger("sideroom.bot")
GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
NO_THREAD = {"thread_not_found", "cannot_reply_to_message", "restricted_action_thread_only_channel"}
CHANNEL = {
    "channel_not_found",
    "is_archived",
    "is_inactive",
    "not_in_channel",
    "no_permission",
    "restricted_action",
}
DISABLED = {"account_inactive", "token_revoked", "invalid_auth", "token_expired", "not_authed"}
REVOKED = {"account_inactive", "token_revoked"}
"""The app was taken out of the workspace; with one fixed token an administrator may mend it, so we go on trying."""
BUGS = {
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_too_long",
    "missing_scope",
    "invalid_arguments",
    "no_text",
}
TRANSIENT = {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited"}
TRIES: Final = 5
"""So often a call is made that Slack refuses for a reason we do not know."""
TIMEOUT_S: Final = 10
LATEST_RESPONSE_S: Final = 60.0
"""An answer to a button is not worth more trouble."""
LATEST_CALL_S: Final = 300.0
"""A help call that could not be posted for so long is not news any more."""
LATEST_S: Final = 86_400.0
"""Whatever Slack refused for a day it will refuse for ever."""
DISABLED_S: Final = 60.0
LANES: Final = ("urgent", "calm")

DrawHome = Callable[[str, str, bool], dict[str, Any]]
"""Workspace, user, whether Slack makes us wait → the view of App Home."""
Again = Callable[[str, dict[str, Any], bool], bool]
"""Key and kept parts of a request that was left undone, whether it may still be done → False while it is being worked on."""


class Clock:
    """The real time, and one that never goes back."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Outbox:
    """One thread a lane. ``start`` and ``stop`` belong to the server. One process posts."""

    def __init__(
        self,
        settings: BotSettings,
        db: Database,
        draw_home: DrawHome | None = None,
        clock: Clock | None = None,
        again: Again | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._settings = settings
        self._db = db
        self._draw_home = draw_home
        self._redo = again
        self._meters = meters or Meters()
        self._clock = clock or Clock()
        self._workspaces = Workspaces(settings, db)
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._pace = Pace(settings.card_interval_s)
        self._sending: set[Place | int] = set()
        self._last_ok: float | None = None
        self._missed: dict[tuple[str, str], int] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"bot.outbox.{lane}", daemon=True)
            for lane in LANES
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)

    def health(self) -> dict[str, object]:
        """For an administrator: how much waits, for how long, and when Slack last took something."""
        waiting, lag_s = slack_outbox.depth(self._db, self._clock.now())
        now = self._clock.monotonic()
        with self._guard:
            last = None if self._last_ok is None else round(now - self._last_ok, 1)
            limited = sorted({team for team in self._workspaces.team_ids() if self._pace.limited(team, now)})
        posting = {"waiting": waiting, "lag_s": round(lag_s, 1), "last_ok_s": last, "limited": limited}
        return {**posting, **self._meters.report()}

    def _run(self, lane: str) -> None:
        while not self._stopping.is_set():
            try:
                busy = self.work(lane)
            except Exception:
                log.exception("slack.outbox_failed")
                busy = False
            self._stopping.wait(0.05 if busy else 0.25)

    def work(self, lane: str = "") -> bool:
        """Send what may be sent now (of one lane); True when something was."""
        busy = False
        limits = {"urgent": URGENT} if lane == "urgent" else {"calm": URGENT} if lane else {}
        for item in slack_outbox.due(self._db, self._clock.now(), **limits):
            if self._stopping.is_set():
                break
            if item.method == redo.METHOD:
                self._take_up(item)
                continue
            place = self._begin(item)
            if place is None:
                continue
            try:
                self._send(item)
            finally:
                with self._guard:
                    self._sending.discard(place)
            busy = True
        return busy

    def _take_up(self, item: OutboxItem) -> None:
        """A request whose process died before it was done. Its row goes when the desk has finished it."""
        slack_outbox.later(self._db, item, slack_inbox.DEAD_AFTER_S, self._clock.now())
        if self._redo is None:
            return
        age_s = (self._clock.now() - item.created_at).total_seconds()
        if self._redo(item.coalesce_key or "", item.payload, age_s <= redo.RUN_WITHIN_S):
            log.warning("slack.taken_up_again age_s=%.0f", age_s)

    def _begin(self, item: OutboxItem) -> Place | int | None:
        """Whether it may be sent now, and nobody else is sending this message; what to put back after it."""
        method = _method(item)
        place = (item.team_id, item.channel_id, item.coalesce_key or f"#{item.id}")
        now = self._clock.monotonic()
        with self._guard:
            if place in self._sending or not self._pace.may_send(method, place, item.priority, now):
                return None
            self._pace.sent(method, place, now)
            self._sending.add(place)
        return place

    # -- sending -----------------------------------------------------------------------------------------------

    def _send(self, item: OutboxItem) -> None:
        method = _method(item)
        try:
            self._call(item, method)
        except SlackApiError as error:
            self._refused(item, method, error)
        except (SlackClientError, OSError, HTTPException) as error:
            log.warning("slack.unreachable method=%s error=%s", method, type(error).__name__)
            self._again(item)
        else:
            with self._guard:
                self._last_ok = self._clock.monotonic()

    def _call(self, item: OutboxItem, method: str) -> None:
        if method == "respond":
            self._respond(item)
            return
        client = self._workspaces.client(item.team_id, timeout_s=TIMEOUT_S)
        if client is None:
            log.warning("slack.not_installed")
        elif method == "views.publish":
            self._publish(client, item)
        elif method == "chat.postEphemeral":
            # Best effort: it reaches only who is there now.
            user = str(item.payload.get("user", ""))
            client.chat_postEphemeral(channel=item.channel_id, user=user, **_shown(item.payload))
        elif method == "chat.update":
            client.chat_update(channel=item.channel_id, ts=item.ts, **_shown(item.payload))
            slack.update_message(self._db, item.team_id, item.channel_id, item.coalesce_key or "", item.rev)
        else:
            self._post(client, item)
        slack_outbox.sent(self._db, item)

    def _post(self, client: WebClient, item: OutboxItem) -> None:
        more: dict[str, Any] = {}
        thread = str(item.payload.get("thread_key", ""))
        parent = slack.message_ts(self._db, item.team_id, item.channel_id, thread) if thread else None
        if parent:
            more = {"thread_ts": parent, "reply_broadcast": bool(item.payload.get("broadcast"))}
        answer = client.chat_postMessage(
            channel=item.channel_id, unfurl_links=False, unfurl_media=False, **_shown(item.payload), **more
        )
        if not item.coalesce_key:
            return
        ts = str(answer.get("ts", ""))
        slack.save_message(self._db, item.team_id, item.channel_id, item.coalesce_key, ts, rev=item.rev)
        if item.coalesce_key.startswith("card:"):
            self._learn_address(client, item, ts)

    def _learn_address(self, client: WebClient, item: OutboxItem, ts: str) -> None:
        """Where the card can be found; only a help for people, so a failure is no matter."""
        try:
            found = client.chat_getPermalink(channel=item.channel_id, message_ts=ts).get("permalink")
        except (SlackClientError, OSError, HTTPException):
            return
        key = item.coalesce_key or ""
        slack.save_message(self._db, item.team_id, item.channel_id, key, ts, str(found or ""), item.rev)

    def _publish(self, client: WebClient, item: OutboxItem) -> None:
        if self._draw_home is None:
            return
        with self._guard:
            limited = self._pace.limited(item.team_id, self._clock.monotonic())
        view = self._draw_home(item.team_id, item.channel_id, limited)
        client.views_publish(user_id=item.channel_id, view=view)

    def _respond(self, item: OutboxItem) -> None:
        """Answer a command or a button, only for who used it."""
        url = str(item.payload.get("url", ""))
        if not url.startswith(self._settings.response_urls):
            log.warning("slack.response_url_refused")
            slack_outbox.drop(self._db, item)
            return
        status = respond(url, item.payload)
        if status == 429 or status >= 500:
            self._again(item)
            return
        if status != 200:
            log.warning("slack.respond_refused status=%s", status)
        slack_outbox.sent(self._db, item)

    # -- failures ----------------------------------------------------------------------------------------------

    def _refused(self, item: OutboxItem, method: str, error: SlackApiError) -> None:
        code = str(error.response.get("error", "")) if error.response is not None else ""
        status = getattr(error.response, "status_code", 200)
        log.warning("slack.refused method=%s code=%s status=%s", method, code, status)
        team_id, channel_id = item.team_id, item.channel_id
        if status == 429 or code == "ratelimited":
            self._meters.limited(method)
            self._park(team_id, method, retry_after(error.response.headers))
        elif code in GONE and (item.coalesce_key or "").startswith(slack_outbox.MOVED):
            slack_outbox.drop(self._db, item)
        elif code in GONE:
            slack.save_message(self._db, team_id, channel_id, item.coalesce_key or "", "")
        elif code in NO_THREAD and item.payload.get("thread_key"):
            slack.save_message(self._db, team_id, channel_id, str(item.payload["thread_key"]), "")
        elif item.method == "ephemeral" and code not in DISABLED:
            self._tell_directly(item)
        elif item.method == "home" and status == 200 and code not in DISABLED:
            slack_outbox.drop(self._db, item)
        elif code in CHANNEL:
            slack_outbox.drop(self._db, item)
            suspend_channel(self._db, team_id, channel_id, code)
        elif code in BUGS:
            log.error("slack.message_refused method=%s code=%s", method, code)
            slack_outbox.drop(self._db, item)
        elif code in REVOKED and self._settings.by_oauth:
            self._workspaces.suspend(team_id, code)
        elif code in DISABLED:
            self._park(team_id, "*", DISABLED_S)
            self._again(item, DISABLED_S)
        elif code in TRANSIENT or status >= 500 or item.attempts < TRIES:
            self._again(item)
        else:
            log.error("slack.message_refused method=%s code=%s attempts=%d", method, code, item.attempts)
            slack_outbox.drop(self._db, item)

    def _tell_directly(self, item: OutboxItem) -> None:
        """What only one person should see cannot be shown in that channel (the app is not in it): by a direct message then."""
        slack_outbox.drop(self._db, item)
        user_id = str(item.payload.get("user", ""))
        if user_id:
            slack_outbox.put_out(
                self._db,
                team_id=item.team_id,
                channel_id=user_id,
                method="message",
                payload=_shown(item.payload),
                priority=item.priority,
                now=self._clock.now(),
            )

    def _park(self, team_id: str, method: str, seconds: float) -> None:
        with self._guard:
            self._pace.park(team_id, method, seconds, self._clock.monotonic())

    def _again(self, item: OutboxItem, seconds: float | None = None) -> None:
        """Later, with growing patience; old news is dropped."""
        now = self._clock.now()
        age = (now - item.created_at).total_seconds()
        is_call = (item.coalesce_key or "").startswith("call:") and not item.ts
        if is_call and age > LATEST_CALL_S:
            slack_outbox.drop(self._db, item)
            self._count_missed(item)
        elif age > (LATEST_RESPONSE_S if item.method in ("respond", "ephemeral") else LATEST_S):
            slack_outbox.drop(self._db, item)
        else:
            wait = min(60.0, 0.5 * 2.0 ** min(item.attempts, 7)) if seconds is None else seconds
            slack_outbox.later(self._db, item, wait, now)

    def _count_missed(self, item: OutboxItem) -> None:
        """One line for all help calls that came too late, posted when Slack is back."""
        hour = int(item.created_at.timestamp()) // 3600
        place = (item.team_id, f"{item.channel_id}/{hour}")
        count = self._missed[place] = self._missed.get(place, 0) + 1
        calls = "1 help call" if count == 1 else f"{count} help calls"
        slack_outbox.put_out(
            self._db,
            team_id=item.team_id,
            channel_id=item.channel_id,
            method="message",
            payload={"text": f":warning: {calls} could not be shown here while Slack was away."},
            coalesce_key=f"missed:{hour}",
            rev=count,
            priority=2,
            now=self._clock.now(),
        )


def _method(item: OutboxItem) -> str:
    if item.method == "home":
        return "views.publish"
    if item.method == "respond":
        return "respond"
    if item.method == "ephemeral":
        return "chat.postEphemeral"
    return "chat.update" if item.ts else "chat.postMessage"


def _shown(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What Slack shall show; ``metadata`` holds opaque ids only."""
    shown = {"text": payload.get("text", ""), "blocks": payload.get("blocks") or []}
    return {**shown, "metadata": payload["metadata"]} if payload.get("metadata") else shown


def respond(url: str, payload: Mapping[str, Any]) -> int:
    """Answer by a response_url, only for who asked; the HTTP status. Raises OSError."""
    body: dict[str, Any] = {
        "text": str(payload.get("text", "")),
        "response_type": "ephemeral",
        "replace_original": bool(payload.get("replace_original")),
    }
    if payload.get("blocks"):
        body["blocks"] = payload["blocks"]
    return int(WebhookClient(url, timeout=5).send_dict(body).status_code)
