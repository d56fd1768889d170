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

from models.boottime import boot_id, boot_us

FILE: Final = ".clock.json"
TOLERANCE_US: Final = 500_000
"""The wall clock may be slewed by this much without being set."""


class SteadyClock:
    """``now_us`` never steps between two calls of ``settle``. ``folder`` None: nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / FILE if folder is not None else None
        self._machine = boot_id()
        self.base_us = time.time_ns() // 1000 - boot_us()
        """Unix time at which this machine booted, as far as we know."""
        self._read()

    def now_us(self) -> int:
        return self.base_us + boot_us()

    def settle(self) -> int:
        """Believe the wall clock again. Only while nothing is being recorded. Returns by how much time jumped."""
        base = time.time_ns() // 1000 - boot_us()
        jump = base - self.base_us
        if abs(jump) < TOLERANCE_US:
            jump = 0
        self.base_us += jump
        self.keep()
        return jump

    def _read(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if self._machine and kept["boot_id"] == self._machine:
                self.base_us = int(kept["base_us"])

    def keep(self) -> None:
        """Let the next process of this folder go on with the same time."""
        if self._file is None:
            return
        # A disk that refuses is found by the journals, which say so.
        with contextlib.suppress(OSError):
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps({"boot_id": self._machine, "base_us": self.base_us}), encoding="utf-8")
            os.replace(part, self._file)
