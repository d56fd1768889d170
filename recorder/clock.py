"""Unix time that does not jump: taken from the wall clock once, then carried on by the time since boot.

A recording's zero and all its times come from here, so a corrected or wrongly set wall clock neither stretches nor shortens
what is being recorded. The base is kept in a file: a recorder that was killed goes on with the same time.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Final

FILE: Final = ".clock.json"
TOLERANCE_US: Final = 500_000
"""Clocks of two processes that differ by less are the same clock, read at different moments."""


def _boot_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class SteadyClock:
    """``now_us`` never steps between two calls of ``settle``. ``folder`` None: nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / FILE if folder is not None else None
        self._boot_id = _boot_id()
        self._base = time.time_ns() // 1000 - _boot_us()
        self._read()

    def now_us(self) -> int:
        return self._base + _boot_us()

    def settle(self) -> int:
        """Believe the wall clock again. Only while nothing is being recorded. Returns by how much time jumped."""
        base = time.time_ns() // 1000 - _boot_us()
        jump = base - self._base
        if abs(jump) < TOLERANCE_US:
            jump = 0
        self._base += jump
        self.keep()
        return jump

    def _read(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if self._boot_id and kept["boot_id"] == self._boot_id:
                self._base = int(kept["base_us"])

    def keep(self) -> None:
        """Let the next process of this folder go on with the same time."""
        if self._file is None:
            return
        # A disk that refuses is found by the journals, which say so.
        with contextlib.suppress(OSError):
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps({"boot_id": self._boot_id, "base_us": self._base}), encoding="utf-8")
            os.replace(part, self._file)
