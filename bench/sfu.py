"""CPU of forwarding one packet: Sideroom's media worker against Debian's Janus videoroom, same client, same machine.

``python -m bench.sfu`` prints JSON lines: one per SFU and load, one with the ratio per load. One publisher sends
1,100-byte video packets over loopback; N subscribers (in the same other process) decrypt and count. What counts is the
user + system CPU time of the SFU's process per packet delivered. Without Janus installed only our figures are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from media.plane import EmbeddedPlane
from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import MediaEvent, SubscribeOffer

LOADS = ((1, 200), (5, 200), (20, 200), (20, 800))
SECRET = "secret-of-the-benchmark"
PAYLOAD = 1100
TICK_S = 0.01


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Processor time of a process with all its threads; finer than the clock ticks of ``stat``."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


class Sfu(Protocol):
    """What the benchmark needs of each side."""

    name: str
    pid: int

    async def publish(self, offer: str) -> str: ...

    async def subscribe(self, index: int, pc: RTCPeerConnection) -> None:
        """Negotiate ``pc`` as one subscriber of the publisher."""
        ...

    async def close(self) -> None: ...


def _libraries(names: str) -> str:
    """Janus modules by the names of their files."""
    return ",".join(f"libjanus_{name}.so" for name in names.split())


async def start_worker() -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    """Our worker as its own process; its addresses."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media.worker",
        env={**os.environ, "SIDEROOM_MEDIA_SECRET": SECRET, "SIDEROOM_LOG_LEVEL": "WARNING"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


class Sideroom:
    """Our worker as its own process."""

    name = "sideroom"

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._plane: EmbeddedPlane | None = None
        self._offers: dict[str, asyncio.Future[SubscribeOffer]] = {}
        self.pid = 0

    async def start(self) -> None:
        self._process, addresses = await start_worker()
        self.pid = self._process.pid
        self._plane = EmbeddedPlane(addresses["control"], SECRET)
        await self._plane.start(self._on_event)

    async def _on_event(self, event: MediaEvent) -> None:
        if isinstance(event, SubscribeOffer) and event.sdp is not None:
            future = self._offers.get(event.peer_id)
            if future is not None and not future.done():
                future.set_result(event)

    async def publish(self, offer: str) -> str:
        assert self._plane is not None
        await self._plane.join("publisher", SessionId("s"), RoomId("main"), PersonId("publisher"))
        return await self._plane.publish("publisher", offer, {"0": MediaSource.CAMERA})

    async def subscribe(self, index: int, pc: RTCPeerConnection) -> None:
        assert self._plane is not None
        peer_id = f"subscriber-{index}"
        future = self._offers[peer_id] = asyncio.get_running_loop().create_future()
        await self._plane.join(peer_id, SessionId("s"), RoomId("main"), PersonId(peer_id))
        offer = await asyncio.wait_for(future, 20)
        assert offer.sdp is not None
        await pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        await self._plane.subscribe_answer(peer_id, pc.localDescription.sdp, offer.version)

    async def close(self) -> None:
        if self._plane is not None:
            await self._plane.stop()
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()


def _without_core_dumps() -> None:
    """For the child only: when Janus dies it may leave hundreds of megabytes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Janus:
    """Debian's Janus with its videoroom plugin over the HTTP interface."""

    name = "janus"
    ROOM = 1234

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sideroom-janus-")
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._session = 0
        self._feed = 0
        self._number = 0
        self.pid = 0

    async def start(self) -> None:
        folder = Path(self._folder.name)
        for file in Path("/etc/janus").glob("*.jcfg"):
            shutil.copy(file, folder)
        core = folder / "janus.jcfg"
        text = core.read_text().replace('configs_folder = "/etc/janus"', f'configs_folder = "{folder}"')
        core.write_text(text.replace("debug_level = 4", "debug_level = 2"))
        http = folder / "janus.transport.http.jcfg"
        http.write_text(
            http.read_text().replace("port = 8088", f'port = {self._port}\n\tip = "127.0.0.1"', 1)
        )
        with core.open("a") as more:  # what is not measured: some of it takes long to give up starting
            more.write(
                f'transports: {{ disable = "{_libraries("rabbitmq mqtt nanomsg pfunix websockets")}" }}\n'
            )
            more.write(
                f'plugins: {{ disable = "{_libraries("duktape lua sip nosip recordplay streaming voicemail")}" }}\n'
            )
        self._process = subprocess.Popen(
            ["janus", "-F", str(folder), "-i", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            preexec_fn=_without_core_dumps,
        )
        self.pid = self._process.pid
        for _ in range(100):
            try:
                self._session = (await self._ask("", {"janus": "create"}))["data"]["id"]
                break
            except OSError:
                await asyncio.sleep(0.1)
        else:
            raise RuntimeError("Janus did not start")

    async def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        url = f"http://127.0.0.1:{self._port}/janus{path}"
        if body is not None:
            self._number += 1
            body = {**body, "transaction": f"t{self._number}"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})

        def send() -> Any:
            with urllib.request.urlopen(request, timeout=35) as answer:
                return json.load(answer)

        return await asyncio.to_thread(send)

    async def _attach(self) -> int:
        body = {"janus": "attach", "plugin": "janus.plugin.videoroom"}
        return int((await self._ask(f"/{self._session}", body))["data"]["id"])

    async def _message(self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None) -> Any:
        """Send a message; the answer, or the event that follows an ack."""
        whole: dict[str, Any] = {"janus": "message", "body": body}
        if jsep is not None:
            whole["jsep"] = jsep
        answer = await self._ask(f"/{self._session}/{handle}", whole)
        while answer["janus"] != "success":
            answer = await self._ask(f"/{self._session}?maxev=1", None)
            if answer["janus"] == "event" and answer.get("sender") == handle:
                break
            answer = {"janus": "ack"}
        return answer

    async def publish(self, offer: str) -> str:
        handle = await self._attach()
        room = {"request": "create", "room": self.ROOM, "publishers": 2, "bitrate": 20_000_000}
        await self._message(handle, {**room, "videocodec": "vp8", "audiocodec": "opus"})
        joined = await self._message(
            handle, {"request": "join", "ptype": "publisher", "room": self.ROOM, "display": "p"}
        )
        self._feed = joined["plugindata"]["data"]["id"]
        answer = await self._message(handle, {"request": "publish"}, {"type": "offer", "sdp": offer})
        return str(answer["jsep"]["sdp"])

    async def subscribe(self, index: int, pc: RTCPeerConnection) -> None:
        handle = await self._attach()
        body = {
            "request": "join",
            "ptype": "subscriber",
            "room": self.ROOM,
            "streams": [{"feed": self._feed}],
        }
        offered = await self._message(handle, body)
        await pc.setRemoteDescription(RTCSessionDescription(offered["jsep"]["sdp"], "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        await self._message(handle, {"request": "start"}, {"type": "answer", "sdp": pc.localDescription.sdp})

    async def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)
        self._folder.cleanup()


class Client:
    """One publisher and N subscribers. Nothing is encoded or decoded."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._publisher = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._subscribers: list[RTCPeerConnection] = []
        self._transport: Any = None
        self._sequence = 0
        self.delivered = 0

    async def open(self, subscribers: int) -> None:
        transceiver = self._publisher.addTransceiver("video", direction="sendonly")
        await self._publisher.setLocalDescription(await self._publisher.createOffer())
        answer = await self._sfu.publish(self._publisher.localDescription.sdp)
        await self._publisher.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        sender: Any = transceiver.sender
        self._transport = sender.transport
        self._ssrc = sender._ssrc
        numbers = [line for line in answer.splitlines() if line.startswith("a=rtpmap:")]
        self._payload_type = int(next(line for line in numbers if "VP8" in line)[9:].split()[0])
        await _connected(self._publisher)
        await self.send(200, 0.3)  # the SFU should know the stream before anybody asks for it

        async def one(index: int) -> RTCPeerConnection:
            pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            await self._sfu.subscribe(index, pc)
            return pc

        for index in range(subscribers):
            self._subscribers.append(await one(index))
            await self.send(200, 0.02)
        sending = asyncio.create_task(self.send(200, 3600))
        for pc in self._subscribers:
            await _connected(pc)
            transport: Any = pc.getTransceivers()[0].receiver.transport
            transport._handle_rtp_data = self._count
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        # Everybody must receive before anything is measured.
        for _ in range(50):
            before = self.delivered
            await self.send(200, 0.2)
            await asyncio.sleep(0.05)
            if self.delivered - before >= 38 * subscribers:
                return
        raise RuntimeError(f"{self._sfu.name}: not all subscribers receive")

    async def _count(self, data: bytes, arrival_time_ms: int) -> None:
        self.delivered += len(data) > PAYLOAD

    async def send(self, rate: int, seconds: float) -> int:
        """Send ``rate`` packets a second; returns how many were sent."""
        started = time.monotonic()
        sent = 0
        body = b"\x00" * (PAYLOAD - 2)
        while (passed := time.monotonic() - started) < seconds:
            due = int(passed * rate)
            while sent < due:
                # One packet in a hundred looks like the start of a keyframe.
                payload = (b"\x10\x00" if self._sequence % 100 == 0 else b"\x00\x01") + body
                header = struct.pack(
                    "!BBHLL",
                    0x80,
                    0x80 | self._payload_type,
                    self._sequence & 0xFFFF,
                    int(self._sequence * 90000 / rate) & 0xFFFFFFFF,
                    self._ssrc,
                )
                self._sequence += 1
                sent += 1
                await self._transport._send_rtp(header + payload)
            await asyncio.sleep(TICK_S)
        return sent

    async def close(self) -> None:
        for pc in (*self._subscribers, self._publisher):
            await pc.close()


async def _connected(pc: RTCPeerConnection) -> None:
    async with asyncio.timeout(30):
        while pc.connectionState != "connected":
            await asyncio.sleep(0.02)


async def measure(sfu: Any, subscribers: int, rate: int, seconds: float) -> dict[str, Any]:
    client = Client(sfu)
    try:
        await sfu.start()
        await client.open(subscribers)
        cpu, delivered = cpu_seconds(sfu.pid), client.delivered
        sent = await client.send(rate, seconds)
        await asyncio.sleep(0.2)
        used, got = cpu_seconds(sfu.pid) - cpu, client.delivered - delivered
    finally:
        await client.close()
        await sfu.close()
    return {
        "bench": "sfu",
        "sfu": sfu.name,
        "subscribers": subscribers,
        "packets_per_s": rate,
        "cpu_us_per_packet": round(used / max(1, got) * 1e6, 2),
        "delivered": got,
        "delivered_share": round(got / max(1, sent * subscribers), 4),
    }


async def run(loads: Sequence[tuple[int, int]], seconds: float) -> None:
    has_janus = shutil.which("janus") is not None
    for subscribers, rate in loads:
        rows = {}
        for make in (Sideroom, Janus) if has_janus else (Sideroom,):
            row = await measure(make(), subscribers, rate, seconds)
            rows[row["sfu"]] = row
            print(json.dumps(row), flush=True)
        if has_janus:
            ratio = rows["sideroom"]["cpu_us_per_packet"] / max(0.01, rows["janus"]["cpu_us_per_packet"])
            line = {"bench": "sfu", "subscribers": subscribers, "packets_per_s": rate}
            print(json.dumps({**line, "ratio_to_janus": round(ratio, 3)}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of one measurement")
    parser.add_argument("--load", action="append", help="subscribers x packets/s, e.g. 20x800 (repeatable)")
    options = parser.parse_args()
    given = [load.split("x") for load in options.load or ()]
    loads = [(int(subscribers), int(rate)) for subscribers, rate in given] or LOADS
    asyncio.run(run(loads, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
