"""``python -m recorder.compose JOURNAL OUT``: one composition in a process of its own, at low priority.

With ``--follow`` it works while the recording still runs and is done seconds after it ends. ``progress.json`` says how far it is,
``result.json`` stands in OUT at the end. The film is made in parts (recorder.parts): a killed run goes on at the last whole one.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from av.error import FFmpegError

from recorder import audio_only, quality
from recorder.compositor import Compositor
from recorder.film import Film
from recorder.follow import CaughtUp, Follower, Orphaned, Pacer
from recorder.journal import stream_manifest
from recorder.options import PART_S, CompositeOptions, from_json
from recorder.parts import BUSY, PartNote, Parts, locked, write_json
from recorder.quality import Expected, file_facts
from recorder.report import UNREAD, report
from recorder.timeline import BadManifest, Timeline

log = logging.getLogger("sideroom.compose")
THUMBNAIL: Final = "thumbnail.jpg"
RESULT: Final = "result.json"
PROGRESS: Final = "progress.json"
NICE: Final = 15
TELL_S: Final = 0.5
NOT_YET: Final = 3
"""Exit code: the recording still runs, and for now there is nothing more to compose."""


@dataclass(frozen=True, slots=True)
class CompositionResult:
    """What a composition made. ``path`` and ``thumbnail`` are file names in the result's folder."""

    path: str
    thumbnail: str
    mime: str
    duration_s: float
    width: int
    height: int
    video_codec: str
    audio_codec: str
    file: dict[str, object]
    """What else the file says of itself: container, pictures a second, sample rate and so on."""
    size_bytes: int
    sha256: str
    black_share: float
    silent_share: float
    still_share: float
    gaps_s: float
    lost_packets: int
    broken_s: float
    tracks: int
    tracks_by_reports: int
    seconds: float
    """How long it took after the recording was closed (or this run began, whichever was later)."""
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """``share`` 0…1 of what is recorded so far; ``eta_s``: how long the rest will take at the present pace, None: unknown;
    ``live``: the recording has not been closed."""

    share: float = 0.0
    composed_s: float = 0.0
    total_s: float = 0.0
    eta_s: float | None = None
    live: bool = False


class Composition:
    """One run. ``parts``: leave after so many parts while the recording still runs (0: stay); ``cpu_share``: of one core,
    while it runs (0: no limit)."""

    def __init__(
        self,
        journal: Path,
        out: Path,
        options: CompositeOptions,
        *,
        follow: bool = False,
        parts: int = 0,
        cpu_share: float = 0.0,
    ) -> None:
        self._journal, self._out, self._options = journal, out, options
        self._most_parts = parts
        self._follower = Follower(journal, follow=follow, wait=not parts)
        self._parts = Parts(out, options)
        self._pacer = Pacer(cpu_share)
        self._began = time.monotonic()
        self._told = 0.0
        self._start_rec: int | None = None
        self._closed_at = self._began

    def run(self) -> CompositionResult | None:
        """Compose; None when the recording still runs and there is nothing more to do for now.

        Raises BadManifest, OSError or FFmpegError when there is nothing to be made.
        """
        try:
            return self._run()
        finally:
            self._follower.close()

    def _run(self) -> CompositionResult | None:
        film = Film(self._out / self._options.file_name, self._options)
        try:
            notes = self._known(film)
            found = len(notes)
            compositor = Compositor(
                self._journal, self._follower, self._options, notes[-1] if notes else None, self._tell
            )
            try:
                while self._may_go_on(len(notes), found) and (
                    note := compositor.part(len(notes), self._parts)
                ):
                    self._parts.keep(note)
                    film.add(self._parts.path(note.number))
                    notes.append(note)
                    if note.seconds < PART_S:
                        break
            finally:
                warnings = compositor.close()
            film.close()
        except BaseException as error:
            film.abandon()
            if isinstance(error, CaughtUp | Orphaned):
                return None
            raise
        return self._finish(notes, warnings)

    def _known(self, film: Film) -> list[PartNote]:
        """The parts of earlier runs, put together again."""
        notes: list[PartNote] = []
        for note in self._parts.done():
            if note.seconds < PART_S:
                break  # a last part; the journal may have grown since
            try:
                film.add(self._parts.path(note.number))
            except FFmpegError:
                # Its writer lost power: this part and all after it are made again.
                break
            notes.append(note)
        return notes

    def _may_go_on(self, number: int, found: int) -> bool:
        """Raises CaughtUp when this run has had its turn, or no further part is whole."""
        if self._most_parts and not self._follower.final:
            if number - found >= self._most_parts:
                raise CaughtUp
            self._follower.reach((number + 1) * PART_S * 1_000_000 + 1_000_000)
        return True

    def _tell(self, rec: int) -> None:
        self._follower.check_parent()
        live = not self._follower.final
        self._pacer.rest(live, self._follower.waited_s)
        now = time.monotonic()
        if live:
            self._closed_at = now
        if self._start_rec is None:
            self._start_rec = rec
        if now - self._told < TELL_S and self._follower.settled - rec > 2_000_000:
            return
        self._told = now
        total = self._follower.timeline.duration
        worked = now - self._began - self._follower.waited_s
        done = rec - self._start_rec
        eta_s = (total - rec) * worked / done if done > 2_000_000 else None
        share = min(1.0, rec / total) if total else 0.0
        self._say(Progress(round(share, 4), rec / 1e6, total / 1e6, eta_s, live))

    def _say(self, progress: Progress) -> None:
        write_json(self._out / PROGRESS, asdict(progress))

    def _finish(self, notes: Sequence[PartNote], warnings: Sequence[str]) -> CompositionResult:
        timeline, recording = self._follower.timeline, self._options.recording
        seconds = timeline.duration / 1e6
        name, mime = self._options.file_name, self._options.mime
        if not recording.export_video and recording.audio_codec == "MP3":
            name, mime = Path(name).with_suffix(".mp3").name, audio_only.MIME["MP3"]
            audio_only.extract(
                self._out / self._options.file_name, self._out / name, "MP3", recording.audio_channels
            )
        self._say(Progress(1.0, seconds, seconds, 0.0))
        has_pictures = recording.export_video
        told = report(stream_manifest(self._journal, UNREAD), timeline)
        checked = quality.check(
            self._out / name,
            Expected(
                seconds,
                width=recording.width if has_pictures else None,
                height=recording.height if has_pictures else None,
                fps=recording.fps if has_pictures else None,
                pictures=told.pictures if has_pictures else None,
                sound=told.sound,
                video=has_pictures,
            ),
        )
        segments = timeline.segments.values()
        by = [segment.by for segment in segments]
        result = CompositionResult(
            path=name,
            thumbnail=self._thumbnail(notes) if has_pictures else "",
            mime=mime,
            duration_s=round(checked.duration_s, 3),
            width=checked.width,
            height=checked.height,
            video_codec=checked.video_codec,
            audio_codec=checked.audio_codec,
            file=file_facts(checked),
            size_bytes=checked.size_bytes,
            sha256=checked.sha256,
            black_share=round(checked.black_share, 3) if has_pictures else 0.0,
            silent_share=round(checked.silent_share, 3),
            still_share=round(checked.still_share, 3),
            gaps_s=round(sum(gap.end - gap.start for gap in timeline.gaps) / 1e6, 3),
            lost_packets=sum(s.lost_packets for s in segments),
            broken_s=round(sum(b.end - b.start for s in segments for b in s.broken) / 1e6, 3),
            tracks=len(timeline.segments),
            tracks_by_reports=by.count("reports"),
            seconds=round(time.monotonic() - self._closed_at, 2),
            warnings=list(
                dict.fromkeys(
                    [
                        *_warnings(timeline),
                        *(w for n in notes for w in n.warnings),
                        *warnings,
                        *checked.warnings,
                    ]
                )
            ),
        )
        write_json(self._out / RESULT, asdict(result))
        return result

    def _thumbnail(self, notes: Sequence[PartNote]) -> str:
        """The picture of a part with somebody in it, from the first third on."""
        third = len(notes) // 3
        order = [*notes[third:], *notes[:third]]
        chosen = next((note for note in order if note.has_picture), notes[0])
        shutil.copyfile(self._parts.thumbnail(chosen.number), self._out / THUMBNAIL)
        return THUMBNAIL


