"""Section “Courses”: attendance score, who moderates, recording defaults, and the roster of each course."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from api.admin.deps import PER_PAGE, AdminDeps, admin, iso, page_no, query
from api.common import json_object
from models import attendance, room_settings
from models.recording import BadOption, options_from_json, options_to_json
from models.store import admin_pages as store
from models.store import grades, people, roster
from models.store.admin_pages import ListedCourse
from models.values import Role
from rooms.errors import DomainError

_Write = Callable[[], object]
"""Keeps one part of a course's settings, after its check."""


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("courses", __name__)
    section = _Courses(deps)
    route = blueprint.add_url_rule
    route("/courses", "listing", section.listing)
    route("/courses/<course_id>", "course", section.course)
    route("/courses/<course_id>", "change", section.change, methods=["PATCH"])
    route("/courses/<course_id>/roster", "sync", section.sync, methods=["POST"])
    return blueprint


class _Courses:
    def __init__(self, deps: AdminDeps) -> None:
        self._db = deps.db
        self._lti = deps.lti
        self._parts: dict[str, Callable[[str, Mapping[str, Any]], _Write]] = {
            "attendance": self._attendance,
            "roles": self._roles,
            "recording": self._recording,
            "room": self._room,
        }

    def listing(self) -> Response:
        page = page_no()
        found, total = store.find_courses(self._db, query(), page, PER_PAGE)
        return jsonify(
            {"courses": [_json(c) for c in found], "total": total, "page": page, "per_page": PER_PAGE}
        )

    def _found(self, course_id: str) -> ListedCourse:
        course = store.get_listed_course(self._db, course_id)
        if course is None:
            raise DomainError("bad_value", "This course doesn’t exist. Check its ID.", field="course_id")
        return course

    def course(self, course_id: str) -> Response:
        found = self._found(course_id)
        scores = grades.count_scores(self._db, course_id)
        chosen, recording = found.settings.get("roles"), found.settings.get("recording")
        chosen = chosen if isinstance(chosen, dict) else {}
        recording = recording if isinstance(recording, dict) else {}
        return jsonify(
            {
                **_json(found),
                "attendance": asdict(attendance.from_json(found.settings.get(attendance.SETTING))),
                "scores": asdict(scores),
                "roles": {kind: chosen.get(kind, role) for kind, role in self._lti.role_kinds.items()},
                "recording": {
                    "options": recording.get("options", {}),
                    "record_on_start": bool(recording.get("record_on_start")),
                },
                "room": asdict(room_settings.from_json(found.settings.get(room_settings.SETTING))),
                "groups": len(roster.list_groups(self._db, course_id)),
            }
        )

    def change(self, course_id: str) -> Response:
        """Change parts of a course's settings: ``attendance``, ``roles``, ``recording``, ``room``. One bad part: nothing is changed."""
        self._found(course_id)
        body = json_object()
        for name, value in body.items():
            if name not in self._parts or not isinstance(value, dict):
                raise DomainError("bad_command", f"“{name[:40]}” isn’t a known field.", field=name[:40])
        for write in [self._parts[name](course_id, value) for name, value in body.items()]:
            write()
        return self.course(course_id)

    def _attendance(self, course_id: str, value: Mapping[str, Any]) -> _Write:
        try:
            wanted = attendance.checked(value)
        except ValueError as error:
            raise DomainError("bad_value", str(error), field="attendance") from error
        return lambda: grades.set_attendance(self._db, course_id, wanted)

    def _roles(self, course_id: str, value: Mapping[str, Any]) -> _Write:
        allowed = (Role.MODERATOR.value, Role.PARTICIPANT.value)
        if not all(kind in self._lti.role_kinds and role in allowed for kind, role in value.items()):
            kinds = ", ".join(self._lti.role_kinds)
            raise DomainError("bad_value", f"Give moderator or participant for {kinds}.", field="roles")
        return lambda: self._lti.set_roles(course_id, dict(value))

    def _recording(self, course_id: str, value: Mapping[str, Any]) -> _Write:
        options, on_start = value.get("options", {}), value.get("record_on_start", False)
        if not isinstance(options, dict) or not isinstance(on_start, bool):
            raise DomainError("bad_value", "Recording options are an object.", field="recording")
        try:
            kept = options_to_json(options_from_json(options))
        except BadOption as error:
            raise DomainError("bad_value", error.message, field=error.field) from error
        before = people.course_settings(self._db, course_id).get("recording", {})
        # An administrator who leaves it switched on does not take the recordings from who asked for them.
        by = before.get("record_on_start_by") if on_start and before.get("record_on_start") else None
        if on_start and not before.get("record_on_start"):
            by = admin().person_id
        setting = {"options": kept, "record_on_start": on_start, "record_on_start_by": by}
        return lambda: people.set_course_setting(self._db, course_id, "recording", setting)

    def _room(self, course_id: str, value: Mapping[str, Any]) -> _Write:
        kept = room_settings.from_json(people.course_settings(self._db, course_id).get(room_settings.SETTING))
        try:
            wanted = asdict(room_settings.checked(value, kept))
        except ValueError as error:
            raise DomainError("bad_value", str(error), field="room") from error
        return lambda: people.set_course_setting(self._db, course_id, room_settings.SETTING, wanted)

    def sync(self, course_id: str) -> tuple[str, int]:
        """Let the job worker fetch the roster now."""
        self._found(course_id)
        roster.want_sync(self._db, course_id, force=True)
        return "", 202


def _json(course: ListedCourse) -> dict[str, Any]:
    return {
        "course_id": course.course_id,
        "title": course.title,
        "issuer": course.issuer,
        "context_id": course.context_id,
        "platform": course.platform,
        "members": course.members,
        "roster_at": iso(course.roster_at),
        "roster_error": course.roster_error,
    }
