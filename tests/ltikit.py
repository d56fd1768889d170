"""Our LTI door and the practice LMS, each on a port of its own, for integration tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, Response, send_from_directory
from werkzeug.serving import make_server

from api import uploads
from api.app import ApiDeps
from api.app import create_blueprint as media_blueprint
from api.files import Files
from library.storage import Storages
from library.storage_vault import Vault
from library.uploads import Uploads
from lti.app import create_blueprint
from lti.deps import LtiDeps
from models.store.database import Database
from models.store.migrate import upgrade
from rooms.service import RoomsService
from sandbox.lms import keys
from sandbox.lms.app import create_app as create_lms
from sandbox.lms.client import LaunchedPage
from sandbox.lms.setup import register_practice_platform
from sandbox.lms.state import Platform
from sandbox.lms.world import PEOPLE, TOOLS
from server.ports_check import free_port
from tests.librarykit import mount_files

LTI = "https://purl.imsglobal.org/spec/lti/claim/"
CLIENT = TOOLS["room"].client_id
LINK_KEY = "a key of the tests that signs links"


@dataclass
class World:
    """``lms`` is the practice LMS's address, ``practice`` what it remembers; ``url`` is ours."""

    db: Database
    rooms: RoomsService
    url: str
    lms: str
    key: rsa.RSAPrivateKey
    practice: Platform
    library: Path
    browser: requests.Session = field(default_factory=requests.Session)
    """Keeps the cookies, as a browser that allows them does."""

    def sub(self, key: str) -> str:
        """A person of the practice LMS as launches name them."""
        return f"{self.lms}/user/{PEOPLE[key].user_id}"

    def login(self, **changes: str) -> dict[str, str]:
        """Begin a login; returns state and nonce of the redirect."""
        query = {
            "iss": self.lms,
            "login_hint": "aGludA==",
            "client_id": CLIENT,
            "target_link_uri": f"{self.url}/lti/launch",
        }
        answer = self.browser.get(
            f"{self.url}/lti/login", params=query | changes, allow_redirects=False, timeout=60
        )
        assert answer.status_code == 302, answer.text
        found = parse_qs(urlsplit(answer.headers["Location"]).query)
        return {"state": found["state"][0], "nonce": found["nonce"][0]}

    def claims(self, nonce: str, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        body = {
            "iss": self.lms,
            "aud": CLIENT,
            "sub": f"{self.lms}/user/zoe",
            "iat": now,
            "exp": now + 3600,
            "nonce": nonce,
            "name": "Zoe Secretname",
            LTI + "message_type": "LtiResourceLinkRequest",
            LTI + "version": "1.3.0",
            LTI + "deployment_id": "1",
            LTI + "target_link_uri": f"{self.url}/lti/launch",
            LTI + "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"],
            LTI + "resource_link": {"id": "content:1", "title": "Room"},
            LTI + "context": {"id": "bio101", "title": "BIO 101"},
        }
        for key, value in changes.items():
            key = LTI + key if LTI + key in body else key
            if value is None:
                body.pop(key, None)
            else:
                body[key] = value
        return body

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": keys.KID, **headers})

    def post(self, token: str, state: str) -> requests.Response:
        data = {"id_token": token, "state": state}
        return self.browser.post(f"{self.url}/lti/launch", data=data, timeout=60)

    def launched(self, **changes: Any) -> requests.Response:
        """Log in and post a launch with these claims."""
        begun = self.login()
        return self.post(self.sign(self.claims(begun["nonce"], **changes)), begun["state"])

    def ask(self, page: LaunchedPage, method: str, path: str, **kwargs: Any) -> requests.Response:
        """A call of a page's JSON with its token."""
        headers = {"Authorization": f"Bearer {page.token}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=60, **kwargs)


def _empty_client(folder: Path) -> Path:
    """A built client that holds names only, for tests that read what the server writes into the pages."""
    dist = folder / "dist"
    (dist / ".vite").mkdir(parents=True)
    entries = {
        f"src/entries/{e}.tsx": {"file": f"assets/{e}.js", "css": []}
        for e in ("room", "lobby", "library", "selector")
    }
    (dist / ".vite" / "manifest.json").write_text(json.dumps(entries))
    return dist


def _as_the_server(answer: Response) -> Response:
    """The web process adds these to every answer (``server.web``)."""
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@contextmanager
def running(folder: Path, dist: Path | None = None, url: str = "") -> Iterator[World]:
    """Start both, with the practice LMS's tools registered; stop them at the end. ``dist``: the real built client.

    ``url``: of an empty database; else a file in ``folder``.
    """
    dist = dist or _empty_client(folder)
    url = url or f"sqlite:///{folder / 'lti.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    port, lms_port = free_port(), free_port()
    base, lms = f"http://127.0.0.1:{port}", f"http://localhost:{lms_port}"
    library = folder / "library"
    library.mkdir()
    app = Flask("door")
    deps = LtiDeps(db, rooms, base, dist, link_key=LINK_KEY, library_root=library)
    app.register_blueprint(create_blueprint(deps))
    app.register_blueprint(media_blueprint(ApiDeps(db, library, "media-links")))
    files = Files(db, library, "media-links", Storages(db, Vault("ab" * 32)))
    mount_files(app, files)
    app.register_blueprint(uploads.create_blueprint(Uploads(db, library, 100 * 1024 * 1024)))
    app.after_request(_as_the_server)
    app.add_url_rule(
        "/assets/<path:name>",
        "assets",
        lambda name: send_from_directory((dist / "assets").resolve(), name),
    )
    practice = create_lms(lms, base, folder / "lms")
    servers = [
        make_server("127.0.0.1", port, app, threaded=True),
        make_server("127.0.0.1", lms_port, practice, threaded=True),
    ]
    threads = [threading.Thread(target=s.serve_forever, daemon=True) for s in servers]
    for thread in threads:
        thread.start()
    register_practice_platform(db, lms)
    key = keys.load_or_make(folder / "lms")
    yield World(db, rooms, base, lms, key, practice.extensions["practice_lms"], library)
    for server in servers:
        server.shutdown()
        server.server_close()
    for thread in threads:
        thread.join(5)
    files.close()
    rooms.close()
    db.close()
