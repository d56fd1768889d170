"""Copies to a folder of this machine, for example a mounted share."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4


class LocalTarget:
    """``folder`` must exist: an unmounted share must not be filled on the wrong disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def from_config(cls, config: Mapping[str, str]) -> LocalTarget:
        """From ``{"path"}``, an absolute folder."""
        if set(config) != {"path"} or not Path(config["path"]).is_absolute():
            raise ValueError("local storage needs “path”, an absolute folder, and nothing else")
        return cls(Path(config["path"]))

    def put(self, source: Path, name: str, sha256: str) -> str:
        """See ``library.transfer.Target``. What is read back after the copy must have the checksum."""
        if not self._folder.is_dir():
            raise FileNotFoundError(f"storage folder {self._folder} is missing; is it mounted?")
        target = (self._folder / name).resolve()
        if not target.is_relative_to(self._folder.resolve()) or target == self._folder.resolve():
            raise ValueError("a copy's name must stay inside its storage folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{uuid4().hex}.part")
        try:
            shutil.copyfile(source, part)
            with part.open("rb") as written:
                os.fsync(written.fileno())
                found = hashlib.file_digest(written, "sha256").hexdigest()
            if found != sha256:
                raise OSError("the copy's checksum differs from the recording's")
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        return target.as_uri()
