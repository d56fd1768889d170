"""Storages by REST: add with a dry run, change, try out, copy again, remove; credentials go in and never come out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from models.store import storage as store
from models.store.keys import create_key
from tests import storagekit as kit
from tests.apikit import ALL, Api, bearer, running_api
from tests.storagekit import DENIED, Fault, Proxy

pytestmark = pytest.mark.integration


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with kit.moto_s3() as address:
        yield address


@pytest.fixture
def proxy(moto: str) -> Iterator[Proxy]:
    with kit.proxy_to(moto) as made:
        yield made


def site_key(api: Api) -> dict[str, str]:
    return bearer(create_key(api.world.db, "Site", ALL)[1])


def secretless(answer: Any) -> bool:
    return not any(secret in str(answer) for secret in (kit.SECRET, kit.ACCESS_KEY))


def test_a_storage_from_first_to_last(api: Api, proxy: Proxy) -> None:
    body = kit.s3_config(proxy.url, name="Campus", path="films")
    made = api.good("POST", "/storages", json=body)
    assert (made["scope"], made["course_id"], made["name"]) == ("course", api.world.course, "Campus")
    assert made["checked_time"] and made["problem"] is None and secretless(made)
    path = f"/storages/{made['id']}"
    assert api.good("GET", "/storages") == [made] == [api.good("GET", path)]

    changed = api.good("PATCH", path, json={"name": "Archive", "keep_local": False, "delete_copies": True})
    assert (changed["name"], changed["keep_local"], changed["delete_copies"]) == ("Archive", False, True)
    assert changed["bucket"] == made["bucket"]

    proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    assert "permission" in api.good("POST", f"{path}/check")["problem"]
    assert "permission" in api.good("GET", path)["problem"]
    proxy.faults = []
    assert api.good("POST", f"{path}/check")["problem"] is None
    assert api.good("POST", f"{path}/retry") == {"count": 0}

    assert api.good("DELETE", path) is None
    for method in ("GET", "DELETE"):
        assert api.code(method, path) == (404, "storage_unknown")
    assert api.good("GET", "/storages") == []
    kept = store.get(api.world.db, made["id"])
    assert kept is not None and kept.sealed == ""


def test_new_credentials_are_tried_out_before_the_old_ones_go(api: Api, proxy: Proxy, tmp_path: Path) -> None:
    made = api.good("POST", "/storages", json=kit.s3_config(proxy.url))
    path, before = f"/storages/{made['id']}", store.get(api.world.db, made["id"])
    proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    status, error = api.refusal("PATCH", path, json={"secret": "another sesame"})
    assert (status, error["code"]) == (422, "storage_unusable") and "another sesame" not in str(error)
    assert store.get(api.world.db, made["id"]) == before
    proxy.faults = []
    shown = api.good("PATCH", path, json={"secret": "another sesame"})
    after = store.get(api.world.db, made["id"])
    assert before is not None and after is not None and after.sealed != before.sealed
    opened = api.storages.config(after).credentials
    # What was not given stays.
    assert opened == {"access_key": kit.ACCESS_KEY, "secret": "another sesame"}
    assert "another sesame" not in str(shown)
    on_disk = b"".join(file.read_bytes() for file in tmp_path.glob("test.db*"))
    assert b"another sesame" not in on_disk and kit.SECRET.encode() not in on_disk


@pytest.mark.parametrize("field", ["bucket", "endpoint_url", "path", "type", "region", "course_id", "id"])
def test_where_it_leads_cannot_be_changed(api: Api, proxy: Proxy, field: str) -> None:
    """Else whoever may change a storage would have its credentials sent to a place of their own."""
    made = api.good("POST", "/storages", json=kit.s3_config(proxy.url))
    answer = api.refusal("PATCH", f"/storages/{made['id']}", json={field: "https://evil.example"})
    assert (answer[0], answer[1]["code"]) == (400, "bad_command")


@pytest.mark.parametrize(
    ("change", "expected", "field"),
    [
        ({"type": "local", "path": "/tmp"}, (422, "bad_value"), "storage_config.type"),
        ({"type": "ftp"}, (422, "bad_value"), "storage_config.type"),
        ({"bucket": "UPPER"}, (422, "bad_value"), "storage_config.bucket"),
        ({"secret": None}, (422, "bad_value"), "storage_config.secret"),
        ({"keep_local": "yes"}, (400, "bad_command"), "keep_local"),
        ({"name": "x" * 101}, (422, "bad_value"), "name"),
        ({"colour": "red"}, (400, "bad_command"), "colour"),
        ({"course_id": "nobody"}, (403, "other_course"), None),
        ({"bucket": "missing"}, (422, "storage_unusable"), None),
    ],
)
def test_what_cannot_work_is_refused_and_not_saved(
    api: Api, proxy: Proxy, change: dict[str, Any], expected: tuple[int, str], field: str | None
) -> None:
    status, error = api.refusal("POST", "/storages", json={**kit.s3_config(proxy.url), **change})
    assert ((status, error["code"]), error["facts"].get("field")) == (expected, field)
    assert secretless(error)
    assert api.good("GET", "/storages") == []


def test_a_key_for_all_courses_makes_storages_of_the_site_and_of_courses(api: Api, proxy: Proxy) -> None:
    key = site_key(api)
    everywhere = api.good("POST", "/storages", key=key, json=kit.s3_config(proxy.url))
    assert (everywhere["scope"], everywhere["course_id"]) == ("site", None)
    of_course = {**kit.s3_config(proxy.url, path="his"), "course_id": api.world.other}
    theirs = api.good("POST", "/storages", key=key, json=of_course)
    assert theirs["course_id"] == api.world.other
    folder = {"type": "local", "path": "/tmp"}
    assert api.code("POST", "/storages", key, json=folder) == (422, "bad_value")
    assert api.code("POST", "/storages", key, json={**of_course, "course_id": "nobody"}) == (
        404,
        "course_unknown",
    )
    # A course's key sees the site's and changes nothing of it; of Charlie's course it hears nothing.
    assert [each["id"] for each in api.good("GET", "/storages")] == [everywhere["id"]]
    path = f"/storages/{everywhere['id']}"
    assert api.good("GET", path) == everywhere
    for method, more in (("PATCH", ""), ("DELETE", ""), ("POST", "/check"), ("POST", "/retry")):
        body: dict[str, Any] = {"json": {"name": "Mine"}} if method == "PATCH" else {}
        assert api.code(method, path + more, **body) == (403, "not_allowed")
        assert api.code(method, f"/storages/{theirs['id']}{more}", **body) == (404, "storage_unknown")
    assert api.code("GET", f"/storages/{theirs['id']}") == (404, "storage_unknown")
    assert len(api.good("GET", "/storages", key=key)) == 2


def test_who_may_only_see_storages_changes_none(api: Api, proxy: Proxy) -> None:
    made = api.good("POST", "/storages", json=kit.s3_config(proxy.url))
    path = f"/storages/{made['id']}"
    reader = bearer(create_key(api.world.db, "Reader", ["storage"], api.world.course)[1])
    assert api.good("GET", path, key=reader) == made
    for method, where, more in (
        ("POST", "/storages", {"json": kit.s3_config(proxy.url)}),
        ("PATCH", path, {"json": {"name": "Mine"}}),
        ("DELETE", path, {}),
        ("POST", f"{path}/check", {}),
        ("POST", f"{path}/retry", {}),
    ):
        assert api.code(method, where, reader, **more) == (403, "not_allowed")


def test_there_is_an_end_to_storages(api: Api, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("library.storage.MOST", 1)
    first = api.good("POST", "/storages", json=kit.s3_config(proxy.url))
    assert api.code("POST", "/storages", json=kit.s3_config(proxy.url)) == (409, "too_many")
    api.good("DELETE", f"/storages/{first['id']}")
    api.good("POST", "/storages", json=kit.s3_config(proxy.url))


# -- storages that come with a start call --------------------------------------------------------------------------


def sealed(api: Api) -> int:
    """How many storages still have credentials."""
    with api.world.db.read() as session:
        return int(session.execute(text("SELECT count(*) FROM storage WHERE sealed != ''")).scalar_one())


def test_a_start_that_is_refused_or_repeated_leaves_no_credentials(api: Api, proxy: Proxy) -> None:
    body = {"meeting_id": api.session_id, "storage_config": kit.s3_config(proxy.url)}
    asked: dict[str, Any] = {"json": body, "headers": {"Idempotency-Key": "one"}}
    first = api.good("POST", "/recordings", **asked)
    assert sealed(api) == 1
    assert api.good("POST", "/recordings", **asked)["id"] == first["id"]
    assert api.code("POST", "/recordings", json=body) == (409, "already_recording")
    assert sealed(api) == 1
    assert api.code("GET", f"/storages/{first['options']['storage_ids'][0]}") == (404, "storage_unknown")


def test_a_session_that_has_ended_is_told_before_anything_is_tried_out(api: Api, proxy: Proxy) -> None:
    end = {"name": "end_session", "args": {}}
    assert api.ask("POST", f"/sessions/{api.session_id}/commands", json=end)[0] == 200
    body = {"meeting_id": api.session_id, "storage_config": kit.s3_config(proxy.url)}
    assert api.code("POST", "/recordings", json=body) == (409, "session_ended")
    assert proxy.seen == [] and sealed(api) == 0


def test_one_idempotency_key_for_different_calls_is_no_repeat(api: Api) -> None:
    once = {"Idempotency-Key": "lecture"}
    rooms = {"name": "create_rooms", "args": {"count": 2, "countdown_s": 0}}
    made = api.ask("POST", f"/sessions/{api.session_id}/commands", json=rooms, headers=once)
    assert made[1]["data"]["repeated"] is False
    begun = api.good("POST", "/recordings", json={"meeting_id": api.session_id}, headers=once)
    path = f"/recordings/{begun['id']}"
    api.report(begun["id"], "RECORDING")
    pause, resume = ({"json": {"action": action}} for action in ("pause", "resume"))
    api.good("PUT", path, headers=once, **pause)
    assert api.code("PUT", path, **pause) == (409, "already_paused")
    api.good("PUT", path, headers=once, **pause)  # the first answer again
    api.good("PUT", path, headers=once, **resume)
    assert api.code("PUT", path, **resume) == (409, "not_paused")
