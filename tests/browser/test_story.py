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
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError, expect, sync_playwright

from server.demo import Demo, free_demo, practice_programs, prepare_database, wait_ready
from server.processes import programs
from server.supervisor import Supervisor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]
WAIT_MS = 45_000
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--test-third-party-cookie-phaseout",
    # A launch leads the frame from site to site and back; kept in one process, the driver never loses sight of it.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process",
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Supervisor]]:
    folder = tmp_path_factory.mktemp("story")
    made = free_demo(folder)
    prepare_database(made)
    supervisor = Supervisor([*programs(made.settings), *practice_programs(made)], folder / "logs")
    supervisor.start()
    late = wait_ready([f"{made.settings.base_url}/healthz", made.lms_url, made.slack_url], 90)
    try:
        assert late is None, f"{late} did not answer: {_logs(folder)}"
        yield made, supervisor
    finally:
        supervisor.stop()


def _logs(folder: Path) -> str:
    return "\n".join(
        p.name + "\n" + p.read_text("utf-8", "replace")[-2000:] for p in folder.glob("logs/*.log")
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    made: list[BrowserContext] = []

    def new() -> BrowserContext:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(WAIT_MS)
        made.append(context)
        return context

    yield new
    for context in made:
        context.close()


def until(condition: Callable[[], Any], what: str, timeout_s: float = 45.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.1)


def tool(page: Page, lms: str, person: str, name: str, site: str = "bio101") -> Any:
    """Open a tool from the course page; returns its frame.

    Playwright loses sight of a frame now and then when documents of two sites follow each other in it within milliseconds,
    as they do in a launch; the page itself is well. Then the course page is opened again.
    """
    for tries_left in (2, 1, 0):
        page.goto(f"{lms}/site/{site}/tool/{name}?as={person}")
        frame = page.frame_locator("#sakai-tool")
        try:
            frame.locator("[data-testid]").first.wait_for(timeout=WAIT_MS if tries_left == 0 else WAIT_MS / 3)
            break
        except TimeoutError:
            if tries_left == 0:
                raise
    return frame


def enter(context: BrowserContext, lms: str, person: str) -> Page:
    """Course page → lobby in the frame → Open room → device check → Join."""
    course = context.new_page()
    frame = tool(course, lms, person, "room")
    with context.expect_page() as opened:
        frame.get_by_test_id("open-room").click()
    room = opened.value
    room.get_by_test_id("join").click()
    room.get_by_test_id("toggle-mic").wait_for()
    return room


def here(page: Page) -> str:
    return str(page.evaluate("() => window.__sideroom?.state?.you?.room_id ?? ''"))


def my_id(page: Page) -> str:
    return str(page.evaluate("() => window.__sideroom?.state?.you?.person_id ?? ''"))


def sees(page: Page, person_id: str) -> None:
    """The other person's picture really plays here."""
    expect(page.get_by_test_id(f"tile-{person_id}")).to_have_attribute("data-video", "on", timeout=WAIT_MS)
    script = "(id) => { const v = document.querySelector(`[data-testid='tile-${id}'] video`); return v ? v.currentTime : 0; }"

    def moves() -> bool:
        # A new connection's picture begins at 0 again, so only neighbouring looks are compared.
        first = page.evaluate(script, person_id)
        page.wait_for_timeout(200)
        return bool(page.evaluate(script, person_id) > first)

    try:
        until(moves, "the picture moves")
    except AssertionError:
        how = page.evaluate(
            """async (id) => {
          const video = document.querySelector(`[data-testid='tile-${id}'] video`);
          const track = video?.srcObject?.getTracks()[0];
          return JSON.stringify([await window.__sideroom.stats(), video?.paused, video?.readyState, video?.videoWidth,
            track?.muted, track?.readyState, document.visibilityState, window.__sideroom.state.people[id]]);
        }""",
            person_id,
        )
        raise AssertionError(f"the picture does not move: {how}") from None


def test_the_whole_story(demo: tuple[Demo, Supervisor], contexts: Callable[[], BrowserContext]) -> None:
    installed, _ = demo
    lms = installed.lms_url
    teacher = contexts()
    alice = enter(teacher, lms, "alice")
    bob = enter(contexts(), lms, "bob")
    bea = enter(contexts(), lms, "bea")
    sees(alice, my_id(bob))
    sees(bob, my_id(alice))

    # Breakouts from the page: two rooms, automatically.
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    alice.get_by_test_id("breakout-count").fill("2")
    alice.get_by_test_id("breakout-continue").click()
    alice.get_by_test_id("start-breakout").click()
    bob.get_by_test_id("countdown").wait_for()
    until(lambda: here(bob) not in ("", "main") and here(bea) not in ("", "main"), "students in their rooms")
    assert here(bob) != here(bea)

    # A broadcast reaches the rooms; a help call reaches the moderator, who joins.
    alice.get_by_test_id("broadcast-open").first.click()
    alice.get_by_test_id("broadcast-text").fill("Two minutes left")
    alice.get_by_test_id("broadcast-send").click()
    expect(bob.get_by_text("Two minutes left").first).to_be_visible(timeout=WAIT_MS)
    bob.get_by_test_id("call-moderator").click()
    alice.locator("[data-testid^='call-join-']").first.click()
    until(lambda: here(alice) == here(bob), "the moderator beside the caller")
    sees(alice, my_id(bob))

    # The moderator ends it from the dashboard, and starts it again from Slack.
    alice.get_by_test_id("end-breakout").click()
    alice.get_by_test_id("confirm-end-breakout").click()
    until(lambda: here(alice) == here(bob) == here(bea) == "main", "everybody back in the main room")
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
    assert bea.get_by_test_id("rec-indicator").count() == 0
    time.sleep(6)  # this much of the lesson is on the film
    alice.get_by_test_id("stop-recording").click()

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
    before = enter(contexts(), installed.lms_url, "tara")
    before.get_by_test_id("leave").click()
    before.get_by_test_id("menu-end").click()
    before.get_by_test_id("confirm-danger").click()
    before.locator(".goodbye").wait_for()
    tara = enter(contexts(), installed.lms_url, "tara")
    ben = enter(contexts(), installed.lms_url, "ben")
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
