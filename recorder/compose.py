"""``python -m recorder.compose JOURNAL OUT``: one composition in a process of its own, at low priority.

Writes ``progress.json`` while it works and ``result.json`` at the end into OUT. A killed run leaves nothing that the next
could mistake for a result: files get their names when they are whole.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from av.error import FFmpegError

from recorder import quality
from recorder.compositor import CompositeOptions, Compositor
from recorder.journal import RecordReader, read_manifest
from recorder.timeline import BadManifest, Timeline, build

log = logging.getLogger("sideroom.compose")
VIDEO: Final = "recording.mp4"
THUMBNAIL: Final = "thumbnail.jpg"
RESULT: Final = "result.json"
PROGRESS: Final = "progress.json"
NICE: Final = 10


@dataclass(frozen=True, slots=True)
class CompositionResult:
    """What a composition made. ``path`` and ``thumbnail`` are file names in the result's folder."""

    path: str
    thumbnail: str
    duration_s: float
    width: int
    height: int
    video_codec: str
    audio_codec: str
    size_bytes: int
    sha256: str
    black_share: float
    silent_share: float
    gaps_s: float
    lost_packets: int
    broken_s: float
    tracks: int
    tracks_by_reports: int
    seconds: float
    """How long it took."""
    warnings: list[str]


def compose(journal: Path, out: Path, options: CompositeOptions) -> CompositionResult:
    """Compose a journal into ``out``. Raises BadManifest, OSError or FFmpegError when there is nothing to be made."""
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    (out / RESULT).unlink(missing_ok=True)
    timeline = build(read_manifest(journal))
    compositor = Compositor(timeline, RecordReader(journal), options, _progress_writer(out))
    composed = compositor.run(out / VIDEO, out / THUMBNAIL)
    checked = quality.check(out / VIDEO, timeline.duration / 1e6)
    segments = timeline.segments.values()
    result = CompositionResult(
        path=VIDEO,
        thumbnail=THUMBNAIL,
        duration_s=round(checked.duration_s, 3),
        width=checked.width,
        height=checked.height,
        video_codec=checked.video_codec,
        audio_codec=checked.audio_codec,
        size_bytes=checked.size_bytes,
        sha256=checked.sha256,
        black_share=round(checked.black_share, 3),
        silent_share=round(checked.silent_share, 3),
        gaps_s=round(sum(gap.end - gap.start for gap in timeline.gaps) / 1e6, 3),
        lost_packets=sum(s.lost_packets for s in segments),
        broken_s=round(sum(b.end - b.start for s in segments for b in s.broken) / 1e6, 3),
        tracks=len(timeline.segments),
        tracks_by_reports=composed.segments_by_reports,
        seconds=round(time.monotonic() - began, 2),
        warnings=[*_warnings(timeline), *composed.warnings, *checked.warnings],
    )
    _write_json(out / RESULT, asdict(result))
    return result


def _warnings(timeline: Timeline) -> list[str]:
    warnings = [f"nothing was captured for {(g.end - g.start) / 1e6:.1f} s" for g in timeline.gaps]
    if not timeline.complete:
        warnings.append("the recording was not closed; its end is the last thing written")
    return warnings


def read_result(out: Path) -> CompositionResult | None:
    """The result of an earlier run in ``out``, if it came to one."""
    try:
        return CompositionResult(**json.loads((out / RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_progress(out: Path) -> float:
    """Share that is done, 0…1."""
    try:
        return float(json.loads((out / PROGRESS).read_text(encoding="utf-8"))["share"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _progress_writer(out: Path) -> Callable[[float], None]:
    def write(share: float) -> None:
        _write_json(out / PROGRESS, {"share": round(share, 4)})

    return write


def _write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    os.replace(temporary, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: ``result.json`` is there; 1: it could not be made, the reason is the last line of standard error."""
    parser = argparse.ArgumentParser(prog="python -m recorder.compose", description=__doc__)
    parser.add_argument("journal", type=Path, help="folder of the journal")
    parser.add_argument("out", type=Path, help="folder for the result")
    parser.add_argument("--options", default="{}", help="CompositeOptions as a JSON object")
    args = parser.parse_args(argv)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        os.nice(NICE)
        options = CompositeOptions(**json.loads(args.options))
        compose(args.journal, args.out, options)
    except (BadManifest, OSError, FFmpegError, ValueError, TypeError) as error:
        print(f"composition failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
