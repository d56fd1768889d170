"""Makes films that were asked for after the first: the same recording in another layout, size or format."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from library.intake import add_film, entry_id_of
from models.recording import BadOption, RecordingOptions
from models.store import compositions as again
from models.store import recordings_jobs as store
from models.store.compositions import CompositionId, Requested, film_options
from models.store.database import Database
from models.store.media_files import MediaFile
from recorder.compose import Progress
from recorder.options import CompositeOptions
from server.composing import (
    LEASE,
    MAX_ATTEMPTS,
    NOT_IN_QUALITY,
    RETRY,
    CompositionFailed,
    Interrupted,
    Task,
    compose,
    eta,
)
from server.job_settings import JobSettings

log = logging.getLogger("sideroom.jobs")
Report = Callable[[Requested, str, str | None], None]
"""What was asked for, the film's file name, or why there is none → everybody who listens is told."""
Composite = Callable[[RecordingOptions, Path, str, bool], CompositeOptions]
"""Options of a recording, its journal, whether the layout is fixed → options of the film."""


class Recomposer:
    """One worker's; ``owner`` names it in leases."""

    def __init__(
        self, settings: JobSettings, db: Database, owner: str, composite: Composite, report: Report
    ) -> None:
        self._settings = settings
        self._db = db
        self._owner = owner
        self._composite = composite
        self._report = report

    def make(self, composition_id: CompositionId, halted: threading.Event) -> None:
        """Make a film that was asked for, and lay it beside the first. Nothing when another worker has it."""
        if not again.lease_composition(self._db, composition_id, self._owner, datetime.now(UTC), LEASE):
            return
        asked = again.get_composition(self._db, composition_id)
        if asked is None:
            return
        if asked.attempts > MAX_ATTEMPTS:
            # Its worker died each time: do not let it take the queue down again.
            self._give_up(asked, "its worker was killed each time")
            return
        try:
            name = self._film(asked, halted)
        except Interrupted:
            again.release_composition(self._db, composition_id, self._owner, uncounted=True)
        except (CompositionFailed, BadOption, LookupError, OSError) as error:
            log.warning("composition.failed composition_id=%s reason=%s", composition_id, error)
            if asked.attempts >= MAX_ATTEMPTS or isinstance(error, LookupError | BadOption):
                self._give_up(asked, str(error.args[0])[:300] if error.args else "unknown")
            else:
                later = datetime.now(UTC) + RETRY * asked.attempts
                again.release_composition(self._db, composition_id, self._owner, later)
        else:
            again.end_composition(self._db, composition_id, self._owner, file_name=name)
            shutil.rmtree(self._folder(asked), ignore_errors=True)
            self._report(asked, name, None)
            log.info("composition.done composition_id=%s", composition_id)

    def _give_up(self, asked: Requested, reason: str) -> None:
        again.end_composition(self._db, asked.composition_id, self._owner, error=reason)
        self._report(asked, "", reason)
        shutil.rmtree(self._folder(asked), ignore_errors=True)

    def _folder(self, asked: Requested) -> Path:
        return self._settings.recordings_dir / asked.recording_id / f"again-{asked.composition_id}"

    def _film(self, asked: Requested, halted: threading.Event) -> str:
        """Returns the file's name in the entry. Raises LookupError when there is nothing to make it from."""
        out = self._folder(asked)
        journal = out.parent
        info = store.recording_info(self._db, asked.recording_id)
        if info is None or not (journal / "manifest.jsonl").exists():
            raise LookupError("The captured data is no longer kept, so no other version can be made.")
        wanted = film_options(info.options, asked.options)
        options = self._composite(wanted, journal, info.time_zone, "layout" in asked.options)

        def renew(progress: Progress) -> bool:
            until = datetime.now(UTC) + LEASE
            return again.renew_composition(
                self._db, asked.composition_id, self._owner, until, progress.share, eta(progress)
            )

        result = compose(Task(journal, out, options), renew, halted)
        assert result is not None, "a closed recording is composed to its end"
        made = Path(result.path)
        name = f"{made.stem}-{wanted.layout}-{asked.composition_id[:7]}{made.suffix}"
        file = MediaFile(
            name,
            "composite" if wanted.export_video else "audio",
            result.mime,
            result.size_bytes,
            result.sha256,
            result.duration_s,
            title=f"{wanted.layout} {wanted.width}×{wanted.height}",
            quality={
                key: value
                for key, value in asdict(result).items()
                if key not in NOT_IN_QUALITY - {"warnings"}
            },
        )
        entry_id = entry_id_of(asked.recording_id)
        if not add_film(self._db, self._settings.library_dir, entry_id, out / result.path, file):
            raise LookupError("The recording isn’t in the library, so another version can’t be added.")
        return name
