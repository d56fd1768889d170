"""An evening class bears that day's date everywhere: one zone, the course's, else the site's, else UTC and said so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlmodel import select

from api.app import ApiDeps, create_blueprint
from api.files import _download_name
from bot.blocks.recordings import listed
from library import intake
from library.storage import Storages
from library.storage_vault import Vault
from models.store import courses, library, people, recordings_jobs, recordings_list
from models.store.people import Arrival
from models.tables import RecordingRow, SessionRow, TransferRow
from models.values import RecordingId, Role
from recorder import cards
from recorder.options import CompositeOptions
from recorder.overlays import Overlays
from recorder.scene import Scene
from recorder.timeline import Timeline
from tests.librarykit import ISSUER, ReadingClient, World, composed, make_world
from tests.ltikit import LTI, running

pytestmark = pytest.mark.integration
EVENING = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)
"""Half past six in the evening of the 27th in Los Angeles."""
ANGELES = "America/Los_Angeles"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


def launched(world: World, zone: str) -> None:
    seen = Arrival(ISSUER, "olga", "Olga", "", "", "bio101", "Biology 101", "", 0, [], time_zone=zone)
    people.arrive(world.db, seen, lambda _: Role.MODERATOR)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(ANGELES, ANGELES), ("$Context.timezone", ""), ("nonsense", ""), (None, ""), (7, "")],
)
def test_the_zone_comes_with_the_launch(tmp_path: Path, sent: Any, kept: str) -> None:
    with running(tmp_path) as lti:
        answer = lti.launched(**{LTI + "custom": {"context_timezone": sent}})
        assert answer.status_code == 200
        course = people.upsert_course(lti.db, lti.lms, "bio101")
        assert courses.time_zone(lti.db, course) == kept
        lti.launched()
        assert courses.time_zone(lti.db, course) == kept, "a launch that tells none keeps what is known"


@pytest.mark.parametrize(
    ("course_zone", "site_zone", "day", "time"),
    [
        (ANGELES, "", "2026-11-27", "18:30"),
        (ANGELES, "Asia/Tokyo", "2026-11-27", "18:30"),
        ("", ANGELES, "2026-11-27", "18:30"),
        ("", "", "2026-11-28", "02:30 UTC"),
    ],
)
def test_an_evening_class_bears_that_day_everywhere(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    course_zone: str,
    site_zone: str,
    day: str,
    time: str,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # the server's own zone counts for nothing
    world.db.time_zone = site_zone
    if course_zone:
        launched(world, course_zone)
    folder = tmp_path / "copies"
    folder.mkdir()
    storages = Storages(world.db, Vault("ab" * 32))
    storages.create("site", {"type": "local", "path": str(folder)}, dry_run=False)
    recorded(world)
    taken = replace(world.recording(breakout=False), invoked_at=EVENING, started_at=EVENING)
    entry_id = intake.take(world.db, world.root, taken, tmp_path / "result", composed(tmp_path / "result"))
    # the library's title, page and download
    row = library.get_entry(world.db, entry_id)
    assert row is not None and row["title"] == "Main room"
    app = Flask("pages")
    app.test_client_class = ReadingClient
    app.register_blueprint(create_blueprint(ApiDeps(world.db, world.root, "links")))
    entry = app.test_client().get(f"/app/api/media/{entry_id}", headers=world.token("olga")).json
    assert entry is not None and entry["time_zone"] == (course_zone or site_zone or "UTC")
    spoken = time.replace(":", "-")
    assert _download_name(row, row["file_name"]) == f"Biology 101 - Main room - {day} {spoken}.mp4"
    # the folder at a storage
    with world.db.read() as session:
        folders = session.exec(select(TransferRow.folder)).all()
    assert len(folders) == 1 and f"{day}_{spoken.replace(' ', '-')}_Main-room" in folders[0]
    # the film
    info = recordings_jobs.recording_info(world.db, RecordingId("k1"))
    assert info is not None
    shown: list[str] = []
    monkeypatch.setattr(
        cards, "title_card", lambda _c, _r, date, w, h: shown.append(date) or cards.plain(w, h, (0, 0, 0))
    )
    monkeypatch.setattr(cards, "clock", lambda text, h: shown.append(text) or cards.plain(40, 20, (0, 0, 0)))
    options = CompositeOptions(time_zone=info.time_zone)
    overlays = Overlays(options.recording.width, options.recording.height, None, True, info.time_zone)
    made = Scene(timeline(), options, overlays)
    made._title()
    overlays.lay(made._canvas, round(EVENING.timestamp() * 1e6))
    assert shown == [f"{day} {time}", time.replace(":30", ":30:00")]
    # Slack
    listing, _ = recordings_list.find_recordings(world.db, recordings_list.Filter(), 0, 10)
    text = str(listed(asdict(listing[0]), EVENING))
    assert f"{day} {time}" in text


def timeline() -> Timeline:
    start = round(EVENING.timestamp() * 1e6)
    return Timeline(
        "k1", "Main room", "Lecture", "Biology 101", start, start + 10_000_000, (), (), {}, (), True
    )


def recorded(world: World) -> None:
    with world.db.write() as session:
        session.add(SessionRow(id="s1", course_id=world.course, title="Lecture", opened_at=EVENING))
        session.add(
            RecordingRow(
                id="k1",
                session_id="s1",
                course_id=world.course,
                room_id="main",
                room_name="Main room",
                status="UPLOADED",
                invoked_at=EVENING,
                started_at=EVENING,
            )
        )
