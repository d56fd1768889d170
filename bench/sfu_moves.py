"""How long a move between rooms takes to show: from the order to the first new keyframe decoded in Chromium.

``python -m bench.sfu_moves`` prints one JSON line. Two people publish in two rooms, a third is moved to and fro.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys

from playwright.async_api import Page, async_playwright

from media.plane import EmbeddedPlane
from media.worker import Worker, WorkerSettings
from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import MediaEvent, SubscribeOffer

SECRET = "secret-of-the-benchmark"
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
  const stream = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 360}});
  const pc = window.pub = new RTCPeerConnection();
  pc.addTransceiver(stream.getVideoTracks()[0], {direction: 'sendonly'});
  await pc.setLocalDescription(await pc.createOffer());
  await pc.setRemoteDescription({type: 'answer', sdp: await window.publish(pc.localDescription.sdp)});
};
window.offered = async (sdp) => {
  if (!window.sub) {
    window.sub = new RTCPeerConnection();
    window.sub.ontrack = (e) => {
      const element = document.createElement('video');
      element.muted = true; element.autoplay = true; element.srcObject = new MediaStream([e.track]);
      document.body.append(element);
    };
  }
  await window.sub.setRemoteDescription({type: 'offer', sdp});
  await window.sub.setLocalDescription(await window.sub.createAnswer());
  return window.sub.localDescription.sdp;
};
window.keys = async () => {
  let keys = 0;
  if (window.sub) for (const r of (await window.sub.getStats()).values())
    if (r.type === 'inbound-rtp' && r.kind === 'video') keys += r.keyFramesDecoded || 0;
  return keys;
};
window.nextKey = async (before) => {
  const from = performance.now();
  while (performance.now() - from < 10000) {
    if (await window.keys() > before) return performance.now();
    await new Promise((done) => setTimeout(done, 4));
  }
  return -1;
};
"""


async def run(moves: int, pause_s: float) -> dict[str, object]:
    worker = Worker(WorkerSettings(secret=SECRET))
    await worker.start()
    plane = EmbeddedPlane(worker.control_address, SECRET)
    pages: dict[str, Page] = {}

    async def on_event(event: MediaEvent) -> None:
        if isinstance(event, SubscribeOffer) and event.sdp is not None:
            answer = await pages[event.peer_id].evaluate("sdp => offered(sdp)", event.sdp)
            await plane.subscribe_answer(event.peer_id, answer, event.version)

    await plane.start(on_event)
    times = []
    try:
        async with async_playwright() as playwright:
            chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            for name, room in (("one", "r1"), ("two", "r2"), ("mover", "r1")):
                page = await (await chromium.new_context()).new_page()
                pages[name] = page
                # A secure context without a server: loopback pages answered by the browser's own routing.
                await page.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
                await page.goto("http://127.0.0.1:9/")
                await page.evaluate(SCRIPT)

                async def publish(sdp: str, peer: str = name) -> str:
                    return await plane.publish(peer, sdp, {"0": MediaSource.CAMERA})

                await page.expose_function("publish", publish)
                await plane.join(name, SessionId("s"), RoomId(room), PersonId(name))
                await page.evaluate("start()")
            mover = pages["mover"]
            await mover.evaluate("nextKey(0)")
            for number in range(moves):
                await asyncio.sleep(pause_s)
                before = await mover.evaluate("keys()")
                began = await mover.evaluate("performance.now()")
                await plane.move("mover", RoomId("r2" if number % 2 == 0 else "r1"))
                seen = await mover.evaluate("before => nextKey(before)", before)
                times.append(seen - began if seen > 0 else 10_000.0)
            await chromium.close()
    finally:
        await plane.stop()
        await worker.stop()
    times.sort()
    return {
        "bench": "sfu_moves",
        "moves": moves,
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[max(0, round(0.95 * len(times)) - 1)], 1),
        "max_ms": round(times[-1], 1),
        "target_p95_ms": 150,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.8, help="seconds between two moves")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options.moves, options.pause))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
