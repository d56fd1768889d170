"""The practice LMS and our own keyset, each on a port of its own, for tests of the platform's services."""

from __future__ import annotations

import functools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify
from werkzeug.serving import make_server

from lti.claims import DEPLOYMENT_ID
from lti.services.note import note_launch
from models.store import lti as store
from models.store import people
from models.store.database import Database
from models.store.lti import Platform
from models.store.migrate import upgrade
from models.values import CourseId, PersonId, Role
from sandbox.lms.app import create_app as create_lms
from sandbox.lms.services import Services, service_claims
from sandbox.lms.setup import register_practice_platform
from sandbox.lms.world import PEOPLE, SITES, TOOLS
from server.ports_check import free_port


@dataclass(slots=True)
class Lms:
    """A course that has been launched from the practice LMS; ``services`` is the LMS's own side."""

    db: Database
    url: str
    tool_url: str
    platform: Platform
    services: Services
    course: CourseId = field(default=CourseId(""))

    def launch(self, key: str = "bio101", role: Role = Role.MODERATOR, **claims: Any) -> CourseId:
        """What a launch of a site leaves in the database."""
        context = SITES[key].context_id if key in SITES else key
        course = people.upsert_course(self.db, self.url, context, key.upper(), platform_id=self.platform.id)
        body = {**service_claims(self.url, context), DEPLOYMENT_ID: "1", **claims}
        note_launch(self.db, self.platform.id, course, context, role, body)
        return course

    def person(self, key: str) -> PersonId:
        return people.upsert_person(self.db, self.url, self.sub(key))

    def sub(self, key: str) -> str:
        """Somebody as the LMS names them; people whom it does not know too."""
        return f"{self.url}/user/{PEOPLE[key].user_id if key in PEOPLE else key}"

    def role(self, key: str) -> Role | None:
        return people.membership_role(self.db, self.course, self.person(key))

    def asked(self, service: str) -> int:
        return sum(1 for name, _ in self.services.asked if name == service)


@contextmanager
def serving(app: Flask, port: int) -> Iterator[None]:
    """A Flask application on a loopback port while the block runs."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@functools.cache
def _template() -> tuple[bytes, dict[str, bytes]]:
    """A migrated database with our keys in it, and the practice LMS's keys: made once, they take a second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'empty.db'}"
        upgrade(url)
        db = Database(url)
        store.tool_keys(db)
        db.close()
        create_lms("http://localhost", "http://localhost", folder)
        return (folder / "empty.db").read_bytes(), {p.name: p.read_bytes() for p in folder.glob("*.pem")}


@contextmanager
def practice_lms(folder: Path, url: str = "") -> Iterator[Lms]:
    """A fresh database, the practice LMS registered in it, and its course bio101 launched by a moderator."""
    database, pems = _template()
    (folder / "lms").mkdir()
    for name, pem in pems.items():
        (folder / "lms" / name).write_bytes(pem)
    if url:
        upgrade(url)
    else:
        (folder / "services.db").write_bytes(database)
        url = f"sqlite:///{folder / 'services.db'}"
    db = Database(url)
    port, tool_port = free_port(), free_port()
    lms_url, tool_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{tool_port}"
    tool = Flask("tool")

    def jwks() -> Response:
        return jsonify({"keys": [key.public_jwk for key in store.tool_keys(db)]})

    tool.add_url_rule("/lti/jwks.json", "jwks", jwks)
    app = create_lms(lms_url, tool_url, folder / "lms")
    register_practice_platform(db, lms_url)
    platform = store.find_platform(db, lms_url, TOOLS["room"].client_id)
    assert platform is not None
    lms = Lms(db, lms_url, tool_url, platform, app.extensions["services"])
    with serving(app, port), serving(tool, tool_port):
        lms.course = lms.launch()
        yield lms
    db.close()
