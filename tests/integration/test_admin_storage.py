"""The administration page's storages: add with a dry run, see, try out, copy again, remove; credentials never come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from library import intake
from models.store import transfers
from tests import storagekit as kit
from tests.integration.test_admin_frame import Site, make_site
from tests.librarykit import composed
from tests.storagekit import DENIED, Fault, Proxy

pytestmark = pytest.mark.integration


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path)
    yield made
    made.world.db.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with kit.moto_s3() as address, kit.proxy_to(address) as made:
        yield made


def storages(site: Site) -> list[dict[str, Any]]:
    client, headers = site.client()
    found: list[dict[str, Any]] = client.get("/admin/api/storages", headers=headers).get_json()["storages"]
    return found


def test_a_storage_from_first_to_last(site: Site, proxy: Proxy, tmp_path: Path) -> None:
    client, headers = site.client()
    body = kit.s3_config(proxy.url, name="Campus", course_id=site.world.course)
    answer = client.post("/admin/api/storages", headers=headers, json={**body, "keep_local": False})
    assert answer.status_code == 201
    path = f"/admin/api/storages/{answer.get_json()['id']}"
    (shown,) = storages(site)
    assert (shown["name"], shown["type"], shown["course_title"]) == ("Campus", "s3", "Biology 101")
    assert (shown["keep_local"], shown["delete_copies"], shown["problem"]) == (False, False, None)
    assert kit.SECRET not in str(shown) and kit.ACCESS_KEY not in str(shown)
    proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    assert "permission" in client.post(f"{path}/check", headers=headers).get_json()["problem"]
    assert "permission" in storages(site)[0]["problem"]

    db = site.world.db
    intake.take(db, site.world.root, site.world.recording(), tmp_path / "r", composed(tmp_path / "r"))
    now = datetime.now(UTC)
    (work,) = transfers.due(db, now)
    assert transfers.lease(db, work, "test", now, timedelta(seconds=20))
    transfers.failed(db, work.transfer_id, "test", "The storage refused this key.", now, None, 9)
    assert storages(site)[0]["copies"] == {"waiting": 0, "copying": 0, "done": 0, "failed": 1}
    assert storages(site)[0]["reason"] == "The storage refused this key."
    assert client.post(f"{path}/retry", headers=headers).get_json() == {"count": 1}
    assert transfers.due(db, now) == [work]

    assert client.delete(path, headers=headers).status_code == 204
    assert client.delete(path, headers=headers).status_code == 404
    assert client.post(f"{path}/retry", headers=headers).status_code == 404
    assert storages(site) == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"type": "ftp"}, "bad_value", "storage_config.type"),
        ({"bucket": "UPPER"}, "bad_value", "storage_config.bucket"),
        ({"course_id": "nobody"}, "bad_value", "course_id"),
        ({"keep_local": "yes"}, "bad_value", "keep_local"),
        ({"name": "x" * 101}, "bad_value", "name"),
        ({"bucket": "missing"}, "storage_unusable", None),
    ],
)
def test_what_cannot_work_is_refused_and_not_saved(
    site: Site, proxy: Proxy, change: dict[str, Any], code: str, field: str | None
) -> None:
    client, headers = site.client()
    answer = client.post("/admin/api/storages", headers=headers, json={**kit.s3_config(proxy.url), **change})
    error = answer.get_json()["error"]
    assert (error["code"], error["facts"].get("field")) == (code, field)
    assert kit.SECRET not in answer.text
    assert storages(site) == []


def test_nobody_who_is_not_signed_in_sees_storages(site: Site) -> None:
    for name in ("bob", "charlie"):
        client = site.app.test_client()
        assert client.get("/admin/api/storages", headers=site.world.token(name)).status_code == 401
        assert client.post("/admin/api/storages", headers=site.world.token(name), json={}).status_code == 401
