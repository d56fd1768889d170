"""Watches one capture: who should be in the recording but is not, what arrives but is not written, who is not heard. Pure.

What it finds stands in the manifest (``missing``/``found``, ``silent``/``heard``, ``stuck``), in the log, and through them in
the quality report.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Final

from recorder.frames import LEVEL_SILENT, audio_level

log = logging.getLogger("sideroom.recorder")
MISSING_US: Final = 5_000_000
"""What somebody has switched on is expected in the journal within this time."""
SILENT_US: Final = 60_000_000
STUCK_US: Final = 5_000_000
STUCK_MAX_US: Final = 60_000_000
LOOK_AT: Final = 8
"""Every how many-th packet of a microphone is looked at for its level."""
SMALL_OPUS: Final = 28
"""A packet without a level that is not longer than this, header and all, carries digital silence."""

Note = Callable[..., None]
_CODES: Final = {"mic": "microphone_missing", "camera": "camera_missing", "screen": "screen_missing"}
SILENT: Final = "microphone_silent"
APART: Final = "clock_apart"
FAR_US: Final = 5_000_000
NEAR_US: Final = 1_000_000
"""Media whose times are further from now than the first raise an alarm, nearer than the second end it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is missed of a person (``active``), or is there again."""

    code: str
    person_id: str
    active: bool
    at_us: int


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """A track as the tap announced it. ``audio_level``: id of the header extension that tells it, 0: none."""

    track: int
    person_id: str
    peer_id: str
    source: str
    codec: str
    clock_rate: int
    channels: int
    ssrc: int
    audio_level: int = 0

    @property
    def is_video(self) -> bool:
        return self.codec != "opus"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is in the recorded room now, and what they publish. ``declined``: they are not recorded."""

    person_id: str
    name: str
    mic: bool
    camera: bool
    screen: bool
    entered_us: int
    declined: bool = False

    @property
    def on(self) -> frozenset[str]:
        """What of theirs should be in the recording."""
        if self.declined:
            return frozenset()
        flags = (("mic", self.mic), ("camera", self.camera), ("screen", self.screen))
        return frozenset(source for source, is_on in flags if is_on)


@dataclass(slots=True)
class _Expected:
    since_us: int
    told: bool = False


@dataclass(slots=True)
class _Ear:
    loud_us: int
    packets: int = 0
    told: bool = False


