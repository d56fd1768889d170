"""Uploads to My Media: real files of each kind, files that are none, limits, and who sees them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import requests

from library.uploads import Uploads
from models.store import access as tokens
from rooms.errors import DomainError
from sandbox.lms.client import LaunchedPage, launch
from tests.librarykit import make_video
from tests.ltikit import World, running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("uploads")) as made:
        yield made


def film(path: Path, codec: str, form: str) -> bytes:
    with av.open(str(path), "w", format=form) as out:
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for number in range(15):
            picture = np.full((90, 160, 3), number * 16, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path.read_bytes()


def sound(path: Path, codec: str, form: str) -> bytes:
    with av.open(str(path), "w", format=form) as out:
        stream = out.add_stream(codec, rate=48000, layout="mono")
        tone = (np.sin(np.arange(48000) / 20) * 0.3).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        resampler = av.AudioResampler(stream.format, "mono", 48000, stream.frame_size or 1024)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path.read_bytes()


def send(world: World, page: LaunchedPage, data: bytes, name: str, title: str = "") -> requests.Response:
    return world.ask(page, "POST", "/app/api/uploads", params={"name": name, "title": title}, data=data)


@pytest.mark.parametrize(
    ("codec", "form", "name", "mime"),
    [
        ("libx264", "mp4", "My lecture.mp4", "video/mp4"),
        ("libvpx", "webm", "clip.webm", "video/webm"),
        ("aac", "mp4", "voice.m4a", "audio/mp4"),
        ("libmp3lame", "mp3", "song.mp3", "audio/mpeg"),
        # What it is, not what it is called, decides.
        ("libx264", "mp4", "wrong-name.exe", "video/mp4"),
    ],
)
def test_each_kind_of_file_is_in_my_media_and_comes_back_whole(
    world: World, tmp_path: Path, codec: str, form: str, name: str, mime: str
) -> None:
    bob = launch(world.lms, "bob", "mymedia")
    make = film if codec.startswith(("libx", "libv")) else sound
    data = make(tmp_path / "made", codec, form)
    answer = send(world, bob, data, name)
    assert answer.status_code == 201, answer.text
    entry = world.ask(bob, "GET", f"/app/api/media/{answer.json()['entry_id']}").json()
    assert entry["title"] == Path(name).stem and entry["mime"] == mime
    assert entry["status"] == "ready" and not entry["published"]
    assert 0.8 < entry["duration_s"] < 1.8 and entry["size_bytes"] == len(data)
    assert requests.get(world.url + entry["file_url"], timeout=10).content == data
    if mime.startswith("video"):
        assert (entry["width"], entry["height"]) == (160, 90)
        assert requests.get(world.url + entry["thumb_url"], timeout=10).content.startswith(b"\xff\xd8")


def test_an_upload_is_its_owners_until_it_is_published(world: World, tmp_path: Path) -> None:
    bob, bea = launch(world.lms, "bob", "mymedia"), launch(world.lms, "bea", "gallery")
    alice, charlie = launch(world.lms, "alice", "gallery"), launch(world.lms, "charlie", "gallery")
    entry_id = send(world, bob, film(tmp_path / "f", "libx264", "mp4"), "x.mp4", "Bob's talk").json()[
        "entry_id"
    ]
    path = f"/app/api/media/{entry_id}"
    assert world.ask(alice, "GET", path).status_code == 200
    for other in (bea, charlie):
        assert world.ask(other, "GET", path).status_code == 404
    assert world.ask(bob, "PATCH", path, json={"published": True}).status_code == 200
    assert world.ask(bea, "GET", path).json()["title"] == "Bob's talk"
    assert world.ask(charlie, "GET", path).status_code == 404


def test_files_that_browsers_do_not_play_are_refused_with_what_to_use(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alice = launch(world.lms, "alice", "mymedia")
    make_video(tmp_path / "old.mp4")  # MPEG-4 part 2
    good = film(tmp_path / "good", "libx264", "mp4")
    bad = {
        "codec": (tmp_path / "old.mp4").read_bytes(),
        "text": b"#!/bin/sh\necho hello\n" * 50,
        "page": b"<html><script>alert(1)</script></html>",
        "cut": good[:200],
        "container": film(tmp_path / "made.avi", "mpeg4", "avi"),
        "one byte": b"x",
    }
    before = {path.name for path in world.library.iterdir()}
    with caplog.at_level(logging.INFO, "sideroom"):
        for name, data in bad.items():
            answer = send(world, alice, data, "film.mp4")
            assert answer.status_code == 422, name
            error = answer.json()["error"]
            assert (error["code"] == "bad_value" and "MP4" in error["message"]) or "damaged" in error[
                "message"
            ]
    assert {p.name for p in world.library.iterdir()} - before <= {".uploads"}
    assert not list((world.library / ".uploads").iterdir()), "nothing is left behind"
    assert send(world, alice, b"", "empty.mp4").status_code == 422


def test_strangers_and_large_files_are_refused(world: World, tmp_path: Path) -> None:
    answer = requests.post(f"{world.url}/app/api/uploads", data=b"x", timeout=10)
    assert answer.status_code == 401
    access = tokens.check_token(world.db, launch(world.lms, "bob", "mymedia").token)
    assert access is not None
    small = Uploads(world.db, world.library, 1000)
    with pytest.raises(DomainError, match="larger than"):
        small.take(access, io.BytesIO(b"x" * 1001), "a.mp4", "")
    assert not list((world.library / ".uploads").iterdir())
