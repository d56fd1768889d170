"""Lost sound in films: made up for while it is short, faded where it is long, and true silence where nobody spoke."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from recorder import opus
from recorder.compose import compose
from recorder.journal import KEY, Record, RecordReader, read_manifest
from recorder.mix import BLOCK, Mixer
from recorder.opus import PlainDecoder
from recorder.sources import AudioTrack, Sources
from recorder.timeline import Timeline, build
from tests.media.composekit import T0, HandJournal, S, tiny

pytestmark = pytest.mark.media
RATE = 48_000
SECONDS = 18
QUIET = 1e-4
"""Below this is silence: −80 dB."""
Pcm = NDArray[np.float32]


@lru_cache(maxsize=1)
def speech() -> Pcm:
    """Something like a voice: harmonics of a wandering pitch, four syllables a second, never silent."""
    at = np.arange(SECONDS * RATE) / RATE
    pitch = 140 + 30 * np.sin(2 * np.pi * 0.7 * at) + 10 * np.sin(2 * np.pi * 3.1 * at)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(k * phase) / k * np.exp(-(((k * pitch - 600) / 900) ** 2)) for k in range(1, 20))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * at)
    return (0.25 * voice * syllables).astype(np.float32)


@lru_cache(maxsize=4)
def packets(fec: bool) -> tuple[bytes, ...]:
    """As Chromium sends a microphone: Opus for voices, 20 ms a packet, with or without forward error correction."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "flt"
    encoder.bit_rate = 32_000
    encoder.options = {
        "application": "voip",
        "frame_duration": "20",
        "fec": str(int(fec)),
        "packet_loss": "10" if fec else "0",
    }
    found = []
    for start in range(0, SECONDS * RATE, 960):
        stereo = np.repeat(speech()[start : start + 960], 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(stereo, format="flt", layout="stereo")
        frame.sample_rate, frame.pts = RATE, start
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(found)


def timeline(end_s: float = SECONDS) -> Timeline:
    return build(
        [
            {"k": "start", "at": T0},
            {
                "k": "segment",
                "at": T0,
                "n": 1,
                "person_id": "ann",
                "source": "mic",
                "codec": "opus",
                "clock_rate": RATE,
            },
            {"k": "mark", "at": T0, "n": 1, "rtp": 0},
            {"k": "stop", "at": T0 + round(end_s * S)},
        ]
    )


def played(sent: Sequence[bytes], came: Callable[[int], bool]) -> tuple[Pcm, AudioTrack]:
    """What the film has of a microphone of whose packets some never came."""
    line = timeline()
    track = AudioTrack(line.segments[1], line)
    for number, data in enumerate(sent):
        if came(number):
            track.push(Record(1, KEY, number * 960, T0 + number * 20_000, data))
    out = np.zeros((2, SECONDS * RATE), dtype=np.float32)
    for start in range(0, out.shape[1] - BLOCK, BLOCK):
        track.mix_into(out[:, start : start + BLOCK], start)
    return out[0], track


def silent_s(pcm: Pcm) -> float:
    """Seconds in which for 5 ms and more nothing at all is heard."""
    quiet = np.abs(pcm[RATE // 2 : -RATE // 2]) < QUIET
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= 240].sum()) / RATE


def worst_step(pcm: Pcm) -> float:
    """The largest leap from one sample to the next."""
    return float(np.abs(np.diff(pcm[RATE // 2 : -RATE // 2])).max())


def noise_db(pcm: Pcm, whole: Pcm) -> float:
    """How loud what is wrong is against what is right."""
    part = slice(RATE // 2, -RATE // 2)
    return 10 * float(np.log10(np.mean((pcm[part] - whole[part]) ** 2) / np.mean(whole[part] ** 2)))


def losses(share: float, seed: int = 7) -> frozenset[int]:
    chance = random.Random(seed)
    return frozenset(n for n in range(50, SECONDS * 50 - 50) if chance.random() < share)


def test_five_percent_of_loss_leave_neither_holes_nor_clicks() -> None:
    sent, lost = packets(True), losses(0.05)
    whole, _ = played(sent, lambda n: True)
    found, track = played(sent, lambda n: n not in lost)
    assert track.concealed == len(lost) * 960 and track.errors == 0
    assert silent_s(whole) == 0.0
    assert silent_s(found) == 0.0
    assert worst_step(found) <= 1.2 * worst_step(whole)
    assert noise_db(found, whole) < -15


def test_without_forward_error_correction_the_decoder_makes_up_for_it() -> None:
    sent, lost = packets(False), losses(0.05)
    whole, _ = played(sent, lambda n: True)
    found, track = played(sent, lambda n: n not in lost)
    assert track.concealed == len(lost) * 960 and silent_s(found) == 0.0
    assert worst_step(found) <= 1.3 * worst_step(whole)
    with_fec, _ = played(packets(True), lambda n: n not in lost)
    assert noise_db(with_fec, played(packets(True), lambda n: True)[0]) < noise_db(found, whole) - 2


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_holes_up_to_100_ms_are_made_up_for_and_longer_ones_faded(length: int) -> None:
    sent = packets(True)
    found, _ = played(sent, lambda n: not 300 <= n < 300 + length)
    assert silent_s(found) == 0.0
    start = 300 * 960 - 312
    heard = found[start : start + 960]
    assert np.sqrt(np.mean(heard**2)) > 0.02, "there is a voice in it, not a fading hum only"


def test_a_long_hole_is_true_silence_between_soft_edges() -> None:
    sent = packets(True)
    whole, _ = played(sent, lambda n: True)
    found, track = played(sent, lambda n: not 300 <= n < 350)
    start, end = 300 * 960 - 312, 350 * 960 - 312
    assert track.concealed == 0
    assert not found[start:end].any(), "nothing is invented in a mute"
    assert worst_step(found) <= 1.2 * worst_step(whole)
    for edge in (found[start - 240 : start][::-1], found[end : end + 240]):
        envelope = np.maximum.accumulate(np.abs(edge))
        assert envelope[24] < 0.15 * np.abs(whole).max(), "5 ms from silence to sound"
    assert (found[: start - 240] == whole[: start - 240]).all(), "nothing else is touched"


def test_the_ends_of_a_track_are_soft() -> None:
    found, _ = played(packets(True), lambda n: 100 <= n < 200)
    first, last = 100 * 960 - 312, 200 * 960 - 312
    assert not found[:first].any() and not found[last:].any()
    assert abs(found[first]) < 0.01 and abs(found[last - 1]) < 0.01


def test_a_clock_that_breaks_is_no_hole_to_make_up_for() -> None:
    """60 ms of RTP time are missing, but three seconds went by: nothing is put in between."""
    lines = [
        {"k": "start", "at": T0},
        {
            "k": "segment",
            "at": T0,
            "n": 1,
            "person_id": "ann",
            "source": "mic",
            "codec": "opus",
            "clock_rate": RATE,
        },
    ]
    for second in range(0, 40, 2):
        slept = 3 if second >= 20 else 0
        at = T0 + (second + slept) * S
        lines.append({"k": "mark", "at": at, "n": 1, "rtp": second * RATE})
    line = build([*lines, {"k": "stop", "at": T0 + 43 * S}])
    track = AudioTrack(line.segments[1], line)
    sent = packets(True)
    for n in range(950, 1050):
        slept = 3 * S if n >= 1000 else 0
        if n not in (998, 999):
            track.push(Record(1, KEY, n * 960, T0 + n * 20_000 + slept, sent[n % 800]))
    assert track.concealed == 0


def test_a_film_without_libopus_has_its_sound_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = played(packets(True), lambda n: True)
    monkeypatch.setattr(opus, "_library", lambda: None)
    found, track = played(packets(True), lambda n: n not in losses(0.05))
    assert isinstance(opus.decoder(), PlainDecoder) and track.concealed == 0
    assert worst_step(found) <= 1.2 * worst_step(whole), "holes are faded"
    same, _ = played(packets(True), lambda n: True)
    assert noise_db(same, whole) < -60


def test_packets_that_are_none_cost_only_themselves() -> None:
    sent = list(packets(True))
    for number in range(200, 900, 50):
        sent[number] = b"\xff" * 3
    found, track = played(sent, lambda n: True)
    assert track.errors == len(range(200, 900, 50))
    assert np.sqrt(np.mean(found[RATE : RATE * 17] ** 2)) > 0.05


def test_in_a_film_a_mute_is_silence_and_a_pause_leaves_no_click(tmp_path: Path) -> None:
    journal = HandJournal(tmp_path / "j")
    journal.person("alice", 0)
    journal.mic("alice", 0.0, 4.05)
    journal.note("pause", 4.05)
    journal.note("resume", 9.07)
    journal.mic("alice", 9.07, 12.0)
    journal.close(18.0)
    line, reader = build(read_manifest(tmp_path / "j")), RecordReader(tmp_path / "j")
    mixer = Mixer(Sources(line, reader), line.wall)
    pcm = np.concatenate([mixer.block() for _ in range(13 * RATE // BLOCK)], axis=1)[0]
    reader.close()
    muted = slice(round(7.1 * RATE), None)
    assert not pcm[muted].any(), "not even noise"
    # The pause cuts a beep in half: it falls to silence before, and rises from it behind.
    last, first = round(4.04 * RATE) - 312, round(4.06 * RATE) - 312
    assert np.abs(pcm[last - 240 : last - 200]).max() > 0.2 and np.abs(pcm[last - 3 : last + 3]).max() < 0.01
    assert np.abs(pcm[first - 3 : first + 5]).max() < 0.01
    result = compose(tmp_path / "j", tmp_path / "out", tiny())
    assert abs(result.duration_s - 12.98) < 0.1