class Watch:
    """``note(kind, at_us, **facts)`` writes into the manifest. All times are those of the capture."""

    def __init__(self, note: Note, now_us: int) -> None:
        self._note = note
        self._expected: dict[tuple[str, str], _Expected] = {}
        self._ears: dict[str, _Ear] = {}
        self._unmuted: dict[str, int] = {}
        self._restarts: dict[int, int] = {}
        self._apart_since = 0
        self.alarms: list[Alarm] = []
        """New ones; who tells them on takes them out."""

    def rest(self, now_us: int) -> None:
        """A pause begins or ends, or all is over: what was missing till now is told, and everything counts anew."""
        for (person_id, source), expected in self._expected.items():
            if expected.told:
                self._found(person_id, source, expected.since_us, now_us)
            expected.since_us, expected.told = now_us, False
        for person_id, ear in self._ears.items():
            if ear.told:
                self._heard(person_id, ear.loud_us, now_us)
            ear.loud_us, ear.told = now_us, False
        self._unmuted = dict.fromkeys(self._unmuted, now_us)

    def roster(self, people: Iterable[Person], now_us: int) -> None:
        """Who is here and what they have switched on."""
        wanted = {(person.person_id, source) for person in people for source in person.on}
        for key in wanted - self._expected.keys():
            self._expected[key] = _Expected(now_us)
        for key in self._expected.keys() - wanted:
            gone = self._expected.pop(key)
            if gone.told:
                self._found(*key, gone.since_us, now_us)
        unmuted = {person_id for person_id, source in wanted if source == "mic"}
        self._unmuted = {person_id: self._unmuted.get(person_id, now_us) for person_id in unmuted}
        for person_id in self._ears.keys() - unmuted:
            self._quiet_ends(person_id, now_us)
            del self._ears[person_id]

    def heard(self, facts: TrackFacts, packet: bytes, at_us: int) -> None:
        """A packet of somebody's microphone."""
        if facts.source != "mic" or facts.person_id not in self._unmuted:
            return
        ear = self._ears.get(facts.person_id)
        if ear is None:
            ear = self._ears[facts.person_id] = _Ear(at_us)
        ear.packets += 1
        if ear.packets % LOOK_AT:
            return
        level = audio_level(packet, facts.audio_level)
        if len(packet) > SMALL_OPUS if level is None else level < LEVEL_SILENT:
            self._quiet_ends(facts.person_id, at_us)
            ear.loud_us = at_us

    def _quiet_ends(self, person_id: str, at_us: int) -> None:
        ear = self._ears[person_id]
        if ear.told:
            ear.told = False
            self._heard(person_id, ear.loud_us, at_us)

    def _found(self, person_id: str, source: str, since_us: int, now_us: int) -> None:
        self._note("found", now_us, person_id=person_id, source=source, since=since_us)
        self.alarms.append(Alarm(_CODES[source], person_id, active=False, at_us=now_us))

    def _heard(self, person_id: str, since_us: int, now_us: int) -> None:
        self._note("heard", now_us, person_id=person_id, since=since_us)
        self.alarms.append(Alarm(SILENT, person_id, active=False, at_us=now_us))

    def track_gone(self, facts: TrackFacts) -> None:
        self._restarts.pop(facts.track, None)

    def is_stuck(self, facts: TrackFacts, frames: int, newest_us: int, written_us: int, now_us: int) -> bool:
        """Packets arrive but no frame comes of them: begin afresh, less and less often while that does not help."""
        times = self._restarts.get(facts.track, 0)
        unwritten = newest_us - written_us
        if frames and times and unwritten < STUCK_US:
            self._restarts.pop(facts.track)
        if unwritten < min(STUCK_MAX_US, STUCK_US << times):
            return False
        self._restarts[facts.track] = min(times + 1, 8)
        self._note("stuck", now_us, person_id=facts.person_id, source=facts.source, since=written_us)
        return True

    def compare(self, arrived_us: int, now_us: int) -> None:
        """``arrived_us``: what the newest packet says when it came. If that is not now, it will stand elsewhere in the film."""
        distance_us = arrived_us - now_us
        if not self._apart_since and abs(distance_us) > FAR_US:
            self._apart_since = now_us
            log.error("clock.apart seconds=%.1f", distance_us / 1e6)
            self._note("apart", now_us, by=distance_us)
            self.alarms.append(Alarm(APART, "", active=True, at_us=now_us))
        elif self._apart_since and abs(distance_us) < NEAR_US:
            log.warning("clock.together after_s=%.0f", (now_us - self._apart_since) / 1e6)
            self._note("together", now_us, since=self._apart_since)
            self.alarms.append(Alarm(APART, "", active=False, at_us=now_us))
            self._apart_since = 0

    def look(self, written: Set[tuple[str, str]], now_us: int) -> None:
        """Once a second: ``written`` are the (person, source) that have frames in the journal now."""
        for key, expected in self._expected.items():
            person_id, source = key
            if key in written:
                if expected.told:
                    self._found(person_id, source, expected.since_us, now_us)
                expected.since_us, expected.told = now_us, False
            elif not expected.told and now_us - expected.since_us >= MISSING_US:
                expected.told = True
                log.warning("track.missing source=%s", source)
                self._note("missing", now_us, person_id=person_id, source=source, since=expected.since_us)
                self.alarms.append(Alarm(_CODES[source], person_id, active=True, at_us=now_us))
        for person_id, unmuted_us in self._unmuted.items():
            ear = self._ears.setdefault(person_id, _Ear(unmuted_us))
            since = max(ear.loud_us, unmuted_us)
            if not ear.told and now_us - since >= SILENT_US:
                ear.told = True
                ear.loud_us = since
                log.warning("microphone.silent seconds=%d", (now_us - since) // 1_000_000)
                self._note("silent", now_us, person_id=person_id, since=since)
                self.alarms.append(Alarm(SILENT, person_id, active=True, at_us=now_us))
