"""Reading RTP headers and payload descriptors in place, and small RTCP packets. Pure arithmetic on bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

AUDIO_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME_URI: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"

OUT_AUDIO_LEVEL: Final = 1
OUT_ABS_SEND_TIME: Final = 2
"""Ids of the header extensions on subscribe connections; each forwarded packet carries exactly these."""

_U16X2 = struct.Struct("!HH")
_VIDEO_EXTENSION = struct.Struct("!HHL")
_AUDIO_EXTENSION = struct.Struct("!HHLL")


@dataclass(frozen=True, slots=True)
class ExtensionIds:
    """What the publisher calls the header extensions (0: not negotiated)."""

    mid: int = 0
    audio_level: int = 0
    abs_send_time: int = 0


def payload_offset(data: bytes | bytearray, size: int) -> int:
    """Where the payload of the RTP packet of ``size`` bytes starts, -1 when the header is malformed."""
    first = data[0]
    position = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if size < position + 4:
            return -1
        position += 4 + 4 * ((data[position + 2] << 8) | data[position + 3])
    return position if position <= size else -1


def padding_size(data: bytes | bytearray, size: int, offset: int) -> int:
    """Bytes of padding at the end (0 without), -1 when malformed."""
    if not data[0] & 0x20:
        return 0
    padding = data[size - 1]
    return padding if 0 < padding <= size - offset else -1


def extension(data: bytes | bytearray, size: int, wanted: int) -> bytes | None:
    """The value of header extension ``wanted``; ``payload_offset`` must have accepted the packet."""
    if not wanted or not data[0] & 0x10:
        return None
    position = 12 + 4 * (data[0] & 0x0F)
    profile, words = _U16X2.unpack_from(data, position)
    position += 4
    end = position + 4 * words
    two_byte = profile & 0xFFF0 == 0x1000
    if not two_byte and profile != 0xBEDE:
        return None
    while position < end:
        first = data[position]
        if first == 0:
            position += 1
            continue
        if two_byte:
            if position + 2 > end:
                return None
            number, length, position = first, data[position + 1], position + 2
        else:
            number, length, position = first >> 4, (first & 15) + 1, position + 1
            if number == 15:
                return None
        if position + length > end:
            return None
        if number == wanted:
            return bytes(data[position : position + length])
        position += length
    return None


def out_extension(now: float, level: int | None) -> bytes:
    """The extension block of forwarded packets: send time (24 bit, 6.18 s) and, for audio, the level byte."""
    send_time = int(now * 262144.0) & 0xFFFFFF
    if level is None:
        return _VIDEO_EXTENSION.pack(0xBEDE, 1, 0x22000000 | send_time)
    return _AUDIO_EXTENSION.pack(
        0xBEDE, 2, 0x10002200 | level << 16 | send_time >> 16, (send_time & 0xFFFF) << 16
    )


def is_vp8_keyframe(data: bytes | bytearray, offset: int, size: int) -> bool:
    """True for the first packet of a VP8 keyframe (RFC 7741 §4.2-4.3)."""
    if offset >= size:
        return False
    first = data[offset]
    if not first & 0x10 or first & 0x07:  # not the start of the first partition
        return False
    position = offset + 1
    if first & 0x80:
        if position >= size:
            return False
        flags = data[position]
        position += 1
        if flags & 0x80:
            if position >= size:
                return False
            position += 2 if data[position] & 0x80 else 1
        if flags & 0x40:
            position += 1
        if flags & 0x30:
            position += 1
    return position < size and not data[position] & 1


def is_h264_keyframe(data: bytes | bytearray, offset: int, size: int) -> bool:
    """True when the packet starts an IDR picture or carries its parameter sets (RFC 6184)."""
    if offset >= size:
        return False
    kind = data[offset] & 0x1F
    if kind in (5, 7):
        return True
    if kind == 24:  # several units in one packet
        position = offset + 1
        while position + 2 < size:
            length = (data[position] << 8) | data[position + 1]
            if data[position + 2] & 0x1F in (5, 7):
                return True
            position += 2 + length
        return False
    if kind == 28 and offset + 1 < size:  # the first fragment of a unit
        return bool(data[offset + 1] & 0x80) and data[offset + 1] & 0x1F in (5, 7)
    return False


def ntp_time(unix_s: float) -> int:
    """Unix time → 64-bit NTP time."""
    return int((unix_s + 2208988800.0) * 4294967296.0) & 0xFFFFFFFFFFFFFFFF
