"""Opus packets → sound, and what was lost made up for: by the next packet's forward error correction where it carries one, else by
the decoder's concealment (RFC 6716 §2.1.7 and §4.4).

PyAV's decoders offer neither, so libopus itself is called: the one that PyAV brings (its wheels carry it), else the system's. Without
any, sound is decoded by PyAV and what was lost stays silent.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

log = logging.getLogger("sideroom.compose")
SAMPLE_RATE: Final = 48_000
CHANNELS: Final = 2
LEAST: Final = 120
"""Samples of the shortest Opus frame, 2.5 ms: what is concealed is a multiple of it."""
MOST: Final = 5760
"""Samples of the longest packet, 120 ms."""

Pcm = NDArray[np.float32]


class OpusError(ValueError):
    """A packet that cannot be decoded."""


class Decoder(Protocol):
    """One stream's; sound is 48 kHz, shape (2, samples)."""

    def decode(self, packet: bytes) -> Pcm:
        """The sound of the next packet. Raises OpusError."""
        ...

    def conceal(self, samples: int, following: bytes) -> Pcm | None:
        """What stands for ``samples`` that are missing before the packet ``following``; None: silence must do.

        Call before ``decode(following)``. A multiple of 120 samples, 5760 (120 ms) at most.
        """
        ...


def opus_samples(packet: bytes) -> int:
    """How many samples (48 kHz) an Opus packet holds; 0 when it is none (RFC 6716 §3.1)."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        size = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        size = (480, 960)[config & 1]
    else:
        size = (120, 240, 480, 960)[config & 3]
    if code == 3:
        return size * (packet[1] & 0x3F) if len(packet) > 1 else 0
    return size * (1 if code == 0 else 2)


def decoder() -> Decoder:
    """A new stream's decoder."""
    library = _library()
    return LibOpus(library) if library is not None else PlainDecoder()


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    package = Path(av.__file__).parent
    beside = [*package.parent.glob("av.libs/libopus*"), *package.glob(".dylibs/libopus*")]
    for name in [*map(str, sorted(beside)), ctypes.util.find_library("opus")]:
        try:
            library = ctypes.CDLL(name) if name else None
            if library is not None:
                _declare(library)
                return library
        except (OSError, AttributeError):
            continue
    log.warning("opus.library_missing: lost sound stays silent in films")
    return None


def _declare(library: ctypes.CDLL) -> None:
    library.opus_decoder_get_size.argtypes = [ctypes.c_int]
    library.opus_decoder_init.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int]
    library.opus_decode_float.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
    ]


class LibOpus:
    """By libopus. Its state lives in memory of ours, so there is nothing to close."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._decode = library.opus_decode_float
        self._state = ctypes.create_string_buffer(library.opus_decoder_get_size(CHANNELS))
        if library.opus_decoder_init(self._state, SAMPLE_RATE, CHANNELS) != 0:
            raise OpusError("libopus refuses to begin")
        self._pcm = np.zeros((MOST, CHANNELS), dtype=np.float32)
        self._address = self._pcm.ctypes.data

    def decode(self, packet: bytes) -> Pcm:
        return self._call(packet, MOST, 0)

    def conceal(self, samples: int, following: bytes) -> Pcm | None:
        return self._call(following, samples, 1)

    def _call(self, packet: bytes, samples: int, fec: int) -> Pcm:
        count = self._decode(self._state, packet, len(packet), self._address, samples, fec)
        if count < 0:
            raise OpusError(f"libopus error {count}")
        return self._pcm[:count].T.copy()


class PlainDecoder:
    """By PyAV, without concealment."""

    def __init__(self) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = SAMPLE_RATE
        self._decoder.layout = "stereo"

    def decode(self, packet: bytes) -> Pcm:
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except FFmpegError as error:
            raise OpusError(str(error)) from error
        found = [np.zeros((CHANNELS, 0), dtype=np.float32)]
        for frame in frames:
            pcm = frame.to_ndarray().reshape(-1, CHANNELS).T.astype(np.float32)
            found.append(pcm / 32768.0 if frame.format.name == "s16" else pcm)
        return np.concatenate(found, axis=1)

    def conceal(self, samples: int, following: bytes) -> Pcm | None:
        return None
