"""Takes a person's own file into the library: received whole, opened to see what it is, then placed in one step."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from foundation.text import cut
from library.intake import place
from library.media import MAX_TITLE_CHARS, plain_title, remove_files
from models.store import library as store
from models.store.access import Access
from models.store.database import Database
from models.store.media_files import MediaFile
from models.store.people import is_preview
from models.values import EntryId, Role
from rooms.errors import DomainError

log = logging.getLogger("sideroom.library")
PROBE_S = 60
PIECE = 1024 * 1024
LOOK_EVERY = 64 * 1024 * 1024
AT_ONCE = 12
OF_ONE = 2
"""How many uploads are taken at the same time, in all and of one person."""
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
    """``root`` is the library's folder; files over ``max_bytes`` are refused, and those of a person over ``quota_bytes`` in
    all (0: no quota). ``retention``: how long uploads are kept, None: for ever. ``keep_free_bytes`` of the disk are left
    for recordings."""

    db: Database
    root: Path
    max_bytes: int
    retention: timedelta | None = None
    quota_bytes: int = 0
    keep_free_bytes: int = 2 * 1024**3
    _busy: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(
        self, access: Access, source: IO[bytes], name: str, title: str, length: int | None = None
    ) -> EntryId:
        """Read ``source`` to its end and make an entry of it in the person's My Media. Raises DomainError.

        ``name`` is the file's own name, from which an empty ``title`` is made; ``length`` is how much there will be, if
        that is known: what cannot be taken is refused before it is sent.
        """
        if is_preview(self.db, access.course_id, access.person_id):
            raise DomainError(
                "not_allowed",
                "A preview doesn’t keep anything. Leave the preview in the LMS, then upload the file.",
            )
        if access.role is Role.GUEST:
            raise DomainError(
                "not_allowed", "Guests don’t have My Media. Sign in to the LMS to upload files."
            )
        if length is not None and length > self.max_bytes:
            raise too_large(self.max_bytes)
        with self._one_of_few(access.person_id):
            self._check_room(access, length or 1)
            folder = self._waiting_room() / uuid4().hex
            folder.mkdir()
            try:
                digest, size = self._receive(access, source, folder / "file")
                facts = _probe(folder / "file", folder / "thumbnail.jpg")
                return self._place(access, folder, facts, digest, size, _title(title, name))
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _one_of_few(self, person_id: str) -> Iterator[None]:
        """An upload over a slow line holds a thread of the server for as long as it takes."""
        with self._lock:
            if self._busy[person_id] >= OF_ONE or self._busy.total() >= AT_ONCE:
                raise DomainError(
                    "rate_limited", "Other uploads are in progress. Wait until one finishes, then try again."
                )
            self._busy[person_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy[person_id] -= 1
                if not self._busy[person_id]:
                    del self._busy[person_id]

    def _check_room(self, access: Access, more: int) -> None:
        """Raises ``too_many`` when the person's quota, ``internal`` when the disk has no room for ``more`` bytes."""
        if self.quota_bytes and store.uploaded_bytes(self.db, access.person_id) + more > self.quota_bytes:
            raise _over_quota(self.quota_bytes)
        if shutil.disk_usage(self.root).free - more < self.keep_free_bytes:
            log.error("library.disk_full")
            raise DomainError("internal", "The server has no space for this file. Tell your administrator.")

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

    def _receive(self, access: Access, source: IO[bytes], path: Path) -> tuple[str, int]:
        digest, size, looked = hashlib.sha256(), 0, 0
        try:
            with path.open("wb") as out:
                while piece := source.read(PIECE):
                    size += len(piece)
                    if size > self.max_bytes:
                        raise too_large(self.max_bytes)
                    if size - looked > LOOK_EVERY:
                        looked = size
                        self._check_room(access, size)
                    digest.update(piece)
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            log.error("library.upload_failed error=%s", type(error).__name__)
            raise DomainError(
                "internal", "The server couldn’t store the file. Tell your administrator."
            ) from error
        return digest.hexdigest(), size

    def _place(
        self, access: Access, folder: Path, facts: dict[str, Any], digest: str, size: int, title: str
    ) -> EntryId:
        entry_id = EntryId("e" + uuid4().hex[:20])
        name, mime = NAMES[facts["container"], facts["video"]]
        thumbnail = "thumbnail.jpg" if facts.get("thumbnail") else None
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
        kind = "composite" if facts["video"] else "audio"
        files = [MediaFile(name, kind, mime, size, digest, float(facts["duration_s"]))]  # type: ignore[arg-type]
        if thumbnail:
            files.append(MediaFile(thumbnail, "thumbnail", "image/jpeg", (folder / thumbnail).stat().st_size))
        target = self.root / entry_id
        target.mkdir()
        place(folder / "file", target / name)
        if thumbnail:
            place(folder / thumbnail, target / thumbnail)
        if not store.add_upload(self.db, entry_id, values, files, self.quota_bytes):
            remove_files(self.root, entry_id)
            raise _over_quota(self.quota_bytes)
        log.info("library.uploaded entry_id=%s size_bytes=%d", entry_id, size)
        return entry_id


def _over_quota(quota_bytes: int) -> DomainError:
    limit = quota_bytes // (1024 * 1024)
    return DomainError(
        "too_many", f"Your uploads would exceed {limit} MB in total. Delete some in My Media first."
    )


def too_large(max_bytes: int) -> DomainError:
    limit = max_bytes // (1024 * 1024)
    return DomainError(
        "bad_value", f"This file is larger than {limit} MB. Make it smaller first.", field="file"
    )


def _title(title: str, name: str) -> str:
    kept = plain_title(title) or plain_title(Path(name.replace("\\", "/")).stem)
    return cut(kept, MAX_TITLE_CHARS, most_bytes=4 * MAX_TITLE_CHARS).rstrip() or "Upload"


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
            "bad_value", problem or "This file is damaged and couldn’t be opened.", field="file"
        )
    return facts
