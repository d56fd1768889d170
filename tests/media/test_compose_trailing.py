"""Composing while the journal grows: no seam in sound, nothing lost by a kill, the file there soon after the end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from models.recording import options_from_json
from recorder.avcheck import measure
from recorder.compose import BUSY, NOT_YET, Composition, compose, read_progress, read_result
from recorder.journal import KEY, JournalWriter
from recorder.options import PART_S, CompositeOptions, to_json
from recorder.parts import Parts
from tests.media.beepflash import FPS, opus, vp8

pytestmark = [pytest.mark.media, pytest.mark.timeout(600)]
T0 = 1_800_000_000_000_000
S = 1_000_000
RATE = 48_000
SECONDS = 2 * PART_S + 12
TINY = CompositeOptions(options_from_json({"width": 160, "height": 90, "fps": 24}), preset="ultrafast")
SEAMS = (PART_S, 2 * PART_S)


@lru_cache(maxsize=1)
def tone() -> tuple[bytes, ...]:
    """Opus packets of a steady tone."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE, "stereo", "s16", 96_000
    packets = []
    for number in range(SECONDS * 50):
        at = (number * 960 + np.arange(960)) / RATE
        wave = (np.sin(2 * np.pi * 440 * at) * 8000 + np.sin(2 * np.pi * 3300 * at) * 3000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = RATE, number * 960
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets)


class Journal:
    """A journal written by hand: Alice with camera and microphone. Times are seconds of the recording."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = JournalWriter(folder)
        self.note("start", 0, room_name="Room 1", course_title="Biology")
        self.note("person", 0, person_id="alice", name="Alice Adams", mic=True, camera=True, screen=False)
        for number, source, codec, rate in ((1, "mic", "opus", 48_000), (2, "camera", "vp8", 90_000)):
            self.note("segment", 0, n=number, person_id="alice", source=source, codec=codec, clock_rate=rate)
            self.note("mark", 0, n=number, rtp=0)

    def note(self, kind: str, at: float, **facts: object) -> None:
        self._writer.note(kind, T0 + round(at * S), **facts)

    def play(self, sound: tuple[bytes, ...], first: int, last: int) -> None:
        """Write the frames of the seconds ``first`` … ``last`` in order of arrival."""
        pictures = vp8(0, 10)
        timed = [(n * 20_000, 1, n * 960, sound[n % len(sound)], KEY) for n in range(first * 50, last * 50)]
        for n in range(first * FPS, last * FPS):
            key = KEY if n % FPS == 0 else 0
            timed.append((n * S // FPS, 2, n * 90_000 // FPS, pictures[n % len(pictures)], key))
        for at, number, rtp, data, flags in sorted(timed, key=lambda item: item[0]):
            self._writer.frame(number, flags, rtp, T0 + at, data)
        self.note("beat", last)
        self._writer.flush()

    def stop(self, at: float) -> None:
        self.note("stop", at)
        self._writer.close()


def mono(path: Path) -> NDArray[np.float64]:
    with av.open(str(path)) as container:
        pieces = [
            f.to_ndarray()[0]
            if f.format.is_planar
            else f.to_ndarray().reshape(-1, f.layout.nb_channels)[:, 0]
            for f in container.decode(audio=0)
        ]
    return np.concatenate(pieces).astype(np.float64)


def noise(pcm: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left of each 10 ms when the two tones are taken out: a click or a hole stands out."""
    window = RATE // 100
    left = []
    for start in range(0, len(pcm) - window, window):
        at = (start + np.arange(window)) / RATE
        base = np.stack([f(2 * np.pi * hertz * at) for hertz in (440, 3300) for f in (np.sin, np.cos)], 1)
        piece = pcm[start : start + window]
        found, *_ = np.linalg.lstsq(base, piece, rcond=None)
        left.append(float(np.sqrt(np.mean((piece - base @ found) ** 2))))
    return np.array(left)


def assert_no_seam(path: Path) -> None:
    pcm = mono(path)
    assert abs(len(pcm) - SECONDS * RATE) < 2400
    left = noise(pcm[: (SECONDS - 1) * RATE])
    elsewhere = np.percentile(left[300:], 99.9)
    assert elsewhere < 0.005, "the tone is not in the file"
    for seam in SEAMS:
        at = seam * 100
        assert left[at - 5 : at + 5].max() <= max(elsewhere, 0.001) * 1.5, seam


