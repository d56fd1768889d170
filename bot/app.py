"""The Bolt application: signature, dedupe, tenant, then one listener a kind of request.

``process_before_response=True``: a request is remembered (one row) before it is answered, and what it asks is done by the
desk's threads. A request taken before is answered 200 and changes nothing.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slack_bolt import App, BoltContext, BoltResponse
from sqlalchemy.exc import DBAPIError

from bot import identity_events, redo
from bot.breakout import BreakoutVerbs
from bot.calls import CallVerbs
from bot.desk import Desk
from bot.events import Events
from bot.forms import Forms
from bot.home import HomeVerbs
from bot.identity import Identity, team_of
from bot.inbox import request_key
from bot.install import Workspaces
from bot.ledger import Ledger
from bot.linking import LinkVerbs
from bot.listeners import Listeners, channel_info
from bot.meters import Meters
from bot.record import RecordVerbs
from bot.room import RoomVerbs
from bot.scene import Stage
from bot.settings import BotSettings
from bot.verbs import Verbs
from bot.watch import Links
from library.media import Library
from models.store.database import Database
from models.store.slack_inbox import Work
from rooms.errors import CODES
from rooms.service import RoomsService

log = logging.getLogger("sideroom.bot")
ANY = re.compile(".*", re.S)
FAREWELLS = ("app_uninstalled", "tokens_revoked")
Listener = Callable[..., None]
for _name in ("slack_bolt", "slack_sdk"):
    # At INFO Bolt prints signatures and whole bodies of requests that it refuses.
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Door:
    """The application, and what must be stopped with it. ``home`` draws App Home for the outbox."""

    app: App
    desk: Desk
    home: HomeVerbs
    links: Links
    listeners: Listeners
    """``listeners.again`` does for the outbox what was left undone."""
    meters: Meters


def build_door(settings: BotSettings, db: Database, rooms: RoomsService, library_root: Path) -> Door:
    """Everything that answers Slack; ``bot.web`` serves it over HTTP. Makes no call to Slack."""
    workspaces = Workspaces(settings, db)
    identity = Identity(settings, db, workspaces)
    names = settings.names
    ledger = Ledger(db)
    desk = Desk(settings, db, ledger)
    stage = Stage(db, rooms, identity)
    links = Links(settings.watch_key, settings.base_url)
    home = HomeVerbs(stage, settings.base_url, names)
    verbs = Verbs(
        stage,
        RoomVerbs(stage, settings.base_url, names),
        LinkVerbs(stage, identity, functools.partial(channel_info, workspaces)),
        BreakoutVerbs(stage),
        CallVerbs(stage, settings.base_url),
        RecordVerbs(stage, Library(db, library_root), links),
        home,
        names,
    )
    app = App(
        signing_secret=settings.signing_secret,
        token_verification_enabled=False,
        process_before_response=True,
        authorize=lambda team_id: workspaces.authorize(team_id or ""),  # Bolt passes by name
    )
    meters = Meters()
    guard = _Guard(settings, workspaces, ledger, meters)
    app.middleware(guard.dedupe)
    app.error(guard.failed)
    listeners = Listeners(verbs, Forms(stage, verbs), desk, workspaces, names)
    app.command(ANY)(listeners.command)
    app.action(ANY)(listeners.action)
    for constraint in ({"type": "shortcut"}, {"type": "message_action"}):
        app.shortcut({**constraint, "callback_id": ANY})(listeners.shortcut)
    app.view(ANY)(listeners.view)
    app.view_closed(ANY)(listeners.closed)
    app.options(ANY)(listeners.options)
    identity_events.register(app, db, workspaces, guard.finishing)
    # Every event, also those that need nothing: unacknowledged ones Slack sends again and counts as failures.
    app.event(ANY)(guard.finishing(Events(db, workspaces, stage).take))
    return Door(app, desk, home, links, listeners, meters)


class _Guard:
    """Stands before the listeners."""

    def __init__(self, settings: BotSettings, workspaces: Workspaces, ledger: Ledger, meters: Meters) -> None:
        self._settings = settings
        self._workspaces = workspaces
        self._ledger = ledger
        self._meters = meters

    def dedupe(
        self, body: dict[str, Any], context: BoltContext, next: Callable[[], BoltResponse]
    ) -> BoltResponse:
        """Take each request once; refuse other apps and workspaces even with a good signature."""
        context["came_at"] = time.monotonic()
        kind_of_body = body.get("type")
        if kind_of_body == "url_verification":
            return next()
        if kind_of_body == "app_rate_limited":
            log.warning("slack.events_limited")
            return _ok()
        app_id = str(body.get("api_app_id") or "")
        if self._settings.app_id and app_id and app_id != self._settings.app_id:
            log.warning("slack.app_refused")
            return _ok()
        if self._workspaces.find(team_of(body)) is None and not _is_farewell(body):
            log.warning("slack.team_refused")
            return _ok()
        if kind_of_body == "block_suggestion":
            return next()  # asks, changes nothing, and is asked at every letter
        key, kind = request_key(body)
        if not self._take(key, kind, body):
            log.info("slack.repeated kind=%s", kind)
            self._meters.repeated(kind)
            return _ok()
        return next()

    def _take(self, key: str, kind: str, body: dict[str, Any]) -> bool:
        payload = redo.kept(body)
        work = Work(team_of(body), "", redo.METHOD, payload) if payload is not None else None
        try:
            return self._ledger.take(key, kind, work)
        except DBAPIError:
            if kind == "event":
                raise  # answered 500: Slack sends events again
            return self._ledger.take_offline(key)

    def finishing(self, listener: Listener) -> Listener:
        """An event's listener works before the answer: one that died half-way is run again when Slack sends it again."""

        @functools.wraps(listener)
        def run(**given: Any) -> None:
            listener(**given)
            self._ledger.finish(request_key(given["body"])[0], "done")

        return run

    def failed(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """A mistake of ours: told to who typed; everything else is answered 500, so Slack sends events again."""
        log.error("slack.listener_failed", exc_info=error)
        try:
            self._ledger.finish(request_key(body)[0], "failed")
            self._ledger.flush()
        except Exception:
            log.exception("slack.inbox_failed")
        if "command" not in body:
            return BoltResponse(status=500, body="")
        said = {"response_type": "ephemeral", "text": CODES["internal"][1]}
        return BoltResponse(status=200, body=said, headers={"Content-Type": "application/json"})


def _ok() -> BoltResponse:
    return BoltResponse(status=200, body="")


def _is_farewell(body: dict[str, Any]) -> bool:
    """The app was taken out of a workspace: there may be no token any more, yet it must be heard."""
    return (body.get("event") or {}).get("type") in FAREWELLS
