"""The recorder process: captures every room that is being recorded, and reports what became of it.

Threads: ``run`` owns the tap and all captures; a clerk thread talks to the database (reads states, submits reports), a syncer
waits for the disk. So neither a slow database nor a slow disk holds up the capture of packets.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from models.recording import RecordingOptions, options_to_json
from models.store.database import Database
from models.store.recordings_jobs import live_sessions
from models.values import SYSTEM, CommandId, PersonId, RecordingId, RecordingStatus, RoomId, SessionId
from recorder.capture import Capture, Selection
from recorder.clock import SteadyClock
from recorder.frames import ASSEMBLERS
from recorder.happenings import happening
from recorder.settings import RecorderSettings
from recorder.tap import Message, Resume, RoomKey, Rtp, SenderReport, TapClient, TapFrame
from recorder.watch import Alarm, Person, TrackFacts
from rooms.commands import Envelope, ReportRecording, WarnOfRecording
from rooms.errors import DomainError
from rooms.events import Recorded
from rooms.ports import Committed, Rooms
from rooms.state import Recording, SessionState

log = logging.getLogger("sideroom.recorder")
POLL_S: Final = 0.05
BATCH_S: Final = 0.02
"""After each read the loop rests so long: packets come in batches, which costs a fraction of one wake-up a packet."""
TICK_S: Final = 0.2
LOOK_S: Final = 2.0
"""The database is looked at so often, besides being told of commits."""
KEPT_CLOSED: Final = 500
SYNCERS: Final = 4
IDLE_S: Final = 10.0
AWAY_S: Final = 30.0
"""A media worker that is gone for so long is gone with all it kept; time goes on without it."""
EVENT_US: Final = 5_000_000
"""An event whose own time is further away than this from when we heard of it was timed by a clock that has jumped since."""


@dataclass(frozen=True, slots=True)
class _History:
    """Asks the clerk for what happened in a session while no recorder was there to note it."""

    session_id: SessionId
    after_seq: int


@dataclass(frozen=True, slots=True)
class _Happened:
    events: Sequence[Recorded]
    state: SessionState
    live: bool


class RecorderService:
    """``run`` works until ``stop``. ``rooms`` and ``db`` look at the same database."""

    def __init__(self, settings: RecorderSettings, rooms: Rooms, db: Database) -> None:
        self._settings = settings
        self._rooms = rooms
        self._db = db
        self._clock = SteadyClock(settings.recordings_dir)
        self._tap = TapClient(settings.tap_host, settings.tap_port, settings.tap_secret, self._clock)
        self._states: queue.SimpleQueue[SessionState | _Happened] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[Envelope | _History | None] = queue.SimpleQueue()
        self._captures: dict[RecordingId, Capture] = {}
        self._places: dict[RecordingId, RoomKey] = {}
        self._behind_since: dict[RecordingId, float] = {}
        self._later: dict[SessionId, SessionState] = {}
        """What is to be obeyed when all that came before it has been read."""
        self._acknowledged: dict[RoomKey, int] = {}
        self._boot = ""
        self._closed: dict[RecordingId, tuple[float, int]] = {}
        self._failing: dict[RecordingId, float] = {}
        self._seen: dict[SessionId, int] = {}
        self._tracks: dict[int, tuple[RoomKey, TrackFacts]] = {}
        self._routes: dict[int, list[Capture]] = {}
        self._stopping = threading.Event()
        self._busy_at = time.monotonic()
        self._looked = threading.Event()
        """What an earlier recorder left live is known: before that nothing is begun."""

    def stop(self) -> None:
        """Ask ``run`` to end. Live recordings stay live: the next recorder adopts them."""
        self._stopping.set()

    def run(self) -> None:
        """Capture until ``stop``. Waits first until no other recorder works on the same folder."""
        self._settings.recordings_dir.mkdir(parents=True, exist_ok=True)
        lock = self._lock_folder()
        self._clock.keep()
        unsubscribe = self._rooms.subscribe(self._committed)
        threads = [
            threading.Thread(target=self._clerk, name="recorder.clerk", daemon=True),
            threading.Thread(target=self._syncer, name="recorder.syncer", daemon=True),
        ]
        for thread in threads:
            thread.start()
        log.info("recorder.started")
        try:
            self._loop()
        finally:
            unsubscribe()
            self._stopping.set()
            self._reports.put(None)
            for thread in threads:
                thread.join(15)
            for capture in self._captures.values():
                capture.abandon()
            self._tap.close()
            os.close(lock)
            log.info("recorder.stopped")

    def _lock_folder(self) -> int:
        lock = os.open(self._settings.recordings_dir / ".recorder.lock", os.O_RDWR | os.O_CREAT, 0o600)
        while not self._stopping.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                self._stopping.wait(0.2)
        return lock

    # -- the clerk's thread ------------------------------------------------------------------------------------

    def _committed(self, committed: Committed) -> None:
        if committed.after.recordings:
            self._states.put(committed.after)
            self._states.put(_Happened(committed.events, committed.after, live=True))

    def _clerk(self) -> None:
        next_look = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= next_look:
                self._guarded(self._look)
                self._looked.set()
                next_look = time.monotonic() + LOOK_S
            try:
                wish = self._reports.get(timeout=max(0.01, next_look - time.monotonic()))
            except queue.Empty:
                continue
            if isinstance(wish, _History):
                self._guarded(self._recall, wish)
            elif wish is not None:
                self._guarded(self._submit, wish)

    def _guarded(self, work: Callable[..., None], *args: Any) -> None:
        try:
            work(*args)
        except Exception:
            # The next look finds the same thing to do again.
            log.exception("recorder.database_failed")

    def _look(self) -> None:
        for session_id in live_sessions(self._db):
            self._states.put(self._rooms.state(session_id))

    def _recall(self, wish: _History) -> None:
        events = self._rooms.events_after(wish.session_id, wish.after_seq)
        self._states.put(_Happened(events, self._rooms.state(wish.session_id), live=False))

    def _submit(self, envelope: Envelope) -> None:
        try:
            self._rooms.submit(envelope)
        except DomainError as error:
            log.info("recording.report_refused code=%s command_id=%s", error.code, envelope.command_id)

    def _syncer(self) -> None:
        # Several at once: the file system writes them out together, and one slow call does not hold up fifty rooms.
        with ThreadPoolExecutor(SYNCERS, thread_name_prefix="recorder.sync") as pool:
            while not self._stopping.wait(self._settings.fsync_s * 0.8):
                for _ in pool.map(_sync, list(self._captures.values())):
                    pass

    # -- the capture thread ------------------------------------------------------------------------------------

    def _loop(self) -> None:
        next_tick = time.monotonic() + TICK_S
        while not self._stopping.is_set():
            self._take_news()
            busy = False
            for frame in self._tap.poll(POLL_S):
                busy = True
                self._take(frame)
            if busy:
                time.sleep(BATCH_S)
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK_S
                self._tick()

    def _take_news(self) -> None:
        """Of several states of a session only the newest counts: when a class of hundreds moves, one look is enough."""
        if not self._looked.is_set():
            return
        newest: dict[SessionId, SessionState] = {}
        happened: list[_Happened] = []
        while not self._states.empty():
            news = self._states.get()
            if isinstance(news, _Happened):
                happened.append(news)
            elif news.session_id not in newest or news.seq >= newest[news.session_id].seq:
                newest[news.session_id] = news
        # What goes on from an earlier recorder comes first: it keeps the clock as it is.
        for state in sorted(newest.values(), key=lambda state: not self._goes_on(state)):
            self._reconcile(state)
        for news in happened:
            self._note_events(news)

    def _goes_on(self, state: SessionState) -> bool:
        return any(r.status.is_live and self._has_journal(r.recording_id) for r in state.recordings.values())

    def _has_journal(self, recording_id: RecordingId) -> bool:
        return (self._settings.recordings_dir / recording_id).exists()

    def _settle(self) -> None:
        self._busy_at = time.monotonic()
        self._tap.clock_jumped(self._clock.settle())

    def _tick(self) -> None:
        if self._captures:
            self._busy_at = time.monotonic()
        elif time.monotonic() - self._busy_at > IDLE_S:
            self._settle()
        now_us = self._clock.now_us()
        for recording_id, capture in list(self._captures.items()):
            if capture.behind and time.monotonic() - self._behind_since.get(recording_id, 0.0) > AWAY_S:
                self._go_on_without(recording_id, capture)
            # What waits to be read is not late: time must not go on before it.
            capture_us = capture.time_us(now_us) if self._tap.drained else min(now_us, capture.seen_us)
            try:
                asks = capture.tick(capture_us)
                capture.save(self._tap.boot, self._tap.read(self._places[recording_id]), capture_us)
            except OSError as error:
                self._trouble(recording_id, error)
                continue
            self._failing.pop(recording_id, None)
            for alarm in capture.take_alarms():
                self._warn(recording_id, alarm)
            for track in asks:
                self._tap.keyframe(track)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Tell the media worker what it need not keep for us any more."""
        durable: dict[RoomKey, int] = {}
        for recording_id, capture in self._captures.items():
            place = self._places[recording_id]
            durable[place] = min(capture.durable, durable.get(place, capture.durable))
        news = {room: at for room, at in durable.items() if at > self._acknowledged.get(room, 0)}
        if news:
            self._acknowledged |= news
            self._tap.acknowledge(news)

    def _go_on_without(self, recording_id: RecordingId, capture: Capture) -> None:
        log.warning("tap.given_up recording_id=%s", recording_id)
        capture.tapped("", False, self._clock.now_us())
        self._catch_up(recording_id, capture)

    def _catch_up(self, recording_id: RecordingId, capture: Capture) -> None:
        """All that came before now is read: what was ordered meanwhile is obeyed."""
        self._behind_since.pop(recording_id, None)
        capture.live(self._clock.now_us())
        state = self._later.pop(SessionId(self._places[recording_id][0]), None)
        if state is not None:
            self._seen.pop(state.session_id, None)
            self._states.put(state)

    def _take(self, frame: TapFrame) -> None:
        if isinstance(frame, Rtp):
            for capture in self._routes.get(frame.track, ()):
                capture.packet(frame.track, frame.packet, frame.arrival_us, frame.position)
        elif isinstance(frame, SenderReport):
            for capture in self._routes.get(frame.track, ()):
                capture.sender_report(frame.track, frame.ntp, frame.rtp, frame.arrival_us, frame.position)
        else:
            self._message(frame)

    def _message(self, message: Message) -> None:
        body, now_us = message.body, self._clock.now_us()
        if message.op == "track_added":
            self._track_added(body)
        elif message.op == "track_removed":
            track = int(body["track"])
            for capture in self._routes.pop(track, ()):
                capture.track_removed(track, str(body.get("reason", "")), capture.time_us(now_us))
            self._tracks.pop(track, None)
        elif message.op == "dropped":
            track, packets, reason = int(body["track"]), int(body["packets"]), str(body.get("reason", "full"))
            for capture in self._routes.get(track, ()):
                capture.dropped(track, packets, reason, capture.time_us(now_us), message.position)
        elif message.op == "welcome" and self._boot != self._tap.boot:
            # Numbers of tracks are those of another run of the worker now.
            self._boot = self._tap.boot
            self._tracks.clear()
            self._routes.clear()
            self._acknowledged.clear()
        elif message.op == "tapped":
            self._tapped(message.room, bool(body.get("resumed")))
        elif message.op == "live":
            for recording_id, capture in list(self._captures.items()):
                if self._places[recording_id] == message.room and capture.behind:
                    self._catch_up(recording_id, capture)
        elif message.op == "disconnected":
            for recording_id, capture in self._captures.items():
                capture.seen_us = max(capture.seen_us, capture.time_us(now_us))
                capture.behind = True
                self._behind_since.setdefault(recording_id, time.monotonic())

    def _tapped(self, place: RoomKey, resumed: bool) -> None:
        if not resumed:
            for track in [number for number, (at, _) in self._tracks.items() if at == place]:
                del self._tracks[track]
                self._routes.pop(track, None)
            self._acknowledged.pop(place, None)
        for recording_id, capture in self._captures.items():
            if self._places[recording_id] == place:
                capture.tapped(self._tap.boot, resumed, self._clock.now_us())
                for facts in capture.tracks:
                    self._tracks.setdefault(facts.track, (place, facts))
                    if capture not in self._routes.setdefault(facts.track, []):
                        self._routes[facts.track].append(capture)

    def _track_added(self, body: dict[str, Any]) -> None:
        facts = TrackFacts(
            track=int(body["track"]),
            person_id=str(body["person_id"]),
            peer_id=str(body.get("peer_id", "")),
            source=str(body["source"]),
            codec=str(body["codec"]).lower(),
            clock_rate=int(body["clock_rate"]),
            channels=int(body.get("channels") or 1),
            ssrc=int(body.get("ssrc", 0)),
            audio_level=int(body.get("audio_level", 0)),
        )
        place = (str(body["session_id"]), str(body["room_id"]))
        if facts.codec not in ASSEMBLERS:
            log.warning("track.refused codec=%s", facts.codec)
            for recording_id, capture in self._captures.items():
                if self._places[recording_id] == place:
                    now_us = capture.time_us(self._clock.now_us())
                    capture.refused(facts.person_id, facts.source, facts.codec, now_us)
            return
        if facts.track in self._tracks:
            return  # told again to whoever goes on
        self._tracks[facts.track] = (place, facts)
        for recording_id, capture in self._captures.items():
            if self._places[recording_id] == place:
                self._route(facts, capture)

    def _route(self, facts: TrackFacts, capture: Capture) -> None:
        capture.track_added(facts)
        self._routes.setdefault(facts.track, []).append(capture)
        if facts.is_video and not capture.paused and not capture.behind:
            self._tap.keyframe(facts.track)

    # -- what is wanted ----------------------------------------------------------------------------------------

    def _reconcile(self, state: SessionState) -> None:
        """Make the captures of one session what its state asks for, and report."""
        if state.seq < self._seen.get(state.session_id, 0):
            return
        self._seen[state.session_id] = state.seq
        for recording in state.recordings.values():
            try:
                if recording.status.is_live:
                    self._obey(state, recording)
                elif recording.recording_id in self._captures:
                    self._close(recording.recording_id)
            except OSError as error:
                self._trouble(recording.recording_id, error, state.session_id)
        self._want()
        if not any(r.status.is_live for r in state.recordings.values()):
            self._seen.pop(state.session_id, None)

    def _want(self) -> None:
        wanted: dict[RoomKey, Resume | None] = {}
        for recording_id, place in self._places.items():
            resume, other = self._captures[recording_id].goes_on_from, wanted.get(place)
            if resume is None or (other is not None and other.position <= resume.position):
                wanted.setdefault(place, None)
            else:
                wanted[place] = resume
        self._tap.want(wanted)
        for track in [track for track, (place, _) in self._tracks.items() if place not in wanted]:
            # Its room is no longer tapped; tapped again, the worker announces new tracks.
            self._tracks.pop(track)
            self._routes.pop(track, None)

    def _obey(self, state: SessionState, recording: Recording) -> None:
        recording_id = recording.recording_id
        done = self._closed.get(recording_id)
        if done is not None:
            self._report(state.session_id, recording_id, RecordingStatus.UPLOADING, done[1], done[0])
            return
        if not self._captures and not self._has_journal(recording_id):
            self._settle()  # the wall clock may have been set since the last recording
        now_us = self._clock.now_us()
        capture = self._captures.get(recording_id) or self._open(state, recording, now_us)
        if capture.behind:
            now_us = capture.time_us(now_us)
            if capture.adopted and recording.desired != "recording" and not capture.paused:
                self._postpone(state, recording, capture)
                return
        if recording.desired == "stopped" or capture.closed_at is not None:
            self._close(recording_id, recording.stop_reason or "")
            self._report(
                state.session_id, recording_id, RecordingStatus.UPLOADING, capture.pauses, capture.duration_s
            )
            return
        now_us = capture.end_us(now_us)
        capture.consent({p.person_id: p.declines_recording for p in state.people.values()}, now_us)
        capture.layout(recording.layout, now_us)
        if recording.desired == "paused":
            capture.roster(_people(state, recording), now_us)
            capture.pause(now_us)
            wanted = RecordingStatus.PAUSED
        else:
            capture.resume(self._asked_us(recording) if capture.behind else now_us)
            capture.roster(_people(state, recording), now_us)
            wanted = RecordingStatus.RECORDING
        if recording.status is not wanted:
            self._report(state.session_id, recording_id, wanted, capture.pauses)

    def _postpone(self, state: SessionState, recording: Recording, capture: Capture) -> None:
        """A pause or the end was ordered while no recorder was there: what came until then is read first, nothing later."""
        capture.limit(self._asked_us(recording))
        capture.consent({p.person_id: p.declines_recording for p in state.people.values()}, capture.seen_us)
        self._later[state.session_id] = state

    def _asked_us(self, recording: Recording) -> int:
        """When the last order was given, by our clock."""
        if recording.asked_at is None:
            return self._clock.now_us()
        wall_to_ours = self._clock.now_us() - time.time_ns() // 1000
        return min(self._clock.now_us(), round(recording.asked_at.timestamp() * 1e6) + wall_to_ours)

    def _open(self, state: SessionState, recording: Recording, now_us: int) -> Capture:
        recording_id = recording.recording_id
        header = {
            "version": 1,
            "recording_id": recording_id,
            "session_id": state.session_id,
            "room_id": recording.room_id,
            "room_name": recording.room_name,
            "room_title": state.room_title,
            "course_title": state.course_title,
            "seq": state.seq,
            "late_us": max(0, round((time.time() - recording.invoked_at.timestamp()) * 1e6)),
            "layout": recording.layout,
            "options": options_to_json(recording.options),
            "start_reason": recording.start_reason,
        }
        folder = self._settings.recordings_dir / recording_id
        capture = Capture(folder, header, now_us, _selection(recording.options))
        self._captures[recording_id] = capture
        if capture.behind:
            self._behind_since[recording_id] = time.monotonic()
        place = (str(state.session_id), str(recording.room_id))
        self._places[recording_id] = place
        for at, facts in self._tracks.values():
            if at == place:
                self._route(facts, capture)
        if capture.adopted:
            self._reports.put(_History(state.session_id, capture.seq))
            for code, person_id in recording.warnings:
                # The last recorder's; what is still missed is found again.
                self._warn(recording_id, Alarm(code, person_id, active=False, at_us=now_us))
        log.info("recording.%s recording_id=%s", "adopted" if capture.adopted else "started", recording_id)
        return capture

    def _note_events(self, news: _Happened) -> None:
        """Give the captures of the session what their chapters tell."""
        session_id = str(news.state.session_id)
        for recording_id, capture in self._captures.items():
            place = self._places[recording_id]
            if place[0] != session_id:
                continue
            for recorded in news.events:
                told = happening(recorded, news.state, RoomId(place[1]))
                if told is None:
                    continue
                now_us, at_us = self._clock.now_us(), int(recorded.at.timestamp() * 1e6)
                now_us = capture.time_us(now_us)
                if news.live and abs(now_us - at_us) > EVENT_US:
                    at_us = now_us
                capture.happened(recorded.seq, told[0], min(at_us, now_us), **told[1])

    def _close(self, recording_id: RecordingId, reason: str = "") -> None:
        capture = self._captures[recording_id]
        capture.close(capture.end_us(self._clock.now_us()), reason)
        for alarm in capture.take_alarms():
            self._warn(recording_id, alarm)
        self._forget(recording_id)
        self._closed[recording_id] = (capture.duration_s, capture.pauses)
        while len(self._closed) > KEPT_CLOSED:
            self._closed.pop(next(iter(self._closed)))
        log.info("recording.closed recording_id=%s duration_s=%.1f", recording_id, capture.duration_s)

    def _forget(self, recording_id: RecordingId) -> None:
        capture = self._captures.pop(recording_id, None)
        self._places.pop(recording_id, None)
        self._failing.pop(recording_id, None)
        self._behind_since.pop(recording_id, None)
        if capture is not None:
            for routes in self._routes.values():
                if capture in routes:
                    routes.remove(capture)

    def _trouble(
        self, recording_id: RecordingId, error: OSError, session_id: SessionId | None = None
    ) -> None:
        """The disk refuses: try on for a while, then give this one recording up. The others go on."""
        now = time.monotonic()
        since = self._failing.setdefault(recording_id, now)
        reason = error.strerror or str(error)
        log.warning("journal.write_failed recording_id=%s reason=%s", recording_id, reason)
        if now - since < self._settings.give_up_s:
            return
        place = self._places.get(recording_id)
        session = SessionId(place[0]) if place is not None else session_id
        capture = self._captures.get(recording_id)
        if capture is not None:
            capture.abandon()
        self._forget(recording_id)
        if session is not None:
            self._report(
                session,
                recording_id,
                RecordingStatus.ERRORED,
                0,
                error=f"The recording couldn’t be written: {reason}. Check the recorder’s disk.",
            )

    def _warn(self, recording_id: RecordingId, alarm: Alarm) -> None:
        """Tell the moderators what is missed, or that it is there again."""
        command = WarnOfRecording(recording_id, alarm.code, PersonId(alarm.person_id), alarm.active)
        command_id = CommandId(f"recorder:{recording_id}:{alarm.code}:{alarm.person_id}:{alarm.at_us}")
        session_id = SessionId(self._places[recording_id][0])
        self._reports.put(Envelope(command_id, session_id, SYSTEM, command))

    def _report(
        self,
        session_id: SessionId,
        recording_id: RecordingId,
        status: RecordingStatus,
        number: int,
        duration_s: float | None = None,
        error: str | None = None,
    ) -> None:
        """The command id follows from what is reported (``number``: the pauses so far), so a repeat changes nothing."""
        command = ReportRecording(recording_id, status.value, error=error, duration_s=duration_s)
        command_id = CommandId(f"recorder:{recording_id}:{status.value}:{number}")
        self._reports.put(Envelope(command_id, session_id, SYSTEM, command))


def _sync(capture: Capture) -> None:
    try:
        capture.sync()
    except OSError as error:
        log.warning("journal.sync_failed reason=%s", error.strerror)


def _people(state: SessionState, recording: Recording) -> list[Person]:
    return [
        Person(
            person_id=p.person_id,
            name=p.name,
            mic=p.mic,
            camera=p.camera,
            screen=p.screen,
            entered_us=int(p.entered_at.timestamp() * 1e6) if p.entered_at is not None else 0,
            declined=p.declines_recording,
        )
        for p in state.people.values()
        if p.online and p.room_id == recording.room_id
    ]


def _selection(options: RecordingOptions) -> Selection:
    """What is needed for what was asked; nothing else is captured."""
    if options.type == "TRACK":
        people = frozenset(str(person_id) for person_id in options.people)
        return Selection(people or None, audio=options.audio_tracks, video=options.video_tracks)
    return Selection(video=options.export_video or options.video_tracks)
