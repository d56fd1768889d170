"""What a composition needs besides the recording's own options: how hard the encoder works, and where the watermark lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from models.recording import RecordingOptions, options_from_json, options_to_json

PART_S: Final = 64
"""Length of a part. 64 s are whole frames of every kind: 3,000 of AAC (1,024 samples), 3,200 of Opus, and of 24, 25 and 30
pictures a second; so parts can be put together without a seam."""
REFERENCE_PIXELS: Final = 1280 * 720 * 30
_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class CompositeOptions:
    """``preset``, ``crf``, ``threads`` are x264's; ``watermark_file``: a PNG or JPEG on this machine; ``fixed_layout``:
    changes of the layout while recording are passed over (somebody asked for another layout afterwards)."""

    recording: RecordingOptions = field(default_factory=RecordingOptions)
    preset: str = "veryfast"
    crf: int = 25
    threads: int = 1
    audio_bit_rate: int = 128_000
    watermark_file: str = ""
    fixed_layout: bool = False
    stem: str = "recording"
    """The film's file name without its ending."""
    time_zone: str = ""
    """IANA name of the zone of the title card's date and the clock; empty: UTC, and they say so."""

    @property
    def is_webm(self) -> bool:
        return self.recording.export_video and self.recording.video_codec == "VP8"

    @property
    def file_name(self) -> str:
        """What the film is called; MP3 is made from an M4A."""
        if not self.recording.export_video:
            return f"{self.stem}.m4a"
        return f"{self.stem}.webm" if self.is_webm else f"{self.stem}.mp4"

    @property
    def mime(self) -> str:
        if not self.recording.export_video:
            return "audio/mp4"
        return "video/webm" if self.is_webm else "video/mp4"

    def video_rate(self, at_reference: int) -> int:
        """Bits a second, in proportion to 720p30."""
        o = self.recording
        return max(150_000, at_reference * o.width * o.height * o.fps // REFERENCE_PIXELS)

    @property
    def key(self) -> str:
        """Parts made with equal keys go together."""
        facts = json.dumps([_VERSION, to_json(self)], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:12]


def to_json(options: CompositeOptions) -> dict[str, Any]:
    plain = {spec.name: getattr(options, spec.name) for spec in fields(CompositeOptions)}
    return plain | {"recording": options_to_json(options.recording)}


def from_json(data: Mapping[str, Any]) -> CompositeOptions:
    """Raises BadOption or TypeError."""
    return CompositeOptions(**{**data, "recording": options_from_json(data.get("recording", {}))})
