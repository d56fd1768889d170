"""Still pictures of the composite: initials cards, name tags, the quiet card. Drawn once, kept as 4:2:0 planes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from foundation.text import initials
from recorder import faces
from recorder.layout import Rect, even

Plane = NDArray[np.uint8]
BACKGROUND: Final = (27, 30, 36)
CARD: Final = (44, 49, 58)
WHITE: Final = (255, 255, 255)
GREY: Final = (150, 157, 168)
TAG: Final = (16, 18, 22)
SPEAKING: Final = (86, 156, 255)
MUTED: Final = (214, 69, 65)
DISCS: Final = (
    (38, 84, 124),
    (90, 62, 133),
    (33, 103, 84),
    (130, 61, 72),
    (117, 85, 28),
    (58, 76, 140),
    (108, 57, 115),
    (44, 98, 105),
)
"""Behind white initials; each at contrast 4.5:1 or better."""


@dataclass(frozen=True, slots=True, eq=False)
class Bitmap:
    """A picture in limited-range 4:2:0: planes of (h, w), (h/2, w/2), (h/2, w/2)."""

    y: Plane
    u: Plane
    v: Plane

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    def part(self, x: int, y: int, w: int, h: int) -> Bitmap:
        """A rectangle of it, all four even; no copy."""
        half = (slice(y // 2, (y + h) // 2), slice(x // 2, (x + w) // 2))
        return Bitmap(self.y[y : y + h, x : x + w], self.u[half], self.v[half])


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Planes that are painted in place."""

    y: Plane
    u: Plane
    v: Plane

    def fill(self, bitmap: Bitmap) -> None:
        self.paste(bitmap, 0, 0)

    def paste(self, bitmap: Bitmap, x: int, y: int) -> None:
        """Copy a bitmap to an even position; it must fit."""
        w, h = bitmap.width, bitmap.height
        self.y[y : y + h, x : x + w] = bitmap.y
        self.u[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = bitmap.u
        self.v[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = bitmap.v

    def copy(self, x: int, y: int, w: int, h: int) -> Bitmap:
        """What is painted there now; all four even."""
        half = (slice(y // 2, (y + h) // 2), slice(x // 2, (x + w) // 2))
        return Bitmap(self.y[y : y + h, x : x + w].copy(), self.u[half].copy(), self.v[half].copy())


def dimmed(bitmap: Bitmap) -> Bitmap:
    """The same at two fifths of its light."""
    luma = (16 + (bitmap.y.astype(np.int16) - 16).clip(0) * 2 // 5).astype(np.uint8)
    grey = [(128 + (c.astype(np.int16) - 128) // 2).astype(np.uint8) for c in (bitmap.u, bitmap.v)]
    return Bitmap(luma, grey[0], grey[1])


def to_bitmap(image: Image.Image) -> Bitmap:
    """RGB → limited-range 4:2:0. Width and height must be even."""
    full = np.asarray(image.convert("YCbCr"), dtype=np.float32)
    luma = 16.0 + full[:, :, 0] * (219.0 / 255.0)
    chroma = 128.0 + (full[:, :, 1:] - 128.0) * (224.0 / 255.0)
    small = (chroma[0::2, 0::2] + chroma[1::2, 0::2] + chroma[0::2, 1::2] + chroma[1::2, 1::2]) / 4.0
    return Bitmap(
        np.rint(luma).astype(np.uint8),
        np.rint(small[:, :, 0]).astype(np.uint8),
        np.rint(small[:, :, 1]).astype(np.uint8),
    )


@lru_cache(maxsize=8)
def plain(width: int, height: int, colour: tuple[int, int, int]) -> Bitmap:
    return to_bitmap(Image.new("RGB", (width, height), colour))


@lru_cache(maxsize=128)
def initials_card(name: str, person_id: str, width: int, height: int) -> Bitmap:
    """A disc with the initials; its colour belongs to the person."""
    image = Image.new("RGB", (width, height), CARD)
    draw = ImageDraw.Draw(image)
    radius = min(width, height) * 0.28
    centre = (width / 2, height / 2)
    disc = DISCS[zlib.crc32(person_id.encode()) % len(DISCS)]
    draw.ellipse((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=disc)
    faces.draw(draw, centre, initials(faces.drawable(name)), int(radius * 0.9), WHITE)
    return to_bitmap(image)


@lru_cache(maxsize=16)
def more_card(count: int, width: int, height: int) -> Bitmap:
    image = Image.new("RGB", (width, height), CARD)
    faces.draw(ImageDraw.Draw(image), (width / 2, height / 2), f"+{count}", height // 4, WHITE)
    return to_bitmap(image)


@lru_cache(maxsize=4)
def quiet_card(room: str, title: str, width: int, height: int) -> Bitmap:
    """What an empty room shows: its name, and the class it belongs to."""
    image = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    size = max(12, height // 14)
    faces.draw(draw, (width / 2, height / 2), faces.cut(room, size, width), size, (222, 226, 232))
    if title:
        small = max(10, height // 28)
        at = (width / 2, height / 2 + size * 1.3)
        faces.draw(draw, at, faces.cut(title, small, width), small, GREY)
    return to_bitmap(image)


@lru_cache(maxsize=2)
def title_card(course: str, room: str, date: str, width: int, height: int) -> Bitmap:
    """The first two seconds: course, room and date."""
    image = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    size = max(10, min(height // 12, width // 18))
    lines = [
        (course, size, -1.5, (222, 226, 232)),
        (room, size, 0.0, WHITE),
        (date, size // 2 + 2, 1.3, GREY),
    ]
    for text, points, line, colour in lines:
        at = (width / 2, height / 2 + line * size)
        faces.draw(draw, at, faces.cut(text, points, width * 0.9), points, colour)
    return to_bitmap(image)


@lru_cache(maxsize=4)
def clock(text: str, height: int) -> Bitmap:
    """The time of day on a dark bar."""
    size = max(10, height // 36)
    image = Image.new("RGB", (even(faces.width(text, size) + size + 1), even(size * 1.7)), TAG)
    faces.draw(ImageDraw.Draw(image), (image.width / 2, image.height / 2), text, size, WHITE)
    return to_bitmap(image)


@lru_cache(maxsize=256)
def name_tag(name: str, muted: bool, tile: Rect) -> Bitmap:
    """The name on a dark bar, with a red crossed disc when the microphone is off. The name may be empty."""
    size = max(11, min(22, tile.height // 14))
    pad = size // 2
    mark = size + pad if muted else 0
    text = faces.cut(name, size, max(2 * size, tile.width - 2 * pad - mark - 8))
    width = min(tile.width, even(faces.width(text, size) + 2 * pad + mark + 1))
    height = even(size * 1.7)
    image = Image.new("RGB", (width, height), TAG)
    draw = ImageDraw.Draw(image)
    if muted:
        top = (height - size) / 2
        draw.ellipse((pad, top, pad + size, top + size), fill=MUTED)
        draw.line((pad + size * 0.2, top + size * 0.8, pad + size * 0.8, top + size * 0.2), WHITE, 2)
    faces.draw(draw, (pad + mark, height / 2), text, size, WHITE, centred=False)
    return to_bitmap(image)
