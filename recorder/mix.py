"""Sound of the composite: sum of all tracks in float32, and a limiter that keeps the sum below full scale."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.float32]
CEILING: Final = 0.89
"""−1 dB."""
STEP: Final = 256
RELEASE: Final = 0.06
"""Share of the way back to full gain in one step (5.3 ms): about 90 ms to recover."""


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
