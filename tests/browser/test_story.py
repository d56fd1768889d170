"""The whole story in Chromium: course page, room, breakouts from page and Slack, a recorded room, the file in the library.

Real processes, real WebRTC with fake camera and microphone, the practice LMS and the practice Slack; third-party cookies
are blocked, as browsers do by default now.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from server.demo import Demo
from server.supervisor import Supervisor
from tests.browser.kit import (
    WAIT_MS,
    arrive,
    chromium,
    enter,
    here,
    my_id,
    person,
    running_demo,
    sees,
    tool,
    until,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Supervisor]]:
    with running_demo(tmp_path_factory.mktemp("story")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = chromium(playwright)
        yield made
        made.close()


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    yield lambda: person(browser)
    for context in browser.contexts:
        context.close()


def in_column(page: Page, room: str) -> Locator:
    """The dashboard's column of a room."""
    return page.get_by_test_id("dashboard").get_by_role("region", name=room, exact=True)


def test_the_whole_story(demo: tuple[Demo, Supervisor], contexts: Callable[[], BrowserContext]) -> None:
    installed, _ = demo
    lms = installed.lms_url
    teacher = contexts()
    alice = enter(teacher, lms, "alice")
    bob = enter(contexts(), lms, "bob")
    ben = arrive(contexts(), lms, "ben")
    sees(alice, my_id(bob))
    sees(bob, my_id(alice))

    # Breakouts from the page: a room for each of the course's groups; one person is moved, all by keyboard.
    alice.get_by_test_id("more").press("Enter")
    alice.get_by_test_id("menu-breakout").press("Enter")
    alice.get_by_test_id("assign-groups").check()
    expect(alice.get_by_test_id("course-groups").locator("li")).to_have_text(
        ["Lab A 2", "Lab B 2", "Projektübung 0"]
    )
    alice.get_by_test_id("breakout-continue").press("Enter")
    in_column(alice, "Lab B").get_by_test_id(f"person-{my_id(ben)}").wait_for()
    carried = alice.get_by_test_id(f"person-{my_id(bob)}")
    in_column(alice, "Lab A").get_by_test_id(f"person-{my_id(bob)}").wait_for()
    for key in ("Space", "ArrowRight", "ArrowRight", "Space"):
        carried.press(key)
    in_column(alice, "Projektübung").get_by_test_id(f"person-{my_id(bob)}").wait_for()
    expect(carried).to_be_focused()
    alice.get_by_test_id("start-breakout").press("Enter")
    bob.get_by_test_id("countdown").wait_for()
    # What had the focus is gone; Escape closes the dashboard all the same, and the three dots have the focus again.
    expect(alice.get_by_test_id("start-breakout")).to_have_count(0)
    alice.keyboard.press("Escape")
    expect(alice.get_by_test_id("dashboard")).to_have_count(0)
    expect(alice.get_by_test_id("more")).to_be_focused()
    expect(bob.get_by_test_id("room-name")).to_have_text("Projektübung", timeout=WAIT_MS)
    expect(ben.get_by_test_id("room-name")).to_have_text("Lab B", timeout=WAIT_MS)

    # A broadcast reaches the rooms; a help call reaches the moderator, who joins.
    alice.get_by_test_id("broadcast-open").first.click()
    alice.get_by_test_id("broadcast-text").fill("Two minutes left")
    alice.get_by_test_id("broadcast-send").click()
    expect(bob.get_by_text("Two minutes left").first).to_be_visible(timeout=WAIT_MS)
    bob.get_by_test_id("call-moderator").click()
    expect(alice.get_by_test_id("said")).to_contain_text("Bob Keller needs help in Projektübung")
    alice.get_by_test_id("bell").click()
    alice.locator("[data-testid^='call-join-']").first.click()
    until(lambda: here(alice) == here(bob), "the moderator beside the caller")
    sees(alice, my_id(bob))

    # The moderator ends it from the dashboard, which made way for the room, and starts it again from Slack.
    alice.get_by_test_id("open-dashboard").click()
    alice.get_by_test_id("end-breakout").click()
    alice.get_by_test_id("confirm-end-breakout").click()
    until(lambda: here(alice) == here(bob) == here(ben) == "main", "everybody back in the main room")
    slack = teacher.new_page()
    slack.goto(f"{installed.slack_url}/?user=U0ALICE&channel=C0BIO101MOD")
    slack.locator("#text").fill("/breakout start 2 for 10m auto")
    slack.locator("#text").press("Enter")
    until(lambda: here(bob) not in ("", "main"), "Slack's breakout runs")
    expect(slack.locator("#messages")).to_contain_text("Running", timeout=WAIT_MS)

    # Record one breakout room, with the dialogs.
    room_id = here(bob)
    alice.bring_to_front()
    until(lambda: alice.get_by_test_id("control-bar").count() > 0, "the control bar")
    if alice.get_by_test_id("dashboard").count():
        alice.get_by_test_id("dashboard").press("Escape")
    alice.get_by_test_id("room-menu").click()
    alice.get_by_test_id(f"go-{room_id}").click()
    until(lambda: here(alice) == room_id, "the moderator in the student's room")
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-record").click()
    expect(alice.get_by_text("Do you want to start recording?")).to_be_visible()
    alice.get_by_test_id("confirm-start-recording").click()
    bob.get_by_test_id("confirm-recorded").click()
    expect(bob.get_by_test_id("rec-indicator")).to_contain_text("REC")
    assert bob.get_by_test_id("stop-recording").count() == 0
    alice.get_by_test_id("confirm-recorded").click()
    assert ben.get_by_test_id("rec-indicator").count() == 0
    time.sleep(2.5)  # this much of the lesson is on the film; the pause makes a second chapter
    for status in ("PAUSED", "RECORDING"):
        alice.get_by_test_id("more").click()
        alice.get_by_test_id("menu-pause-recording").click()
        expect(bob.get_by_test_id("rec-indicator")).to_have_attribute("data-recording", status)
        time.sleep(2.5)
    alice.get_by_test_id("stop-recording").click()
    alice.get_by_test_id("confirm-stop-recording").click()

    # The file is in My Media, in the course's channel and in the moderators' folder, and it plays.
    course = teacher.new_page()
    media = tool(course, lms, "alice", "mymedia")
    ready = media.locator("[data-testid='entry-card'][data-status='ready']")
    ready.first.wait_for(timeout=90_000)
    ready.first.click()
    player = media.get_by_test_id("player")
    player.wait_for()
    player.evaluate("(video) => { video.muted = true; return video.play(); }")
    until(lambda: player.evaluate("(v) => v.currentTime") > 1.0, "the film plays")
    assert player.evaluate("(v) => [v.videoWidth, v.videoHeight]") == [1280, 720]
    assert player.evaluate("(v) => v.duration") > 4.0
    chapters = media.get_by_test_id("chapters").get_by_role("button")
    expect(chapters).to_have_count(2)
    chapters.last.click()
    expect(chapters.last).to_have_attribute("aria-current", "true")
    until(lambda: player.evaluate("(v) => v.currentTime") >= 2.0, "the film goes on in its second chapter")
    gallery = tool(course, lms, "alice", "gallery")
    gallery.get_by_test_id("tab-folder").click()
    gallery.get_by_test_id("entry-card").first.wait_for()
    students = contexts().new_page()
    gallery = tool(students, lms, "bob", "gallery")
    gallery.get_by_test_id("entry-card").first.wait_for()
    assert gallery.get_by_test_id("tab-folder").count() == 0
    stranger = tool(contexts().new_page(), lms, "charlie", "gallery", "his200")
    stranger.get_by_test_id("tab-channel").wait_for()
    expect(stranger.get_by_text(re.compile("No recordings yet"))).to_be_visible()


