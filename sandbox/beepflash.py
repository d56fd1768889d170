"""Beep-and-flash media of synthetic participants: a white flash and a beep at the same instant, once a second.

Each participant has a dark colour and a frequency of their own, so that a recording can be checked by opening it
(after the method of LiveKit's content checks: flash and beep sources, then the file is measured).
"""

from __future__ import annotations

import asyncio
import fractions
import time

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

FREQUENCIES_HZ = (523, 659, 784, 1047)
"""C5, E5, G5, C6: one a participant."""
COLOURS_YUV = ((60, 110, 160), (60, 100, 100), (60, 160, 110), (60, 140, 140))
BEAT_S = 1.0
PULSE_S = 0.1
SAMPLE_RATE = 48_000
AUDIO_SAMPLES = 960  # 20 ms, RFC 7587 §4.2


class Beat:
    """The common beat of one participant's camera and microphone (``time.monotonic`` seconds)."""

    def __init__(self, start: float | None = None) -> None:
        self.start = time.monotonic() if start is None else start


class FlashTrack(MediaStreamTrack):
    """Video: dark colour, white for 100 ms at each beat. ``size`` in pixels, even numbers."""

    kind = "video"

    def __init__(self, beat: Beat, index: int, size: tuple[int, int] = (320, 180), fps: int = 15) -> None:
        super().__init__()
        self._beat = beat
        self._fps = fps
        self._count = 0
        self._dark = _frame(size, COLOURS_YUV[index % len(COLOURS_YUV)])
        self._white = _frame(size, (235, 128, 128))
        self.enabled = True

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        at = self._count / self._fps
        self._count += 1
        await _until(self._beat.start + at)
        plane = self._white if at % BEAT_S < PULSE_S - 1e-6 else self._dark
        frame = VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts = round(at * 90_000)
        frame.time_base = fractions.Fraction(1, 90_000)
        return frame


class BeepTrack(MediaStreamTrack):
    """Audio: silence with a 100 ms sine at each beat; 48 kHz mono 16 bit, 20 ms frames."""

    kind = "audio"

    def __init__(self, beat: Beat, index: int) -> None:
        super().__init__()
        self._beat = beat
        self._hz = FREQUENCIES_HZ[index % len(FREQUENCIES_HZ)]
        self._sample = 0
        self.muted = False

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        # A microphone delivers a frame when its last sample is heard.
        await _until(self._beat.start + (self._sample + AUDIO_SAMPLES) / SAMPLE_RATE)
        t = (self._sample + np.arange(AUDIO_SAMPLES)) / SAMPLE_RATE
        wave = np.where((t % BEAT_S < PULSE_S) & (not self.muted), np.sin(2 * np.pi * self._hz * t), 0.0)
        frame = AudioFrame.from_ndarray(
            (wave * 16_000).astype(np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._sample
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        self._sample += AUDIO_SAMPLES
        return frame


def _frame(
    size: tuple[int, int], yuv: tuple[int, int, int]
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    width, height = size
    plane = np.empty((height * 3 // 2, width), dtype=np.uint8)
    plane[:height] = yuv[0]
    plane[height : height + height // 4] = yuv[1]
    plane[height + height // 4 :] = yuv[2]
    return plane


async def _until(at: float) -> None:
    wait = at - time.monotonic()
    if wait > 0:
        await asyncio.sleep(wait)
