"""Where classes really fail: a network that lets only TURN over TCP through, refused and vanished devices."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from server.demo import Demo, free_demo, practice_programs, prepare_database, wait_ready
from server.ports_check import free_port
from server.processes import programs
from server.supervisor import Supervisor
from tests.browser.narrow import NarrowLine, through
from tests.browser.test_story import FLAGS, WAIT_MS, enter, my_id, sees, tool, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SECRET = "a-secret-shared-with-coturn"
RELAY_ONLY = """
const Real = RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(config) { super({ ...config, iceTransportPolicy: "relay" }); (window.__connections ??= []).push(this); }
};
"""
"""As behind a firewall: every candidate but those of the TURN server is of no use."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("hard")
    program = shutil.which("turnserver")
    assert program is not None, "coturn is missing: apt-get install coturn (make test does it when root)"
    port = free_port()
    options = [
        "-n",
        "-L",
        "127.0.0.1",
        "-p",
        str(port),
        "--use-auth-secret",
        f"--static-auth-secret={SECRET}",
    ]
    options += ["-r", "rooms.example", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers"]
    options += ["--min-port", "49210", "--max-port", "49260", "--simple-log", "-l", str(folder / "turn.log")]
    options += ["--pidfile", str(folder / "turn.pid"), "-b", str(folder / "turn.db")]
    turn = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = free_demo(folder)
    settings = replace(made.settings, turn_urls=f"turn:127.0.0.1:{port}?transport=tcp", turn_secret=SECRET)
    made = replace(made, settings=settings)
    prepare_database(made)
    supervisor = Supervisor([*programs(made.settings), *practice_programs(made)], folder / "logs")
    supervisor.start()
    try:
        assert wait_ready([f"{made.settings.base_url}/healthz", made.lms_url], 90) is None
        yield made
    finally:
        supervisor.stop()
        turn.terminate()
        turn.wait(20)


def chromium(flags: list[str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield made
        made.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    yield from chromium(FLAGS)


def person(browser: Browser, script: str = "") -> BrowserContext:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MS)
    if script:
        context.add_init_script(script)
    return context


def test_a_lesson_through_turn_over_tcp_only(demo: Demo, browser: Browser) -> None:
    alice = enter(person(browser, RELAY_ONLY), demo.lms_url, "alice")
    bob = enter(person(browser), demo.lms_url, "bob")
    sees(alice, my_id(bob))
    sees(bob, my_id(alice))
    kinds = alice.evaluate(
        """async () => {
          const kinds = [];
          for (const connection of window.__connections) {
            const stats = [...(await connection.getStats()).values()];
            const pair = stats.find((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded");
            const local = pair && stats.find((s) => s.id === pair.localCandidateId);
            if (local) kinds.push(`${local.candidateType}/${local.relayProtocol}`);
          }
          return kinds;
        }"""
    )
    assert kinds == ["relay/tcp", "relay/tcp"], "publish and subscribe both went through the relay"


def test_refused_devices_are_explained_and_the_person_still_takes_part(demo: Demo) -> None:
    refused = [flag for flag in FLAGS if "fake-ui" not in flag] + ["--use-fake-ui-for-media-stream=deny"]
    for browser in chromium(refused):
        context = person(browser)
        course = context.new_page()
        frame = tool(course, demo.lms_url, "bea", "room")
        with context.expect_page() as opened:
            frame.get_by_test_id("open-room").click()
        room = opened.value
        expect(room.get_by_role("status").filter(has_text="microphone")).to_be_visible()
        room.get_by_test_id("join").click()
        room.get_by_test_id("toggle-mic").wait_for()
        expect(room.get_by_test_id(f"tile-{my_id(room)}")).to_have_attribute("data-video", "off")
        # Listening and writing work.
        room.get_by_test_id("toggle-chat").click()
        room.locator(".chat-form input").fill("I can only listen")
        room.keyboard.press("Enter")
        expect(room.get_by_text("I can only listen")).to_be_visible()


def test_an_unplugged_camera_leaves_the_voice(demo: Demo, browser: Browser) -> None:
    bob = enter(person(browser), demo.lms_url, "bob")
    alice = enter(person(browser, SEE_TRACKS), demo.lms_url, "alice")
    sees(bob, my_id(alice))
    # Another camera takes over …
    unplug(alice, "video")
    alice.wait_for_function("() => window.__tracks.filter((t) => t.kind === 'video').length === 2")
    sees(bob, my_id(alice))
    # … and with none left the line goes dark, and the voice stays.
    alice.evaluate("() => { window.__gone = true; }")
    unplug(alice, "video")
    expect(bob.get_by_test_id(f"tile-{my_id(alice)}")).to_have_attribute("data-video", "off", timeout=WAIT_MS)
    state = "(id) => window.__sideroom.state.people[id]"
    until(lambda: bob.evaluate(state, my_id(alice))["camera"] is False, "the camera is marked off")
    assert bob.evaluate(state, my_id(alice))["mic"] is True
    # Plugged in again: one press brings the picture back.
    alice.evaluate("() => { window.__gone = false; }")
    alice.get_by_test_id("toggle-camera").click()
    sees(bob, my_id(alice))


SEE_TRACKS = """
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.video && window.__gone) throw new DOMException("no camera", "NotFoundError");
  const stream = await ask(wanted);
  (window.__tracks ??= []).push(...stream.getTracks());
  return stream;
};
"""


def unplug(page: Page, kind: str) -> None:
    """What the browser does when a device is pulled out: its tracks end by themselves."""
    page.evaluate(
        """(kind) => {
          for (const track of window.__tracks.filter((t) => t.kind === kind && t.readyState === "live")) {
            track.stop();
            track.dispatchEvent(new Event("ended"));
          }
        }""",
        kind,
    )


def test_pictures_shrink_beside_a_shared_screen_and_grow_again(demo: Demo, browser: Browser) -> None:
    alice = enter(person(browser), demo.lms_url, "alice")
    bob = enter(person(browser), demo.lms_url, "bob")
    sees(alice, my_id(bob))
    width = f"document.querySelector(\"[data-testid='tile-{my_id(bob)}'] video\")?.videoWidth"
    until(lambda: alice.evaluate(width) == 640, "Bob's picture is whole")
    alice.get_by_test_id("share-screen").click()
    until(lambda: alice.evaluate(width) == 320, "Bob's picture is half as wide")
    alice.get_by_test_id("share-screen").click()
    until(lambda: alice.evaluate(width) == 640, "Bob's picture is whole again")


def test_on_a_narrow_line_the_sound_stays_and_pictures_come_back(demo: Demo, browser: Browser) -> None:
    line = NarrowLine(("127.0.0.1", demo.settings.media_port), bps=20e6)
    try:
        others = [enter(person(browser), demo.lms_url, who) for who in ("alice", "bob", "bea")]
        ben = enter(person(browser, through(line)), demo.lms_url, "ben")
        shown = "document.querySelectorAll(\"[data-video='on']\").length"
        until(lambda: ben.evaluate(shown) == 4, "everybody is shown at first")
        line.bps = 400_000
        until(lambda: ben.evaluate(shown) < 4, "pictures give way")
        expect(ben.get_by_test_id("hidden-pictures")).to_be_visible(timeout=WAIT_MS)
        heard = _heard(ben)
        ben.wait_for_timeout(4000)
        assert all(n > 0.9 * 4 * 48_000 for n in _heard(ben, heard).values()), (
            "all three voices, nearly whole"
        )
        until(lambda: others[0].evaluate(shown) == 4, "the others see everybody")
        line.bps = 20e6
        until(lambda: ben.evaluate(shown) == 4, "the pictures come back", 90)
        expect(ben.get_by_test_id("hidden-pictures")).to_have_count(0)
    finally:
        line.stop()


def _heard(page: Page, before: dict[str, int] | None = None) -> dict[str, int]:
    """Audio samples received on each line, since ``before``."""
    counts: dict[str, int] = page.evaluate("async () => (await window.__sideroom.stats()).counts")
    audio = {mid: n for mid, n in counts.items() if n > 20_000}
    return audio if before is None else {mid: audio[mid] - n for mid, n in before.items()}
