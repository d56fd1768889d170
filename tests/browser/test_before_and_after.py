"""Before the room and out of it: the device check tells what is inside, and nobody falls out of a lesson by accident."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, expect, sync_playwright

from models import room_settings
from models.store import people
from models.store.database import Database
from server.demo import Demo
from tests.browser.kit import WAIT_MS, arrive, at_the_door, chromium, my_id, person, running_demo, sees, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    parts = {"web", "media", "recorder", "practice-lms", "practice-slack"}
    with running_demo(tmp_path_factory.mktemp("doors"), only=parts) as (made, _):
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


def test_the_device_check_tells_who_is_inside_and_tries_the_speaker(
    demo: Demo, contexts: Callable[[], BrowserContext]
) -> None:
    bob = at_the_door(contexts(), demo.lms_url, "bob")
    expect(bob.get_by_test_id("check-name")).to_have_text("Bob Keller")
    expect(bob.get_by_test_id("check-inside")).to_have_text("No one else is here yet.")
    bob.get_by_test_id("test-speaker").click()
    until(lambda: bob.evaluate("() => window.__sideroom.played") == ["call"], "the sound")
    expect(bob.get_by_text("Didn’t hear it?", exact=False)).to_be_visible()
    # Which device “default” is, and the meter right below its own field.
    expect(bob.get_by_test_id("select-mic").locator("option").first).to_contain_text("Default: Fake")
    field = bob.locator(".device-group", has=bob.get_by_test_id("select-mic"))
    expect(field.get_by_role("img", name="Microphone level")).to_be_visible()
    alice = arrive(contexts(), demo.lms_url, "alice")
    expect(bob.get_by_test_id("check-inside")).to_have_text("Alice Moreau is here.", timeout=WAIT_MS)
    assert bob.get_by_test_id("check-recording").count() == 0
    alice.get_by_test_id("rec-indicator").click()
    alice.get_by_test_id("confirm-start-recording").click()
    expect(bob.get_by_test_id("check-recording")).to_be_visible(timeout=WAIT_MS)
    bob.get_by_test_id("join").click()
    bob.get_by_test_id("toggle-mic").wait_for()
    # Who was sent out hears so at the check, and its camera goes off.
    alice.get_by_test_id("toggle-people").click()
    alice.get_by_test_id(f"actions-{my_id(bob)}").click()
    alice.get_by_role("menuitem", name="Remove from session").click()
    alice.get_by_test_id("confirm-danger").click()
    expect(bob.get_by_role("heading", name="removed you", exact=False)).to_be_visible(timeout=WAIT_MS)
    bob.reload()
    expect(bob.get_by_role("heading", name="removed you", exact=False)).to_be_visible(timeout=WAIT_MS)
    assert bob.get_by_test_id("join").count() == 0


def test_a_course_may_let_participants_enter_muted(
    demo: Demo, contexts: Callable[[], BrowserContext]
) -> None:
    ben = at_the_door(contexts(), demo.lms_url, "ben")
    db = Database(demo.settings.db_url)
    course = people.find_courses(db, None, "BIO", 0, 1)[0][0]
    people.set_course_setting(db, course.course_id, room_settings.SETTING, {"mute_on_entry": True})
    try:
        expect(ben.get_by_test_id("check-muted")).to_be_visible(timeout=WAIT_MS)
        ben.get_by_test_id("join").click()
        expect(ben.get_by_test_id("toggle-mic")).to_have_accessible_name("Unmute microphone")
        expect(ben.get_by_test_id("toasts")).to_contain_text("You joined muted.")
        ben.get_by_test_id("toggle-mic").click()
        expect(ben.get_by_test_id("toggle-mic")).to_have_accessible_name("Mute microphone")
        alice = arrive(contexts(), demo.lms_url, "alice")
        expect(alice.get_by_test_id("toggle-mic")).to_have_accessible_name("Mute microphone")
    finally:
        people.set_course_setting(db, course.course_id, room_settings.SETTING, {})
        db.close()


def test_a_reload_asks_the_moderator_goes_straight_back_in_and_the_screen_stays_awake(
    demo: Demo, contexts: Callable[[], BrowserContext]
) -> None:
    alice = arrive(contexts(), demo.lms_url, "alice")
    ben = arrive(contexts(), demo.lms_url, "ben")
    sees(alice, my_id(ben))
    until(lambda: alice.evaluate("() => window.__sideroom.awake"), "the screen is kept awake")
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    # A student's reload takes nothing from anybody.
    ben.on("dialog", answer)
    ben.get_by_test_id("raise-hand").click()
    ben.reload()
    ben.get_by_test_id("toggle-mic").wait_for()
    assert asked == [] and ben.get_by_test_id("join").count() == 0
    expect(ben.get_by_test_id("raise-hand")).to_have_accessible_name("Lower hand")
    sees(alice, my_id(ben))
    alice.on("dialog", answer)
    alice.get_by_test_id("toggle-chat").click()
    alice.reload()
    alice.get_by_test_id("toggle-mic").wait_for()
    assert asked == ["beforeunload"]
    sees(ben, my_id(alice))
    sees(alice, my_id(ben))
    # Who left on purpose is asked again before coming back.
    ben.get_by_test_id("leave").click()
    ben.get_by_test_id("rejoin").click()
    ben.get_by_test_id("join").wait_for()
    assert asked == ["beforeunload"]
