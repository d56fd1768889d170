"""Sound of a film → a file of its own, M4A or MP3. AAC is copied where the film has it, everything else is encoded."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

RATE: Final = 48_000
BIT_RATE: Final = 128_000
AudioFileCodec = Literal["AAC", "MP3"]
ENDING: Final[dict[AudioFileCodec, str]] = {"AAC": "m4a", "MP3": "mp3"}
MIME: Final[dict[AudioFileCodec, str]] = {"AAC": "audio/mp4", "MP3": "audio/mpeg"}
_ENCODER: Final[dict[AudioFileCodec, str]] = {"AAC": "aac", "MP3": "libmp3lame"}
_FORMAT: Final[dict[AudioFileCodec, str]] = {"AAC": "mp4", "MP3": "mp3"}


def extract(film: Path, target: Path, codec: AudioFileCodec, channels: int = 2) -> None:
    """Write the sound of ``film`` to ``target``. Raises OSError, FFmpegError, or ValueError when the film has no sound."""
    part = target.with_name(target.name + ".part")
    try:
        with av.open(str(film)) as source:
            if not source.streams.audio:
                raise ValueError("the film has no sound")
            options = {"movflags": "faststart"} if codec == "AAC" else {"write_xing": "1"}
            with av.open(str(part), "w", format=_FORMAT[codec], options=options) as out:
                stream = source.streams.audio[0]
                same = stream.codec_context.name == _ENCODER[codec]
                if codec == "AAC" and same and stream.codec_context.channels == channels:
                    _copy(source, out)
                else:
                    _encode(source, out, codec, channels)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _copy(source: InputContainer, out: OutputContainer) -> None:
    audio = source.streams.audio[0]
    stream = out.add_stream_from_template(audio)
    for packet in source.demux(audio):
        if packet.dts is not None:
            packet.stream = stream
            out.mux(packet)


def _encode(source: InputContainer, out: OutputContainer, codec: AudioFileCodec, channels: int) -> None:
    layout = "mono" if channels == 1 else "stereo"
    stream = out.add_stream(_ENCODER[codec], rate=RATE, layout=layout)
    assert isinstance(stream, AudioStream)
    stream.bit_rate = BIT_RATE if channels == 2 else BIT_RATE // 2
    resampler = AudioResampler(
        format=stream.codec_context.format,
        layout=layout,
        rate=RATE,
        frame_size=stream.codec_context.frame_size or 1152,
    )
    at = 0
    for frame in source.decode(audio=0):
        frame.pts = None
        for piece in resampler.resample(frame):
            at = _put(stream, out, piece, at)
    for piece in resampler.resample(None):
        at = _put(stream, out, piece, at)
    out.mux(stream.encode(None))


def _put(stream: AudioStream, out: OutputContainer, piece: av.AudioFrame, at: int) -> int:
    piece.pts, piece.time_base = at, Fraction(1, RATE)
    out.mux(stream.encode(piece))
    return at + piece.samples
