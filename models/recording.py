"""What a recording shall be: layout, size, codecs, by-products, limits. Pure; the same names in API, events, journal and composer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args, get_type_hints

from models.values import PersonId

RecordingType = Literal["COMPOSITE", "TRACK"]
Layout = Literal["grid", "speaker", "stage"]
VideoCodec = Literal["H264", "VP8"]
AudioCodec = Literal["AAC", "MP3", "OPUS"]
Position = Literal["left top", "right top", "left bottom", "right bottom"]
LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
MAX_PEOPLE: Final = 100
MAX_STORAGES: Final = 8
_PREFIX: Final = re.compile(r"[A-Za-z0-9_]{0,64}")


class BadOption(ValueError):
    """A field that cannot be used; ``message`` says what is allowed."""

    def __init__(self, field_name: str, message: str) -> None:
        self.field = field_name
        self.message = message
        super().__init__(f"{field_name}: {message}")


@dataclass(frozen=True, slots=True)
class Watermark:
    """A picture laid over a corner. ``url``: https address of a PNG or JPEG. Size in pixels; 0: as the picture is."""

    url: str
    width: int = 0
    height: int = 0
    position: Position = "left top"


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """Everything that a start call may choose. The defaults are those of docs/recording.md."""

    type: RecordingType = "COMPOSITE"
    """TRACK: no film, only separate tracks."""
    layout: Layout = "grid"
    """``grid`` switches to the stage with a strip by itself while something is shared."""
    width: int = 1280
    height: int = 720
    fps: int = 30
    video_codec: VideoCodec = "H264"
    """H264 makes an MP4, VP8 a WebM."""
    audio_codec: AudioCodec = "AAC"
    """AAC or MP3 with H264 and for audio-only files, OPUS with VP8."""
    audio_channels: int = 2
    export_video: bool = True
    """False: the result is an audio file (M4A or MP3)."""
    export_audio: bool = False
    """An audio file beside the film."""
    audio_tracks: bool = False
    """One Opus file for each participant, copied, never encoded again."""
    video_tracks: bool = False
    people: tuple[PersonId, ...] = ()
    """Whose tracks become files; empty: everybody's, also those of later joiners."""
    names: bool = True
    muted_mark: bool = True
    title_card: bool = False
    clock: bool = False
    chapters: bool = True
    watermark: Watermark | None = None
    max_seconds: int = 86_400
    file_name_prefix: str = ""
    empty_stop_s: int = 60
    """The recording stops when its room has been empty for so long; 0: never."""
    storages: tuple[str, ...] = ()
    """Ids of storages that get copies, besides the site's and the course's."""
    storage_override: bool = False
    """True: copies go to ``storages`` only."""


DEFAULT_OPTIONS: Final = RecordingOptions()
RANGES: Final[dict[str, tuple[int, int]]] = {
    "width": (64, 1920),
    "height": (64, 1920),
    "audio_channels": (1, 2),
    "max_seconds": (60, 86_400),
    "empty_stop_s": (0, 3_600),
}
"""Field → least, most."""
RATES: Final = (24, 25, 30)
_HINTS: Final = get_type_hints(RecordingOptions)
_FIELDS: Final = {spec.name: spec for spec in fields(RecordingOptions)}


def options_from_json(data: Mapping[str, Any]) -> RecordingOptions:
    """Options from a (partial) JSON object; fields that are not there have their defaults. Raises BadOption.

    A film with VP8 has OPUS, also where another codec is given: as other recording APIs do.
    """
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name not in _FIELDS:
            raise BadOption(str(name)[:40], "is not known here")
        values[name] = _read(name, value)
    options = RecordingOptions(**values)
    if options.type == "COMPOSITE" and options.export_video and options.video_codec == "VP8":
        # A WebM has one codec for sound, whatever was asked for or is the course's.
        options = replace(options, audio_codec="OPUS")
    _check_together(options)
    return options


def options_to_json(options: RecordingOptions) -> dict[str, Any]:
    """Only what differs from the defaults."""
    plain: dict[str, Any] = {}
    for name, spec in _FIELDS.items():
        value = getattr(options, name)
        if value == spec.default:
            continue
        if isinstance(value, Watermark):
            value = {part.name: getattr(value, part.name) for part in fields(Watermark)}
        plain[name] = list(value) if isinstance(value, tuple) else value
    return plain


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Partial objects laid over each other; the later one wins field by field."""
    result: dict[str, Any] = {}
    for layer in layers:
        result |= layer
    return result


def _read(name: str, value: Any) -> Any:
    kind = _HINTS[name]
    if name == "watermark":
        return None if value is None else _watermark(value)
    if name in ("people", "storages"):
        return _texts(name, value, MAX_PEOPLE if name == "people" else MAX_STORAGES)
    if kind is bool:
        if not isinstance(value, bool):
            raise BadOption(name, "must be true or false")
        return value
    if kind is int:
        return _number(name, value)
    if kind is str:
        if not isinstance(value, str) or not _PREFIX.fullmatch(value):
            raise BadOption(name, "has at most 64 letters, digits and underscores")
        return value
    return _choice(name, kind, value)


def _choice(name: str, kind: Any, value: Any) -> Any:
    allowed = get_args(kind)
    if not isinstance(value, str) or value not in allowed:
        raise BadOption(name, f"must be one of {', '.join(allowed)}")
    return value


def _number(name: str, value: Any) -> int:
    if name == "fps":
        if isinstance(value, bool) or value not in RATES:
            raise BadOption(name, "must be 24, 25 or 30")
        return int(value)
    least, most = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadOption(name, f"must be a whole number from {least} to {most}")
    if name in ("width", "height") and value % 2:
        raise BadOption(name, "must be even")
    return value


def _texts(name: str, value: Any, most: int) -> tuple[str, ...]:
    good = isinstance(value, list | tuple) and len(value) <= most
    if not good or not all(isinstance(item, str) and 0 < len(item) <= 100 for item in value):
        raise BadOption(name, f"must be a list of at most {most} ids")
    return tuple(dict.fromkeys(value))


def _watermark(value: Any) -> Watermark:
    if not isinstance(value, Mapping) or set(value) - {spec.name for spec in fields(Watermark)}:
        raise BadOption("watermark", "has url, width, height and position")
    url = value.get("url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")) or len(url) > 2000:
        raise BadOption("watermark.url", "must be the web address of a PNG or JPEG")
    sizes = []
    for side in ("width", "height"):
        size = value.get(side, 0)
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= 1920:
            raise BadOption(f"watermark.{side}", "must be a whole number from 0 to 1920")
        sizes.append(size)
    position = _choice("watermark.position", Position, value.get("position", "left top"))
    return Watermark(url, sizes[0], sizes[1], position)


def _check_together(options: RecordingOptions) -> None:
    """Fields that do not go together. Raises BadOption."""
    film = options.type == "COMPOSITE" and options.export_video
    if film and options.video_codec == "H264" and options.audio_codec == "OPUS":
        raise BadOption("audio_codec", "must be AAC or MP3 with H264 (an MP4)")
    if options.type == "COMPOSITE" and not options.export_video and options.audio_codec == "OPUS":
        raise BadOption("audio_codec", "must be AAC or MP3 for an audio file")
    if options.type == "TRACK" and not (options.audio_tracks or options.video_tracks):
        raise BadOption("type", "TRACK needs audio_tracks or video_tracks")
