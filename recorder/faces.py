"""Which typeface can draw a text: the one that comes with Pillow for plain Latin, else one that the system has.

Pillow's own face has hardly more than ASCII. Everything else comes from Debian's font packages (docs/recording.md §9): the first face
that has all letters of a text draws it as a whole, from right to left where it is so written; if none has, each run of letters
is drawn by the first face that has them.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from PIL import ImageDraw, ImageFont

from foundation.text import clean, graphemes

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
FOLDERS: Final = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
FIRST: Final = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf")
"""Faces with many scripts, the best first; behind them every face of ``PREFIXES``, in that order."""
PREFIXES: Final = (
    "NotoSans",
    "DroidSansFallback",
    "wqy-",
    "NotoNaskhArabic",
    "NotoEmoji",
    "Symbola",
    "unifont",
)
NO_LETTER: Final = "\U0010ffff"
PACKAGES: Final = "fonts-dejavu-core, fonts-noto-core, fonts-noto-cjk"


@cache
def installed() -> tuple[Path, ...]:
    """The system's usable faces, the best first."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for root, _, names in os.walk(folder):
            found |= {name: Path(root) / name for name in names}
    first = [found[name] for name in FIRST if name in found]
    others = [
        found[name]
        for prefix in PREFIXES
        for name in sorted(found)
        if name.startswith(prefix) and name.endswith((".ttf", ".otf", ".ttc"))
        # Only upright ones of normal weight: packages of Noto have dozens for each script.
        if "-" not in name or "Regular" in name or prefix == "wqy-"
    ]
    return (*first, *(path for path in others if path not in first))


@lru_cache(maxsize=512)
def _load(path: Path | None, size: int) -> Font | None:
    if path is None:
        # Pillow carries this face, so that no font of the system is needed for plain Latin.
        return ImageFont.load_default(size=size)
    try:
        return ImageFont.truetype(str(path), size)
    except OSError:
        return None  # a bitmap font, or a damaged file


@lru_cache(maxsize=4096)
def _has(path: Path | None, letter: str) -> bool:
    font = _load(path, 20)
    return font is not None and _mask(font, letter) != _mask(font, NO_LETTER)


def _mask(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


def _is_drawn(letter: str) -> bool:
    """Whether a face must have it: not spaces, joiners, marks of direction and the like."""
    return not letter.isspace() and unicodedata.category(letter) not in ("Cf", "Cc", "Mn", "Me")


def _letters(text: str) -> set[str]:
    return {letter for letter in text if _is_drawn(letter)}


@lru_cache(maxsize=1024)
def _face(text: str) -> Path | None:
    """The first face that has all of ``text``. Raises LookupError when there is none."""
    letters = _letters(text)
    for path in (None, *installed()):
        if path is None and any(unicodedata.category(letter).startswith("M") for letter in text):
            continue  # it cannot put marks onto letters
        if all(_has(path, letter) for letter in letters):
            return path
    raise LookupError(text)


def lacking(text: str) -> set[str]:
    """Letters of ``text`` that no face of this machine has."""
    return {
        letter for letter in _letters(text) if not any(_has(path, letter) for path in (None, *installed()))
    }


def _runs(text: str) -> Iterator[tuple[Path | None, str]]:
    """(face, part of the text) in order. Letters that no face has are left out, unless there is nothing else."""
    text = _shown(text)
    missing = lacking(text)
    if missing and _letters(text) - missing:
        text = "".join(letter for letter in text if letter not in missing)
    try:
        yield _face(text), text
        return
    except LookupError:
        pass
    at, face = 0, None
    for position, letter in enumerate(text):
        wanted = face
        if _is_drawn(letter) and (position == 0 or not _has(face, letter)):
            wanted = next((path for path in (None, *installed()) if _has(path, letter)), None)
        if wanted != face and position > at:
            yield face, text[at:position]
            at = position
        face = wanted
    yield face, text[at:]


def _shown(text: str) -> str:
    """In normal form C, without marks of direction and the like: some faces draw a box for them. Joiners stay for shaping."""
    return clean(text) if text.strip() else text


def drawable(name: str) -> str:
    """The words of a name that some face of this machine has a letter of; all, when none has."""
    words = _shown(name).split()
    found = [word for word in words if _letters(word) - lacking(word)]
    return " ".join(found or words)


def width(text: str, size: int) -> float:
    """How wide a text becomes, in pixels."""
    return sum(_font(face, size).getlength(part) for face, part in _runs(text))


def draw(
    on: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    *,
    centred: bool = True,
) -> None:
    """Draw one line with its middle (else its left end) at ``at``; ``at`` is the middle of its height."""
    x = at[0] - width(text, size) / 2 if centred else at[0]
    for face, part in _runs(text):
        font = _font(face, size)
        on.text((x, at[1]), part, fill=colour, font=font, anchor="lm")
        x += font.getlength(part)


def cut(text: str, size: int, space: float) -> str:
    """The text, or as much of its beginning as there is space for."""
    if width(text, size) <= space:
        return text
    letters = graphemes(text)
    while letters and width("".join(letters) + "…", size) > space:
        letters.pop()
    return "".join(letters).rstrip() + "…"


def _font(face: Path | None, size: int) -> Font:
    font = _load(face, size)
    assert font is not None, "only faces that could be loaded have letters"
    return font
