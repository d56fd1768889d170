"""Separate tracks, sound alone, chapters and the quality report: made from journals, opened and measured."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from recorder import audio_only, byproducts, quality
from recorder.journal import read_manifest, read_records
from recorder.quality import Expected
from recorder.timeline import build
from recorder.tracks import TrackFile, copy_tracks, opus_samples
from tests.media.beepflash import opus, rtp, vp8
from tests.media.capturekit import Session, person, us

pytestmark = pytest.mark.media
ALICE = person("alice", "mic", "camera")
BOB = person("bob", "mic", "camera")


def copied(session: Session, out: Path, **wanted: object) -> dict[tuple[str, str], TrackFile]:
    out.mkdir(exist_ok=True)
    timeline = build(read_manifest(session.folder))
    files = copy_tracks(timeline, read_records(session.folder), out, **wanted)  # type: ignore[arg-type]
    return {(file.person_id, file.source): file for file in files}


def sound(path: Path) -> NDArray[np.float32]:
    """All samples that a player without any regard to time stamps would play; mono."""
    with av.open(str(path)) as container:
        pieces = [f.to_ndarray().reshape(-1, f.samples).mean(axis=0) for f in container.decode(audio=0)]
    return np.concatenate(pieces).astype(np.float32)


def beeps(pcm: NDArray[np.float32]) -> list[float]:
    """Seconds at which it begins to sound after silence."""
    loud = np.flatnonzero(np.abs(pcm) > 0.1)
    return [float(loud[n]) / 48_000 for n in range(len(loud)) if n == 0 or loud[n] - loud[n - 1] > 9_600]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux() if p.size]


def test_sound_is_copied_in_its_place_through_holes_pauses_and_wraps(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE, BOB)
    session.track(1, "alice", "mic")
    session.track(2, "bob", "mic")
    session.play(1, 0, 0.0, 3.0)
    session.play(1, 0, 5.0, 6.0)  # two seconds of DTX
    session.play(2, 1, 7.0, 8.0)  # came late
    session.capture.pause(us(8.5))
    session.capture.resume(us(18.5))
    session.play(1, 0, 19.0, 21.0)
    session.stop(22.0)
    files = copied(session, tmp_path / "out", prefix="lesson")
    alice, bob = files["alice", "mic"], files["bob", "mic"]
    assert alice.name == f"lesson_alice_peer-alice_peer_audio_{us(0) // 1000}.webm"
    for track, wanted in ((alice, [0, 1, 2, 5, 9, 10]), (bob, [7])):
        pcm = sound(tmp_path / "out" / track.name)
        assert abs(len(pcm) / 48_000 - 12.0) < 0.02, "as long as the recording, to the frame"
        starts = beeps(pcm)
        assert len(starts) == len(wanted)
        assert max(abs(a - b) for a, b in zip(starts, wanted, strict=True)) < 0.012, starts
    assert alice.packets == 300 and 5.5 < alice.filled_s < 6.5
    kept = [p for p in packets(tmp_path / "out" / alice.name) if p in set(opus(0, 22))]
    assert len(kept) >= 290, "the packets are those that were sent"


def test_what_was_lost_of_a_voice_is_left_to_players_to_make_up_for(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "mic")
    # Packets 51 and 52 in the middle of a beep, and half a second from packet 120 on.
    session.play(1, 0, 0.0, 5.0, lose=[51, 52, *range(120, 145)])
    session.stop(5.0)
    track = copied(session, tmp_path / "out")["alice", "mic"]
    with av.open(str(tmp_path / "out" / track.name)) as container:
        sent = [(round(p.pts * p.time_base * 1000), bytes(p)) for p in container.demux() if p.size]  # type: ignore[operator]
    empty = [at for at, data in sent if len(data) == 1]
    assert len(empty) == 2 and abs(empty[0] - 51 * 20) <= 8 and abs(empty[1] - 52 * 20) <= 8, empty
    assert abs(track.filled_s - 0.54) < 0.02
    pcm = sound(tmp_path / "out" / track.name)
    assert abs(len(pcm) / 48_000 - 5.0) < 0.02
    assert np.abs(pcm[round(2.45 * 48_000) : round(2.85 * 48_000)]).max() < 0.01, (
        "silence is longer than 100 ms"
    )


def test_pictures_are_copied_and_the_last_one_lasts_to_the_end(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "camera")
    session.play(1, 0, 2.0, 4.0)
    session.stop(9.0)
    track = copied(session, tmp_path / "out", audio=False, video=True)["alice", "camera"]
    assert track.name.startswith("default_alice_peer-alice_peer_video_") and track.name.endswith(".webm")
    with av.open(str(tmp_path / "out" / track.name)) as container:
        assert abs((container.duration or 0) / 1e6 - 9.0) < 0.05
        times = [frame.time or 0.0 for frame in container.decode(video=0)]
    assert abs(times[0] - 2.0) < 0.01 and len(times) == 30
    assert packets(tmp_path / "out" / track.name) == list(vp8(0, 5)[30:60])


def h264(frames: int) -> list[bytes]:
    """Access units in Annex B, parameter sets in the first."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 90, "yuv420p"
    encoder.time_base = Fraction(1, 15)
    encoder.options = {"tune": "zerolatency", "x264-params": "repeat-headers=1:annexb=1:slices=1"}
    made: list[bytes] = []
    for number in range(frames):
        frame = av.VideoFrame(160, 90, "yuv420p")
        frame.pts = number
        for plane in frame.planes:
            plane.update(bytes([40 + number]) * plane.buffer_size)
        made += [bytes(p) for p in encoder.encode(frame)]
    return made


