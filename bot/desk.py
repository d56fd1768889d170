"""Does what was asked in a few threads. An acknowledgement waits for the answer only a moment; a late answer goes out by itself.

Slack gives 3 s and shows people an error after that; a loaded classroom must not make its commands look broken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.ask import Asker, Reply, SlackRefusal, refusal, refused
from bot.grammar import BadUsage
from bot.ledger import Ledger
from bot.names import Names
from bot.outcomes import SlackFailure
from bot.settings import BotSettings
from models.store import slack_outbox
from models.store.database import Database
from models.store.slack_inbox import Noted
from rooms.errors import CODES, DomainError

log = logging.getLogger("sideroom.bot")
THREADS: Final = 4
FORM_S: Final = 2.5
"""Answers to a form must stand in the acknowledgement itself."""
KEPT_S: Final = 60.0
"""So long an end or a stop is tried again while the classroom cannot be reached."""

OpenForm = Callable[[str, dict[str, Any]], None]
"""Open a form by trigger id and view. Raises SlackFailure."""


@dataclass(frozen=True, slots=True)
class Task:
    """One request as it is worked on. ``keep``: worth trying again while the classroom is away."""

    asker: Asker
    what: str
    act: Callable[[], Reply]
    trigger_id: str = ""
    response_url: str = ""
    keep: bool = False
    is_question: bool = False
    """Pressed in a message that only this person sees: a reply may take its place."""


class Desk:
    """``submit`` for buttons, ``answer`` for commands and forms. ``stop`` finishes what was begun."""

    def __init__(self, settings: BotSettings, db: Database, ledger: Ledger) -> None:
        self._settings = settings
        self._db = db
        self._ledger = ledger
        self._names = settings.names
        self._pool = ThreadPoolExecutor(THREADS, "bot.desk")
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._open = 0
        self._keys: set[str] = set()

    @property
    def is_idle(self) -> bool:
        """Whether all that was asked is done and its answer is on its way."""
        with self._guard:
            return self._open == 0

    def is_at(self, key: str) -> bool:
        """Whether a request is being worked on, or waits for its turn."""
        with self._guard:
            return key in self._keys

    def start(self) -> None:
        """Nothing to do: threads begin with the first request."""

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=True)
        try:
            self._ledger.flush()
        except SQLAlchemyError:
            log.warning("slack.ledger_lost")

    def answer(
        self, task: Task, open_form: OpenForm, *, seconds: float | None = None, came_at: float | None = None
    ) -> Reply:
        """The reply if it comes within ``seconds`` (default: the setting) of ``came_at``; else an empty one, and it is sent later.

        Where many come at once, their time is over before they get here: they are acknowledged first and answered then.
        """
        future = self._begin(task, open_form)
        patience = self._settings.answer_within_s if seconds is None else seconds
        spent = 0.0 if came_at is None else time.monotonic() - came_at
        try:
            reply = future.result(max(0.0, patience - spent))
        except TimeoutError:
            future.add_done_callback(lambda done: self._later(task, done))
            future.add_done_callback(lambda _: self._count(-1))
            return Reply()
        self._count(-1)
        return reply

    def submit(self, task: Task, open_form: OpenForm) -> None:
        """Begin; the reply is sent to who pressed."""
        future = self._begin(task, open_form)
        future.add_done_callback(lambda done: self._later(task, done))
        future.add_done_callback(lambda _: self._count(-1))

    def done(self, key: str) -> None:
        """A request that asks nothing of us."""
        self._ledger.finish(key, "done")
        self._pool_flush()

    def _begin(self, task: Task, open_form: OpenForm) -> Future[Reply]:
        self._count(1)
        with self._guard:
            self._keys.add(task.asker.key)
        return self._pool.submit(self._work, task, open_form)

    def _count(self, change: int) -> None:
        with self._guard:
            self._open += change

    # -- in the threads ----------------------------------------------------------------------------------------

    def _work(self, task: Task, open_form: OpenForm) -> Reply:
        try:
            return self._worked(task, open_form)
        finally:
            with self._guard:
                self._keys.discard(task.asker.key)

    def _worked(self, task: Task, open_form: OpenForm) -> Reply:
        reply = self._guarded(task)
        if reply.modal is not None:
            reply = self._show_form(task, reply.modal, open_form)
        if reply.code != "broken":
            self._ledger.finish(task.asker.key, "done")
        else:
            self._ledger.finish(task.asker.key, "failed")
        self._note(task, reply.code)
        self._pool_flush()
        return reply

    def _guarded(self, task: Task) -> Reply:
        try:
            return task.act()
        except (SlackRefusal, DomainError) as error:
            return refusal(error)
        except BadUsage as usage:
            return refused("bad_usage", str(usage), usage.verb)
        except DBAPIError as error:
            log.warning("slack.classroom_unreachable error=%s", type(error).__name__)
            return self._unreachable(task)
        except Exception:
            log.exception("slack.request_failed what=%s", task.what)
            return Reply(CODES["internal"][1], code="broken")

    def _unreachable(self, task: Task) -> Reply:
        if not task.keep:
            return refused(
                "classroom_unreachable", "The room can’t be reached right now. Try again in a moment."
            )
        thread = threading.Thread(target=self._keep_trying, args=(task,), name="bot.kept", daemon=True)
        thread.start()
        return refused(
            "classroom_unreachable",
            "The room can’t be reached right now. We’ll keep trying for a minute.",
        )

    def _keep_trying(self, task: Task) -> None:
        deadline = time.monotonic() + KEPT_S
        while time.monotonic() < deadline and not self._stopping.wait(1.0):
            try:
                reply = task.act()
            except DBAPIError:
                continue
            except (SlackRefusal, DomainError) as error:
                reply = refusal(error)
            except Exception:
                log.exception("slack.kept_failed what=%s", task.what)
                return
            self._note(task, reply.code)
            self._respond(task, reply)
            return
        log.warning("slack.kept_given_up what=%s", task.what)

    def _show_form(self, task: Task, modal: dict[str, Any], open_form: OpenForm) -> Reply:
        try:
            open_form(task.trigger_id, modal)
        except SlackFailure as failure:
            log.warning("slack.modal_failed code=%s page=%s", failure, failure.rule.page)
            return refused(
                "slack_unreachable",
                "The form couldn’t be opened because Slack didn’t answer in time. Try again.",
            )
        return Reply(code="opened")

    def _note(self, task: Task, result: str) -> None:
        asker = task.asker
        self._ledger.note(Noted(asker.team_id, asker.user_id, task.what, asker.channel_id, result))

    def _pool_flush(self) -> None:
        try:
            self._pool.submit(self._flush)
        except RuntimeError:
            self._flush()  # the pool is closing; stop() comes after us

    def _flush(self) -> None:
        self._ledger.flush()

    def tell(self, asker: Asker, reply: Reply) -> None:
        """Tell a form's success where it was opened, only to who sent it."""
        if reply.text and reply.code == "ok":
            slack_outbox.put_out(
                self._db,
                team_id=asker.team_id,
                channel_id=asker.channel_id or asker.user_id,
                method="ephemeral" if asker.channel_id else "message",
                payload={**shown(reply, self._names), "user": asker.user_id},
                priority=0,
            )

    def _later(self, task: Task, done: Future[Reply]) -> None:
        self._respond(task, done.result())

    def _respond(self, task: Task, reply: Reply) -> None:
        if not reply.text and not reply.blocks:
            return
        asker = task.asker
        payload = shown(reply, self._names)
        if reply.replace and task.is_question:
            payload["replace_original"] = True
        try:
            if task.response_url:
                slack_outbox.put_out(
                    self._db,
                    team_id=asker.team_id,
                    channel_id=asker.channel_id,
                    method="respond",
                    payload={**payload, "url": task.response_url},
                    priority=0,
                )
            else:
                # From App Home or a form there is nowhere to answer but a direct message.
                slack_outbox.put_out(
                    self._db,
                    team_id=asker.team_id,
                    channel_id=asker.user_id,
                    method="message",
                    payload=payload,
                )
        except DBAPIError as error:
            log.warning("slack.answer_lost error=%s", type(error).__name__)


def shown(reply: Reply, names: Names) -> dict[str, Any]:
    """A reply as Slack takes it, with this site's command names."""
    made: dict[str, Any] = {"text": names.render(reply.text)}
    if reply.blocks:
        made["blocks"] = rendered(reply.blocks, names)
    return made


def rendered(found: Any, names: Names) -> Any:
    """Blocks with this site's command names in their texts."""
    if isinstance(found, list):
        return [rendered(each, names) for each in found]
    if isinstance(found, dict):
        is_text = found.get("type") in ("mrkdwn", "plain_text")
        return {
            key: names.render(value) if is_text and key == "text" else rendered(value, names)
            for key, value in found.items()
        }
    return found