def compose(journal: Path, out: Path, options: CompositeOptions) -> CompositionResult:
    """Compose a closed journal into ``out``. Raises BadManifest, OSError or FFmpegError when there is nothing to be made."""
    out.mkdir(parents=True, exist_ok=True)
    (out / RESULT).unlink(missing_ok=True)
    result = Composition(journal, out, options).run()
    assert result is not None, "a closed journal is composed to its end"
    return result


def _warnings(timeline: Timeline) -> list[str]:
    warnings = [f"nothing was captured for {(g.end - g.start) / 1e6:.1f} s" for g in timeline.gaps]
    if not timeline.complete:
        warnings.append("the recorder was interrupted: the last moments may be missing")
    return warnings


def read_result(out: Path) -> CompositionResult | None:
    """The result of an earlier run in ``out``, if it came to one."""
    try:
        return CompositionResult(**json.loads((out / RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_progress(out: Path) -> Progress:
    """How far a run is; nothing done when it has not said so."""
    try:
        return Progress(**json.loads((out / PROGRESS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Progress()


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: ``result.json`` is there; 3: not yet; 4: another process makes it; 1: it could not be made, the reason is the last line of standard
    error."""
    parser = argparse.ArgumentParser(prog="python -m recorder.compose", description=__doc__)
    parser.add_argument("journal", type=Path, help="folder of the journal")
    parser.add_argument("out", type=Path, help="folder for the result")
    parser.add_argument("--options", default="{}", help="CompositeOptions as a JSON object")
    parser.add_argument("--follow", action="store_true", help="the recording may still run: wait for its end")
    parser.add_argument(
        "--parts", type=int, default=0, help="while it runs, leave after so many parts; 0: stay"
    )
    parser.add_argument(
        "--cpu-share", type=float, default=0.0, help="of one core, while it runs; 0: no limit"
    )
    args = parser.parse_args(argv)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        os.nice(max(0, NICE - os.nice(0)))
        options = from_json(json.loads(args.options))
        args.out.mkdir(parents=True, exist_ok=True)
        with locked(args.out):
            (args.out / RESULT).unlink(missing_ok=True)
            composition = Composition(
                args.journal,
                args.out,
                options,
                follow=args.follow,
                parts=args.parts,
                cpu_share=args.cpu_share,
            )
            return 0 if composition.run() is not None else NOT_YET
    except BlockingIOError:
        return BUSY
    except (BadManifest, OSError, FFmpegError, ValueError, TypeError) as error:
        print(f"composition failed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
