"""The LTI door and the pages behind it: login, launch, keyset, lobby, handoff into the room. A Flask blueprint.

It authenticates, finds the actor and renders; what may happen in a session is decided by ``rooms``.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from lti import launch as launches
from lti import shell
from lti.launch import Launch, LaunchRefused
from lti.roles import is_workspace
from models.store import access as tokens
from models.store import library as library_store
from models.store import lti as store
from models.store import people, slack
from models.store.access import Access
from models.store.database import Database
from models.values import CourseId, SessionId
from rooms.errors import DomainError
from rooms.ports import Rooms

log = logging.getLogger("sideroom.lti")
COOKIE = "sideroom_room"
COOKIE_LIFE_S = 8 * 3600
ENTRIES = {"room": "lobby", "gallery": "library", "mymedia": "library"}
PAGES = {"room": "lobby", "gallery": "gallery", "mymedia": "mymedia"}
TITLES = {"lobby": "Room", "gallery": "Media Gallery", "mymedia": "My Media"}


@dataclass(frozen=True, slots=True)
class LtiDeps:
    """What the blueprint needs; built by ``server.wiring``."""

    db: Database
    rooms: Rooms
    base_url: str
    web_dist: Path
    slack_enabled: bool = False

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https:")


def create_blueprint(deps: LtiDeps) -> Blueprint:
    """Routes of docs/rest.md §1 and the lobby's part of §2."""
    blueprint = Blueprint("lti", __name__)
    door = _Door(deps)
    route = blueprint.add_url_rule
    route("/lti/login", "login", door.login, methods=["GET", "POST"])
    route("/lti/launch", "launch", door.launch, methods=["POST"])
    route("/lti/launch", "launch_by_hand", door.launch_by_hand, methods=["GET"])
    route("/lti/jwks.json", "jwks", door.jwks)
    route("/lti/config.json", "config", door.config)
    route("/app/api/lobby", "lobby", door.lobby)
    route("/app/api/handoff", "handoff", door.handoff, methods=["POST"])
    route("/app/api/slack/code", "slack_code", door.slack_code, methods=["POST"])
    route("/app/api/slack/link", "slack_unlink", door.slack_unlink, methods=["DELETE"])
    route("/room", "redeem", door.redeem)
    route("/room/<session_id>", "room", door.room)
    blueprint.register_error_handler(DomainError, _domain_error)
    blueprint.register_error_handler(Exception, _unexpected)
    return blueprint


def _domain_error(error: DomainError) -> tuple[Response, int]:
    body = {"error": {"code": error.code, "message": error.message, "facts": error.facts}}
    return jsonify(body), error.http_status


def _unexpected(error: Exception) -> BaseResponse | HTTPException:
    if isinstance(error, HTTPException):
        return error
    reference = secrets.token_hex(4)
    log.error("lti.failed reference=%s", reference, exc_info=error)
    return shell.message(
        "Something went wrong on our side",
        "Go back to the course page and open the tool again. If it happens again, tell your administrator.",
        status=500,
        detail=f"Reference for the log: {reference}",
    )


