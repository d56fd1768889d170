"""Time line and frames → one MP4 file: grid or stage, mixed sound. Streams; memory does not grow with the length."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image

from recorder.journal import RecordReader
from recorder.mix import Limiter
from recorder.scene import Scene
from recorder.sources import SAMPLE_RATE, Sources
from recorder.timeline import Timeline

log = logging.getLogger("sideroom.compose")
AAC_FRAME: Final = 1024
BLOCK: Final = AAC_FRAME * 8
PROGRESS_S: Final = 0.5
MIN_FRAMES: Final = 2


@dataclass(frozen=True, slots=True)
class CompositeOptions:
    """Size in pixels (even), frames a second, x264's preset and CRF, threads of the encoder."""

    width: int = 1280
    height: int = 720
    fps: int = 30
    preset: str = "veryfast"
    crf: int = 25
    threads: int = 1
    audio_bit_rate: int = 128_000

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2 or not (64 <= self.width <= 1920 and 64 <= self.height <= 1920):
            raise ValueError("width and height are even numbers from 64 to 1920")
        if not 1 <= self.fps <= 60:
            raise ValueError("fps is a number from 1 to 60")


@dataclass(frozen=True, slots=True)
class Composed:
    """What ``compose`` made, besides the files."""

    warnings: tuple[str, ...]
    segments_by_reports: int
    segments_by_arrival: int


class Compositor:
    """One composition. ``progress`` is called about twice a second with the share that is done (0…1)."""

    def __init__(
        self,
        timeline: Timeline,
        reader: RecordReader,
        options: CompositeOptions,
        progress: Callable[[float], None] = lambda share: None,
    ) -> None:
        self._timeline = timeline
        self._options = options
        self._progress = progress
        self._sources = Sources(timeline, reader)
        self._scene = Scene(timeline, options.width, options.height)
        self._limiter = Limiter()
        self._samples = 0
        self._total_samples = max(AAC_FRAME, timeline.duration * SAMPLE_RATE // 1_000_000)

    def run(self, path: Path, thumbnail: Path) -> Composed:
        """Write the MP4 to a temporary name beside ``path``, then rename. A broken run leaves only the temporary."""
        temporary = path.with_name(path.name + ".part")
        with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
            video, audio = self._streams(container)
            self._write(container, video, audio, thumbnail)
        os.replace(temporary, path)
        self._sources.finish()
        by = [segment.by for segment in self._timeline.segments.values()]
        return Composed(tuple(self._sources.warnings), by.count("reports"), by.count("arrival"))

    def _streams(self, container: OutputContainer) -> tuple[VideoStream, AudioStream]:
        o = self._options
        video = container.add_stream(
            "libx264",
            rate=o.fps,
            options={
                "preset": o.preset,
                "crf": str(o.crf),
                "profile": "main",
                "maxrate": "2500k",
                "bufsize": "5000k",
            },
        )
        video.width, video.height, video.pix_fmt = o.width, o.height, "yuv420p"
        video.codec_context.gop_size = 2 * o.fps
        video.codec_context.thread_count = o.threads
        video.codec_context.time_base = Fraction(1, o.fps)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        audio.bit_rate = o.audio_bit_rate
        return video, audio

    def _write(
        self, container: OutputContainer, video: VideoStream, audio: AudioStream, thumbnail: Path
    ) -> None:
        timeline, fps, scene = self._timeline, self._options.fps, self._scene
        total = max(MIN_FRAMES, round(timeline.duration * fps / 1_000_000))
        picture_at = -1
        told = time.monotonic()
        for tick in range(total):
            wall = timeline.wall(tick * 1_000_000 // fps)
            self._sources.advance(wall)
            scene.paint(wall, self._sources.video, self._talking(wall))
            scene.frame.pts = tick
            container.mux(video.encode(scene.frame))
            self._write_audio(container, audio, (tick + 1) * SAMPLE_RATE // fps)
            if scene.has_picture and picture_at < 0:
                picture_at = tick
            if tick == 0 or tick == picture_at or (tick == total // 3 and scene.has_picture):
                _save_thumbnail(scene.frame, thumbnail)
            if tick % fps == 0:
                self._sources.tidy(wall)
                if time.monotonic() - told > PROGRESS_S:
                    told = time.monotonic()
                    self._progress(tick / total)
        self._write_audio(container, audio, self._total_samples)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
        self._progress(1.0)

    def _talking(self, wall: int) -> Callable[[str], bool]:
        live = {
            t.segment.person_id
            for t in self._sources.audio.values()
            if t.segment.source == "mic" and t.segment.start <= wall < t.segment.end
        }
        return live.__contains__

    def _write_audio(self, container: OutputContainer, audio: AudioStream, until: int) -> None:
        """Mix and encode blocks until sample ``until`` is covered (the last block is cut to the length)."""
        until = min(until, self._total_samples)
        while self._samples < until:
            self._sources.read(self._timeline.wall((self._samples + BLOCK) * 1_000_000 // SAMPLE_RATE))
            mixed = np.zeros((2, BLOCK), dtype=np.float32)
            for track in self._sources.audio.values():
                track.mix_into(mixed, self._samples)
            self._limiter.apply(mixed)
            left = min(BLOCK, self._total_samples - self._samples)
            for start in range(0, left, AAC_FRAME):
                piece = np.ascontiguousarray(mixed[:, start : min(start + AAC_FRAME, left)])
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
                frame.sample_rate = SAMPLE_RATE
                frame.time_base = Fraction(1, SAMPLE_RATE)
                frame.pts = self._samples + start
                container.mux(audio.encode(frame))
            self._samples += left


def _save_thumbnail(frame: av.VideoFrame, path: Path) -> None:
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    image.thumbnail((640, 640))
    image.save(path, "JPEG", quality=80)
