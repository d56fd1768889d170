"""Keeps the garbage collector from holding a process up while people talk. Call ``calm_collector`` once, after the start."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (5_000, 10, 50)
"""Python's own (700, 10, 10) looks through everything that lives, some hundred thousand objects, again and again: with 300 people
connected each look stopped the web process for 100 to 400 ms (bench.commands)."""


def calm_collector() -> None:
    """What was made by importing and starting lives as long as the process: never look at it again, and look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
