"""Sends what waits in the outbox: urgent first, as often as Slack allows, patient with every failure.

The classroom never waits for Slack: only these threads post. What is urgent (answers, help calls, ends, recordings) has a
thread of its own, so a card that Slack is slow to take does not hold a help call up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Final

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.webhook import WebhookClient

from bot import redo
from bot.blocks.parts import cut
from bot.install import Workspaces
from bot.meters import Meters
from bot.outcomes import UNREACHABLE, Outcome, SlackFailure, ask
from bot.pace import URGENT, Pace, Place
from bot.settings import BotSettings
from bot.suspend import suspend_channel
from models.store import slack, slack_inbox, slack_outbox
from models.store.database import Database
from models.store.slack_outbox import OutboxItem

log = logging.getLogger("sideroom.bot")
TIMEOUT_S: Final = 10
LATEST_RESPONSE_S: Final = 60.0
"""An answer to a button is not worth more trouble."""
LATEST_CALL_S: Final = 300.0
"""A help call that could not be posted for so long is not news any more."""
LATEST_S: Final = 86_400.0
"""Whatever Slack refused for a day it will refuse for ever."""
LATEST_UNKNOWN_S: Final = 3600.0
"""So long a call is tried that Slack refuses by a code that we do not know."""
PARKED_S: Final = 60.0
"""So long nothing goes to a workspace that cannot be used now (wrong token, a migration)."""
MOST_PLAIN: Final = 3000
"""Slack's limit of a message's text when it is rewritten is 4,000."""
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
        except SlackFailure as failure:
            self._failed(item, method, failure)
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
            shown = _shown(item.payload)
            ask(lambda: client.chat_postEphemeral(channel=item.channel_id, user=user, **shown))
        elif method == "chat.update":
            shown = _shown(item.payload)
            ask(lambda: client.chat_update(channel=item.channel_id, ts=item.ts, **shown))
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
        shown = {"unfurl_links": False, "unfurl_media": False, **_shown(item.payload), **more}
        answer = ask(lambda: client.chat_postMessage(channel=item.channel_id, **shown))
        if not item.coalesce_key:
            return
        ts = str(answer.get("ts", ""))
        slack.save_message(self._db, item.team_id, item.channel_id, item.coalesce_key, ts, rev=item.rev)
        if item.coalesce_key.startswith("card:"):
            self._learn_address(client, item, ts)

    def _learn_address(self, client: WebClient, item: OutboxItem, ts: str) -> None:
        """Where the card can be found; only a help for people, so a failure is no matter."""
        try:
            found = ask(lambda: client.chat_getPermalink(channel=item.channel_id, message_ts=ts))
        except SlackFailure:
            return
        key, address = item.coalesce_key or "", str(found.get("permalink") or "")
        slack.save_message(self._db, item.team_id, item.channel_id, key, ts, address, item.rev)

    def _publish(self, client: WebClient, item: OutboxItem) -> None:
        if self._draw_home is None:
            return
        with self._guard:
            limited = self._pace.limited(item.team_id, self._clock.monotonic())
        view = self._draw_home(item.team_id, item.channel_id, limited)
        ask(lambda: client.views_publish(user_id=item.channel_id, view=view))

    def _respond(self, item: OutboxItem) -> None:
        """Answer a command or a button, only for who used it."""
        url = str(item.payload.get("url", ""))
        if not url.startswith(self._settings.response_urls):
            log.warning("slack.response_url_refused")
            slack_outbox.drop(self._db, item)
            return
        status, said = respond(url, item.payload)
        if status == 400 and item.payload.get("blocks"):
            log.error("slack.blocks_refused code=%s key=respond", said[:40])
            status, said = respond(url, {**item.payload, "blocks": []})
        if status == 429 or status >= 500:
            raise SlackFailure(UNREACHABLE, status)
        if status != 200:
            log.warning("slack.respond_refused status=%s", status)
        slack_outbox.sent(self._db, item)

    # -- failures ----------------------------------------------------------------------------------------------

    def _failed(self, item: OutboxItem, method: str, failure: SlackFailure) -> None:
        """What the table says, but for messages that only one person sees and for older cards."""
        if failure.is_refusal:
            log.warning(
                "slack.refused method=%s code=%s status=%s outcome=%s page=%s",
                method,
                failure.code,
                failure.status,
                failure.outcome,
                failure.rule.page,
            )
        else:
            log.warning("slack.unreachable method=%s error=%s", method, failure.why or failure.status)
        key = item.coalesce_key or ""
        is_plain = failure.outcome is Outcome.PLAIN and bool(item.payload.get("blocks"))
        if (
            item.method in ("ephemeral", "home")
            and failure.permanent
            and not is_plain
            and not _concerns_all(failure)
        ):
            if item.method == "ephemeral":
                self._tell_directly(item)
            else:
                slack_outbox.drop(self._db, item)
            return
        match failure.outcome:
            case Outcome.WAIT:
                self._meters.limited(method)
                self._park(item.team_id, method, failure.retry_after_s)
                if item.method == "respond":  # a response_url has no method that others use
                    self._again(item, failure.retry_after_s)
            case Outcome.PARK:
                self._park(item.team_id, "*", PARKED_S)
                self._again(item, PARKED_S)
            case Outcome.SUSPEND_WORKSPACE if self._settings.by_oauth:
                self._workspaces.suspend(item.team_id, failure.code)
            case Outcome.SUSPEND_WORKSPACE:
                # With one fixed token an administrator may mend it, so we go on trying.
                self._park(item.team_id, "*", PARKED_S)
                self._again(item, PARKED_S)
            case Outcome.REPOST if key.startswith(slack_outbox.MOVED):
                slack_outbox.drop(self._db, item)
            case Outcome.REPOST if item.ts:
                slack.save_message(self._db, item.team_id, item.channel_id, key, "")
            case Outcome.UNTHREAD if item.payload.get("thread_key"):
                self._send_unthreaded(item, failure)
            case Outcome.PLAIN if item.payload.get("blocks") or item.payload.get("metadata"):
                self._send_plain(item, failure)
            case Outcome.SUSPEND_CHANNEL:
                slack_outbox.drop(self._db, item)
                suspend_channel(self._db, item.team_id, item.channel_id, failure.code)
            case Outcome.RETRY | Outcome.UNKNOWN:
                self._again(item, latest_s=LATEST_S if failure.outcome is Outcome.RETRY else LATEST_UNKNOWN_S)
            case _:
                log.error(
                    "slack.message_refused method=%s code=%s page=%s", method, failure.code, failure.rule.page
                )
                slack_outbox.drop(self._db, item)

    def _send_unthreaded(self, item: OutboxItem, failure: SlackFailure) -> None:
        """In the channel then. A card that is gone is posted anew at its next change."""
        if failure.code == "thread_not_found":
            thread = str(item.payload["thread_key"])
            slack.save_message(self._db, item.team_id, item.channel_id, thread, "")
        hidden = ("thread_key", "broadcast")
        self._send(replace(item, payload={k: v for k, v in item.payload.items() if k not in hidden}))

    def _send_plain(self, item: OutboxItem, failure: SlackFailure) -> None:
        """Slack does not take the blocks: their sentence alone, at once. Our mistake, so the log has it as an error."""
        log.error("slack.blocks_refused code=%s key=%s", failure.code, item.coalesce_key or "")
        said = cut(str(item.payload.get("text", "")), MOST_PLAIN)
        kept: dict[str, Any] = {
            name: item.payload[name] for name in ("user", "thread_key", "broadcast") if name in item.payload
        }
        self._send(replace(item, payload={**kept, "text": said}))

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

    def _again(self, item: OutboxItem, seconds: float | None = None, latest_s: float = LATEST_S) -> None:
        """Later, with growing patience; old news is dropped."""
        now = self._clock.now()
        age = (now - item.created_at).total_seconds()
        is_call = (item.coalesce_key or "").startswith("call:") and not item.ts
        if is_call and age > LATEST_CALL_S:
            slack_outbox.drop(self._db, item)
            self._count_missed(item)
        elif age > (LATEST_RESPONSE_S if item.method in ("respond", "ephemeral") else latest_s):
            log.error("slack.given_up method=%s age_s=%.0f attempts=%d", item.method, age, item.attempts)
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
            payload={"text": f":warning: {calls} couldn’t be shown here while Slack was unavailable."},
            coalesce_key=f"missed:{hour}",
            rev=count,
            priority=2,
            now=self._clock.now(),
        )


def _concerns_all(failure: SlackFailure) -> bool:
    """Whether it is about the token or the workspace, not about this message."""
    return failure.outcome in (Outcome.PARK, Outcome.SUSPEND_WORKSPACE)


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


def respond(url: str, payload: Mapping[str, Any]) -> tuple[int, str]:
    """Answer by a response_url, only for who asked; the HTTP status and what Slack said. Raises SlackFailure."""
    body: dict[str, Any] = {
        "text": str(payload.get("text", "")),
        "response_type": "ephemeral",
        "replace_original": bool(payload.get("replace_original")),
    }
    if payload.get("blocks"):
        body["blocks"] = payload["blocks"]
    try:
        answer = WebhookClient(url, timeout=5).send_dict(body)
        return int(answer.status_code), str(answer.body)
    except (SlackClientError, OSError, HTTPException, ValueError) as error:
        raise SlackFailure(UNREACHABLE, why=type(error).__name__) from error
