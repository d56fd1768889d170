"""A class that comes in at once: does it hold up the sound of a room that is running?

``python -m bench.sfu_joins`` prints one JSON line. Alice speaks to Bob, 50 packets a second; how late they are is measured
first in peace, then while N people join, publish and are shown each other (ICE, DTLS, offers), all from another process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import struct
import sys
import time
from typing import Any

from bench.sfu import SECRET, cpu_seconds, start_worker
from media.plane import EmbeddedPlane
from models.values import MediaSource
from rooms.ports import MediaEvent, SubscribeOffer
from tests.media.raw_peer import OPUS_LINE, VP8_LINE, RawPeer
from tests.media.sfu_browser import until

QUIET_S = 4.0
SOURCES = {"0": MediaSource.MIC, "1": MediaSource.CAMERA}
_SENT = struct.Struct("!d")


class Late(RawPeer):
    """Somebody who notes how late each packet is."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.late: list[float] = []
        outer = self

        class Notes(list[Any]):
            def append(self, packet: Any) -> None:
                outer.late.append(time.monotonic() - _SENT.unpack_from(packet.payload)[0])

        self.subscribe.received = Notes()


async def _speak(peer: RawPeer) -> None:
    number = 0
    while True:
        number += 1
        peer.publish.send_rtp(109, number, number * 960, 0x5EA, _SENT.pack(time.monotonic()))
        await asyncio.sleep(0.02)


async def join(control: str, people: int) -> None:
    """The class; prints how long it took until everybody could send and be shown something."""
    plane = EmbeddedPlane(control, SECRET)
    peers = [RawPeer(plane, f"person-{number}", "127.0.0.1") for number in range(people)]
    for peer in peers:
        for end in (peer.publish, peer.subscribe):
            end.ask_every_s = 2.5
    by_id = {peer.peer_id: peer for peer in peers}

    async def on_event(event: MediaEvent) -> None:
        if isinstance(event, SubscribeOffer):
            await by_id[event.peer_id].on_offer(event)

    await plane.start(on_event)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began = time.monotonic()
    await asyncio.gather(*(peer.open([OPUS_LINE, VP8_LINE], SOURCES) for peer in peers))
    await until(lambda: all(peer.subscribe.secure.ready for peer in peers), "everybody is in", 120)
    print(json.dumps({"seconds": round(time.monotonic() - began, 2)}), flush=True)
    for peer in peers:
        await peer.close()
    await plane.stop()


async def run(people: int) -> dict[str, Any]:
    worker, addresses = await start_worker()
    plane = EmbeddedPlane(addresses["control"], SECRET)
    alice, bob = RawPeer(plane, "alice", "127.0.0.1"), Late(plane, "bob", "127.0.0.1")

    async def on_event(event: MediaEvent) -> None:
        if isinstance(event, SubscribeOffer):
            await (alice if event.peer_id == alice.peer_id else bob).on_offer(event)

    await plane.start(on_event)
    for peer in (alice, bob):
        await peer.open([OPUS_LINE], {"0": MediaSource.MIC})
    speaking = asyncio.create_task(_speak(alice))
    joiners = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.sfu_joins",
        "--join",
        addresses["control"],
        "--people",
        str(people),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert joiners.stdin is not None and joiners.stdout is not None
    await joiners.stdout.readline()
    await until(lambda: len(bob.late) > 20, "Bob hears Alice")
    bob.late.clear()
    await asyncio.sleep(QUIET_S)
    quiet, bob.late = bob.late, []
    cpu = cpu_seconds(worker.pid)
    joiners.stdin.write(b"go\n")
    joined = json.loads(await joiners.stdout.readline())
    busy, cpu = bob.late, cpu_seconds(worker.pid) - cpu
    await joiners.wait()
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    for peer in (alice, bob):
        await peer.close()
    await plane.stop()
    worker.terminate()
    await worker.wait()
    row: dict[str, Any] = {"bench": "sfu_joins", "people": people, "joined_s": joined["seconds"]}
    row["worker_cpu_ms_a_person"] = round(cpu / people * 1000, 2)
    for name, late in (("quiet", quiet), ("joining", busy)):
        row[f"{name}_late_ms_p50"] = round(statistics.median(late) * 1000, 2)
        row[f"{name}_late_ms_max"] = round(max(late) * 1000, 1)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=30, help="how many join at once")
    parser.add_argument("--join", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.join:
        asyncio.run(join(options.join, options.people))
    else:
        print(json.dumps(asyncio.run(run(options.people))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
