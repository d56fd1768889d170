"""Another browser engine in the same lesson: Firefox sees and is seen, is moved into a breakout room, is recorded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, sync_playwright

from server.demo import Demo, free_demo, practice_programs, prepare_database, wait_ready
from server.processes import programs
from server.supervisor import Supervisor
from tests.browser.firefox import Firefox, Tab, running_firefox
from tests.browser.kit import FLAGS, WAIT_MS, enter, here, my_id, sees, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
STATE = "window.__sideroom?.state"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("firefox")
    made = free_demo(folder)
    # Firefox makes no candidates on the loopback interface: media goes to this machine's own address instead.
    address = own_address()
    settings = replace(made.settings, media_host="0.0.0.0", media_advertise_ip=address)
    made = replace(made, settings=settings)
    prepare_database(made)
    supervisor = Supervisor([*programs(made.settings), *practice_programs(made)], folder / "logs")
    supervisor.start()
    try:
        assert wait_ready([f"{made.settings.base_url}/healthz", made.lms_url], 90) is None
        yield made
    finally:
        supervisor.stop()


def own_address() -> str:
    """The address of this machine's default route (nothing is sent); the loopback one without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield made
        made.close()


def firefox_enters(firefox: Firefox, lms: str, person: str) -> Tab:
    """Course page → lobby in the frame → Open room in a new tab → device check → Join."""
    course = firefox.tab()
    course.goto(f"{lms}/site/bio101/tool/room?as={person}")
    before = len(firefox.tabs())
    # The frame is of another site, so its button is pressed in the frame's own context.
    frame = until(lambda: firefox.frames_of(course), "the tool's frame")[0]
    frame.press("open-room")
    until(lambda: len(firefox.tabs()) > before, "the room's tab")
    room = firefox.tabs()[-1]
    room.press("join")
    room.wait("document.querySelector('[data-testid=\"toggle-mic\"]') !== null")
    return room


def plays(tab: Tab, person_id: str) -> None:
    """This person's picture moves in Firefox."""
    time_of = f"document.querySelector('[data-testid=\"tile-{person_id}\"] video')?.currentTime ?? 0"
    tab.wait(f"({time_of}) > 0")
    first = tab.evaluate(time_of)
    tab.wait(f"({time_of}) > {first}")


def test_firefox_and_chromium_in_one_lesson(demo: Demo, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MS)
    alice = enter(context, demo.lms_url, "alice")
    with running_firefox() as firefox:
        bob = firefox_enters(firefox, demo.lms_url, "bob")
        bob_id = bob.wait(f"{STATE}?.you?.person_id")
        sees(alice, bob_id)
        plays(bob, my_id(alice))

        # Into a breakout room and back: a change of routing, no new connection.
        alice.get_by_test_id("more").click()
        alice.get_by_test_id("menu-breakout").click()
        alice.get_by_test_id("breakout-count").fill("1")
        alice.get_by_test_id("breakout-continue").click()
        alice.get_by_test_id("start-breakout").click()
        room_id = bob.wait(f"{STATE}.you.room_id !== 'main' && {STATE}.you.room_id")
        alice.get_by_test_id(f"join-room-{room_id}").click()
        until(lambda: here(alice) == room_id, "Alice is in Bob's room")
        alice.keyboard.press("Escape")
        sees(alice, bob_id)
        plays(bob, my_id(alice))

        # A page that is loaded anew goes straight back to its place. Old: what only the page from before knows.
        bob.evaluate("(window.old = true, location.reload())")
        bob.wait(f"window.old === undefined && {STATE}?.you?.room_id")
        assert bob.evaluate("document.querySelector('[data-testid=\"join\"]') === null")
        assert bob.wait(f"{STATE}?.you?.room_id") == room_id
        plays(bob, my_id(alice))
        sees(alice, bob_id)
    context.close()
