"""Journals written by hand, with generated pictures and sound, and ways to look at what was composed."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from models.recording import options_from_json
from recorder.journal import KEY, JournalWriter
from recorder.options import CompositeOptions
from tests.media.beepflash import opus

T0 = 1_800_000_000_000_000
S = 1_000_000
Picture = NDArray[np.uint8]


def tiny(**options: Any) -> CompositeOptions:
    """Options that compose fast."""
    plain = {"width": 160, "height": 90, "fps": 24, **options}
    return CompositeOptions(options_from_json(plain), preset="ultrafast")


@lru_cache(maxsize=16)
def plain_vp8(colour: tuple[int, int, int], size: tuple[int, int], count: int, fps: int) -> tuple[bytes, ...]:
    """Encoded pictures of one colour (Y, U, V), a keyframe each second."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    encoder.gop_size, encoder.bit_rate, encoder.thread_count = fps, 300_000, 1
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    packets = []
    for number in range(count):
        frame = av.VideoFrame(*size, "yuv420p")
        for plane, value in zip(frame.planes, colour, strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts = number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets)


class HandJournal:
    """A journal written by hand. Times are seconds after its start."""

    def __init__(self, folder: Path, **header: Any) -> None:
        self.folder = folder
        self._writer = JournalWriter(folder)
        self._timed: list[tuple[int, int, int, bytes, int]] = []
        self._lines: list[tuple[int, str, dict[str, Any]]] = []
        self._segments = 0
        self.note("start", 0, **{"room_name": "Room 1", "course_title": "Biology", **header})

    def note(self, kind: str, at: float, **facts: Any) -> None:
        self._lines.append((T0 + round(at * S), kind, facts))

    def person(self, who: str, at: float, name: str = "", **switches: bool) -> None:
        known = {"mic": True, "camera": True, "screen": False, **switches}
        self.note("person", at, person_id=who, name=name or who.title(), **known)

    def segment(self, who: str, source: str, start: float, end: float) -> int:
        self._segments += 1
        codec, rate = ("opus", 48_000) if source == "mic" else ("vp8", 90_000)
        number = self._segments
        self.note("segment", start, n=number, person_id=who, source=source, codec=codec, clock_rate=rate)
        self.note("mark", start, n=number, rtp=round(start * rate))
        self.note("end", end, n=number, reason="unpublished", frames=1)
        return number

    def mic(self, who: str, start: float, end: float, index: int = 0) -> None:
        """A beep of 100 ms a second."""
        number = self.segment(who, "mic", start, end)
        packets = opus(index, 10)
        for n in range(round(start * 50), round(end * 50)):
            self._timed.append((n * 20_000, number, n * 960, packets[n % len(packets)], KEY))

    def camera(
        self,
        who: str,
        start: float,
        end: float,
        colour: tuple[int, int, int],
        size: tuple[int, int] = (64, 36),
        source: str = "camera",
        fps: int = 10,
        silent_from: float | None = None,
    ) -> int:
        number = self.segment(who, source, start, end)
        packets = plain_vp8(colour, size, fps * 10, fps)
        first = -(-round(start * fps) // fps) * fps
        for n in range(first, round((silent_from or end) * fps)):
            key = KEY if n % fps == 0 else 0
            self._timed.append((n * S // fps, number, n * 90_000 // fps, packets[n % len(packets)], key))
        return number

    def frame(self, number: int, at: float, rtp: int, data: bytes) -> None:
        """One frame of a segment, whatever is in it."""
        self._timed.append((round(at * S), number, rtp, data, KEY))

    def write(self, at: float) -> None:
        """Write what there is so far, up to ``at``, as a recorder that still runs."""
        self.note("beat", at)
        order = {"start": 0, "stop": 2}
        for when, kind, facts in sorted(self._lines, key=lambda item: (item[0], order.get(item[1], 1))):
            self._writer.note(kind, when, **facts)
        for when, number, rtp, data, flags in sorted(self._timed, key=lambda item: item[0]):
            self._writer.frame(number, flags, rtp, T0 + when, data)
        self._lines.clear()
        self._timed.clear()
        self._writer.flush()

    def close(self, at: float) -> Path:
        """Write everything in the order of time, and the end."""
        self.note("stop", at)
        self.write(at)
        self._writer.close()
        return self.folder


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.pts is not None)


def yuv(path: Path, at_s: float) -> tuple[Picture, Picture, Picture]:
    """The planes of the first picture at or after ``at_s``."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= at_s - 0.001:
                return tuple(  # type: ignore[return-value]
                    np.frombuffer(memoryview(p), np.uint8)
                    .reshape(-1, p.line_size)[: p.height, : p.width]
                    .copy()
                    for p in frame.planes
                )
    raise AssertionError("the film is shorter")


def colour_at(planes: tuple[Picture, Picture, Picture], x: int, y: int) -> tuple[int, int, int]:
    """(Y, U, V) of one place."""
    return int(planes[0][y, x]), int(planes[1][y // 2, x // 2]), int(planes[2][y // 2, x // 2])


def is_near(one: tuple[int, int, int], other: tuple[int, int, int], tolerance: int = 14) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def loudness(path: Path, start_s: float, end_s: float) -> float:
    """The highest sample between two times, 0…1."""
    with av.open(str(path)) as container:
        peak = 0.0
        for frame in container.decode(audio=0):
            if start_s <= (frame.time or 0.0) < end_s:
                data = frame.to_ndarray()
                scale = 32768.0 if frame.format.name.startswith("s16") else 1.0
                peak = max(peak, float(np.abs(data.astype(np.float64)).max()) / scale)
    return peak


def similarity(one: Picture, other: Picture) -> float:
    """Mean structural similarity (SSIM) of two luma planes over 8 × 8 blocks."""
    rows, columns = one.shape[0] // 8 * 8, one.shape[1] // 8 * 8
    a, b = (
        p[:rows, :columns].reshape(rows // 8, 8, columns // 8, 8).astype(np.float64) for p in (one, other)
    )
    mean_a, mean_b = a.mean(axis=(1, 3)), b.mean(axis=(1, 3))
    var_a, var_b = a.var(axis=(1, 3)), b.var(axis=(1, 3))
    both = (a * b).mean(axis=(1, 3)) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())
