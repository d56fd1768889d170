"""Byte ranges of files (RFC 9110 §14): one range, as players ask for it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ONE: Final = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


class NotThere(Exception):
    """The range lies beyond the end of the file."""


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from ``start`` up to ``stop``, which is not among them."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def wanted_span(header: str, size: int, most_bytes: int | None = None) -> Span | None:
    """What a Range header asks of a file of ``size`` bytes; None: all of it.

    Several ranges, other units and what cannot be read are ignored, as the standard allows. An open end gives at most
    ``most_bytes``. Raises NotThere.
    """
    found = _ONE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    first, last = found[1], found[2]
    if not first:
        if int(last) == 0 or size == 0:
            raise NotThere
        return Span(max(0, size - int(last)), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise NotThere
    if last:
        return Span(start, min(int(last) + 1, size))
    return Span(start, size if most_bytes is None else min(size, start + most_bytes))
