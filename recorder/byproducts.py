"""``python -m recorder.byproducts JOURNAL OUT``: what there is beside the film: separate tracks, sound alone, chapters.

Which of them are wanted stands in the journal (the recording's options). ``files.json`` in OUT lists what was made; files get
their names when they are whole. One that cannot be made is told as a warning and fails nothing else.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from av.error import FFmpegError

from models.recording import BadOption, RecordingOptions, options_from_json
from models.store.media_files import MediaFile
from recorder import audio_only, quality, tracks
from recorder.chapters import as_json, chapters, to_vtt
from recorder.journal import read_records, stream_manifest
from recorder.parts import BUSY, locked
from recorder.quality import Expected
from recorder.report import UNREAD, JournalReport, report
from recorder.timeline import BadManifest, Line, Timeline, TimelineBuilder

log = logging.getLogger("sideroom.compose")
FILES: Final = "files.json"
CHAPTERS: Final = "chapters.vtt"
NICE: Final = 10
_KEPT: Final = frozenset({"start", "person", "left", "event"})
"""What chapters and names need of a manifest; the rest of a long one would fill the memory."""
_MIME: Final = {".webm": "video/webm", ".mp4": "video/mp4"}


@dataclass(slots=True)
class ByProducts:
    """``files``: what was made; ``quality``: the journal's report (JSON); ``warnings``: sentences for moderators."""

    files: list[MediaFile] = field(default_factory=list)
    quality: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def make(journal: Path, out: Path, film: Path | None = None) -> ByProducts:
    """Make everything that the recording's options want beside ``film`` (None: there is none). Raises BadManifest, OSError."""
    builder, lines = TimelineBuilder(), []
    for line in stream_manifest(journal):
        builder.add(line)
        if line["k"] in _KEPT:
            lines.append(line)
    timeline = builder.build()
    options = options_of(lines)
    told = report(stream_manifest(journal, UNREAD), timeline)
    made = ByProducts(quality=told.facts, warnings=list(told.warnings))
    out.mkdir(parents=True, exist_ok=True)
    if film is not None and options.chapters:
        _try(made, "the chapters", lambda: _chapters(made, out, lines, timeline))
    if film is not None and options.export_video and options.export_audio:
        _try(made, "the audio file", lambda: _audio(made, out, film, options, timeline, told))
    if options.audio_tracks or options.video_tracks:
        _try(made, "the separate tracks", lambda: _tracks(made, journal, out, options, timeline, lines))
    (out / f"{FILES}.part").write_text(json.dumps(asdict(made)), encoding="utf-8")
    os.replace(out / f"{FILES}.part", out / FILES)
    return made


def read_files(out: Path) -> ByProducts | None:
    """What an earlier run made in ``out``, if it came to an end."""
    try:
        data = json.loads((out / FILES).read_text(encoding="utf-8"))
        return ByProducts([MediaFile(**file) for file in data["files"]], data["quality"], data["warnings"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def options_of(lines: Sequence[Line]) -> RecordingOptions:
    """The options that the recording was started with; the defaults where the journal has none or wrong ones."""
    start = next((line for line in lines if line["k"] == "start"), None)
    try:
        return options_from_json(dict((start or {}).get("options") or {}))
    except (BadOption, TypeError, ValueError):
        return RecordingOptions()


def _try(made: ByProducts, what: str, work: Callable[[], None]) -> None:
    try:
        work()
    except (OSError, FFmpegError, ValueError) as error:
        log.warning("byproduct.failed what=%s reason=%s", what, error)
        made.warnings.append(f"{what} could not be made: {error}")


def _chapters(made: ByProducts, out: Path, lines: Sequence[Line], timeline: Timeline) -> None:
    found = chapters(lines, timeline)
    data = to_vtt(found).encode()
    (out / CHAPTERS).write_bytes(data)
    made.files.append(
        MediaFile(
            CHAPTERS, "chapters", "text/vtt", size_bytes=len(data), quality={"chapters": as_json(found)}
        )
    )


def _audio(
    made: ByProducts,
    out: Path,
    film: Path,
    options: RecordingOptions,
    timeline: Timeline,
    told: JournalReport,
) -> None:
    codec: audio_only.AudioFileCodec = "MP3" if options.audio_codec == "MP3" else "AAC"
    target = out / f"{film.stem}.{audio_only.ENDING[codec]}"
    audio_only.extract(film, target, codec, options.audio_channels)
    expected = Expected(timeline.duration / 1e6, sound=told.sound, video=False)
    checked = quality.check(target, expected)
    made.files.append(_file(target, "audio", audio_only.MIME[codec], checked))


def _tracks(
    made: ByProducts,
    journal: Path,
    out: Path,
    options: RecordingOptions,
    timeline: Timeline,
    lines: Sequence[Line],
) -> None:
    names = {
        str(line["person_id"]): str(line["name"])
        for line in lines
        if line["k"] == "person" and line.get("name")
    }
    copied = tracks.copy_tracks(
        timeline,
        read_records(journal),
        out,
        people=[str(person_id) for person_id in options.people],
        audio=options.audio_tracks,
        video=options.video_tracks,
        prefix=options.file_name_prefix,
    )
    for track in copied:
        path = out / track.name
        checked = quality.check(path, Expected(track.duration_s, video=not track.is_audio, sound=None))
        if track.is_audio:
            mime = "audio/webm"
        else:
            mime = _MIME[path.suffix]
            checked.warnings.remove("there is no sound")
        file = _file(path, "track_audio" if track.is_audio else "track_video", mime, checked)
        facts = {**file.quality, **dict(tracks.facts_of(track))}
        title = names.get(track.person_id, "")
        made.files.append(
            MediaFile(**{**asdict(file), "person_id": track.person_id, "title": title, "quality": facts})
        )


def _file(path: Path, kind: Any, mime: str, checked: quality.Quality) -> MediaFile:
    facts = asdict(checked)
    plain = {key: facts.pop(key) for key in ("size_bytes", "sha256", "duration_s")}
    return MediaFile(path.name, kind, mime, **plain, quality=facts)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: ``files.json`` is there; 4: another process works there; 1: it could not be made, the reason is the last line of standard error."""
    parser = argparse.ArgumentParser(prog="python -m recorder.byproducts", description=__doc__)
    parser.add_argument("journal", type=Path, help="folder of the journal")
    parser.add_argument("out", type=Path, help="folder for the files")
    parser.add_argument("--film", type=Path, help="the composed film, for chapters and sound alone")
    args = parser.parse_args(argv)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        os.nice(NICE)
        args.out.mkdir(parents=True, exist_ok=True)
        with locked(args.out):
            make(args.journal, args.out, args.film)
    except BlockingIOError:
        return BUSY
    except (BadManifest, OSError) as error:
        print(f"by-products failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
