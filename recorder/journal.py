"""The journal of one recording: a folder with a manifest (JSON lines) and logs of encoded frames. Append only.

``manifest.jsonl``: what happened, one JSON object a line, ``k`` its kind, ``at`` Unix time in microseconds.
``media-NNNN.log``: frames of all tracks in order of arrival; each run of the recorder begins a new file. One record:
``u32 size · u32 segment · u8 flags · i64 rtp · u64 arrival_us`` (big-endian) and the frame's bytes. A torn last line or record is
ignored, so that the journal is readable after a kill at any point. A segment is a run of one source with one codec and SSRC;
``rtp`` is its extended RTP time.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

MANIFEST: Final = "manifest.jsonl"
VERSION: Final = 1
RECORD: Final = struct.Struct("!IIBqQ")
KEY, AFTER_LOSS = 1, 2
MAX_PENDING: Final = 8 << 20
"""Bytes kept in memory while the disk refuses; beyond it frames are dropped and the gap is marked."""
MAX_FILE: Final = 256 << 20
LAST_BYTES: Final = 64 << 10
"""More than any line of a manifest is long."""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One encoded frame as journalled."""

    segment: int
    flags: int
    rtp: int
    arrival_us: int
    data: bytes

    @property
    def key(self) -> bool:
        return bool(self.flags & KEY)


class JournalWriter:
    """Writes one journal. Not thread-safe, except that ``sync`` may run on another thread.

    Raises OSError when the disk refuses; what was not written stays pending and is tried again by the next ``flush``.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._manifest = os.open(folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines = bytearray()
        self._frames = bytearray()
        self._media = -1
        self._media_size = 0
        self._dirty = False
        self.dropped = 0
        if _is_torn(folder / MANIFEST):
            self._lines += b"\n"

    def note(self, kind: str, at_us: int, **facts: Any) -> None:
        """Append one line to the manifest (written by the next ``flush``)."""
        line = {"k": kind, "at": at_us, **facts}
        self._lines += json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    def frame(self, segment: int, flags: int, rtp: int, arrival_us: int, data: bytes) -> bool:
        """Append one encoded frame. False: the disk has refused for so long that it was dropped."""
        if len(self._frames) > MAX_PENDING:
            self.dropped += 1
            return False
        self._frames += RECORD.pack(len(data), segment, flags, rtp, arrival_us)
        self._frames += data
        return True

    @property
    def pending(self) -> int:
        return len(self._frames) + len(self._lines)

    def flush(self) -> None:
        """Hand everything to the operating system: a killed process loses nothing of it."""
        while self._lines:
            del self._lines[: os.write(self._manifest, self._lines)]
            self._dirty = True
        if not self._frames:
            return
        if self._media < 0 or self._media_size > MAX_FILE:
            self._next_file()
        while self._frames:
            written = os.write(self._media, self._frames)
            del self._frames[:written]
            self._media_size += written
            self._dirty = True

    def _next_file(self) -> None:
        if self._media >= 0:
            os.close(self._media)
        number = len(media_files(self.folder)) + 1
        path = self.folder / f"media-{number:04d}.log"
        self._media = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._media_size = 0

    def sync(self) -> None:
        """Make it survive a loss of power."""
        if not self._dirty:
            return
        self._dirty = False
        for descriptor in (self._manifest, self._media):
            if descriptor >= 0:
                os.fsync(descriptor)

    def close(self) -> None:
        """Write, sync and close. The descriptors are closed also when the disk refuses."""
        try:
            self.flush()
            self.sync()
        finally:
            for descriptor in (self._manifest, self._media):
                if descriptor >= 0:
                    os.close(descriptor)
            self._manifest = self._media = -1


def _is_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def media_files(folder: Path) -> list[Path]:
    """The journal's frame logs, oldest first."""
    return sorted(folder.glob("media-*.log"))


def read_manifest(folder: Path) -> list[Line]:
    """The manifest's lines. Torn lines (a kill, a power cut) are left out. Raises FileNotFoundError."""
    return parse_manifest((folder / MANIFEST).read_bytes())


def is_closed(folder: Path) -> bool:
    """True when the manifest's last line says that the recording has stopped."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LAST_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return False
    last = _line(lines[-1]) if lines else None
    return last is not None and last["k"] == "stop"


def stream_manifest(folder: Path, without: tuple[str, ...] = ()) -> Iterator[Line]:
    """The lines of ``read_manifest``, one after the other: a day's manifest need not fit into memory.

    Lines of the kinds ``without`` are passed over unread, which is much faster.
    """
    passed = tuple(f'{{"k":"{kind}",'.encode() for kind in without)
    with (folder / MANIFEST).open("rb") as file:
        for raw in file:
            if passed and raw.startswith(passed):
                continue
            line = _line(raw)
            if line is not None:
                yield line


def parse_manifest(data: bytes) -> list[Line]:
    """See ``read_manifest``."""
    return [line for raw in data.split(b"\n") if (line := _line(raw)) is not None]


def _line(raw: bytes) -> Line | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "k" in line and isinstance(line.get("at"), int) else None


class ManifestReader:
    """Reads a manifest that may still grow; only what is new is held. Raises FileNotFoundError when there is none."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / MANIFEST).open("rb")

    def new_lines(self) -> Iterator[Line]:
        """The whole lines since the last call; one that is still being written is left for the next."""
        while True:
            at = self._file.tell()
            raw = self._file.readline()
            if not raw.endswith(b"\n"):
                self._file.seek(at)
                return
            line = _line(raw)
            if line is not None:
                yield line

    def rest(self) -> Iterator[Line]:
        """``new_lines`` and a last line that was never ended: for a journal that nobody writes any more."""
        yield from self.new_lines()
        line = _line(self._file.read())
        if line is not None:
            yield line

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a record stands: the number of its file (from 1) and the offset in it."""

    file: int = 1
    offset: int = 0


class RecordReader:
    """Reads frames in the order written, from a position on, also of a journal that still grows. Streams."""

    def __init__(self, folder: Path, position: Position = Position()) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._next = position
        self.at = position
        """Where the record stands that ``next`` gave last."""

    def next(self) -> Record | None:
        """The next whole record; None at the present end (ask again when the journal has grown)."""
        while True:
            record = self._read()
            if record is not None:
                return record
            if not self._path(self._next.file + 1).exists():
                return None
            # The next file was begun after the last write to this one: what is whole by now is all there will be.
            record = self._read()
            if record is not None:
                return record
            self.close()
            self._next = Position(self._next.file + 1, 0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self, number: int) -> Path:
        return self._folder / f"media-{number:04d}.log"

    def _read(self) -> Record | None:
        if self._file is None:
            try:
                self._file = self._path(self._next.file).open("rb", buffering=1 << 20)
            except FileNotFoundError:
                return None
            self._file.seek(self._next.offset)
        head = self._file.read(RECORD.size)
        if len(head) == RECORD.size:
            size, segment, flags, rtp, arrival_us = RECORD.unpack(head)
            data = self._file.read(size)
            if len(data) == size:
                self.at = self._next
                self._next = Position(self.at.file, self.at.offset + RECORD.size + size)
                return Record(segment, flags, rtp, arrival_us, data)
        self._file.seek(self._next.offset)
        return None


def read_records(folder: Path) -> Iterator[Record]:
    """All frames in the order written; a torn last record of each file is left out. Streams."""
    reader = RecordReader(folder)
    try:
        while (record := reader.next()) is not None:
            yield record
    finally:
        reader.close()