def test_h264_becomes_mp4_and_a_codec_switch_gives_two_files(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE)
    session.track(1, "alice", "camera")
    session.play(1, 0, 0.0, 1.0)
    session.capture.track_removed(1, "replaced", us(1.0))
    session.track(2, "alice", "camera", codec="h264")
    sequence = 0
    for number, unit in enumerate(h264(15)):
        at = 1.0 + number / 15
        nals = [nal for nal in unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal]
        for place, nal in enumerate(nals):
            last = place == len(nals) - 1
            data = rtp(96, sequence, round(at * 90_000), 1002, last, nal)
            session.capture.packet(2, data, us(at))
            sequence += 1
    session.stop(3.0)
    out = tmp_path / "out"
    out.mkdir()
    files = copy_tracks(
        build(read_manifest(session.folder)), read_records(session.folder), out, audio=False, video=True
    )
    assert sorted(Path(f.name).suffix for f in files) == [".mp4", ".webm"]
    mp4 = next(f for f in files if f.name.endswith(".mp4"))
    with av.open(str(out / mp4.name)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 15 and abs((frames[0].time or 0.0) - 1.0) < 0.01


def test_tracks_are_made_for_the_chosen_people_and_never_for_who_declined(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE, person("bob", "mic", declined=True), person("carol", "mic"))
    for number, who in enumerate(("alice", "bob", "carol"), 1):
        session.track(number, who, "mic")
        session.play(number, 0, 0.0, 1.0)
    session.stop(2.0)
    assert set(copied(session, tmp_path / "all")) == {("alice", "mic"), ("carol", "mic")}
    assert set(copied(session, tmp_path / "one", people=["carol", "bob"])) == {("carol", "mic")}
    assert not list((tmp_path / "one").glob("*.part"))


def test_opus_lengths() -> None:
    assert {opus_samples(p) for p in opus(0, 1)} == {960}
    assert opus_samples(bytes([31 << 3 | 3, 6])) == 5760 and opus_samples(bytes([28 << 3])) == 120
    assert opus_samples(b"") == 0 and opus_samples(b"\xff") == 0


# -- beside a film -----------------------------------------------------------------------------------------------------


def film(path: Path, seconds: int, *, silent: bool = False, black: bool = False, audio: str = "aac") -> Path:
    """A film of a moving grey and a tone."""
    with av.open(str(path), "w") as container:
        is_webm = path.suffix == ".webm"
        video = container.add_stream("libvpx" if is_webm else "libx264", rate=30)
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        video.codec_context.gop_size = 30
        stream = container.add_stream(audio, rate=48_000, layout="stereo")
        for number in range(seconds * 30):
            frame = av.VideoFrame(160, 90, "yuv420p")
            luma = 16 if black else 60 + number // 30 % 2 * 60
            for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts = number
            container.mux(video.encode(frame))
        size = stream.codec_context.frame_size
        for start in range(0, seconds * 48_000, size):
            t = np.arange(start, start + size) / 48_000
            tone = np.zeros(size) if silent else np.sin(2 * np.pi * 440 * t) * 0.3
            format_name = stream.codec_context.format.name
            if format_name == "s16":
                data = np.repeat((tone * 32767).astype(np.int16), 2).reshape(1, -1)
            else:
                data = np.stack([tone, tone]).astype(np.float32)
            piece = av.AudioFrame.from_ndarray(data, format=format_name, layout="stereo")
            piece.sample_rate, piece.pts = 48_000, start
            container.mux(stream.encode(piece))
        container.mux(video.encode(None))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("source", "codec", "made"),
    [("a.mp4", "AAC", "aac"), ("a.mp4", "MP3", "mp3float"), ("a.webm", "AAC", "aac")],
)
def test_sound_alone_has_the_films_length_and_tone(
    tmp_path: Path, source: str, codec: str, made: str
) -> None:
    path = film(tmp_path / source, 4, audio="libopus" if source.endswith("webm") else "aac")
    target = tmp_path / f"alone.{audio_only.ENDING[codec]}"  # type: ignore[index]
    audio_only.extract(path, target, codec)  # type: ignore[arg-type]
    found = quality.check(target, Expected(4.0, video=False, sound=True))
    assert found.warnings == [] and found.audio_codec == made and found.channels == 2
    pcm = sound(target)[48_000:96_000]
    spectrum = np.abs(np.fft.rfft(pcm))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    if source == "a.mp4" and codec == "AAC":
        assert {*packets(target)} <= {*packets(path)}, "AAC is copied"


