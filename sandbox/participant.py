"""A synthetic participant: speaks docs/protocol.md and WebRTC like a browser, with beep-and-flash media.

Used by ``sideroom selftest``, by tests and by benchmarks. It keeps the view by applying patches exactly as documented.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sandbox.beepflash import Beat, BeepTrack, FlashTrack

log = logging.getLogger("sideroom.participant")
# With another policy aiortc leaves a second line of a kind without its transport.
RTC_CONFIGURATION = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
COLLECTIONS = ("people", "rooms", "transitions", "calls", "recordings", "expected")
HEARTBEAT_S = 10.0


class CommandRefused(Exception):
    """A ``result`` with ok false. ``code`` is the stable error code."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


def apply_patch(state: dict[str, Any], patch: Mapping[str, Any] | None) -> None:
    """Merge a patch into a view (docs/protocol.md §3)."""
    for key, value in (patch or {}).items():
        if key in COLLECTIONS and isinstance(value, dict):
            collection = state.setdefault(key, {})
            for entity_id, entity in value.items():
                if entity is None:
                    collection.pop(entity_id, None)
                else:
                    collection[entity_id] = entity
        else:
            state[key] = value


class Participant:
    """One synthetic browser. Use as ``async with Participant(ws_url, token, index=0) as alice: …``.

    ``ws_url`` is absolute (``ws://…/ws``). ``index`` chooses colour and frequency. ``media`` False: no WebRTC.
    """

    def __init__(
        self,
        ws_url: str,
        token: str,
        *,
        index: int = 0,
        media: bool = True,
        size: tuple[int, int] = (320, 180),
        fps: int = 15,
    ) -> None:
        self._url = ws_url
        self._token = token
        self._index = index
        self._media = media
        self._size = size
        self._fps = fps
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._results: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._publish_pc: RTCPeerConnection | None = None
        self._subscribe_pc: RTCPeerConnection | None = None
        self._published: asyncio.Future[str] | None = None
        self._sinks: list[asyncio.Task[None]] = []
        self.state: dict[str, Any] = {}
        self.seq = 0
        self.you: dict[str, Any] = {}
        self.connection_id = ""
        self.resumed = False
        """Whether the last welcome took up what was before: then the media have not stopped."""
        self.events: list[dict[str, Any]] = []
        self.chat: list[dict[str, Any]] = []
        self.earlier: list[dict[str, Any]] = []
        self.tracks: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.bye: dict[str, Any] | None = None
        self.frames: dict[str, int] = {}
        """Frames decoded so far by mid of the subscribe connection."""
        self.microphone: BeepTrack | None = None
        self.camera: FlashTrack | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        if self._media:
            await self.publish()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- signalling --------------------------------------------------------------------------------------------

    async def connect(self, resume: str | None = None) -> None:
        """Open the WebSocket, say hello, wait for the welcome. Raises ConnectionError when refused."""
        self.bye = None
        self._socket = await connect(self._url, max_size=8 * 1024 * 1024, open_timeout=20)
        hello = {"type": "hello", "version": 1, "token": self._token, "last_seq": self.seq, "resume": resume}
        await self._send(hello)
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.wait(lambda: bool(self.state) or self.bye is not None or self._reader_done(), 20)
        if not self.state:
            raise ConnectionError(self.bye_code or "closed")

    @property
    def bye_code(self) -> str | None:
        """Why the server closed, if it said so."""
        return str(self.bye["code"]) if self.bye is not None else None

    def _reader_done(self) -> bool:
        return self._reader is not None and self._reader.done()

    async def drop(self) -> None:
        """Cut the WebSocket without a word, as a lost network does; the media stays."""
        if self._socket is not None:
            self._socket.transport.abort()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    async def close(self) -> None:
        """Leave and close everything."""
        for sink in self._sinks:
            sink.cancel()
        if self._socket is not None:
            try:
                await self._send({"type": "leave"})
                await self._socket.close()
            except (ConnectionClosed, OSError):
                log.debug("participant.closed_already")
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        for pc in (self._publish_pc, self._subscribe_pc):
            if pc is not None:
                await pc.close()
        await asyncio.gather(*self._sinks, return_exceptions=True)

    async def _send(self, message: Mapping[str, Any]) -> None:
        if self._socket is None:
            raise ConnectionError("not connected")
        await self._socket.send(json.dumps(message))

    async def send_raw(self, text: str) -> None:
        """Send anything, for tests of bad input."""
        if self._socket is None:
            raise ConnectionError("not connected")
        await self._socket.send(text)

    async def command(self, name: str, /, *, command_id: str | None = None, **args: Any) -> int:
        """Ask for a command; returns the seq after it. Raises CommandRefused."""
        message_id = command_id or uuid4().hex
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._results[message_id] = future
        await self._send({"type": "command", "id": message_id, "name": name, "args": args})
        result = await asyncio.wait_for(future, 30)
        if not result["ok"]:
            raise CommandRefused(result["error"]["code"], result["error"]["message"])
        return int(result["seq"])

    async def wait(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait until ``condition`` holds; it is looked at after every message. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._changed:
            while not condition():
                try:
                    await asyncio.wait_for(self._changed.wait(), 0.25)
                except TimeoutError:
                    continue

    async def _beat(self, socket: ClientConnection) -> None:
        """Who is silent for long is taken for gone."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await socket.send('{"type":"ping","t":0}')

    async def _read(self, socket: ClientConnection) -> None:
        heart = asyncio.create_task(self._beat(socket))
        try:
            async for text in socket:
                await self._handle(json.loads(text))
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
        async with self._changed:
            self._changed.notify_all()

    async def _handle(self, message: dict[str, Any]) -> None:
        handler = getattr(self, f"_on_{message['type']}", None)
        if handler is not None:
            await handler(message)

    async def _on_welcome(self, message: dict[str, Any]) -> None:
        self.connection_id = message["connection_id"]
        self.resumed = bool(message["resumed"])
        self.you = message["you"]
        await self._on_state(message)

    async def _on_state(self, message: dict[str, Any]) -> None:
        self.seq = message["seq"]
        self.state = message["state"]
        self.chat = message["chat"]
        self.earlier = message["earlier"]

    async def _on_event(self, message: dict[str, Any]) -> None:
        self.seq = message["seq"]
        apply_patch(self.state, message["patch"])
        self.events.append(message)

    async def _on_result(self, message: dict[str, Any]) -> None:
        future = self._results.pop(message["id"], None)
        if future is not None and not future.done():
            future.set_result(message)

    async def _on_error(self, message: dict[str, Any]) -> None:
        self.errors.append(message)
        if self._published is not None and not self._published.done():
            self._published.set_exception(CommandRefused(message["code"], message["message"]))

    async def _on_bye(self, message: dict[str, Any]) -> None:
        self.bye = message

    async def _on_published(self, message: dict[str, Any]) -> None:
        if self._published is not None and not self._published.done():
            self._published.set_result(message["sdp"])

    async def _on_media_reset(self, _message: dict[str, Any]) -> None:
        if self._media:
            self._sinks.append(asyncio.create_task(self.publish()))

    # -- media -------------------------------------------------------------------------------------------------

    async def publish(self) -> None:
        """Publish microphone and camera, and tell the room so. Called again it starts both connections anew."""
        for pc in (self._publish_pc, self._subscribe_pc):
            if pc is not None:
                await pc.close()
        self._subscribe_pc = None
        beat = Beat()
        self.microphone = BeepTrack(beat, self._index)
        self.camera = FlashTrack(beat, self._index, self._size, self._fps)
        pc = RTCPeerConnection(RTC_CONFIGURATION)
        self._publish_pc = pc
        audio = pc.addTransceiver(self.microphone, direction="sendonly")
        video = pc.addTransceiver(self.camera, direction="sendonly")
        await pc.setLocalDescription(await pc.createOffer())
        self._published = asyncio.get_running_loop().create_future()
        sources = {audio.mid: "mic", video.mid: "camera"}
        await self._send({"type": "publish", "sdp": pc.localDescription.sdp, "sources": sources})
        answer = await asyncio.wait_for(self._published, 20)
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self.command("set_media", mic=True, camera=True)

    async def _on_subscribe(self, message: dict[str, Any]) -> None:
        self.tracks = message["tracks"]
        if message["sdp"] is None or not self._media:
            return
        pc = self._subscribe_pc
        if pc is None:
            pc = self._subscribe_pc = RTCPeerConnection(RTC_CONFIGURATION)
            pc.on("track", self._on_track)
        await pc.setRemoteDescription(RTCSessionDescription(message["sdp"], "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        await self._send(
            {"type": "subscribed", "sdp": pc.localDescription.sdp, "version": message["version"]}
        )

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._sinks.append(asyncio.create_task(self._drain(track)))

    async def _drain(self, track: MediaStreamTrack) -> None:
        mid = _mid_of(self._subscribe_pc, track)
        try:
            while True:
                await track.recv()
                self.frames[mid] = self.frames.get(mid, 0) + 1
        except MediaStreamError:
            return

    def frames_of(self, person_id: str, source: str) -> int:
        """Frames decoded so far on the line that now shows this person's source."""
        return sum(
            self.frames.get(t["mid"], 0)
            for t in self.tracks
            if t["person_id"] == person_id and t["source"] == source
        )


def _mid_of(pc: RTCPeerConnection | None, track: MediaStreamTrack) -> str:
    for transceiver in pc.getTransceivers() if pc is not None else ():
        if transceiver.receiver.track is track:
            return transceiver.mid or ""
    return ""
