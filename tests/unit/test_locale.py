"""A locale in any spelling becomes one that browsers accept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.locale import read_locale

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("en", "en"),
        ("de_AT", "de-AT"),
        ("pt-BR", "pt-BR"),
        ("zh_CN_#Hans", "zh-Hans-CN"),
        ("zh__#Hant", "zh-Hant"),
        ("zh-hans-cn", "zh-Hans-CN"),
        ("sr_RS_#Latn", "sr-Latn-RS"),
        ("sh_BA", "sr-Latn-BA"),
        ("th_TH_TH_#u-nu-thai", "th-TH"),
        ("ja_JP_JP_#u-ca-japanese", "ja-JP"),
        ("no_NO_NY", "nn-NO"),
        ("en_US_WIN", "en-US"),
        ("en_us_k12", "en-US"),
        ("en_", "en"),
        ("iw", "he"),
        ("iw_IL", "he-IL"),
        ("in_ID", "id-ID"),
        ("ji", "yi"),
        ("es_419", "es-419"),
        ("zh-cmn-Hans-CN", "zh-Hans-CN"),
        ("de-DE-1996", "de-DE"),
        ("en-US-u-ca-buddhist", "en-US"),
        ("en_US.UTF-8", "en-US"),
        ("de_DE@euro", "de-DE"),
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr-CH"),
        ("  fil ", "fil"),
        ("EN-gb", "en-GB"),
    ],
)
def test_what_names_a_language(sent: str, read: str) -> None:
    assert read_locale(sent) == read


@pytest.mark.parametrize(
    "sent",
    [
        "C",
        "c",
        "C.UTF-8",
        "POSIX",
        "root",
        "*",
        "",
        "_",
        "_US",
        "und",
        "x-klingon",
        "i-klingon",
        "e",
        "ＥＮ",
        "en\x00",
        "<b>",
        "$Message.locale",
        "e" * 500,
        None,
        7,
        ["en"],
        {"en": 1},
        "\ud83d",
    ],
)
def test_what_names_none(sent: object) -> None:
    assert read_locale(sent) == "en"
    assert read_locale(sent, "") == ""


@given(st.text(st.sampled_from("aezHNUS019_-#.@,;*x \x00é")) | st.text())
def test_it_is_always_a_tag_and_reading_it_again_changes_nothing(sent: str) -> None:
    read = read_locale(sent)
    assert re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?", read)
    assert read_locale(read) == read