def assert_all_pictures(path: Path, fps: int) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = sorted(float(p.pts * p.time_base) for p in container.demux(stream) if p.pts is not None)
    assert len(times) == SECONDS * fps
    assert np.abs(np.diff(times) - 1 / fps).max() < 0.002


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_parts_are_joined_without_a_seam(tmp_path: Path, codec: str) -> None:
    journal = Journal(tmp_path / "journal")
    journal.play(tone(), 0, SECONDS)
    journal.stop(SECONDS)
    options = CompositeOptions(
        options_from_json({"width": 64, "height": 64, "fps": 24, "video_codec": codec}), preset="ultrafast"
    )
    result = compose(journal.folder, tmp_path / "out", options)
    path = tmp_path / "out" / result.path
    assert (result.video_codec, result.audio_codec, result.mime) == (
        ("h264", "aac", "video/mp4") if codec == "H264" else ("vp8", "opus", "video/webm")
    )
    assert abs(result.duration_s - SECONDS) < 0.05 and result.warnings == []
    assert_no_seam(path)
    assert_all_pictures(path, 24)


def run(journal: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    options = json.dumps(to_json(TINY))
    command = [sys.executable, "-m", "recorder.compose", str(journal), str(out), "--options", options, *more]
    return subprocess.Popen(command)


def eventually(condition: object, seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_killed_follower_goes_on_at_the_last_whole_part_and_finishes_after_the_end(
    tmp_path: Path,
) -> None:
    journal, out = Journal(tmp_path / "journal"), tmp_path / "out"
    journal.play(tone(), 0, PART_S + 30)
    follower = run(journal.folder, out, "--follow")
    try:
        eventually(lambda: read_progress(out).composed_s > PART_S + 14)
        assert read_progress(out).live and read_result(out) is None
        assert len(Parts(out, TINY).done()) == 1
        follower.send_signal(signal.SIGKILL)
        follower.wait(20)
        kept = Parts(out, TINY).path(0).stat()
        follower = run(journal.folder, out, "--follow")
        journal.play(tone(), PART_S + 30, SECONDS)
        eventually(lambda: read_progress(out).composed_s > SECONDS - 14)
        journal.stop(SECONDS)
        assert follower.wait(240) == 0
    finally:
        follower.kill()
        follower.wait(20)
    result = read_result(out)
    assert result is not None
    assert Parts(out, TINY).path(0).stat().st_mtime_ns == kept.st_mtime_ns, "a whole part was made again"
    assert_no_seam(out / result.path)
    assert_all_pictures(out / result.path, 24)


def test_sound_and_picture_stay_together_over_the_seams_and_a_pause(tmp_path: Path) -> None:
    """Composed part by part by runs that leave in between; a pause of a minute ends just before the first border."""
    journal, out = Journal(tmp_path / "journal"), tmp_path / "out"
    beeps = opus(0, 10)
    journal.play(beeps, 0, 62)
    journal.note("pause", 62)
    journal.note("resume", 122)
    journal.play(beeps, 122, 122 + PART_S + 12)
    assert Composition(journal.folder, make(out), TINY, follow=True, parts=1).run() is None
    assert len(Parts(out, TINY).done()) == 1
    journal.play(beeps, 122 + PART_S + 12, 122 + 2 * PART_S)
    journal.stop(122 + 2 * PART_S)
    result = Composition(journal.folder, out, TINY, follow=True, parts=1).run()
    assert result is not None and abs(result.duration_s - (62 + 2 * PART_S)) < 0.05
    found = measure(out / result.path, (0,))
    assert len(found.beeps_s[0]) >= 62 + 2 * PART_S - 2
    assert found.p50_ms <= 45 and found.p95_ms <= 90, found.offsets_ms


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_a_second_composer_keeps_out_and_an_unchanged_journal_is_not_waited_for(tmp_path: Path) -> None:
    journal, out = Journal(tmp_path / "journal"), tmp_path / "out"
    journal.play(tone(), 0, 20)
    first = run(journal.folder, out, "--follow")
    try:
        eventually(lambda: read_progress(out).composed_s > 5)
        second = run(journal.folder, out, "--follow", "--parts", "2")
        assert second.wait(240) == BUSY
        first.send_signal(signal.SIGTERM)
        first.wait(20)
        second = run(journal.folder, out, "--follow", "--parts", "2")
        assert second.wait(240) == NOT_YET
    finally:
        first.kill()
        first.wait(20)
