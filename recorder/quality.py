"""Opens a finished file and says what is in it: facts as ffprobe gives them, shares of black, still and silent, checksum, and
what looks wrong. The cost is bounded: of a long film pieces all over it are looked at, not everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

BLACK_LUMA: Final = 20.0
STILL_LUMA: Final = 0.6
"""Mean difference of two keyframes below which nothing has moved; encoders' noise stays under it."""
SILENCE_PEAK: Final = 0.001
DURATION_TOLERANCE_S: Final = 0.25
WHOLE_S: Final = 300.0
"""A file up to this long is looked at as a whole."""
PIECES: Final = 75
PIECE_S: Final = 4.0
MOSTLY: Final = 0.98


@dataclass(frozen=True, slots=True)
class Expected:
    """What should be in the file. None: not known. ``pictures``: share of the time in which a moving camera picture was recorded;
    ``sound``: whether any microphone was."""

    duration_s: float
    width: int | None = None
    height: int | None = None
    fps: int | None = None
    pictures: float | None = None
    sound: bool | None = None
    video: bool = True


@dataclass(frozen=True, slots=True)
class Quality:
    """Facts measured in the file. Shares are 0…1 of the looked-at keyframes and of the looked-at sound."""

    duration_s: float
    width: int
    height: int
    video_codec: str
    audio_codec: str
    size_bytes: int
    sha256: str
    black_share: float
    silent_share: float
    still_share: float = 0.0
    container: str = ""
    fps: float = 0.0
    frames: int = 0
    sample_rate: int = 0
    channels: int = 0
    bit_rate: int = 0
    warnings: list[str] = field(default_factory=list)


def check(path: Path, expected: Expected | float) -> Quality:
    """Examine a file. Raises FFmpegError when it is no media file, OSError when it cannot be read; everything else becomes a
    warning. ``expected`` may be the duration alone."""
    wanted = expected if isinstance(expected, Expected) else Expected(expected)
    with av.open(str(path)) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        facts: dict[str, Any] = {
            "duration_s": (container.duration or 0) / 1e6,
            "width": video.width if video is not None else 0,
            "height": video.height if video is not None else 0,
            "video_codec": video.codec_context.name if video is not None else "",
            "audio_codec": audio.codec_context.name if audio is not None else "",
            "container": container.format.name,
            "fps": round(float(video.average_rate or 0), 3) if video is not None else 0.0,
            "frames": video.frames if video is not None else 0,
            "sample_rate": audio.codec_context.sample_rate if audio is not None else 0,
            "channels": audio.codec_context.channels if audio is not None else 0,
            "bit_rate": container.bit_rate or 0,
        }
    black, still = _pictures(path, facts["duration_s"]) if video is not None else (0.0, 0.0)
    silent = _silent_share(path, facts["duration_s"]) if audio is not None else 1.0
    digest, size = _digest(path)
    found = Quality(
        **facts, black_share=black, still_share=still, silent_share=silent, size_bytes=size, sha256=digest
    )
    found.warnings.extend(_warnings(found, wanted))
    return found


def file_facts(found: Quality) -> dict[str, object]:
    """What a file says of itself, besides length, size and codecs."""
    names = ("container", "fps", "frames", "sample_rate", "channels", "bit_rate")
    return {name: getattr(found, name) for name in names}


def _warnings(found: Quality, wanted: Expected) -> Iterator[str]:
    if wanted.video and not found.video_codec:
        yield "there is no picture"
    if not found.audio_codec:
        yield "there is no sound"
    if abs(found.duration_s - wanted.duration_s) > DURATION_TOLERANCE_S:
        yield f"the file lasts {found.duration_s:.2f} s, the recording {wanted.duration_s:.2f} s"
    if (
        wanted.video
        and wanted.width is not None
        and (found.width, found.height) != (wanted.width, wanted.height)
    ):
        yield f"the picture is {found.width} × {found.height}, not {wanted.width} × {wanted.height}"
    if wanted.video and wanted.fps is not None and found.fps and abs(found.fps / wanted.fps - 1) > 0.02:
        yield f"there are {found.fps:.1f} pictures a second, not {wanted.fps}"
    if found.black_share > 0.5:
        yield f"{found.black_share:.0%} of the pictures are black"
    if wanted.pictures is not None and wanted.pictures > 0.5 and found.still_share > MOSTLY:
        yield "the picture hardly ever moves, though cameras were on"
    if wanted.sound and found.audio_codec and found.silent_share > MOSTLY:
        yield "hardly anything can be heard, though microphones were on"


# -- pictures ----------------------------------------------------------------------------------------------------------


def _starts(duration_s: float) -> list[float]:
    """Where the looked-at pieces begin; one, at 0, for a file that is looked at as a whole."""
    if duration_s <= WHOLE_S:
        return [0.0]
    return [duration_s * n / PIECES for n in range(PIECES)]


def _pictures(path: Path, duration_s: float) -> tuple[float, float]:
    """Shares of keyframes (one in two seconds) that are black, and that are like the one before."""
    black = still = seen = pairs = 0
    starts = _starts(duration_s)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        stream.codec_context.thread_count = 1
        try:
            for start in starts:
                if start:
                    container.seek(round(start * 1e6))
                before: NDArray[np.float32] | None = None
                for frame in container.decode(stream):
                    luma = _luma(frame)
                    black += bool(luma.max() < BLACK_LUMA)
                    seen += 1
                    if before is not None and before.shape == luma.shape:
                        still += bool(np.abs(luma - before).mean() < STILL_LUMA)
                        pairs += 1
                    before = luma
                    if len(starts) > 1 and (frame.time or 0.0) > start + PIECE_S:
                        break
        except FFmpegError:
            return 1.0, 0.0
    return black / seen if seen else 1.0, still / pairs if pairs else 0.0


def _luma(frame: av.VideoFrame) -> NDArray[np.float32]:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[
        : plane.height, : plane.width
    ]
    return rows[:: max(1, plane.height // 90), :: max(1, plane.width // 160)].astype(np.float32)


# -- sound -------------------------------------------------------------------------------------------------------------


def _silent_share(path: Path, duration_s: float) -> float:
    silent = seen = 0
    starts = _starts(duration_s)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        try:
            for start in starts:
                if start:
                    container.seek(round(start * 1e6))
                for frame in container.decode(stream):
                    if (frame.time or 0.0) < start:
                        continue
                    silent += bool(np.abs(frame.to_ndarray()).max() < SILENCE_PEAK * _full_scale(frame))
                    seen += 1
                    if len(starts) > 1 and (frame.time or 0.0) > start + PIECE_S:
                        break
        except FFmpegError:
            return 1.0
    return silent / seen if seen else 1.0


def _full_scale(frame: av.AudioFrame) -> float:
    return 32768.0 if frame.format.name.startswith("s16") else 1.0


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
