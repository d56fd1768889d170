"""Follows the event log and writes a message for each webhook that listens: each event once, whoever else follows too.

The cursor lies in the database and moves in the transaction that writes the messages, so a killed follower loses nothing
and two followers double nothing. States are folded from the log up to each event: a message tells how things stood then.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from models.store import events as log_store
from models.store import webhook_outbox as outbox
from models.store import webhooks as hooks
from models.store.database import Database
from models.store.events import StoredEvent
from models.store.webhook_outbox import Cursor, NewMessage
from models.store.webhooks import Webhook
from models.values import RecordingId, SessionId
from rooms import wire
from rooms.evolve import evolve
from rooms.state import SessionState
from webhooks.deliver import LIFE
from webhooks.events import Message, message
from webhooks.signing import new_message_id

log = logging.getLogger("sideroom.webhooks")
BATCH = 200
KEPT_STATES = 128
GAP_S = 3600.0
"""A transaction that is not visible after so long never will be."""
MAX_GAPS = 1000
Files = Callable[[RecordingId], Mapping[str, object]]
"""What to add to a recording's message once it is UPLOADED: size, name, links."""


class Follower:
    """Not thread-safe: one thread calls ``work``; several followers (in several processes) may."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files
        self._states: OrderedDict[str, SessionState] = OrderedDict()

    def work(self) -> int:
        """Take the log's next events; returns how many there were (0: nothing new)."""
        was = outbox.cursor(self._db)
        gaps = [int(number) for number in was.gaps]
        events = log_store.tail(self._db, was.event_id, gaps, BATCH)
        if not events:
            return 0
        listening = hooks.listening(self._db)
        messages = [new for stored in events for new in self._messages(stored, listening)]
        now = datetime.now(UTC)
        now_at = moved(was, [stored.id for stored in events], time.time())
        if outbox.advance(self._db, was, now_at, messages, now, now + LIFE) and messages:
            log.info("webhooks.queued messages=%d", len(messages))
        return len(events)

    def _messages(self, stored: StoredEvent, listening: Iterable[Webhook]) -> list[NewMessage]:
        wanted = [hook for hook in listening if hook.created_at <= stored.at]
        if not wanted:
            self._states.pop(stored.session_id, None)
            return []
        found = self._fold(stored)
        if found is None:
            return []
        said, state = found
        to = [h for h in wanted if said.event in h.events and h.course_id in (None, state.course_id)]
        if not to:
            return []
        data = said.data
        if said.uploaded is not None:
            data = {**data, "recording": {**data["recording"], **self._files(said.uploaded)}}
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return [
            NewMessage(new_message_id(), hook.webhook_id, stored.id, said.event, said.order_key, body)
            for hook in to
        ]

    def _fold(self, stored: StoredEvent) -> tuple[Message, SessionState] | None:
        """The event's message, with the session's state right after it."""
        state = self._states.pop(stored.session_id, None)
        if state is None or state.seq >= stored.seq:
            state = SessionState(SessionId(stored.session_id))
        said = None
        missing = (
            [stored]
            if state.seq == stored.seq - 1
            else log_store.events_after(self._db, stored.session_id, state.seq)
        )
        for each in missing:
            if each.seq > stored.seq:
                break
            recorded = wire.recorded_from_parts(
                each.session_id, each.seq, each.at, each.actor, each.command_id, each.type, each.data
            )
            before, state = state, evolve(state, recorded)
            if each.seq == stored.seq:
                said = message(before, recorded, state)
        self._states[stored.session_id] = state
        while len(self._states) > KEPT_STATES:
            self._states.popitem(last=False)
        return None if said is None else (said, state)


def moved(was: Cursor, seen: list[int], now_s: float) -> Cursor:
    """The cursor after the events ``seen`` (ids, ascending): ids that were jumped over are looked for until they are old."""
    gaps = {number: at for number, at in was.gaps.items() if now_s - at < GAP_S}
    last = was.event_id
    for number in seen:
        gaps.pop(str(number), None)
        if number > last:
            jumped = range(max(last + 1, number - MAX_GAPS), number)
            gaps |= {str(n): now_s for n in jumped}
            last = number
    kept = sorted(gaps, key=int)[-MAX_GAPS:]
    return replace(was, event_id=last, gaps={number: gaps[number] for number in kept})
