"""The journal of one recording: a folder with a manifest (JSON lines) and logs of encoded frames. Append only.

``manifest.jsonl``: what happened, one JSON object a line, ``k`` its kind, ``at`` Unix time in microseconds.
``media-NNNN.log``: frames of all tracks in order of arrival; each run of the recorder begins a new file. One record:
``u32 size · u32 segment · u8 flags · i64 rtp · u64 arrival_us`` (big-endian) and the frame's bytes. A torn last line or record is
ignored, so that the journal is readable after a kill at any point; what a disk has spoilt in the middle costs no more than what
stands there. A segment is a run of one source with one codec and SSRC; ``rtp`` is its extended RTP time.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
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
MAX_RECORD: Final = 4 << 20
"""Bytes of one frame; none is that large."""
SEARCHED: Final = 2 * MAX_RECORD
"""Bytes behind a spoilt record in which the next whole one is looked for."""
DAY_US: Final = 86_400_000_000
MISPLACED_US: Final = 10_000_000
"""A frame that says it came so much later than the one behind it has a wrong time."""
CHECK: Final = "x"
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
        torn = _is_torn(folder / MANIFEST)
        self._manifest_size = (folder / MANIFEST).stat().st_size if (folder / MANIFEST).exists() else 0
        self._manifest = os.open(folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines = bytearray()
        self._frames = bytearray()
        self._media = -1
        self._media_number = _last_number(folder)
        self._media_size = 0
        self._dirty = False
        self.dropped = 0
        if torn:
            self._lines += b"\n"

    def note(self, kind: str, at_us: int, **facts: Any) -> None:
        """Append one line to the manifest (written by the next ``flush``)."""
        line = {"k": kind, "at": at_us, **facts}
        raw = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
        self._lines += b'%s,"%s":"%08x"}\n' % (raw[:-1], CHECK.encode(), zlib.crc32(raw[:-1]))

    def frame(self, segment: int, flags: int, rtp: int, arrival_us: int, data: bytes) -> bool:
        """Append one encoded frame. False: the disk has refused for so long that it was dropped."""
        if len(self._frames) > MAX_PENDING or len(data) > MAX_RECORD:
            self.dropped += 1
            return False
        self._frames += RECORD.pack(len(data), segment, flags, rtp, arrival_us)
        self._frames += data
        return True

    @property
    def pending(self) -> int:
        return len(self._frames) + len(self._lines)

    def flush(self) -> None:
        """Hand everything to the operating system: a killed process loses nothing of it.

        Frames come first: whoever reads along takes what lines tell of for complete.
        """
        if self._frames and (self._media < 0 or self._media_size > MAX_FILE):
            self._next_file()
        while self._frames:
            written = os.write(self._media, self._frames)
            del self._frames[:written]
            self._media_size += written
            self._dirty = True
        while self._lines:
            written = os.write(self._manifest, self._lines)
            del self._lines[:written]
            self._manifest_size += written
            self._dirty = True

    @property
    def written(self) -> tuple[tuple[int, int], int]:
        """Where the next frame will stand (file, offset), and the manifest's size."""
        if self._media < 0:
            return (self._media_number + 1, 0), self._manifest_size
        return (self._media_number, self._media_size), self._manifest_size

    def _next_file(self) -> None:
        if self._media >= 0:
            # Forgotten first: should the disk refuse the next file, this descriptor must not be closed again.
            full, self._media = self._media, -1
            os.close(full)
        path = media_path(self.folder, self._media_number + 1)
        self._media = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._media_number += 1
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
    if not path.exists():
        return False
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def media_path(folder: Path, number: int) -> Path:
    """The journal's frame log of that number."""
    return folder / f"media-{number:04d}.log"


def media_files(folder: Path) -> list[Path]:
    """The journal's frame logs, oldest first."""
    return sorted(folder.glob("media-*.log"))


