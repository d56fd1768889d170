"""Opens a finished file and says what is in it: facts, shares of black and silence, checksum, and what looks wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.error import FFmpegError

BLACK_LUMA: Final = 20.0
SILENCE_PEAK: Final = 0.001
DURATION_TOLERANCE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Quality:
    """Facts measured in the file. Shares are 0…1 of the looked-at keyframes and of the sound."""

    duration_s: float
    width: int
    height: int
    video_codec: str
    audio_codec: str
    size_bytes: int
    sha256: str
    black_share: float
    silent_share: float
    warnings: list[str] = field(default_factory=list)


def check(path: Path, expected_duration_s: float) -> Quality:
    """Examine a composite. Raises FFmpegError when it is no media file; everything else becomes a warning."""
    warnings: list[str] = []
    with av.open(str(path)) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        duration_s = (container.duration or 0) / 1e6
        width, height = (video.width, video.height) if video is not None else (0, 0)
        video_codec = video.codec_context.name if video is not None else ""
        audio_codec = audio.codec_context.name if audio is not None else ""
    if video is None:
        warnings.append("there is no picture")
    if audio is None:
        warnings.append("there is no sound")
    if abs(duration_s - expected_duration_s) > DURATION_TOLERANCE_S:
        warnings.append(f"the file lasts {duration_s:.2f} s, the recording {expected_duration_s:.2f} s")
    black = _black_share(path) if video is not None else 1.0
    silent = _silent_share(path) if audio is not None else 1.0
    if black > 0.5:
        warnings.append(f"{black:.0%} of the pictures are black")
    digest, size = _digest(path)
    return Quality(duration_s, width, height, video_codec, audio_codec, size, digest, black, silent, warnings)


def _black_share(path: Path) -> float:
    """Share of keyframes (one in two seconds) that are black."""
    black = seen = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        stream.codec_context.thread_count = 1
        try:
            for frame in container.decode(stream):
                plane = frame.planes[0]
                luma = np.frombuffer(memoryview(plane), dtype=np.uint8)[:: max(1, plane.line_size // 31)]
                black += bool(luma.max() < BLACK_LUMA)
                seen += 1
        except FFmpegError:
            return 1.0
    return black / seen if seen else 1.0


def _silent_share(path: Path) -> float:
    silent = seen = 0
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(container.streams.audio[0]):
                silent += bool(np.abs(frame.to_ndarray()).max() < SILENCE_PEAK)
                seen += 1
        except FFmpegError:
            return 1.0
    return silent / seen if seen else 1.0


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
