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

CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "webm", "mp3": "mp3"}
VIDEO = {"mp4": {"h264", "av1", "vp9"}, "webm": {"vp8", "vp9", "av1"}, "mp3": set[str]()}
AUDIO = {"mp4": {"aac", "mp3", "opus"}, "webm": {"opus", "vorbis"}, "mp3": {"mp3", "mp3float"}}
FORMATS = "Use MP4 (H.264 and AAC), WebM, M4A or MP3."
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
        raise NotPlayable(f"This file could not be opened as video or sound. {FORMATS}") from error


def _look(file: Any, picture: Path) -> dict[str, Any]:
    container = CONTAINERS.get(file.format.name)
    if container is None:
        raise NotPlayable(f"This kind of file does not play in browsers. {FORMATS}")
    # A cover in a sound file is a video stream of one still.
    videos = [s for s in file.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    audios = list(file.streams.audio)
    for stream, allowed in [(s, VIDEO[container]) for s in videos] + [(s, AUDIO[container]) for s in audios]:
        if stream.codec_context.name not in allowed:
            raise NotPlayable(
                f"Browsers do not play “{stream.codec_context.name}” in this kind of file. {FORMATS}"
            )
    if not videos and not audios:
        raise NotPlayable(f"There is neither picture nor sound in this file. {FORMATS}")
    facts: dict[str, Any] = {
        "container": container,
        "duration_s": _duration(file),
        "width": 0,
        "height": 0,
        "video": bool(videos),
    }
    if videos:
        facts |= {"width": videos[0].codec_context.width, "height": videos[0].codec_context.height}
        if max(facts["width"], facts["height"]) > MAX_SIDE:
            raise NotPlayable(f"This picture is larger than {MAX_SIDE} pixels. Make it smaller first.")
        facts["thumbnail"] = _still(file, videos[0], float(facts["duration_s"]), picture)
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


def _still(file: Any, stream: Any, duration_s: float, picture: Path) -> bool:
    file.seek(int(min(3.0, duration_s / 3) * av.time_base))
    frame = next(file.decode(stream), None)
    if frame is None:
        raise NotPlayable(f"The picture in this file cannot be decoded. {FORMATS}")
    image = frame.to_image()
    image.thumbnail(MAX_PICTURE)
    image.save(picture, "JPEG", quality=85)
    return True


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
