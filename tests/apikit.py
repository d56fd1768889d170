"""The integrators' API over a real rooms service, for its tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask, Response
from flask.testing import FlaskClient

from api.app import create_blueprints
from api.files import Files
from api.v1.limits import DEFAULT_LIMITS, Limits
from library.storage import Storages
from library.storage_vault import Vault
from models.store.keys import SCOPES, create_key
from models.values import SYSTEM, CommandId, RecordingId, SessionId
from rooms.commands import Envelope, ReportRecording
from rooms.service import RoomsService
from tests.librarykit import ReadingClient, World, make_world, mount_files
from webhooks.setup import Setup
from webhooks.signing import Seal

BASE_URL = "https://rooms.test"
ALL = tuple(sorted(SCOPES))
SEAL = Seal("5e" * 32)
VAULT = Vault("6f" * 32)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@dataclass(slots=True)
class Api:
    """``key`` is a key with every scope for the world's course; ``session_id`` a live session of it."""

    world: World
    rooms: RoomsService
    storages: Storages
    client: FlaskClient
    session_id: SessionId
    key: dict[str, str]

    def ask(self, method: str, path: str, key: dict[str, str] | None = None, **more: Any) -> tuple[int, Any]:
        headers = {**(self.key if key is None else key), **more.pop("headers", {})}
        answer = self.client.open("/api/v1" + path, method=method, headers=headers, **more)
        return answer.status_code, answer.get_json()

    def good(self, method: str, path: str, **more: Any) -> Any:
        status, body = self.ask(method, path, **more)
        assert status < 300 and body["success"] is True, body
        return body["data"]

    def refusal(self, *asked: Any, **more: Any) -> tuple[int, dict[str, Any]]:
        status, body = self.ask(*asked, **more)
        assert body["success"] is False, body
        return status, body["error"]

    def code(self, *asked: Any, **more: Any) -> tuple[int, str]:
        status, error = self.refusal(*asked, **more)
        return status, error["code"]

    def start(self, **body: Any) -> Any:
        status, answer = self.ask("POST", "/recordings", json={"meeting_id": self.session_id, **body})
        assert status == 201, answer
        return answer["data"]

    def report(self, recording_id: str, status: str, entry_id: str | None = None) -> None:
        command = ReportRecording(RecordingId(recording_id), status, entry_id=entry_id)
        self.rooms.submit(Envelope(CommandId(uuid4().hex), self.session_id, SYSTEM, command))

    def run_breakout(self) -> None:
        rooms = {"name": "create_rooms", "args": {"count": 2, "countdown_s": 0}}
        assert self.ask("POST", f"/sessions/{self.session_id}/commands", json=rooms)[0] == 200
        start = {"name": "start_breakout", "args": {}}
        assert self.ask("POST", f"/sessions/{self.session_id}/commands", json=start)[0] == 200


@contextmanager
def running_api(
    folder: Path,
    limits: Limits = DEFAULT_LIMITS,
    report_wait_s: float = 0.0,
    base_url: str = BASE_URL,
) -> Iterator[Api]:
    world = make_world(folder)
    rooms = RoomsService(world.db)
    storages = Storages(world.db, VAULT, allow_private=True)
    flask = Flask("test")
    flask.test_client_class = ReadingClient
    for blueprint in create_blueprints(
        db=world.db,
        rooms=rooms,
        library_root=world.root,
        link_key="k",
        base_url=base_url,
        webhooks=Setup(world.db, SEAL),
        storages=storages,
        limits=limits,
        reference=lambda: Response("the page that shows the document"),
        report_wait_s=report_wait_s,
    ):
        flask.register_blueprint(blueprint)
    files = Files(world.db, world.root, "k", storages)
    mount_files(flask, files)
    session_id = rooms.open_session(world.course, "Biology 101", "Lecture")
    key = bearer(create_key(world.db, "Campus", ALL, world.course)[1])
    yield Api(world, rooms, storages, flask.test_client(), session_id, key)
    files.close()
    rooms.close()
    world.db.close()
