"""Which recording is composed when: films of closed recordings first, then those asked for again, then, in advance, those that
still run. The database says what there is to do; leases keep several workers apart.

Each composition has a thread here and a process of its own. More recordings than workers take turns of a few parts; whoever
composes in advance makes way at once for a recording that has ended.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from library.intake import ensure_processing_entry, mark_failed, take
from library.values import CompositionFacts
from models.recording import BadOption, RecordingOptions, options_from_json
from models.store import compositions as again
from models.store import recordings_jobs as store
from models.store.compositions import Requested
from models.store.database import Database
from models.values import SYSTEM, CommandId, RecordingId, RecordingStatus
from recorder.byproducts import ByProducts
from recorder.compose import CompositionResult, Progress
from recorder.options import PART_S, CompositeOptions
from rooms.commands import Envelope, ReportFilm, ReportRecording
from rooms.errors import DomainError
from rooms.ports import Rooms
from server.composing import (
    LEASE,
    MAX_ATTEMPTS,
    NOT_IN_QUALITY,
    RETRY,
    CompositionFailed,
    Interrupted,
    Task,
    Unclosed,
    by_products,
    compose,
    eta,
)
from server.foretell import Pace, ready_in
from server.job_settings import JobSettings
from server.pictures import PictureRefused, fetch
from server.recomposing import Recomposer

log = logging.getLogger("sideroom.jobs")
FOLLOW_RETRY: Final = timedelta(seconds=30)
TURN_PARTS: Final = 4
"""Parts that a recording gets at a time when more run than there are workers."""
STEADY_S: Final = 60.0
REPORTED_S: Final = 20.0
JOIN_S: Final = 15.0
WATERMARK: Final = "watermark"
FORETOLD: Final = timedelta(seconds=15)
"""A finish time that was foretold is corrected when it is off by more than this."""


@dataclass(slots=True)
class _Job:
    thread: threading.Thread
    halted: threading.Event
    yields: int
    """0: to nobody; 1: to a recording that has ended; 2: also to a film that was asked for."""
    stays: bool
    eta_s: float | None = None
    began: float = field(default_factory=time.monotonic)


class CompositionQueue:
    """``look`` starts what can be started; call it often. ``wake`` is called when a job has ended."""

    def __init__(
        self, settings: JobSettings, rooms: Rooms, db: Database, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._settings = settings
        self._rooms = rooms
        self._db = db
        self._wake = wake
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._jobs: dict[str, _Job] = {}
        self._shown: set[RecordingId] = set()
        self._pace = Pace()
        self._recomposer = Recomposer(settings, db, self._owner, self._composite, self._report_film)

    def stop(self) -> None:
        """End everything; what is whole is kept, and the next worker goes on there."""
        for job in self._jobs.values():
            job.halted.set()
        for job in self._jobs.values():
            job.thread.join(JOIN_S)

    # -- what comes next ---------------------------------------------------------------------------------------

    def look(self) -> None:
        """Start what waits, as far as workers are free."""
        self._jobs = {key: job for key, job in self._jobs.items() if job.thread.is_alive()}
        now = datetime.now(UTC)
        waiting = store.waiting(self._db, now)
        urgent: list[tuple[str, int, Callable[[threading.Event], None]]] = []
        self._show({one.recording_id for one in waiting})
        for one in waiting:
            urgent.append((one.recording_id, 0, partial(self.compose, one.recording_id)))
        for asked in again.waiting_compositions(self._db, now):
            urgent.append((asked.composition_id, 1, partial(self._recomposer.make, asked.composition_id)))
        for name, yields, work in urgent:
            if name not in self._jobs and not self._start(name, work, yields=yields):
                self._make_way(yields)
                break
        self._foretell([one for one in waiting if one.recording_id not in self._jobs], now)
        if self._settings.cpu_share > 0:
            self._look_ahead(now)

    def _foretell(self, waiting: Sequence[store.Waiting], now: datetime) -> None:
        """Tell those who wait behind others when their turn will be over."""
        busy = [job.eta_s or 0.0 for job in self._jobs.values() if not job.yields]
        ready = ready_in(busy, self._settings.workers, [one.left_s for one in waiting], self._pace.value)
        told = {}
        for one, seconds in zip(waiting, ready, strict=True):
            at = now + timedelta(seconds=seconds)
            if one.eta_at is None or abs(at - one.eta_at) > FORETOLD:
                told[one.recording_id] = at
        if told:
            store.foretell(self._db, told)

    def _look_ahead(self, now: datetime) -> None:
        """Give free workers to recordings that still run."""
        running = [f for f in store.followable(self._db, now) if f.recording_id not in self._jobs]
        crowded = len(running) + len(self._jobs) > self._settings.workers
        for followed in running:
            behind_s = (now - followed.started_at).total_seconds() - followed.composed_s
            if crowded and behind_s < PART_S + 20:
                continue
            key, parts = followed.recording_id, TURN_PARTS if crowded else 0
            work = partial(self.follow, key, parts)
            if not self._start(key, work, yields=2, stays=not parts):
                self._end_stays()
                return

    def _start(
        self,
        name: str,
        work: Callable[[threading.Event], None],
        *,
        yields: int,
        stays: bool = False,
    ) -> bool:
        if len(self._jobs) >= self._settings.workers:
            return False
        halted = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(name, work, halted), name=f"compose.{name}", daemon=True
        )
        self._jobs[name] = _Job(thread, halted, yields, stays)
        thread.start()
        return True

    def _run(self, name: str, work: Callable[[threading.Event], None], halted: threading.Event) -> None:
        try:
            work(halted)
        except Exception:
            # The lease runs out and the work is found again.
            log.exception("composition.broke name=%s", name)
        finally:
            self._wake()

    def _make_way(self, yields: int) -> None:
        """Who composes in advance, or again, leaves its worker to what is more urgent."""
        running = sorted(
            (job for job in self._jobs.values() if job.yields > yields), key=lambda job: -job.yields
        )
        if running and not any(job.halted.is_set() for job in running):
            running[0].halted.set()

    def _end_stays(self) -> None:
        """More recordings run than when it began to stay with one: from now on they take turns."""
        for job in self._jobs.values():
            if job.stays and time.monotonic() - job.began > STEADY_S:
                job.halted.set()

    def _show(self, waiting: set[RecordingId]) -> None:
        """The library shows a recording as soon as it waits, also behind others."""
        for recording_id in waiting - self._shown:
            info = store.recording_info(self._db, recording_id)
            if info is not None:
                ensure_processing_entry(self._db, info)
        self._shown = waiting

    # -- a recording -------------------------------------------------------------------------------------------

    def follow(self, recording_id: RecordingId, parts: int, halted: threading.Event) -> None:
        """Compose a recording that still runs; when it ends meanwhile, also finish it."""
        if not store.follow(self._db, recording_id, self._owner, datetime.now(UTC), LEASE):
            return
        info = store.recording_info(self._db, recording_id)
        not_before: datetime | None = None
        try:
            if info is None:
                return
            task = self._task(info, follow=True, parts=parts)
            result = compose(
                task, self._renewer(recording_id), halted, lambda: not self._is_live(recording_id)
            )
            if result is not None and self._await_closed(recording_id, halted):
                self._complete(info, result, halted)
        except Interrupted as reason:
            log.info("composition.interrupted recording_id=%s reason=%s", recording_id, reason)
        except Unclosed:
            log.warning("composition.journal_not_closed recording_id=%s", recording_id)
        except (CompositionFailed, OSError) as error:
            not_before = datetime.now(UTC) + FOLLOW_RETRY
            log.warning("composition.failed_in_advance recording_id=%s reason=%s", recording_id, error)
        finally:
            if not_before is not None and not self._is_live(recording_id):
                not_before = None
            store.release(self._db, recording_id, self._owner, not_before)

    def compose(self, recording_id: RecordingId, halted: threading.Event | None = None) -> None:
        """Lease, compose, hand over, report. Nothing when another worker has the lease."""
        halted = halted or threading.Event()
        if not store.lease(self._db, recording_id, self._owner, datetime.now(UTC), LEASE):
            return
        info = store.recording_info(self._db, recording_id)
        if info is None:
            return
        ensure_processing_entry(self._db, info)
        if info.attempts > MAX_ATTEMPTS:
            # Its worker died each time: do not let it take the queue down again.
            self._give_up(info, "its worker was killed each time")
            return
        not_before: datetime | None = None
        interrupted = False
        try:
            result = self._film(info, halted)
            self._complete(info, result, halted)
        except Interrupted as reason:
            not_before, interrupted = datetime.now(UTC) + RETRY, True
            log.info("composition.interrupted recording_id=%s reason=%s", recording_id, reason)
        except (CompositionFailed, OSError) as error:
            log.warning(
                "composition.failed recording_id=%s attempt=%d reason=%s", recording_id, info.attempts, error
            )
            if info.attempts >= MAX_ATTEMPTS:
                self._give_up(info, str(error))
                return
            not_before = datetime.now(UTC) + RETRY * info.attempts
        store.release(self._db, recording_id, self._owner, not_before, uncounted=interrupted)

    def _film(self, info: store.RecordingInfo, halted: threading.Event) -> CompositionResult | None:
        """The film; None for recordings of tracks only."""
        if _options(info).type == "TRACK":
            return None
        task = self._task(info)
        result = compose(task, self._renewer(info.recording_id), halted)
        assert result is not None, "a closed recording is composed to its end"
        return result

    def _task(self, info: store.RecordingInfo, *, follow: bool = False, parts: int = 0) -> Task:
        journal = self._settings.recordings_dir / info.recording_id
        wanted = _options(info)
        options = replace(self._composite(wanted, journal, info.time_zone), stem=_stem(info, wanted))
        return Task(journal, journal / "result", options, follow, parts, self._settings.cpu_share)

    def _composite(
        self, options: RecordingOptions, folder: Path, time_zone: str, fixed_layout: bool = False
    ) -> CompositeOptions:
        picture = ""
        if options.watermark is not None:
            picture = str(folder / WATERMARK)
            try:
                fetch(options.watermark.url, Path(picture), allow_private=self._settings.private_pictures)
            except (PictureRefused, OSError) as error:
                log.warning("watermark.refused reason=%s", error)
        return CompositeOptions(
            options,
            watermark_file=picture,
            fixed_layout=fixed_layout,
            time_zone=time_zone,
            **self._settings.encoder,
        )

    def _renewer(self, recording_id: RecordingId) -> Callable[[Progress], bool]:
        def renew(progress: Progress) -> bool:
            until = datetime.now(UTC) + LEASE
            job = self._jobs.get(recording_id)
            if progress.eta_s is not None and not progress.live:
                self._pace.learn(progress.total_s - progress.composed_s, progress.eta_s)
                if job is not None:
                    job.eta_s = progress.eta_s
            return store.renew(
                self._db,
                recording_id,
                self._owner,
                until,
                0.0 if progress.live else progress.share,
                progress.composed_s,
                eta(progress),
            )

        return renew

    def _is_live(self, recording_id: RecordingId) -> bool:
        status = store.status_of(self._db, recording_id)
        return status is not None and status.is_live

    def _await_closed(self, recording_id: RecordingId, halted: threading.Event) -> bool:
        """The journal is closed a moment before the session hears of it. False: it never did."""
        deadline = time.monotonic() + REPORTED_S
        while time.monotonic() < deadline:
            if store.status_of(self._db, recording_id) is RecordingStatus.UPLOADING:
                return True
            if halted.wait(0.1):
                raise Interrupted("the worker is stopping")
        return False

    # -- handing over ------------------------------------------------------------------------------------------

    def _complete(
        self, info: store.RecordingInfo, result: CompositionResult | None, halted: threading.Event
    ) -> None:
        """By-products, library, report. Raises Interrupted or OSError; then all of it can be done again."""
        key = info.recording_id
        began = time.monotonic()
        journal = self._settings.recordings_dir / key
        out = journal / "result"
        film = out / result.path if result is not None else None
        made = by_products(journal, out, film, self._renewer(key), halted)
        facts = _facts(result, made)
        ensure_processing_entry(self._db, info)
        entry_id = take(self._db, self._settings.library_dir, info, out, facts, self._settings.retention)
        store.write_facts(
            self._db, key, size_bytes=facts.size_bytes, file_name=facts.file_name, journal_path=key
        )
        duration_s = facts.duration_s if result is not None else None
        self._report(info, ReportRecording(key, "UPLOADED", duration_s=duration_s, entry_id=entry_id))
        shutil.rmtree(out, ignore_errors=True)
        composed_s = result.seconds if result is not None else 0.0
        log.info("composition.done recording_id=%s seconds=%.1f", key, composed_s + time.monotonic() - began)

    def _give_up(self, info: store.RecordingInfo, reason: str) -> None:
        error = (
            f"The recording couldn’t be processed after {MAX_ATTEMPTS} attempts: {reason[:300]}. "
            "The captured data is kept for a while. Process it again with “sideroom recording retry”."
        )
        mark_failed(self._db, info)
        self._report(info, ReportRecording(info.recording_id, "ERRORED", error=error))
        store.release(self._db, info.recording_id, self._owner)

    def _report_film(self, asked: Requested, file_name: str, error: str | None) -> None:
        """Tell what became of a film that was asked for afterwards."""
        info = store.recording_info(self._db, asked.recording_id)
        if info is not None:
            self._report(info, ReportFilm(asked.recording_id, asked.composition_id, file_name, error))

    def _report(self, info: store.RecordingInfo, command: ReportRecording | ReportFilm) -> None:
        command_id = CommandId(f"jobs:{info.recording_id}:{uuid4().hex}")
        try:
            self._rooms.submit(Envelope(command_id, info.session_id, SYSTEM, command))
        except DomainError as error:
            log.warning("recording.report_refused code=%s recording_id=%s", error.code, info.recording_id)


def _stem(info: store.RecordingInfo, options: RecordingOptions) -> str:
    """``PREFIX_ROOM_TIMESTAMP`` (Unix time in milliseconds) where a prefix is asked for; ASCII, at most 130 characters."""
    if not options.file_name_prefix:
        return "recording"
    letters = unicodedata.normalize("NFKD", info.room_name).encode("ascii", "ignore").decode()
    room = re.sub(r"[^A-Za-z0-9]+", "-", letters).strip("-")[:50] or "room"
    return f"{options.file_name_prefix}_{room}_{round(info.invoked_at.timestamp() * 1000)}"


def _options(info: store.RecordingInfo) -> RecordingOptions:
    try:
        return options_from_json(info.options)
    except BadOption as error:
        log.warning("recording.options_unusable recording_id=%s field=%s", info.recording_id, error.field)
        return RecordingOptions()


def _facts(result: CompositionResult | None, made: ByProducts) -> CompositionFacts:
    """What the library is told; a recording of tracks has its first track as its file."""
    if result is None:
        first = next((file for file in made.files if file.kind in ("track_audio", "track_video")), None)
        return CompositionFacts(
            file_name=first.name if first is not None else "",
            duration_s=first.duration_s if first is not None else 0.0,
            width=0,
            height=0,
            size_bytes=sum(file.size_bytes for file in made.files),
            sha256=first.sha256 if first is not None else "",
            mime=first.mime if first is not None else "audio/webm",
            warnings=tuple(made.warnings if made.files else [*made.warnings, "nobody sent anything"]),
            quality=dict(made.quality),
            files=tuple(made.files),
        )
    quality = {key: value for key, value in asdict(result).items() if key not in NOT_IN_QUALITY}
    return CompositionFacts(
        file_name=result.path,
        duration_s=result.duration_s,
        width=result.width,
        height=result.height,
        size_bytes=result.size_bytes,
        sha256=result.sha256,
        mime=result.mime,
        thumbnail=result.thumbnail or None,
        warnings=tuple(dict.fromkeys([*result.warnings, *made.warnings])),
        quality={**made.quality, **quality},
        files=tuple(made.files),
    )
