"""Where classes really fail: a network that lets only TURN over TCP through, refused and vanished devices."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from server.demo import Demo
from server.ports_check import free_port
from tests.browser.kit import (
    FLAGS,
    WAIT_MS,
    arrive,
    at_the_door,
    chromium,
    my_id,
    person,
    running_demo,
    sees,
    until,
)
from tests.browser.narrow import NarrowLine, through

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
    settings = {"turn_urls": f"turn:127.0.0.1:{port}?transport=tcp", "turn_secret": SECRET}
    try:
        with running_demo(folder, settings, only={"web", "media", "practice-lms", "practice-slack"}) as (
            made,
            _,
        ):
            yield made
    finally:
        turn.terminate()
        turn.wait(20)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="module")
def started(playwright: Playwright) -> Iterator[Browser]:
    made = chromium(playwright)
    yield made
    made.close()


@pytest.fixture
def browser(started: Browser) -> Iterator[Browser]:
    """One Chromium for all tests here; each leaves it empty."""
    yield started
    for context in started.contexts:
        context.close()


def test_a_lesson_through_turn_over_tcp_only(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser, RELAY_ONLY), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
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


def test_refused_devices_are_explained_and_the_person_still_takes_part(
    demo: Demo, playwright: Playwright
) -> None:
    refused = [flag for flag in FLAGS if "fake-ui" not in flag] + ["--use-fake-ui-for-media-stream=deny"]
    with chromium(playwright, refused) as browser:
        room = at_the_door(person(browser), demo.lms_url, "bea")
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
    bob = arrive(person(browser), demo.lms_url, "bob")
    alice = arrive(person(browser, SEE_TRACKS), demo.lms_url, "alice")
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
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser), demo.lms_url, "bob")
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
        others = [arrive(person(browser), demo.lms_url, who) for who in ("alice", "bob")]
        ben = arrive(person(browser, through(line)), demo.lms_url, "ben")
        shown = "document.querySelectorAll(\"[data-video='on']\").length"
        until(lambda: ben.evaluate(shown) == 3, "everybody is shown at first")
        line.bps = 400_000
        until(lambda: ben.evaluate(shown) < 3, "pictures give way")
        expect(ben.get_by_test_id("hidden-pictures")).to_be_visible(timeout=WAIT_MS)
        expect(ben.get_by_test_id("network")).to_have_attribute("data-line", "poor")
        heard = _heard(ben)
        ben.wait_for_timeout(4000)
        assert all(n > 0.9 * 4 * 48_000 for n in _heard(ben, heard).values()), "both voices, nearly whole"
        until(lambda: others[0].evaluate(shown) == 3, "the others see everybody")
        line.bps = 20e6
        until(lambda: ben.evaluate(shown) == 3, "the pictures come back", 150)
        expect(ben.get_by_test_id("hidden-pictures")).to_have_count(0)
    finally:
        line.stop()


def _heard(page: Page, before: dict[str, int] | None = None) -> dict[str, int]:
    """Audio samples received on each line, since ``before``."""
    counts: dict[str, int] = page.evaluate("async () => (await window.__sideroom.stats()).counts")
    audio = {mid: n for mid, n in counts.items() if n > 20_000}
    return audio if before is None else {mid: audio[mid] - n for mid, n in before.items()}
