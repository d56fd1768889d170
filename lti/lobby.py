"""The pages that a launch opened: the lobby's JSON, the course's roles, and the room's own window. A part of the blueprint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, jsonify, redirect, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from foundation.locale import read_locale
from lti import shell
from lti.deps import LtiDeps
from lti.roles import DEFAULTS, SETTABLE, RoleKind, is_workspace, kind_of, map_role
from lti.services.offered import takes_scores
from models import attendance, room_settings
from models.store import access as tokens
from models.store import courses, deeplinks, grades, people, services, sessions, slack
from models.store import library as library_store
from models.store.access import NO_SESSION, Access
from models.store.database import Database
from models.store.recordings_jobs import ready_times
from models.values import MAIN_ROOM, CommandId, CourseId, Role, SessionId
from rooms.commands import Envelope, SetSharing
from rooms.errors import DomainError

log = logging.getLogger("sideroom.lti")
COOKIE = "sideroom_room"
COOKIE_LIFE_S = 8 * 3600
ROLES_SETTING = "roles"
TEACHERS = (RoleKind.ADMINISTRATOR, RoleKind.INSTRUCTOR)


def add_routes(blueprint: Blueprint, deps: LtiDeps) -> None:
    """Routes of docs/page-api.md §2 for the lobby, and of the room's window."""
    door = _Lobby(deps)
    route = blueprint.add_url_rule
    route("/app/api/lobby", "lobby", door.lobby)
    route("/app/api/handoff", "handoff", door.handoff, methods=["POST"])
    route("/app/api/course/roles", "roles", door.roles)
    route("/app/api/course/roles", "set_roles", door.set_roles, methods=["PUT"])
    route("/app/api/before", "before", door.before)
    route("/app/api/ready", "ready", door.ready)
    route("/app/api/course/room", "room_settings", door.room_settings)
    route("/app/api/course/room", "set_room_settings", door.set_room_settings, methods=["PUT"])
    route("/app/api/course/attendance", "attendance", door.attendance)
    route("/app/api/course/attendance", "set_attendance", door.set_attendance, methods=["PUT"])
    route("/room", "redeem", door.redeem)
    route("/room/<session_id>", "room", door.room)
    route("/room/<session_id>/recordings", "recordings", door.recordings)


def course_roles(db: Database, course_id: str) -> Mapping[str, object]:
    """The course's own table from kind of role to role; empty when it has none."""
    return roles_in(people.course_settings(db, course_id))


def roles_in(settings: Mapping[str, object]) -> Mapping[str, object]:
    """That table in a course's settings."""
    found = settings.get(ROLES_SETTING)
    return found if isinstance(found, dict) else {}


def set_course_roles(db: Database, course_id: str, chosen: Mapping[str, str]) -> None:
    """Choose what kinds of role are here (checked by the caller); holds for everybody's next step at once."""
    table = {**course_roles(db, course_id), **chosen}
    people.set_course_setting(db, course_id, ROLES_SETTING, table)
    course = people.get_course(db, course_id)
    context_id = course.context_id if course is not None else ""
    courses.map_roles_anew(db, course_id, lambda r: map_role(r, context_id, None, table))
    log.info("lti.roles_set course_id=%s", course_id)


def of_room(access: Access, room_key: str, title: str) -> Access:
    """The same access for one room of the course."""
    return replace(access, room_key=room_key, room_title=title)


