"""The administration page's door: sign-in, sign-out, the page itself, and the guard before every section. Flask.

A section is one file with ``create_blueprint(deps)``; it is added to ``SECTIONS`` here and to the list in
web/src/admin/sections.ts. The guard stands before all of them: a session's cookie and its CSRF token, on every call.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from flask import Blueprint, Response, g, jsonify, request

from api.admin import courses, deployments, keys, people, platforms, recordings, storage, usage, webhooks
from api.admin.deps import AdminDeps, admin
from api.common import bearer, check_address, json_object, refuse
from foundation.address import origin
from models.store import admin as store
from models.store.admin import Admin
from models.store.people import is_system_administrator
from rooms.errors import DomainError

log = logging.getLogger("sideroom.admin")
COOKIE: Final = "sideroom_admin"
CSRF_HEADER: Final = "X-CSRF-Token"
PREFIX: Final = "/admin/api"
SECTIONS: Final[tuple[Callable[[AdminDeps], Blueprint], ...]] = (
    platforms.create_blueprint,
    deployments.create_blueprint,
    courses.create_blueprint,
    people.create_blueprint,
    recordings.create_blueprint,
    storage.create_blueprint,
    keys.create_blueprint,
    webhooks.create_blueprint,
    usage.create_blueprint,
)


def create_blueprints(deps: AdminDeps) -> list[Blueprint]:
    """The page with its sign-in, and the guarded sections under ``/admin/api``."""
    door = _Door(deps)
    outer = Blueprint("admin", __name__)
    route = outer.add_url_rule
    route("/admin", "page", door.page)
    route("/admin/enter", "enter", door.enter)
    route("/admin/sign-in", "sign_in", door.sign_in, methods=["POST"])
    route("/app/api/admin", "code", door.code, methods=["POST"])
    outer.register_error_handler(DomainError, refuse)
    inner = Blueprint("admin_api", __name__, url_prefix=PREFIX)
    inner.before_request(door.guard)
    inner.after_request(door.note)
    inner.register_error_handler(DomainError, refuse)
    inner.add_url_rule("/sign-out", "sign_out", door.sign_out, methods=["POST"])
    for create in SECTIONS:
        inner.register_blueprint(create(deps))
    return [outer, inner]


class _Door:
    def __init__(self, deps: AdminDeps) -> None:
        self._deps = deps

    def _csrf(self, token: str) -> str:
        return hmac.new(self._deps.csrf_key.encode(), token.encode(), sha256).hexdigest()

    def _session(self) -> tuple[str, Admin] | None:
        token = request.cookies.get(COOKIE, "")
        found = store.check_session(self._deps.db, token)
        if found is None or (found.account is None and not self._deps.lti_admins):
            return None
        return token, found

    # -- before every section ----------------------------------------------------------------------------------

    def guard(self) -> None:
        """Only who is signed in, only from our own page. Raises DomainError."""
        found = self._session()
        if found is None:
            raise DomainError("unauthenticated", "You’ve been signed out. Sign in again.")
        token, who = found
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), self._csrf(token).encode()):
            raise DomainError("not_allowed", "Reload the page, then try again.")
        self._same_origin()
        check_address()
        g.admin = who

    def _same_origin(self) -> None:
        asking = request.headers.get("Origin")
        if asking is not None and asking != origin(self._deps.base_url):
            raise DomainError("not_allowed", f"Open this page at {self._deps.base_url}/admin to sign in.")

    def note(self, answer: Response) -> Response:
        """Changes are written down: who, what, with which outcome."""
        who: Admin | None = g.get("admin")
        if request.method != "GET" and who is not None and answer.status_code < 500:
            action = f"{request.method} {request.path.removeprefix(PREFIX)}"
            store.write_audit(self._deps.db, who, action[:80], result=str(answer.status_code))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    # -- coming and going --------------------------------------------------------------------------------------

    def page(self) -> Response:
        found = self._session()
        boot: dict[str, object] = {"page": "admin", "name": None, "csrf": "", "locale": "en"}
        if found is not None:
            boot |= {"name": found[1].name, "csrf": self._csrf(found[0])}
        return self._deps.page(boot)

    def sign_in(self) -> Response:
        """A local account's name and password for a session."""
        self._same_origin()
        body = json_object()
        name, password = body.get("name"), body.get("password")
        if not isinstance(name, str) or not isinstance(password, str):
            raise DomainError("bad_command", "Give “name” and “password”.")
        outcome = store.sign_in(self._deps.db, name.strip(), password, request.remote_addr or "")
        if outcome == "wait":
            log.warning("admin.sign_in_paused")
            raise DomainError("rate_limited", "Too many wrong passwords. Wait ten minutes, then try again.")
        if outcome == "wrong":
            log.warning("admin.sign_in_refused")
            raise DomainError("unauthenticated", "Wrong name or password.")
        log.info("admin.signed_in")
        answer = jsonify({"name": name.strip(), "csrf": self._csrf(outcome)})
        return self._with_cookie(answer, outcome)

    def _with_cookie(self, answer: Response, token: str) -> Response:
        answer.set_cookie(
            COOKIE,
            token,
            max_age=int(store.SESSION_LIFE.total_seconds()),
            secure=self._deps.secure,
            httponly=True,
            samesite="Strict",
            path="/admin",
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def sign_out(self) -> tuple[Response, int]:
        store.end_session(self._deps.db, request.cookies.get(COOKIE, ""))
        log.info("admin.signed_out local=%s", admin().account is not None)
        answer = Response(status=204)
        answer.delete_cookie(
            COOKIE, path="/admin", secure=self._deps.secure, httponly=True, samesite="Strict"
        )
        return answer, 204

    # -- from the LMS ------------------------------------------------------------------------------------------

    def code(self) -> Response:
        """An LMS system administrator's way in from the course page: an address with a one-use code."""
        access = bearer(self._deps.db)
        if not self._deps.lti_admins:
            raise DomainError(
                "not_allowed", "LMS administrators can’t sign in from the LMS here. Use a local account."
            )
        if not is_system_administrator(self._deps.db, access.course_id, access.person_id):
            raise DomainError("not_allowed", "Only LMS system administrators can do this.")
        code = store.issue_code(self._deps.db, access.person_id, access.name)
        return jsonify({"url": f"{self._deps.base_url}/admin/enter?code={code}"})

    def enter(self) -> Response:
        """Use the code up. The next page is opened by this one, so that the strict cookie goes with it."""
        token = None
        if self._deps.lti_admins:
            token = store.redeem_code(self._deps.db, request.args.get("code", "")[:200])
        if token is None:
            text = "This link was already used or has expired. Go back to the course page and open it again."
            return Response(text, 403, mimetype="text/plain")
        answer = Response(
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/admin">'
            '<title>Administration</title><p><a href="/admin">Administration</a></p></html>',
            mimetype="text/html",
        )
        answer.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return self._with_cookie(answer, token)
