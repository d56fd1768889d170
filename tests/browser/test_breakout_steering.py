"""What a teacher does in a lesson and can take back: moves, broadcasts, time, calls, shared screens, recordings, the end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from server.demo import Demo
from tests.browser.kit import WAIT_MS, arrive, chromium, here, my_id, person, running_demo, tool, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    needed = {"web", "media", "recorder", "practice-lms", "practice-slack"}
    with running_demo(tmp_path_factory.mktemp("steering"), only=needed) as (made, _):
        yield made


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = chromium(playwright)
        yield made
        made.close()


@pytest.fixture
def browser(started: Browser, demo: Demo) -> Iterator[Browser]:
    """One Chromium for all tests here. Each ends the meeting that it leaves behind."""
    yield started
    for context in started.contexts:
        context.close()
    alice = arrive(person(started), demo.lms_url, "alice")
    alice.get_by_test_id("leave").click()
    alice.get_by_test_id("menu-end").click()
    alice.get_by_test_id("confirm-danger").click()
    alice.locator(".goodbye").wait_for()
    alice.context.close()


def shot(page: Page, name: str) -> None:
    """Pictures for a person to look at, when SHOTS_FOLDER names a folder: wide, upright phone, dark."""
    folder = os.environ.get("SHOTS_FOLDER")
    if not folder:
        return
    page.screenshot(path=Path(folder) / f"{name}-wide.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(400)
    page.screenshot(path=Path(folder) / f"{name}-phone.png")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(400)
    page.screenshot(path=Path(folder) / f"{name}-dark.png")
    page.emulate_media(color_scheme="light")


def set_up(alice: Page, rooms: int = 2) -> None:
    """The set-up sheet, filled in; leaves the dashboard open."""
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    create = alice.get_by_test_id("create-new-rooms")
    alice.locator("[data-testid='breakout-count'], [data-testid='create-new-rooms']").first.wait_for()
    if create.count():
        create.click()
    alice.get_by_test_id("breakout-count").fill(str(rooms))
    alice.get_by_test_id("breakout-continue").click()
    alice.get_by_test_id("start-breakout").wait_for()


def run(alice: Page, *others: Page) -> None:
    alice.get_by_test_id("start-breakout").click()
    until(lambda: all(here(page) not in ("", "main") for page in others), "everybody in a breakout room")


def toast(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator(".toasts")).to_contain_text(text, timeout=WAIT_MS)


def test_after_end_for_everyone_a_student_finds_no_way_in_until_a_moderator_opens_it(
    demo: Demo, browser: Browser
) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    students = person(browser)
    bob = arrive(students, demo.lms_url, "bob")
    alice.get_by_test_id("leave").click()
    alice.get_by_test_id("menu-end").click()
    alice.get_by_test_id("confirm-danger").click()
    bob.locator(".goodbye").wait_for()
    assert bob.get_by_test_id("rejoin").count() == 0
    bob.reload()
    expect(bob.get_by_role("heading", name="This session has ended.")).to_be_visible()
    assert bob.get_by_test_id("join").count() == 0
    shot(bob, "ended")
    frame = tool(students.new_page(), demo.lms_url, "bob", "room")
    expect(frame.get_by_test_id("open-room")).to_be_disabled()
    expect(frame.get_by_test_id("closed")).to_contain_text("Waiting for a moderator")
    arrive(person(browser), demo.lms_url, "alice")
    expect(frame.get_by_test_id("open-room")).to_be_enabled(timeout=WAIT_MS)


def test_teachers_choose_in_the_lobby_who_opens_and_who_shares(demo: Demo, browser: Browser) -> None:
    page = person(browser).new_page()
    frame = tool(page, demo.lms_url, "alice", "room")
    frame.get_by_test_id("show-room-settings").click()
    expect(frame.get_by_test_id("room-opens")).to_have_value("after_end")
    frame.get_by_test_id("room-sharing").select_option("moderators")
    expect(frame.get_by_test_id("room-settings").get_by_role("status")).to_have_text("Saved.")
    shot(page, "lobby")
    arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    bob.get_by_test_id("share-screen").click()
    toast(bob, "Only moderators can share their screen here.")
    frame.get_by_test_id("room-sharing").select_option("everyone")
    toast(bob, "Everyone can share their screen now.")
    bob.get_by_test_id("share-screen").click()
    bob.get_by_test_id("own-share").wait_for()


def test_moves_are_taken_back_and_a_gathering_ends_with_everybody_back(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    ben = arrive(person(browser), demo.lms_url, "ben")
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    expect(alice.get_by_test_id("breakout-share")).to_have_text("2 participants in 2 rooms: 1 in each")
    shot(alice, "setup")
    alice.get_by_test_id("breakout-continue").click()
    # The chips say what it will run with, and change it.
    alice.get_by_test_id("chip-limit").click()
    alice.get_by_test_id("limit-minutes").fill("12")
    alice.get_by_test_id("limit-save").click()
    expect(alice.get_by_test_id("chip-limit")).to_have_text("12 minutes")
    alice.get_by_test_id("chip-return").click()
    expect(alice.get_by_test_id("chip-return")).to_have_text("Participants stay until the end")
    shot(alice, "chips")
    run(alice, bob, ben)
    places = here(bob), here(ben)
    assert bob.get_by_test_id("join-room-main").count() == 0, "nobody returns before the end"
    alice.get_by_test_id("next-room").click()
    row = alice.get_by_test_id("countdown")
    expect(row).to_contain_text("2 people change rooms in")
    # In the flow: under the control bar, over nothing.
    bar, countdown = alice.get_by_test_id("control-bar").bounding_box(), row.bounding_box()
    stage = alice.locator("main.stage").bounding_box()
    assert bar and countdown and stage
    assert bar["y"] + bar["height"] <= countdown["y"] + 1
    assert countdown["y"] + countdown["height"] <= stage["y"] + 1
    shot(bob, "countdown")
    alice.get_by_test_id("cancel-moves").click()
    toast(bob, "Move canceled. You’ll stay here.")
    expect(row).to_have_count(0)
    alice.get_by_test_id("gather").click()
    until(lambda: here(bob) == here(ben) == "main", "everybody gathered")
    shot(alice, "gathered")
    alice.get_by_test_id("send-back").click()
    until(lambda: (here(bob), here(ben)) == places, "everybody back in their rooms")


def test_broadcasts_time_and_calls_are_told_to_everybody_they_concern(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    set_up(alice, 1)
    run(alice, bob)
    alice.get_by_test_id("broadcast-open").click()
    alice.get_by_test_id("broadcast-text").fill(
        "Please write down one question for each group, as on the slide."
    )
    alice.get_by_test_id("broadcast-send").click()
    toast(alice, "Sent to all breakout rooms.")
    expect(bob.get_by_test_id("broadcast")).to_contain_text("Please write down one question")
    height = bob.get_by_test_id("broadcast").bounding_box()
    assert height and height["height"] < 48, "one line"
    shot(bob, "broadcast")
    for page in (alice, bob):
        page.get_by_test_id("toggle-chat").click()
        expect(page.locator(".chat .broadcast")).to_contain_text("To all rooms")
        page.get_by_test_id("toggle-chat").click()
    # Somebody who comes later has it too.
    bea = arrive(person(browser), demo.lms_url, "bea")
    until(lambda: here(bea) not in ("", "main"), "the late comer in the room")
    expect(bea.get_by_test_id("broadcast")).to_contain_text("Please write down one question")
    bea.get_by_test_id("broadcast-close").click()
    expect(bea.get_by_test_id("broadcast")).to_have_count(0)
    # Time: its name begins with what is seen; everybody is told who changed it.
    name = alice.get_by_test_id("remaining-time").get_attribute("aria-label") or ""
    assert re.match(r"0\d:\d\d left\b", name), name
    alice.get_by_test_id("remaining-time").click()
    shot(alice, "time")
    alice.get_by_test_id("time-5").click()
    toast(bob, "Alice Moreau added 5 minutes.")
    alice.get_by_test_id("remaining-time").click()
    alice.locator("#set-minutes").fill("1")
    alice.get_by_test_id("set-time").click()
    toast(bob, "Alice Moreau")
    expect(bob.locator(".time.short")).to_be_visible()
    # A call that is closed unanswered is told; an answered one is seen by both.
    # The chat took the dashboard's place; the bell brings it back.
    bob.get_by_test_id("call-moderator").click()
    expect(alice.get_by_test_id("bell")).to_have_text("1", timeout=WAIT_MS)
    alice.get_by_test_id("bell").click()
    alice.locator("[data-testid^='call-dismiss-']").click()
    toast(bob, "A moderator closed your call.")
    bob.get_by_test_id("call-moderator").click()
    shot(alice, "calls")
    alice.locator("[data-testid^='call-join-']").click()
    until(lambda: here(alice) == here(bob), "the moderator beside the caller")
    expect(bob.get_by_test_id("control-bar")).to_contain_text("Alice Moreau is here with you.")
    expect(bob.get_by_test_id("cancel-call")).to_have_text("Thanks, done")
    alice.get_by_test_id("open-dashboard").click()
    expect(alice.get_by_test_id("calls")).to_contain_text("You’re helping Bob Keller")
    shot(alice, "helping")
    alice.locator("[data-testid^='call-done-']").click()
    bob.get_by_test_id("call-moderator").wait_for()
    # A broadcast does not live on into the next breakout.
    alice.get_by_test_id("end-breakout").click()
    alice.get_by_test_id("confirm-end-breakout").click()
    until(lambda: here(alice) == here(bob) == "main", "everybody back")
    expect(bob.get_by_test_id("broadcast")).to_have_count(0)
    # What “Keep existing rooms” keeps is said before.
    alice.get_by_test_id("dashboard").press("Escape")
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    expect(alice.get_by_test_id("kept")).to_contain_text("Room 1 (2)")
    expect(alice.get_by_test_id("kept")).to_contain_text("10 minutes")
    expect(alice.get_by_test_id("keep-rooms")).to_be_focused()
    shot(alice, "keep")
    alice.get_by_test_id("keep-rooms").click()
    alice.get_by_test_id("start-breakout").click()
    until(lambda: here(bob) not in ("", "main"), "the second breakout runs")
    expect(bob.get_by_test_id("control-bar")).to_be_visible()
    expect(bob.get_by_test_id("broadcast")).to_have_count(0)


def test_people_choose_their_room_seeing_who_is_where(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    bea = arrive(person(browser), demo.lms_url, "bea")
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    if alice.get_by_test_id("create-new-rooms").count():
        alice.get_by_test_id("create-new-rooms").click()
    alice.get_by_role("radio", name="Let participants choose room").check()
    alice.get_by_test_id("breakout-count").fill("3")
    alice.get_by_test_id("breakout-continue").click()
    alice.get_by_test_id("start-breakout").click()
    sheet = bob.get_by_test_id("self-choice")
    sheet.wait_for()
    rooms = sheet.locator("[data-testid^='pick-']")
    expect(rooms).to_have_count(3)
    rooms.nth(1).get_by_role("button").click()
    until(lambda: here(bob) not in ("", "main"), "the chosen room")
    expect(sheet).to_have_count(0)
    chosen = here(bob)
    row = bea.get_by_test_id("self-choice").get_by_test_id(f"pick-{chosen}")
    expect(row).to_contain_text("1 person")
    expect(row).to_contain_text("Bob Keller")
    shot(bea, "self-choice")
    # Locked: only who is assigned there comes in.
    alice.get_by_test_id(f"room-menu-{chosen}").click()
    alice.get_by_test_id(f"lock-{chosen}").click()
    expect(row).to_contain_text("Locked")
    expect(row.get_by_role("button")).to_be_disabled()
    # The moderator's way from room to room says as much, and who calls.
    bob.get_by_test_id("call-moderator").click()
    alice.get_by_test_id("dashboard").press("Escape")
    alice.get_by_test_id("room-menu").click()
    picked = alice.get_by_test_id(f"pick-{chosen}")
    expect(picked).to_contain_text("1 help call")
    shot(alice, "picker")
    alice.keyboard.press("Escape")
    expect(alice.get_by_test_id("room-menu")).to_be_focused()
    alice.get_by_test_id("room-menu").click()
    alice.get_by_test_id(f"go-{chosen}").click()
    until(lambda: here(alice) == chosen, "the moderator in the room")


def test_the_set_up_gives_way_to_a_breakout_that_was_started_from_slack(demo: Demo, browser: Browser) -> None:
    teacher = person(browser)
    alice = arrive(teacher, demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-breakout").click()
    if alice.get_by_test_id("create-new-rooms").count():
        alice.get_by_test_id("create-new-rooms").click()
    alice.get_by_test_id("breakout-count").fill("7")
    slack = teacher.new_page()
    slack.goto(f"{demo.slack_url}/?user=U0ALICE&channel=C0BIO101MOD")
    slack.locator("#text").fill("/breakout start 2 for 10m auto")
    slack.locator("#text").press("Enter")
    until(lambda: here(bob) not in ("", "main"), "Slack's breakout runs")
    alice.bring_to_front()
    alice.get_by_test_id("dashboard").wait_for()
    assert alice.get_by_test_id("breakout-count").count() == 0
    expect(alice.get_by_test_id("dashboard-note")).to_contain_text("Another moderator started this breakout.")
    shot(alice, "overtaken")


def test_the_latest_share_is_seen_the_sharer_knows_it_and_a_moderator_ends_it(
    demo: Demo, browser: Browser
) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    bea = arrive(person(browser), demo.lms_url, "bea")
    bob.get_by_test_id("share-screen").click()
    expect(bob.get_by_test_id("own-share")).to_contain_text("You’re sharing your screen")
    assert bob.locator("figure.share").count() == 0, "no screen in its own picture"
    expect(bea.locator("figure.share")).to_contain_text("Bob Keller is sharing their screen", timeout=WAIT_MS)
    alice.get_by_test_id("share-screen").click()
    expect(bea.locator("figure.share")).to_contain_text("Alice Moreau is sharing", timeout=WAIT_MS)
    toast(bob, "Alice Moreau started sharing their screen.")
    expect(bob.locator("figure.share")).to_contain_text("Alice Moreau is sharing", timeout=WAIT_MS)
    shot(bea, "shares")
    bea.get_by_test_id(f"see-share-{my_id(bob)}").click()
    expect(bea.locator("figure.share")).to_contain_text("Bob Keller is sharing")
    shot(bob, "own-share")
    assert bea.get_by_test_id("stop-share").count() == 0, "only moderators end somebody's share"
    alice.get_by_test_id("stop-share").click()
    toast(bob, "Alice Moreau stopped your screen share.")
    expect(bob.get_by_test_id("own-share")).to_have_count(0)
    expect(bea.locator("figure.share")).to_contain_text("Alice Moreau is sharing")
    alice.get_by_test_id("stop-own-share").click()
    expect(bea.locator("figure.share")).to_have_count(0)


def test_a_recording_is_told_once_and_no_single_key_or_click_ends_it(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
    bea = arrive(person(browser), demo.lms_url, "bea")

    def record() -> None:
        alice.keyboard.press("r")
        alice.get_by_test_id("confirm-start-recording").click()
        expect(bob.get_by_test_id("rec-indicator")).to_have_attribute(
            "data-recording", "RECORDING", timeout=WAIT_MS
        )

    record()
    alice.get_by_test_id("confirm-recorded").click()
    bob.get_by_test_id("confirm-recorded").click()
    bea.get_by_test_id("decline-recording").click()
    expect(bea.get_by_test_id("recorded-without-you")).to_have_text("Recorded without you")
    shot(bea, "without-you")
    alice.keyboard.press("r")
    alice.get_by_test_id("confirm-stop-recording").wait_for()
    assert bob.get_by_test_id("rec-indicator").get_attribute("data-recording") == "RECORDING"
    shot(alice, "stop")
    alice.get_by_test_id("stop-dialog-pause").click()
    expect(alice.get_by_test_id("rec-indicator")).to_contain_text("REC paused", timeout=WAIT_MS)
    assert alice.locator(".rec-dot").count() == 0, "no red dot while nothing is recorded"
    shot(alice, "paused")
    alice.get_by_test_id("stop-recording").click()
    alice.get_by_test_id("confirm-stop-recording").click()
    toast(alice, "Recording stopped. It will be in My Media soon")
    with alice.context.expect_page() as opened:
        alice.locator(".toasts").get_by_role("button").click()
    opened.value.get_by_role("heading", name="My Media").wait_for()
    shot(opened.value, "my-media")
    opened.value.close()
    # The second recording, and the same page reloaded: nobody is asked again.
    record()
    bob.reload()  # which goes straight back in
    bob.get_by_test_id("rec-indicator").wait_for()
    for page in (alice, bob, bea):
        page.wait_for_timeout(500)
        assert page.get_by_test_id("confirm-recorded").count() == 0
