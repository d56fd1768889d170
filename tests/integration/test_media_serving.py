"""Media files by the real web process: many who watch slowly, files that go while they are read, a store that hangs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import uvicorn

from library import intake, links
from library.uploads import NAMES
from models.store.library import save_entry
from models.store.media_files import MediaFile, save_files
from models.values import EntryId
from server.ports_check import free_port
from server.settings import Settings
from server.web import FLASK_THREADS, build
from server.wiring import Web, build_web
from tests.librarykit import World, composed, make_world

pytestmark = pytest.mark.integration
FILM_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Site:
    world: World
    web: Web
    url: str
    entry_id: EntryId
    film: Path

    def link(self, name: str = "video.mp4") -> str:
        return links.link(self.web.settings.key("links"), self.entry_id, name, int(time.time()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    world = make_world(folder)
    port = free_port()
    settings = Settings(
        data_dir=folder,
        database_url=world.db.url,
        secret="s" * 40,
        web_dist=folder / "dist",
        base_url=f"http://127.0.0.1:{port}",
        control_port=free_port(),
    )
    web = build_web(settings)
    facts = composed(folder / "result")
    entry_id = intake.take(world.db, world.root, world.recording(), folder / "result", facts)
    film = world.root / entry_id / "video.mp4"
    with film.open("r+b") as file:
        file.truncate(FILM_BYTES)
    server = uvicorn.Server(
        uvicorn.Config(build(web), port=port, log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the web process does not start"
        time.sleep(0.02)
    yield Site(world, web, settings.base_url, entry_id, film)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
    world.db.close()


def watching(site: Site, name: str = "video.mp4") -> socket.socket:
    """A player that has read the beginning, has enough for a while, and keeps its connection."""
    place = urlsplit(site.url)
    player = socket.create_connection((place.hostname or "", place.port or 0), timeout=30)
    player.sendall(
        f"GET {site.link(name)} HTTP/1.1\r\nHost: {place.netloc}\r\nRange: bytes=0-\r\n\r\n".encode()
    )
    begun = player.recv(64)
    assert begun.startswith(b"HTTP/1.1 206"), begun
    return player


def test_a_class_that_watches_holds_up_no_page(site: Site) -> None:
    with ExitStack() as players:
        for _ in range(FLASK_THREADS + 8):
            players.enter_context(watching(site))
        page = requests.get(
            f"{site.url}/app/api/media",
            headers=site.world.token("bob"),
            params={"scope": "channel"},
            timeout=30,
        )
        assert page.json()["total"] == 1
        again = requests.get(site.url + site.link(), headers={"Range": "bytes=-100"}, timeout=30)
        assert (again.status_code, len(again.content)) == (206, 100)


def test_a_file_that_is_deleted_is_read_to_its_end_by_who_began(site: Site) -> None:
    name = "video_2.mp4"
    data = bytes(range(256)) * 65536
    path = site.film.with_name(name)
    path.write_bytes(data)
    with requests.get(site.url + site.link(name), stream=True, timeout=30) as answer:
        pieces = answer.iter_content(65536)
        read = next(pieces)
        path.unlink()
        assert read + b"".join(pieces) == data
    assert requests.get(site.url + site.link(name), timeout=30).status_code == 404


def test_each_kind_has_its_own_type_and_nothing_runs_in_our_origin(site: Site) -> None:
    names = {**dict(NAMES.values()), "chapters.vtt": "text/vtt", "thumbnail.jpg": "image/jpeg"}
    del names["audio.webm"]  # only the database tells that it has no picture
    page = b"<html><script>alert(document.domain)</script></html>"
    for name, mime in names.items():
        path = site.film.with_name(name) if name != "video.mp4" else site.film
        if path != site.film:
            path.write_bytes(page)
        answer = requests.get(site.url + site.link(name), headers={"Range": "bytes=0-9"}, timeout=30)
        assert answer.headers["Content-Type"].partition(";")[0] == mime
        assert answer.headers["X-Content-Type-Options"].startswith("nosniff")
    # Even one that the database calls nothing, and whose name would be a page's.
    for name in ("page.html", "picture.svg", "noname"):
        site.film.with_name(name).write_bytes(page)
        answer = requests.get(site.url + site.link(name), timeout=30)
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_the_type_is_what_the_library_wrote_down(site: Site) -> None:
    name = "audio.webm"
    site.film.with_name(name).write_bytes(b"sound")
    save_files(site.world.db, site.entry_id, [MediaFile(name, "audio", "audio/webm", 5, "ab" * 32)])
    answer = requests.get(site.url + site.link(name), timeout=30)
    assert (answer.headers["Content-Type"], answer.headers["ETag"]) == ("audio/webm", f'"{"ab" * 16}"')
    same = requests.get(
        site.url + site.link(name), headers={"If-None-Match": answer.headers["ETag"]}, timeout=30
    )
    assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-9", "bytes=x-y", "seconds=0-3"])
def test_ranges_that_are_not_understood_give_the_whole(site: Site, asked: str) -> None:
    answer = requests.head(site.url + site.link(), headers={"Range": asked}, timeout=30)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(FILM_BYTES))


def test_what_is_beyond_the_end_is_told_with_the_length(site: Site) -> None:
    answer = requests.get(site.url + site.link(), headers={"Range": f"bytes={FILM_BYTES}-"}, timeout=30)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{FILM_BYTES}")
    whole = requests.head(site.url + site.link(), headers={"Range": f"bytes=-{FILM_BYTES * 2}"}, timeout=30)
    assert whole.headers["Content-Range"] == f"bytes 0-{FILM_BYTES - 1}/{FILM_BYTES}"


def test_only_reading_is_possible(site: Site) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert requests.request(method, site.url + site.link(), timeout=30).status_code == 405


def test_an_entry_that_has_expired_says_so(site: Site) -> None:
    save_entry(site.world.db, site.entry_id, {"status": "expired"})
    try:
        answer = requests.get(site.url + site.link(), timeout=30)
        assert answer.status_code == 404 and "expired" in answer.text
    finally:
        save_entry(site.world.db, site.entry_id, {"status": "ready"})
