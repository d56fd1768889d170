"""What stands around recordings in the API: keys, limits, courses, meetings, storages, usage, webhooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.v1.limits import Limits
from api.v1.messages import StatusUpdate, UploadedRecording
from api.v1.routes import ROUTES
from api.v1.usage import usage_rows
from api.v1.view import View
from library import intake
from models.store import keys, media_files, people, recordings_jobs
from models.store.database import Database
from models.store.keys import check_key, create_key
from models.store.media_files import MediaFile
from models.store.meetings_list import MeetingFilter, find_meetings
from models.store.migrate import upgrade
from models.store.recordings_list import Filter, find_recordings
from models.store.webhook_outbox import NewMessage, put
from models.values import MAIN_ROOM, SYSTEM, EntryId, RecordingId, Role
from rooms import commands as c
from rooms.service import RoomsService
from tests.apikit import ALL, BASE_URL, Api, bearer, running_api
from tests.librarykit import composed
from tests.people import ask
from tests.postgres import temporary_postgres
from webhooks.follow import Follower

pytestmark = pytest.mark.integration
HOOK = {"name": "Calendar", "url": "https://hooks.example.edu/x", "events": ["recording.statusUpdate"]}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path) as made:
        yield made


def charlies(api: Api) -> dict[str, str]:
    return bearer(create_key(api.world.db, "Charlie's", ALL, api.world.other)[1])


# -- keys and limits -------------------------------------------------------------------------------------------


def test_a_key_ends_and_says_when_it_was_used(api: Api) -> None:
    db, now = api.world.db, datetime.now(UTC)
    assert check_key(db, create_key(db, "Old", ALL, None, now - timedelta(seconds=1))[1]) is None
    key_id, secret = create_key(db, "New", ALL, None, now + timedelta(days=1))
    assert check_key(db, secret) is not None
    listed = {key.key_id: key for key in keys.list_keys(db)}
    used = listed[key_id].last_used_at
    assert used is not None and used >= now and listed[key_id].expires_at == now + timedelta(days=1)


def test_every_call_needs_a_good_key_with_its_scope(api: Api) -> None:
    db, course = api.world.db, api.world.course
    weak = {
        scope: bearer(create_key(db, f"No {scope}", set(ALL) - {scope}, course)[1])
        for scope in {route.scope for route in ROUTES}
    }
    revoked_id, revoked = create_key(db, "Revoked", ALL, course)
    keys.revoke_key(db, revoked_id)
    expired = create_key(db, "Expired", ALL, course, datetime.now(UTC) - timedelta(seconds=1))[1]
    alice = api.world.token("alice")
    for number, route in enumerate(ROUTES):
        path = re.sub(r"{\w+}", "x", route.path)
        bad: dict[str, str] = (({}, bearer(revoked), bearer(expired), alice))[number % 4]
        # A body that cannot be read must not be looked at before the key.
        status, error = api.refusal(route.method, path, bad, data=b"{")
        assert status in (401, 429), (route.name, error)
        status, error = api.refusal(route.method, path, weak[route.scope], data=b"{")
        assert (status, error["code"], error["facts"]) == (403, "not_allowed", {"scope": route.scope})


def test_limits_are_told_and_kept(tmp_path: Path) -> None:
    with running_api(tmp_path, Limits("3 per 50 second", "5 per 5 minute", "2 per 1 minute")) as api:
        for left in (2, 1, 0):
            answer = api.client.get("/api/v1/recordings", headers=api.key)
            told = [answer.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining")]
            assert (answer.status_code, told) == (200, ["3", str(left)])
            assert 0 < int(answer.headers["RateLimit-Reset"]) <= 300
        answer = api.client.get("/api/v1/recordings", headers=api.key)
        assert answer.status_code == 429 and answer.get_json()["error"]["code"] == "rate_limited"
        assert 0 < int(answer.headers["Retry-After"]) <= 50
        assert [answer.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining")] == ["3", "0"]
        assert [api.ask("GET", "/meetings")[0] for _ in range(3)] == [200, 200, 429]
        other = bearer(create_key(api.world.db, "Other", ALL)[1])
        assert api.ask("GET", "/recordings", other)[0] == 200, "each key has windows of its own"


def test_wrong_keys_are_slowed_down_and_good_ones_are_not(tmp_path: Path) -> None:
    with running_api(tmp_path, Limits(wrong_keys="2 per 1 minute")) as api:
        codes = [api.code("GET", "/recordings", bearer("srk_wrong"))[0] for _ in range(4)]
        assert codes == [401, 401, 429, 429]
        assert api.ask("GET", "/recordings")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/recordings", 405)]
)
def test_what_is_not_there_is_told_in_the_same_form(api: Api, method: str, path: str, status: int) -> None:
    assert api.refusal(method, path)[0] == status


def test_the_document_is_served_without_a_key(api: Api) -> None:
    answer = api.client.get("/api/v1/openapi.json")
    assert answer.status_code == 200 and answer.get_json()["servers"] == [{"url": BASE_URL}]


# -- courses and sessions --------------------------------------------------------------------------------------


def test_a_course_sets_what_its_recordings_are(api: Api) -> None:
    course = api.world.course
    path = f"/courses/{course}/recording_config"
    before = api.good("GET", path)
    assert (before["record_on_start"], before["options"]) == (False, {})
    assert before["effective"]["video_config"]["width"] == 1280
    options = {"layout": "speaker", "video_config": {"width": 640, "height": 360}, "clock": True}
    after = api.good("PUT", path, json={"record_on_start": True, "options": options})
    assert (after["record_on_start"], after["options"]) == (True, options)
    assert after == api.good("GET", path)
    session_id = api.rooms.open_session(course, "Biology 101", "Seminar", "seminar")
    alice = api.world.access("alice").actor
    api.rooms.submit(ask(alice, c.EnterSession("Alice", Role.MODERATOR), session_id))
    (recording,) = api.good("GET", f"/recordings?meeting_id={session_id}")
    assert recording["start_reason"]["reason"] == "RECORD_ON_START"
    assert (recording["layout"], recording["options"]["video_config"]["width"]) == ("speaker", 640)
    body = {"meeting_id": session_id, "layout": "grid", "allow_multiple_recordings": True}
    call = api.good("POST", "/recordings", json=body)
    assert call["options"]["layout"] == "grid" and call["options"]["clock"] is True


def test_a_recording_on_start_belongs_to_whom_the_setting_names_while_they_moderate(api: Api) -> None:
    world = api.world
    path = f"/courses/{world.course}/recording_config"
    body = {"record_on_start": True, "on_behalf_of": world.ids["olga"]}
    assert api.good("PUT", path, json=body)["on_behalf_of"] == world.ids["olga"]

    def recorded(room: str) -> dict[str, Any]:
        session_id = api.rooms.open_session(world.course, "Biology 101", room, room)
        bob = world.access("bob").actor
        api.rooms.submit(ask(bob, c.EnterSession("Bob", Role.PARTICIPANT), session_id))
        (recording,) = api.good("GET", f"/recordings?meeting_id={session_id}")
        caller: dict[str, Any] = recording["start_reason"]["caller"]
        return caller

    olga = {"type": "USER", "name": "Olga", "person_id": world.ids["olga"]}
    assert recorded("one") == olga
    # Switching anything else in the administration leaves it hers; without the role it is nobody's.
    people.upsert_membership(world.db, world.course, world.ids["olga"], Role.PARTICIPANT, [])
    assert recorded("two") == {"type": "SYSTEM", "name": "system", "person_id": None}
    assert api.good("PUT", path, json={"record_on_start": False})["on_behalf_of"] is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("bob", (403, "not_moderator")), ("charlie", (404, "person_unknown")), (None, (404, "person_unknown"))],
)
def test_nobody_is_recorded_for_who_does_not_moderate_the_course(
    api: Api, name: str | None, expected: tuple[int, str]
) -> None:
    person = "nobody" if name is None else api.world.ids[name]
    start = {"meeting_id": api.session_id, "on_behalf_of": person}
    breakout = {"name": "start_breakout", "args": {"record": True}, "on_behalf_of": person}
    config = {"record_on_start": True, "on_behalf_of": person}
    assert api.code("POST", "/recordings", json=start) == expected
    assert api.code("POST", "/recordings/track", json=start) == expected
    assert api.code("POST", f"/sessions/{api.session_id}/commands", json=breakout) == expected
    assert api.code("PUT", f"/courses/{api.world.course}/recording_config", json=config) == expected
    assert api.good("GET", "/recordings") == []
    theirs = {**start, "on_behalf_of": api.world.ids["charlie"]}
    assert api.code("POST", "/recordings", charlies(api), json=theirs) == (403, "other_course")


def test_a_call_on_behalf_of_a_moderator_makes_recordings_of_theirs(api: Api) -> None:
    olga = api.world.ids["olga"]
    path = f"/sessions/{api.session_id}/commands"
    api.good("POST", path, json={"name": "create_rooms", "args": {"count": 2, "countdown_s": 0}})
    start = {"name": "start_breakout", "args": {"record": True}, "on_behalf_of": olga}
    api.good("POST", path, json=start)
    api.start(on_behalf_of=olga)
    api.start(room_id="main", allow_multiple_recordings=True)
    owners = [r.started_by for r in api.rooms.state(api.session_id).recordings.values()]
    assert owners == [olga, olga, olga, None]
    callers = [each["start_reason"]["caller"] for each in api.good("GET", "/recordings?sort_order=ASC")]
    assert callers[0] == {"type": "ORGANIZATION", "name": "Campus", "person_id": olga}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"options": {"max_seconds": 5}}, "options.max_seconds"),
        (
            {"options": {"video_config": {"codec": "H264"}, "audio_config": {"codec": "OPUS"}}},
            "audio_config.codec",
        ),
        ({"options": {"meeting_id": "s"}}, "options.meeting_id"),
        ({"record_on_start": "yes"}, "record_on_start"),
        ({"colour": 1}, "colour"),
    ],
)
def test_bad_course_settings_change_nothing(api: Api, body: dict[str, Any], field: str) -> None:
    path = f"/courses/{api.world.course}/recording_config"
    status, error = api.refusal("PUT", path, json=body)
    assert status in (400, 422) and error["facts"]["field"] == field
    assert api.good("GET", path)["options"] == {}


def test_another_course_has_nothing_to_see(api: Api) -> None:
    key = charlies(api)
    config = f"/courses/{api.world.course}/recording_config"
    assert api.code("GET", config, key) == (404, "course_unknown")
    assert api.code("PUT", config, key, json={}) == (404, "course_unknown")
    assert api.code("GET", f"/meetings/{api.session_id}", key) == (404, "no_session")
    assert api.ask("GET", "/meetings", key)[1]["data"] == []
    assert api.ask("GET", f"/meetings?course_id={api.world.course}", key)[1]["data"] == []
    assert [each["title"] for each in api.ask("GET", "/courses", key)[1]["data"]] == ["History 200"]
    assert api.ask("GET", f"/usage?course_id={api.world.course}", key)[1]["data"] == []


def test_meetings_are_found_with_their_rooms_and_people(api: Api) -> None:
    alice, bob = api.world.access("alice").actor, api.world.access("bob").actor
    for person, role in ((alice, Role.MODERATOR), (bob, Role.PARTICIPANT)):
        api.rooms.submit(ask(person, c.EnterSession(person.name, role), api.session_id))
    api.run_breakout()
    begun = api.start()
    assert bob.person_id is not None
    api.rooms.submit(ask(bob, c.LeaveSession(bob.person_id), api.session_id))
    (meeting,) = api.good("GET", "/meetings?status=LIVE&search=biology")
    found = api.good("GET", f"/meetings/{meeting['id']}")
    assert found["id"] == api.session_id and found["title"] == "Lecture"
    assert (found["participants"], found["participants_total"]) == (1, 2)
    assert [room["participants"] for room in found["rooms"]] == [1, 0, 0]
    assert (found["breakout_status"], found["active_recordings"]) == ("running", [begun["id"]])
    assert api.good("GET", "/meetings?status=ENDED") == api.good("GET", "/meetings?search=chemistry") == []
    end = {"name": "end_session", "args": {}}
    api.good("POST", f"/sessions/{api.session_id}/commands", json=end)
    (ended,) = api.good("GET", "/meetings?status=ENDED")
    assert ended["status"] == "ENDED" and ended["ended_at"].endswith("Z")


# -- files, usage, storages ------------------------------------------------------------------------------------


def uploaded(api: Api, folder: Path, **body: Any) -> dict[str, Any]:
    begun: dict[str, Any] = api.start(**body)
    for status in ("RECORDING", "UPLOADING"):
        api.report(begun["id"], status)
    info = recordings_jobs.recording_info(api.world.db, RecordingId(begun["id"]))
    assert info is not None
    entry_id = intake.take(api.world.db, api.world.root, info, folder / "result", composed(folder / "result"))
    tracks = [
        MediaFile(
            f"{name}.webm", "track_audio", "audio/webm", 1000, "ab", 1.0, api.world.ids[name], name.title()
        )
        for name in ("alice", "bob")
    ]
    audio = MediaFile("audio.m4a", "audio", "audio/mp4", 2000, "cd", 1.0)
    media_files.save_files(api.world.db, EntryId(entry_id), [audio, *tracks])
    api.report(begun["id"], "UPLOADED", entry_id)
    done: dict[str, Any] = api.good("GET", f"/recordings/{begun['id']}")
    return done


def test_all_files_of_a_recording_are_told(api: Api, tmp_path: Path) -> None:
    done = uploaded(api, tmp_path, tracks={"audio": True})
    assert [f["kind"] for f in done["files"]] == [
        "composite",
        "audio",
        "track_audio",
        "track_audio",
        "thumbnail",
    ]
    assert [f["title"] for f in done["files"][2:4]] == ["Alice", "Bob"]
    assert done["files"][2]["person_id"] == api.world.ids["alice"]
    assert done["download_url"] == done["files"][0]["download_url"]
    assert done["audio_download_url"] == done["files"][1]["download_url"]
    file = api.client.get(done["download_url"].removeprefix(BASE_URL))
    assert file.status_code == 200 and len(file.data) > 0


def test_webhooks_tell_the_files_of_an_uploaded_recording(api: Api, tmp_path: Path) -> None:
    hook = api.good("POST", "/webhooks", json=HOOK)
    done = uploaded(api, tmp_path, tracks={"audio": True})
    follower = Follower(api.world.db, View(api.world.db, "k", BASE_URL).uploaded)
    while follower.work():
        pass
    told = [
        api.good("GET", f"/webhooks/{hook['id']}/deliveries/{d['id']}")["body"] for d in deliveries(api, hook)
    ]
    assert [body["recording"]["status"] for body in told] == ["INVOKED", "RECORDING", "UPLOADING", "UPLOADED"]
    for body in told:
        StatusUpdate.model_validate_json(json.dumps(body))
    last = UploadedRecording.model_validate_json(json.dumps(told[-1]["recording"])).model_dump(mode="json")
    same = ("download_url", "audio_download_url", "files", "output_file_name", "file_size", "start_reason")
    assert {name: last[name] for name in same} == {name: done[name] for name in same}


def deliveries(api: Api, hook: dict[str, Any]) -> list[Any]:
    """Oldest first."""
    found: list[Any] = api.good("GET", f"/webhooks/{hook['id']}/deliveries")
    return found[::-1]


def test_usage_counts_by_course_and_month(api: Api, tmp_path: Path) -> None:
    uploaded(api, tmp_path)
    api.start(allow_multiple_recordings=True)
    (row,) = api.good("GET", "/usage")
    assert (row["course_id"], row["course_title"]) == (api.world.course, "Biology 101")
    assert row["month"] == f"{datetime.now(UTC):%Y-%m}"
    assert (row["recordings"], row["recorded_minutes"]) == (2, 1) and row["files"] >= 3
    assert row["bytes"] >= 4000
    assert api.good("GET", "/usage?from_month=2020-01&to_month=2020-12") == []
    for query in ("from_month=2026-13", "from_month=may", "from_month=2026-05&to_month=2026-04"):
        assert api.code("GET", f"/usage?{query}") == (422, "bad_value")
    assert api.ask("GET", "/usage?from_month=0001-01&to_month=9999-11")[0] == 200
    assert api.code("GET", "/usage?to_month=9999-12") == (422, "bad_value")
    assert api.code("GET", "/usage?to_month=0000-01") == (422, "bad_value")


def test_lists_are_the_same_on_postgresql(tmp_path: Path) -> None:
    with temporary_postgres(tmp_path) as url:
        upgrade(url)
        db = Database(url)
        course = people.upsert_course(db, "https://lms.test", "bio101", "Biology 101")
        rooms = RoomsService(db)
        session_id = rooms.open_session(course, "Biology 101", "Lecture")
        rooms.submit(ask(SYSTEM, c.StartRecording(MAIN_ROOM), session_id))
        (recording_id,) = rooms.state(session_id).recordings
        info = recordings_jobs.recording_info(db, recording_id)
        assert info is not None
        entry_id = intake.take(db, tmp_path / "library", info, tmp_path / "r", composed(tmp_path / "r"))
        media_files.save_files(
            db, entry_id, [MediaFile("a.m4a", "audio", "audio/mp4", 5, quality={"seconds": 2.5})]
        )
        wanted = Filter(course, session_id, search="lect", expired=False)
        (row,), total = find_recordings(db, wanted, 0, 10)
        assert total == 1 and View(db, "k", BASE_URL).recordings([row])[0].id == recording_id
        now = datetime.now(UTC)
        (used,) = usage_rows(db, course, None, None, now)
        assert (used.month, used.recordings, used.composer_seconds) == (f"{now:%Y-%m}", 1, 2)
        (meeting,), _ = find_meetings(db, MeetingFilter(course, True, "biology"), 0, 10)
        assert meeting.session_id == session_id
        rooms.close()
        db.close()


def test_storages_are_listed_without_credentials(api: Api) -> None:
    config = {"type": "s3", "bucket": "films", "endpoint_url": "http://127.0.0.1:1"}
    config |= {"access_key": "AKIAEXAMPLE", "secret": "very-secret"}
    ours = api.storages.create(f"course:{api.world.course}", config, name="Archive", dry_run=False)
    theirs = api.storages.create(f"course:{api.world.other}", config, dry_run=False)
    answer = api.client.get("/api/v1/storages", headers=api.key)
    assert b"AKIAEXAMPLE" not in answer.data and b"very-secret" not in answer.data
    (listed,) = answer.get_json()["data"]
    assert (listed["id"], listed["name"], listed["bucket"]) == (ours, "Archive", "films")
    assert api.code("POST", "/recordings", json={"meeting_id": api.session_id, "storage_ids": [theirs]}) == (
        404,
        "storage_unknown",
    )
    begun = api.start(storage_ids=[ours])
    assert begun["options"]["storage_ids"] == [ours]
    assert begun["copies"] == []


def test_a_storage_of_ones_own_is_tried_out_before_the_start(api: Api) -> None:
    config = {"type": "s3", "bucket": "films", "endpoint_url": "http://127.0.0.1:1"}
    config |= {"access_key": "AKIAEXAMPLE", "secret": "very-secret"}
    body = {"meeting_id": api.session_id, "storage_config": config}
    assert api.code("POST", "/recordings", charlies(api), json=body) == (403, "other_course")
    status, error = api.refusal("POST", "/recordings", json=body)
    assert (status, error["code"]) == (422, "storage_unusable") and "very-secret" not in str(error)
    assert api.rooms.state(api.session_id).recordings == {}


# -- webhooks --------------------------------------------------------------------------------------------------


def test_webhooks_are_set_up_changed_and_deleted(api: Api) -> None:
    made = api.good("POST", "/webhooks", json=HOOK)
    secret = made.pop("secret")
    path = f"/webhooks/{made['id']}"
    assert secret.startswith("whsec_") and made["course_id"] == api.world.course
    assert api.good("GET", path) == made and api.good("GET", "/webhooks") == [made]
    assert api.good("PATCH", path, json={"enabled": False})["enabled"] is False
    assert api.code("POST", f"{path}/test") == (409, "webhook_off")
    replaced = api.good("PUT", path, json={**HOOK, "name": "Other", "events": ["meeting.started"]})
    assert (replaced["name"], replaced["events"], replaced["enabled"]) == ("Other", ["meeting.started"], True)
    rotated = api.good("POST", f"{path}/secret", json={"keep_old_seconds": 60})
    assert rotated["secret"] != secret and rotated["old_secret_until"] is not None
    stored = b"".join(file.read_bytes() for file in api.world.root.parent.glob("test.db*"))
    assert secret.removeprefix("whsec_").encode() not in stored
    queued = api.good("POST", f"{path}/test")
    assert (queued["event"], queued["status"], queued["attempts"]) == ("webhook.test", "pending", 0)
    details = api.good("GET", f"{path}/deliveries/{queued['id']}")
    assert (details["body"]["event"], details["tries"]) == ("webhook.test", [])
    assert api.good("POST", f"{path}/deliveries/{queued['id']}/redeliver")["id"] == queued["id"]
    assert [d["id"] for d in api.good("GET", f"{path}/deliveries?status=pending")] == [queued["id"]]
    assert api.good("DELETE", path) is None
    assert api.code("GET", path) == (404, "webhook_unknown")
    assert api.good("GET", "/webhooks") == []
    assert {e["event"] for e in api.good("GET", "/webhooks/all")} > {"meeting.started"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://hooks.example.edu/"}, "url"),
        ({"url": "https://192.168.0.1/"}, "url"),
        ({"url": "nowhere"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["meeting.exploded"]}, "events.0"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"enabled": 1}, "enabled"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_bad_webhooks_are_refused(api: Api, change: dict[str, Any], field: str) -> None:
    status, error = api.refusal("POST", "/webhooks", json={**HOOK, **change})
    assert status in (400, 422) and error["facts"]["field"] == field
    made = api.good("POST", "/webhooks", json=HOOK)
    assert api.refusal("PATCH", f"/webhooks/{made['id']}", json=change)[1]["facts"]["field"] == field


def test_webhooks_of_another_course_do_not_exist(api: Api) -> None:
    key, made = charlies(api), api.good("POST", "/webhooks", json=HOOK)
    path, now = f"/webhooks/{made['id']}", datetime.now(UTC)
    message = NewMessage("msg_1", made["id"], None, "webhook.test", "k", "{}")
    delivery = f"{path}/deliveries/{put(api.world.db, message, now, now).delivery_id}"
    gone = (404, "webhook_unknown")
    assert api.ask("GET", "/webhooks", key)[1]["data"] == []
    for method, address, body in (
        ("GET", path, None),
        ("PUT", path, HOOK),
        ("PATCH", path, {"enabled": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/secret", {}),
        ("POST", f"{path}/test", None),
        ("GET", f"{path}/deliveries", None),
        ("GET", delivery, None),
        ("POST", f"{delivery}/redeliver", None),
    ):
        assert api.code(method, address, key, **({} if body is None else {"json": body})) == gone
    theirs = {**HOOK, "course_id": str(api.world.course)}
    assert api.code("POST", "/webhooks", key, json=theirs) == (403, "other_course")
    everywhere = bearer(create_key(api.world.db, "All", ALL)[1])
    nowhere = {**HOOK, "course_id": "c-unknown"}
    assert api.code("POST", "/webhooks", everywhere, json=nowhere) == (404, "course_unknown")
    assert api.code("POST", f"{path}/deliveries/9999/redeliver") == (404, "delivery_unknown")
    assert api.code("GET", f"{path}/deliveries/x") == (404, "delivery_unknown")


def test_there_are_not_endlessly_many_webhooks(api: Api) -> None:
    for _ in range(50):
        api.good("POST", "/webhooks", json=HOOK)
    assert api.code("POST", "/webhooks", json=HOOK) == (409, "too_many")
    everywhere = bearer(create_key(api.world.db, "All", ALL)[1])
    assert api.ask("POST", "/webhooks", everywhere, json=HOOK)[0] == 201, "another course's do not count"
