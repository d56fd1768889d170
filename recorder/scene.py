"""One tick's picture: who is shown where, painted into reused planes; only what changed is painted again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from recorder import cards
from recorder.cards import Bitmap, Canvas, Plane
from recorder.layout import Placement, Rect, fit, grid, stage
from recorder.sources import VideoTrack
from recorder.timeline import Presence, Timeline

CAMERA_HOLD_US: Final = 3_000_000
"""A camera that has sent nothing for so long is treated as off: its card is shown."""
EDGE: Final = 8


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


class _Fitter:
    """Scales one segment's pictures to one rectangle; the scaler is kept, for it is dear to make."""

    def __init__(self, rect: Rect) -> None:
        self.rect = rect
        self._scaler = VideoReformatter()
        self._inner: Rect | None = None
        self._shape = (0, 0)

    def place(self, frame: av.VideoFrame, canvas: Canvas, background: Bitmap) -> None:
        shape = (frame.width, frame.height)
        if shape != self._shape:
            self._shape, self._inner = shape, fit(*shape, self.rect)
            canvas.paste(background, self.rect.x, self.rect.y)
        inner = self._inner
        assert inner is not None
        scaled = self._scaler.reformat(
            frame,
            width=inner.width,
            height=inner.height,
            format="yuv420p",
            interpolation=Interpolation.BILINEAR,
            threads=1,
        )
        canvas.paste(Bitmap(*planes(scaled)), inner.x, inner.y)


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

    def __init__(self, timeline: Timeline, width: int, height: int) -> None:
        self._timeline = timeline
        self._width, self._height = width, height
        self.frame = av.VideoFrame(width, height, "yuv420p")
        self._canvas = Canvas(*planes(self.frame))
        self._blank = cards.plain(width, height, cards.BACKGROUND)
        self._tiles: tuple[Tile, ...] | None = None
        self._fitters: dict[tuple[int, Rect], _Fitter] = {}
        self._versions: dict[tuple[int, Rect], int] = {}
        self._people: list[Presence] = []
        self._until = 0
        self._edges = sorted(
            {p.start for p in timeline.presences} | {p.end for p in timeline.presences} | {timeline.stop}
        )
        self.has_picture = False
        """Whether any camera or screen is in the picture now."""

    def paint(self, wall: int, video: Mapping[int, VideoTrack], talking: Callable[[str], bool]) -> None:
        """Bring the picture to ``wall``. ``talking(person_id)``: their microphone sends now."""
        if wall >= self._until or not self._people:
            self._people = self._timeline.present(wall)
            self._until = next((edge for edge in self._edges if edge > wall), self._timeline.stop + 1)
        tiles = self._arrange(wall, video, talking)
        if tiles != self._tiles:
            self._repaint(tiles)
        for tile in tiles:
            if tile.segment is not None:
                self._show(tile, video[tile.segment])

    # -- who stands where --------------------------------------------------------------------------------------

    def _arrange(
        self, wall: int, video: Mapping[int, VideoTrack], talking: Callable[[str], bool]
    ) -> tuple[Tile, ...]:
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
        share = max(shares, key=lambda s: s[1].segment.number, default=None)
        placement = self._place(share[0] if share else None, list(here))
        tiles: list[Tile] = []
        if share is not None and placement.stage is not None:
            person, track = share
            tiles.append(
                Tile(
                    placement.stage[1],
                    "screen",
                    person.person_id,
                    f"{person.name} – screen",
                    False,
                    track.segment.number,
                )
            )
        for key, rect in placement.tiles:
            person = here[key]
            camera = cameras.get(key)
            muted = person.mic_off or not talking(key)
            number = camera.segment.number if camera is not None else None
            tiles.append(Tile(rect, "camera", key, person.name, muted, number))
        if placement.more_rect is not None:
            tiles.append(Tile(placement.more_rect, "more", "", "", False, None, placement.more))
        return tuple(tiles)

    def _place(self, sharer: Presence | None, keys: Sequence[str]) -> Placement:
        if sharer is None:
            return grid(keys, self._width, self._height)
        return stage(sharer.person_id, keys, self._width, self._height)

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
            if tile.kind == "more":
                self._canvas.paste(cards.more_card(tile.count, rect.width, rect.height), rect.x, rect.y)
            elif tile.segment is None:
                card = cards.initials_card(tile.name, tile.person_id, rect.width, rect.height)
                self._canvas.paste(card, rect.x, rect.y)
                self._tag(tile)

    def _show(self, tile: Tile, track: VideoTrack) -> None:
        assert tile.segment is not None and track.frame is not None
        key = (tile.segment, tile.rect)
        if self._versions.get(key) == track.version:
            return
        self._versions[key] = track.version
        fitter = self._fitters.get(key)
        if fitter is None:
            fitter = self._fitters[key] = _Fitter(tile.rect)
        background = cards.plain(tile.rect.width, tile.rect.height, cards.CARD)
        fitter.place(track.frame, self._canvas, background)
        self._tag(tile)

    def _tag(self, tile: Tile) -> None:
        if not tile.name:
            return
        rect = tile.rect
        tag = cards.name_tag(tile.name, tile.muted, rect)
        x = min(rect.x + EDGE, rect.right - tag.width)
        self._canvas.paste(tag, x, rect.bottom - tag.height - EDGE)


def _is_fresh(track: VideoTrack, wall: int) -> bool:
    segment = track.segment
    if not segment.start <= wall or wall >= segment.end:
        return False
    return segment.source == "screen" or wall - track.frame_wall <= CAMERA_HOLD_US
