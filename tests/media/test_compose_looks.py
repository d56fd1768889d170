"""What stands in the film: layouts, cards, borders, overlays, sizes and formats. Every test opens the file."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from foundation.zone import day_and_time, local, said
from models.recording import options_from_json
from recorder import cards, faces
from recorder.compose import compose
from recorder.layout import Rect, arrange, grid, speaker, stage
from recorder.options import CompositeOptions, from_json, to_json
from tests.media import composekit
from tests.media.composekit import HandJournal, colour_at, frames, is_near, loudness, similarity, tiny, yuv
from tests.media.test_compose_trailing import tone

pytestmark = pytest.mark.media
RED, GREEN, BLUE, WHITE = (80, 90, 200), (140, 80, 60), (70, 200, 100), (220, 128, 128)
SIZE = (320, 180)
SMALL = {"width": SIZE[0], "height": SIZE[1]}


def film(folder: Path, journal: HandJournal, end: float, **options: Any) -> Path:
    result = compose(journal.close(end), folder / "out", tiny(**{**SMALL, **options}))
    return folder / "out" / result.path


def centre(rect: Rect) -> tuple[int, int]:
    return rect.x + rect.width // 2, rect.y + rect.height // 2


def test_a_share_takes_the_stage_and_layouts_change_while_recording(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    for at, who, colour in ((0, "ann", RED), (0, "bob", GREEN), (0, "cid", BLUE)):
        j.person(who, at, screen=who == "bob")
        j.camera(who, 0, 8, colour)
    j.mic("bob", 0, 8)
    j.camera("bob", 2, 4, WHITE, size=(64, 36), source="screen")
    j.note("layout", 5, layout="speaker")
    path = film(tmp_path, j, 8)
    people = ["ann", "bob", "cid"]
    plain, shared = yuv(path, 1.5), yuv(path, 3.5)
    for (_, rect), colour in zip(grid(people, *SIZE).tiles, (RED, GREEN, BLUE), strict=True):
        assert is_near(colour_at(plain, *centre(rect)), colour)
    placed = stage("bob", people, *SIZE)
    assert placed.stage is not None
    assert is_near(colour_at(shared, *centre(placed.stage[1])), WHITE)
    assert is_near(colour_at(shared, *centre(placed.tiles[2][1])), BLUE)
    # A wide screen on the stage stands between bars: it is never cut.
    assert not is_near(colour_at(shared, placed.stage[1].width // 2, 2), WHITE)
    assert is_near(colour_at(yuv(path, 4.8), *centre(grid(people, *SIZE).tiles[2][1])), BLUE)
    large = speaker(["ann", "bob", "cid"], *SIZE).tiles[0][1]
    assert is_near(colour_at(yuv(path, 5.5), *centre(large)), RED)


def test_who_speaks_has_a_border_and_is_shown_large_after_two_seconds(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    for who, colour in (("ann", RED), ("bob", GREEN)):
        j.person(who, 0)
        j.camera(who, 0, 8, colour)
    number = j.segment("bob", "mic", 0, 8)
    for n in range(50, 400):
        j.frame(number, n * 0.02, n * 960, tone()[n])
    folder = j.close(8)
    plain = compose(folder, tmp_path / "grid", tiny(**SMALL))
    tile = grid(["ann", "bob"], *SIZE).tiles[1][1]
    border = cards.plain(2, 2, cards.SPEAKING)
    wanted = (int(border.y[0, 0]), int(border.u[0, 0]), int(border.v[0, 0]))
    path = tmp_path / "grid" / plain.path
    edge = (tile.x + tile.width // 2, tile.y - 2)
    assert is_near(colour_at(yuv(path, 4), *edge), wanted, 30)
    assert not is_near(colour_at(yuv(path, 0.5), *edge), wanted, 30)
    large = compose(folder, tmp_path / "speaker", tiny(**SMALL, layout="speaker"))
    main = speaker(["ann", "bob"], *SIZE).tiles[0][1]
    path = tmp_path / "speaker" / large.path
    # Bob speaks from the first second on: he is large after two seconds of it, not before.
    assert is_near(colour_at(yuv(path, 2.0), *centre(main)), RED)
    assert is_near(colour_at(yuv(path, 4.5), *centre(main)), GREEN)


def test_old_and_broken_pictures_are_dimmed_and_give_way_to_initials(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    for who in ("ann", "bob"):
        j.person(who, 0)
    j.camera("ann", 0, 9, WHITE, silent_from=2)
    number = j.camera("bob", 0, 9, WHITE)
    j.note("broken", 5, n=number, since=1_800_000_000_000_000 + 3_000_000)
    path = film(tmp_path, j, 9)
    ann, bob = (centre(rect) for _, rect in grid(["ann", "bob"], *SIZE).tiles)
    assert colour_at(yuv(path, 1.5), *ann)[0] > 200 and colour_at(yuv(path, 2.5), *bob)[0] > 200
    assert colour_at(yuv(path, 4.0), *bob)[0] < 130, "a picture that waits for a keyframe is dimmed"
    assert colour_at(yuv(path, 6.0), *bob)[0] > 200
    assert colour_at(yuv(path, 4.0), *ann)[0] < 130, "a picture that stands still is dimmed"
    rect = grid(["ann", "bob"], *SIZE).tiles[0][1]
    tile = yuv(path, 8.0)[0][rect.y : rect.bottom - 30, rect.x : rect.right]
    assert (tile > 95).sum() > 10 and tile.max() < 130, (
        "no dimmed initials in Ann's tile: she is being connected again"
    )


def test_cameras_fill_their_tile_when_little_is_lost_and_stand_between_bars_else(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    for who, size in (("ann", (64, 40)), ("bob", (64, 48)), ("cid", (36, 64))):
        j.person(who, 0)
        j.camera(who, 0, 3, WHITE, size=size)
    picture = yuv(film(tmp_path, j, 3), 2)
    ann, bob, cid = (rect for _, rect in grid(["ann", "bob", "cid"], *SIZE).tiles)
    assert colour_at(picture, ann.x + 2, ann.y + ann.height // 2)[0] > 200  # 16:10 loses a tenth
    assert colour_at(picture, bob.x + 2, bob.y + bob.height // 2)[0] < 100  # 4:3 would lose a quarter
    assert colour_at(picture, cid.x + cid.width // 2, cid.y + 2)[0] > 200
    assert colour_at(picture, cid.x + 10, cid.y + cid.height // 2)[0] < 100  # upright


def test_title_card_clock_watermark_and_nothing_of_it_when_not_wanted(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    j.person("ann", 0, camera=True)
    j.camera("ann", 0, 5, RED)
    folder = j.close(5)
    logo = tmp_path / "logo.png"
    Image.new("RGBA", (40, 20), (255, 255, 255, 255)).save(logo)
    options = tiny(
        **SMALL,
        title_card=True,
        clock=True,
        watermark={"url": "https://x.test/a.png", "width": 40, "height": 20, "position": "right bottom"},
    )
    options = replace(options, watermark_file=str(logo))
    result = compose(folder, tmp_path / "all", options)
    path = tmp_path / "all" / result.path
    assert not is_near(colour_at(yuv(path, 1.0), 100, 100), RED), "no title card"
    later = yuv(path, 3.0)
    assert is_near(colour_at(later, 100, 100), RED)
    assert colour_at(later, SIZE[0] - 16 - 20, SIZE[1] - 16 - 10)[0] > 220, "no watermark"
    assert not is_near(colour_at(later, SIZE[0] // 2, 12), RED), "no clock"
    plain = compose(folder, tmp_path / "plain", tiny(**SMALL, names=False, muted_mark=False))
    bare = yuv(tmp_path / "plain" / plain.path, 1.0)
    for place in ((100, 100), (SIZE[0] - 36, SIZE[1] - 26), (SIZE[0] // 2, 12), (14, SIZE[1] - 14)):
        assert is_near(colour_at(bare, *place), RED), place
    named = compose(folder, tmp_path / "named", tiny(**SMALL))
    assert not is_near(colour_at(yuv(tmp_path / "named" / named.path, 1.0), 12, SIZE[1] - 16), RED)


def apart(picture: Any, card: Any) -> float:
    """How far a card is from where it fits best in a picture: mean difference of luma."""
    windows = np.lib.stride_tricks.sliding_window_view(picture.astype(np.int16), card.shape)
    return float(min(np.abs(row - card.astype(np.int16)).mean(axis=(1, 2)).min() for row in windows))


def test_the_film_of_an_evening_class_bears_that_evening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half past six in Los Angeles is half past two of the next day in UTC: title card and clock say what the class read."""
    evening = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)
    monkeypatch.setattr(composekit, "T0", round(evening.timestamp() * 1e6))
    j = HandJournal(tmp_path / "j")
    j.person("ann", 0, camera=True)
    j.camera("ann", 0, 5, RED)
    options = replace(tiny(**SMALL, title_card=True, clock=True), time_zone="America/Los_Angeles")
    path = tmp_path / "out" / compose(j.close(5), tmp_path / "out", options).path
    title, later = yuv(path, 1.0)[0], yuv(path, 3.0)[0]

    def differs(zone: str) -> tuple[float, float]:
        card = cards.title_card("Biology", "Room 1", day_and_time(evening, zone), *SIZE).y
        bar = cards.clock(f"{local(evening + timedelta(seconds=3), zone):%H:%M:%S}{said(zone)}", SIZE[1]).y
        date = slice(100, 120)
        return float(np.abs(title[date].astype(np.int16) - card[date].astype(np.int16)).mean()), apart(
            later[:40], bar
        )

    (date, clock), *others = map(differs, ("America/Los_Angeles", "", "Asia/Tokyo"))
    assert date < 3 and clock < 8
    assert all(date < 0.5 * other_date and clock < 0.7 * other_clock for other_date, other_clock in others)