def _last_number(folder: Path) -> int:
    """Of the newest frame log; 0: there is none."""
    files = media_files(folder)
    return int(files[-1].stem.removeprefix("media-")) if files else 0


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
    if not (isinstance(line, dict) and "k" in line and isinstance(line.get("at"), int)):
        return None
    check = line.pop(CHECK, None)
    if check is not None and check != f"{zlib.crc32(raw[: raw.rindex(b',')]):08x}":
        return None  # the disk has spoilt it
    return line


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
        self._ahead = b""
        self.at = position
        """Where the record stands that ``next`` gave last."""
        self.spoilt = 0
        """Bytes that were passed over because they are no frames (any more)."""

    def next(self) -> Record | None:
        """The next whole record; None at the present end (ask again when the journal has grown)."""
        while True:
            record = self._read()
            if record is not None:
                return record
            if _last_number(self._folder) <= self._next.file:
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

    def _read(self) -> Record | None:
        if self._file is None:
            try:
                self._file = media_path(self._folder, self._next.file).open("rb", buffering=1 << 20)
            except FileNotFoundError:
                return None
            self._seek(self._next.offset)
        while True:
            start = self._next.offset
            head = self._ahead or self._file.read(RECORD.size)
            self._ahead = b""
            if len(head) < RECORD.size:
                self._seek(start)
                return None
            size, segment, flags, rtp, arrival_us = RECORD.unpack(head)
            data = self._file.read(size) if _is_sane(head) else b""
            is_whole = _is_sane(head) and len(data) == size
            end = start + RECORD.size + size
            self._ahead = self._file.read(RECORD.size) if is_whole else b""
            found = end if is_whole and _follows(head, self._ahead) else self._search(start)
            if found is None and is_whole:
                found = end  # what stands behind it may become whole
            if found is None:
                self._seek(start)
                return None
            if found != end or len(self._ahead) < RECORD.size:
                self._seek(found)
            self._next = Position(self._next.file, found)
            is_misplaced = self._ahead and arrival_us - RECORD.unpack(self._ahead)[4] > MISPLACED_US
            if is_whole and found >= end and not is_misplaced:
                self.at = Position(self._next.file, start)
                self.spoilt += found - end
                return Record(segment, flags, rtp, arrival_us, data)
            self.spoilt += found - start

    def _seek(self, offset: int) -> None:
        assert self._file is not None
        self._file.seek(offset)
        self._ahead = b""

    def _search(self, start: int) -> int | None:
        """Where the next whole record begins behind one that is spoilt at ``start``; None: what stands there is only torn."""
        assert self._file is not None
        self._file.seek(start)
        data = self._file.read(SEARCHED)
        # Two times in a row that are less than a day apart are no accident: look for the bytes that such times share.
        for at in range(1, len(data) - RECORD.size):
            if data[at] or data[at + ARRIVAL]:
                continue  # sizes and times have a zero in front
            head = data[at : at + RECORD.size]
            if not _is_sane(head):
                continue
            end = at + RECORD.size + int(RECORD.unpack(head)[0])
            if end == len(data) or _follows(head, data[end : end + RECORD.size], surely=True):
                return start + at
        return None


ARRIVAL: Final = RECORD.size - 8
"""Where the time of arrival stands in a record's head."""


def _is_sane(head: bytes) -> bool:
    size, segment, flags, _, arrival_us = RECORD.unpack(head)
    return bool(size <= MAX_RECORD and flags <= KEY | AFTER_LOSS and segment < 1 << 24 and arrival_us > 0)


def _follows(head: bytes, ahead: bytes, surely: bool = False) -> bool:
    """Whether the head ``ahead`` may stand behind the record of ``head``. A cut one: only if it need not be sure."""
    if len(ahead) < RECORD.size:
        return not surely
    apart: int = RECORD.unpack(ahead)[4] - RECORD.unpack(head)[4]
    return _is_sane(ahead) and abs(apart) < DAY_US


def read_records(folder: Path) -> Iterator[Record]:
    """All frames in the order written; a torn last record of each file is left out. Streams."""
    reader = RecordReader(folder)
    try:
        while (record := reader.next()) is not None:
            yield record
    finally:
        reader.close()
