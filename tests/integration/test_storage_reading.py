"""Files that are only at a storage any more: played in ranges through us, downloaded from the store, told when they are gone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from api.app import ApiDeps
from api.app import create_blueprint as media_pages
from api.files import OPEN_RANGE_BYTES, Files
from library import copies, intake
from library.retention import expire
from library.storage import Storages
from library.storage_vault import Vault
from library.values import CompositionFacts
from models.store import transfers as store
from tests import storagekit as kit
from tests.librarykit import ReadingClient, World, make_world, mount_files
from tests.storagekit import Fault, Proxy

pytestmark = pytest.mark.integration
KEY = "ab" * 32
FILM = random.Random(9).randbytes(OPEN_RANGE_BYTES + 1_000_000)


class Away:
    """A film that is only at a store behind ``proxy`` any more."""

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        self.world: World = make_world(folder)
        self.proxy = proxy
        self.storages = storages = Storages(self.world.db, Vault(KEY), allow_private=True, timeout_s=2.0)
        storages.create("site", kit.s3_config(proxy.url, path=folder.name), keep_local=False)
        result = folder / "result"
        result.mkdir()
        (result / "video.mp4").write_bytes(FILM)
        facts = CompositionFacts("video.mp4", 1.0, 160, 90, len(FILM), hashlib.sha256(FILM).hexdigest())
        db, root = self.world.db, self.world.root
        self.entry_id = intake.take(db, root, self.world.recording(), result, facts)
        (work,) = store.due(db, datetime.now(UTC))
        assert store.lease(db, work, "test", datetime.now(UTC), timedelta(minutes=5))
        assert copies.copy(db, storages, root, work.transfer_id, "test")
        copies.confirmed(db, root, self.entry_id, timedelta(days=7), datetime.now(UTC))
        assert not (root / self.entry_id / "video.mp4").exists()
        app = Flask("test")
        app.test_client_class = ReadingClient
        app.register_blueprint(media_pages(ApiDeps(db, root, "link-key")))
        self.files = Files(db, root, "link-key", storages)
        mount_files(app, self.files)
        self.client: FlaskClient = app.test_client()

    def shown(self, name: str = "olga") -> dict[str, Any]:
        answer = self.client.get(f"/app/api/media/{self.entry_id}", headers=self.world.token(name))
        found: dict[str, Any] = answer.get_json()
        return found


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with kit.moto_s3() as address:
        yield address


@pytest.fixture
def away(moto: str, tmp_path: Path) -> Iterator[Away]:
    with kit.proxy_to(moto) as proxy:
        made = Away(tmp_path, proxy)
        yield made
        made.files.close()
        made.world.db.close()


def test_the_film_plays_on_in_ranges(away: Away) -> None:
    url = away.shown()["file_url"]
    whole = away.client.get(url)
    assert (whole.status_code, whole.data) == (200, FILM)
    assert whole.headers["Accept-Ranges"] == "bytes" and whole.mimetype == "video/mp4"
    for asked, start, stop in (
        ("bytes=0-99", 0, 100),
        ("bytes=500-1499", 500, 1500),
        ("bytes=-100", len(FILM) - 100, len(FILM)),
        ("bytes=0-", 0, OPEN_RANGE_BYTES),
        (f"bytes={OPEN_RANGE_BYTES}-", OPEN_RANGE_BYTES, len(FILM)),
    ):
        part = away.client.get(url, headers={"Range": asked})
        assert (part.status_code, part.data) == (206, FILM[start:stop])
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(FILM)}"
    assert away.client.get(url, headers={"Range": f"bytes={len(FILM)}-"}).status_code == 416
    head = away.client.head(url)
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(FILM)))


def test_a_download_is_sent_to_a_signed_link_of_the_store(away: Away) -> None:
    answer = away.client.get(away.shown()["download_url"])
    assert answer.status_code == 302 and "no-store" in answer.headers["Cache-Control"]
    film = requests.get(answer.headers["Location"], timeout=20)
    assert film.content == FILM
    assert "Biology%20101" in film.headers["Content-Disposition"]


def test_the_page_tells_who_may_edit_where_the_copies_are(away: Away) -> None:
    (copy,) = away.shown()["copies"]
    assert (copy["status"], copy["percent"], copy["type"]) == ("done", 100, "s3")
    assert away.shown("bob")["copies"] == []
    assert kit.SECRET not in str(away.shown())


def test_a_store_that_is_away_is_told_without_its_name(away: Away) -> None:
    shown = away.shown()
    away.proxy.faults = [Fault(lambda *_: True, 503, times=-1)]
    for url in (shown["file_url"], shown["download_url"]):
        answer = away.client.get(url)
        assert answer.status_code == 503 and "Try again" in answer.text


def test_an_expired_film_says_so(away: Away) -> None:
    shown = away.shown()
    assert expire(away.world.db, away.world.root, datetime.now(UTC) + timedelta(days=8), away.storages) == 1
    answer = away.client.get(shown["file_url"])
    assert answer.status_code == 404 and "expired" in answer.text
    assert (away.shown()["status"], away.shown()["file_url"]) == ("expired", None)