def test_mono_and_a_film_without_sound(tmp_path: Path) -> None:
    audio_only.extract(film(tmp_path / "a.mp4", 2), tmp_path / "mono.m4a", "AAC", channels=1)
    assert quality.check(tmp_path / "mono.m4a", Expected(2.0, video=False)).channels == 1
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        frame = av.VideoFrame(160, 90, "yuv420p")
        frame.pts = 0
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    (tmp_path / "mute.mp4").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="no sound"):
        audio_only.extract(tmp_path / "mute.mp4", tmp_path / "x.m4a", "AAC")
    assert not list(tmp_path.glob("x.m4a*"))


def test_a_good_film_passes_and_what_is_wrong_is_said(tmp_path: Path) -> None:
    good = quality.check(film(tmp_path / "good.mp4", 6), Expected(6.0, 160, 90, 30, pictures=1.0, sound=True))
    assert good.warnings == [] and good.fps == 30 and good.frames == 180 and good.sample_rate == 48_000
    assert good.black_share == 0 and good.silent_share < 0.05 and good.still_share < 0.1
    bad = quality.check(
        film(tmp_path / "bad.mp4", 6, silent=True, black=True),
        Expected(8.0, 320, 180, 25, pictures=1.0, sound=True),
    )
    text = "; ".join(bad.warnings)
    for part in (
        "lasts",
        "160 × 90, not 320 × 180",
        "not 25",
        "are black",
        "hardly ever moves",
        "hardly anything",
    ):
        assert part in text, part
    assert quality.check(tmp_path / "bad.mp4", Expected(6.0, pictures=0.0, sound=False)).warnings == [
        "100% of the pictures are black"
    ], "nobody spoke and no camera was on: silence and stillness are right"


def test_of_a_long_film_pieces_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", 20)
    whole = quality.check(path, 20.0)
    monkeypatch.setattr(quality, "WHOLE_S", 10.0)
    monkeypatch.setattr(quality, "PIECES", 4)
    monkeypatch.setattr(quality, "PIECE_S", 1.5)
    parts = quality.check(path, 20.0)
    assert (parts.black_share, parts.warnings) == (0.0, []) and abs(
        parts.silent_share - whole.silent_share
    ) < 0.1
    assert parts.still_share == 0.0


def test_everything_beside_the_film_is_made_and_listed(tmp_path: Path) -> None:
    wishes = {"audio_tracks": True, "export_audio": True, "audio_codec": "MP3", "file_name_prefix": "bio"}
    session = Session(tmp_path / "j", ALICE, options=wishes)
    session.track(1, "alice", "mic")
    session.play(1, 0, 0.0, 4.0)
    session.capture.happened(5, "broadcast", us(2.0), name="Alice", text="Hello")
    session.stop(4.0, "empty")
    path = film(tmp_path / "recording.mp4", 4)
    assert byproducts.main([str(tmp_path / "j"), str(tmp_path / "out"), "--film", str(path)]) == 0
    made = byproducts.read_files(tmp_path / "out")
    assert made is not None and made.warnings == []
    kinds = {file.kind: file for file in made.files}
    assert set(kinds) == {"chapters", "audio", "track_audio"}
    assert (kinds["audio"].name, kinds["audio"].mime) == ("recording.mp3", "audio/mpeg")
    track = kinds["track_audio"]
    assert (track.person_id, track.title) == ("alice", "Alice") and track.name.startswith("bio_alice_")
    assert abs(track.duration_s - 4.0) < 0.02 and len(track.sha256) == 64 and track.quality["packets"] == 200
    assert "Message: Hello" in (tmp_path / "out" / "chapters.vtt").read_text()
    assert kinds["chapters"].quality["chapters"][1] == {"at_s": 2.0, "title": "Message: Hello"}
    assert made.quality["stop_reason"] == "empty"
    json.dumps(made.quality)


def test_one_by_product_that_fails_leaves_the_others(tmp_path: Path) -> None:
    session = Session(tmp_path / "j", ALICE, options={"audio_tracks": True, "export_audio": True})
    session.track(1, "alice", "mic")
    session.play(1, 0, 0.0, 1.0)
    session.stop(1.0)
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    made = byproducts.make(tmp_path / "j", tmp_path / "out", tmp_path / "broken.mp4")
    assert {file.kind for file in made.files} == {"chapters", "track_audio"}
    assert any("the audio file could not be made" in warning for warning in made.warnings)
    assert byproducts.main([str(tmp_path / "nothing"), str(tmp_path / "out2")]) == 1
