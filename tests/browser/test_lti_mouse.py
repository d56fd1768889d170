"""Every button of the pages in the LMS's frames under a real mouse, in frames of Sakai's two heights (1200 and 450 px)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright

from models.store import library as library_store
from models.store import people
from models.values import Role
from sandbox.lms.world import PEOPLE
from tests.browser.kit import FLAGS, FRAME, until
from tests.browser.test_lti_frames import a_film, height_px, plays
from tests.ltikit import World, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]
WAIT_MS = 30_000
CONTROLS = "button, a[href], select, summary, input:not([type=hidden]):not([type=file])"
FRAMES = [(1200, "on"), (1200, "off"), (450, "on"), (450, "off")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("mouse"), ROOT / "web" / "dist") as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield made
        made.close()


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


def all_can_be_pressed(frame: FrameLocator, at_least: int) -> None:
    """Each control can be brought to where a click at its middle reaches it, not something over it."""
    controls = [c for c in frame.locator(CONTROLS).all() if c.is_visible() and c.is_enabled()]
    assert len(controls) >= at_least
    for control in controls:
        control.click(trial=True, timeout=5_000)


def an_entry(world: World, owner: str, title: str) -> None:
    """A recording that is ready, so that the library and the selector have cards."""
    now = datetime.now(UTC)
    course_id = people.upsert_course(world.db, world.lms, "bio101")
    owner_id = people.upsert_person(world.db, world.lms, world.sub(owner), PEOPLE[owner].name)
    people.upsert_membership(world.db, course_id, owner_id, Role.MODERATOR, [])
    values: dict[str, Any] = {"course_id": course_id, "owner_id": owner_id, "title": title, "published": True}
    values |= {"status": "ready", "recorded_at": now, "created_at": now}
    library_store.save_entry(world.db, "e" + title.encode().hex()[:30], values)


@pytest.mark.parametrize(("height", "resize"), FRAMES)
def test_the_lobby(world: World, page: Page, height: int, resize: str) -> None:
    page.goto(f"{world.lms}/site/bio101/tool/room?as=alice&height={height}&resize={resize}")
    lobby = page.frame_locator(FRAME)
    lobby.get_by_test_id("show-roles").wait_for()
    all_can_be_pressed(lobby, 4)
    lobby.get_by_test_id("show-roles").click()
    lobby.get_by_test_id("show-attendance").click()
    lobby.get_by_test_id("save-attendance").wait_for()
    all_can_be_pressed(lobby, 8)
    lobby.get_by_test_id("save-attendance").click()
    expect(lobby.get_by_test_id("attendance").get_by_text("Saved.")).to_be_visible()
    lobby.get_by_test_id("my-recordings").click()
    lobby.get_by_test_id("search").wait_for()
    lobby.get_by_role("button", name="Back to the room").click()
    with page.context.expect_page() as opened:
        lobby.get_by_test_id("open-room").click()
    opened.value.close()


@pytest.mark.parametrize(("height", "resize"), FRAMES)
def test_the_library(world: World, page: Page, height: int, resize: str, tmp_path: Path) -> None:
    for number in range(9):
        an_entry(world, "alice", f"Meeting {number}")
    page.goto(f"{world.lms}/site/bio101/tool/mymedia?as=alice&height={height}&resize={resize}")
    library = page.frame_locator(FRAME)
    library.locator("[data-title='Meeting 8']").wait_for()
    all_can_be_pressed(library, 12)
    title = f"Film {height} {resize} {page.viewport_size}"
    library.get_by_test_id("upload-file").set_input_files(a_film(tmp_path / f"{title}.webm"))
    library.locator(f'[data-title="{title}"]').click()
    plays(page)
    all_can_be_pressed(library, 5)
    library.get_by_role("button", name="Rename").click()
    dialog_is_at_hand(page, library, "Rename")
    library.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    library.get_by_test_id("publish").click()
    library.get_by_role("button", name="Unpublish").wait_for()
    library.get_by_test_id("delete").click()
    dialog_is_at_hand(page, library, "Delete")
    library.get_by_test_id("confirm-delete").click()
    library.locator("[data-title='Meeting 8']").wait_for()
    expect(library.locator(f'[data-title="{title}"]')).to_have_count(0)


def dialog_is_at_hand(page: Page, frame: FrameLocator, button: str) -> None:
    """Wholly on the screen without scrolling, its middle not far from the button that opened it."""
    dialog = frame.get_by_role("dialog")
    dialog.wait_for()
    assert page.viewport_size is not None
    tall = page.viewport_size["height"]

    def in_view() -> bool:
        box = dialog.bounding_box()
        return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= tall + 1

    until(in_view, f"the dialog of {button} is on the screen", 10)
    box = dialog.bounding_box()
    pressed = frame.get_by_role("button", name=button, exact=True).first.bounding_box()
    assert box is not None and pressed is not None
    middle, at = box["y"] + box["height"] / 2, pressed["y"] + pressed["height"] / 2
    assert abs(middle - at) < max(tall / 2, box["height"] / 2 + 60), f"{middle} is far from {at}"


@pytest.mark.parametrize(("height", "resize"), FRAMES)
def test_the_selector(world: World, page: Page, height: int, resize: str, tmp_path: Path) -> None:
    for number in range(9):
        an_entry(world, "alice", f"Meeting {number}")
    page.goto(f"{world.lms}/site/bio101/insert/assignment?as=alice&height={height}&resize={resize}")
    selector = page.frame_locator(FRAME)
    card = selector.locator("[data-testid='choice'][data-title='Meeting 8']")
    card.wait_for()
    all_can_be_pressed(selector, 12)
    name = card.get_by_test_id("pick").evaluate("(button) => button.innerText")
    expect(card.get_by_test_id("pick")).to_have_accessible_name(" ".join(name.split()), ignore_case=True)
    assert name.startswith("Meeting 8"), "the name begins with what is read on the card"
    film = a_film(tmp_path / f"Clip {height} {resize} {page.viewport_size}.webm")
    selector.get_by_test_id("upload-file").set_input_files(film)
    selector.locator(f'[data-title="{film.stem}"]').get_by_test_id("preview").click()
    plays(page)
    selector.get_by_role("button", name="Close").click()
    card.get_by_test_id("pick").click()
    selector.get_by_role("button", name="Meeting 8 Remove").click()
    expect(card.get_by_test_id("pick")).to_have_attribute("aria-pressed", "false")
    for tab in ("channel", "folder", "room"):
        selector.get_by_test_id(f"tab-{tab}").click()
        if tab == "channel":
            selector.get_by_test_id("choose-gallery").click()
            selector.get_by_test_id("points").wait_for()
        page.wait_for_timeout(300)
        all_can_be_pressed(selector, 6)
    selector.get_by_test_id("room-name").fill("Group A")
    selector.get_by_test_id("room-wait").click()
    selector.get_by_test_id("add-room").click()
    expect(selector.get_by_text("1 chosen")).to_be_visible()
    selector.get_by_test_id("insert").click()
    expect(selector.locator("#result")).to_have_text("Inserted")
    assert list(world.practice.items.values())[-1].title == "Group A"


def test_the_selector_keeps_its_bar_on_the_screen(world: World, page: Page) -> None:
    """However much there is to choose from, the frame does not become taller than a dialog can show."""
    for number in range(15):
        an_entry(world, "alice", f"Meeting {number}")
    page.goto(f"{world.lms}/site/bio101/insert/lessons?as=alice")
    selector = page.frame_locator(FRAME)
    selector.locator("[data-title='Meeting 14']").wait_for()
    assert page.viewport_size is not None
    page.wait_for_timeout(500)
    assert 450 <= height_px(page) <= page.viewport_size["height"]
    bar = selector.get_by_test_id("insert").bounding_box()
    frame = page.locator(FRAME).bounding_box()
    assert bar is not None and frame is not None
    assert bar["y"] + bar["height"] <= frame["y"] + frame["height"]
