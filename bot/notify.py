"""What happens in the rooms becomes rows of the outbox: one coalesced card a session and channel, calls, recordings, Homes."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bot.blocks import calls as call_blocks
from bot.blocks import card, recordings
from bot.blocks.parts import escape
from models.store import library as library_store
from models.store import sessions, slack, slack_home, slack_inbox, slack_outbox, slack_roster
from models.store.database import Database
from models.store.slack import ChannelLink
from models.values import Actor, CallStatus, PersonId, RecordingId, RecordingStatus, SessionId
from rooms import events as e
from rooms.errors import DomainError
from rooms.ports import Committed, Rooms
from rooms.state import HelpCall, Recording, SessionState

log = logging.getLogger("sideroom.bot")
CALL, END, RECORDING, COUNTS, HOME = 1, 2, 3, 5, 6
"""Priorities in the outbox: a help call before an end before a recording before counts."""
OPEN_CALLS = (CallStatus.RAISED, CallStatus.CLAIMED)
QUIET = (
    e.MediaChanged,
    e.ChatSent,
    e.HandChanged,
    e.MessageBroadcast,
    e.ParticipantMuted,
    e.SharingChanged,
    e.SharingStopped,
)
"""Events that change nothing on the card."""
REMIND_S: Final = 60.0
LOOK_S: Final = 10.0
PURGE_S: Final = 3600.0
MESSAGE_LIFE: Final = timedelta(days=90)
"""So long it is known where a card or a call stands; recordings change as long as they are kept."""
VIEWED: Final = timedelta(hours=12)
"""So long after somebody opened their Home it is kept up to date."""
PROGRESS_STEP: Final = 0.1

Now = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Notifier:
    """Turns commits into outbox rows in a thread of its own; the rooms never wait for it."""

    def __init__(
        self, db: Database, rooms: Rooms, base_url: str, now: Now = _utc_now, most_waiting: int = 10_000
    ) -> None:
        self._db = db
        self._rooms = rooms
        self._base_url = base_url
        self._now = now
        self._queue: queue.Queue[Committed | None] = queue.Queue(maxsize=most_waiting)
        self._thread = threading.Thread(target=self._run, name="bot.notify", daemon=True)
        self._unsubscribe: Callable[[], None] | None = None
        self._starters: dict[tuple[SessionId, int], Actor] = {}
        self._shown: dict[str, str] = {}
        self._room_keys: dict[SessionId, str] = {}
        self._looked_at = self._purged_at = 0.0
        self._has_lost = threading.Event()

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
            log.warning("slack.notify_full")
            self._has_lost.set()

    def _run(self) -> None:
        self._safely(self.refresh)
        while True:
            try:
                committed = self._queue.get(timeout=LOOK_S)
                if committed is None:
                    return
                self._safely(lambda done=committed: self.notify(done))  # type: ignore[misc]
            except queue.Empty:
                pass
            if self._has_lost.is_set() and self._queue.empty():
                self._has_lost.clear()
                self._safely(self.refresh)
            if time.monotonic() - self._looked_at >= LOOK_S:
                self._looked_at = time.monotonic()
                self._safely(self.look)

    @staticmethod
    def _safely(what: Callable[[], None]) -> None:
        """One thing that cannot be told must not end the telling."""
        try:
            what()
        except Exception:
            log.exception("slack.notify_failed")

    def refresh(self) -> None:
        """After a start: draw live sessions again, mark those that ended while nobody listened, and tell of recordings."""
        for session_id in self._rooms.open_sessions():
            self._safely(lambda it=session_id: self._draw(self._rooms.state(it), COUNTS))  # type: ignore[misc]
        for ended in slack.unfinished_cards(self._db):
            self._draw_ended(SessionId(ended))
        for found in slack.recording_messages(self._db):
            self._safely(lambda it=found: self._catch_up(it))  # type: ignore[misc]

    def _draw_ended(self, session_id: SessionId) -> None:
        try:
            self._draw(self._rooms.state(session_id), END)
        except DomainError:
            log.info("slack.session_gone session_id=%s", session_id)

    def _draw(self, state: SessionState, priority: int) -> None:
        for channel in self._channels(state):
            self._put_card(channel, state, priority)
            if channel.role == "moderators":
                self._draw_calls(channel, state)
                self._draw_recordings(channel, state)

    def _draw_calls(self, channel: ChannelLink, state: SessionState) -> None:
        """Calls that wait, and those whose message shows an older state of them."""
        groups = {f"call:{group[0].call_id}": group for group in call_blocks.groups(state.calls.values())}
        known = slack.revisions(self._db, channel.team_id, channel.channel_id, groups)
        for key, group in groups.items():
            is_open = state.is_open and any(call.status in OPEN_CALLS for call in group)
            if is_open or known.get(key, state.seq) < state.seq:
                self._put_group(channel, state, group)

    def _draw_recordings(self, channel: ChannelLink, state: SessionState) -> None:
        """Recordings that were begun while nobody listened."""
        running = {
            f"rec:{each.recording_id}": each for each in state.recordings.values() if each.status.is_live
        }
        known = slack.revisions(self._db, channel.team_id, channel.channel_id, running)
        for key, recording in running.items():
            if key not in known:
                self._put_recording(channel, state, recording)

    def _catch_up(self, found: slack.RecordingMessage) -> None:
        """What became of a recording since its message was written."""
        session_id, recording_id = SessionId(found.session_id), RecordingId(found.recording_id)
        if found.channel.role == "moderators" and any(
            isinstance(recorded.event, e.RecordingStatusChanged)
            and recorded.event.recording_id == recording_id
            for recorded in self._rooms.events_after(session_id, found.rev)
        ):
            state = self._rooms.state(session_id)
            self._put_recording(found.channel, state, state.recordings[recording_id])

    def notify(self, committed: Committed) -> None:
        """Write the rows for one commit."""
        for recorded in committed.events:
            if isinstance(recorded.event, e.BreakoutStarting | e.BreakoutStarted):
                run = committed.after.breakout.run
                self._starters.setdefault((committed.after.session_id, run), recorded.actor)
            elif isinstance(recorded.event, e.SessionEnded):
                self._starters = {
                    key: actor
                    for key, actor in self._starters.items()
                    if key[0] != committed.after.session_id
                }
        for channel in self._channels(committed.after):
            self._card(channel, committed)
            if channel.role == "moderators":
                self._calls(channel, committed)
                self._recordings(channel, committed)
        self._homes(committed)

    def _channels(self, state: SessionState) -> list[ChannelLink]:
        """Where a session is told: channels of its room, and those of every room of the course."""
        found = slack.channels_of(self._db, state.course_id)
        if all(not channel.room_key for channel in found):
            return found
        if state.session_id not in self._room_keys:
            place = sessions.session_place(self._db, state.session_id)
            self._room_keys[state.session_id] = place[1] if place is not None else ""
        room_key = self._room_keys[state.session_id]
        if not state.is_open:
            del self._room_keys[state.session_id]
        return [channel for channel in found if channel.room_key in ("", room_key)]

    # -- the card ----------------------------------------------------------------------------------------------

    def _card(self, channel: ChannelLink, committed: Committed) -> None:
        if all(isinstance(r.event, QUIET) for r in committed.events):
            return
        ended = any(isinstance(r.event, e.SessionEnded | e.BreakoutEnded) for r in committed.events)
        self._put_card(channel, committed.after, END if ended else COUNTS)

    def _put_card(self, channel: ChannelLink, state: SessionState, priority: int) -> None:
        moderators = channel.role == "moderators"
        blocks = card.card(
            state,
            self._now(),
            f"{self._base_url}/room/{state.session_id}",
            moderators=moderators,
            starter=self._starter(channel.team_id, state) if moderators else "",
        )
        payload = {
            "text": card.text_of(state),
            "blocks": blocks,
            "metadata": {
                "event_type": "sideroom_card",
                "event_payload": {"session": state.session_id, "revision": state.seq},
            },
        }
        self._put(channel, f"card:{state.session_id}", payload, state.seq, priority)

    def _starter(self, team_id: str, state: SessionState) -> str:
        """Who started the running breakout; after a restart the log tells."""
        key = (state.session_id, state.breakout.run)
        if key not in self._starters:
            for recorded in self._rooms.events_after(state.session_id, 0):
                if isinstance(recorded.event, e.BreakoutStarting):
                    self._starters[key] = recorded.actor
        actor = self._starters.get(key)
        if actor is None or actor.person_id is None:
            return ""
        return self._name(team_id, state, actor.person_id)

    # -- help calls --------------------------------------------------------------------------------------------

    def _calls(self, channel: ChannelLink, committed: Committed) -> None:
        state = committed.after
        changed: dict[str, HelpCall] = {}
        for recorded in committed.events:
            if isinstance(recorded.event, e.CallRaised | e.CallClaimed | e.CallClosed):
                told = state.calls.get(recorded.event.call_id)
                if told is not None:
                    changed[told.call_id] = told
        # The end of a session, or new rooms, take calls away without closing each.
        known = {**committed.before.calls, **state.calls}
        for call_id, call in committed.before.calls.items():
            if call.status in OPEN_CALLS and (call_id not in state.calls or not state.is_open):
                changed[call_id] = call
        for group in call_blocks.groups(known.values()):
            if any(call.call_id in changed for call in group):
                self._put_group(channel, state, group)
        for call in changed.values():
            self._remind(channel, state, call)

    def _put_group(self, channel: ChannelLink, state: SessionState, group: list[HelpCall]) -> None:
        def name_of(person_id: PersonId) -> str:
            return self._name(channel.team_id, state, person_id)

        first = group[0]
        payload = {
            "text": call_blocks.group_text(state, group),
            "blocks": call_blocks.group_message(state, group, name_of),
            "thread_key": f"card:{state.session_id}",
            "broadcast": first.call_id == min(state.calls, key=_raised(state), default=first.call_id),
        }
        self._put(channel, f"call:{first.call_id}", payload, state.seq, CALL)

    def _remind(self, channel: ChannelLink, state: SessionState, call: HelpCall) -> None:
        """Once, to the moderators who are there, when nobody has answered for a minute; and messages to who wants them."""
        key = f"remind:{call.call_id}"
        if call.status is not CallStatus.RAISED or not state.is_open:
            slack_outbox.drop_key(self._db, key)
            return
        team_id = channel.team_id
        linked = slack_roster.moderators_on_slack(self._db, team_id, state.course_id)
        here = [
            user for person, user in linked.items() if person in state.people and state.people[person].online
        ]
        mentions = " ".join(f"<@{user}>" for user in sorted(here or linked.values()))
        text = (
            f":bell: {call_blocks.call_text(state, call)}, and no one has answered for a minute. {mentions}"
        )
        payload = {"text": text.strip(), "thread_key": f"card:{state.session_id}", "broadcast": False}
        self._put(channel, key, payload, state.seq, CALL, delay_s=REMIND_S)
        for user_id in slack_home.to_message(self._db, team_id, state.course_id):
            place = ChannelLink(team_id, user_id, state.course_id, "", "person", False)
            said = f":bell: {call_blocks.call_text(state, call)} (<#{channel.channel_id}>)"
            self._put(place, f"told:{call.call_id}", {"text": said}, state.seq, CALL)

    def _name(self, team_id: str, state: SessionState, person_id: PersonId) -> str:
        user = slack.user_of(self._db, team_id, person_id)
        person = state.people.get(person_id)
        return f"<@{user}>" if user else (escape(person.name) if person else "a moderator")

    # -- recordings --------------------------------------------------------------------------------------------

    def _recordings(self, channel: ChannelLink, committed: Committed) -> None:
        changed = {
            r.event.recording_id
            for r in committed.events
            if isinstance(r.event, e.RecordingInvoked | e.RecordingStatusChanged)
        }
        for recording_id in changed:
            self._put_recording(channel, committed.after, committed.after.recordings[recording_id])

    def _put_recording(self, channel: ChannelLink, state: SessionState, recording: Recording) -> None:
        entry = library_store.entry_of_recording(self._db, recording.recording_id)
        payload = {
            "text": recordings.recording_text(state, recording),
            "blocks": recordings.recording_message(state, recording, entry),
        }
        self._put(channel, f"rec:{recording.recording_id}", payload, state.seq, RECORDING)

    def look(self) -> None:
        """What no event tells: how far a composition is, that somebody published, deleted or time took a recording."""
        if time.monotonic() - self._purged_at >= PURGE_S:
            self._purged_at = time.monotonic()
            slack_inbox.purge(self._db)
            slack.purge_messages(self._db, self._now() - MESSAGE_LIFE)
        before, self._shown = self._shown, {}
        for found in slack.recording_messages(self._db):
            shown = f"{found.status}:{found.published}:{int(found.progress / PROGRESS_STEP)}"
            key = f"{found.channel.channel_id}/{found.recording_id}"
            self._shown[key] = shown
            if before.get(key, shown) != shown:
                self._safely(lambda it=found: self._redraw(it))  # type: ignore[misc]

    def _redraw(self, found: slack.RecordingMessage) -> None:
        state = self._rooms.state(SessionId(found.session_id))
        recording = state.recordings.get(RecordingId(found.recording_id))
        if recording is not None and recording.status is not RecordingStatus.ERRORED:
            self._put_recording(found.channel, state, recording)

    # -- App Home ----------------------------------------------------------------------------------------------

    def _homes(self, committed: Committed) -> None:
        if all(isinstance(r.event, QUIET) for r in committed.events):
            return
        since = self._now() - VIEWED
        for team_id, user_id in slack_home.viewers(self._db, committed.after.course_id, since):
            slack_outbox.put_out(
                self._db,
                team_id=team_id,
                channel_id=user_id,
                method="home",
                payload={},
                coalesce_key="home",
                priority=HOME,
                now=self._now(),
            )

    def _put(
        self,
        channel: ChannelLink,
        key: str,
        payload: dict[str, Any],
        rev: int,
        priority: int,
        delay_s: float = 0.0,
    ) -> None:
        slack_outbox.put_out(
            self._db,
            team_id=channel.team_id,
            channel_id=channel.channel_id,
            method="message",
            payload=payload,
            coalesce_key=key,
            rev=rev,
            priority=priority,
            delay_s=delay_s,
            now=self._now(),
        )


def _raised(state: SessionState) -> Callable[[Any], datetime]:
    return lambda call_id: state.calls[call_id].raised_at
