"""Takes a person's own file into the library: received whole, opened to see what it is, then placed in one step."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from library.intake import place
from library.media import MAX_TITLE_CHARS
from models.store import library as store
from models.store.access import Access
from models.store.database import Database
from models.store.media_files import MediaFile, save_files
from models.values import EntryId, Role
from rooms.errors import DomainError

log = logging.getLogger("sideroom.library")
PROBE_S = 60
PIECE = 1024 * 1024
LEFT_BEHIND_S = 24 * 3600
NAMES = {
    ("mp4", True): ("video.mp4", "video/mp4"),
    ("webm", True): ("video.webm", "video/webm"),
    ("mp4", False): ("audio.m4a", "audio/mp4"),
    ("webm", False): ("audio.webm", "audio/webm"),
    ("mp3", False): ("audio.mp3", "audio/mpeg"),
}


@dataclass(frozen=True, slots=True)
class Uploads:
    """``root`` is the library's folder; files over ``max_bytes`` are refused; ``retention`` as for recordings."""

    db: Database
    root: Path
    max_bytes: int
    retention: timedelta | None = None

    def take(self, access: Access, source: IO[bytes], name: str, title: str) -> EntryId:
        """Read ``source`` to its end and make an entry of it in the person's My Media. Raises DomainError.

        ``name`` is the file's own name, from which an empty ``title`` is made.
        """
        if access.role is Role.GUEST:
            raise DomainError("not_allowed", "Guests have no My Media.")
        folder = self._waiting_room() / uuid4().hex
        folder.mkdir()
        try:
            digest, size = self._receive(source, folder / "file")
            facts = _probe(folder / "file", folder / "thumbnail.jpg")
            return self._place(access, folder, facts, digest, size, _title(title, name))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _waiting_room(self) -> Path:
        """Where files lie while they arrive, swept of what a killed process left."""
        waiting = self.root / ".uploads"
        waiting.mkdir(parents=True, exist_ok=True)
        for old in waiting.iterdir():
            try:
                if old.stat().st_mtime < time.time() - LEFT_BEHIND_S:
                    shutil.rmtree(old, ignore_errors=True)
            except FileNotFoundError:
                continue  # another upload has just ended
        return waiting

    def _receive(self, source: IO[bytes], path: Path) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("wb") as out:
                while piece := source.read(PIECE):
                    size += len(piece)
                    if size > self.max_bytes:
                        raise too_large(self.max_bytes)
                    digest.update(piece)
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            log.error("library.upload_failed error=%s", type(error).__name__)
            raise DomainError(
                "internal", "The server could not store the file. Tell your administrator."
            ) from error
        return digest.hexdigest(), size

    def _place(
        self, access: Access, folder: Path, facts: dict[str, Any], digest: str, size: int, title: str
    ) -> EntryId:
        entry_id = EntryId("e" + uuid4().hex[:20])
        name, mime = NAMES[facts["container"], facts["video"]]
        thumbnail = "thumbnail.jpg" if facts.get("thumbnail") else None
        target = self.root / entry_id
        target.mkdir()
        place(folder / "file", target / name)
        if thumbnail:
            place(folder / thumbnail, target / thumbnail)
        now = datetime.now(UTC)
        values = {
            "course_id": access.course_id,
            "owner_id": access.person_id,
            "title": title,
            "published": False,
            "status": "ready",
            "path": entry_id,
            "file_name": name,
            "mime": mime,
            "size_bytes": size,
            "duration_s": float(facts["duration_s"]),
            "width": facts["width"],
            "height": facts["height"],
            "sha256": digest,
            "quality": {"warnings": [], "thumbnail": thumbnail, "uploaded": True},
            "recorded_at": now,
            "created_at": now,
            "expires_at": now + self.retention if self.retention is not None else None,
        }
        store.save_entry(self.db, entry_id, values)
        kind = "composite" if facts["video"] else "audio"
        files = [MediaFile(name, kind, mime, size, digest, float(facts["duration_s"]))]  # type: ignore[arg-type]
        if thumbnail:
            files.append(MediaFile(thumbnail, "thumbnail", "image/jpeg", (target / thumbnail).stat().st_size))
        save_files(self.db, entry_id, files)
        log.info("library.uploaded entry_id=%s size_bytes=%d", entry_id, size)
        return entry_id


def too_large(max_bytes: int) -> DomainError:
    limit = max_bytes // (1024 * 1024)
    return DomainError(
        "bad_value", f"This file is larger than {limit} MB. Make it smaller first.", field="file"
    )


def _title(title: str, name: str) -> str:
    clean = " ".join(title.split()) or " ".join(Path(name.replace("\\", "/")).stem.split())
    return clean[:MAX_TITLE_CHARS] or "Upload"


def _probe(path: Path, picture: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "library.probe", str(path), str(picture)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_S, check=False)  # noqa: S603 - our own module
        facts = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        facts = {}
    if not isinstance(facts, dict) or "container" not in facts:
        problem = facts.get("problem") if isinstance(facts, dict) else None
        raise DomainError(
            "bad_value", problem or "This file is damaged and could not be opened.", field="file"
        )
    return facts
