"""Pages say their texts' language and open whatever the platform calls the reader's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import text

from sandbox.lms.client import launch, open_room
from tests.ltikit import LTI, World, running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("locale")) as made:
        yield made


def boot_of(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found = re.search(r'<script type="application/json" id="boot"[^>]*>(.*?)</script>', answer.text, re.S)
    assert found is not None
    boot: dict[str, Any] = json.loads(found[1])
    return boot


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("zh_CN_#Hans", "zh-Hans-CN"),
        ("iw_IL", "he-IL"),
        ("ar", "ar"),
        ("en_US.UTF-8", "en-US"),
        ("C", "en"),
        ("root", "en"),
        ("*", "en"),
        ({"en": 1}, "en"),
        ("\ud83d", "en"),
    ],
)
def test_a_launch_reads_the_locale_and_says_the_language_of_the_texts(
    world: World, sent: Any, read: str
) -> None:
    answer = world.launched(locale=sent, sub=f"{world.lms}/user/{sent!a}")
    assert boot_of(answer)["locale"] == read
    assert '<html lang="en" dir="ltr">' in answer.text


def test_the_locale_of_the_presentation_counts_when_the_person_has_none(world: World) -> None:
    answer = world.launched(**{LTI + "launch_presentation": {"locale": "fr_CA"}, "sub": "somebody new"})
    assert boot_of(answer)["locale"] == "fr-CA"


def test_what_an_earlier_version_kept_does_no_harm(world: World) -> None:
    page = launch(world.lms, "alice")
    with world.db.write() as session:
        session.execute(text("UPDATE person SET locale = 'zh-CN-#Hans'"))
    assert open_room(page).boot["locale"] == "zh-Hans-CN"
