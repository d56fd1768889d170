"""The one clock by which our processes compare times: the time since this machine booted. It goes on while the machine sleeps.

``time.monotonic()`` is for measuring within one process: on Linux it stands still during sleep.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path


def boot_us() -> int:
    """Microseconds since boot, sleep included; the same in every process of this machine."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


_EPOCH_US = time.time_ns() // 1000 - boot_us()


def steady_unix_s() -> float:
    """Unix time by the clock that was right when this process began, and is never set. For this process alone."""
    return (_EPOCH_US + boot_us()) / 1e6


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Names this run of this machine; empty where the system does not say. Times since boot compare where it is the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
