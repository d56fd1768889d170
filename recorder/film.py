"""Parts → one file, copied packet by packet and never encoded again. Parts are added as they come; ``close`` ends the file."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from recorder.options import PART_S, CompositeOptions
from recorder.opus import SAMPLE_RATE
from recorder.parts import PART_SAMPLES, sound_frames


class Film:
    """The film while it grows, under a temporary name."""

    def __init__(self, path: Path, options: CompositeOptions) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".part")
        self._options = options
        self._sound = sound_frames(options)
        self._container: OutputContainer | None = None
        self._streams: dict[str, Stream] = {}
        self.parts = 0

    def add(self, part: Path) -> None:
        """Append the next part. Raises FFmpegError when it is damaged."""
        number = self.parts
        with av.open(str(part)) as source:
            if self._container is None:
                self._open(source)
            assert self._container is not None
            packets = number * PART_SAMPLES // self._sound.samples
            for packet in source.demux():
                if packet.dts is None or packet.pts is None:
                    continue
                if isinstance(packet.stream, AudioStream):
                    packet.pts = packet.dts = packets * self._sound.samples - self._sound.delay
                    packet.time_base = Fraction(1, SAMPLE_RATE)
                    packet.stream = self._streams["audio"]
                    packets += 1
                else:
                    shift = number * PART_S * packet.time_base.denominator // packet.time_base.numerator
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = self._streams["video"]
                self._container.mux(packet)
        self.parts += 1

    def _open(self, source: InputContainer) -> None:
        options = {} if self._options.is_webm else {"movflags": "faststart"}
        kind = "webm" if self._options.is_webm else "mp4"
        self._container = av.open(str(self._temporary), "w", format=kind, options=options)
        for stream in source.streams:
            if isinstance(stream, VideoStream | AudioStream):
                self._streams[stream.type] = self._container.add_stream_from_template(stream)

    def close(self) -> Path:
        """End the file and give it its name."""
        assert self._container is not None, "a film has at least one part"
        self._container.close()
        self._container = None
        os.replace(self._temporary, self._path)
        return self._path

    def abandon(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None
        self._temporary.unlink(missing_ok=True)
