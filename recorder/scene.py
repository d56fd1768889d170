"""One tick's picture: who is shown where, painted into reused planes; only what changed is painted again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from foundation.zone import day_and_time
from recorder import cards
from recorder.cards import Bitmap, Canvas, Plane
from recorder.layout import Rect, arrange, fitting
from recorder.options import CompositeOptions
from recorder.overlays import TITLE_US, Overlays
from recorder.sources import VideoTrack
from recorder.timeline import Presence, Timeline

CAMERA_HOLD_US: Final = 3_000_000
"""A camera that has sent nothing for so long is treated as off: its card is shown."""
STALE_US: Final = 1_200_000
"""A camera that has sent nothing for so long is shown dimmed."""
EDGE: Final = 8
BORDER: Final = 4
LEAST_TAGGED: Final = 60
"""Pixels a side; smaller tiles have no name."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What one rectangle shows. ``segment`` None: the initials card of the person."""

    rect: Rect
    kind: Literal["camera", "screen", "more"]
    person_id: str
    name: str
    muted: bool
    segment: int | None
    count: int = 0
    speaking: bool = False
    dim: bool = False
    """The picture is old: the connection is being restored."""


@dataclass(frozen=True, slots=True)
class Voices:
    """``sending``: whose microphone sends now; ``active`` and ``featured``: see recorder.floor."""

    sending: frozenset[str]
    active: str | None = None
    featured: str | None = None


class _Fitter:
    """Scales one segment's pictures to one rectangle; the scaler is kept, for it is dear to make."""

    def __init__(self, tile: Tile) -> None:
        self._rect = tile.rect
        self._may_crop = tile.kind == "camera"
        self._scaler = VideoReformatter()
        self._fitting = fitting(0, 0, tile.rect, False)
        self._shape = (0, 0)

    def place(self, frame: av.VideoFrame, canvas: Canvas, background: Bitmap, dim: bool) -> None:
        shape = (frame.width, frame.height)
        if shape != self._shape:
            self._shape, self._fitting = shape, fitting(*shape, self._rect, self._may_crop)
            canvas.paste(background, self._rect.x, self._rect.y)
        f = self._fitting
        scaled = self._scaler.reformat(
            frame,
            width=f.width,
            height=f.height,
            format="yuv420p",
            interpolation=Interpolation.BILINEAR,
            threads=1,
        )
        bitmap = Bitmap(*planes(scaled)).part(f.crop_x, f.crop_y, f.inner.width, f.inner.height)
        canvas.paste(cards.dimmed(bitmap) if dim else bitmap, f.inner.x, f.inner.y)


