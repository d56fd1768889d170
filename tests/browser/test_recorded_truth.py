"""What a recording says of itself is true: nothing is lost on loopback, so nothing lost and nothing frozen stands in its report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from recorder.journal import is_closed, read_manifest, read_records
from recorder.report import report
from recorder.timeline import build
from server.demo import Demo
from tests.browser.kit import WAIT_MS, arrive, chromium, my_id, person, running_demo, sees, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
ANSWERED_US = 1_500_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(
        tmp_path_factory.mktemp("truth"), only={"web", "media", "recorder", "practice-lms", "practice-slack"}
    ) as made:
        yield made[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = chromium(playwright)
        yield made
        made.close()


def test_a_class_that_switches_everything_off_and_on_loses_and_freezes_nothing(
    demo: Demo, browser: Browser
) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    sees(alice, my_id(bob))
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-record").click()
    alice.get_by_test_id("confirm-start-recording").click()
    for page in (alice, bob):
        page.get_by_test_id("confirm-recorded").click()
    expect(bob.get_by_test_id("rec-indicator")).to_have_attribute(
        "data-recording", "RECORDING", timeout=WAIT_MS
    )
    journal = next(path for path in (demo.settings.data_dir / "recordings").iterdir() if path.is_dir())
    for _ in range(2):
        for button, source in (
            ("toggle-camera", "camera"),
            ("toggle-mic", "mic"),
            ("share-screen", "screen"),
        ):
            press(bob, button)
            if source == "screen":
                grows(journal, my_id(bob), source)
            time.sleep(2.0)
            press(bob, button)
            if source != "screen":
                grows(journal, my_id(bob), source)
    for person_id in (my_id(alice), my_id(bob)):
        for source in ("camera", "mic"):
            grows(journal, person_id, source)
    alice.get_by_test_id("stop-recording").click()
    alice.get_by_test_id("confirm-stop-recording").click()
    until(lambda: is_closed(journal), "the journal is closed")

    lines = read_manifest(journal)
    timeline = build(lines)
    found = report(lines, timeline)
    facts = found.facts
    assert (facts["lost_packets"], facts["malformed"], facts["dropped"]) == (0, 0, 0), ends(lines)
    assert (facts["freezes"], facts["frozen_s"]) == ([], 0.0)
    assert facts["missing"] == [] and facts["gaps"] == [] and facts["restarted_tracks"] == 0
    assert found.warnings == []
    assert asked_in_vain(journal, lines) == []
    assert {s.source for s in timeline.segments.values()} >= {"camera", "mic", "screen"}


def press(page: Page, button: str) -> None:
    page.get_by_test_id(button).click()


def grows(journal: Path, person_id: str, source: str) -> None:
    """Something new of this source is in the journal."""

    def frames() -> int:
        numbers = {
            line["n"]
            for line in read_manifest(journal)
            if line["k"] == "segment" and (line["person_id"], line["source"]) == (person_id, source)
        }
        return sum(1 for record in read_records(journal) if record.segment in numbers)

    before = frames()
    until(lambda: frames() > before + 10, f"{source} goes on")


def asked_in_vain(journal: Path, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Requests for keyframes that brought none, or of which one too many was made."""
    keys: dict[int, list[int]] = {}
    for record in read_records(journal):
        if record.key:
            keys.setdefault(record.segment, []).append(record.arrival_us)
    end = lines[-1]["at"]
    return [
        line
        for line in lines
        if line["k"] == "asked"
        and end - line["at"] > ANSWERED_US
        and not any(0 <= at - line["at"] <= ANSWERED_US for at in keys.get(line.get("n", 0), []))
    ]


def ends(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["k"] in ("end", "asked", "stalled", "broken", "dropped")]
