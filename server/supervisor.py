"""Starts our processes, restarts those that die, stops them together. Knows nothing of what they do.

A child that dies is started again after a back-off that grows while it keeps dying at once. Children die with the
supervisor (PR_SET_PDEATHSIG on Linux), so a killed supervisor leaves none behind.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("sideroom.supervisor")
STEADY_S = 10.0
"""A child that lived this long gets its first, short back-off again."""
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STOP_S = 15.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep alive. ``nice``: lower priority for heavy work."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    nice: int = 0


class _Child:
    def __init__(self, program: Program, log_dir: Path | None) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.failures = 0
        self.start_at = 0.0
        self._log_dir = log_dir

    def start(self) -> None:
        output = None
        if self._log_dir is not None:
            output = (self._log_dir / f"{self.program.name}.log").open("ab")
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own programs only
                list(self.program.command),
                env={**os.environ, **self.program.environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                start_new_session=True,
                preexec_fn=_die_with_parent(self.program.nice),
            )
        finally:
            if output is not None:
                output.close()
        self.started = time.monotonic()
        log.info("process.started name=%s pid=%d", self.program.name, self.process.pid)


def _die_with_parent(nice: int) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if nice:
            os.nice(nice)

    return prepare


class Supervisor:
    """``start`` returns at once; ``stop`` ends every child and waits. Thread-safe."""

    def __init__(self, programs: Sequence[Program], log_dir: Path | None = None) -> None:
        self._children = [_Child(program, log_dir) for program in programs]
        self._stopping = threading.Event()
        # Children carry the parent-death signal of the THREAD that made them, so one thread that lives as long as
        # the supervisor starts them all (prctl(2), PR_SET_PDEATHSIG).
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pids(self) -> dict[str, int]:
        """Name → pid of the children alive now."""
        return {
            c.program.name: c.process.pid
            for c in self._children
            if c.process is not None and c.process.poll() is None
        }

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S + 5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for child in self._children:
                self._look_after(child)
            self._stopping.wait(0.1)
        self._stop_all()

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child, now)
            return
        code = child.process.poll()
        if code is None:
            return
        child.failures = 0 if now - child.started > STEADY_S else child.failures + 1
        wait = BACKOFF_S[min(child.failures, len(BACKOFF_S) - 1)]
        log.warning("process.died name=%s code=%d restart_in_s=%.1f", child.program.name, code, wait)
        child.process = None
        child.start_at = now + wait

    def _start(self, child: _Child, now: float) -> None:
        try:
            child.start()
        except OSError as error:
            # No memory, no file handles, a full disk: the other children live on this thread, so it must go on.
            child.failures += 1
            child.start_at = now + BACKOFF_S[min(child.failures, len(BACKOFF_S) - 1)]
            log.error("process.not_started name=%s reason=%s", child.program.name, error.strerror)

    def _stop_all(self) -> None:
        alive = [c.process for c in self._children if c.process is not None and c.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
