"""When films that still wait for their turn will be ready. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

FIRST_PACE: Final = 0.5
"""Seconds of work for a second of film, until one was made: a room of six on one core."""
MEMORY: Final = 0.8
OVERHEAD_S: Final = 8.0
"""What each takes besides: its start, its check, by-products, the library."""


class Pace:
    """How long composing takes here, learnt from what was composed lately."""

    def __init__(self) -> None:
        self.value = FIRST_PACE

    def learn(self, left_s: float, eta_s: float) -> None:
        """``left_s`` of film are foreseen to take ``eta_s``."""
        if left_s > 1.0:
            self.value = MEMORY * self.value + (1 - MEMORY) * eta_s / left_s


def ready_in(busy_s: Sequence[float], workers: int, lengths_s: Sequence[float], pace: float) -> list[float]:
    """Seconds from now until each film is ready that waits, in their order.

    ``busy_s``: how long each worker that works is still busy; ``lengths_s``: film that each of the waiting ones still lacks.
    """
    free = [*busy_s, *([0.0] * (workers - len(busy_s)))] or [0.0]
    heapq.heapify(free)
    ready = []
    for length in lengths_s:
        done = heapq.heappop(free) + OVERHEAD_S + length * pace
        heapq.heappush(free, done)
        ready.append(done)
    return ready
