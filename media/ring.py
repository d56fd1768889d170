"""What one room's recorder was told, kept until it says that it is safely written: a recorder that was killed asks for it again. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

OVERHEAD: Final = 160
"""Bytes that Python needs for an entry besides its frame."""

Change = tuple[int, dict[str, Any] | None]
"""A track's number, and its announcement or, when it ends, None."""


class Entry(NamedTuple):
    """One frame as it is sent. ``track`` is that of a media packet, else 0."""

    frame: bytes
    arrival_us: int
    track: int
    change: Change | None = None


class Ring:
    """Entries have positions 1, 2, 3 …; those from ``first`` to ``next`` (which is yet to come) are kept."""

    def __init__(self) -> None:
        self.first = 1
        self.next = 1
        self.size_bytes = 0
        self._entries: deque[Entry] = deque()
        self._base: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def oldest_us(self) -> int | None:
        """When the oldest entry arrived."""
        return self._entries[0].arrival_us if self._entries else None

    def append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.size_bytes += len(entry.frame) + OVERHEAD
        self.next += 1

    def drop_oldest(self) -> Entry:
        """Forget the oldest entry. There must be one."""
        entry = self._entries.popleft()
        self.first += 1
        self.size_bytes -= len(entry.frame) + OVERHEAD
        _apply(self._base, entry)
        return entry

    def trim(self, position: int) -> int:
        """Forget everything before ``position``; how many bytes became free."""
        before = self.size_bytes
        while self._entries and self.first < position:
            self.drop_oldest()
        return before - self.size_bytes

    def from_position(self, position: int, most: Callable[[int], bool]) -> Iterator[Entry]:
        """Entries from ``position`` on while ``most`` (of the bytes given so far) holds."""
        given = 0
        for entry in islice(self._entries, max(0, position - self.first), None):
            if not most(given):
                return
            given += len(entry.frame)
            yield entry

    def tracks_at(self, position: int) -> list[dict[str, Any]]:
        """The announcements of the tracks that run when ``position`` is next."""
        running = dict(self._base)
        for entry in islice(self._entries, max(0, position - self.first)):
            _apply(running, entry)
        return list(running.values())


def _apply(tracks: dict[int, dict[str, Any]], entry: Entry) -> None:
    if entry.change is not None:
        number, announcement = entry.change
        if announcement is None:
            tracks.pop(number, None)
        else:
            tracks[number] = announcement