def planes(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """The three planes of a yuv420p frame as arrays on its own memory."""
    y, u, v = (
        np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[
            : plane.height, : plane.width
        ]
        for plane in frame.planes
    )
    return y, u, v


class Scene:
    """The picture, tick after tick. ``frame`` is reused: encode it before the next ``paint``."""

    def __init__(self, timeline: Timeline, options: CompositeOptions, overlays: Overlays) -> None:
        self._options = options.recording
        self._fixed = options.fixed_layout
        self._width, self._height = options.recording.width, options.recording.height
        self._overlays = overlays
        self._time_zone = options.time_zone
        self.frame = av.VideoFrame(self._width, self._height, "yuv420p")
        self._canvas = Canvas(*planes(self.frame))
        self._blank = cards.plain(self._width, self._height, cards.BACKGROUND)
        self._tiles: tuple[Tile, ...] | None = None
        self._fitters: dict[tuple[int, Rect], _Fitter] = {}
        self._versions: dict[tuple[int, Rect], int] = {}
        self._people: list[Presence] = []
        self._seen_cameras: set[str] = set()
        self._layout: str = options.recording.layout
        self._until = 0
        self.has_picture = False
        """Whether any camera or screen is in the picture now."""
        self.update(timeline)

    def update(self, timeline: Timeline) -> None:
        """The journal has grown."""
        self._timeline = timeline
        self._edges = sorted(
            {p.start for p in timeline.presences}
            | {p.end for p in timeline.presences}
            | {at for at, _ in timeline.layouts}
            | {timeline.stop}
        )
        self._until = 0

    def paint(self, wall: int, rec: int, video: Mapping[int, VideoTrack], voices: Voices) -> None:
        """Bring the picture to ``wall``, which is ``rec`` in the file."""
        self._overlays.lift(self._canvas)
        if self._options.title_card and rec < TITLE_US:
            self._title()
            return
        if wall >= self._until:
            self._look(wall)
        tiles = self._arrange(wall, video, voices)
        if tiles != self._tiles:
            self._repaint(tiles)
        for tile in tiles:
            if tile.segment is not None:
                self._show(tile, video[tile.segment])
        self._overlays.lay(self._canvas, wall)

    def _title(self) -> None:
        t = self._timeline
        date = day_and_time(datetime.fromtimestamp(t.start / 1e6, UTC), self._time_zone)
        course = t.course_title or t.title
        self._canvas.fill(cards.title_card(course, t.room_name, date, self._width, self._height))
        self._tiles = None

    def _look(self, wall: int) -> None:
        """Who is there, and which layout was asked for, until the next change."""
        t = self._timeline
        self._people = t.present(wall)
        self._until = next((edge for edge in self._edges if edge > wall), t.stop + 1)
        if not self._fixed:
            asked = [layout for at, layout in t.layouts if at <= wall]
            self._layout = asked[-1] if asked else self._options.layout

    # -- who stands where --------------------------------------------------------------------------------------

    def _arrange(self, wall: int, video: Mapping[int, VideoTrack], voices: Voices) -> tuple[Tile, ...]:
        cameras: dict[str, VideoTrack] = {}
        shares: list[tuple[Presence, VideoTrack]] = []
        here = {p.person_id: p for p in self._people}
        for track in video.values():
            person = here.get(track.segment.person_id)
            if person is None or track.frame is None or not _is_fresh(track, wall):
                continue
            if track.segment.source == "screen" and not person.screen_off:
                shares.append((person, track))
            elif track.segment.source == "camera" and not person.camera_off:
                known = cameras.get(person.person_id)
                if known is None or track.segment.number > known.segment.number:
                    cameras[person.person_id] = track
        self._seen_cameras |= cameras.keys()
        share = max(shares, key=lambda s: s[1].segment.number, default=None)
        featured = voices.featured if voices.featured in here else next(iter(cameras), None)
        placement = arrange(
            self._layout,
            list(here),
            share[0].person_id if share else None,
            featured,
            self._width,
            self._height,
        )
        tiles: list[Tile] = []
        if share is not None and placement.stage is not None:
            person, track = share
            name = f"{person.name} – screen" if self._options.names else ""
            number = track.segment.number
            dim = _is_broken(track, wall)
            tiles.append(Tile(placement.stage[1], "screen", person.person_id, name, False, number, dim=dim))
        crowd = len(placement.tiles) > 1 or bool(tiles)
        for key, rect in placement.tiles:
            tiles.append(self._tile(here[key], rect, cameras.get(key), wall, voices, crowd))
        if placement.more_rect is not None:
            tiles.append(Tile(placement.more_rect, "more", "", "", False, None, placement.more))
        return tuple(tiles)

    def _tile(
        self, person: Presence, rect: Rect, camera: VideoTrack | None, wall: int, voices: Voices, crowd: bool
    ) -> Tile:
        who = person.person_id
        muted = self._options.muted_mark and (person.mic_off or who not in voices.sending)
        if camera is not None:
            dim = _is_broken(camera, wall) or wall - camera.frame_wall > STALE_US
        else:
            # The camera is on, but for a while nothing has come of it: they are being connected again.
            dim = person.camera_on and who in self._seen_cameras
        number = camera.segment.number if camera is not None else None
        speaking = crowd and voices.active == who
        return Tile(rect, "camera", who, person.name, muted, number, speaking=speaking, dim=dim)

    # -- painting ----------------------------------------------------------------------------------------------

    def _repaint(self, tiles: tuple[Tile, ...]) -> None:
        self._tiles = tiles
        self._versions.clear()
        wanted = {(t.segment, t.rect) for t in tiles if t.segment is not None}
        self._fitters = {key: fitter for key, fitter in self._fitters.items() if key in wanted}
        self.has_picture = bool(wanted)
        if not tiles:
            t = self._timeline
            self._canvas.fill(
                cards.quiet_card(t.room_name or t.title, t.course_title, self._width, self._height)
            )
            return
        self._canvas.fill(self._blank)
        for tile in tiles:
            rect = tile.rect
            if tile.speaking:
                self._border(rect)
            if tile.kind == "more":
                self._canvas.paste(cards.more_card(tile.count, rect.width, rect.height), rect.x, rect.y)
            elif tile.segment is None:
                card = cards.initials_card(tile.name, tile.person_id, rect.width, rect.height)
                self._canvas.paste(cards.dimmed(card) if tile.dim else card, rect.x, rect.y)
                self._tag(tile)
            else:
                background = cards.plain(rect.width, rect.height, cards.CARD)
                self._canvas.paste(background, rect.x, rect.y)

    def _border(self, rect: Rect) -> None:
        """A frame in the gap around the tile, so that no picture is painted over it."""
        x, y = max(0, rect.x - BORDER), max(0, rect.y - BORDER)
        w = min(self._width, rect.right + BORDER) - x
        h = min(self._height, rect.bottom + BORDER) - y
        self._canvas.paste(cards.plain(w, h, cards.SPEAKING), x, y)

    def _show(self, tile: Tile, track: VideoTrack) -> None:
        assert tile.segment is not None and track.frame is not None
        key = (tile.segment, tile.rect)
        if self._versions.get(key) == track.version:
            return
        self._versions[key] = track.version
        fitter = self._fitters.get(key)
        if fitter is None:
            fitter = self._fitters[key] = _Fitter(tile)
        background = cards.plain(tile.rect.width, tile.rect.height, cards.CARD)
        fitter.place(track.frame, self._canvas, background, tile.dim)
        self._tag(tile)

    def _tag(self, tile: Tile) -> None:
        name = tile.name if self._options.names else ""
        rect = tile.rect
        if not (name or tile.muted) or rect.height < LEAST_TAGGED or rect.width < LEAST_TAGGED:
            return
        tag = cards.name_tag(name, tile.muted, rect)
        x = min(rect.x + EDGE, rect.right - tag.width)
        self._canvas.paste(tag, x, rect.bottom - tag.height - EDGE)


def _is_broken(track: VideoTrack, wall: int) -> bool:
    """Whether the picture waits for a keyframe after a loss: the last good one is shown, dimmed."""
    spans = track.segment.broken
    index = bisect_right(spans, wall, key=lambda span: span.start) - 1
    return index >= 0 and wall < spans[index].end


def _is_fresh(track: VideoTrack, wall: int) -> bool:
    segment = track.segment
    if not segment.start <= wall or wall >= segment.end:
        return False
    return segment.source == "screen" or wall - track.frame_wall <= CAMERA_HOLD_US
