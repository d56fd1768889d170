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
from collections.abc import Callable
from typing import Any, Final

from models.store.database import Database
from models.store.recordings_jobs import live_sessions
from models.values import SYSTEM, CommandId, RecordingId, RecordingStatus, SessionId
from recorder.capture import Capture, Person, TrackFacts
from recorder.settings import RecorderSettings
from recorder.tap import Message, Rtp, SenderReport, TapClient, TapFrame
from rooms.commands import Envelope, ReportRecording
from rooms.errors import DomainError
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


def _now_us() -> int:
    return time.time_ns() // 1000


class RecorderService:
    """``run`` works until ``stop``. ``rooms`` and ``db`` look at the same database."""

    def __init__(self, settings: RecorderSettings, rooms: Rooms, db: Database) -> None:
        self._settings = settings
        self._rooms = rooms
        self._db = db
        self._tap = TapClient(settings.tap_host, settings.tap_port, settings.tap_secret)
        self._states: queue.SimpleQueue[SessionState] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[Envelope | None] = queue.SimpleQueue()
        self._captures: dict[RecordingId, Capture] = {}
        self._places: dict[RecordingId, tuple[str, str]] = {}
        self._closed: dict[RecordingId, tuple[float, int]] = {}
        self._failing: dict[RecordingId, float] = {}
        self._seen: dict[SessionId, int] = {}
        self._tracks: dict[int, tuple[tuple[str, str], TrackFacts]] = {}
        self._routes: dict[int, list[Capture]] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask ``run`` to end. Live recordings stay live: the next recorder adopts them."""
        self._stopping.set()

    def run(self) -> None:
        """Capture until ``stop``. Waits first until no other recorder works on the same folder."""
        self._settings.recordings_dir.mkdir(parents=True, exist_ok=True)
        lock = self._lock_folder()
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

    def _clerk(self) -> None:
        next_look = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= next_look:
                self._guarded(self._look)
                next_look = time.monotonic() + LOOK_S
            try:
                envelope = self._reports.get(timeout=max(0.01, next_look - time.monotonic()))
            except queue.Empty:
                continue
            if envelope is not None:
                self._guarded(self._submit, envelope)

    def _guarded(self, work: Callable[..., None], *args: Any) -> None:
        try:
            work(*args)
        except Exception:
            # The next look finds the same thing to do again.
            log.exception("recorder.database_failed")

    def _look(self) -> None:
        for session_id in live_sessions(self._db):
            self._states.put(self._rooms.state(session_id))

    def _submit(self, envelope: Envelope) -> None:
        try:
            self._rooms.submit(envelope)
        except DomainError as error:
            log.info("recording.report_refused code=%s command_id=%s", error.code, envelope.command_id)

    def _syncer(self) -> None:
        while not self._stopping.wait(self._settings.fsync_s * 0.8):
            for capture in list(self._captures.values()):
                try:
                    capture.sync()
                except OSError as error:
                    log.warning("journal.sync_failed reason=%s", error.strerror)

    # -- the capture thread ------------------------------------------------------------------------------------

    def _loop(self) -> None:
        next_tick = time.monotonic() + TICK_S
        while not self._stopping.is_set():
            while not self._states.empty():
                self._reconcile(self._states.get())
            busy = False
            for frame in self._tap.poll(POLL_S):
                busy = True
                self._take(frame)
            if busy:
                time.sleep(BATCH_S)
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK_S
                self._tick()

    def _tick(self) -> None:
        now_us = _now_us()
        for recording_id, capture in list(self._captures.items()):
            try:
                asks = capture.tick(now_us)
            except OSError as error:
                self._trouble(recording_id, error)
                continue
            self._failing.pop(recording_id, None)
            for track in asks:
                self._tap.keyframe(track)

    def _take(self, frame: TapFrame) -> None:
        if isinstance(frame, Rtp):
            for capture in self._routes.get(frame.track, ()):
                capture.packet(frame.track, frame.packet, frame.arrival_us)
        elif isinstance(frame, SenderReport):
            for capture in self._routes.get(frame.track, ()):
                capture.sender_report(frame.track, frame.ntp, frame.rtp, frame.arrival_us)
        else:
            self._message(frame)

    def _message(self, message: Message) -> None:
        body = message.body
        if message.op == "track_added":
            self._track_added(body)
        elif message.op == "track_removed":
            track = int(body["track"])
            for capture in self._routes.pop(track, ()):
                capture.track_removed(track, str(body.get("reason", "")), _now_us())
            self._tracks.pop(track, None)
        elif message.op == "dropped":
            for capture in self._routes.get(int(body["track"]), ()):
                capture.dropped(int(body["track"]), int(body.get("packets", 0)), _now_us())
        elif message.op == "disconnected":
            for capture in self._captures.values():
                capture.tap_lost(_now_us())
            self._tracks.clear()
            self._routes.clear()

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
        )
        if facts.codec not in ("opus", "vp8", "h264"):
            log.warning("track.codec_unknown codec=%s", facts.codec)
            return
        place = (str(body["session_id"]), str(body["room_id"]))
        self._tracks[facts.track] = (place, facts)
        for recording_id, capture in self._captures.items():
            if self._places[recording_id] == place:
                self._route(facts, capture)

    def _route(self, facts: TrackFacts, capture: Capture) -> None:
        capture.track_added(facts)
        self._routes.setdefault(facts.track, []).append(capture)
        if facts.is_video and not capture.paused:
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
        wanted = set(self._places.values())
        self._tap.want(wanted)
        for track in [track for track, (place, _) in self._tracks.items() if place not in wanted]:
            # Its room is no longer tapped; tapped again, the worker announces new tracks.
            self._tracks.pop(track)
            self._routes.pop(track, None)

    def _obey(self, state: SessionState, recording: Recording) -> None:
        recording_id, now_us = recording.recording_id, _now_us()
        done = self._closed.get(recording_id)
        if done is not None:
            self._report(state.session_id, recording_id, RecordingStatus.UPLOADING, done[1], done[0])
            return
        capture = self._captures.get(recording_id) or self._open(state, recording, now_us)
        if recording.desired == "stopped" or capture.closed_at is not None:
            self._close(recording_id)
            self._report(
                state.session_id, recording_id, RecordingStatus.UPLOADING, capture.pauses, capture.duration_s
            )
            return
        if recording.desired == "paused":
            capture.roster(_people(state, recording), now_us)
            capture.pause(now_us)
            wanted = RecordingStatus.PAUSED
        else:
            resumed = capture.paused
            capture.resume(now_us)
            capture.roster(_people(state, recording), now_us)
            wanted = RecordingStatus.RECORDING
            if resumed:
                self._ask_all(capture)
        if recording.status is not wanted:
            self._report(state.session_id, recording_id, wanted, capture.pauses)

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
        }
        capture = Capture(self._settings.recordings_dir / recording_id, header, now_us)
        self._captures[recording_id] = capture
        place = (str(state.session_id), str(recording.room_id))
        self._places[recording_id] = place
        for at, facts in self._tracks.values():
            if at == place:
                self._route(facts, capture)
        log.info("recording.%s recording_id=%s", "adopted" if capture.adopted else "started", recording_id)
        return capture

    def _ask_all(self, capture: Capture) -> None:
        for track, (_, facts) in self._tracks.items():
            if facts.is_video and capture in self._routes.get(track, ()):
                self._tap.keyframe(track)

    def _close(self, recording_id: RecordingId) -> None:
        capture = self._captures[recording_id]
        capture.close(_now_us())
        self._forget(recording_id)
        self._closed[recording_id] = (capture.duration_s, capture.pauses)
        while len(self._closed) > KEPT_CLOSED:
            self._closed.pop(next(iter(self._closed)))
        log.info("recording.closed recording_id=%s duration_s=%.1f", recording_id, capture.duration_s)

    def _forget(self, recording_id: RecordingId) -> None:
        capture = self._captures.pop(recording_id, None)
        self._places.pop(recording_id, None)
        self._failing.pop(recording_id, None)
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
                error=f"The recording could not be written: {reason}. Check the recorder's disk.",
            )

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


def _people(state: SessionState, recording: Recording) -> list[Person]:
    return [
        Person(
            person_id=p.person_id,
            name=p.name,
            mic=p.mic,
            camera=p.camera,
            screen=p.screen,
            entered_us=int(p.entered_at.timestamp() * 1e6) if p.entered_at is not None else 0,
        )
        for p in state.people.values()
        if p.online and p.room_id == recording.room_id
    ]
