"""Every page against WCAG 2.2 A and AA by axe-core, light and dark; and nothing lies over a face or is cut on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Page, expect, sync_playwright

from models.store import admin as accounts
from models.store.database import Database
from server.demo import Demo
from tests.browser.kit import WAIT_MS, arrive, at_the_door, chromium, my_id, person, running_demo, sees, tool

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]
AXE = Path("web/node_modules/axe-core/axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PASSWORD = "correct horse battery"
PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    def prepare(made: Demo) -> None:
        db = Database(made.settings.db_url)
        accounts.set_password(db, "root", PASSWORD, new=True)
        db.close()

    parts = {"web", "media", "recorder", "jobs", "practice-lms", "practice-slack"}
    with running_demo(tmp_path_factory.mktemp("axe"), prepare=prepare, only=parts) as (made, _):
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = chromium(playwright)
        yield made
        made.close()


def violations(where: Page | Frame, name: str) -> list[str]:
    """What axe-core finds in both colour schemes: the rule, and the elements that break it."""
    page = where if isinstance(where, Page) else where.page
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.wait_for_timeout(300)
        if not where.evaluate("() => 'axe' in window"):
            where.evaluate(AXE.read_text("utf-8"))
        result = where.evaluate(
            "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})",
            RULES,
        )
        for rule in result["violations"]:
            places = "; ".join(node["html"][:160] for node in rule["nodes"][:3])
            found.append(f"{name}, {scheme}: {rule['id']} ({rule['help']}): {places}")
    return found


def inside(page: Page) -> Frame:
    """The tool's frame in the course page."""
    element = page.locator("iframe[id^='sakai-lti-iframe-']").element_handle()
    frame = element.content_frame()
    assert frame is not None
    return frame


def test_lobby_library_and_administration_meet_wcag_aa(demo: Demo, browser: Browser) -> None:
    page = person(browser).new_page()
    found: list[str] = []
    lobby = tool(page, demo.lms_url, "alice", "room")
    lobby.get_by_test_id("show-room-settings").click()
    # The switch holds for the next who asks.
    lobby.get_by_test_id("room-mute").check()
    expect(lobby.get_by_text("Saved.")).to_be_visible()
    page.reload()
    lobby.get_by_test_id("show-room-settings").click()
    expect(lobby.get_by_test_id("room-mute")).to_be_checked()
    lobby.get_by_test_id("room-mute").uncheck()
    expect(lobby.get_by_text("Saved.")).to_be_visible()
    found += violations(inside(page), "lobby")
    for name in ("mymedia", "gallery"):
        tool(page, demo.lms_url, "alice", name)
        found += violations(inside(page), name)
    page.goto(f"{demo.settings.base_url}/admin")
    page.get_by_label("Name").wait_for()
    found += violations(page, "administration, signing in")
    page.get_by_label("Name").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Platforms").wait_for(timeout=WAIT_MS)
    found += violations(page, "administration")
    sections = page.locator("nav a, nav button")
    for number in range(sections.count()):
        sections.nth(number).click()
        page.wait_for_timeout(400)
        found += violations(page, f"administration, section {number}")
    page.context.close()
    assert found == [], "\n".join(found)


def test_room_and_dashboard_meet_wcag_aa_and_fit_a_phone(demo: Demo, browser: Browser) -> None:
    found: list[str] = []
    alice = at_the_door(person(browser), demo.lms_url, "alice")
    found += violations(alice, "device check")
    alice.get_by_test_id("join").click()
    alice.get_by_test_id("toggle-mic").wait_for()
    found += violations(alice, "room, alone")
    alice.set_viewport_size(PHONE)  # type: ignore[arg-type]
    title = alice.locator(".topbar h1")
    assert title.evaluate("(h) => h.scrollWidth <= h.clientWidth"), "the room's name is not cut"
    note = alice.locator(".alone").bounding_box()
    tile = alice.locator(".tile").bounding_box()
    assert note and tile and note["y"] + note["height"] <= tile["y"], "the note lies on nobody's face"
    alice.set_viewport_size(WIDE)  # type: ignore[arg-type]
    bob = arrive(person(browser), demo.lms_url, "bob")
    sees(alice, my_id(bob))
    bob.get_by_test_id("raise-hand").click()
    alice.get_by_test_id("toggle-people").click()
    found += violations(alice, "people")
    alice.get_by_test_id("toggle-chat").click()
    found += violations(alice, "chat")
    alice.get_by_test_id("toggle-chat").click()
    alice.get_by_test_id("more").click()
    found += violations(alice, "menu")
    alice.get_by_test_id("menu-breakout").click()
    alice.get_by_test_id("breakout-count").fill("2")
    found += violations(alice, "set-up")
    alice.get_by_test_id("breakout-continue").click()
    alice.get_by_test_id("start-breakout").click()
    bob.get_by_test_id("call-moderator").click(timeout=WAIT_MS)
    alice.locator("[data-testid^='call-join-']").first.wait_for()
    found += violations(alice, "dashboard with a call")
    found += violations(bob, "breakout room with a call")
    # Who was helped is told that the call is closed.
    alice.locator("[data-testid^='call-join-']").first.click()
    # Joining the call closed the dashboard.
    alice.get_by_role("button", name="Open dashboard").click(timeout=WAIT_MS)
    alice.locator("[data-testid^='call-done-']").first.click(timeout=WAIT_MS)
    expect(bob.get_by_test_id("toasts")).to_contain_text(
        "Alice Moreau marked your call as done.", timeout=WAIT_MS
    )
    alice.get_by_test_id("dashboard").press("Escape")
    alice.get_by_test_id("rec-indicator").click()
    found += violations(alice, "starting a recording")
    alice.get_by_test_id("confirm-start-recording").click()
    bob.get_by_test_id("confirm-recorded").wait_for(timeout=WAIT_MS)
    found += violations(bob, "recording notice")
    bob.get_by_test_id("confirm-recorded").click()
    alice.get_by_test_id("stop-recording").click()
    found += violations(alice, "stopping a recording")
    alice.get_by_test_id("confirm-stop-recording").click()
    expect(alice.get_by_test_id("toasts")).to_contain_text("Recording stopped.", timeout=WAIT_MS)
    alice.locator(".rec.idle").wait_for(timeout=WAIT_MS)
    assert alice.get_by_test_id("said").inner_text().count("Recording stopped.") == 1, "told once"
    bob.get_by_test_id("leave").click()
    bob.get_by_test_id("rejoin").wait_for()
    found += violations(bob, "goodbye")
    for context in browser.contexts:
        context.close()
    assert found == [], "\n".join(found)
