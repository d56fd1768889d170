"""Uploads to My Media: real files of each kind, files that are none, limits, and who sees them."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import requests

from library.media import Library
from library.uploads import OF_ONE, Uploads
from models.store import access as tokens
from models.store.access import Access
from models.store.library import uploaded_bytes
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


def access_of(world: World, name: str) -> Access:
    access = tokens.check_token(world.db, launch(world.lms, name, "mymedia").token)
    assert access is not None
    return access


def used(world: World, access: Access) -> int:
    return uploaded_bytes(world.db, access.person_id)


def test_a_person_has_a_quota_and_deleting_makes_room(world: World, tmp_path: Path) -> None:
    bea = access_of(world, "bea")
    data = sound(tmp_path / "s", "libmp3lame", "mp3")
    uploads = Uploads(world.db, world.library, 10**7, quota_bytes=used(world, bea) + len(data) * 3 // 2)
    first = uploads.take(bea, io.BytesIO(data), "one.mp3", "", len(data))
    for length in (len(data), None):  # told beforehand, or found out at the end
        with pytest.raises(DomainError, match="Delete some in My Media") as refused:
            uploads.take(bea, io.BytesIO(data), "two.mp3", "", length)
        assert refused.value.code == "too_many"
    assert not list((world.library / ".uploads").iterdir())
    Library(world.db, world.library).delete(bea, first)
    uploads.take(bea, io.BytesIO(data), "two.mp3", "", len(data))
    # What others have uploaded does not count.
    bob = access_of(world, "bob")
    free = Uploads(world.db, world.library, 10**7, quota_bytes=used(world, bob) + len(data))
    free.take(bob, io.BytesIO(data), "three.mp3", "", len(data))


def test_two_at_once_cannot_share_the_last_room(world: World, tmp_path: Path) -> None:
    bea = access_of(world, "bea")
    data = sound(tmp_path / "s", "libmp3lame", "mp3")
    uploads = Uploads(world.db, world.library, 10**7, quota_bytes=used(world, bea) + len(data) * 3 // 2)
    both, outcomes = threading.Barrier(2, timeout=30), []

    class Slow(io.BytesIO):
        """Ends only when the other has ended too."""

        def read(self, size: int | None = -1) -> bytes:
            got = super().read(size)
            if not got:
                both.wait()
            return got

    def send_one() -> None:
        try:
            uploads.take(bea, Slow(data), "x.mp3", "")
            outcomes.append("taken")
        except DomainError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=send_one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["taken", "too_many"]


def test_a_person_uploads_few_files_at_once(world: World) -> None:
    bob = access_of(world, "bob")
    uploads, go, begun = Uploads(world.db, world.library, 10**7), threading.Event(), threading.Semaphore(0)

    class Held(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            begun.release()
            assert go.wait(30)
            return b""

    def hold() -> None:
        with pytest.raises(DomainError):  # an empty file, in the end
            uploads.take(bob, Held(), "x.mp4", "")

    threads = [threading.Thread(target=hold) for _ in range(OF_ONE)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert begun.acquire(timeout=30)
    with pytest.raises(DomainError, match="in progress") as refused:
        uploads.take(bob, io.BytesIO(b"x"), "y.mp4", "")
    assert refused.value.http_status == 429
    go.set()
    for thread in threads:
        thread.join(60)
    with pytest.raises(DomainError) as later:  # it is looked at again
        uploads.take(bob, io.BytesIO(b"x"), "y.mp4", "")
    assert later.value.code == "bad_value"


def test_uploads_leave_room_for_recordings(world: World) -> None:
    full = Uploads(world.db, world.library, 10**7, keep_free_bytes=10**18)
    with pytest.raises(DomainError, match="no space"):
        full.take(access_of(world, "bob"), io.BytesIO(b"x"), "x.mp4", "", 1)


def test_a_playlist_makes_the_server_open_nothing_else(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp3"
    secret.write_bytes(sound(tmp_path / "s", "libmp3lame", "mp3"))
    alice = launch(world.lms, "alice", "mymedia")
    lists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "web": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{world.url}/x.ts\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{secret}'\n",
        "dash": f'<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation><BaseURL>file://{secret}'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>",
    }
    for kind, text in lists.items():
        answer = send(world, alice, text.encode(), "film.mp4")
        assert answer.status_code == 422, kind


def test_a_title_is_one_line_that_can_be_kept(world: World, tmp_path: Path) -> None:
    data = sound(tmp_path / "s", "libmp3lame", "mp3")
    alice = launch(world.lms, "alice", "mymedia")
    assert send(world, alice, data, "s.mp3", "a\x00b").status_code == 400
    entry_id = send(world, alice, data, "s.mp3", " a\x07b\x1b[31m\r\n c ").json()["entry_id"]
    path = f"/app/api/media/{entry_id}"
    assert world.ask(alice, "GET", path).json()["title"] == "a b [31m c"
    changed = world.ask(alice, "PATCH", path, data=b'{"title": "x\\u0000\\ud800y"}')
    assert changed.status_code == 400 or changed.json()["title"] == "x y"


def test_strangers_and_large_files_are_refused(world: World, tmp_path: Path) -> None:
    answer = requests.post(f"{world.url}/app/api/uploads", data=b"x", timeout=10)
    assert answer.status_code == 401
    access = tokens.check_token(world.db, launch(world.lms, "bob", "mymedia").token)
    assert access is not None
    small = Uploads(world.db, world.library, 1000)
    with pytest.raises(DomainError, match="larger than"):
        small.take(access, io.BytesIO(b"x" * 1001), "a.mp4", "")
    assert not list((world.library / ".uploads").iterdir())
