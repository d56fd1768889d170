"""What an uploaded film is: as it is displayed, and whether browsers play it. Files are made here, no server runs."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from library.probe import NotPlayable, probe

pytestmark = pytest.mark.integration
SIZE = (160, 90)
TURNED = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""Matrices of a track's header that turn its picture clockwise."""


def film(path: Path, *, clockwise: int = 0, aspect: Fraction | None = None, pixels: str = "yuv420p") -> Path:
    """A film whose left half is red and whose right half is blue, with the track header of a turned phone."""
    picture = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
    picture[:, : SIZE[0] // 2, 0] = picture[:, SIZE[0] // 2 :, 2] = 255
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    a, b, c, d = TURNED[clockwise]
    struct.pack_into(
        ">9i", data, data.index(b"tkhd") + 44, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30
    )
    path.write_bytes(bytes(data))
    return path


def red(image: Image.Image, x: float, y: float) -> bool:
    r, _, b = image.convert("RGB").getpixel((round(x * image.width), round(y * image.height)))  # type: ignore[misc]
    return r > b  # type: ignore[operator]


@pytest.mark.parametrize(
    ("clockwise", "size", "red_at", "blue_at"),
    [
        (0, (160, 90), (0.2, 0.5), (0.8, 0.5)),
        (90, (90, 160), (0.5, 0.2), (0.5, 0.8)),
        (180, (160, 90), (0.8, 0.5), (0.2, 0.5)),
        (270, (90, 160), (0.5, 0.8), (0.5, 0.2)),
    ],
)
def test_a_turned_film_is_what_players_show(
    tmp_path: Path,
    clockwise: int,
    size: tuple[int, int],
    red_at: tuple[float, float],
    blue_at: tuple[float, float],
) -> None:
    facts = probe(film(tmp_path / "film.mp4", clockwise=clockwise), tmp_path / "still.jpg")
    assert (facts["width"], facts["height"], facts["thumbnail"]) == (*size, True)
    with Image.open(tmp_path / "still.jpg") as still:
        assert still.size == size
        assert red(still, *red_at) and not red(still, *blue_at)


def test_pixels_that_are_not_square_are_stretched_before_the_picture_is_turned(tmp_path: Path) -> None:
    wide = film(tmp_path / "film.mp4", aspect=Fraction(4, 3))
    facts = probe(wide, tmp_path / "still.jpg")
    assert (facts["width"], facts["height"]) == (213, 90)
    upright = film(tmp_path / "film.mp4", aspect=Fraction(4, 3), clockwise=90)
    facts = probe(upright, tmp_path / "still.jpg")
    assert (facts["width"], facts["height"]) == (90, 213)
    with Image.open(tmp_path / "still.jpg") as still:
        assert still.size == (90, 213)


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv422p", "yuv420p10le"])
def test_h264_that_browsers_cannot_be_relied_on_to_play_is_refused(tmp_path: Path, pixels: str) -> None:
    with pytest.raises(NotPlayable, match="Export it as 8-bit 4:2:0"):
        probe(film(tmp_path / "film.mp4", pixels=pixels), tmp_path / "still.jpg")
    assert not (tmp_path / "still.jpg").exists()


def test_full_range_8_bit_h264_is_taken(tmp_path: Path) -> None:
    assert probe(film(tmp_path / "film.mp4", pixels="yuvj420p"), tmp_path / "still.jpg")["width"] == 160
