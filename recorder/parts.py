"""A composition in parts of 64 s: each a file of its own with a closed GOP, so that a killed composer goes on at the next.

Sound is encoded anew in each part but without a seam: the encoder is first fed what came before (and dropped again), and at the
end what comes after, so that both encoders have heard the same around the border. Where a part's packets stand in the film
follows from their number, never from the container's clock.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from recorder.journal import Position
from recorder.mix import BLOCK, Pcm
from recorder.options import PART_S, CompositeOptions
from recorder.opus import SAMPLE_RATE

PART_SAMPLES: Final = PART_S * SAMPLE_RATE
PART_BLOCKS: Final = PART_SAMPLES // BLOCK
LEAD_BLOCKS: Final = 6
"""One second that the encoder hears before its part begins."""
TAIL_BLOCKS: Final = 1
LOCK: Final = ".lock"
BUSY: Final = 4
"""Exit code of a process that found another one at work in its folder."""


@dataclass(frozen=True, slots=True)
class SoundFrames:
    """How a codec cuts sound: samples a packet, and by how much its packets' times lie before the sound they carry."""

    samples: int
    delay: int
    sample_format: str


AAC: Final = SoundFrames(1024, 0, "fltp")
OPUS: Final = SoundFrames(960, 312, "flt")


def sound_frames(options: CompositeOptions) -> SoundFrames:
    return OPUS if options.is_webm else AAC


@dataclass(frozen=True, slots=True)
class PartNote:
    """What is kept beside a part: how much it holds, and all that is needed to go on after it."""

    number: int
    frames: int
    seconds: float
    """Length in the film."""
    position: tuple[int, int]
    """Where in the journal whoever makes the next part begins to read."""
    voices: dict[str, Any]
    has_picture: bool
    warnings: list[str] = field(default_factory=list)

    @property
    def start(self) -> Position:
        return Position(*self.position)


class Parts:
    """The folder of one composition's parts. Only parts with a note count: the note is written last."""

    def __init__(self, folder: Path, options: CompositeOptions) -> None:
        self._folder = folder / f"parts-{options.key}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._suffix = ".webm" if options.is_webm else ".mp4"

    def path(self, number: int) -> Path:
        return self._folder / f"{number:05d}{self._suffix}"

    def thumbnail(self, number: int) -> Path:
        return self._folder / f"{number:05d}.jpg"

    def done(self) -> list[PartNote]:
        """Notes of all parts that are whole, without a hole."""
        notes = []
        for number in range(100_000):
            try:
                note = PartNote(**json.loads(self._note(number).read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                break
            if not self.path(number).exists():
                break
            notes.append(note)
        return notes

    def keep(self, note: PartNote) -> None:
        write_json(self._note(note.number), asdict(note))

    def _note(self, number: int) -> Path:
        return self._folder / f"{number:05d}.json"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Nobody else works in ``out``. Raises BlockingIOError when somebody does."""
    lock = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a file by a whole one."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    os.replace(temporary, path)


class PartWriter:
    """Encodes one part. ``close`` gives it its name; without it only a temporary file is left."""

    def __init__(self, path: Path, number: int, options: CompositeOptions) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".part")
        self._options = options
        container = av.open(str(self._temporary), "w", format=path.suffix[1:])
        self._container: OutputContainer = container
        self._video = _video_stream(container, options) if options.recording.export_video else None
        self._audio = _audio_stream(container, options)
        self._sound = sound_frames(options)
        lead = LEAD_BLOCKS * BLOCK if number else 0
        # The encoder begins on a border of its own frames.
        self._skip = lead % self._sound.samples
        self._first = lead - self._skip
        self._fed = 0
        self._rest = np.zeros((2, 0), dtype=np.float32)
        self._packets = 0
        self.samples = PART_SAMPLES
        """Length of the part's own sound; what is encoded beyond it is dropped."""

    def picture(self, frame: av.VideoFrame, tick: int) -> None:
        """Encode a picture; ``tick`` counts from the part's start."""
        if self._video is not None:
            frame.pts = tick
            self._container.mux(self._video.encode(frame))

    def sound(self, pcm: Pcm) -> None:
        """Encode sound in order: first what leads in, then the part's own, then what comes after."""
        if self._skip:
            pcm, self._skip = pcm[:, self._skip :], 0
        pcm = np.concatenate([self._rest, pcm], axis=1)
        size = self._sound.samples
        whole = pcm.shape[1] // size * size
        for at in range(0, whole, size):
            self._encode(pcm[:, at : at + size])
        self._rest = pcm[:, whole:]

    @property
    def _limit(self) -> int:
        return -(-self.samples // self._sound.samples)

    def close(self) -> None:
        """Finish. Behind the end of the recording, where nothing comes after, there is silence."""
        while self._packets < self._limit:
            self.sound(np.zeros((2, self._sound.samples), dtype=np.float32))
        if self._video is not None:
            self._container.mux(self._video.encode(None))
        self._container.close()
        os.replace(self._temporary, self._path)

    def abandon(self) -> None:
        self._container.close()
        self._temporary.unlink(missing_ok=True)

    def _encode(self, pcm: Pcm) -> None:
        if self._options.recording.audio_channels == 1:
            pcm = pcm.mean(axis=0, keepdims=True)
        layout = "mono" if self._options.recording.audio_channels == 1 else "stereo"
        if self._sound.sample_format == "flt":
            pcm = pcm.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(pcm), format=self._sound.sample_format, layout=layout
        )
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = self._fed
        self._fed += self._sound.samples
        self._mux(self._audio.encode(frame))

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            assert packet.pts is not None
            at = packet.pts + self._sound.delay - self._first
            if at < 0 or self._packets >= self._limit:
                continue
            packet.pts = packet.dts = self._packets * self._sound.samples
            packet.time_base = Fraction(1, SAMPLE_RATE)
            self._packets += 1
            self._container.mux(packet)


def _video_stream(container: OutputContainer, options: CompositeOptions) -> VideoStream:
    o = options.recording
    if options.is_webm:
        video = container.add_stream(
            "libvpx",
            rate=o.fps,
            options={"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0", "auto-alt-ref": "0"},
        )
        video.codec_context.bit_rate = options.video_rate(1_750_000)
    else:
        rate = options.video_rate(2_500_000)
        video = container.add_stream(
            "libx264",
            rate=o.fps,
            options={
                "preset": options.preset,
                "crf": str(options.crf),
                "profile": "main",
                "maxrate": str(rate),
                "bufsize": str(2 * rate),
            },
        )
    video.width, video.height, video.pix_fmt = o.width, o.height, "yuv420p"
    video.codec_context.gop_size = 2 * o.fps
    video.codec_context.thread_count = options.threads
    video.codec_context.time_base = Fraction(1, o.fps)
    return video


def _audio_stream(container: OutputContainer, options: CompositeOptions) -> AudioStream:
    layout = "mono" if options.recording.audio_channels == 1 else "stereo"
    if options.is_webm:
        audio = container.add_stream("libopus", rate=SAMPLE_RATE, layout=layout)
        audio.codec_context.format = OPUS.sample_format
        audio.bit_rate = min(options.audio_bit_rate, 96_000)
    else:
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout=layout)
        audio.bit_rate = options.audio_bit_rate
    return audio
