"""Where each tile stands in the picture. Pure integers; all positions and sizes are even (4:2:0 chroma)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

GAP: Final = 8
MAX_TILES: Final = 9
STRIP_TILES: Final = 4
LONG_STRIP_TILES: Final = 8
MAX_CROP: Final = 0.2
"""A camera may lose so much of its picture to fill its tile; one that would lose more stands between bars."""


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


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a picture comes into its tile: scaled to ``width`` × ``height``, from ``crop_x``, ``crop_y`` on shown at ``inner``."""

    width: int
    height: int
    crop_x: int
    crop_y: int
    inner: Rect


def even(value: float) -> int:
    return int(value) & ~1


def gap(width: int, height: int) -> int:
    """Room between tiles; small pictures have less."""
    return min(GAP, even(min(width, height) / 40))


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


def fitting(width: int, height: int, area: Rect, may_crop: bool) -> Fitting:
    """Fill ``area`` when no more than a fifth is lost by it; else, and always when upright, letterbox."""
    if may_crop and width >= height > 0:
        scale = max(area.width / width, area.height / height)
        w, h = max(area.width, even(width * scale + 1)), max(area.height, even(height * scale + 1))
        if 1 - (area.width * area.height) / (w * h) <= MAX_CROP:
            return Fitting(w, h, even((w - area.width) / 2), even((h - area.height) / 2), area)
    inner = fit(width, height, area)
    return Fitting(inner.width, inner.height, 0, 0, inner)


def grid(keys: Sequence[str], width: int, height: int) -> Placement:
    """Equal 16:9 tiles, filled row by row, the last row centred; more than nine: eight and a “+n” tile."""
    if not keys:
        return Placement(None, ())
    shown, more = _cut(keys, MAX_TILES)
    cells = len(shown) + (1 if more else 0)
    if cells == 1:
        return Placement(None, ((shown[0], Rect(0, 0, even(width), even(height))),))
    space = gap(width, height)
    # An upright picture has its tiles below each other first.
    wide = ceil(cells / columns(cells)) if height > width else columns(cells)
    rows = ceil(cells / wide)
    cell_w = (width - space * (wide + 1)) / wide
    cell_h = (height - space * (rows + 1)) / rows
    scale = min(cell_w / 16, cell_h / 9)
    tile_w, tile_h = even(scale * 16), even(scale * 9)
    top = (height - rows * tile_h - (rows - 1) * space) / 2
    rects = []
    for index in range(cells):
        row, column = divmod(index, wide)
        in_row = min(wide, cells - row * wide)
        left = (width - in_row * tile_w - (in_row - 1) * space) / 2
        rects.append(
            Rect(even(left + column * (tile_w + space)), even(top + row * (tile_h + space)), tile_w, tile_h)
        )
    return _placed(None, shown, rects, more)


def stage(share: str, keys: Sequence[str], width: int, height: int) -> Placement:
    """A shared screen on three quarters of the width, at the right a strip of up to four people.

    Upright pictures have the screen above and the people below it.
    """
    shown, more = _cut(keys, STRIP_TILES)
    main, strip = _split(width, height, even(width) - even(width * 3 / 4))
    rects = _strip(strip, len(shown) + (1 if more else 0), STRIP_TILES, gap(width, height))
    return _placed((share, main), shown, rects, more)


def speaker(keys: Sequence[str], width: int, height: int, most: int = LONG_STRIP_TILES) -> Placement:
    """The first of ``keys`` large, the others in a strip of up to ``most`` tiles."""
    if len(keys) < 2:
        return grid(keys, width, height)
    shown, more = _cut(keys[1:], most)
    count, space = len(shown) + (1 if more else 0), gap(width, height)
    tile_h = (height - space * (count + 1)) / count
    wanted = even(width / 4) if most == STRIP_TILES else even(min(width / 4, tile_h * 16 / 9 + space))
    main, strip = _split(width, height, wanted)
    rects = [main, *_strip(strip, count, max(count, min(most, STRIP_TILES)), space)]
    return _placed(None, [keys[0], *shown], rects, more)


def arrange(
    layout: str, keys: Sequence[str], share: str | None, featured: str | None, width: int, height: int
) -> Placement:
    """The picture of a moment. ``keys``: people in order of joining; ``featured``: who spoke last for two seconds."""
    first = [key for key in keys if key == featured]
    ordered = [*first, *(key for key in keys if key != featured)]
    if share is not None:
        return stage(share, ordered, width, height)
    if layout == "stage":
        return speaker(ordered, width, height, STRIP_TILES)
    if layout == "speaker" or len(keys) > MAX_TILES:
        return speaker(ordered, width, height)
    return grid(keys, width, height)


def _cut(keys: Sequence[str], most: int) -> tuple[list[str], int]:
    """(who has a tile, how many stand behind the “+n” in the last one)."""
    if len(keys) <= most:
        return list(keys), 0
    return list(keys[: most - 1]), len(keys) - most + 1


def _placed(
    on_stage: tuple[str, Rect] | None, shown: Sequence[str], rects: Sequence[Rect], more: int
) -> Placement:
    tiles = tuple(zip(shown, rects, strict=False))
    return Placement(on_stage, tiles, more, rects[len(shown)] if more else None)


def _split(width: int, height: int, strip: int) -> tuple[Rect, Rect]:
    """(main, strip): side by side, or below each other in an upright picture."""
    w, h = even(width), even(height)
    if height > width:
        top = even(height * 0.6)
        return Rect(0, 0, w, top), Rect(0, top, w, h - top)
    return Rect(0, 0, w - strip, h), Rect(w - strip, 0, strip, h)


def _strip(area: Rect, count: int, slots: int, space: int) -> list[Rect]:
    """``count`` tiles from the top of the strip, each as large as if there were ``slots``."""
    wide = 2 if area.width > area.height else 1
    rows = ceil(slots / wide)
    tile_w = even((area.width - space * wide) / wide)
    tile_h = even(min(tile_w * 9 / 16, (area.height - space * (rows + 1)) / rows))
    tile_w = min(tile_w, even(tile_h * 16 / 9 + 1)) if wide > 1 else tile_w
    rects = []
    for index in range(count):
        row, column = divmod(index, wide)
        x = area.x + even(space / 2) + column * (tile_w + space)
        rects.append(Rect(x, area.y + space + row * (tile_h + space), tile_w, tile_h))
    return rects
