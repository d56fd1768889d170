"""What others wrote: cleaned, compared, cut and abbreviated by one set of rules."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.text import clean, cut, fits, fold, graphemes, initials, is_keepable, is_visible

pytestmark = pytest.mark.unit
EXAMPLES = json.loads((Path(__file__).parents[1] / "payloads" / "names.json").read_text(encoding="utf-8"))
"""Also those of the page (web/test/names.test.ts): both sides have the same rules."""
ANY = st.text(st.characters(), max_size=60) | st.text(
    st.sampled_from(
        "aé\u0301\u0323 \u200d\u200c\u200b\u202e\ud83d\ude00\udc00👩‍👧️🏽🇩🇪\x00\n\r\tکشنİıßﬃ´’‑न्\u3164"
    ),
    max_size=30,
)
FAMILY = "👨‍👩‍👧‍👦"
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Zoë \ud83d", "Zoë \ufffd"),
        ("\ud83d\ude00 Ann", "😀 Ann"),
        ("An\x00n\x07 \x1b[31mLee", "An n [31mLee"),
        ("Ann\r\n\t Lee\u2028\u00a0x", "Ann Lee x"),
        ("\u202eAnn\u202c\u200bLee\ufeff\u00ad", "AnnLee"),
        ("Zoe\u0308", "Zoë"),
        ("O\u2019Brien", "O\u2019Brien"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ක්\u200dර", "ක්\u200dර"),
        ("Ad\u200dam", "Adam"),
        (FAMILY, FAMILY),
        ("👩🏽‍🚀", "👩🏽‍🚀"),
        ("🏳️‍🌈", "🏳️‍🌈"),
        (ENGLAND, ENGLAND),
        ("Ann\U000e0041\U000e0042", "Ann"),
        ("\u0600123", "\u0600123"),
        ("a" + "\u0301" * 50, "á" + "\u0301" * 10),
        ("\ufffe\U0010ffffAnn", "Ann"),
        ("\u200b\u202e", ""),
    ],
)
def test_what_is_kept(sent: str, kept: str) -> None:
    assert clean(sent) == kept


@given(ANY, st.none() | st.integers(0, 20), st.none() | st.integers(0, 60), st.booleans())
def test_cleaned_text_can_be_kept_everywhere(
    sent: str, most: int | None, most_bytes: int | None, keep_lines: bool
) -> None:
    kept = clean(sent, most, most_bytes=most_bytes, keep_lines=keep_lines)
    assert len(kept.encode()) <= (10**9 if most_bytes is None else most_bytes)
    assert len(graphemes(kept)) <= (10**9 if most is None else most)
    assert clean(kept, most, most_bytes=most_bytes, keep_lines=keep_lines) == kept
    assert unicodedata.is_normalized("NFC", kept)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t" for letter in kept)
    if not keep_lines:
        assert kept == " ".join(kept.split())


@pytest.mark.parametrize(
    "one", ["x", "é", "क्षि", FAMILY, ENGLAND, "👩🏽\u200d❤️\u200d💋\u200d👨🏾", "e" + "\u0323" * 10]
)
def test_a_limit_counts_as_people_do(one: str) -> None:
    assert fits(one * 60, 60) and not fits(one * 61, 60)


def test_a_limit_is_also_one_of_size() -> None:
    endless = "👩" + "\u200d👩" * 10_000
    assert len(graphemes(endless)) == 1 and not fits(endless, 60)


def test_lines_of_a_message_stay() -> None:
    assert clean("  one  \r\n\r\n  two\x85three\x00 \n", keep_lines=True) == "one\n\n  two\nthree"


def test_a_text_is_cut_between_characters() -> None:
    assert clean("ab" + FAMILY, 3) == "ab" + FAMILY
    assert clean("ab" + FAMILY + "c", 3) == "ab" + FAMILY
    assert clean("ab" + FAMILY, most_bytes=10) == "ab"
    assert cut("🇩🇪🇫🇷", 1) == "🇩🇪"
    assert cut("e\u0301e", 1) == "e\u0301"


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b", "\u3164", "\u2800", "\u115f\u1160", "\ufe0f", "\u2060\u00ad", "\n\x00"]
)
def test_nothing_to_see(text: str) -> None:
    assert not is_visible(text)
    assert not is_visible(clean(text))


@pytest.mark.parametrize("text", ["a", "é", "م", "😀", "-", "\ufffd", "\u200b.", "中", "\ue000"])
def test_something_to_see(text: str) -> None:
    assert is_visible(text)


@pytest.mark.parametrize(("one", "other"), EXAMPLES["same"])
def test_the_same_name_has_the_same_key(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), EXAMPLES["different"])
def test_accents_make_a_difference(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(ANY)
def test_the_key_of_a_key_and_of_a_cleaned_text_is_the_same(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    fold(text).encode()


@given(st.text(st.characters(categories=["L", "N", "P", "Z"]), max_size=20))
def test_case_and_normal_form_never_matter(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(text)
    assert fold(clean(text)) == fold(text)


@pytest.mark.parametrize(("name", "letters"), EXAMPLES["initials"])
def test_initials_are_whole_characters(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_identifiers_are_kept_or_refused() -> None:
    assert is_keepable("https://lms.example/user/Zoë’s")
    assert not is_keepable("half \ud83d")
    assert not is_keepable("nul\x00")
