"""The administration page in Chromium: from a course page without an account, and signed in; light, dark, narrow, by keyboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from models.store import admin as store
from models.store.database import Database
from sandbox.lms.client import launch
from server.demo import Demo, free_demo, practice_programs, prepare_database, wait_ready
from server.processes import programs
from server.supervisor import Supervisor
from tests.browser.kit import FLAGS, tool

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
WAIT_MS = 30_000
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("admin")
    made = free_demo(folder)
    made = replace(made, settings=replace(made.settings, admin_lti=True))
    prepare_database(made)
    db = Database(made.settings.db_url)
    store.set_password(db, "root", PASSWORD, new=True)
    db.close()
    wanted = {"web", "jobs", "practice-lms", "practice-slack"}
    parts = [p for p in (*programs(made.settings), *practice_programs(made)) if p.name in wanted]
    supervisor = Supervisor(parts, folder / "logs")
    supervisor.start()
    try:
        late = wait_ready([f"{made.settings.base_url}/healthz", made.lms_url, made.slack_url], 90)
        assert late is None, f"{late} did not answer"
        yield made
    finally:
        supervisor.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield made
        made.close()


def shot(page: Page, name: str) -> None:
    """Pictures for a person to look at, when SHOTS_FOLDER names a folder."""
    if folder := os.environ.get("SHOTS_FOLDER"):
        page.screenshot(path=Path(folder) / f"admin-{name}.png", full_page=True)


def sign_in(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.settings.base_url}/admin")
    page.get_by_label("Name").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Platforms")).to_be_visible(timeout=WAIT_MS)


def test_a_system_administrator_of_the_lms_goes_from_the_course_page(demo: Demo, chromium: Browser) -> None:
    context = chromium.new_context()
    course = context.new_page()
    lobby = tool(course, demo.lms_url, "adam", "room")
    with context.expect_page(timeout=WAIT_MS) as opened:
        lobby.get_by_test_id("open-admin").click(timeout=WAIT_MS)
    page = opened.value
    expect(page.get_by_text("Signed in as Adam Rossi")).to_be_visible(timeout=WAIT_MS)
    assert launch(demo.lms_url, "alice").boot["admin"] is False
    context.close()


def test_health_keys_and_a_courses_settings(demo: Demo, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    launch(demo.lms_url, "alice")
    page.goto(f"{demo.settings.base_url}/admin")
    shot(page, "sign-in")
    sign_in(page, demo)
    page.get_by_test_id("check-1").click()
    expect(page.get_by_test_id("platform-1").get_by_text("Access token: worked")).to_be_visible(
        timeout=WAIT_MS
    )
    expect(page.get_by_test_id("platform-1").get_by_text("Roster: worked")).to_be_visible(timeout=WAIT_MS)
    shot(page, "platforms")
    page.get_by_role("link", name="API keys").click()
    page.get_by_test_id("new-key").click()
    page.get_by_label("Name").fill("Campus calendar")
    page.get_by_test_id("create-key").click()
    expect(page.get_by_test_id("secret")).to_contain_text("srk_", timeout=WAIT_MS)
    shot(page, "secret")
    page.get_by_test_id("secret-done").click()
    expect(page.get_by_test_id("secret-done")).to_have_count(0)
    expect(page.get_by_role("cell", name="Campus calendar", exact=True)).to_be_visible(timeout=WAIT_MS)
    shot(page, "keys")
    page.get_by_role("link", name="Courses").click()
    page.get_by_role("button", name="Settings of BIO 101").click()
    page.get_by_label("Send attendance to").check()
    page.get_by_label("Points for attending every session").fill("20")
    page.get_by_role("button", name="Save: Attendance").click()
    expect(page.get_by_text("Saved.")).to_be_visible(timeout=WAIT_MS)
    shot(page, "course")
    page.emulate_media(color_scheme="dark")
    for name in ("Deployments", "People", "Recordings"):
        # By keyboard: a link of the menu has the focus and is followed with Enter.
        page.get_by_role("link", name=name).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=WAIT_MS)
        shot(page, f"dark-{name.lower()}")
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("link", name="People").click()
    expect(page.get_by_text("Bob Keller")).to_be_visible(timeout=WAIT_MS)
    shot(page, "narrow-people")
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide, "nothing sticks out on a narrow screen"
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible(timeout=WAIT_MS)
    assert problems == []
    context.close()
