"""What a recorder needs to go on exactly where a killed one stood: written beside the journal after each of its writes.

Two slots are written in turn, each with a checksum, so that a kill in the middle of a write leaves the one before. The file is
not synced: after a loss of power it may be missing, older or newer than the journal, which ``read_state`` notices.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any, Final

from recorder.journal import MANIFEST, Position, media_path

FILE: Final = "resume.state"
SLOT: Final = 256 << 10
_HEAD: Final = struct.Struct("!QII")
State = dict[str, Any]


class StateWriter:
    """Writes one journal's state. OSError: the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT, 0o600)
        self._number = (_newest(folder) or (0, {}))[0]

    def write(self, state: State) -> None:
        data = json.dumps(state, separators=(",", ":")).encode()
        if len(data) > SLOT - _HEAD.size:
            data = b"{}"  # too many sources at once to go on exactly
        self._number += 1
        head = _HEAD.pack(self._number, len(data), zlib.crc32(data))
        os.pwrite(self._file, head + data, (self._number % 2) * SLOT)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_state(folder: Path) -> State | None:
    """The newest state that fits what stands in the journal; None: there is none."""
    found = _newest(folder)
    if found is None:
        return None
    state = found[1]
    try:
        place = Position(*state["media"])
        if (folder / MANIFEST).stat().st_size < int(state["manifest"]):
            return None
        if place.offset and media_path(folder, place.file).stat().st_size < place.offset:
            return None
    except (KeyError, TypeError, ValueError, OSError):
        return None
    return state


def _newest(folder: Path) -> tuple[int, State] | None:
    try:
        data = (folder / FILE).read_bytes()
    except OSError:
        return None
    found = [slot for start in (0, SLOT) if (slot := _slot(data[start : start + SLOT])) is not None]
    return max(found, key=lambda slot: slot[0], default=None)


def _slot(data: bytes) -> tuple[int, State] | None:
    if len(data) < _HEAD.size:
        return None
    number, size, check = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + size]
    if not number or len(body) != size or zlib.crc32(body) != check:
        return None
    try:
        state = json.loads(body)
    except ValueError:
        return None
    return (number, state) if isinstance(state, dict) else None
