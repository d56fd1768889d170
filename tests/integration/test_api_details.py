"""The page of one recording: chapters for who may watch, separate files and the quality report for who may edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import ApiDeps, create_blueprint
from library import intake
from models.store.media_files import MediaFile
from models.values import EntryId
from tests.librarykit import World, composed, make_world

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def client(world: World) -> FlaskClient:
    app = Flask("test")
    app.register_blueprint(create_blueprint(ApiDeps(world.db, world.root, "link-key")))
    return app.test_client()


@pytest.fixture
def entry_id(world: World, tmp_path: Path) -> EntryId:
    """A film with chapters, Bob's sound, and a report."""
    out = tmp_path / "result"
    facts = composed(out)
    (out / "chapters.vtt").write_text("WEBVTT\n")
    (out / "default_bob_p1_peer_audio_1.webm").write_bytes(b"opus")
    told = [{"at_s": 0.0, "title": "Start"}, {"at_s": 5.0, "title": "Bob came in"}]
    files = (
        MediaFile("chapters.vtt", "chapters", "text/vtt", 7, quality={"chapters": told}),
        MediaFile(
            "default_bob_p1_peer_audio_1.webm",
            "track_audio",
            "audio/webm",
            4,
            "ab",
            1.0,
            str(world.ids["bob"]),
            "Bob",
            {"warnings": ["short"]},
        ),
    )
    quality: dict[str, object] = {"lost_packets": 3, "av_offset_ms": {"checked": 9, "p50": 4.0, "p95": 11.0}}
    taken = replace(facts, files=files, quality=quality, warnings=("the camera of Bob stood still for 8 s",))
    return intake.take(world.db, world.root, world.recording(), out, taken)


def shown(client: FlaskClient, world: World, entry_id: EntryId, who: str) -> Any:
    answer = client.get(f"/app/api/media/{entry_id}", headers=world.token(who))
    return answer.get_json() if answer.status_code == 200 else answer.status_code


def test_moderators_see_chapters_files_and_the_report(
    client: FlaskClient, world: World, entry_id: EntryId
) -> None:
    page = shown(client, world, entry_id, "alice")
    assert [chapter["title"] for chapter in page["chapters"]] == ["Start", "Bob came in"]
    assert page["chapters_url"].startswith(f"/media/{entry_id}/chapters.vtt?exp=")
    [track] = page["tracks"]
    assert (track["kind"], track["title"], track["warnings"]) == ("track_audio", "Bob", ["short"])
    assert "download=1" in track["download_url"]
    assert page["quality"]["av_offset_ms"]["p95"] == 11.0 and len(page["quality"]["sha256"]) == 64
    assert "thumbnail" not in page["quality"] and page["warnings"] == [
        "the camera of Bob stood still for 8 s"
    ]


def test_bob_sees_the_chapters_and_neither_files_nor_report_and_charlie_sees_nothing(
    client: FlaskClient, world: World, entry_id: EntryId
) -> None:
    page = shown(client, world, entry_id, "bob")
    assert len(page["chapters"]) == 2 and page["tracks"] == [] and page["quality"] is None
    assert shown(client, world, entry_id, "charlie") == 404


def test_a_recording_of_tracks_lists_all_of_them(client: FlaskClient, world: World, tmp_path: Path) -> None:
    out = tmp_path / "tracks"
    out.mkdir()
    names = [f"default_{who}_p1_peer_audio_1.webm" for who in ("alice", "bob")]
    for name in names:
        (out / name).write_bytes(b"opus")
    files = tuple(MediaFile(name, "track_audio", "audio/webm", 4, title=name[8:11]) for name in names)
    facts = replace(
        composed(tmp_path / "x"), file_name=names[0], mime="audio/webm", thumbnail=None, files=files
    )
    entry_id = intake.take(world.db, world.root, world.recording(2), out, facts)
    assert [track["name"] for track in shown(client, world, entry_id, "alice")["tracks"]] == names


def test_films_that_were_asked_for_afterwards_are_told_to_who_may_edit(
    client: FlaskClient, world: World, entry_id: EntryId
) -> None:
    asked = {
        "c1": ("waiting", 0.25, "2026-05-04 10:41:00+00:00", None),
        "c2": ("failed", 0.0, None, "Not kept any more."),
        "c3": ("done", 1.0, None, None),
    }
    with world.db.write() as session:
        for film_id, (status, progress, eta_at, error) in asked.items():
            session.connection().exec_driver_sql(
                "INSERT INTO composition (id, recording_id, options, status, progress, eta_at, error, file_name, lease_owner,"
                " attempts, created_at) VALUES (?, 'k1', '{\"layout\": \"stage\"}', ?, ?, ?, ?, '', '', 1, '2026-05-04')",
                (film_id, status, progress, eta_at, error),
            )
    waiting, failed = shown(client, world, entry_id, "alice")["coming"]
    assert (waiting["id"], waiting["options"], waiting["progress"]) == ("c1", {"layout": "stage"}, 0.25)
    assert waiting["ready_at"].startswith("2026-05-04T10:41:00")
    assert (failed["id"], failed["error"]) == ("c2", "Not kept any more.")
    assert shown(client, world, entry_id, "bob")["coming"] == []
    assert shown(client, world, entry_id, "charlie") == 404
