"""What lies over the whole picture: watermark, clock, title card. Lifted before tiles are painted, laid again afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from foundation.zone import local, said
from models.recording import Watermark
from recorder import cards
from recorder.cards import Bitmap, Canvas, Plane
from recorder.layout import even

MARGIN: Final = 16
TITLE_US: Final = 2_000_000
MAX_PIXELS: Final = 40_000_000
"""Of a watermark as it is stored; a larger picture is refused before it is unpacked."""


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """A picture with transparency at a place. ``alpha``/``alpha_half``: 0…256, of luma's and of chroma's size."""

    bitmap: Bitmap
    alpha: NDArray[np.uint16]
    alpha_half: NDArray[np.uint16]
    x: int
    y: int

    def lay(self, canvas: Canvas) -> Bitmap:
        """Blend onto the canvas; returns what was beneath."""
        beneath = canvas.copy(self.x, self.y, self.bitmap.width, self.bitmap.height)
        canvas.paste(
            Bitmap(
                _blend(beneath.y, self.bitmap.y, self.alpha),
                _blend(beneath.u, self.bitmap.u, self.alpha_half),
                _blend(beneath.v, self.bitmap.v, self.alpha_half),
            ),
            self.x,
            self.y,
        )
        return beneath


def _blend(below: Plane, above: Plane, alpha: NDArray[np.uint16]) -> Plane:
    mixed: Plane = ((below * (256 - alpha) + above * alpha) >> 8).astype(np.uint8)
    return mixed


def watermark(path: Path, wanted: Watermark, width: int, height: int) -> Stamp:
    """Read a PNG or JPEG and put it into its corner. Raises OSError or ValueError when it is no usable picture."""
    with Image.open(path, formats=("PNG", "JPEG")) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise ValueError("the picture is too large")
        image = opened.convert("RGBA")
    w = wanted.width or (image.width * wanted.height // image.height if wanted.height else image.width)
    h = wanted.height or image.height * w // image.width
    scale = min(1.0, (width - 2 * MARGIN) / max(1, w), (height - 2 * MARGIN) / max(1, h))
    w, h = max(2, even(w * scale)), max(2, even(h * scale))
    image = image.resize((w, h), Image.Resampling.LANCZOS)
    side, edge = wanted.position.split()
    x = MARGIN if side == "left" else width - w - MARGIN
    y = MARGIN if edge == "top" else height - h - MARGIN
    share = np.asarray(image.getchannel("A"), dtype=np.uint16)
    alpha = (share * 256 + 127) // 255
    half = (alpha[0::2, 0::2] + alpha[1::2, 0::2] + alpha[0::2, 1::2] + alpha[1::2, 1::2]) // 4
    return Stamp(cards.to_bitmap(image.convert("RGB")), alpha, half, even(max(0, x)), even(max(0, y)))


class Overlays:
    """The overlays of one composition. ``lift`` and ``lay`` come in pairs around the painting of the tiles."""

    def __init__(
        self, width: int, height: int, stamp: Stamp | None, clock: bool, time_zone: str = ""
    ) -> None:
        self._size = (width, height)
        self._stamp = stamp
        self._clock = clock
        self._time_zone = time_zone
        self._beneath: list[tuple[Bitmap, int, int]] = []

    def lift(self, canvas: Canvas) -> None:
        """Put back what was beneath."""
        for bitmap, x, y in reversed(self._beneath):
            canvas.paste(bitmap, x, y)
        self._beneath.clear()

    def lay(self, canvas: Canvas, wall: int) -> None:
        if self._clock:
            at = local(datetime.fromtimestamp(wall / 1e6, UTC), self._time_zone)
            text = f"{at:%H:%M:%S}{said(self._time_zone)}"
            bitmap = cards.clock(text, self._size[1])
            x, y = even((self._size[0] - bitmap.width) / 2), MARGIN // 2
            if bitmap.width <= self._size[0] and bitmap.height + y <= self._size[1]:
                self._beneath.append((canvas.copy(x, y, bitmap.width, bitmap.height), x, y))
                canvas.paste(bitmap, x, y)
        if self._stamp is not None:
            self._beneath.append((self._stamp.lay(canvas), self._stamp.x, self._stamp.y))
