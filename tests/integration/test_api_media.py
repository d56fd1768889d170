"""The pages' media API and the files: every documented route, ranges to the byte, hostile requests."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from api.app import create_blueprints
from api.files import Files
from library import intake, links
from library.storage import Storages
from models.values import EntryId
from rooms.service import RoomsService
from tests.apikit import SEAL, VAULT
from tests.librarykit import ReadingClient, World, composed, make_world, mount_files
from webhooks.setup import Setup

pytestmark = pytest.mark.integration
KEY = "link-key"
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def flask(world: World) -> Iterator[Flask]:
    app = Flask("test")
    app.test_client_class = ReadingClient
    rooms = RoomsService(world.db)
    for blueprint in create_blueprints(
        db=world.db,
        rooms=rooms,
        library_root=world.root,
        reference=lambda: Response("the page that shows the document"),
        link_key=KEY,
        base_url="https://rooms.test",
        webhooks=Setup(world.db, SEAL),
        storages=Storages(world.db, VAULT),
    ):
        app.register_blueprint(blueprint)
    files = Files(world.db, world.root, KEY, Storages(world.db, VAULT))
    mount_files(app, files)
    yield app
    files.close()
    rooms.close()


@pytest.fixture
def client(flask: Flask) -> FlaskClient:
    return flask.test_client()


@pytest.fixture
def entry_id(world: World, tmp_path: Path) -> EntryId:
    return intake.take(
        world.db, world.root, world.recording(), tmp_path / "result", composed(tmp_path / "result")
    )


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]["code"]


def test_an_entry_is_found_renamed_taken_back_and_deleted(
    client: FlaskClient, world: World, entry_id: EntryId
) -> None:
    olga, bob = world.token("olga"), world.token("bob")
    found = client.get("/app/api/media?scope=mine", headers=olga).get_json()
    assert found["total"] == 1 and found["scopes"] == ["mine", "channel", "folder", "unowned"]
    shown = found["entries"][0]
    documented = re.search(r"^Entry: `\{(.*?)\}`\.$", (DOCS / "page-api.md").read_text(), re.M | re.S)
    assert documented is not None
    assert set(re.findall(r'"(\w+)"', documented[1])) == set(shown)
    assert (shown["status"], shown["may_edit"], shown["owner_name"]) == ("ready", True, "Olga")

    path = f"/app/api/media/{entry_id}"
    assert (
        client.patch(path, headers=olga, json={"title": " A  new\nname "}).get_json()["title"] == "A new name"
    )
    assert client.get(path, headers=bob).get_json()["may_edit"] is False
    assert client.patch(path, headers=olga, json={"published": False}).get_json()["published"] is False
    assert code(client.get(path, headers=bob)) == (404, "recording_unknown")
    assert client.delete(path, headers=olga).status_code == 204
    assert code(client.get(path, headers=olga)) == (404, "recording_unknown")
    assert client.get(shown["file_url"]).status_code == 404


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
@pytest.mark.parametrize(
    ("name", "expected"), [("bob", (403, "not_allowed")), ("charlie", (404, "recording_unknown"))]
)
def test_bob_and_charlie_change_nothing(
    client: FlaskClient, world: World, entry_id: EntryId, method: str, name: str, expected: tuple[int, str]
) -> None:
    if (method, name) == ("get", "bob"):
        assert client.get(f"/app/api/media/{entry_id}", headers=world.token("bob")).status_code == 200
        return
    body = {"json": {"title": "Mine now"}} if method == "patch" else {}
    answer = getattr(client, method)(f"/app/api/media/{entry_id}", headers=world.token(name), **body)
    assert code(answer) == expected
    kept = client.get(f"/app/api/media/{entry_id}", headers=world.token("olga")).get_json()
    assert kept["title"] == "Room 1"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}, {"Authorization": "Bearer "}],
)
def test_without_a_token_nothing_is_told(client: FlaskClient, headers: dict[str, str]) -> None:
    assert code(client.get("/app/api/media", headers=headers)) == (401, "unauthenticated")


@pytest.mark.parametrize("query", ["scope=all", "page=-1", "page=²", "page=1e3", "page=99999999999"])
def test_bad_queries_are_refused(client: FlaskClient, world: World, query: str) -> None:
    assert code(client.get(f"/app/api/media?{query}", headers=world.token("olga"))) == (422, "bad_value")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 50_000,
        b'{"title": 1}',
        b'{"published": "yes"}',
        b'{"owner_id": "bob"}',
        b'{"title": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_bad_bodies_are_refused(client: FlaskClient, world: World, entry_id: EntryId, body: bytes) -> None:
    answer = client.patch(f"/app/api/media/{entry_id}", headers=world.token("olga"), data=body)
    assert code(answer) == (400, "bad_command")


@pytest.mark.parametrize(
    "path", ["/app/api/media?q=a%00b", "/app/api/media/e%00", "/app/api/media?scope=%00"]
)
def test_texts_that_no_database_can_keep_are_refused(client: FlaskClient, world: World, path: str) -> None:
    assert code(client.get(path, headers=world.token("olga"))) == (400, "bad_command")


@pytest.mark.parametrize("title", [r"a\ud800b", r"a\u0000b"])
def test_titles_that_no_database_can_keep_are_refused(
    client: FlaskClient, world: World, entry_id: EntryId, title: str
) -> None:
    body = b'{"title": "' + title.encode() + b'"}'
    answer = client.patch(f"/app/api/media/{entry_id}", headers=world.token("olga"), data=body)
    assert code(answer) == (400, "bad_command")


# -- files -----------------------------------------------------------------------------------------------------


def url(entry_id: str, name: str = "video.mp4", *, download: bool = False) -> str:
    return links.link(KEY, entry_id, name, int(time.time()), download=download)


def test_ranges_are_exact(client: FlaskClient, world: World, entry_id: EntryId) -> None:
    whole = (world.root / entry_id / "video.mp4").read_bytes()
    plain = client.get(url(entry_id))
    assert (plain.status_code, plain.data, plain.mimetype) == (200, whole, "video/mp4")
    assert plain.headers["Accept-Ranges"] == "bytes"
    size = len(whole)
    for asked, start, end in (
        ("0-0", 0, 0),
        ("10-99", 10, 99),
        ("100-", 100, size - 1),
        ("-7", size - 7, size - 1),
        (f"5-{size + 50}", 5, size - 1),
    ):
        part = client.get(url(entry_id), headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.data == whole[start : end + 1]
        assert part.headers["Content-Range"] == f"bytes {start}-{end}/{size}"
    assert client.get(url(entry_id), headers={"Range": f"bytes={size}-"}).status_code == 416


def test_validators_and_head(client: FlaskClient, world: World, entry_id: EntryId) -> None:
    head = client.head(url(entry_id))
    size = (world.root / entry_id / "video.mp4").stat().st_size
    assert (head.status_code, head.data, int(head.headers["Content-Length"])) == (200, b"", size)
    etag = head.headers["ETag"]
    assert client.get(url(entry_id), headers={"If-None-Match": etag}).status_code == 304
    same = client.get(url(entry_id), headers={"Range": "bytes=0-9", "If-Range": etag})
    assert (same.status_code, len(same.data)) == (206, 10)
    other = client.get(url(entry_id), headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (other.status_code, len(other.data)) == (200, size)


def test_a_download_is_named_after_its_title(client: FlaskClient, world: World, entry_id: EntryId) -> None:
    hostile = 'a/../b"; x=\\ <script>'
    client.patch(f"/app/api/media/{entry_id}", headers=world.token("olga"), json={"title": hostile})
    given = client.get(url(entry_id, download=True)).headers["Content-Disposition"]
    assert given.startswith("attachment")
    assert not set("/\\<>") & set(given) and given.count('"') in (0, 2)
    assert ".mp4" in given


@pytest.mark.parametrize("change", ["sig", "exp", "entry", "name", "none", "expired", "otherkey"])
def test_only_our_links_open_files(client: FlaskClient, entry_id: EntryId, change: str) -> None:
    good = url(entry_id)
    bad = {
        "sig": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "exp": re.sub(r"exp=\d+", "exp=9999999999", good),
        "entry": good.replace(entry_id, "e" + "0" * 20),
        "name": good.replace("video.mp4", "thumbnail.jpg"),
        "none": f"/media/{entry_id}/video.mp4",
        "expired": links.link(KEY, entry_id, "video.mp4", int(time.time()) - 90_000),
        "otherkey": links.link("other", entry_id, "video.mp4", int(time.time())),
    }[change]
    answer = client.get(bad)
    assert answer.status_code == 403
    assert answer.text == (
        "This link has expired. Reload the page."
        if change == "expired"
        else "This link isn’t valid. Reload the page."
    )


@pytest.mark.parametrize(
    "name", ["..", "../test.db", "..%2Ftest.db", ".hidden", "video.mp4\n", "video.mp4\x00", "x" * 300]
)
def test_hostile_names_open_nothing_even_when_signed(
    client: FlaskClient, entry_id: EntryId, name: str
) -> None:
    assert client.get(url(entry_id, name)).status_code in (403, 404)


def test_the_documented_routes_are_the_routes(flask: Flask) -> None:
    """The media part of docs/page-api.md and all of docs/rest.md, against the URL map, both ways."""
    text = (DOCS / "page-api.md").read_text() + (DOCS / "rest.md").read_text()
    documented = {
        (method, re.sub(r"<[^>]+>", "<>", path))
        for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)", text)
        if path.startswith(("/app/api/media", "/app/api/roster", "/app/api/uploads", "/api/v1/"))
    }
    routes = {
        (method, re.sub(r"<[^>]+>", "<>", rule.rule))
        for rule in flask.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    assert documented == routes
