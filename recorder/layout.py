"""Where each tile stands in the picture. Pure integers; all positions and sizes are even (4:2:0 chroma)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

GAP: Final = 8
MAX_TILES: Final = 9
STRIP_TILES: Final = 4


@dataclass(frozen=True, slots=True)
class Rect:
    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Placement:
    """Tiles in the order of ``keys``; ``more`` people have no tile of their own and stand in ``more_rect`` as “+n”."""

    stage: tuple[str, Rect] | None
    tiles: tuple[tuple[str, Rect], ...]
    more: int = 0
    more_rect: Rect | None = None


def even(value: float) -> int:
    return int(value) & ~1


def columns(count: int) -> int:
    """1 → 1, 2–4 → 2, 5–9 → 3, 10–16 → 4 and so on."""
    wide = 1
    while wide * wide < count:
        wide += 1
    return wide


def fit(width: int, height: int, area: Rect) -> Rect:
    """The largest rectangle of that shape inside ``area``, centred: letterbox, never squeeze."""
    scale = min(area.width / max(1, width), area.height / max(1, height))
    w = max(2, min(area.width, even(width * scale + 1)))
    h = max(2, min(area.height, even(height * scale + 1)))
    return Rect(area.x + even((area.width - w) / 2), area.y + even((area.height - h) / 2), w, h)


def grid(keys: Sequence[str], width: int, height: int) -> Placement:
    """Equal 16:9 tiles, filled row by row, the last row centred; more than nine: eight and a “+n” tile."""
    if not keys:
        return Placement(None, ())
    more = len(keys) - MAX_TILES + 1 if len(keys) > MAX_TILES else 0
    shown = list(keys[: MAX_TILES - 1]) if more else list(keys)
    cells = len(shown) + (1 if more else 0)
    wide = columns(cells)
    rows = ceil(cells / wide)
    cell_w = (width - GAP * (wide + 1)) / wide
    cell_h = (height - GAP * (rows + 1)) / rows
    scale = min(cell_w / 16, cell_h / 9)
    tile_w, tile_h = even(scale * 16), even(scale * 9)
    if cells == 1:
        return Placement(None, ((shown[0], Rect(0, 0, even(width), even(height))),))
    top = (height - rows * tile_h - (rows - 1) * GAP) / 2
    rects = []
    for index in range(cells):
        row, column = divmod(index, wide)
        in_row = min(wide, cells - row * wide)
        left = (width - in_row * tile_w - (in_row - 1) * GAP) / 2
        rects.append(
            Rect(even(left + column * (tile_w + GAP)), even(top + row * (tile_h + GAP)), tile_w, tile_h)
        )
    tiles = tuple(zip(shown, rects, strict=False))
    return Placement(None, tiles, more, rects[-1] if more else None)


def stage(share: str, keys: Sequence[str], width: int, height: int) -> Placement:
    """A shared screen on three quarters of the width, at the right a strip of up to four people."""
    stage_w = even(width * 3 / 4)
    strip_w = even(width) - stage_w
    more = len(keys) - STRIP_TILES + 1 if len(keys) > STRIP_TILES else 0
    shown = list(keys[: STRIP_TILES - 1]) if more else list(keys)
    tile_w = even(strip_w - GAP)
    tile_h = even(min(tile_w * 9 / 16, (height - GAP * (STRIP_TILES + 1)) / STRIP_TILES))
    rects = [
        Rect(stage_w + even(GAP / 2), even(GAP + i * (tile_h + GAP)), tile_w, tile_h)
        for i in range(len(shown) + (1 if more else 0))
    ]
    tiles = tuple(zip(shown, rects, strict=False))
    return Placement((share, Rect(0, 0, stage_w, even(height))), tiles, more, rects[-1] if more else None)
