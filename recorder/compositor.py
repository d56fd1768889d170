"""Time line and frames → the parts of a film: tiles, cards, mixed sound. Streams; memory does not grow with the length."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import av
from PIL import Image

from recorder import faces
from recorder.follow import Follower
from recorder.journal import RecordReader
from recorder.mix import BLOCK, Mixer, Pcm
from recorder.options import PART_S, CompositeOptions
from recorder.opus import SAMPLE_RATE
from recorder.overlays import Overlays, watermark
from recorder.parts import LEAD_BLOCKS, PART_BLOCKS, PART_SAMPLES, PartNote, Parts, PartWriter
from recorder.scene import Scene, Voices
from recorder.sources import Sources

MIN_FRAMES: Final = 2
LEAST_SAMPLES: Final = 1024
WARM_BLOCKS: Final = 6
"""Blocks that are mixed and thrown away when a composition goes on from the middle: decoders and limiter settle in them."""
SOUND_AHEAD_US: Final = 600_000
"""Sound is mixed in whole blocks, and one more at the end of a part: the journal must be settled so far ahead."""

Tell = Callable[[int], None]
MIXED_BEFORE_US: Final = (LEAD_BLOCKS + WARM_BLOCKS) * BLOCK * 1_000_000 // SAMPLE_RATE


class Compositor:
    """Makes part after part. ``tell`` is called about once a second of film with the microseconds that are done."""

    def __init__(
        self,
        folder: Path,
        follower: Follower,
        options: CompositeOptions,
        after: PartNote | None = None,
        tell: Tell = lambda done: None,
    ) -> None:
        self._follower = follower
        self._options = options
        self._tell = tell
        self._fps = options.recording.fps
        self._per_part = PART_S * self._fps
        self._sounded = 0
        self.warnings: list[str] = []
        timeline = follower.timeline
        number = after.number + 1 if after is not None else 0
        reader = RecordReader(folder, after.start) if after is not None else RecordReader(folder)
        first = max(0, number * PART_BLOCKS - LEAD_BLOCKS - WARM_BLOCKS)
        heard_from = timeline.wall(first * BLOCK * 1_000_000 // SAMPLE_RATE) - 1_000_000 if first else 0
        self._sources = Sources(timeline, reader, heard_from)
        self._mixer = Mixer(self._sources, self._wall, first)
        self._scene = Scene(timeline, options, self._overlays())
        self._recent: deque[Pcm] = deque(maxlen=LEAD_BLOCKS)
        self._ahead: deque[Pcm] = deque()
        if after is not None:
            self._mixer.restore(after.voices)
            while self._mixer.next < number * PART_BLOCKS:
                self._recent.append(self._mixer.block())
        self._seen = timeline

    def _wall(self, rec: int) -> int:
        return self._follower.timeline.wall(rec)

    def _overlays(self) -> Overlays:
        o, stamp = self._options.recording, None
        if o.watermark is not None and self._options.watermark_file:
            try:
                stamp = watermark(Path(self._options.watermark_file), o.watermark, o.width, o.height)
            except FileNotFoundError:
                self.warnings.append("the watermark is missing: its picture could not be fetched")
            except (OSError, ValueError):
                self.warnings.append("the watermark is missing: its picture is no usable PNG or JPEG")
        return Overlays(o.width, o.height, stamp, o.clock, self._options.time_zone)

    # -- a part ------------------------------------------------------------------------------------------------

    def part(self, number: int, parts: Parts) -> PartNote | None:
        """Make part ``number`` as the journal grows; None when the film ends before it.

        Raises CaughtUp, Orphaned, OSError or FFmpegError; then nothing is left of the part.
        """
        if not self._ready(number * self._per_part) and number > 0:
            return None
        writer = PartWriter(parts.path(number), number, self._options)
        try:
            frames, pictures = self._pictures(writer, number, parts.thumbnail(number))
            self._rest_of_sound(writer)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        note = PartNote(
            number=number,
            frames=frames,
            seconds=frames / self._fps,
            position=self._position((number + 1) * PART_S * 1_000_000),
            voices=self._mixer.to_json(),
            has_picture=pictures,
            warnings=[*self.warnings, *self._sources.take_warnings()],
        )
        self.warnings.clear()
        return note

    def close(self) -> list[str]:
        """Let go of everything; returns what was left to say."""
        self._sources.finish()
        return [*self._sources.take_warnings(), *self._undrawn()]

    def _undrawn(self) -> list[str]:
        """What stands in the film, but not as it is written."""
        t, options = self._follower.timeline, self._options.recording
        if not options.export_video:
            return []
        names = {person.name for person in t.presences} if options.names else set()
        texts = [text for text in (*sorted(names), t.room_name, t.course_title) if faces.lacking(text)]
        if not texts:
            return []
        shown = ", ".join(f"“{text}”" for text in texts[:3]) + (" and others" if len(texts) > 3 else "")
        return [f"no typeface of the server has all letters of {shown}: install {faces.PACKAGES}"]

    def _ready(self, tick: int) -> bool:
        """Whether there is a picture ``tick``; waits until the journal says so."""
        self._follower.reach(tick * 1_000_000 // self._fps + SOUND_AHEAD_US)
        timeline = self._follower.timeline
        if timeline is not self._seen:
            self._seen = timeline
            self._sources.update(timeline)
            self._scene.update(timeline)
        return not self._follower.final or tick < self._total_frames

    @property
    def _total_frames(self) -> int:
        return max(MIN_FRAMES, round(self._follower.timeline.duration * self._fps / 1_000_000))

    def _position(self, rec: int) -> tuple[int, int]:
        at = self._sources.needed_from(self._wall(max(0, rec - MIXED_BEFORE_US - 1_500_000)))
        return at.file, at.offset

    def _pictures(self, writer: PartWriter, number: int, thumbnail: Path) -> tuple[int, bool]:
        """All pictures of a part, each after the sound that is heard with it: (how many, whether any camera was seen)."""
        for pcm in self._recent if number else ():
            writer.sound(pcm)
        self._sounded = 0
        seen = False
        for count in range(self._per_part):
            tick = number * self._per_part + count
            ready = self._ready(tick)
            writer.samples = self._own_samples(number)
            if not ready:
                return count, seen
            while self._next_sound(number) * self._fps <= tick * SAMPLE_RATE and self._sounded < PART_BLOCKS:
                self._sound(writer)
            rec = tick * 1_000_000 // self._fps
            wall = self._wall(rec)
            if self._options.recording.export_video:
                self._sources.advance(wall)
                self._scene.paint(wall, rec, self._sources.video, self._voices(wall))
                writer.picture(self._scene.frame, count)
                pictured = self._scene.has_picture
                if count == 0 or (pictured and (not seen or count == self._per_part // 3)):
                    _save_thumbnail(self._scene.frame, thumbnail)
                seen = seen or pictured
            if count % self._fps == 0:
                self._sources.tidy(wall)
                self._tell(rec)
        return self._per_part, seen

    def _next_sound(self, number: int) -> int:
        """The sample at which the next block of sound begins."""
        return (number * PART_BLOCKS + self._sounded) * BLOCK

    def _rest_of_sound(self, writer: PartWriter) -> None:
        """What sound the part lacks, and what follows it."""
        while self._sounded * BLOCK < writer.samples:
            self._sound(writer)
        if writer.samples == PART_SAMPLES:
            after = self._mixer.block()
            writer.sound(after)
            self._ahead.append(after)

    def _sound(self, writer: PartWriter) -> None:
        pcm = self._ahead.popleft() if self._ahead else self._mixer.block()
        self._recent.append(pcm)
        self._sounded += 1
        writer.sound(pcm)

    def _own_samples(self, number: int) -> int:
        """Length of a part's sound as far as is known now."""
        if not self._follower.final:
            return PART_SAMPLES
        total = max(LEAST_SAMPLES, self._follower.timeline.duration * SAMPLE_RATE // 1_000_000)
        return max(0, min(PART_SAMPLES, total - number * PART_SAMPLES))

    def _voices(self, wall: int) -> Voices:
        sending = frozenset(
            t.segment.person_id
            for t in self._sources.audio.values()
            if t.segment.source == "mic" and t.segment.start <= wall < t.segment.end
        )
        floor = self._mixer.floor
        return Voices(sending, floor.active, floor.featured)


def _save_thumbnail(frame: av.VideoFrame, path: Path) -> None:
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    image.thumbnail((640, 640))
    image.save(path, "JPEG", quality=80)