def test_people_come_back_after_any_process_was_killed(
    demo: tuple[Demo, Supervisor], contexts: Callable[[], BrowserContext]
) -> None:
    installed, supervisor = demo
    # What the story left running is ended: its breakout would call Ben away.
    before = arrive(contexts(), installed.lms_url, "tara")
    before.get_by_test_id("leave").click()
    before.get_by_test_id("menu-end").click()
    before.get_by_test_id("confirm-danger").click()
    before.locator(".goodbye").wait_for()
    tara = arrive(contexts(), installed.lms_url, "tara")
    ben = arrive(contexts(), installed.lms_url, "ben")
    sees(tara, my_id(ben))
    for name in ("media", "web"):
        pid = supervisor.pids()[name]
        os.kill(pid, signal.SIGKILL)
        until(lambda n=name, p=pid: supervisor.pids().get(n) not in (None, p), f"{name} runs again")
        until(
            lambda: tara.evaluate("async () => (await window.__sideroom.stats()).connection") == "online",
            "online",
        )
        sees(tara, my_id(ben))
        assert here(ben) == here(tara)
    # The room in a second window: the first one says so, and takes it back.
    arrive(ben.context, installed.lms_url, "ben")
    ben.get_by_test_id("rejoin").click()
    ben.get_by_test_id("join").click()
    ben.get_by_test_id("toggle-mic").wait_for()
    sees(tara, my_id(ben))
