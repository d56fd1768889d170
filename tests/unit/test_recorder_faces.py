"""Names in all scripts: which face draws them, and what is said when none can."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import ImageFont

from recorder import faces
from recorder.cards import initials

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "name", ["Alice", "José Müller", "Łukasz", "Иван", "Ελένη", "محمد علي", "שלום כהן", "e\u0301"]
)
def test_names_are_drawn_with_the_systems_faces(name: str) -> None:
    assert faces.lacking(name) == set() and faces.width(name, 20) > 10


def test_plain_latin_needs_no_face_of_the_system_and_the_rest_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faces, "installed", lambda: ())
    assert faces.lacking("Alice Adams-Smith 2") == set()
    assert faces.lacking("Zoë Żak") == {"ë", "Ż"}
    assert faces.width("Żoë Bare", 20) == faces.width("o Bare", 20), "what can be drawn is drawn"
    assert faces.width("Żë", 20) > 0, "a name of which nothing can be drawn still takes its place"


def test_arabic_letters_are_joined_and_a_text_is_cut_to_its_space() -> None:
    assert faces.width("ييي", 40) < 0.9 * 3 * faces.width("ي", 40)
    short = faces.cut("Ёлкина Александра", 20, 100)
    assert short.endswith("…") and faces.width(short, 20) <= 100
    assert faces.cut("Ann", 20, 100) == "Ann"


def test_initials_keep_the_marks_of_their_letters() -> None:
    assert initials("e\u0301mile zola") == "E\u0301Z" and initials("  ") == "?" and initials("李明") == "李"


def test_faces_that_cannot_be_opened_are_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "NotoSansBroken-Regular.ttf"
    broken.write_bytes(b"no font")
    (tmp_path / "NotoSans-Italic.ttf").write_bytes(b"no font")
    monkeypatch.setattr(faces, "FOLDERS", (tmp_path,))
    monkeypatch.setattr(faces, "installed", faces.installed.__wrapped__)
    assert faces.installed() == (broken,)
    assert faces.lacking("Жук и кот") == set("Жукиот")
    assert isinstance(faces._load(None, 20), ImageFont.FreeTypeFont)


def test_the_packages_are_named_where_somebody_installs() -> None:
    text = (ROOT / "docs" / "operation.md").read_text(encoding="utf-8")
    assert set(re.split(", ", faces.PACKAGES)) <= set(text.split())