class _Lobby:
    def __init__(self, deps: LtiDeps) -> None:
        self._deps = deps
        self._db = deps.db

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
        preview = people.is_preview(self._db, access.course_id, access.person_id)
        body: dict[str, object] = {
            "room": {"title": access.room_title, "course_title": course.title if course else ""},
            "live": session_id is not None,
            "people": [],
            "breakout": {"status": "none", "ends_at": None},
            "recordings": library_store.count_mine(self._db, access.person_id),
            "role": access.role.value,
            "may_set_roles": self._is_teacher(access),
            "waits": self._waits(access, session_id),
            "locked": self._locked(access, session_id),
            "slack": {
                "enabled": self._deps.slack_enabled and not preview,
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

    def before(self) -> Response:
        """What somebody wants to know before they join; asked by the room's page, now and then."""
        access = self._access()
        if access.kind != "room" or not access.session_id:
            raise DomainError("not_allowed")
        state = self._deps.rooms.state(access.session_id)
        if access.person_id in state.removed:
            raise DomainError("removed")
        if not state.is_open:
            raise DomainError("session_ended")
        me = state.people.get(access.person_id)
        room_id = me.room_id if me is not None else MAIN_ROOM
        here = [p for p in state.people.values() if p.online and p.person_id != access.person_id]
        return jsonify(
            {
                "people": [{"name": p.name, "role": p.role.value} for p in here],
                "recording": any(
                    r.status.is_live and r.room_id == room_id for r in state.recordings.values()
                ),
                "mute_on_entry": access.role is not Role.MODERATOR
                and self._room_settings(access).mute_on_entry,
            }
        )

    def ready(self) -> Response:
        """When the stopped recordings of the room's session will be ready, where that is known (moderators only)."""
        access = self._access()
        if access.kind != "room" or not access.session_id:
            raise DomainError("not_allowed")
        if access.role is not Role.MODERATOR:
            raise DomainError("not_moderator")
        times = ready_times(self._db, access.session_id)
        return jsonify({"ready_at": {recording_id: at.isoformat() for recording_id, at in times.items()}})

    def handoff(self) -> Response:
        """A one-time code that opens the room in a window of its own."""
        access = self._access()
        course = people.get_course(self._db, access.course_id)
        if course is None or is_workspace(course.context_id):
            raise DomainError("not_allowed", "There’s no room here. Open it from a course page.")
        session_id = self._deps.rooms.live_session(access.course_id, access.room_key)
        if self._waits(access, session_id):
            raise DomainError("not_allowed", "A moderator hasn’t opened this room yet. Please wait a moment.")
        if self._locked(access, session_id):
            raise DomainError("locked")
        code = tokens.issue_handoff(self._db, access)
        return jsonify(
            {
                "url": f"{self._deps.base_url}/room?code={code}",
                "expires_s": int(tokens.HANDOFF_LIFE.total_seconds()),
            }
        )

    def _waits(self, access: Access, session_id: SessionId | None) -> bool:
        """Must this person wait until a moderator has opened the room?"""
        if access.role is Role.MODERATOR or session_id is not None:
            return False
        room = deeplinks.get_room(self._db, access.course_id, access.room_key)
        if room is not None and room.settings.get("wait") is True:
            return True
        opens = self._room_settings(access).opens
        if opens == "after_end":
            return sessions.was_ended_by_moderator(self._db, access.course_id, access.room_key)
        return opens == "moderators"

    def _locked(self, access: Access, session_id: SessionId | None) -> bool:
        """Is the room closed to this person, who was not inside yet?"""
        if access.role is Role.MODERATOR or session_id is None:
            return False
        state = self._deps.rooms.state(session_id)
        return state.rooms[MAIN_ROOM].locked and access.person_id not in state.people

    # -- who is what in this course ----------------------------------------------------------------------------

    def _is_teacher(self, access: Access) -> bool:
        course = people.get_course(self._db, access.course_id)
        if course is None or access.role is not Role.MODERATOR:
            return False
        roles = courses.lms_roles(self._db, access.course_id, access.person_id)
        return kind_of(roles, course.context_id) in TEACHERS

    def _check_teacher(self) -> Access:
        """The access of a teacher of the course. Raises DomainError for everybody else."""
        access = self._access()
        if access.role is not Role.MODERATOR:
            raise DomainError("not_moderator")
        if not self._is_teacher(access):
            raise DomainError("not_allowed", "Only the course’s teachers can change this.")
        return access

    def roles(self) -> Response:
        """What each kind of role means in this course, where the course may choose."""
        access = self._access()
        if access.role is not Role.MODERATOR:
            raise DomainError("not_moderator")
        chosen = course_roles(self._db, access.course_id)
        return jsonify({kind.value: chosen.get(kind.value, DEFAULTS[kind].value) for kind in SETTABLE})

    def set_roles(self) -> Response:
        """Choose (teachers only): ``{"assistant": "participant", …}``. Holds for everybody's next step here at once."""
        access = self._check_teacher()
        body = _json_body()
        kinds = {kind.value for kind in SETTABLE}
        allowed = (Role.MODERATOR.value, Role.PARTICIPANT.value)
        if not isinstance(body, dict) or not all(
            kind in kinds and isinstance(role, str) and role in allowed for kind, role in body.items()
        ):
            raise DomainError(
                "bad_value", f"Give moderator or participant for {', '.join(sorted(kinds))}.", field="roles"
            )
        set_course_roles(self._db, access.course_id, body)
        return self.roles()

    # -- who opens the room, who shares ------------------------------------------------------------------------

    def _room_settings(self, access: Access) -> room_settings.RoomSettings:
        return room_settings.from_json(
            people.course_settings(self._db, access.course_id).get(room_settings.SETTING)
        )

    def room_settings(self) -> Response:
        """Who may open the course's rooms and who may share a screen in them (teachers only)."""
        return jsonify(asdict(self._room_settings(self._check_teacher())))

    def set_room_settings(self) -> Response:
        """Change it (teachers only): ``{"opens"?, "sharing"?, "mute_on_entry"?}``. Sharing changes in a live room at once, too."""
        access = self._check_teacher()
        body = _json_body()
        try:
            wanted = room_settings.checked(
                body if isinstance(body, dict) else {"": None}, self._room_settings(access)
            )
        except ValueError as error:
            raise DomainError("bad_value", str(error), field="room") from error
        people.set_course_setting(self._db, access.course_id, room_settings.SETTING, asdict(wanted))
        session_id = self._deps.rooms.live_session(access.course_id, access.room_key)
        if session_id is not None:
            command_id = CommandId(f"sharing:{uuid4().hex}")
            self._deps.rooms.submit(
                Envelope(command_id, session_id, access.actor, SetSharing(wanted.sharing))
            )
        log.info("lti.room_settings_set course_id=%s", access.course_id)
        return self.room_settings()

    # -- the attendance score ----------------------------------------------------------------------------------

    def attendance(self) -> Response:
        """Whether and how the course scores attendance, and how far the scores have come (teachers only)."""
        access = self._check_teacher()
        wanted = attendance.from_json(
            people.course_settings(self._db, access.course_id).get(attendance.SETTING)
        )
        scores = asdict(grades.count_scores(self._db, access.course_id))
        offered = any(takes_scores(s) for s in services.services_of_course(self._db, access.course_id))
        return jsonify({**asdict(wanted), "scores": scores, "offered": offered})

    def set_attendance(self) -> Response:
        """Change it (teachers only): ``{"enabled", "maximum"?, "min_percent"?}``."""
        access = self._check_teacher()
        body = _json_body()
        try:
            wanted = attendance.checked(body if isinstance(body, dict) else {"": None})
        except ValueError as error:
            raise DomainError("bad_value", str(error), field="attendance") from error
        grades.set_attendance(self._db, access.course_id, wanted)
        log.info("lti.attendance_set course_id=%s enabled=%s", access.course_id, wanted.enabled)
        return self.attendance()

    # -- the room's window -------------------------------------------------------------------------------------

    def redeem(self) -> BaseResponse:
        """``/room?code=…``: use the one-time code up, open the session, and go to its page."""
        found = tokens.redeem_handoff(self._db, request.args.get("code", "")[:200])
        if isinstance(found, str):
            log.warning("room.handoff_refused reason=%s", found)
            return _closed_door(found)
        refused = self._may_not_open(found)
        if refused is not None:
            return refused
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

    def _may_not_open(self, access: Access) -> BaseResponse | None:
        """The page of somebody who must wait for a moderator: opening the room would make a meeting of their own."""
        session_id = self._deps.rooms.live_session(access.course_id, access.room_key)
        if self._waits(access, session_id):
            return _closed_door("ended" if access.session_id else "waits")
        return _closed_door("locked") if self._locked(access, session_id) else None

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
        refused = self._may_not_open(access)
        if refused is not None:
            return refused
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

    def recordings(self, session_id: str) -> BaseResponse:
        """My Media of whoever sits in this room, in a window beside it; by the room's cookie."""
        access = tokens.check_token(self._db, request.cookies.get(COOKIE, ""))
        if access is None or access.kind != "room" or access.session_id != session_id:
            return _closed_door("unauthenticated")
        course = people.get_course(self._db, access.course_id)
        boot: Mapping[str, object] = {
            "page": "mymedia",
            "token": tokens.issue_token(self._db, replace(access, kind="page", session_id=NO_SESSION)),
            "person": {"name": access.name},
            "course": {"title": course.title if course is not None else ""},
            "role": access.role.value,
            "base_url": self._deps.base_url,
            "locale": _locale(self._db, access.person_id),
        }
        return shell.page(self._deps.web_dist, "library", "My Media", boot, ancestors=())


def _json_body() -> Any:
    try:
        return request.get_json(force=True)
    except (BadRequest, RecursionError):
        return None


def _locale(db: Database, person_id: str) -> str:
    person = people.get_person(db, person_id)
    # Earlier versions kept whatever the platform sent.
    return read_locale(person.locale if person is not None else "")


_CLOSED = {
    "used": "This link was already used. Each link opens the room once.",
    "expired": "This link has expired. Links work for one minute.",
    "unknown": "This link isn’t valid.",
    "other": "This link is for a different session.",
    "unauthenticated": "This link has expired.",
    "ended": "This session has ended.",
    "waits": "This room isn’t open yet.",
    "locked": "A moderator locked this room.",
}
_NEXT_STEPS = {
    "ended": "A moderator can open the room again. The course page shows when it’s open.",
    "waits": "Wait for a moderator to open it. The course page shows when it’s open.",
    "locked": "Ask them to unlock it, then press Open room on the course page again.",
}


def _closed_door(reason: str) -> Response:
    step = _NEXT_STEPS.get(reason, "Go back to the course page and press Open room again.")
    return shell.message(_CLOSED[reason], step, status=403, ancestors=())
