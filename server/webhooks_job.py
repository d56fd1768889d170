"""Webhooks in the job worker: one thread follows the event log, another sends. Built by ``server.jobs``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from api.v1.view import View
from models.store.database import Database
from rooms.ports import Committed, Rooms
from server.settings import Settings
from webhooks.deliver import Deliverer
from webhooks.follow import Files, Follower
from webhooks.setup import Setup
from webhooks.signing import Seal

log = logging.getLogger("sideroom.webhooks")
LOOK_S = 1.0


def build(settings: Settings, db: Database, rooms: Rooms) -> WebhooksJob:
    """The webhooks of this installation."""
    view = View(db, settings.key("links"), settings.base_url)
    return WebhooksJob(db, rooms, _seal(settings), view.uploaded, private=settings.webhook_private)


def build_setup(settings: Settings, db: Database) -> Setup:
    """What API and administration page set webhooks up with."""
    return Setup(db, _seal(settings), private=settings.webhook_private)


def _seal(settings: Settings) -> Seal:
    return Seal(settings.key("webhooks"), settings.previous_keys("webhooks"))


class WebhooksJob:
    """``start`` and ``stop`` belong to the job worker. A commit wakes it at once; it also looks each second."""

    def __init__(self, db: Database, rooms: Rooms, seal: Seal, files: Files, *, private: bool) -> None:
        self._rooms = rooms
        self._follower = Follower(db, files)
        self._deliverer = Deliverer(db, seal, private=private)
        self._setup = Setup(db, seal, private=private)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._unsubscribe: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="webhooks.follow", daemon=True)

    def start(self) -> None:
        self._unsubscribe = self._rooms.subscribe(self._committed)
        try:
            if count := self._setup.reseal():
                log.info("webhooks.secrets_resealed webhooks=%s", count)
        except Exception:
            log.exception("webhooks.reseal_failed")
        self._thread.start()
        self._deliverer.start()

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._stopping.set()
        self._wake.set()
        self._thread.join(15)
        self._deliverer.stop()

    def _committed(self, _committed: Committed) -> None:
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._follower.work():
                    self._deliverer.wake()
                    continue
            except Exception:
                log.exception("webhooks.follow_failed")
                self._stopping.wait(LOOK_S)
            self._wake.wait(LOOK_S)
            self._wake.clear()
