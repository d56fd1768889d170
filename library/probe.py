"""``python -m library.probe FILE PICTURE``: open a file that somebody uploaded and tell what it is, as JSON.

A process of its own: what a strange file does to the decoders stays here. Exit code 3: it is nothing that we take; the
output then says why, in a sentence for its owner.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import av
from PIL import Image

CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "webm", "mp3": "mp3"}
VIDEO = {"mp4": {"h264", "av1", "vp9"}, "webm": {"vp8", "vp9", "av1"}, "mp3": set[str]()}
AUDIO = {"mp4": {"aac", "mp3", "opus"}, "webm": {"opus", "vorbis"}, "mp3": {"mp3", "mp3float"}}
FORMATS = "Use MP4 (H.264 and AAC), WebM, M4A or MP3."
PLAIN_PIXELS = {"yuv420p", "yuvj420p", "nv12"}
"""What every browser plays of H.264: 8 bits, 4:2:0."""
TURNS = {1: Image.Transpose.ROTATE_90, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_270}
MAX_PICTURE = (640, 640)
MAX_SIDE = 8192
MAX_MEMORY = 4 * 1024**3
"""Address space, of which the libraries alone take more than a GiB."""


class NotPlayable(Exception):
    """The file is none that browsers play; the text tells its owner."""


def probe(path: Path, picture: Path) -> dict[str, Any]:
    """Container, length and size of a file, with a still picture at ``picture`` when it has video. Raises NotPlayable."""
    try:
        # Only what we take is even recognised: a playlist could name other files and addresses.
        only = {"protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}
        with av.open(str(path), options=only) as file:
            return _look(file, picture)
    except av.FFmpegError as error:
        raise NotPlayable(f"This file couldn’t be opened as video or audio. {FORMATS}") from error


def _look(file: Any, picture: Path) -> dict[str, Any]:
    container = CONTAINERS.get(file.format.name)
    if container is None:
        raise NotPlayable(f"Browsers can’t play this type of file. {FORMATS}")
    # A cover in a sound file is a video stream of one still.
    videos = [s for s in file.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    audios = list(file.streams.audio)
    for stream, allowed in [(s, VIDEO[container]) for s in videos] + [(s, AUDIO[container]) for s in audios]:
        if stream.codec_context.name not in allowed:
            raise NotPlayable(
                f"Browsers can’t play “{stream.codec_context.name}” in this type of file. {FORMATS}"
            )
    for stream in videos:
        _check_pixels(stream.codec_context)
    if not videos and not audios:
        raise NotPlayable(f"This file has no video or audio. {FORMATS}")
    facts: dict[str, Any] = {
        "container": container,
        "duration_s": _duration(file),
        "width": 0,
        "height": 0,
        "video": bool(videos),
    }
    if videos:
        context = videos[0].codec_context
        if max(context.width, context.height) > MAX_SIDE:
            raise NotPlayable(f"This video is larger than {MAX_SIDE} pixels. Make it smaller first.")
        shown = _still(file, videos[0], float(facts["duration_s"]), picture)
        facts |= {"width": shown[0], "height": shown[1], "thumbnail": True}
    else:
        next(file.decode(audios[0]))  # one packet really is sound
    return facts


def _duration(file: Any) -> float:
    """Seconds; a browser's own recordings carry none, so their packets tell."""
    if file.duration:
        return float(file.duration) / av.time_base
    last = 0.0
    for packet in file.demux():
        if packet.pts is not None and packet.time_base is not None:
            last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    file.seek(0)
    return last


def _check_pixels(context: Any) -> None:
    """H.264 with more colour or finer shades than usual plays in few browsers, and only where the processor does it."""
    if context.name == "h264" and context.pix_fmt not in PLAIN_PIXELS:
        raise NotPlayable(
            "This video is H.264 with 10-bit or 4:2:2 color, which many browsers and phones can’t play. "
            "Export it as 8-bit 4:2:0 (“yuv420p”)."
        )


def _still(file: Any, stream: Any, duration_s: float, picture: Path) -> tuple[int, int]:
    """Write a picture as players show it, turned and with square pixels; returns the width and height of such pictures."""
    file.seek(int(min(3.0, duration_s / 3) * av.time_base))
    frame = next(file.decode(stream), None)
    if frame is None:
        raise NotPlayable(f"The video in this file can’t be decoded. {FORMATS}")
    image = frame.to_image()
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if aspect and aspect > 0 and aspect != 1:
        # As browsers do it: the height stays, the width is stretched.
        image = image.resize((max(1, min(MAX_SIDE, round(image.width * aspect))), image.height))
    turned = round(frame.rotation / 90) % 4
    if turned:
        # The matrix says by how much the picture must be turned counter-clockwise to stand upright.
        image = image.transpose(TURNS[turned])
    shown: tuple[int, int] = image.size
    image.thumbnail(MAX_PICTURE)
    image.save(picture, "JPEG", quality=85)
    return shown


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        print(json.dumps(probe(Path(sys.argv[1]), Path(sys.argv[2]))))
    except (NotPlayable, StopIteration) as error:
        print(json.dumps({"problem": str(error) or f"This file is damaged. {FORMATS}"}))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
