"""Sound of the composite: everybody's level brought towards −20 LUFS, the sum in float32, a limiter below full scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder import loudness
from recorder.floor import Floor
from recorder.opus import SAMPLE_RATE
from recorder.sources import Sources

Pcm = NDArray[np.float32]
BLOCK: Final = 8192
"""Samples mixed at a time: 171 ms; 375 of them are a part of 64 s."""
CEILING: Final = 0.89
"""−1 dB."""
STEP: Final = 256
RELEASE: Final = 0.06
"""Share of the way back to full gain in one step (5.3 ms): about 90 ms to recover."""
WANTED_LUFS: Final = -20.0
GATE_DB: Final = -50.0
"""What is quieter says nothing about how loud somebody speaks."""
MAX_GAIN_DB: Final = 12.0
GAIN_STEP_DB: Final = 0.5
MEMORY: Final = 0.92


class Limiter:
    """Block-wise peak limiter. A block's length must be a multiple of 256; gain never jumps inside a block."""

    def __init__(self) -> None:
        self._gain = 1.0

    def apply(self, pcm: Pcm) -> Pcm:
        """Limit in place and return it; shape (channels, samples)."""
        peaks = np.abs(pcm).reshape(pcm.shape[0], -1, STEP).max(axis=(0, 2))
        if self._gain >= 0.999 and peaks.max() <= CEILING:
            self._gain = 1.0
            return pcm
        wanted = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-6))
        # The next step's gain is looked at too, so that the ramp is down before its peak comes.
        wanted = np.minimum(wanted, np.append(wanted[1:], 1.0))
        gains = [self._gain]
        for target in wanted:
            now = gains[-1]
            gains.append(float(target) if target < now else now + (float(target) - now) * RELEASE)
        self._gain = gains[-1]
        at = np.arange(pcm.shape[1], dtype=np.float32) / STEP
        pcm *= np.interp(at, np.arange(len(gains)), gains).astype(np.float32)
        np.clip(pcm, -1.0, 1.0, out=pcm)
        return pcm


class Leveller:
    """One person's gain: follows how loud they speak, slowly (3 dB a second), between −12 and +12 dB."""

    def __init__(self, gain_db: float = 0.0) -> None:
        self.gain_db = gain_db
        self._energy: float | None = None

    def apply(self, pcm: Pcm) -> float:
        """Level a block in place; returns its level before (RMS, in dB of full scale)."""
        level = 10 * float(np.log10(float(np.mean(np.square(pcm))) + 1e-12))
        before = self.gain_db
        if level > GATE_DB:
            energy = loudness.energy(pcm)
            self._energy = energy if self._energy is None else MEMORY * self._energy + (1 - MEMORY) * energy
            wanted = WANTED_LUFS - loudness.lufs(self._energy)
            wanted = max(-MAX_GAIN_DB, min(MAX_GAIN_DB, wanted))
            self.gain_db += max(-GAIN_STEP_DB, min(GAIN_STEP_DB, wanted - self.gain_db))
        if before or self.gain_db:
            first, last = 10 ** (before / 20), 10 ** (self.gain_db / 20)
            pcm *= np.linspace(first, last, pcm.shape[1], dtype=np.float32)
        return level


class Mixer:
    """Mixes block after block, from block ``first`` on. ``wall``: time in the file (µs) → wall time."""

    def __init__(self, sources: Sources, wall: Callable[[int], int], first: int = 0) -> None:
        self._sources = sources
        self._wall = wall
        self._limiter = Limiter()
        self._levellers: dict[str, Leveller] = {}
        self._buffer = np.zeros((2, BLOCK), dtype=np.float32)
        self.floor = Floor()
        self.next = first

    def block(self) -> Pcm:
        """The next block: (2, BLOCK), a new array."""
        start = self.next * BLOCK
        self._sources.read(self._wall((start + BLOCK) * 1_000_000 // SAMPLE_RATE))
        mixed = np.zeros((2, BLOCK), dtype=np.float32)
        levels: dict[str, float] = {}
        for track in self._sources.audio.values():
            if not track.is_due(start + BLOCK):
                continue
            self._buffer.fill(0.0)
            track.mix_into(self._buffer, start)
            if track.segment.source == "mic":
                who = track.segment.person_id
                leveller = self._levellers.get(who) or self._levellers.setdefault(who, Leveller())
                levels[who] = max(levels.get(who, -120.0), leveller.apply(self._buffer))
            mixed += self._buffer
        self.floor.hear(levels)
        self.next += 1
        return self._limiter.apply(mixed)

    def to_json(self) -> dict[str, Any]:
        """Gains and floor, for whoever goes on from here."""
        gains = {who: round(leveller.gain_db, 2) for who, leveller in self._levellers.items()}
        return {"gains_db": gains, "floor": self.floor.to_json()}

    def restore(self, data: Mapping[str, Any]) -> None:
        for who, gain_db in dict(data.get("gains_db", {})).items():
            self._levellers[str(who)] = Leveller(float(gain_db))
        self.floor.restore(data.get("floor", {}))
