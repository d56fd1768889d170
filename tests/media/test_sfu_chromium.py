"""The SFU with real Chromium pages: pictures arrive both ways, and a move shows the new room fast."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from media.plane import EmbeddedPlane
from models.values import MediaSource, PersonId, RoomId
from rooms.ports import SubscribeOffer
from tests.media.sfu_browser import SESSION, stage, until

pytestmark = pytest.mark.media
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
SCRIPT = """
window.start = async () => {
  const stream = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 320, height: 180}});
  const pc = window.pub = new RTCPeerConnection();
  const sources = {};
  const add = (t, name) => { const tr = pc.addTransceiver(t, {direction: 'sendonly'}); return [tr, name]; };
  const made = [add(stream.getAudioTracks()[0], 'mic'), add(stream.getVideoTracks()[0], 'camera'),
                add('video', 'screen'), add('audio', 'screen_audio')];
  window.screenLine = made[2][0];
  await pc.setLocalDescription(await pc.createOffer());
  for (const [tr, name] of made) sources[tr.mid] = name;
  const answer = await window.publish(pc.localDescription.sdp, sources);
  await pc.setRemoteDescription({type: 'answer', sdp: answer});
};
window.share = async (on) => {
  const canvas = document.createElement('canvas');
  canvas.width = 320; canvas.height = 180;
  const context = canvas.getContext('2d');
  let n = 0;
  window.drawing = setInterval(() => { context.fillStyle = `hsl(${n++ % 360} 80% 50%)`; context.fillRect(0, 0, 320, 180); }, 50);
  const track = on ? canvas.captureStream(20).getVideoTracks()[0] : null;
  await window.screenLine.sender.replaceTrack(track);
};
window.videos = {};
window.frames = {};
window.offered = async (sdp) => {
  if (!window.sub) {
    window.sub = new RTCPeerConnection();
    window.sub.ontrack = (e) => {
      const element = document.createElement(e.track.kind);
      element.muted = true; element.autoplay = true; element.srcObject = new MediaStream([e.track]);
      document.body.append(element); element.play().catch(() => {});
      if (e.track.kind === 'video') window.videos[e.transceiver.mid] = element;
    };
  }
  await window.sub.setRemoteDescription({type: 'offer', sdp});
  await window.sub.setLocalDescription(await window.sub.createAnswer());
  return window.sub.localDescription.sdp;
};
window.decoded = async () => {
  const found = {};
  if (window.sub) for (const r of (await window.sub.getStats()).values())
    if (r.type === 'inbound-rtp') found[r.mid] = {frames: r.framesDecoded || 0, keys: r.keyFramesDecoded || 0,
      lost: r.packetsLost, bytes: r.bytesReceived, samples: r.totalSamplesReceived || 0, at: performance.now()};
  return found;
};
"""


@pytest.fixture
def blank_page() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Room</title>")

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class Tab:
    """A Chromium page as one peer."""

    def __init__(self, plane: EmbeddedPlane, page: Page, person: str) -> None:
        self.plane, self.page, self.person = plane, page, PersonId(person)
        self.peer_id = f"tab-{person}"
        self.tracks: tuple[Any, ...] = ()
        self.sdps = 0

    async def open(self, url: str, room: str) -> None:
        await self.page.goto(url)
        await self.page.evaluate(SCRIPT)
        await self.page.expose_function("publish", self._publish)
        await self.plane.join(self.peer_id, SESSION, RoomId(room), self.person)
        await self.page.evaluate("start()")

    async def _publish(self, sdp: str, sources: dict[str, str]) -> str:
        named = {mid: MediaSource(name) for mid, name in sources.items()}
        return await self.plane.publish(self.peer_id, sdp, named)

    async def on_offer(self, offer: SubscribeOffer) -> None:
        self.tracks = offer.tracks
        if offer.sdp is not None:
            self.sdps += 1
            answer = await self.page.evaluate("sdp => offered(sdp)", offer.sdp)
            await self.plane.subscribe_answer(self.peer_id, answer, offer.version)

    def line_of(self, person: str, source: MediaSource) -> str | None:
        return next((t.mid for t in self.tracks if t.person_id == person and t.source is source), None)

    async def stats(self, person: str, source: MediaSource) -> dict[str, float]:
        mid = self.line_of(person, source)
        found = await self.page.evaluate("decoded()")
        return found.get(mid, {}) if mid is not None else {}

    async def wait_for(
        self, person: str, source: MediaSource, key: str, more_than: float
    ) -> dict[str, float]:
        async with asyncio.timeout(40):
            while True:
                stats = await self.stats(person, source)
                if stats.get(key, 0) > more_than:
                    return stats
                await asyncio.sleep(0.01)


async def test_pages_see_each_other_and_a_move_brings_a_keyframe(blank_page: str) -> None:
    async with stage() as here, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        tabs: dict[str, Tab] = {}

        async def on_event(event: object) -> None:
            if isinstance(event, SubscribeOffer) and event.peer_id in tabs:
                await tabs[event.peer_id].on_offer(event)

        here.handler = on_event
        try:
            for person, room in (("alice", "main"), ("bob", "main"), ("charlie", "r1")):
                context = await chromium.new_context()
                tab = Tab(here.plane, await context.new_page(), person)
                tabs[tab.peer_id] = tab
                await tab.open(blank_page, room)
            alice, bob, charlie = tabs["tab-alice"], tabs["tab-bob"], tabs["tab-charlie"]
            for one, other in ((alice, "bob"), (bob, "alice")):
                await one.wait_for(other, MediaSource.CAMERA, "frames", 10)
                await one.wait_for(other, MediaSource.MIC, "samples", 4800)
            assert charlie.tracks == ()  # nobody else is in her room
            assert bob.sdps == 1, "two lines of each kind are offered at once"

            await alice.page.evaluate("share(true)")
            await bob.wait_for("alice", MediaSource.SCREEN, "frames", 5)
            await alice.page.evaluate("share(false)")

            line = bob.line_of("alice", MediaSource.CAMERA)
            before = await bob.stats("alice", MediaSource.CAMERA)
            await here.plane.move(bob.peer_id, RoomId("r1"))
            await until(
                lambda: bob.line_of("charlie", MediaSource.CAMERA) is not None, "Bob is shown Charlie"
            )
            assert bob.line_of("charlie", MediaSource.CAMERA) == line, "the line is re-used"
            after = await bob.wait_for("charlie", MediaSource.CAMERA, "keys", before["keys"])
            await charlie.wait_for("bob", MediaSource.CAMERA, "frames", 10)
            await bob.wait_for("charlie", MediaSource.CAMERA, "frames", after["frames"] + 10)
            assert bob.sdps == 1, "a move must not renegotiate"
            later = await bob.stats("charlie", MediaSource.CAMERA)
            assert later["lost"] <= 5, "a switch of source must not look like loss"
        finally:
            await chromium.close()
