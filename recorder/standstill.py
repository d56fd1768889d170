"""Tells a sender's clock that stood still from packets that were held up on the way. Pure.

A browser whose microphone is switched off may neither send nor count: when it goes on, its RTP time goes on where it stood, and all
that follows would be placed too early by the length of the silence. Then a new segment must begin, with a clock of its own. Packets that were
held up look the same at first, but those behind them catch up within moments. So frames that come suddenly late are kept back until
it is clear which of the two it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from recorder.frames import Frame

HALT_US: Final = 250_000
"""So much later than the frame before, by its own time, a frame must come to raise the question."""
MOST_US: Final = 5_000_000
"""What leaps further is another count in any case."""
SURE_US: Final = 600_000
"""When nothing has caught up by then, the clock stood still."""
QUIET_US: Final = 1_000_000
"""The same when nothing more comes at all."""


class Standstill:
    """One track's. ``take`` every frame in order; write what it returns."""

    def __init__(self, clock_rate: int, delay: float | None = None) -> None:
        self._rate = clock_rate
        self._delay = delay
        self._lag = 0.0
        self._held: list[Frame] = []
        self._later: list[Callable[[int], None]] = []

    @property
    def delay(self) -> float | None:
        """Of the newest frame that is not kept back: how much later it came than its own time says (µs, from any zero)."""
        return self._delay

    @property
    def in_doubt(self) -> bool:
        return bool(self._held)

    def take(self, frame: Frame) -> tuple[list[Frame], bool]:
        """(frames that can be written now, whether a new segment must begin with them)."""
        delay = frame.arrival_us - frame.timestamp * 1_000_000 / self._rate
        if not self._held:
            lag = delay - self._delay if self._delay is not None else 0.0
            if not HALT_US <= lag < MOST_US:
                self._delay = delay
                return [frame], False
            self._lag = lag
            self._held.append(frame)
            return [], False
        self._held.append(frame)
        assert self._delay is not None
        if delay - self._delay < self._lag / 2:
            return self._release(), False
        if frame.arrival_us - self._held[0].arrival_us >= SURE_US:
            return self._release(), True
        return [], False

    def expire(self, now_us: int) -> list[Frame]:
        """Frames that must wait no longer; a new segment begins with them."""
        if self._held and now_us - self._held[-1].arrival_us >= QUIET_US:
            return self._release()
        return []

    def flush(self) -> list[Frame]:
        """Everything that waits; a new segment begins with it."""
        return self._release()

    def _release(self) -> list[Frame]:
        held, self._held = self._held, []
        if held:
            self._delay = held[-1].arrival_us - held[-1].timestamp * 1_000_000 / self._rate
        return held

    def later(self, work: Callable[[int], None]) -> None:
        """While in doubt: what must be told of the segment once it is known which one it is."""
        self._later.append(work)

    def settled(self, segment: int) -> None:
        """The frames that were kept back went into this segment."""
        waiting, self._later = self._later, []
        for work in waiting:
            work(segment)
