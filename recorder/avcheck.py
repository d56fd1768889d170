"""Measures sound against picture in a recording of beep-and-flash participants (self-test, tests).

Each synthetic participant shows a dark colour and flashes white for 100 ms once a second, and beeps at the same instant at a
frequency of their own. Flashes are found by where the participant's colour stands in the picture, so no layout need be known;
beeps by the energy at the participant's frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

FREQUENCIES_HZ: Final = (523, 659, 784, 1047)
COLOURS_UV: Final = ((110, 160), (100, 100), (160, 110), (140, 140))
"""Chroma of each participant's dark picture, in the order of the frequencies."""
COLOUR_TOLERANCE: Final = 6
BLOCK: Final = 16
"""Pixels of luma a side that are looked at together."""
WHITE_RISE: Final = 60
HOP: Final = 96
WINDOW: Final = 480
DEBOUNCE_S: Final = 0.3
PAIR_S: Final = 0.45
RATE: Final = 48_000


@dataclass(frozen=True, slots=True)
class AvCheck:
    """``offsets_ms``: beep minus flash of each pair (positive: sound late). ``beeps_s``/``flashes_s``: onsets by
    participant index."""

    duration_s: float
    width: int
    height: int
    video_codec: str
    audio_codec: str
    flashes_s: dict[int, list[float]]
    beeps_s: dict[int, list[float]]
    offsets_ms: list[float]

    @property
    def flashes(self) -> int:
        return sum(len(onsets) for onsets in self.flashes_s.values())

    @property
    def beeps(self) -> int:
        return sum(len(onsets) for onsets in self.beeps_s.values())

    @property
    def p50_ms(self) -> float:
        """Median of the offsets' sizes; NaN without a pair."""
        return _percentile(self.offsets_ms, 50)

    @property
    def p95_ms(self) -> float:
        return _percentile(self.offsets_ms, 95)


def _percentile(values: Sequence[float], share: float) -> float:
    return float(np.percentile(np.abs(values), share)) if values else float("nan")


def measure(path: Path, participants: Sequence[int] = (0, 1, 2, 3)) -> AvCheck:
    """Open a recording and measure. ``participants``: the indices that are looked for."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        duration_s = (container.duration or 0) / 1e6
        size = (video.width, video.height)
        codecs = (video.codec_context.name, audio.codec_context.name)
    flashes = _flashes(path, participants)
    beeps = _beeps(path, participants)
    offsets = [o for index in participants for o in _pair(flashes[index], beeps[index])]
    return AvCheck(duration_s, *size, *codecs, flashes, beeps, offsets)


def _pair(flashes: Sequence[float], beeps: Sequence[float]) -> list[float]:
    pairs = []
    for flash in flashes:
        nearest = min(beeps, key=lambda beep: abs(beep - flash), default=None)
        if nearest is not None and abs(nearest - flash) <= PAIR_S:
            pairs.append(float(nearest - flash) * 1000)
    return pairs


def _flashes(path: Path, participants: Sequence[int]) -> dict[int, list[float]]:
    onsets: dict[int, list[float]] = {index: [] for index in participants}
    area = dict.fromkeys(participants, 0)  # blocks that each had when nothing of theirs was bright
    owner: NDArray[np.int8] | None = None
    base: NDArray[np.float32] | None = None
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            luma, u, v = (_blocks(frame, plane) for plane in range(3))
            if owner is None or base is None or owner.shape != luma.shape:
                owner, base = np.full(luma.shape, -1, np.int8), luma.copy()
            risen = luma - base > WHITE_RISE
            for index in participants:
                mine = owner == index
                lit = int(risen[mine].sum())
                if not lit:
                    area[index] = int(mine.sum())
                elif area[index] >= 4 and lit > area[index] / 2:
                    at = float(frame.time or 0.0)
                    if not onsets[index] or at - onsets[index][-1] > DEBOUNCE_S:
                        onsets[index].append(at)
            dark = ~risen
            owner[dark] = -1
            for index in participants:
                wanted = COLOURS_UV[index]
                near = (abs(u - wanted[0]) < COLOUR_TOLERANCE) & (abs(v - wanted[1]) < COLOUR_TOLERANCE)
                owner[near & dark] = index
            base[dark] = luma[dark]
            # A block that stays bright was not a flash but a change of the layout: forget it slowly.
            base[risen] += 4.0
    return onsets


def _blocks(frame: av.VideoFrame, number: int) -> NDArray[np.float32]:
    """Means of the plane over 16 × 16 pixels of the picture."""
    plane = frame.planes[number]
    block = BLOCK if number == 0 else BLOCK // 2
    rows, columns = plane.height // block, plane.width // block
    data = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    data = data[: rows * block, : columns * block]
    # Every fourth pixel is enough for a mean of flat colours.
    small = data.reshape(rows, block, columns, block)[:, ::4, :, ::4]
    means: NDArray[np.float32] = small.mean(axis=(1, 3), dtype=np.float32)
    return means


def _beeps(path: Path, participants: Sequence[int]) -> dict[int, list[float]]:
    pcm, start = _mono(path)
    energies = {index: _energy(pcm, FREQUENCIES_HZ[index]) for index in participants}
    peaks = {index: float(np.percentile(e, 99.5)) if len(e) else 0.0 for index, e in energies.items()}
    # The edges of loud beeps leak a little into the others' frequencies.
    # Voices are levelled: the first beeps may be twice as loud as the later ones, so a little less than half is asked.
    least = max(0.02, 0.3 * max(peaks.values(), default=0.0))
    return {
        index: _onsets(energy, peaks[index] / 2.5, start) if peaks[index] > least else []
        for index, energy in energies.items()
    }


def _mono(path: Path) -> tuple[NDArray[np.float32], float]:
    pieces: list[NDArray[np.float32]] = []
    start: float | None = None
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            if start is None:
                start = float(frame.time or 0.0)
            pieces.append(frame.to_ndarray().reshape(-1, frame.samples).mean(axis=0).astype(np.float32))
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.float32)), start or 0.0


def _energy(pcm: NDArray[np.float32], hertz: int) -> NDArray[np.float64]:
    """Amplitude at ``hertz``, every 2 ms."""
    whole = pcm[: len(pcm) // HOP * HOP]
    t = np.arange(len(whole)) / RATE
    carrier = whole * np.exp(-2j * np.pi * hertz * t)
    # A window of 20 ms tells tones 130 Hz apart from each other; sums of 2 ms first make it cheap.
    sums = carrier.reshape(-1, HOP).sum(axis=1)
    window = np.hanning(2 * WINDOW // HOP + 2)[1:-1]
    if len(sums) < len(window):
        return np.zeros(0)
    amplitude: NDArray[np.float64] = np.abs(np.convolve(sums, window, "same")) / (window.sum() * HOP / 2)
    return amplitude


def _onsets(energy: NDArray[np.float64], threshold: float, start: float) -> list[float]:
    """Where the energy rises above ``threshold``; at half of a tone's peak the window's middle is where it begins."""
    onsets: list[float] = []
    above = energy > threshold
    for number in np.flatnonzero(above[1:] & ~above[:-1]) + 1:
        at = float(start + (number + 0.5) * HOP / RATE)
        if not onsets or at - onsets[-1] > DEBOUNCE_S:
            onsets.append(at)
    return onsets
