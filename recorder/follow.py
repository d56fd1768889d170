"""Follows a journal while it grows, and holds the composer back so that it never takes CPU from whoever needs it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from recorder.journal import ManifestReader
from recorder.timeline import TimelineBuilder

LOOK_S: Final = 0.4
CROWDED: Final = 0.6
"""Who gets less than this share of the time it works is standing in somebody's way."""
MAX_REST_S: Final = 5.0


class CaughtUp(Exception):
    """There is nothing more to do for now, and nobody wants to wait."""


class Orphaned(Exception):
    """Whoever started this process is gone; somebody else may do the work by now."""


class Follower:
    """The time line of a journal. ``follow``: the journal may still grow; else its end is the end. ``wait``: wait for it,
    else raise CaughtUp. Raises BadManifest or FileNotFoundError when there is no recording."""

    def __init__(self, folder: Path, *, follow: bool = False, wait: bool = True) -> None:
        self._reader = ManifestReader(folder)
        self._builder = TimelineBuilder()
        self._wait = wait
        self._parent = os.getppid()
        for line in self._reader.new_lines() if follow else self._reader.rest():
            self._builder.add(line)
        try:
            self.timeline = self._builder.build()
        except ValueError:
            self._reader.close()
            raise
        self.final = not follow or self._builder.stopped
        """Whether the time line cannot change any more."""
        self.waited_s = 0.0

    @property
    def settled(self) -> int:
        """File time (µs) up to which the film can be made now."""
        return self.timeline.elapsed(self.timeline.stop if self.final else self.timeline.settled)

    def reach(self, rec: int) -> None:
        """Wait until file time ``rec`` is settled, or the recording closed. Raises CaughtUp or Orphaned."""
        while not self.final and self.settled < rec:
            if not self._grow():
                if not self._wait:
                    raise CaughtUp
                self.check_parent()
                time.sleep(LOOK_S)
                self.waited_s += LOOK_S

    def check_parent(self) -> None:
        """Raises Orphaned when whoever started this process has died."""
        if os.getppid() != self._parent:
            raise Orphaned

    def _grow(self) -> bool:
        grown = False
        for line in self._reader.new_lines():
            self._builder.add(line)
            grown = True
        if grown:
            self.timeline = self._builder.build()
            self.final = self._builder.stopped
        return grown

    def close(self) -> None:
        self._reader.close()


class Pacer:
    """Keeps to ``share`` of one core (0: no limit), and rests when others want the CPU."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._cpu, self._wall, self._waited = time.process_time(), time.monotonic(), 0.0

    def rest(self, live: bool, waited_s: float) -> None:
        """Call about once a second of film. ``live``: the recording still runs; ``waited_s``: all that was spent waiting."""
        cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
        worked = wall - (waited_s - self._waited)
        pause = 0.0
        if live and self._share > 0:
            pause = cpu / self._share - wall
        if live and worked > 0.2 and cpu < CROWDED * worked:
            # The time went by in the run queue.
            pause = max(pause, worked)
        if pause > 0:
            time.sleep(min(pause, MAX_REST_S))
        self._cpu, self._wall, self._waited = time.process_time(), time.monotonic(), waited_s
