"""Runs one composition as a process of low priority, and the by-products after it; keeps the lease and tells how far it is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from recorder.byproducts import ByProducts, read_files
from recorder.compose import NOT_YET, CompositionResult, Progress, read_progress, read_result
from recorder.journal import is_closed
from recorder.options import CompositeOptions, to_json
from recorder.parts import BUSY

log = logging.getLogger("sideroom.jobs")
MAX_ATTEMPTS: Final = 3
RETRY: Final = timedelta(seconds=3)
LEASE: Final = timedelta(seconds=20)
RENEW_S: Final = 3.0
STOP_S: Final = 5.0
BYPRODUCTS_S: Final = 3600.0
UNCLOSED_S: Final = 6.0
"""A recording that was closed, but whose journal does not say so by then, is composed as it is."""

NOT_IN_QUALITY: Final = frozenset(
    {"path", "thumbnail", "mime", "duration_s", "width", "height", "size_bytes", "sha256", "warnings"}
)
"""Fields of a result that stand in the library by themselves."""

Renew = Callable[[Progress], bool]
"""Prolongs the lease and stores the progress; False: it belongs to another by now."""


class CompositionFailed(Exception):
    """The composition came to no result; the text says why."""


class Interrupted(Exception):
    """It was stopped from outside: the worker ends, or something more urgent waits. Nothing is wrong."""


class Unclosed(Exception):
    """The recording is over but its journal was never closed."""


@dataclass(frozen=True, slots=True)
class Task:
    """``follow``: the recording may still run; ``parts``: leave after so many parts then (0: stay)."""

    journal: Path
    out: Path
    options: CompositeOptions
    follow: bool = False
    parts: int = 0
    cpu_share: float = 0.0

    @property
    def command(self) -> list[str]:
        command = [sys.executable, "-m", "recorder.compose", str(self.journal), str(self.out)]
        command += ["--options", json.dumps(to_json(self.options))]
        if self.follow:
            command += ["--follow", "--parts", str(self.parts), "--cpu-share", str(self.cpu_share)]
        return command


def compose(
    task: Task, renew: Renew, halted: threading.Event, is_over: Callable[[], bool] = lambda: True
) -> CompositionResult | None:
    """Run the process to its end; None: the recording still runs, and for now there is nothing more to do.

    ``halted`` stops it at once (what is whole is kept). ``is_over``: whether the recording has ended, asked now and then.
    Raises CompositionFailed, Interrupted or Unclosed.
    """
    process = subprocess.Popen(task.command, stderr=subprocess.PIPE, text=True, errors="replace")  # noqa: S603
    last_line: list[str] = []
    reader = threading.Thread(target=_keep_last_line, args=(process, last_line), daemon=True)
    reader.start()
    try:
        _watch(process, task, renew, halted, is_over)
    finally:
        _end(process)
        reader.join(STOP_S)
    if process.returncode == NOT_YET:
        return None
    if process.returncode == BUSY:
        # A killed worker's process; it sees that it is alone and ends.
        raise Interrupted("an earlier composition has not ended yet")
    result = read_result(task.out) if process.returncode == 0 else None
    if result is None:
        raise CompositionFailed(last_line[-1] if last_line else f"exit code {process.returncode}")
    return result


def _watch(
    process: subprocess.Popen[str],
    task: Task,
    renew: Renew,
    halted: threading.Event,
    is_over: Callable[[], bool],
) -> None:
    renew_at = 0.0
    over_since: float | None = None
    while process.poll() is None:
        now = time.monotonic()
        if now >= renew_at:
            renew_at = now + RENEW_S
            progress = read_progress(task.out)
            if not renew(progress):
                raise Interrupted("another worker has taken over")
            # The composer may be far behind on a busy machine: the journal itself says whether it is closed.
            if task.follow and progress.live and is_over() and not is_closed(task.journal):
                over_since = over_since or now
                if now - over_since > UNCLOSED_S:
                    raise Unclosed
        if halted.wait(0.1):
            raise Interrupted("the worker is stopping, or something more urgent waits")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _keep_last_line(process: subprocess.Popen[str], last_line: list[str]) -> None:
    assert process.stderr is not None
    with process.stderr as pipe:
        for line in pipe:
            if line.strip():
                last_line[:] = [line.strip()]


def eta(progress: Progress) -> datetime | None:
    """When the film will be ready; None: not known, or still recorded."""
    if progress.live or progress.eta_s is None:
        return None
    return datetime.now(UTC) + timedelta(seconds=progress.eta_s)


def by_products(
    journal: Path, out: Path, film: Path | None, renew: Renew, halted: threading.Event
) -> ByProducts:
    """Make what there is beside the film. What cannot be made becomes a warning. Raises Interrupted."""
    command: Sequence[str] = [sys.executable, "-m", "recorder.byproducts", str(journal), str(out)]
    command = [*command, "--film", str(film)] if film is not None else command
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")  # noqa: S603
    last_line: list[str] = []
    reader = threading.Thread(target=_keep_last_line, args=(process, last_line), daemon=True)
    reader.start()
    done = Progress(share=0.99)
    deadline, renew_at = time.monotonic() + BYPRODUCTS_S, time.monotonic() + RENEW_S
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + RENEW_S
                if not renew(done):
                    raise Interrupted("another worker has taken over")
            if halted.wait(0.1):
                raise Interrupted("the worker is stopping, or something more urgent waits")
    finally:
        _end(process)
        reader.join(STOP_S)
    if process.returncode == BUSY:
        raise Interrupted("an earlier process has not ended yet")
    made = read_files(out) if process.returncode == 0 else None
    if made is None:
        reason = last_line[-1] if last_line else f"exit code {process.returncode}"
        log.warning("byproducts.failed reason=%s", reason)
        return ByProducts(warnings=[f"chapters, separate tracks and sound could not be made: {reason[:200]}"])
    return made
