"""A browser made of aiortc's peer connections, and a worker in this process, for the SFU's tests."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from av import VideoFrame

from media.plane import EmbeddedPlane
from media.worker import Worker, WorkerSettings
from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import MediaEvent, SubscribeOffer, TrackInfo

SECRET = "practice-secret-of-the-tests"
SESSION = SessionId("s1")
# With another policy aiortc leaves a second line of a kind without its transport.
CONFIGURATION = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)


class Picture(MediaStreamTrack):
    """A small grey picture of one brightness, 10 frames a second."""

    kind = "video"

    def __init__(self, brightness: int) -> None:
        super().__init__()
        self._frame = np.full((96, 64), brightness, dtype=np.uint8)
        self._count = 0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.1)
        frame = VideoFrame.from_ndarray(self._frame, format="gray").reformat(format="yuv420p")
        frame.pts = self._count * 9000
        frame.time_base = fractions.Fraction(1, 90000)
        self._count += 1
        return frame


class Browser:
    """Publishes microphone and camera, shows what it is offered. ``seen``: brightness of the newest frame by mid."""

    def __init__(self, plane: EmbeddedPlane, peer_id: str, person: str, brightness: int) -> None:
        self.plane = plane
        self.peer_id = peer_id
        self.person = PersonId(person)
        self.tracks: tuple[TrackInfo, ...] = ()
        self.offers: list[SubscribeOffer] = []
        self.seen: dict[str, float] = {}
        self.heard: dict[str, int] = {}
        self._picture = Picture(brightness)
        self.publish_pc = RTCPeerConnection(CONFIGURATION)
        self.subscribe_pc = RTCPeerConnection(CONFIGURATION)
        self.subscribe_pc.on("track", self._on_track)
        self._drains: list[asyncio.Task[None]] = []

    async def join(self, room: str = "main") -> None:
        await self.plane.join(self.peer_id, SESSION, RoomId(room), self.person)

    async def publish(self) -> None:
        audio = self.publish_pc.addTransceiver(AudioStreamTrack(), direction="sendonly")
        video = self.publish_pc.addTransceiver(self._picture, direction="sendonly")
        await self.publish_pc.setLocalDescription(await self.publish_pc.createOffer())
        sources = {str(audio.mid): MediaSource.MIC, str(video.mid): MediaSource.CAMERA}
        answer = await self.plane.publish(self.peer_id, self.publish_pc.localDescription.sdp, sources)
        await self.publish_pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def on_offer(self, offer: SubscribeOffer) -> None:
        self.tracks = offer.tracks
        self.offers.append(offer)
        if offer.sdp is not None:
            await self.subscribe_pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            await self.subscribe_pc.setLocalDescription(await self.subscribe_pc.createAnswer())
            await self.plane.subscribe_answer(
                self.peer_id, self.subscribe_pc.localDescription.sdp, offer.version
            )

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._drains.append(asyncio.create_task(self._drain(track)))

    async def _drain(self, track: MediaStreamTrack) -> None:
        mid = next(t.mid for t in self.subscribe_pc.getTransceivers() if t.receiver.track is track)
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    self.seen[mid] = float(frame.to_ndarray(format="gray").mean())
                else:
                    self.heard[mid] = self.heard.get(mid, 0) + 1

    def sees(self, other: Browser, brightness: int) -> bool:
        """True when the line said to show the other's camera shows its brightness."""
        return any(
            track.person_id == other.person
            and track.source is MediaSource.CAMERA
            and abs(self.seen.get(track.mid, -99) - brightness) < 12
            for track in self.tracks
        )

    def audio_frames(self, other: Browser) -> int:
        return sum(
            self.heard.get(t.mid, 0)
            for t in self.tracks
            if t.person_id == other.person and t.source is MediaSource.MIC
        )

    async def close(self) -> None:
        await self.publish_pc.close()
        await self.subscribe_pc.close()
        for task in self._drains:
            task.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)


class Stage:
    """One worker, one plane, some browsers."""

    def __init__(self, worker: Worker, plane: EmbeddedPlane) -> None:
        self.worker = worker
        self.plane = plane
        self.events: list[MediaEvent] = []
        self.browsers: dict[str, Browser] = {}
        self.handler: Callable[[MediaEvent], Awaitable[None]] | None = None
        """Gets every event too, for pages that are no ``Browser``."""

    async def on_event(self, event: MediaEvent) -> None:
        self.events.append(event)
        if isinstance(event, SubscribeOffer) and event.peer_id in self.browsers:
            await self.browsers[event.peer_id].on_offer(event)
        if self.handler is not None:
            await self.handler(event)

    async def browser(self, person: str, brightness: int, room: str = "main") -> Browser:
        browser = Browser(self.plane, f"peer-{person}", person, brightness)
        self.browsers[browser.peer_id] = browser
        await browser.join(room)
        await browser.publish()
        return browser


@contextlib.asynccontextmanager
async def stage(udp_host: str = "127.0.0.1", advertise_ip: str = "") -> AsyncIterator[Stage]:
    """A worker on free loopback ports and a connected plane."""
    worker = Worker(WorkerSettings(secret=SECRET, udp_host=udp_host, advertise_ip=advertise_ip))
    await worker.start()
    plane = EmbeddedPlane(worker.control_address, SECRET)
    made = Stage(worker, plane)
    await plane.start(made.on_event)
    try:
        yield made
    finally:
        for browser in made.browsers.values():
            await browser.close()
        await plane.stop()
        await worker.stop()


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """Wait for a condition; fails with ``what`` was missing."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s} s: {what}") from None
