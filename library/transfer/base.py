"""What every target of copies has in common: the protocol, its errors, progress that survives a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol


class TransferFailed(OSError):
    """A copy did not come about; the text says what happened and what to do. Trying again later may help."""


class Interrupted(Exception):
    """The copy is to stop now: the process ends or another worker has taken over. Raised by ``Progress.save``."""


class Progress(Protocol):
    """What a target remembers of an unfinished copy, and how far it came."""

    state: dict[str, Any]
    """What was saved last, {} at the beginning."""

    def save(self, state: dict[str, Any], copied_bytes: int) -> None:
        """Keep ``state`` (JSON values) for a later try. Raises Interrupted."""
        ...


class Forget:
    """Progress that nobody needs later."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def save(self, state: dict[str, Any], copied_bytes: int) -> None:
        self.state = state


class Target(Protocol):
    """A place to which files are copied. Names are relative paths. Everything may raise TransferFailed."""

    def put(
        self, source: Path, name: str, sha256: str, progress: Progress | None = None, mime: str = ""
    ) -> str:
        """Copy ``source`` there as ``name``, confirm size and SHA-256 (hex) and return its address.

        Safe to repeat; goes on where ``progress`` says. When it fails, ``name`` is absent there or as it was.
        """
        ...

    def size(self, name: str) -> int | None:
        """Size in bytes of what is there; None when there is nothing."""
        ...

    def read(self, name: str, start: int, length: int) -> Iterator[bytes]:
        """``length`` bytes from ``start`` on, in pieces."""
        ...

    def delete(self, name: str) -> None:
        """Delete a copy; what is gone already is fine."""
        ...

    def forget(self, name: str, state: dict[str, Any]) -> None:
        """Give up an unfinished copy that left ``state`` behind."""
        ...

    def link(self, name: str, life_s: int, download_name: str) -> str | None:
        """An address that gives the file to anybody for ``life_s`` seconds, as a download. None: there is none."""
        ...


CHANGED = "The local file has changed (its checksum differs), so it wasn’t copied. Check this server’s disk."

PIECE = 256 * 1024
"""Bytes a read gives at once."""


def part_bytes(size_bytes: int, least: int, most_parts: int) -> int:
    """Size of a part such that a file has at most ``most_parts`` of them; whole MiB, at least ``least``."""
    mebibyte = 1024 * 1024
    return max(least, -(-size_bytes // most_parts // mebibyte) * mebibyte)
