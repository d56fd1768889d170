"""Section “API keys”: list, make (the secret is shown once), revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, jsonify

from api.admin.deps import AdminDeps, iso
from api.common import json_object
from foundation.text import clean
from models.store import keys as store
from models.store.people import get_course
from models.values import CourseId
from rooms.errors import DomainError

MAX_NAME_CHARS = 80


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("keys", __name__)
    section = _Keys(deps)
    blueprint.add_url_rule("/keys", "listing", section.listing)
    blueprint.add_url_rule("/keys", "create", section.create, methods=["POST"])
    blueprint.add_url_rule("/keys/<key_id>", "revoke", section.revoke, methods=["DELETE"])
    return blueprint


class _Keys:
    def __init__(self, deps: AdminDeps) -> None:
        self._db = deps.db

    def listing(self) -> Response:
        found = store.list_keys(self._db)
        return jsonify({"keys": [_json(key) for key in found], "scopes": sorted(store.SCOPES)})

    def create(self) -> tuple[Response, int]:
        body = json_object()
        name, scopes, course_id = body.get("name"), body.get("scopes"), body.get("course_id") or None
        days = body.get("days")
        if not isinstance(name, str) or not 0 < len(clean(name)) <= MAX_NAME_CHARS:
            raise DomainError(
                "bad_value", f"Give the key a name of 1 to {MAX_NAME_CHARS} characters.", field="name"
            )
        if not isinstance(scopes, list) or not all(isinstance(s, str) for s in scopes):
            raise DomainError("bad_value", "Choose the key’s permissions.", field="scopes")
        if course_id is not None and (
            not isinstance(course_id, str) or get_course(self._db, course_id) is None
        ):
            raise DomainError("bad_value", "This course doesn’t exist. Check its ID.", field="course_id")
        if days is not None and (type(days) is not int or not 1 <= days <= store.MAX_DAYS):
            raise DomainError(
                "bad_value",
                f"A key can expire after 1 to {store.MAX_DAYS} days.",
                field="days",
                least=1,
                most=store.MAX_DAYS,
            )
        ends = datetime.now(UTC) + timedelta(days=days) if days is not None else None
        try:
            key_id, secret = store.create_key(
                self._db, clean(name), scopes, CourseId(course_id) if course_id else None, ends
            )
        except ValueError as error:
            raise DomainError(
                "bad_value", f"Choose the key’s permissions: {error}.", field="scopes"
            ) from error
        return jsonify({"key_id": key_id, "secret": secret}), 201

    def revoke(self, key_id: str) -> tuple[str, int]:
        if not store.revoke_key(self._db, key_id):
            raise DomainError("bad_value", "This key doesn’t exist or was already revoked.")
        return "", 204


def _json(key: store.ListedKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": list(key.scopes),
        "course_id": key.course_id,
        "course_title": key.course_title,
        "created_at": iso(key.created_at),
        "revoked_at": iso(key.revoked_at),
        "expires_at": iso(key.expires_at),
        "last_used_at": iso(key.last_used_at),
    }
