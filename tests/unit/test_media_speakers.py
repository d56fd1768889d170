"""Active speakers from audio levels; time is given, so nothing waits."""

from __future__ import annotations

import pytest

from media.speakers import RELEASE_S, UPDATE_S, Speakers
from models.values import PersonId

pytestmark = pytest.mark.unit
ALICE, BOB, CHARLIE = PersonId("alice"), PersonId("bob"), PersonId("charlie")
LOUD, SOFT, SILENT = 20, 40, 120


def play(
    speakers: Speakers, levels: dict[PersonId, int], start: float, seconds: float
) -> list[tuple[PersonId, ...]]:
    """Samples every 250 ms; what was told."""
    told = []
    for step in range(int(seconds / UPDATE_S) + 1):
        now = start + step * UPDATE_S
        for person, level in levels.items():
            speakers.hear(person, level, now)
        changed = speakers.update(now)
        if changed is not None:
            told.append(changed)
    return told


def test_those_who_speak_are_told_loudest_first_and_only_on_change() -> None:
    speakers = Speakers()
    told = play(speakers, {ALICE: SOFT, BOB: LOUD, CHARLIE: SILENT}, 0.0, 5.0)
    assert told == [(BOB, ALICE)]


def test_a_short_sound_makes_no_speaker() -> None:
    speakers = Speakers()
    speakers.hear(ALICE, LOUD, 0.0)
    assert speakers.update(0.1) is None
    assert play(speakers, {ALICE: SILENT}, 0.25, 3.0) == []


def test_pauses_between_words_do_not_end_a_speech_but_silence_does() -> None:
    speakers = Speakers()
    play(speakers, {ALICE: LOUD}, 0.0, 1.0)
    assert play(speakers, {ALICE: SILENT}, 1.25, RELEASE_S - 0.5) == []
    assert play(speakers, {ALICE: LOUD}, 2.0, 0.5) == []
    assert play(speakers, {ALICE: SILENT}, 2.75, RELEASE_S + 1.0) == [()]
    assert speakers.level(ALICE, 9.0) == 0.0


def test_two_of_similar_loudness_do_not_change_places_all_the_time() -> None:
    speakers = Speakers()
    told = []
    for step in range(40):
        swing = 2 if step % 2 else -2
        told += play(speakers, {ALICE: LOUD + swing, BOB: LOUD - swing}, step * 0.5, 0.25)
    assert len(told) == 1 and set(told[0]) == {ALICE, BOB}


def test_at_most_four_updates_a_second() -> None:
    speakers = Speakers()
    told = 0
    for step in range(400):
        now = step * 0.01
        speakers.hear(ALICE, LOUD if step // 40 % 2 else SILENT, now)
        speakers.hear(BOB, LOUD if step // 30 % 2 else SILENT, now)
        told += speakers.update(now) is not None
    assert 0 < told <= 16


def test_who_leaves_is_forgotten() -> None:
    speakers = Speakers()
    play(speakers, {ALICE: LOUD, BOB: LOUD}, 0.0, 1.0)
    speakers.forget(ALICE)
    assert speakers.update(2.0) == (BOB,)
