"""Beep-and-flash RTP without a network: pre-encoded VP8 and Opus of synthetic people, and a tap server that plays it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np

from recorder.avcheck import COLOURS_UV, FREQUENCIES_HZ
from recorder.tap import encode_json, encode_report, encode_rtp

SIZE = (160, 90)
FPS = 15
NTP_EPOCH_S = 2_208_988_800
SECRET = "tap-secret-for-tests"


@lru_cache(maxsize=16)
def vp8(index: int, seconds: int, size: tuple[int, int] = SIZE, fps: int = FPS) -> tuple[bytes, ...]:
    """One encoded frame a picture; white for 100 ms at each full second, a keyframe each second."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    encoder.gop_size, encoder.bit_rate, encoder.thread_count = fps, 400_000, 1
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    u, v = COLOURS_UV[index % 4]
    frames = []
    for number in range(seconds * fps):
        flash = number % fps < max(1, fps // 10)
        plane = np.full((size[1] * 3 // 2, size[0]), 235 if flash else 60, np.uint8)
        plane[size[1] :] = 128
        if not flash:
            quarter = size[1] // 4
            plane[size[1] : size[1] + quarter] = u
            plane[size[1] + quarter :] = v
        frame = _yuv(size, plane[0, 0], (128, 128) if flash else (u, v))
        frame.pts = number
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    frames += [bytes(packet) for packet in encoder.encode(None)]
    return tuple(frames)


def _yuv(size: tuple[int, int], luma: int, chroma: tuple[int, int]) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, value in zip(frame.planes, (int(luma), *chroma), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


@lru_cache(maxsize=16)
def opus(index: int, seconds: int) -> tuple[bytes, ...]:
    """20 ms packets; a sine of 100 ms at each full second."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    encoder.bit_rate = 48_000
    encoder.options = {"application": "audio", "frame_duration": "20"}
    packets = []
    for number in range(seconds * 50):
        t = (number * 960 + np.arange(960)) / 48_000
        wave = np.where(t % 1.0 < 0.1, np.sin(2 * np.pi * FREQUENCIES_HZ[index % 4] * t), 0.0) * 12_000
        stereo = np.repeat(wave.astype(np.int16), 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, number * 960
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets)


def rtp(payload_type: int, sequence: int, timestamp: int, ssrc: int, marker: bool, payload: bytes) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHLL", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def vp8_packets(frame: bytes, mtu: int = 1100) -> list[tuple[bytes, bool]]:
    """(payload, marker) of one frame's packets."""
    pieces = [frame[at : at + mtu] for at in range(0, len(frame), mtu)]
    return [
        ((b"\x10" if number == 0 else b"\x00") + piece, number == len(pieces) - 1)
        for number, piece in enumerate(pieces)
    ]


@dataclass
class Source:
    """One published track. Times are seconds after the player's base; ``delay_s`` delays what arrives, not what is told."""

    track: int
    person_id: str
    source: str
    index: int
    start_s: float
    end_s: float
    session_id: str
    room_id: str = "main"
    delay_s: float = 0.0
    lose: frozenset[int] = frozenset()
    """Numbers of packets that never arrive."""
    size: tuple[int, int] = SIZE
    fps: int = FPS
    frames: tuple[bytes, ...] | None = None
    """Encoded pictures to play instead of flashes."""
    codec: str = field(init=False)

    def __post_init__(self) -> None:
        self.codec = "opus" if self.source in ("mic", "screen_audio") else "vp8"

    @property
    def rate(self) -> int:
        return 48_000 if self.codec == "opus" else 90_000

    def announcement(self) -> dict[str, Any]:
        return {
            "op": "track_added",
            "track": self.track,
            "session_id": self.session_id,
            "room_id": self.room_id,
            "person_id": self.person_id,
            "peer_id": f"peer-{self.person_id}",
            "source": self.source,
            "codec": self.codec,
            "clock_rate": self.rate,
            "channels": 2 if self.codec == "opus" else 1,
            "ssrc": 1000 + self.track,
            "arrival_us": 0,
        }

    def schedule(self) -> Iterator[tuple[float, float, bytes | tuple[int, float]]]:
        """(when it arrives, media time, RTP packet) in order; sender reports as (rtp, media time)."""
        seconds = int(self.end_s) + 1
        if self.frames is not None:
            frames = self.frames
        elif self.codec == "opus":
            frames = opus(self.index, seconds)
        else:
            frames = vp8(self.index, seconds, self.size, self.fps)
        step = 0.02 if self.codec == "opus" else 1 / self.fps
        # Both counters wrap within the first second.
        sequence, first = 65_520, 2**32 - self.rate // 2
        reported = self.start_s - 1.0
        number = 0
        for count, data in enumerate(frames):
            at = count * step
            if not self.start_s <= at < self.end_s:
                continue
            timestamp = first + round(at * self.rate)
            arrives = at + self.delay_s + (0.02 if self.codec == "opus" else 0.0)
            if at - reported >= 0.9:
                reported = at
                yield arrives, at, (timestamp, at)
            payloads = [(data, True)] if self.codec == "opus" else vp8_packets(data)
            for payload, marker in payloads:
                if number not in self.lose:
                    yield arrives, at, rtp(96, sequence, timestamp, 1000 + self.track, marker, payload)
                sequence += 1
                number += 1


class TapServer:
    """A media worker's tap (docs/tap.md) that plays ``sources`` in real time to whoever taps their rooms.

    ``base`` is Unix time of media time zero. ``drop`` cuts the connection, as a killed worker does.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.base = 0.0
        self.keyframe_requests: list[int] = []
        self.tapped = threading.Event()
        self._peer: socket.socket | None = None
        self._rooms: set[tuple[str, str]] = set()
        self._sources: list[Source] = []
        self._announced: set[int] = set()
        self._position = 0
        self._runs = 0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def play(self, sources: list[Source], base: float) -> None:
        """Begin to play; returns at once."""
        self.base, self._sources = base, sources
        thread = threading.Thread(target=self._play, daemon=True)
        self._threads.append(thread)
        thread.start()

    def drop(self) -> None:
        with self._lock:
            if self._peer is not None:
                with contextlib.suppress(OSError):
                    self._peer.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        self.drop()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._peer = peer
                self._runs += 1
                self._rooms.clear()
                self._announced.clear()
            self._read(peer)
            with self._lock:
                self._peer = None
                peer.close()

    def _read(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer.makefile("rb") as stream:
            while head := stream.read(5):
                if len(head) < 5:
                    return
                length, _kind = struct.unpack("!IB", head)
                message = json.loads(stream.read(length - 1))
                self._handle(peer, message)

    def _handle(self, peer: socket.socket, message: dict[str, Any]) -> None:
        if message["op"] == "hello":
            if message["secret"] != SECRET:
                peer.sendall(encode_json({"op": "error", "code": "unauthenticated"}))
                peer.shutdown(socket.SHUT_RDWR)
                return
            peer.sendall(
                encode_json({"op": "welcome", "worker": "w1", "version": 2, "boot": f"run{self._runs}"})
            )
        elif message["op"] == "tap":
            room = {"session_id": message["session_id"], "room_id": message["room_id"]}
            with self._lock:
                # Nothing is kept: each connection is as a run of the worker of its own.
                told = {"op": "tapped", **room, "from": self._position + 1, "resumed": False}
                peer.sendall(encode_json(told) + encode_json({"op": "live", **room}))
                self._rooms.add((message["session_id"], message["room_id"]))
            self.tapped.set()
        elif message["op"] == "keyframe":
            self.keyframe_requests.append(message["track"])

    def _play(self) -> None:
        queue = sorted(
            (
                (due, source.track, at, item, source)
                for source in self._sources
                for due, at, item in source.schedule()
            ),
            key=lambda entry: (entry[0], entry[1]),
        )
        ends = sorted((s.end_s + s.delay_s + 0.05, s.track) for s in self._sources)
        for due, track, _at, item, source in queue:
            wait = self.base + due - time.time()
            if wait > 0 and self._closing.wait(wait):
                return
            while ends and ends[0][0] <= due:
                self._send(encode_json(self._removal(ends.pop(0)[1])))
            if not self._is_wanted(source):
                continue
            arrival = int((self.base + due) * 1e6)
            self._position += 1
            if isinstance(item, tuple):
                timestamp, told = item
                ntp = int((self.base + told + NTP_EPOCH_S) * 2**32)
                self._send(
                    encode_report(track, self._position, arrival, 1000 + track, ntp, timestamp & 0xFFFFFFFF)
                )
            else:
                self._send(encode_rtp(track, self._position, arrival, item))
        for _, track in ends:
            self._send(encode_json(self._removal(track)))

    @staticmethod
    def _removal(track: int) -> dict[str, Any]:
        return {"op": "track_removed", "track": track, "arrival_us": 0, "reason": "left"}

    def _is_wanted(self, source: Source) -> bool:
        with self._lock:
            if (source.session_id, source.room_id) not in self._rooms:
                return False
            new = source.track not in self._announced
            self._announced.add(source.track)
        if new:
            self._send(encode_json(source.announcement()))
        return True

    def _send(self, data: bytes) -> None:
        with self._lock:
            if self._peer is not None:
                with contextlib.suppress(OSError):
                    self._peer.sendall(data)
