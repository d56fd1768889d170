"""Who speaks in a room, from the audio levels of RTP packets. Pure: every call is given the time (seconds)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.values import PersonId

SPEAKING: Final = 45.0
"""Levels are 0 (silent) to 127 (loudest); speech at a usual distance is 70-110."""
SPEAK_S: Final = 0.3
"""Sound shorter than this (a cough, a key) makes nobody a speaker."""
RELEASE_S: Final = 1.2
"""Pauses between words do not end it."""
MARGIN: Final = 6.0
"""Levels must differ by this much before two speakers change places."""
UPDATE_S: Final = 0.25
_RISE: Final = 0.6
_FALL: Final = 0.2


@dataclass(slots=True)
class _Voice:
    level: float = 0.0
    since: float | None = None
    heard: float = -1e9


class Speakers:
    """One room's voices."""

    def __init__(self) -> None:
        self._voices: dict[PersonId, _Voice] = {}
        self._current: tuple[PersonId, ...] = ()
        self._told_at = -1e9

    def hear(self, person_id: PersonId, minus_dbov: int, now: float) -> None:
        """A sample of somebody's audio: 0 the loudest, 127 silence."""
        voice = self._voices.get(person_id)
        if voice is None:
            voice = self._voices[person_id] = _Voice()
        level = 127.0 - minus_dbov
        voice.level += (level - voice.level) * (_RISE if level > voice.level else _FALL)
        if level >= SPEAKING:
            if voice.since is None or now - voice.heard > RELEASE_S:
                voice.since = now
            voice.heard = now

    def forget(self, person_id: PersonId) -> None:
        """Somebody left the room or was muted."""
        self._voices.pop(person_id, None)

    def _is_speaking(self, person_id: PersonId, now: float) -> bool:
        voice = self._voices.get(person_id)
        return (
            voice is not None
            and voice.since is not None
            and now - voice.heard <= RELEASE_S
            and voice.heard - voice.since >= SPEAK_S
        )

    def last_heard(self, person_id: PersonId) -> float:
        """When this person last made a sound; very small if never."""
        voice = self._voices.get(person_id)
        return voice.heard if voice is not None else -1e9

    def level(self, person_id: PersonId, now: float) -> float:
        """Smoothed loudness, 0 for somebody silent for a while."""
        voice = self._voices.get(person_id)
        return voice.level if voice is not None and now - voice.heard <= RELEASE_S else 0.0

    def update(self, now: float) -> tuple[PersonId, ...] | None:
        """The speakers, loudest first, when they have changed; None otherwise or before 250 ms have passed."""
        if now - self._told_at < UPDATE_S:
            return None
        speaking = [p for p in self._voices if self._is_speaking(p, now)]
        places = {person_id: place for place, person_id in enumerate(self._current)}
        # Those who are shown keep their place unless somebody is clearly louder.
        speaking.sort(key=lambda p: -self._voices[p].level - (MARGIN if p in places else 0.0))
        ranked = tuple(speaking)
        if set(ranked) == set(self._current):
            quiet_change = all(
                abs(self._voices[a].level - self._voices[b].level) < MARGIN
                for a, b in zip(ranked, self._current, strict=True)
            )
            if quiet_change:
                return None
        if ranked == self._current:
            return None
        self._current = ranked
        self._told_at = now
        return ranked
