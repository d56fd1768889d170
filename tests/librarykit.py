"""A library with people and a real small video, for the tests of the library and its HTTP doors."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from a2wsgi import ASGIMiddleware
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import TestResponse

from api.files import Files
from library.values import CompositionFacts, RecordingInfo
from models.store import people
from models.store.access import Access, issue_token
from models.store.database import Database
from models.store.migrate import upgrade
from models.values import CourseId, PersonId, RecordingId, Role, RoomId, SessionId

ISSUER = "https://lms.test"
AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


class ReadingClient(FlaskClient):
    """Reads each answer to its end and closes it, so that no file stays open."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True, **kwargs})


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """Where all tests' ASGI applications run."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="tests.asgi", daemon=True).start()
    return loop


def mount_files(app: Flask, files: Files) -> None:
    """Lay the media files' ASGI application before a Flask one, as the web process does."""
    media = ASGIMiddleware(cast(Any, files), loop=_loop())
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/media": cast(Any, media)})  # type: ignore[method-assign]


def make_video(path: Path, seconds: int = 1) -> None:
    """A playable MP4 whose picture changes with each frame."""
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for number in range(seconds * 10):
            picture = np.full((90, 160, 3), number * 8 % 256, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))


def composed(folder: Path) -> CompositionFacts:
    """A result folder as the composer leaves it."""
    folder.mkdir(parents=True)
    make_video(folder / "video.mp4")
    (folder / "thumbnail.jpg").write_bytes(b"\xff\xd8 picture \xff\xd9")
    data = (folder / "video.mp4").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return CompositionFacts("video.mp4", 1.0, 160, 90, len(data), digest, thumbnail="thumbnail.jpg")


@dataclass(slots=True)
class World:
    """One course with Alice (moderator), Olga (moderator, starts recordings), Bob (student); Charlie moderates another.

    ``spaces`` is Olga's My Workspace.
    """

    db: Database
    root: Path
    course: CourseId
    other: CourseId
    spaces: CourseId
    ids: dict[str, PersonId]

    def recording(
        self, number: int = 1, *, breakout: bool = True, owner: str | None = "olga"
    ) -> RecordingInfo:
        return RecordingInfo(
            recording_id=RecordingId(f"k{number}"),
            session_id=SessionId("s1"),
            course_id=self.course,
            course_title="Biology 101",
            session_title="Lecture",
            room_id=RoomId("b1") if breakout else RoomId("main"),
            room_name=f"Room {number}" if breakout else "Main room",
            is_breakout=breakout,
            started_by=None if owner is None else self.ids[owner],
            invoked_at=AT,
            started_at=AT,
            stopped_at=AT,
            attempts=1,
        )

    def access(self, name: str, course: CourseId | None = None) -> Access:
        place = course or (self.other if name == "charlie" else self.course)
        role = people.membership_role(self.db, place, self.ids[name]) or Role.GUEST
        return Access("page", self.ids[name], place, role, name.title())

    def token(self, name: str, course: CourseId | None = None) -> dict[str, str]:
        return {"Authorization": "Bearer " + issue_token(self.db, self.access(name, course))}


@functools.cache
def _migrated() -> bytes:
    """An empty database of this version, made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        upgrade(f"sqlite:///{path}")
        assert not path.with_suffix(".db-wal").exists(), "everything is in the file"
        return path.read_bytes()


def make_world(folder: Path) -> World:
    url = f"sqlite:///{folder / 'test.db'}"
    (folder / "test.db").write_bytes(_migrated())
    db = Database(url)
    course = people.upsert_course(db, ISSUER, "bio101", "Biology 101")
    other = people.upsert_course(db, ISSUER, "his200", "History 200")
    spaces = people.upsert_course(db, ISSUER, "~olga", "My Workspace")
    names = ("alice", "olga", "bob", "charlie")
    ids = {name: people.upsert_person(db, ISSUER, name, name.title()) for name in names}
    for name, place, role in (
        ("alice", course, Role.MODERATOR),
        ("olga", course, Role.MODERATOR),
        ("olga", spaces, Role.MODERATOR),
        ("bob", course, Role.PARTICIPANT),
        ("charlie", other, Role.MODERATOR),
    ):
        people.upsert_membership(db, place, ids[name], role, [])
    return World(db, folder / "library", course, other, spaces, ids)
