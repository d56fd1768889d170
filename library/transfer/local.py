"""Copies to a folder of this machine, for example a mounted share."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from library.transfer.base import CHANGED, PIECE, Forget, Progress, TransferFailed

SAVE_EVERY_BYTES: Final = 8 * 1024 * 1024


class LocalTarget:
    """``folder`` must exist: an unmounted share must not be filled on the wrong disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(
        self, source: Path, name: str, sha256: str, progress: Progress | None = None, mime: str = ""
    ) -> str:
        """See ``Target.put``. What is read back after the copy must have the checksum. A killed copy begins again."""
        kept = progress or Forget()
        target = self._path(name)
        part = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                size = _copy(source, part, kept)
                with part.open("rb") as written:
                    found = hashlib.file_digest(written, "sha256").hexdigest()
                if found != sha256:
                    raise TransferFailed(f"{CHANGED} The copy was discarded.")
                os.replace(part, target)
            finally:
                part.unlink(missing_ok=True)
        except TransferFailed:
            raise
        except OSError as error:
            raise TransferFailed(_reason(error, self._folder)) from error
        kept.save({}, size)
        return target.as_uri()

    def _path(self, name: str) -> Path:
        if not self._folder.is_dir():
            raise TransferFailed(f"The storage folder {self._folder} is missing. Check that it’s mounted.")
        target = (self._folder / name).resolve()
        if not target.is_relative_to(self._folder.resolve()) or target == self._folder.resolve():
            raise ValueError("a copy’s name must stay inside its storage folder")
        return target

    def size(self, name: str) -> int | None:
        path = self._path(name)
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str, start: int, length: int) -> Iterator[bytes]:
        with self._path(name).open("rb") as file:
            file.seek(start)
            while length > 0 and (data := file.read(min(PIECE, length))):
                length -= len(data)
                yield data

    def delete(self, name: str) -> None:
        path = self._path(name)
        path.unlink(missing_ok=True)
        if path.parent != self._folder.resolve():
            try:
                path.parent.rmdir()
            except OSError:
                return  # other files are still in it, or it is gone already

    def forget(self, name: str, state: dict[str, Any]) -> None:
        path = self._path(name)
        path.with_name(f".{path.name}.part").unlink(missing_ok=True)

    def link(self, name: str, life_s: int, download_name: str) -> str | None:
        """A folder has no addresses for browsers."""
        return None


def _copy(source: Path, part: Path, kept: Progress) -> int:
    copied = saved = 0
    with source.open("rb") as reading, part.open("wb") as writing:
        while data := reading.read(PIECE):
            writing.write(data)
            copied += len(data)
            if copied - saved >= SAVE_EVERY_BYTES:
                saved = copied
                kept.save({}, copied)
        writing.flush()
        os.fsync(writing.fileno())
    return copied


def _reason(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The storage folder {folder} is full. Free up space there."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The storage folder {folder} isn’t writable. Give this service’s user write access."
    return f"The storage folder {folder} couldn’t be used ({error.strerror}). Check the disk."
