"""One live recording: takes a room's packets, people and orders, writes the journal. Decodes nothing, touches no network."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from recorder.adopt import Past, past_of
from recorder.frames import Depacketiser, Frame, Restart, carries_nothing, vp8_size
from recorder.journal import AFTER_LOSS, KEY, JournalWriter, Position, RecordReader
from recorder.resume import State, StateWriter, read_state
from recorder.standstill import HALT_US, Standstill
from recorder.tap import Resume
from recorder.watch import Alarm, Person, TrackFacts, Watch

log = logging.getLogger("sideroom.recorder")
MARK_US: Final = 2_000_000
BEAT_US: Final = 1_000_000
FREEZE_US: Final = 1_000_000
"""A camera that sends nothing for longer though it is on stands still in the film: noted, and a keyframe is asked for."""
JUMP_US: Final = 5_000_000
"""Times of a source that leap this far from when its packets arrive are another count: they begin a new segment."""
ASK_US: Final = (1_000_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000)
"""Least time between two keyframe requests for a track, growing while they bring nothing."""
OLD_KEY_US: Final = 60_000_000
"""A keyframe is asked for once a minute: whoever composes from the middle of the journal has little to decode."""
HELD_US: Final = 2_000_000
HELD_PACKETS: Final = 1_000
"""What comes from somebody of whom it is not known yet whether they agree is kept in memory so long, and no longer."""
YOUNG_US: Final = 5_000_000
"""A recording without a word on where it stood is no older than this, or that word is lost."""
PENDING_US: Final = 5_000_000
"""The half of a frame whose sender has gone silent is not waited for any longer."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tracks are captured at all. ``people`` None: everybody's."""

    people: frozenset[str] | None = None
    audio: bool = True
    video: bool = True

    def takes(self, facts: TrackFacts) -> bool:
        if self.people is not None and facts.person_id not in self.people:
            return False
        return self.video if facts.is_video else self.audio


EVERYTHING: Final = Selection()


@dataclass(slots=True)
class _Segment:
    number: int
    facts: TrackFacts
    depacketiser: Depacketiser
    standstill: Standstill
    frames: int = 0
    size_bytes: int = 0
    newest_us: int = 0
    written_us: int = 0
    written_rtp: int = 0
    key_us: int = 0
    broken_since: int | None = None
    dropped: int = 0
    lost_before: int = 0
    bad_before: int = 0
    """What the depacketiser had counted when this segment began: it may have served another one."""
    off_us: int = 0
    """When the camera was last known to be switched off."""
    size: tuple[int, int] | None = None
    mark: tuple[int, int] | None = None
    mark_delay: float = 0.0
    marked_us: int = 0
    restart: Restart | None = None
    """Where another recorder would go on: everything before is written."""

    def look_for_restart(self) -> None:
        """Call when all frames so far were given to ``standstill``: what it keeps back is not written."""
        if not self.standstill.in_doubt:
            self.restart = self.depacketiser.restart

    def needed_from(self, newest: int, now_us: int) -> int:
        """The oldest position that another recorder must be given again; ``newest`` has been seen."""
        is_pending = self.standstill.in_doubt or self.depacketiser.is_pending
        if self.restart is None or not is_pending or now_us - self.newest_us > PENDING_US:
            return newest + 1
        return min(self.restart.position, newest + 1)

    def is_of_another_run(self, rtp: int, arrival_us: int) -> bool:
        """Whether a report does not go on where the newest frame is: the sender's clock has stood still between them."""
        told = (rtp - self.written_rtp) * 1_000_000 // self.facts.clock_rate
        lag = arrival_us - self.written_us - told
        return self.frames > 0 and not self.standstill.in_doubt and HALT_US <= lag


@dataclass(slots=True)
class _Asked:
    """Keyframe requests of one track, over all its segments."""

    at_us: int = -ASK_US[0]
    times: int = 0


