"""Every action of the recording API in every state of a recording: legal, or refused with its code. And every bad field."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from models.values import MAIN_ROOM, Role
from rooms import commands as c
from tests.apikit import Api, running_api
from tests.people import ask

pytestmark = pytest.mark.integration
_rooms = count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture
def api(shared: Api) -> Api:
    """With a session of its own."""
    shared.session_id = shared.rooms.open_session(
        shared.world.course, "Biology 101", "Lecture", f"room-{next(_rooms)}"
    )
    return shared


# What is done and reported, so that a recording is in this state.
STATES: dict[str, tuple[str, ...]] = {
    "INVOKED": (),
    "RECORDING": ("=RECORDING",),
    "PAUSED": ("=RECORDING", "pause", "=PAUSED"),
    "stopping": ("=RECORDING", "stop"),
    "UPLOADING": ("=RECORDING", "stop", "=UPLOADING"),
    "UPLOADED": ("=RECORDING", "stop", "=UPLOADING", "=UPLOADED"),
    "ERRORED": ("=RECORDING", "=ERRORED"),
}
OVER = ("UPLOADING", "UPLOADED", "ERRORED")
NOTHING = (409, "nothing_recording")
BUSY = (409, "already_recording")


def expected(action: str, state: str) -> int | tuple[int, str]:
    is_over = state in (*OVER, "stopping")
    if action in ("start", "track"):
        return 201 if is_over else BUSY
    if action == "start another":
        return 201
    if action in ("details", "list", "compositions"):
        return 200
    if action == "active":
        return (404, "recording_unknown") if state in OVER else 200
    if action == "compose again":
        return 202 if state in OVER else (409, "still_recording")
    if is_over:
        return NOTHING
    if action == "pause":
        return (409, "already_paused") if state == "PAUSED" else 200
    if action == "resume":
        return 200 if state == "PAUSED" else (409, "not_paused")
    return 200


ACTIONS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "start": ("POST", "/recordings", {"meeting_id": "SESSION"}),
    "start another": (
        "POST",
        "/recordings",
        {"meeting_id": "SESSION", "allow_multiple_recordings": True},
    ),
    "track": ("POST", "/recordings/track", {"meeting_id": "SESSION"}),
    "pause": ("PUT", "/recordings/ID", {"action": "pause"}),
    "resume": ("PUT", "/recordings/ID", {"action": "resume"}),
    "stop": ("PUT", "/recordings/ID", {"action": "stop"}),
    "layout": ("PUT", "/recordings/ID/layout", {"layout": "speaker"}),
    "compose again": ("POST", "/recordings/ID/compositions", {"layout": "speaker"}),
    "compositions": ("GET", "/recordings/ID/compositions", None),
    "details": ("GET", "/recordings/ID", None),
    "active": ("GET", "/recordings/active-recording/SESSION", None),
    "list": ("GET", "/recordings?meeting_id=SESSION", None),
}


def brought_to(api: Api, state: str) -> str:
    recording_id: str = api.start()["id"]
    for step in STATES[state]:
        if step.startswith("="):
            api.report(recording_id, step[1:])
        else:
            api.good("PUT", f"/recordings/{recording_id}", json={"action": step})
    return recording_id


def asked(api: Api, action: str, recording_id: str) -> int | tuple[int, str]:
    method, path, body = ACTIONS[action]
    path = path.replace("ID", recording_id).replace("SESSION", api.session_id)
    more = (
        {}
        if body is None
        else {"json": {k: api.session_id if v == "SESSION" else v for k, v in body.items()}}
    )
    status, answer = api.ask(method, path, **more)
    return status if status < 300 else (status, answer["error"]["code"])


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_in_every_state(api: Api, action: str, state: str) -> None:
    recording_id = brought_to(api, state)
    assert asked(api, action, recording_id) == expected(action, state)


@pytest.mark.parametrize("action", [a for a, (_, path, _) in ACTIONS.items() if "ID" in path])
def test_unknown_recordings_are_unknown(api: Api, action: str) -> None:
    assert asked(api, action, "nobody") == (404, "recording_unknown")


def test_all_actions_end_with_the_session(api: Api) -> None:
    recording_id = brought_to(api, "RECORDING")
    end = {"name": "end_session", "args": {}}
    api.good("POST", f"/sessions/{api.session_id}/commands", json=end)
    assert asked(api, "start", recording_id) == (409, "session_ended")
    api.report(recording_id, "UPLOADING")
    stopped = api.good("GET", f"/recordings/{recording_id}")
    assert stopped["stop_reason"]["reason"] == "SESSION_ENDED"


# -- every field -----------------------------------------------------------------------------------------------

VIDEO = "video_config"
BAD_FIELDS: list[tuple[dict[str, Any], str, int | None, int | None]] = [
    ({"max_seconds": 59}, "max_seconds", 60, 86_400),
    ({"max_seconds": 86_401}, "max_seconds", 60, 86_400),
    ({"empty_stop_seconds": -1}, "empty_stop_seconds", 0, 3600),
    ({"empty_stop_seconds": 3601}, "empty_stop_seconds", 0, 3600),
    ({VIDEO: {"width": 62}}, f"{VIDEO}.width", 64, 1920),
    ({VIDEO: {"width": 1922}}, f"{VIDEO}.width", 64, 1920),
    ({VIDEO: {"height": 101}}, f"{VIDEO}.height", 64, 1920),
    ({VIDEO: {"fps": 60}}, f"{VIDEO}.fps", None, None),
    ({VIDEO: {"codec": "VP9"}}, f"{VIDEO}.codec", None, None),
    ({VIDEO: {"watermark": {"url": "ftp://x"}}}, f"{VIDEO}.watermark.url", None, None),
    (
        {VIDEO: {"watermark": {"url": "https://x", "size": {"width": 5000}}}},
        f"{VIDEO}.watermark.size.width",
        0,
        1920,
    ),
    (
        {VIDEO: {"watermark": {"url": "https://x", "position": "middle"}}},
        f"{VIDEO}.watermark.position",
        None,
        None,
    ),
    ({"audio_config": {"codec": "OPUS"}}, "audio_config.codec", None, None),
    ({"audio_config": {"codec": "FLAC"}}, "audio_config.codec", None, None),
    ({"audio_config": {"channel": "5.1"}}, "audio_config.channel", None, None),
    ({VIDEO: {"codec": "H264"}, "audio_config": {"codec": "OPUS"}}, "audio_config.codec", None, None),
    ({"layout": "circle"}, "layout", None, None),
    ({"file_name_prefix": "a-b"}, "file_name_prefix", None, None),
    ({"file_name_prefix": "x" * 65}, "file_name_prefix", None, None),
    ({"tracks": {"person_ids": ["p"] * 101}}, "tracks.person_ids", 0, 100),
    ({"storage_ids": ["s"] * 9}, "storage_ids", 0, 8),
    ({"storage_config": {"type": "gcs"}}, "storage_config.type", None, None),
    ({"storage_config": {"type": "aws", "bucket": "b"}}, "storage_config.access_key", None, None),
    ({"room_id": ""}, "room_id", 1, 100),
]


@pytest.mark.parametrize(("body", "field", "least", "most"), BAD_FIELDS)
def test_what_is_out_of_range_is_refused_with_its_field_and_range(
    api: Api, body: dict[str, Any], field: str, least: int | None, most: int | None
) -> None:
    status, error = api.refusal("POST", "/recordings", json={"meeting_id": api.session_id, **body})
    assert (status, error["code"]) == (422, "bad_value")
    assert error["facts"]["field"] == field
    assert (error["facts"].get("least"), error["facts"].get("most")) == (least, most)
    assert error["message"] and (least is None or str(most) in error["message"])
    assert api.rooms.state(api.session_id).recordings == {}


UNREADABLE: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour"),
    ({VIDEO: {"bitrate": 5}}, f"{VIDEO}.bitrate"),
    ({VIDEO: {"width": "1280"}}, f"{VIDEO}.width"),
    ({VIDEO: {"width": True}}, f"{VIDEO}.width"),
    ({VIDEO: {"export_file": 1}}, f"{VIDEO}.export_file"),
    ({VIDEO: "H264"}, VIDEO),
    ({"max_seconds": 60.5}, "max_seconds"),
    ({"rtmp_out_config": {}}, "rtmp_out_config"),
    ({"allow_multiple_recordings": "yes"}, "allow_multiple_recordings"),
    ({"tracks": {"person_ids": [7]}}, "tracks.person_ids.0"),
    ({"storage_ids": "s1"}, "storage_ids"),
]


@pytest.mark.parametrize(("body", "field"), UNREADABLE)
def test_what_cannot_be_read_is_refused_with_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    status, error = api.refusal("POST", "/recordings", json={"meeting_id": api.session_id, **body})
    assert (status, error["code"], error["facts"]["field"]) == (400, "bad_command", field)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"[" * 5000,
        b"\xff",
        b'{"meeting_id": "\\ud800"}',
        b'{"meeting_id": "\\u0000"}',
    ],
)
def test_bodies_that_are_no_objects_are_refused(api: Api, data: bytes) -> None:
    for path in ("/recordings", "/recordings/track"):
        assert api.code("POST", path, data=data) == (400, "bad_command")


def test_every_option_reaches_the_recording_and_comes_back(api: Api) -> None:
    everybody = (api.world.ids["alice"], api.world.ids["bob"])
    options = {
        "layout": "stage",
        "video_config": {
            "codec": "VP8",
            "width": 720,
            "height": 1280,
            "fps": 25,
            "export_file": True,
            "watermark": {
                "url": "https://campus.example.edu/mark.png",
                "size": {"width": 120, "height": 0},
                "position": "right bottom",
            },
        },
        "audio_config": {"codec": "OPUS", "channel": "mono", "export_file": False},
        "tracks": {"audio": True, "video": True, "person_ids": list(everybody)},
        "names": False,
        "muted_mark": False,
        "title_card": True,
        "clock": True,
        "chapters": False,
        "max_seconds": 3600,
        "file_name_prefix": "week_7",
        "empty_stop_seconds": 0,
        "storage_override": False,
    }
    begun = api.start(**options)
    assert {**options, "storage_ids": []} == begun["options"]
    assert (begun["layout"], begun["start_reason"]["reason"]) == ("stage", "API_CALL")
    assert begun["start_reason"]["caller"] == {"type": "ORGANIZATION", "name": "Campus", "person_id": None}
    kept = api.rooms.state(api.session_id).recordings[begun["id"]].options
    assert (kept.width, kept.height, kept.fps, kept.empty_stop_s, kept.audio_channels) == (
        720,
        1280,
        25,
        0,
        1,
    )
    assert kept.watermark is not None and kept.watermark.position == "right bottom"
    assert kept.people == everybody


def test_tracks_only(api: Api) -> None:
    bob = api.world.ids["bob"]
    body = {"meeting_id": api.session_id, "person_ids": [bob], "max_seconds": 60}
    status, answer = api.ask("POST", "/recordings/track", json=body)
    assert status == 201 and answer["data"]["type"] == "TRACK"
    assert answer["data"]["options"]["tracks"] == {"audio": True, "video": False, "person_ids": [bob]}
    nothing = {"meeting_id": api.session_id, "audio": False, "allow_multiple_recordings": True}
    status, error = api.refusal("POST", "/recordings/track", json=nothing)
    assert (status, error["facts"]["field"]) == (422, "audio")
    assert api.code("POST", "/recordings/track", json={**body, "person_ids": ["p"] * 101}) == (
        422,
        "bad_value",
    )


def test_a_layout_is_changed_while_it_records(api: Api) -> None:
    begun = api.start()
    changed = api.good("PUT", f"/recordings/{begun['id']}/layout", json={"layout": "speaker"})
    assert (changed["layout"], changed["options"]["layout"]) == ("speaker", "grid")
    bad = {"layout": "circle"}
    assert api.code("PUT", f"/recordings/{begun['id']}/layout", json=bad) == (422, "bad_value")


def test_one_call_records_rooms_that_are_opened_later(api: Api) -> None:
    api.run_breakout()
    group = api.start(all_rooms=True)
    assert len(group["recordings"]) == 2
    add = {"name": "add_rooms", "args": {"count": 1}}
    api.good("POST", f"/sessions/{api.session_id}/commands", json=add)
    room = api.rooms.state(api.session_id).breakout_rooms[-1]
    alice = api.world.access("alice").actor
    api.rooms.submit(ask(alice, c.EnterSession("Alice", Role.MODERATOR), api.session_id))
    api.rooms.submit(ask(alice, c.JoinRoom(room.room_id), api.session_id))
    found = api.good("GET", f"/recordings/{group['id']}")
    late = [r for r in found["recordings"] if r["room_id"] == room.room_id]
    assert len(found["recordings"]) == 3 and late[0]["start_reason"]["reason"] == "BREAKOUT"
    stopped = api.good("PUT", f"/recordings/{group['id']}", json={"action": "stop"})
    assert {r["stop_reason"]["reason"] for r in stopped["recordings"]} == {"API_CALL"}
    assert MAIN_ROOM not in {r["room_id"] for r in found["recordings"]}
    other = api.rooms.state(api.session_id).breakout_rooms[0]
    api.rooms.submit(ask(alice, c.JoinRoom(other.room_id), api.session_id))
    after = api.rooms.state(api.session_id)
    assert after.record_all is None and len(after.recordings) == 3, "rooms entered later stay unrecorded"


def test_another_film_is_asked_for(api: Api) -> None:
    recording_id = brought_to(api, "UPLOADED")
    path = f"/recordings/{recording_id}/compositions"
    asked_for = {"layout": "stage", "video_config": {"width": 640, "height": 360}}
    status, answer = api.ask("POST", path, json=asked_for)
    assert status == 202 and answer["data"]["options"] == asked_for
    assert api.good("GET", path) == [answer["data"]]
    assert api.code("POST", path, json={}) == (422, "bad_value")
    assert api.code("POST", path, json={"max_seconds": 60}) == (400, "bad_command")
    mixed = {"video_config": {"codec": "H264"}, "audio_config": {"codec": "OPUS"}}
    status, error = api.refusal("POST", path, json=mixed)
    assert (status, error["facts"]["field"]) == (422, "audio_config.codec")
