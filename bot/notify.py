"""What happens in the rooms becomes Slack messages: rows of the outbox, one coalesced card a session and channel."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bot.blocks import card, messages
from bot.blocks.parts import escape
from models.store import slack
from models.store.database import Database
from models.store.slack import ChannelLink
from models.values import CallStatus, PersonId
from rooms import events as e
from rooms.ports import Committed, Rooms
from rooms.state import HelpCall, SessionState

log = logging.getLogger("sideroom.bot")
URGENT, SOON, CALM = 1, 3, 5
OPEN_CALLS = (CallStatus.RAISED, CallStatus.CLAIMED)
QUIET = (e.MediaChanged, e.ChatSent, e.HandChanged, e.MessageBroadcast, e.ParticipantMuted)
"""Events that change nothing on the card."""


class Notifier:
    """Turns commits into outbox rows in a thread of its own; the rooms never wait for it."""

    def __init__(self, db: Database, rooms: Rooms, team_id: str, base_url: str) -> None:
        self._db = db
        self._rooms = rooms
        self._team_id = team_id
        self._base_url = base_url
        self._queue: queue.Queue[Committed | None] = queue.Queue(maxsize=10_000)
        self._thread = threading.Thread(target=self._run, name="bot.notify", daemon=True)
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        self._unsubscribe = self._rooms.subscribe(self._take)
        self._thread.start()

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._queue.put(None)
        self._thread.join(10)

    def _take(self, committed: Committed) -> None:
        try:
            self._queue.put_nowait(committed)
        except queue.Full:
            log.warning("slack.notify_full")  # the next commit brings the card up to date again

    def _run(self) -> None:
        try:
            self.refresh()
        except Exception:
            log.exception("slack.refresh_failed")
        while (committed := self._queue.get()) is not None:
            try:
                self.notify(committed)
            except Exception:
                log.exception("slack.notify_failed")

    def refresh(self) -> None:
        """Draw live sessions again: what happened while nobody listened is on the card and in the open calls."""
        for session_id in self._rooms.open_sessions():
            state = self._rooms.state(session_id)
            for channel in slack.channels_of(self._db, state.course_id):
                self._put_card(channel, state, CALM)
                if channel.role == "moderators":
                    for call in state.calls.values():
                        if call.status in OPEN_CALLS:
                            self._put_call(channel, state, call)

    def notify(self, committed: Committed) -> None:
        """Write the rows for one commit."""
        channels = slack.channels_of(self._db, committed.after.course_id)
        for channel in channels:
            self._card(channel, committed)
            if channel.role == "moderators":
                self._calls(channel, committed)
                self._recordings(channel, committed)

    def _card(self, channel: ChannelLink, committed: Committed) -> None:
        if all(isinstance(r.event, QUIET) for r in committed.events):
            return
        ended = any(isinstance(r.event, e.SessionEnded | e.BreakoutEnded) for r in committed.events)
        self._put_card(channel, committed.after, SOON if ended else CALM)

    def _put_card(self, channel: ChannelLink, state: SessionState, priority: int) -> None:
        moderators = channel.role == "moderators"
        blocks = card.card(state, datetime.now(UTC), f"{self._base_url}/go", moderators=moderators)
        payload = {"text": card.text_of(state), "blocks": blocks}
        self._put(channel, f"card:{state.session_id}", payload, state.seq, priority)

    def _calls(self, channel: ChannelLink, committed: Committed) -> None:
        state = committed.after
        for recorded in committed.events:
            if isinstance(recorded.event, e.CallRaised | e.CallClaimed | e.CallClosed):
                told = state.calls.get(recorded.event.call_id)
                if told is not None:
                    self._put_call(channel, state, told)
        # The end of a session takes its calls away without closing each.
        for call in committed.before.calls.values():
            if call.status in OPEN_CALLS and call.call_id not in state.calls:
                self._put_call(channel, state, call)

    def _put_call(self, channel: ChannelLink, state: SessionState, call: HelpCall) -> None:
        blocks = messages.call_message(state, call, self._name(channel.team_id, state, call))
        payload = {"text": messages.call_text(state, call), "blocks": blocks}
        self._put(channel, f"call:{call.call_id}", payload, state.seq, URGENT)

    def _name(self, team_id: str, state: SessionState, call: HelpCall) -> str | None:
        if call.handled_by is None:
            return None
        user = slack.slack_users(self._db, team_id).get(PersonId(call.handled_by))
        person = state.people.get(call.handled_by)
        return f"<@{user}>" if user else (escape(person.name) if person else "A moderator")

    def _recordings(self, channel: ChannelLink, committed: Committed) -> None:
        state = committed.after
        changed = {
            r.event.recording_id
            for r in committed.events
            if isinstance(r.event, e.RecordingInvoked | e.RecordingStatusChanged)
        }
        for recording_id in changed:
            recording = state.recordings[recording_id]
            blocks = messages.recording_message(state, recording, f"{self._base_url}/go")
            payload = {"text": messages.recording_text(state, recording), "blocks": blocks}
            self._put(channel, f"rec:{recording_id}", payload, state.seq, SOON)

    def _put(self, channel: ChannelLink, key: str, payload: dict[str, Any], rev: int, priority: int) -> None:
        slack.put_out(
            self._db,
            team_id=channel.team_id,
            channel_id=channel.channel_id,
            method="message",
            payload={**payload, "unfurl_links": False, "unfurl_media": False},
            coalesce_key=key,
            rev=rev,
            priority=priority,
        )