class Capture:
    """The capture of one recording. All times are Unix microseconds. OSError from any method: the disk refuses."""

    def __init__(
        self, folder: Path, header: Mapping[str, Any], now_us: int, selection: Selection = EVERYTHING
    ) -> None:
        past = past_of(folder)
        state = read_state(folder) if past.start_us and not past.stopped else None
        self._journal = JournalWriter(folder)
        self._state: StateWriter | None = None
        try:
            self._state = StateWriter(folder)
            self._begin(past, header, now_us, selection)
            if self.adopted and self.closed_at is None:
                self._adopt(past, state)
            self._journal.flush()
        except OSError:
            self.abandon()
            raise

    def _begin(self, past: Past, header: Mapping[str, Any], now_us: int, selection: Selection) -> None:
        self._selection = selection
        self._segments: dict[int, _Segment] = {}
        self._tracks: dict[int, TrackFacts] = {}
        self._asked: dict[int, _Asked] = {}
        self._ask_at_once: set[int] = set()
        self._people: dict[str, Person] = {}
        self._skip: dict[int, set[int]] = {}
        """Frames that are in the journal though the killed recorder did not come to say so: RTP times by segment."""
        self._held_from: dict[int, int] = {}
        """Tracks that the killed recorder still kept in memory, from these positions on."""
        self._seen = 0
        """The newest position of the room that was dealt with, here or by a killed recorder."""
        self._declined: dict[str, bool] = {}
        self._held: dict[int, deque[tuple[bytes, int, int]]] = {}
        self._watch = Watch(self._journal.note, now_us)
        self._past_segments = past.segments
        self._next_segment = self._first_new = past.segments + 1
        self.seq = past.seq or int(header.get("seq", 0))
        """The newest event of the session that is noted."""
        self._layout = past.layout or str(header.get("layout", ""))
        self.pauses = past.pauses
        self.paused = past.paused
        self._paused_at = past.paused_at
        self._from_us = past.resumed_us or past.start_us or now_us
        """What was received before this, but is only read now, belongs to a pause or to no recording."""
        self._until_us: int | None = None
        """What was received after this belongs to nothing any more: it was ordered while no recorder was there."""
        self._cut_us = past.cut_us
        self._start_us = past.start_us or now_us
        self._beat_us = now_us
        self.closed_at: int | None = past.last_us if past.stopped else None
        self.adopted = past.start_us > 0
        self._past_us = past.last_us
        self.seen_us = past.last_us or now_us
        """Up to when all that came has been dealt with."""
        self._arrived_us = 0
        self.behind = False
        """Whether what came while nobody was there is still being read: time stands at ``seen_us``."""
        self.goes_on_from: Resume | None = None
        """Where to go on in the room's row; None: now."""
        self._gap: tuple[int, str] | None = None
        self._pending = False
        self._saved: tuple[int, str] = (0, "")
        self.durable = 0
        """The newest position that need not be kept for us any more: what follows from it is on the disk."""
        self._flushed = 0
        self._boot = ""
        if not self.adopted:
            self._journal.note("start", now_us, **header)

    def _adopt(self, past: Past, state: State | None) -> None:
        """Prepare to go on where a killed recorder stood; ``tapped`` tells whether that is possible."""
        self.behind = self._pending = True
        if state is None:
            if past.last_us - past.start_us > YOUNG_US:
                return
            # It died before it had written down where it stood: all that is kept is taken from the beginning.
            self.goes_on_from = Resume("", 0)
            self._next_segment = self._first_new = 1
            self._skip_from(Position())
            return
        try:
            self.goes_on_from = Resume(str(state["boot"]), int(state["from"]))
            self._seen, self._boot = int(state["seen"]), str(state["boot"])
            self._restore(past, state)
        except (KeyError, TypeError, ValueError):
            self.goes_on_from = None

    def _restore(self, past: Past, state: State) -> None:
        self._tracks = {int(facts["track"]): TrackFacts(**facts) for facts in state["tracks"]}
        # Not what the manifest says: what was begun since will begin again, under the same numbers.
        self._next_segment = self._first_new = int(state["next_segment"])
        self._held_from = {int(track): int(position) for track, position in state["held"]}
        self._skip_from(Position(*state["media"]))
        for kept in () if past.paused else state["segments"]:
            facts = self._tracks[kept.pop("track")]
            restart = Restart(*kept.pop("restart"))
            standstill = Standstill(facts.clock_rate, kept.pop("delay"))
            size = kept.pop("size")
            segment = _Segment(
                facts=facts,
                depacketiser=Depacketiser(facts.codec, restart),
                standstill=standstill,
                size=tuple(size) if size else None,
                restart=restart,
                **kept,
            )
            self._segments[facts.track] = segment

    def _skip_from(self, position: Position) -> None:
        """Frames that stand there will come again."""
        reader = RecordReader(self._journal.folder, position)
        while (record := reader.next()) is not None:
            self._skip.setdefault(record.segment, set()).add(record.rtp)
        reader.close()

    def save(self, boot: str, seen: int, now_us: int) -> None:
        """Call after ``tick`` with the newest position of the room that was given to us: what a successor needs is written."""
        if self._state is None or self.closed_at is not None or not boot or self._pending:
            return
        if self.behind and seen < self._seen:
            return  # the killed recorder was further than we are
        self._seen, self._boot = max(seen, self._seen), boot
        needed = self._seen + 1
        kept = []
        for segment in self._segments.values():
            segment.look_for_restart()
            if segment.restart is not None:
                needed = min(needed, segment.needed_from(self._seen, now_us))
                kept.append(_saved_segment(segment))
        needed = min([needed, *(held[0][2] for held in self._held.values() if held)])
        if (self._seen, boot) == self._saved:
            return
        self._saved = (self._seen, boot)
        media, manifest = self._journal.written
        self._state.write(
            {
                "boot": boot,
                "seen": self._seen,
                "from": needed,
                "media": media,
                "manifest": manifest,
                "next_segment": self._next_segment,
                "tracks": [asdict(facts) for facts in self._tracks.values()],
                "segments": kept,
                "held": [(track, held[0][2]) for track, held in self._held.items() if held],
            }
        )
        self._flushed = needed - 1

    def tapped(self, boot: str, resumed: bool, now_us: int) -> None:
        """The media worker sends the room's row: where we asked for it (``resumed``), or only what it still has."""
        if self._pending:
            self._pending = False
            if resumed and self.goes_on_from is not None and self.goes_on_from.boot in ("", boot):
                self._journal.note("resumed", self.seen_us)
            else:
                self._journal.note("adopt", self.seen_us)
                self._begin_anew("recorder")
        elif self._boot and not (resumed and boot == self._boot):
            self.tap_lost(self.seen_us)
            self._seen = 0
        self._boot = boot

    def _begin_anew(self, reason: str) -> None:
        """What came since ``seen_us`` is lost; the sources that ran are others now."""
        if not self.paused:
            self._gap = (self.seen_us, reason)
        self._next_segment = max([self._next_segment, self._past_segments + 1, *(n + 1 for n in self._skip)])
        self._segments.clear()
        self._tracks.clear()
        self._held.clear()
        self._skip.clear()
        self._seen = 0

    def _end_gap(self, now_us: int) -> None:
        if self._gap is not None:
            since, reason = self._gap
            self._gap = None
            if now_us > since:
                self._journal.note("gap", now_us, since=since, reason=reason)

    def time_us(self, now_us: int) -> int:
        """What the time is for this recording: while it is behind, what has been read; else ``now_us``."""
        return self.seen_us if self.behind else now_us

    @property
    def tracks(self) -> Iterable[TrackFacts]:
        """The sources that are captured now."""
        return self._tracks.values()

    def end_us(self, now_us: int) -> int:
        """When what is ordered now was ordered, where that was while no recorder was there."""
        return min(now_us, max(self._until_us, self._past_us)) if self._until_us is not None else now_us

    def live(self, now_us: int) -> None:
        """Nothing older than now waits to be read any more."""
        self.behind = False
        if not self._people:
            self._end_gap(now_us)  # nobody is there of whom something could be awaited

    def limit(self, until_us: int) -> None:
        """What was received later is not taken: a pause or the end was ordered then, while no recorder was there."""
        self._until_us = until_us

    @property
    def duration_s(self) -> float:
        """Length so far, without pauses; final after ``close``."""
        end = self.closed_at if self.closed_at is not None else self._beat_us
        if self.paused:
            end = self._paused_at
        return max(0.0, (end - self._start_us - self._cut_us) / 1e6)

    # -- what the tap delivers ---------------------------------------------------------------------------------

    def track_added(self, facts: TrackFacts) -> None:
        """A source begins. What nobody asked for, or cannot be read, is not captured."""
        if self._selection.takes(facts):
            self._tracks[facts.track] = facts

    def track_removed(self, track: int, reason: str, now_us: int) -> None:
        self._end_segment(track, reason, now_us)
        facts = self._tracks.pop(track, None)
        self._asked.pop(track, None)
        self._held.pop(track, None)
        if facts is not None:
            self._watch.track_gone(facts)

    def track(self, number: int) -> TrackFacts | None:
        """The track of that number, if it is captured."""
        return self._tracks.get(number)

    def refused(self, person_id: str, source: str, codec: str, now_us: int) -> None:
        """A source that cannot be recorded, and why stands in the manifest."""
        self._journal.note("refused", now_us, person_id=person_id, source=source, codec=codec)

    def packet(self, track: int, packet: bytes, arrival_us: int, position: int = 0) -> None:
        """One RTP packet. While paused, or of somebody who declines, it is forgotten at once.

        ``position``: its place in what the media worker tells of the room. What is told again is not taken again.
        """
        self.seen_us = max(self.seen_us, arrival_us)
        self._arrived_us = arrival_us
        if self.paused or arrival_us < self._from_us:
            return
        if self._until_us is not None and arrival_us > self._until_us:
            return
        segment = self._segments.get(track)
        if self._is_known(track, segment, position):
            return
        is_empty = carries_nothing(packet)
        if segment is None:
            # Nothing begins with padding.
            segment = None if is_empty else self._begin_segment(track, packet, arrival_us, position)
            if segment is None:
                return
        if not is_empty:
            segment.newest_us = arrival_us
        segment.look_for_restart()
        frames = segment.depacketiser.push(packet, arrival_us, position)
        if frames:
            self._write(segment, frames)
        if not segment.facts.is_video and not is_empty:
            self._watch.heard(segment.facts, packet, arrival_us)

    def _is_known(self, track: int, segment: _Segment | None, position: int) -> bool:
        """Whether what stands at this position has been dealt with by the recorder that was killed."""
        if not 0 < position <= self._seen or not self.behind:
            return False
        if track in self._held_from and (segment is None or segment.number >= self._first_new):
            return position < self._held_from[track]
        return segment is None or segment.restart is None or position < segment.restart.position

    def sender_report(self, track: int, ntp: int, rtp: int, arrival_us: int, position: int = 0) -> None:
        segment = self._segments.get(track)
        if segment is None or self.paused or (self.behind and 0 < position <= self._seen):
            return
        extended = segment.depacketiser.timestamp(rtp)
        if extended is None or (
            not segment.facts.is_video and segment.is_of_another_run(extended, arrival_us)
        ):
            return
        standstill = segment.standstill
        standstill.later(lambda n: self._journal.note("sr", arrival_us, n=n, ntp=ntp, rtp=extended))
        if not standstill.in_doubt:
            standstill.settled(segment.number)

    def dropped(self, track: int, packets: int, reason: str, now_us: int, position: int = 0) -> None:
        """The media worker kept packets back (``full``), or could not read what came (``malformed``): nothing of it was lost."""
        segment = self._segments.get(track)
        if segment is None or (self.behind and 0 < position <= self._seen):
            return
        segment.depacketiser.excuse(packets, bad=reason == "malformed")
        if reason != "malformed":
            self._journal.note("dropped", now_us, n=segment.number, packets=packets)

    def tap_lost(self, now_us: int) -> None:
        """The media worker is gone and what it kept: all tracks end, the recording goes on when it is back."""
        if self._segments and not self.paused:
            self._gap = self._gap or (self.seen_us, "media")
        for track in list(self._tracks):
            self.track_removed(track, "tap", now_us)

    # -- what the session tells --------------------------------------------------------------------------------

    def consent(self, declined: Mapping[str, bool], now_us: int) -> None:
        """Of everybody who is known in the session: do they decline? Nothing is written of those who do, or are unknown."""
        self._declined = dict(declined)
        for track, facts in list(self._tracks.items()):
            if self._declined.get(facts.person_id, True):
                self._end_segment(track, "declined", now_us)
            if facts.person_id in self._declined:
                held = self._held.pop(track, ())
                for packet, arrival_us, position in held:
                    self.packet(track, packet, arrival_us, position)

    def happened(self, seq: int, kind: str, at_us: int, **facts: Any) -> None:
        """Something of the session that a chapter may tell; each ``seq`` is noted once, nothing while paused."""
        if seq <= self.seq or self.closed_at is not None:
            return
        self.seq = seq
        if not self.paused and at_us >= self._from_us:
            self._journal.note("event", max(at_us, self._start_us), seq=seq, what=kind, **facts)

    def roster(self, people: Iterable[Person], now_us: int) -> None:
        """Who is in the room now; only differences are noted. Kept for later while paused."""
        wanted = {person.person_id: person for person in people}
        if self.paused:
            return
        self._watch.roster(wanted.values(), now_us)
        for person_id in self._people.keys() - wanted.keys():
            self._journal.note("left", now_us, person_id=person_id)
        for person_id, person in wanted.items():
            if self._people.get(person_id) != person:
                self._journal.note("person", now_us, **_roster_line(person))
        self._people = wanted
        for segment in self._segments.values():
            if not self._is_on(segment.facts):
                segment.off_us = now_us

    def _is_on(self, facts: TrackFacts) -> bool:
        """Whether its owner has the source switched on, as far as we know."""
        person = self._people.get(facts.person_id)
        return person is None or facts.source in person.on or facts.source == "screen_audio"

    def _stood_still(self, segment: _Segment, now_us: int) -> bool:
        """Whether a picture should have come since the last one. What is switched off sends none."""
        return (
            segment.facts.source == "camera"
            and segment.frames > 0
            and now_us - segment.written_us > FREEZE_US
            and self._is_on(segment.facts)
            and segment.off_us < segment.written_us
        )

    def pause(self, now_us: int) -> None:
        """From now on nothing is written until ``resume``."""
        if self.paused:
            return
        for track in list(self._segments):
            self._end_segment(track, "paused", now_us)
        self._held.clear()
        self._watch.rest(now_us)
        self._end_gap(now_us)
        self._journal.note("pause", now_us)
        self.paused, self._paused_at, self._until_us = True, now_us, None
        self.pauses += 1
        self._journal.flush()

    def resume(self, now_us: int) -> None:
        if not self.paused:
            return
        self.paused, self._from_us, self._until_us = False, now_us, None
        self._cut_us += now_us - self._paused_at
        self._journal.note("resume", now_us, seq=self.seq)
        self._watch.rest(now_us)
        self._ask_at_once = {track for track, facts in self._tracks.items() if facts.is_video}
        self._journal.flush()

    def layout(self, name: str, now_us: int) -> None:
        """The layout that the film has from now on."""
        if name != self._layout and self.closed_at is None:
            self._layout = name
            self._journal.note("layout", now_us, layout=name)

    def close(self, now_us: int, reason: str = "") -> None:
        """Stop: end all segments and close the files; ``reason`` is why it was stopped. Safe to repeat.

        While the disk refuses nothing is closed: what waits for it is written by a later call.
        """
        if self.closed_at is None:
            self._end(now_us, reason)
        self._journal.flush()
        self._journal.close()
        if self._state is not None:
            self._state.close()

    def _end(self, now_us: int, reason: str) -> None:
        for track in list(self._segments):
            self._end_segment(track, "stopped", now_us)
        if self.paused:
            self._cut_us += now_us - self._paused_at
            self.paused = False
        self._watch.rest(now_us)
        self._end_gap(now_us)
        self._journal.note("stop", now_us, **({"reason": reason} if reason else {}))
        self.closed_at = now_us

    def abandon(self) -> None:
        """Give the files up as they are (shutdown of the process, or a broken disk); the recording stays adoptable."""
        with contextlib.suppress(OSError):
            self._journal.close()
        if self._state is not None:
            self._state.close()

    # -- regular work ------------------------------------------------------------------------------------------

    def tick(self, now_us: int) -> list[int]:
        """Call about five times a second: writes out what is pending. Returns tracks that need a keyframe."""
        asks = []
        if self._arrived_us and not self.behind:
            self._watch.compare(self._arrived_us, now_us)
            self._arrived_us = 0
        for track, segment in list(self._segments.items()):
            frames = segment.depacketiser.expire(now_us)
            if frames:
                self._write(segment, frames)
            late = segment.standstill.expire(now_us)
            if late:
                self._go_on(segment, late)
            if segment.facts.is_video and self._must_ask(segment, now_us):
                asks.append(track)
        for track in self._ask_at_once - set(asks):
            if track in self._tracks and self._may_ask(track, now_us):
                asks.append(track)
        self._ask_at_once.clear()
        if not self.paused and self.closed_at is None and now_us - self._beat_us >= BEAT_US:
            self._beat(now_us)
        self._journal.flush()
        return asks

    def _beat(self, now_us: int) -> None:
        """Once a second: a sign of life in the manifest, and a look at what should be written but is not."""
        self._journal.note("beat", now_us)
        self._beat_us = now_us
        for held in self._held.values():
            while held and now_us - held[0][1] > HELD_US:
                held.popleft()
        for track, segment in list(self._segments.items()):
            if self._watch.is_stuck(
                segment.facts, segment.frames, segment.newest_us, segment.written_us, now_us
            ):
                log.warning("track.stuck segment=%d source=%s", segment.number, segment.facts.source)
                self._end_segment(track, "stuck", now_us)
        written = {(s.facts.person_id, s.facts.source) for s in self._segments.values() if s.frames}
        self._watch.look(written, now_us)

    def take_alarms(self) -> list[Alarm]:
        """What the watch has found since the last call."""
        taken, self._watch.alarms = self._watch.alarms, []
        return taken

    def sync(self) -> None:
        """Wait for the disk; may run on another thread."""
        flushed = self._flushed
        self._journal.sync()
        self.durable = flushed

    def _must_ask(self, segment: _Segment, now_us: int) -> bool:
        waiting = segment.depacketiser.wants_keyframe
        stalled = now_us - segment.newest_us > FREEZE_US and self._stood_still(segment, now_us)
        old = segment.key_us > 0 and now_us - segment.key_us > OLD_KEY_US
        if not waiting and not stalled and not old:
            if segment.facts.track in self._asked:
                self._asked[segment.facts.track].times = 0
            return False
        return self._may_ask(segment.facts.track, now_us)

    def _may_ask(self, track: int, now_us: int) -> bool:
        """Never more than one request a second and track, and ever fewer while they bring nothing."""
        asked = self._asked.setdefault(track, _Asked())
        if now_us - asked.at_us < ASK_US[min(asked.times, len(ASK_US) - 1)]:
            return False
        asked.at_us = now_us
        asked.times += 1
        segment = self._segments.get(track)
        self._journal.note("asked", now_us, **({"n": segment.number} if segment is not None else {}))
        return True

    # -- segments ----------------------------------------------------------------------------------------------

    def _begin_segment(self, track: int, packet: bytes, at_us: int, position: int) -> _Segment | None:
        facts = self._tracks.get(track)
        if facts is None:
            return None
        declines = self._declined.get(facts.person_id)
        if declines is None:
            # Their entering is being told to us by another road: wait for it, but write nothing.
            self._held.setdefault(track, deque(maxlen=HELD_PACKETS)).append((packet, at_us, position))
            return None
        if declines:
            return None
        self._end_gap(at_us)
        return self._open_segment(facts, Depacketiser(facts.codec), Standstill(facts.clock_rate), at_us)

    def _open_segment(
        self, facts: TrackFacts, depacketiser: Depacketiser, standstill: Standstill, at_us: int
    ) -> _Segment:
        segment = _Segment(
            self._next_segment,
            facts,
            depacketiser,
            standstill,
            newest_us=at_us,
            written_us=at_us,
            lost_before=depacketiser.lost_packets,
            bad_before=depacketiser.bad_packets,
        )
        self._next_segment += 1
        self._segments[facts.track] = segment
        self._journal.note(
            "segment",
            at_us,
            n=segment.number,
            person_id=facts.person_id,
            peer_id=facts.peer_id,
            source=facts.source,
            codec=facts.codec,
            clock_rate=facts.clock_rate,
            channels=facts.channels,
            ssrc=facts.ssrc,
        )
        return segment

    def _end_segment(self, track: int, reason: str, now_us: int) -> None:
        segment = self._segments.get(track)
        if segment is None:
            return
        if reason != "declined" and segment.standstill.in_doubt:
            segment = self._go_on(segment, segment.standstill.flush())
        del self._segments[track]
        if reason not in ("paused", "declined", "jumped"):
            for frame in segment.depacketiser.flush():
                self._put(segment, frame)
        if segment.broken_since is not None:
            self._journal.note("broken", now_us, n=segment.number, since=segment.broken_since)
        if self._stood_still(segment, now_us):
            self._journal.note("stalled", now_us, n=segment.number, since=segment.written_us)
        self._mark(segment)
        self._journal.note(
            "end",
            now_us,
            n=segment.number,
            reason=reason,
            frames=segment.frames,
            bytes=segment.size_bytes,
            lost=segment.depacketiser.lost_packets - segment.lost_before,
            bad=segment.depacketiser.bad_packets - segment.bad_before,
            dropped=segment.dropped,
        )

    def _write(self, segment: _Segment, frames: Iterable[Frame]) -> None:
        for frame in frames:
            if segment.facts.is_video:
                segment = self._put(segment, frame)
                continue
            sure, halted = segment.standstill.take(frame)
            if halted:
                segment = self._go_on(segment, sure)
                continue
            for one in sure:
                segment = self._put(segment, one)
            if sure:
                segment.standstill.settled(segment.number)

    def _go_on(self, segment: _Segment, frames: list[Frame]) -> _Segment:
        """The sender's clock stood still: what comes from here on has a clock, and a segment, of its own."""
        segment = self._split(segment, frames[0].arrival_us)
        for frame in frames:
            segment = self._put(segment, frame)
        segment.standstill.settled(segment.number)
        return segment

    def _put(self, segment: _Segment, frame: Frame) -> _Segment:
        """Write a frame; returns the segment that the next one belongs to."""
        rate = segment.facts.clock_rate
        if frame.after_loss:
            # It could only be shown broken; the last good frame stays until a keyframe comes. Before the first there is none.
            if segment.broken_since is None and segment.frames:
                segment.broken_since = frame.arrival_us
            return segment
        if segment.frames and self._has_jumped(segment, frame):
            if self._segments.get(segment.facts.track) is not segment:
                return segment  # it is being ended
            segment = self._split(segment, frame.arrival_us)
            if segment.facts.is_video and not frame.key:
                segment.depacketiser.lose()
                return segment
        is_there = frame.timestamp in self._skip.get(segment.number, ())
        flags = (KEY if frame.key else 0) | (AFTER_LOSS if frame.after_loss else 0)
        if not is_there and not self._journal.frame(
            segment.number, flags, frame.timestamp, frame.arrival_us, frame.data
        ):
            segment.dropped += 1
            segment.depacketiser.lose()
            if segment.broken_since is None:
                segment.broken_since = frame.arrival_us
            return segment
        if segment.broken_since is not None:
            self._journal.note("broken", frame.arrival_us, n=segment.number, since=segment.broken_since)
            segment.broken_since = None
        delay = frame.arrival_us - frame.timestamp * 1_000_000 / rate
        if segment.mark is None or delay < segment.mark_delay:
            segment.mark, segment.mark_delay = (frame.timestamp, frame.arrival_us), delay
        if segment.frames == 0 or frame.arrival_us - segment.marked_us >= MARK_US:
            self._mark(segment)
            segment.marked_us = frame.arrival_us
        if segment.facts.is_video:
            self._look_at_picture(segment, frame)
        segment.frames += 1
        if frame.key and segment.facts.is_video:
            segment.key_us = frame.arrival_us
        segment.size_bytes += len(frame.data)
        segment.written_us, segment.written_rtp = frame.arrival_us, frame.timestamp
        return segment

    @staticmethod
    def _has_jumped(segment: _Segment, frame: Frame) -> bool:
        told = (frame.timestamp - segment.written_rtp) * 1_000_000 // segment.facts.clock_rate
        return abs(told - (frame.arrival_us - segment.written_us)) > JUMP_US

    def _split(self, segment: _Segment, at_us: int) -> _Segment:
        """Go on in a new segment; packets that wait for missing ones stay where they are."""
        self._end_segment(segment.facts.track, "jumped", at_us)
        return self._open_segment(segment.facts, segment.depacketiser, segment.standstill, at_us)

    def _look_at_picture(self, segment: _Segment, frame: Frame) -> None:
        """Note changes of size and pictures that stood still."""
        if self._stood_still(segment, frame.arrival_us):
            self._journal.note("stalled", frame.arrival_us, n=segment.number, since=segment.written_us)
        if frame.key and segment.facts.codec == "vp8":
            size = vp8_size(frame.data)
            if size is not None and size != segment.size:
                segment.size = size
                self._journal.note("size", frame.arrival_us, n=segment.number, width=size[0], height=size[1])

    def _mark(self, segment: _Segment) -> None:
        """Note the least delayed frame of the last seconds: it ties the track's clock to ours."""
        if segment.mark is not None:
            rtp, arrival_us = segment.mark
            self._journal.note("mark", arrival_us, n=segment.number, rtp=rtp)
            segment.mark = None


def _saved_segment(segment: _Segment) -> State:
    """See ``Capture._restore``."""
    assert segment.restart is not None
    return {
        "number": segment.number,
        "track": segment.facts.track,
        "restart": tuple(segment.restart),
        "delay": segment.standstill.delay,
        "frames": segment.frames,
        "size_bytes": segment.size_bytes,
        "newest_us": segment.newest_us,
        "written_us": segment.written_us,
        "written_rtp": segment.written_rtp,
        "key_us": segment.key_us,
        "broken_since": segment.broken_since,
        "dropped": segment.dropped,
        "lost_before": segment.lost_before,
        "bad_before": segment.bad_before,
        "off_us": segment.off_us,
        "size": segment.size,
        "marked_us": segment.marked_us,
    }


def _roster_line(person: Person) -> dict[str, Any]:
    if person.declined:
        # Who declines is not shown: nothing in the journal can name them.
        return {"person_id": person.person_id, "name": "", "declined": True, "entered": person.entered_us}
    return {
        "person_id": person.person_id,
        "name": person.name,
        "mic": person.mic,
        "camera": person.camera,
        "screen": person.screen,
        "entered": person.entered_us,
    }
