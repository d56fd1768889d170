"""Section “Storage”: where copies go, whether it works, how the copies fare. Credentials come in and never go out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from api.admin.deps import AdminDeps
from api.common import json_object
from foundation.text import clean
from library.storage import public
from library.storage_config import TYPES
from models.store import transfers
from models.store.people import get_course
from rooms.errors import DomainError

_OPTIONS = ("name", "course_id", "keep_local", "delete_copies")


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("storage", __name__)
    section = _Storage(deps)
    blueprint.add_url_rule("/storages", "listing", section.listing)
    blueprint.add_url_rule("/storages", "create", section.create, methods=["POST"])
    blueprint.add_url_rule("/storages/<storage_id>", "remove", section.remove, methods=["DELETE"])
    blueprint.add_url_rule("/storages/<storage_id>/check", "check", section.check, methods=["POST"])
    blueprint.add_url_rule("/storages/<storage_id>/retry", "retry", section.retry, methods=["POST"])
    return blueprint


class _Storage:
    def __init__(self, deps: AdminDeps) -> None:
        self._db = deps.db
        self._storages = deps.storages

    def listing(self) -> Response:
        counts, reasons = transfers.counts(self._db), transfers.reasons(self._db)
        shown = []
        for storage in self._storages.listed():
            course = get_course(self._db, storage.course_id) if storage.course_id else None
            copies = counts.get(storage.storage_id, {})
            shown.append(
                {
                    **public(storage),
                    "course_title": course.title if course is not None else "",
                    "copies": {
                        name: copies.get(name, 0) for name in ("waiting", "copying", "done", "failed")
                    },
                    "reason": reasons.get(storage.storage_id),
                }
            )
        fields = {
            name: {"required": sorted(spec.required), "optional": sorted(spec.optional)}
            for name, spec in TYPES.items()
        }
        return jsonify({"storages": shown, "types": fields})

    def create(self) -> tuple[Response, int]:
        body = json_object()
        options: dict[str, Any] = {name: body.pop(name, None) for name in _OPTIONS}
        name, course_id = options["name"] or "", options["course_id"] or ""
        keep_local, delete_copies = options["keep_local"], options["delete_copies"]
        if not isinstance(name, str) or not isinstance(course_id, str):
            raise DomainError("bad_value", "Give name and course id as text.", field="name")
        if not isinstance(keep_local, bool | None) or not isinstance(delete_copies, bool | None):
            raise DomainError("bad_value", "This is true or false.", field="keep_local")
        storage_id = self._storages.create(
            f"course:{course_id}" if course_id else "site",
            body,
            name=clean(name),
            keep_local=keep_local is not False,
            delete_copies=delete_copies is True,
        )
        return jsonify({"id": storage_id}), 201

    def check(self, storage_id: str) -> Response:
        return jsonify({"problem": self._storages.check(storage_id)})

    def retry(self, storage_id: str) -> Response:
        self._storages.get(storage_id)
        return jsonify({"count": transfers.retry_failed(self._db, storage_id)})

    def remove(self, storage_id: str) -> tuple[str, int]:
        self._storages.remove(storage_id)
        return "", 204
