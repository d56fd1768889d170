"""All rooms are recorded by the set-up's box and by Slack's word, with the usual countdown: the films are in My Media of who asked.

Real processes, real WebRTC, the practice LMS and the practice Slack, as in the story.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from server.demo import Demo
from tests.browser.kit import WAIT_MS, arrive, chromium, here, person, running_demo, tool, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]
LIVE = (
    "() => Object.values(window.__sideroom.state.recordings).filter((r) => r.status === 'RECORDING').length"
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("owners")) as (made, _):
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = chromium(playwright)
        yield made
        made.close()


def over(moderator: Page, student: Page) -> None:
    """End the breakout once both rooms have been recorded for a while."""
    until(lambda: moderator.evaluate(LIVE) == 2, "two rooms being recorded")
    moderator.wait_for_timeout(3000)
    moderator.bring_to_front()
    if not moderator.get_by_test_id("dashboard").count():
        moderator.get_by_test_id("open-dashboard").click()
    moderator.get_by_test_id("end-breakout").click()
    moderator.get_by_test_id("confirm-end-breakout").click()
    until(lambda: here(student) == "main", "the student in the main room again")


def test_my_media_of_who_asked_and_of_nobody_else(demo: Demo, browser: Browser) -> None:
    lms = demo.lms_url
    tara = arrive(person(browser), lms, "tara")
    bob = arrive(person(browser), lms, "bob")

    # The second moderator ticks the box.
    tara.get_by_test_id("more").click()
    tara.get_by_test_id("menu-breakout").click()
    tara.get_by_test_id("breakout-count").fill("2")
    tara.get_by_test_id("record-rooms").check()
    tara.get_by_test_id("breakout-continue").click()
    tara.get_by_test_id("start-breakout").click()
    bob.get_by_test_id("countdown").wait_for()
    over(tara, bob)

    # The teacher, who is not in the room, writes it in Slack.
    slack = person(browser).new_page()
    slack.goto(f"{demo.slack_url}/?user=U0ALICE&channel=C0BIO101MOD")
    slack.locator("#text").fill("/breakout start 2 for 10m auto record")
    slack.locator("#text").press("Enter")
    expect(slack.locator("#messages")).to_contain_text("All rooms are recorded.", timeout=WAIT_MS)
    bob.get_by_test_id("countdown").wait_for()
    over(tara, bob)

    def cards(name: str, tab: str, site: str = "bio101") -> int:
        """How many recordings somebody finds under a tab of the course's library; -1 when there is no such tab."""
        context = person(browser)
        frame = tool(context.new_page(), lms, name, "gallery", site)
        shown = frame.get_by_test_id("tab-mine")
        shown.wait_for()
        if not frame.get_by_test_id(f"tab-{tab}").count():
            context.close()
            return -1
        frame.get_by_test_id(f"tab-{tab}").click()
        frame.get_by_test_id("entry-card").or_(frame.get_by_text("No recordings yet")).first.wait_for()
        count = frame.get_by_test_id("entry-card").count()
        context.close()
        return count

    context = person(browser)
    gallery = tool(context.new_page(), lms, "tara", "gallery")
    ready = gallery.locator("[data-testid='entry-card'][data-status='ready']")
    expect(ready).to_have_count(4, timeout=120_000)
    places = ("mine", "channel", "folder", "unowned")
    assert [cards("tara", tab) for tab in places] == [2, 4, 4, 0]
    assert [cards("alice", tab) for tab in places] == [2, 4, 4, 0]
    assert [cards("bob", tab) for tab in places] == [0, 4, -1, -1]
    assert [cards("charlie", tab, "his200") for tab in places] == [0, 0, 0, 0]
    context = person(browser)
    media = tool(context.new_page(), lms, "alice", "mymedia")
    card = media.get_by_test_id("entry-card").first
    card.click()
    expect(media.get_by_text("Recorded by Alice")).to_be_visible()
    student = tool(person(browser).new_page(), lms, "bob", "gallery")
    student.get_by_test_id("entry-card").first.click()
    student.get_by_test_id("player").wait_for()
    assert student.get_by_role("button", name="Delete").count() == 0
    assert student.get_by_role("button", name="Rename").count() == 0
