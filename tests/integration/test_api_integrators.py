"""The integrators' API with a real rooms service: keys, recordings, the command door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from library import intake
from models.store import recordings_jobs
from models.store.keys import check_key, create_key, revoke_key
from models.values import RecordingId
from tests.apikit import ALL, Api, bearer, running_api
from tests.librarykit import composed

pytestmark = pytest.mark.integration


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path) as made:
        yield made


def test_a_recording_from_start_to_download(api: Api, tmp_path: Path) -> None:
    begun = api.start()
    path = f"/recordings/{begun['id']}"
    assert (begun["status"], begun["type"], begun["room_id"]) == ("INVOKED", "COMPOSITE", "main")
    assert api.ask("GET", f"/recordings/active-recording/{api.session_id}")[1]["data"]["id"] == begun["id"]
    assert api.code("POST", "/recordings", json={"meeting_id": api.session_id}) == (409, "already_recording")
    api.report(begun["id"], "RECORDING")
    assert api.ask("PUT", path, json={"action": "pause"})[0] == 200
    assert api.code("PUT", path, json={"action": "pause"}) == (409, "already_paused")
    assert api.ask("PUT", path, json={"action": "resume"})[0] == 200
    assert api.code("PUT", path, json={"action": "resume"}) == (409, "not_paused")
    assert api.ask("PUT", path, json={"action": "stop"})[0] == 200
    assert api.code("PUT", path, json={"action": "stop"}) == (409, "nothing_recording")
    api.report(begun["id"], "UPLOADING")
    assert api.code("GET", f"/recordings/active-recording/{api.session_id}") == (404, "recording_unknown")
    info = recordings_jobs.recording_info(api.world.db, RecordingId(begun["id"]))
    assert info is not None
    facts = composed(tmp_path / "result")
    entry_id = intake.take(api.world.db, api.world.root, info, tmp_path / "result", facts)
    api.report(begun["id"], "UPLOADED", entry_id)
    done = api.ask("GET", path)[1]["data"]
    assert (done["status"], done["output_file_name"]) == ("UPLOADED", "video.mp4")
    assert done["invoked_time"].endswith("Z") and done["download_url_expiry"].endswith("Z")
    assert done["download_url"].startswith("https://rooms.test/media/")
    file = api.client.get(done["download_url"].removeprefix("https://rooms.test"))
    assert len(file.data) == facts.size_bytes


def test_one_call_records_all_rooms_and_stops_them(api: Api) -> None:
    assert api.code("POST", "/recordings", json={"meeting_id": api.session_id, "all_rooms": True}) == (
        409,
        "not_running",
    )
    api.run_breakout()
    group = api.start(all_rooms=True)
    assert (group["type"], len(group["recordings"])) == ("GROUP", 2)
    assert {r["parent_id"] for r in group["recordings"]} == {group["id"]}
    assert api.ask("GET", f"/recordings/{group['id']}")[1]["data"] == group
    one = group["recordings"][0]["id"]
    assert api.ask("PUT", f"/recordings/{one}", json={"action": "stop"})[0] == 200
    assert api.ask("PUT", f"/recordings/{group['id']}", json={"action": "stop"})[0] == 200
    again = api.code("PUT", f"/recordings/{group['id']}", json={"action": "stop"})
    assert again == (409, "nothing_recording")


def test_a_repeated_start_is_the_same_recording(api: Api) -> None:
    asked: dict[str, Any] = {
        "json": {"meeting_id": api.session_id},
        "headers": {"Idempotency-Key": "lecture-7"},
    }
    first, second = (api.ask("POST", "/recordings", **asked) for _ in range(2))
    assert first == second and first[0] == 201
    bad = {**asked, "headers": {"Idempotency-Key": "a b"}}
    assert api.code("POST", "/recordings", **bad) == (422, "bad_value")


CALLS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("POST", "/recordings", {"meeting_id": "SESSION"}, "recordings:write"),
    ("PUT", "/recordings/ID", {"action": "stop"}, "recordings:write"),
    ("GET", "/recordings/ID", None, "recordings:read"),
    ("GET", "/recordings/active-recording/SESSION", None, "recordings:read"),
    ("GET", "/recordings", None, "recordings:read"),
    ("POST", "/sessions/SESSION/commands", {"name": "stop_recording"}, "commands"),
]


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
def test_each_call_asks_for_a_good_key_of_this_course(
    api: Api, method: str, path: str, body: dict[str, Any] | None, scope: str
) -> None:
    begun = api.start()
    path = path.replace("ID", begun["id"]).replace("SESSION", api.session_id)
    more: dict[str, Any] = (
        {"json": {k: v.replace("SESSION", api.session_id) for k, v in body.items()}} if body else {}
    )
    db = api.world.db
    assert api.code(method, path, {}, **more) == (401, "unauthenticated")
    assert api.code(method, path, bearer("srk_wrong"), **more) == (401, "unauthenticated")
    assert api.code(method, path, api.world.token("alice"), **more) == (401, "unauthenticated")
    weak = bearer(create_key(db, "Weak", set(ALL) - {scope}, api.world.course)[1])
    assert api.code(method, path, weak, **more) == (403, "not_allowed")
    charlies = bearer(create_key(db, "Charlie's", ALL, api.world.other)[1])
    if path == "/recordings" and method == "GET":
        assert api.ask(method, path, charlies)[1]["data"] == []
    elif "meeting_id" in (body or {}) or scope == "commands":
        assert api.code(method, path, charlies, **more) == (403, "other_course")
    else:
        assert api.code(method, path, charlies, **more) == (404, "recording_unknown")
    assert api.ask("GET", f"/recordings/{begun['id']}")[1]["data"]["status"] == "INVOKED"


def test_a_key_is_stored_as_a_hash_and_can_be_revoked(api: Api, tmp_path: Path) -> None:
    key_id, secret = create_key(api.world.db, "Short", ["recordings:read"])
    assert api.ask("GET", "/recordings", bearer(secret))[0] == 200
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("test.db*"))
    assert b"Short" in stored and secret.encode() not in stored
    assert revoke_key(api.world.db, key_id) and not revoke_key(api.world.db, key_id)
    assert check_key(api.world.db, secret) is None
    with pytest.raises(ValueError, match="scopes"):
        create_key(api.world.db, "Bad", ["everything"])


def test_lists_filter_and_page(api: Api) -> None:
    api.run_breakout()
    ids = {r["id"] for r in api.start(all_rooms=True)["recordings"]} | {api.start()["id"]}

    def listed(query: str) -> tuple[set[str], int]:
        status, body = api.ask("GET", f"/recordings?{query}")
        assert status == 200, body
        return {r["id"] for r in body["data"]}, body["paging"]["total_count"]

    assert listed("") == (ids, 3)
    assert listed("status=UPLOADED") == (set(), 0)
    assert listed("status=UPLOADED&status=INVOKED") == (ids, 3)
    assert listed(f"meeting_id={api.session_id}&search=lect&expired=false") == (ids, 3)
    assert listed("expired=true") == (set(), 0)
    assert listed("end_time=2020-01-01T00:00:00Z") == (set(), 0)
    pages = [listed(f"per_page=2&page_no={page}&sort_order=ASC")[0] for page in range(3)]
    assert [len(page) for page in pages] == [2, 1, 0] and set().union(*pages) == ids


@pytest.mark.parametrize(
    "query",
    [
        "per_page=0",
        "per_page=101",
        "page_no=-1",
        "expired=maybe",
        "status=DONE",
        "sort_by=size",
        "sort_order=up",
        "start_time=yesterday",
        "start_time=2026-05-04T10:00:00",
        "end_time=0001-01-01T00:00:00%2B23:00",
    ],
)
def test_bad_filters_are_refused(api: Api, query: str) -> None:
    assert api.code("GET", f"/recordings?{query}") == (422, "bad_value")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "bad_command")),
        ({"meeting_id": 7}, (400, "bad_command")),
        ({"meeting_id": "s-unknown"}, (404, "no_session")),
        ({"meeting_id": "SESSION", "room_id": "nowhere"}, (404, "room_unknown")),
        ({"meeting_id": "SESSION", "room_id": 7}, (400, "bad_command")),
        ({"meeting_id": "SESSION", "all_rooms": 1}, (400, "bad_command")),
        ({"meeting_id": "SESSION", "all_rooms": True, "room_id": "main"}, (422, "bad_value")),
        ({"meeting_id": "SESSION", "max_secs": 60}, (400, "bad_command")),
    ],
)
def test_bad_starts_are_refused(api: Api, body: dict[str, Any], expected: tuple[int, str]) -> None:
    body = {k: api.session_id if v == "SESSION" else v for k, v in body.items()}
    assert api.code("POST", "/recordings", json=body) == expected


@pytest.mark.parametrize(
    "name", ["report_recording", "open_session", "complete_transition", "time_is_up", "drop_table", ""]
)
def test_inner_commands_have_no_door(api: Api, name: str) -> None:
    path = f"/sessions/{api.session_id}/commands"
    assert api.code("POST", path, json={"name": name, "args": {}}) == (400, "bad_command")


@pytest.mark.parametrize("action", ["start", "", None, ["stop"]])
def test_unknown_actions_are_refused(api: Api, action: object) -> None:
    path = f"/recordings/{api.start()['id']}"
    assert api.code("PUT", path, json={"action": action}) == (422, "bad_value")
