"""What a client that was generated from another recording API's document relies on: statuses, sizes, deletion, refusals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.v1.recordings import REPORT_POLL_S
from library import intake
from models.store import people, recordings_jobs
from models.store.keys import create_key
from models.store.media_files import MediaFile
from models.values import RecordingId, Role
from recorder.byproducts import ByProducts
from rooms import commands as c
from server.composition import _facts, _stem
from tests.apikit import ALL, Api, bearer, running_api
from tests.librarykit import composed
from tests.people import ask

pytestmark = pytest.mark.integration


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path) as made:
        yield made


def charlies(api: Api) -> dict[str, str]:
    return bearer(create_key(api.world.db, "Charlie's", ALL, api.world.other)[1])


def act(api: Api, recording_id: str, action: str) -> Any:
    return api.good("PUT", f"/recordings/{recording_id}", json={"action": action})


def uploaded(api: Api, folder: Path, **body: Any) -> str:
    """A recording with its film in the library."""
    recording_id = str(api.start(**body)["id"])
    for status in ("RECORDING", "UPLOADING"):
        api.report(recording_id, status)
    info = recordings_jobs.recording_info(api.world.db, RecordingId(recording_id))
    assert info is not None
    result = folder / f"result-{recording_id}"
    entry_id = intake.take(api.world.db, api.world.root, info, result, composed(result))
    api.report(recording_id, "UPLOADED", entry_id)
    return recording_id


# -- pause, resume, stop ---------------------------------------------------------------------------------------


def test_an_action_answers_with_the_status_that_follows(api: Api) -> None:
    recording_id = api.start()["id"]
    api.report(recording_id, "RECORDING")
    # The recorder is slow, or not there: nothing is recorded in either case.
    assert act(api, recording_id, "pause")["status"] == "PAUSED"
    api.report(recording_id, "PAUSED")
    assert act(api, recording_id, "resume")["status"] == "RECORDING"
    api.report(recording_id, "RECORDING")
    assert act(api, recording_id, "stop")["status"] == "UPLOADING"
    assert api.good("GET", f"/recordings/{recording_id}")["stop_reason"]["reason"] == "API_CALL"


def test_an_action_waits_for_the_recorder_so_that_the_next_look_agrees(tmp_path: Path) -> None:
    with running_api(tmp_path, report_wait_s=10.0) as api:
        recording_id = api.start()["id"]
        api.report(recording_id, "RECORDING")
        for action, status in (("pause", "PAUSED"), ("resume", "RECORDING"), ("stop", "UPLOADING")):
            late = threading.Timer(4 * REPORT_POLL_S, api.report, (recording_id, status))
            late.start()
            assert act(api, recording_id, action)["status"] == status
            assert api.good("GET", f"/recordings/{recording_id}")["status"] == status
            late.join()


def test_a_group_answers_with_the_status_of_each(api: Api) -> None:
    api.run_breakout()
    group = api.start(all_rooms=True)
    for each in group["recordings"]:
        api.report(each["id"], "RECORDING")
    for action, status in (("pause", "PAUSED"), ("stop", "UPLOADING")):
        assert {r["status"] for r in act(api, group["id"], action)["recordings"]} == {status}


# -- files and sizes -------------------------------------------------------------------------------------------


def test_a_film_has_one_address_and_its_own_size(api: Api, tmp_path: Path) -> None:
    found = api.good("GET", f"/recordings/{uploaded(api, tmp_path)}")
    (film,) = [file for file in found["files"] if file["kind"] == "composite"]
    assert (found["download_url"], found["file_size"]) == (film["download_url"], film["file_size"])
    assert found["total_size"] == sum(file["file_size"] for file in found["files"]) > found["file_size"]


def test_tracks_have_an_address_and_a_size_each_and_none_passes_for_the_whole(
    api: Api, tmp_path: Path
) -> None:
    body = {"meeting_id": api.session_id}
    recording_id = api.good("POST", "/recordings/track", json=body)["id"]
    for status in ("RECORDING", "UPLOADING"):
        api.report(recording_id, status)
    info = recordings_jobs.recording_info(api.world.db, RecordingId(recording_id))
    assert info is not None
    result = tmp_path / "tracks"
    result.mkdir()
    tracks = []
    for name, size, start in (("alice", 4000, 0.0), ("bob", 2500, 12.5)):
        (result / f"{name}.webm").write_bytes(b"x" * size)
        offsets = {"start_offset": start, "end_offset": 60.0}
        tracks.append(
            MediaFile(f"{name}.webm", "track_audio", "audio/webm", size, "s", 60.0, name, name, offsets)
        )
    facts = _facts(None, ByProducts(files=tracks))
    entry_id = intake.take(api.world.db, api.world.root, info, result, facts)
    api.report(recording_id, "UPLOADED", entry_id)
    found = api.good("GET", f"/recordings/{recording_id}")
    assert (found["download_url"], found["output_file_name"], found["file_size"]) == (None, None, None)
    assert found["total_size"] == 6500 and found["download_url_expiry"] is not None
    told = [(f["person_id"], f["file_size"], f["start_offset"], f["end_offset"]) for f in found["files"]]
    assert told == [("alice", 4000, 0.0, 60.0), ("bob", 2500, 12.5, 60.0)]
    for file in found["files"]:
        path = file["download_url"].removeprefix("https://rooms.test")
        assert len(api.client.get(path).data) == file["file_size"]


def test_a_prefix_begins_the_films_name(api: Api) -> None:
    begun = api.start(file_name_prefix="week_7")
    info = recordings_jobs.recording_info(api.world.db, RecordingId(begun["id"]))
    assert info is not None
    options = api.rooms.state(api.session_id).recordings[RecordingId(begun["id"])].options
    stamp = round(info.invoked_at.timestamp() * 1000)
    assert _stem(info, options) == f"week_7_Main-room_{stamp}"
    assert _stem(replace(info, room_name="Éléonore & co. / 2"), options) == f"week_7_Eleonore-co-2_{stamp}"
    assert _stem(replace(info, room_name="会议室"), options) == f"week_7_room_{stamp}"
    assert _stem(info, replace(options, file_name_prefix="")) == "recording"


# -- the library by REST ---------------------------------------------------------------------------------------


def test_a_recording_is_renamed_published_and_deleted(api: Api, tmp_path: Path) -> None:
    path = f"/recordings/{uploaded(api, tmp_path)}"
    before = api.good("GET", path)
    assert before["published"] is True and before["deleted"] is False and before["title"]
    changed = api.good("PATCH", path, json={"title": " Cell  division ", "published": False})
    assert (changed["title"], changed["published"]) == ("Cell division", False)
    assert api.good("PATCH", path, json={"published": True})["title"] == "Cell division"
    for bad in ({}, {"title": ""}, {"title": "x" * 201}):
        assert api.code("PATCH", path, json=bad) == (422, "bad_value")
    gone = api.good("DELETE", path)
    assert gone["deleted"] is True and gone["status"] == "UPLOADED"
    assert (gone["files"], gone["download_url"], gone["file_size"]) == ([], None, None)
    assert api.good("GET", path)["deleted"] is True
    assert not any((api.world.root).glob("*/video.mp4"))
    assert api.code("DELETE", path) == (404, "recording_unknown")
    assert api.code("PATCH", path, json={"title": "Again"}) == (404, "recording_unknown")


def test_only_what_is_finished_and_of_the_keys_course_is_changed(api: Api, tmp_path: Path) -> None:
    running = api.start()["id"]
    for status in (None, "RECORDING", "UPLOADING"):
        if status is not None:
            api.report(running, status)
        assert api.code("PATCH", f"/recordings/{running}", json={"title": "x"}) == (409, "still_recording")
        assert api.code("DELETE", f"/recordings/{running}") == (409, "still_recording")
    info = recordings_jobs.recording_info(api.world.db, RecordingId(running))
    assert info is not None
    intake.ensure_processing_entry(api.world.db, info)
    assert api.code("DELETE", f"/recordings/{running}") == (409, "still_recording")
    ready, key = f"/recordings/{uploaded(api, tmp_path, room_id='main')}", charlies(api)
    assert api.code("PATCH", ready, key, json={"title": "Mine"}) == (404, "recording_unknown")
    assert api.code("DELETE", ready, key) == (404, "recording_unknown")
    reader = bearer(create_key(api.world.db, "Reader", ("recordings:read",), api.world.course)[1])
    assert api.code("PATCH", ready, reader, json={"title": "Mine"}) == (403, "not_allowed")
    assert api.code("DELETE", ready, reader) == (403, "not_allowed")
    assert api.good("GET", ready)["files"]


def test_who_is_in_a_meeting(api: Api) -> None:
    alice, bob = api.world.access("alice").actor, api.world.access("bob").actor
    for person, role in ((alice, Role.MODERATOR), (bob, Role.PARTICIPANT)):
        api.rooms.submit(ask(person, c.EnterSession(person.name, role), api.session_id))
    api.rooms.submit(ask(bob, c.SetMedia(mic=True), api.session_id))
    path = f"/meetings/{api.session_id}/participants"
    told = [
        (p["name"], p["role"], p["room_name"], p["online"], p["microphone"]) for p in api.good("GET", path)
    ]
    assert told == [
        ("Alice", "moderator", "Main room", True, False),
        ("Bob", "participant", "Main room", True, True),
    ]
    assert bob.person_id is not None
    api.rooms.submit(ask(bob, c.LeaveSession(bob.person_id), api.session_id))
    assert [p["name"] for p in api.good("GET", f"{path}?online=true")] == ["Alice"]
    assert [p["name"] for p in api.good("GET", f"{path}?per_page=1&page_no=1")] == ["Bob"]
    assert api.code("GET", path, charlies(api)) == (404, "no_session")


# -- what is asked ---------------------------------------------------------------------------------------------


def test_search_finds_the_courses_title(api: Api) -> None:
    session_id = api.rooms.open_session(api.world.course, "Biology 101", "Room", "other")
    begun = api.good("POST", "/recordings", json={"meeting_id": session_id})
    for words in ("biology", "Room", session_id):
        assert begun["id"] in [r["id"] for r in api.good("GET", f"/recordings?search={words}")], words
    assert api.good("GET", "/recordings?search=chemistry") == []
    assert api.good("GET", "/recordings?search=biology&sort_by=invokedTime&sort_order=ASC")


@pytest.mark.parametrize("codec", ["AAC", "MP3", None])
def test_a_webm_has_opus_whatever_is_asked(api: Api, codec: str | None) -> None:
    more = {} if codec is None else {"audio_config": {"codec": codec}}
    begun = api.start(video_config={"codec": "VP8"}, **more)
    assert begun["options"]["audio_config"]["codec"] == "OPUS"
    assert api.rooms.state(api.session_id).recordings[begun["id"]].options.audio_codec == "OPUS"


def test_people_who_are_not_there_are_not_recorded_into_an_empty_file(api: Api) -> None:
    known, stranger = api.world.ids["bob"], api.world.ids["charlie"]
    body = {"meeting_id": api.session_id, "person_ids": [known, stranger]}
    status, error = api.refusal("POST", "/recordings/track", json=body)
    assert (status, error["code"]) == (404, "person_unknown")
    assert error["facts"] == {"field": "person_ids", "person_id": stranger}
    film = {"meeting_id": api.session_id, "tracks": {"audio": True, "person_ids": ["nobody"]}}
    assert api.code("POST", "/recordings", json=film) == (404, "person_unknown")
    assert api.code("POST", "/recordings/track", charlies(api), json=body) == (403, "other_course")
    assert api.good("GET", "/recordings") == []
    begun = api.good("POST", "/recordings/track", json={**body, "person_ids": [known]})
    assert begun["options"]["tracks"]["person_ids"] == [known]


def test_a_guest_of_the_meeting_is_known(api: Api) -> None:
    person_id = people.upsert_person(api.world.db, "guests", "gina", "Gina")
    guest = replace(api.world.access("bob").actor, person_id=person_id, name="Gina", role=Role.GUEST)
    api.rooms.submit(ask(guest, c.EnterSession("Gina", Role.GUEST), api.session_id))
    body = {"meeting_id": api.session_id, "person_ids": [person_id]}
    assert api.good("POST", "/recordings/track", json=body)["status"] == "INVOKED"


def test_refusals_say_whether_another_try_can_help(api: Api) -> None:
    api.start()
    again = {"meeting_id": api.session_id}
    for method, path, more in (
        ("POST", "/recordings", {"json": again}),
        ("POST", "/recordings", {"json": {}}),
        ("GET", "/recordings/none", {}),
        ("GET", "/nothing", {}),
        ("DELETE", "/recordings", {}),
        ("GET", "/recordings", {"headers": {"Authorization": "Bearer wrong"}}),
    ):
        answer = api.client.open("/api/v1" + path, method=method, **{"headers": api.key, **more})
        assert answer.status_code >= 400
        assert answer.headers["x-should-retry"] == "false", path
