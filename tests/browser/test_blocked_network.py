"""A network that blocks UDP, or the whole call: who is told what, and how sound and picture find another way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from server.demo import Demo
from tests.browser.kit import WAIT_MS, arrive, chromium, my_id, person, running_demo, sees

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
NO_UDP = """
const real = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function (description) {
  const sdp = description.sdp.replace(/^a=candidate:\\S+ \\d udp .*\\r?\\n/gim, "");
  (window.__connections ??= []).push(this);
  return real.call(this, { type: description.type, sdp });
};
"""
"""The browser never learns the UDP address, as if every packet to it were lost."""
NO_WAY = """
window.__blocked = true;
const real = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function (description) {
  const sdp = window.__blocked ? description.sdp.replace(/^(a=candidate:\\S+ \\d \\w+ \\d+ \\S+) \\d+ /gim, "$1 9 ") : description.sdp;
  return real.call(this, { type: description.type, sdp });
};
"""
"""Whatever is sent goes to a port that nobody answers at."""
PROTOCOLS = """async () => {
  const found = new Set();
  for (const connection of window.__connections.filter((c) => c.connectionState === "connected")) {
    const report = await connection.getStats();
    report.forEach((pair) => {
      if (pair.type === "candidate-pair" && pair.nominated && pair.state === "succeeded") found.add(report.get(pair.localCandidateId).protocol);
    });
  }
  return [...found];
}"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    parts = {"web", "media", "practice-lms", "practice-slack"}
    with running_demo(tmp_path_factory.mktemp("blocked"), only=parts) as (made, _):
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = chromium(playwright)
        yield made
        made.close()


@pytest.fixture(autouse=True)
def closed(browser: Browser) -> Iterator[None]:
    yield
    for context in browser.contexts:
        context.close()


def test_without_udp_the_call_goes_over_tcp_by_itself(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser, NO_UDP), demo.lms_url, "bob")
    sees(alice, my_id(bob))
    sees(bob, my_id(alice))
    assert bob.evaluate(PROTOCOLS) == ["tcp"]
    expect(bob.get_by_test_id("network")).to_have_attribute("data-line", "good")
    assert bob.get_by_test_id("media-blocked").count() == 0


def test_who_is_blocked_is_told_so_and_the_others_see_whom_they_miss(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    bob = arrive(person(browser, NO_WAY), demo.lms_url, "bob")
    blocked = bob.get_by_test_id("media-blocked")
    blocked.wait_for(timeout=20_000)
    expect(blocked).to_contain_text("You can’t be heard or seen")
    expect(bob.get_by_test_id("network")).to_have_attribute("data-line", "lost")
    # What an administrator needs: protocol, port and address, of both ways.
    blocked.get_by_text("What to tell IT").click()
    expect(bob.get_by_test_id("media-advice")).to_contain_text(
        f"UDP port {demo.settings.media_port} at 127.0.0.1"
    )
    expect(bob.get_by_test_id("media-advice")).to_contain_text(
        f"TCP port {demo.settings.media_port} at 127.0.0.1"
    )
    # The teacher's own line is fine, and says so; Bob's tile tells the rest.
    mark = alice.get_by_test_id(f"tile-{my_id(bob)}").get_by_test_id("tile-trouble")
    expect(mark).to_have_text("No audio or video from Bob Keller", timeout=WAIT_MS)
    expect(alice.get_by_test_id("network")).to_have_attribute("data-line", "good")
    assert alice.get_by_test_id("hidden-pictures").count() == 0
    assert alice.get_by_test_id("media-blocked").count() == 0
    bob.evaluate("() => { window.__blocked = false; }")
    bob.get_by_test_id("media-retry").click()
    sees(alice, my_id(bob))
    expect(blocked).to_have_count(0)
    expect(mark).to_have_count(0)


def test_somebody_whose_line_broke_is_shown_as_reconnecting(demo: Demo, browser: Browser) -> None:
    alice = arrive(person(browser), demo.lms_url, "alice")
    context = person(browser)
    bob = arrive(context, demo.lms_url, "bob")
    sees(alice, my_id(bob))
    tile = alice.get_by_test_id(f"tile-{my_id(bob)}")
    bob.goto("about:blank")  # gone without a word, as a browser that crashed
    expect(tile.get_by_test_id("tile-trouble")).to_have_text("Reconnecting…", timeout=10_000)
