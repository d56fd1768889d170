"""Loudness of a block of sound as ITU-R BS.1770 measures it (LUFS), without its gates: those are the leveller's."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 48_000
OFFSET_DB: Final = -0.691
"""So that 997 Hz at full scale in one channel measures −3.01 (BS.1770-4, annex 1)."""
SILENT_DB: Final = -120.0
_FILTERS: Final = (
    # The head's effect, then the RLB curve: numerators and denominators at 48 kHz.
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)


@lru_cache(maxsize=4)
def _weights(samples: int) -> NDArray[np.float64]:
    """What each bin of a real transform of so many samples counts."""
    z = np.exp(-2j * np.pi * np.arange(samples // 2 + 1) / samples)
    power = np.ones(len(z))
    for above, below in _FILTERS:
        power *= np.abs(np.polyval(above[::-1], z) / np.polyval(below[::-1], z)) ** 2
    power[1:-1] *= 2  # bins of negative frequencies
    return power / samples**2


def energy(pcm: NDArray[np.float32]) -> float:
    """Weighted energy of (channels, samples), an even number of them; the channels' are added up."""
    spectrum = np.fft.rfft(pcm, axis=1)
    return float((np.square(np.abs(spectrum)) @ _weights(pcm.shape[1])).sum())


def lufs(energy: float) -> float:
    """What an energy measures."""
    return max(SILENT_DB, OFFSET_DB + 10 * float(np.log10(energy + 1e-12)))
