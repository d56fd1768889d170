"""What a lesson feels like: hands and messages are noticed, typing types, names can be read, a phone keeps its controls in reach."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from server.demo import Demo
from tests.browser.kit import WAIT_MS, arrive, chromium, here, my_id, person, running_demo, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    parts = {"web", "media", "practice-lms", "practice-slack"}
    with running_demo(tmp_path_factory.mktemp("comforts"), only=parts) as (made, _):
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


def on_top(page: Page, locator: str) -> bool:
    """Nothing lies over the middle of this element."""
    script = """(wanted) => {
      const element = document.querySelector(wanted), box = element.getBoundingClientRect();
      element.style.pointerEvents = "auto";  // notes let clicks through
      const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      return top !== null && top.closest(wanted) !== null;
    }"""
    return bool(page.evaluate(script, locator))


def played(page: Page) -> list[str]:
    return [str(sound) for sound in page.evaluate("() => window.__sideroom.played")]


def breakout(alice: Page, rooms: int = 2) -> None:
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    create = alice.get_by_role("button", name="Create new rooms")
    alice.locator("[data-testid=breakout-continue], dialog[open]").first.wait_for()
    if create.count():
        create.click()
    alice.get_by_label("Number of rooms").fill(str(rooms))
    alice.get_by_test_id("breakout-continue").click()
    alice.get_by_test_id("start-breakout").click()


def test_a_message_typed_after_opening_the_chat_is_a_message(
    demo: Demo, contexts: Callable[[], BrowserContext]
) -> None:
    bob = arrive(contexts(), demo.lms_url, "bob")
    bob.get_by_test_id("toggle-chat").click()
    bob.keyboard.type("hi mvp")
    expect(bob.get_by_test_id("chat-input")).to_have_value("hi mvp")
    assert bob.evaluate("() => window.__sideroom.state.people[window.__sideroom.state.you.person_id].mic")
    bob.keyboard.press("Enter")
    expect(bob.get_by_test_id("chat-log")).to_contain_text("hi mvp")
    # The people's panel is no place for single keys either, and closing the panel gives them back.
    bob.get_by_role("button", name="People", exact=True).first.click()
    bob.keyboard.press("h")
    bob.keyboard.press("Escape")
    expect(bob.get_by_test_id("raise-hand")).to_have_accessible_name("Raise hand")
    bob.locator("body").press("h")
    expect(bob.get_by_test_id("raise-hand")).to_have_accessible_name("Lower hand")


def test_hands_are_noticed_in_their_order_and_lowered_together(
    demo: Demo, contexts: Callable[[], BrowserContext]
) -> None:
    alice = arrive(contexts(), demo.lms_url, "alice")
    bob = arrive(contexts(), demo.lms_url, "bob")
    ben = arrive(contexts(), demo.lms_url, "ben")
    for page in (bob, ben):
        page.evaluate("() => window.__sideroom.state")
        if page.get_by_test_id("raise-hand").get_attribute("aria-label") == "Lower hand":
            page.get_by_test_id("raise-hand").click()
    # The set-up sheet is open: the note lies over it.
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    ben.get_by_test_id("raise-hand").click()
    toast = alice.get_by_test_id("toasts").get_by_text("raised their hand", exact=False)
    expect(toast.first).to_be_visible()
    assert on_top(alice, ".toast")
    assert "hand" in played(alice)
    assert "hand" not in played(bob)
    alice.keyboard.press("Escape")
    bob.get_by_test_id("raise-hand").click()
    people = alice.get_by_test_id("toggle-people")
    expect(people).to_have_accessible_name("People, 2 raised hands")
    for page, place in ((ben, 1), (bob, 2)):
        hand = alice.get_by_test_id(f"tile-{my_id(page)}").get_by_role("img", name=f"number {place} in line")
        expect(hand).to_have_text(str(place))
    # Over a dialog, too.
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-settings").click()
    bob.get_by_test_id("raise-hand").click()
    bob.get_by_test_id("raise-hand").click()
    expect(alice.locator(".toast").last).to_be_visible()
    top = alice.evaluate("() => document.querySelector('.toasts').matches(':popover-open')")
    assert top
    alice.keyboard.press("Escape")
    people.click()
    alice.get_by_test_id("lower-all").click()
    expect(ben.get_by_test_id("raise-hand")).to_have_accessible_name("Raise hand")
    expect(people).to_have_accessible_name("People")


def test_a_long_name_keeps_its_muted_mark(demo: Demo, contexts: Callable[[], BrowserContext]) -> None:
    alice = arrive(contexts(), demo.lms_url, "alice")
    bob = arrive(contexts(), demo.lms_url, "bob")
    bob.get_by_test_id("toggle-mic").click()
    tile = alice.get_by_test_id(f"tile-{my_id(bob)}")
    tile.get_by_test_id("muted-mark").wait_for()
    size = tile.evaluate("""(tile) => {
      tile.querySelector("bdi").textContent = "Maximiliane Konstantinopoulou-Featherstonehaugh of Saint Petersburg ".repeat(3);
      tile.style.inlineSize = "120px";
      const mark = tile.querySelector("[data-testid=muted-mark]").getBoundingClientRect();
      const name = tile.querySelector(".name"), box = tile.getBoundingClientRect();
      return { mark: mark.width, inside: mark.left >= box.left && name.getBoundingClientRect().right <= box.right,
        cut: name.scrollWidth > name.clientWidth && getComputedStyle(name).textOverflow };
    }""")
    assert size["mark"] >= 20 and size["inside"] and size["cut"] == "ellipsis"
    bob.get_by_test_id("toggle-mic").click()


def test_chat_tells_links_and_keeps_rooms_apart(demo: Demo, contexts: Callable[[], BrowserContext]) -> None:
    alice = arrive(contexts(), demo.lms_url, "alice")
    bob = arrive(contexts(), demo.lms_url, "bob")
    alice.get_by_test_id("toggle-chat").click()
    alice.get_by_test_id("chat-input").fill("Read https://example.org/cells. <b>now</b>")
    alice.keyboard.press("Enter")
    # A preview, a sound, and a click that opens the chat.
    preview = bob.locator("button.toast", has_text="Read https://example.org/cells")
    preview.wait_for()
    assert "message" in played(bob)
    preview.click()
    link = bob.get_by_test_id("chat-log").get_by_role("link", name="https://example.org/cells", exact=True)
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(bob.get_by_test_id("chat-log")).to_contain_text("<b>now</b>")
    bob.get_by_test_id("chat-input").fill("half a message for the class")
    breakout(alice)
    until(lambda: here(bob) not in ("", "main"), "Bob in his room")
    assert "notice" in played(bob)
    room_name = bob.get_by_test_id("room-name").inner_text()
    field = bob.get_by_test_id("chat-input")
    expect(field).to_have_value("")
    field.fill("our result")
    field.press("Enter")
    expect(bob.get_by_test_id("chat-log")).to_contain_text("our result")
    field.fill("half a message for the group")
    # To the moderators, wherever they are; the answer is private.
    bob.get_by_test_id("chat-to").select_option("moderators")
    expect(field).to_have_value("")
    field.fill("We are stuck")
    field.press("Enter")
    alice.get_by_test_id("dashboard").press("Escape")
    log = alice.get_by_test_id("chat-log")
    expect(log).to_contain_text(f"Only moderators · from {room_name}")
    alice.locator("[data-testid^=reply-]").last.click()
    expect(alice.get_by_test_id("chat-input")).to_be_focused()
    alice.get_by_test_id("chat-input").fill("Try the second link")
    alice.get_by_test_id("chat-input").press("Enter")
    expect(bob.get_by_test_id("chat-log")).to_contain_text("Only you and moderators")
    alice.get_by_test_id("toggle-chat").click()
    # Back: the class's half message is there again, the group's chat stays readable.
    alice.get_by_test_id("open-dashboard").click()
    alice.get_by_test_id("end-breakout").click()
    alice.get_by_test_id("confirm-end-breakout").click()
    until(lambda: here(bob) == "main", "Bob back")
    bob.get_by_test_id("chat-to").select_option("room")
    expect(bob.get_by_test_id("chat-input")).to_have_value("half a message for the class")
    bob.get_by_test_id("chat-room").select_option(label=f"{room_name} (earlier)")
    expect(bob.get_by_test_id("chat-log")).to_contain_text("our result")
    assert bob.get_by_test_id("chat-input").count() == 0


def test_a_phone_keeps_its_controls_in_reach(demo: Demo, contexts: Callable[[], BrowserContext]) -> None:
    alice = arrive(contexts(), demo.lms_url, "alice")
    bob = arrive(contexts(), demo.lms_url, "bob")
    for page in (alice, bob):
        page.set_viewport_size(PHONE)
    bob.get_by_test_id("raise-hand").click()
    expect(bob.get_by_test_id("raise-hand")).to_have_accessible_name("Lower hand")
    bob.get_by_test_id("more").click()
    assert bob.get_by_role("menuitem", name="Keyboard shortcuts").count() == 0
    bob.keyboard.press("Escape")
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-hand").click()
    alice.get_by_test_id("more").click()
    expect(alice.get_by_test_id("menu-hand")).to_have_text("Lower hand")
    alice.get_by_test_id("menu-hand").click()
    # Panels leave the toolbar free.
    for page in (alice, bob):
        page.get_by_test_id("toggle-chat").click()
        for control in ("toggle-mic", "leave"):
            assert on_top(page, f"[data-testid={control}]")
        page.get_by_test_id("toggle-chat").click()
    breakout(alice)
    alice.get_by_test_id("bell").wait_for(timeout=WAIT_MS)
    until(lambda: here(bob) not in ("", "main"), "Bob in his room")
    if alice.get_by_test_id("dashboard").count():
        alice.get_by_test_id("dashboard").press("Escape")
    boxes = [
        alice.get_by_test_id(name).bounding_box()
        for name in ("remaining-time", "room-menu", "bell", "open-dashboard")
    ]
    assert all(box is not None for box in boxes)
    row = [box for box in boxes if box is not None]
    for left, right in itertools.pairwise(row):
        assert left["x"] + left["width"] <= right["x"] + 0.5, boxes
        assert abs(left["y"] + left["height"] / 2 - right["y"] - right["height"] / 2) < 8, boxes
    assert row[-1]["x"] + row[-1]["width"] <= PHONE["width"]
    assert alice.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
