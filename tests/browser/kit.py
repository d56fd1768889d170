"""What the browser tests share: a whole demo on free ports, Chromium, and the ways into a room."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, TimeoutError, expect

from sandbox.lms.client import launch, room_url
from sandbox.lms.pages import FRAME_SELECTOR
from server.demo import Demo, free_demo, practice_programs, prepare_database, wait_ready
from server.processes import programs
from server.supervisor import Supervisor

WAIT_MS = 45_000
FRAME = FRAME_SELECTOR
"""A tool's frame in the course page."""
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


@contextmanager
def running_demo(
    folder: Path,
    settings: dict[str, Any] | None = None,
    prepare: Callable[[Demo], None] | None = None,
    only: set[str] | None = None,
) -> Iterator[tuple[Demo, Supervisor]]:
    """A demo with its data in ``folder``; ``only`` names the processes that are needed (all of them by default)."""
    made = free_demo(folder)
    made = replace(made, settings=replace(made.settings, **(settings or {})))
    prepare_database(made)
    if prepare is not None:
        prepare(made)
    parts = [*programs(made.settings), *practice_programs(made)]
    supervisor = Supervisor([p for p in parts if only is None or p.name in only], folder / "logs")
    supervisor.start()
    try:
        late = wait_ready([f"{made.settings.base_url}/healthz", made.lms_url, made.slack_url], 90)
        assert late is None, f"{late} did not answer: {_logs(folder)}"
        yield made, supervisor
    finally:
        supervisor.stop()


def _logs(folder: Path) -> str:
    return "\n".join(
        p.name + "\n" + p.read_text("utf-8", "replace")[-2000:] for p in folder.glob("logs/*.log")
    )


def chromium(playwright: Playwright, flags: list[str] = FLAGS) -> Browser:
    """The caller closes it."""
    return playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)


def person(browser: Browser, script: str = "", **options: Any) -> BrowserContext:
    """A browser of one's own; ``script`` runs before every page."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    context.set_default_timeout(WAIT_MS)
    if script:
        context.add_init_script(script)
    return context


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
        frame = page.frame_locator(FRAME)
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


def arrive(context: BrowserContext, lms: str, who: str) -> Page:
    """As ``enter``, but the launch is walked by plain HTTP: quick, and no frame is in play."""
    room = at_the_door(context, lms, who)
    room.get_by_test_id("join").click()
    room.get_by_test_id("toggle-mic").wait_for()
    return room


def at_the_door(context: BrowserContext, lms: str, who: str) -> Page:
    """The room's window with its device check."""
    room = context.new_page()
    room.goto(room_url(launch(lms, who)))
    room.get_by_test_id("join").wait_for()
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