def test_an_unusable_watermark_is_a_warning(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    (tmp_path / "logo.png").write_bytes(b"no picture")
    options = replace(
        tiny(watermark={"url": "https://x.test/a.png"}), watermark_file=str(tmp_path / "logo.png")
    )
    result = compose(j.close(1), tmp_path / "out", options)
    assert any("watermark" in warning for warning in result.warnings)


@pytest.mark.parametrize("size", [(64, 64), (90, 160), (1080, 1920), (1920, 1080)])
@pytest.mark.parametrize("layout", ["grid", "speaker", "stage"])
def test_every_size_and_layout_holds_any_number_of_people(size: tuple[int, int], layout: str) -> None:
    for count in (1, 2, 3, 5, 9, 10, 25):
        for share in (None, "p0"):
            placed = arrange(layout, [f"p{n}" for n in range(count)], share, "p1", *size)
            rects = [r for _, r in placed.tiles]
            rects += [r for r in (placed.more_rect, placed.stage[1] if placed.stage else None) if r]
            assert len(placed.tiles) + placed.more == count
            for n, rect in enumerate(rects):
                assert rect.width >= 2 and rect.height >= 2 and rect.x >= 0 and rect.y >= 0
                assert rect.right <= size[0] and rect.bottom <= size[1]
                assert not any(value % 2 for value in (rect.x, rect.y, rect.width, rect.height))
                for other in rects[:n]:
                    apart = rect.x >= other.right or other.x >= rect.right
                    assert apart or rect.y >= other.bottom or other.y >= rect.bottom


@pytest.mark.parametrize(
    "options",
    [
        {"width": 90, "height": 160, "fps": 25},
        {"width": 160, "height": 90, "fps": 30, "audio_channels": 1},
        {"width": 160, "height": 90, "video_codec": "VP8"},
    ],
)
def test_sizes_rates_and_formats(tmp_path: Path, options: dict[str, Any]) -> None:
    j = HandJournal(tmp_path / "j")
    j.person("ann", 0)
    j.camera("ann", 0, 4, RED)
    j.mic("ann", 0, 4)
    result = compose(j.close(4), tmp_path / "out", tiny(**options))
    path = tmp_path / "out" / result.path
    assert result.warnings == []
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == (options["width"], options["height"])
        assert audio.codec_context.channels == options.get("audio_channels", 2)
    assert frames(path) == 4 * options.get("fps", 24)


@pytest.mark.parametrize("codec", ["AAC", "MP3"])
def test_sound_alone(tmp_path: Path, codec: str) -> None:
    j = HandJournal(tmp_path / "j")
    j.person("ann", 0)
    j.mic("ann", 0, 4)
    j.note("pause", 1.5)
    j.note("resume", 2.5)
    result = compose(j.close(4), tmp_path / "out", tiny(export_video=False, audio_codec=codec))
    assert result.path == ("recording.m4a" if codec == "AAC" else "recording.mp3")
    assert result.video_codec == "" and abs(result.duration_s - 3) < 0.1 and result.thumbnail == ""
    path = tmp_path / "out" / result.path
    assert loudness(path, 0.9, 1.3) > 0.05 and loudness(path, 0.4, 0.9) < 0.01


def test_a_pause_is_neither_heard_nor_counted(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    j.person("ann", 0)
    j.mic("ann", 0, 6)
    j.note("pause", 2.5)
    j.note("resume", 4.5)
    path = film(tmp_path, j, 6)
    assert frames(path) == 4 * 24
    # Beeps of seconds 0, 1, 2, 5 remain: the last one at 3 s of the film.
    assert loudness(path, 2.3, 2.95) < 0.01 < loudness(path, 3.0, 3.15)


def test_a_bad_track_never_fails_the_whole(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    j.person("ann", 0)
    j.camera("ann", 0, 4, RED)
    bad = j.segment("bob", "camera", 0, 4)
    j.person("bob", 0)
    for n in range(20):
        j.frame(bad, n / 10, n * 9_000, bytes(range(40)))
    j.note("segment", 1, n=99, person_id="cid", source="camera", codec="av1", clock_rate=90_000)
    j.note("mark", 1, n=99, rtp=0)
    j.frame(99, 1.5, 135_000, b"nothing that is known")
    j.note("segment", 1, n=98, person_id="cid")
    j.note("sr", 1)
    result = compose(j.close(4), tmp_path / "out", tiny(**SMALL))
    assert result.warnings, "nobody is told of the bad tracks"
    path = tmp_path / "out" / result.path
    assert frames(path) == 4 * 24
    assert is_near(colour_at(yuv(path, 3), *centre(grid(["ann", "bob"], *SIZE).tiles[0][1])), RED)


def test_a_frame_with_a_spoilt_time_holds_up_nothing_behind_it(tmp_path: Path) -> None:
    j = HandJournal(tmp_path / "j")
    j.person("ann", 0)
    number = j.camera("ann", 0, 6, RED)
    j.frame(number, 1.05, 1 << 40, b"spoilt")
    result = compose(j.close(6), tmp_path / "out", tiny(**SMALL))
    assert is_near(colour_at(yuv(tmp_path / "out" / result.path, 5.5), SIZE[0] // 2, SIZE[1] // 2), RED)
    assert any("spoilt" in warning for warning in result.warnings)


def test_a_name_that_no_face_can_draw_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "installed", lambda: ())
    j = HandJournal(tmp_path / "j")
    j.person("zoe", 0, "Zoë Ünver")
    j.person("ann", 0)
    result = compose(j.close(1), tmp_path / "out", tiny(**SMALL))
    [told] = [warning for warning in result.warnings if "typeface" in warning]
    assert "“Zoë Ünver”" in told and "Ann" not in told and "fonts-noto-core" in told


span = st.tuples(st.integers(0, 50), st.integers(1, 30)).map(lambda s: (s[0] / 10, (s[0] + s[1]) / 10))
person = st.tuples(
    st.sampled_from(["ann", "bob", "cid", "dan"]), span, st.sampled_from(["mic", "camera", "screen"])
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(person, max_size=8),
    st.lists(st.integers(1, 79), max_size=6, unique=True).map(sorted),
    st.sampled_from(["grid", "speaker", "stage"]),
    st.sampled_from([24, 25, 30]),
    st.integers(1, 80),
)
def test_any_journal_gives_exactly_its_frames(
    tmp_path_factory: pytest.TempPathFactory,
    people: list[tuple[str, tuple[float, float], str]],
    edges: list[int],
    layout: str,
    fps: int,
    end: int,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    j = HandJournal(folder / "j")
    for who, (start, stop), source in people:
        j.person(who, start, screen=source == "screen")
        if source == "mic":
            j.mic(who, start, stop)
        else:
            j.camera(who, start, stop, GREEN, size=(32, 32), source=source)
        j.note("left", stop, person_id=who)
    paused = 0
    edges = [edge for edge in edges if edge < end]
    for number, edge in enumerate(edges):
        j.note("resume" if number % 2 else "pause", edge / 10)
        if number % 2:
            paused += edge - edges[number - 1]
    if len(edges) % 2:
        paused += end - edges[-1]
    result = compose(j.close(end / 10), folder / "out", tiny(width=64, height=64, fps=fps, layout=layout))
    assert frames(folder / "out" / result.path) == max(2, round((end - paused) * 100_000 * fps / 1_000_000))


def test_the_film_looks_as_it_should(tmp_path: Path) -> None:
    """Golden picture, painted here by hand: four people, one camera off, at SSIM 0.95 or better."""
    j = HandJournal(tmp_path / "j")
    colours = {"ann": RED, "bob": GREEN, "cid": BLUE}
    for who in ("ann", "bob", "cid", "dan"):
        j.person(who, 0, camera=who != "dan")
        if who in colours:
            j.camera(who, 0, 3, colours[who], size=(160, 90))
    path = film(tmp_path, j, 3, names=False, muted_mark=False)
    background = cards.plain(*SIZE, cards.BACKGROUND)
    wanted = background.y.copy()
    for who, rect in grid(["ann", "bob", "cid", "dan"], *SIZE).tiles:
        inside = (slice(rect.y, rect.bottom), slice(rect.x, rect.right))
        if who in colours:
            wanted[inside] = colours[who][0]
        else:
            wanted[inside] = cards.initials_card("Dan", "dan", rect.width, rect.height).y
    assert frames(path) == 3 * 24
    for at in (0.5, 1.5, 2.5):
        assert similarity(yuv(path, at)[0], wanted) >= 0.95
    with pytest.raises(AssertionError):
        assert similarity(np.roll(wanted, 20, axis=1), wanted) >= 0.95


def test_options_travel_as_json() -> None:
    options = CompositeOptions(
        options_from_json({"layout": "speaker", "watermark": {"url": "https://x.test/a.png"}}), crf=30
    )
    assert from_json(json.loads(json.dumps(to_json(options)))) == options
    assert options.key == from_json(to_json(options)).key != CompositeOptions().key
