"""What the recorder needs to know. ``server`` builds it; ``python -m recorder`` builds it from ``SIDEROOM_*``."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """``recordings_dir`` holds one journal folder a recording, named by its id; ``db_url`` is a SQLAlchemy URL."""

    db_url: str
    recordings_dir: Path
    tap_host: str = "127.0.0.1"
    tap_port: int = 40002
    tap_secret: str = ""
    """Shared with the media worker: the site secret's key for the purpose ``tap``."""
    fsync_s: float = 1.0
    """At most this much is lost when the machine loses power; a killed process loses less."""
    give_up_s: float = 10.0
    """A journal that cannot be written for so long makes its recording ERRORED."""


def from_environment(environ: Mapping[str, str] | None = None) -> RecorderSettings:
    """Settings from ``SIDEROOM_DATA_DIR``, ``_DATABASE_URL``, ``_TAP_PORT`` and ``_SECRET`` (or ``_SECRET_FILE``).

    Without a secret in the environment the one that the server keeps in the data folder is read.
    """
    values = os.environ if environ is None else environ
    data = Path(values.get("SIDEROOM_DATA_DIR", "var")).resolve()
    secret_file = Path(values.get("SIDEROOM_SECRET_FILE") or data / "secret")
    secret = values.get("SIDEROOM_SECRET", "")
    if not secret and secret_file.is_file():
        secret = secret_file.read_text(encoding="utf-8").strip()
    return RecorderSettings(
        db_url=values.get("SIDEROOM_DATABASE_URL") or f"sqlite:///{data / 'sideroom.db'}",
        recordings_dir=data / "recordings",
        tap_port=int(values.get("SIDEROOM_TAP_PORT", "40002")),
        tap_secret=hmac.new(secret.encode(), b"tap", sha256).hexdigest(),
    )