class _Door:
    def __init__(self, deps: LtiDeps) -> None:
        self._deps = deps
        self._db = deps.db

    # -- LTI ---------------------------------------------------------------------------------------------------

    def login(self) -> BaseResponse:
        """OIDC login initiation (GET from Sakai, POST from others)."""
        try:
            url, _ = launches.begin(self._db, request.values.to_dict(), self._deps.base_url)
        except LaunchRefused as refused:
            return self._refuse(refused)
        answer = redirect(url)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def launch(self) -> BaseResponse:
        """The platform's POST: check it and answer with the tool's page at once (Sakai alarms after 4 s)."""
        form = request.form.to_dict()
        if "error" in form:
            return self._refuse(
                LaunchRefused(
                    "platform_error",
                    "The LMS could not open this tool.",
                    f"OIDC error: {form['error'][:80]!r}",
                )
            )
        try:
            launch = launches.finish(self._db, form, self._deps.base_url)
        except LaunchRefused as refused:
            return self._refuse(refused)
        if launch.message_type != launches.RESOURCE_LINK:
            return self._refuse(
                LaunchRefused(
                    "message",
                    "This tool cannot be inserted as a link yet.",
                    f"message type {launch.message_type}",
                )
            )
        return self._open(launch)

    @staticmethod
    def launch_by_hand() -> Response:
        """Somebody opened or reloaded the launch address itself."""
        text = "This page is opened by the LMS. Go to the course page and open the tool there."
        return shell.message("Open this tool from your course", text, status=400)

    def _refuse(self, refused: LaunchRefused) -> Response:
        reference = secrets.token_hex(4)
        log.warning("lti.refused reference=%s code=%s hint=%s", reference, refused.code, refused.hint)
        return shell.message(
            refused.what,
            "Go back to the course page and open the tool again. If it happens again, tell your administrator this: "
            f"{refused.hint}.",
            status=403 if refused.code != "login_incomplete" else 400,
            detail=f"Reference for the log: {reference} ({refused.code})",
        )

    def _open(self, launch: Launch) -> Response:
        platform = launch.platform
        person_id = people.upsert_person(
            self._db, platform.issuer, launch.sub, launch.name, launch.email, launch.locale
        )
        course_id = people.upsert_course(
            self._db, platform.issuer, launch.context_id, launch.context_title, launch.nrps_url, platform.id
        )
        people.upsert_membership(self._db, course_id, person_id, launch.role, launch.lms_roles)
        name = launch.name or "Guest"
        access = Access(
            "page", person_id, course_id, launch.role, name, room_title=launch.resource_title or "Room"
        )
        name_of_page = PAGES.get(platform.app, "lobby")
        if is_workspace(launch.context_id):
            name_of_page = "mymedia"
        boot = {
            "page": name_of_page,
            "token": tokens.issue_token(self._db, access),
            "person": {"name": name},
            "course": {"title": launch.context_title},
            "role": launch.role.value,
            "base_url": self._deps.base_url,
            "locale": launch.locale or "en",
        }
        entry = "library" if name_of_page == "mymedia" else ENTRIES.get(platform.app, "lobby")
        log.info("lti.launched app=%s role=%s", platform.app, launch.role.value)
        return shell.page(self._deps.web_dist, entry, TITLES[name_of_page], boot, ancestors=self._ancestors())

    def _ancestors(self) -> list[str]:
        """Origins of the registered platforms: only they may frame us."""
        origins = []
        for platform in store.list_platforms(self._db):
            for url in (platform.issuer, platform.auth_login_url):
                parts = urlsplit(url)
                if parts.scheme in ("http", "https") and parts.netloc:
                    origins.append(f"{parts.scheme}://{parts.netloc}")
        return origins

    def jwks(self) -> Response:
        answer = jsonify({"keys": [key.public_jwk for key in store.tool_keys(self._db)]})
        answer.headers["Cache-Control"] = "public, max-age=300"
        return answer

    def config(self) -> Response:
        """The addresses an administrator pastes into the LMS."""
        base = self._deps.base_url
        urls = {"login": f"{base}/lti/login", "launch": f"{base}/lti/launch", "jwks": f"{base}/lti/jwks.json"}
        return jsonify({"title": "Sideroom", "urls": urls})

    # -- the lobby's part of the page API ----------------------------------------------------------------------

    def _access(self) -> Access:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        found = tokens.check_token(self._db, token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise DomainError("unauthenticated")
        return found

    def lobby(self) -> Response:
        """Who is there now; polled by the lobby while it is visible."""
        access = self._access()
        course = people.get_course(self._db, access.course_id)
        session_id = self._deps.rooms.live_session(access.course_id, access.room_key)
        body: dict[str, object] = {
            "room": {"title": access.room_title, "course_title": course.title if course else ""},
            "live": session_id is not None,
            "people": [],
            "breakout": {"status": "none", "ends_at": None},
            "recordings": library_store.count_mine(self._db, access.person_id),
            "role": access.role.value,
            "slack": {
                "enabled": self._deps.slack_enabled,
                "linked": slack.link_of(self._db, access.person_id) is not None,
            },
        }
        if session_id is not None:
            state = self._deps.rooms.state(session_id)
            body["people"] = [
                {"name": p.name, "role": p.role.value, "room": state.rooms[p.room_id].name}
                for p in state.people.values()
                if p.online and p.room_id in state.rooms
            ]
            ends_at = state.breakout.ends_at
            body["breakout"] = {
                "status": state.breakout.status.value,
                "ends_at": ends_at.isoformat() if ends_at is not None else None,
            }
        return jsonify(body)

    def handoff(self) -> Response:
        """A one-time code that opens the room in a window of its own."""
        access = self._access()
        course = people.get_course(self._db, access.course_id)
        if course is None or is_workspace(course.context_id):
            raise DomainError("not_allowed", "There is no room here. Open it from a course page.")
        code = tokens.issue_handoff(self._db, access)
        return jsonify(
            {
                "url": f"{self._deps.base_url}/room?code={code}",
                "expires_s": int(tokens.HANDOFF_LIFE.total_seconds()),
            }
        )

    def slack_code(self) -> Response:
        access = self._access()
        if not self._deps.slack_enabled:
            raise DomainError("not_allowed", "Slack is not set up here.")
        return jsonify({"code": slack.issue_code(self._db, access.person_id), "expires_s": 600})

    def slack_unlink(self) -> tuple[str, int]:
        slack.unlink_person(self._db, self._access().person_id)
        return "", 204

    # -- the room's window -------------------------------------------------------------------------------------

    def redeem(self) -> BaseResponse:
        """``/room?code=…``: use the one-time code up, open the session, and go to its page."""
        found = tokens.redeem_handoff(self._db, request.args.get("code", "")[:200])
        if isinstance(found, str):
            log.warning("room.handoff_refused reason=%s", found)
            return _closed_door(found)
        session_id = self._session_of(found)
        access = replace(found, session_id=session_id)
        token = tokens.issue_token(self._db, access)
        answer = redirect(f"/room/{session_id}")
        # A cookie a room: two rooms may be open side by side.
        answer.set_cookie(
            COOKIE,
            token,
            max_age=COOKIE_LIFE_S,
            secure=self._deps.secure,
            httponly=True,
            samesite="Lax",
            path=f"/room/{session_id}",
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _session_of(self, access: Access) -> SessionId:
        course = people.get_course(self._db, access.course_id)
        title = course.title if course is not None else ""
        return self._deps.rooms.open_session(
            CourseId(access.course_id), title, access.room_title or "Room", access.room_key
        )

    def room(self, session_id: str) -> BaseResponse:
        """The room's page; a reload comes back here by the cookie."""
        access = tokens.check_token(self._db, request.cookies.get(COOKIE, ""))
        if access is None or access.kind != "room":
            return _closed_door("unauthenticated")
        now_live = self._session_of(access)
        if now_live != session_id or access.session_id != now_live:
            if access.session_id != session_id and session_id != now_live:
                return _closed_door("other")
            # The meeting ended meanwhile: the course's new one, in the same window.
            access = replace(access, session_id=now_live)
        token = tokens.issue_token(self._db, access)
        boot: Mapping[str, object] = {
            "page": "room",
            "token": token,
            "ws_url": "/ws",
            "session_id": now_live,
            "person": {"name": access.name, "person_id": access.person_id},
            "course": {"title": self._deps.rooms.state(now_live).course_title},
            "role": access.role.value,
            "base_url": self._deps.base_url,
            "locale": _locale(self._db, access.person_id),
        }
        return shell.page(
            self._deps.web_dist, "room", access.room_title or "Room", boot, ancestors=(), media=True
        )


def _locale(db: Database, person_id: str) -> str:
    person = people.get_person(db, person_id)
    return (person.locale if person is not None else "") or "en"


def _closed_door(reason: str) -> Response:
    texts = {
        "used": "This link was used already. Each link opens the room once.",
        "expired": "This link waited too long; it is good for one minute.",
        "unknown": "This link is not known here.",
        "other": "This is another meeting than the one you opened.",
        "unauthenticated": "Your way into this room has expired.",
    }
    return shell.message(
        texts[reason], "Go back to the course page and press Open room again.", status=403, ancestors=()
    )
