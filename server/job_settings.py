"""What the job worker needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from server.settings import Settings


@dataclass(frozen=True, slots=True)
class JobSettings:
    """``retention`` of what has no copies; None: kept for ever. ``workers``: compositions at the same time. ``encoder``: fields of CompositeOptions."""

    db_url: str
    recordings_dir: Path
    library_dir: Path
    workers: int = 1
    retention: timedelta | None = None
    journals: timedelta | None = None
    """How long a journal is kept after its film is in the library; None: for ever."""
    encoder: dict[str, Any] = field(default_factory=dict)
    cpu_share: float = 0.8
    """Of one core, for each composition while its recording still runs; 0: compose only afterwards."""
    private_pictures: bool = False
    """Watermarks may come from private addresses (tests)."""
    time_zone: str = ""
    """Of courses whose platform tells none; empty: UTC."""


def from_settings(settings: Settings) -> JobSettings:
    """The job worker's part of the site's settings."""
    return JobSettings(
        db_url=settings.db_url,
        time_zone=settings.time_zone,
        recordings_dir=settings.recordings_dir,
        library_dir=settings.library_dir,
        workers=settings.composers,
        retention=settings.retention_uncopied,
        journals=timedelta(days=settings.journal_days) if settings.journal_days else None,
        cpu_share=settings.composer_cpu / 100,
    )
