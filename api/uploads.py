"""``POST /app/api/uploads``: a person's own file for their My Media (docs/page-api.md §2). A Flask blueprint."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from api.common import bearer, refuse
from library.uploads import Uploads
from rooms.errors import DomainError


def create_blueprint(uploads: Uploads) -> Blueprint:
    """The one route. The body is the file itself; ``?name=`` is its name, ``?title=`` what to call it."""
    blueprint = Blueprint("uploads", __name__)

    @blueprint.post("/app/api/uploads")
    def upload() -> tuple[Response, int]:
        access = bearer(uploads.db)
        if not request.content_length and request.headers.get("Transfer-Encoding") is None:
            raise DomainError("bad_value", "The file is empty.", field="file")
        request.max_content_length = uploads.max_bytes
        name, title = request.args.get("name", "")[:255], request.args.get("title", "")[:500]
        entry_id = uploads.take(access, request.stream, name, title, request.content_length)
        return jsonify({"entry_id": entry_id}), 201

    blueprint.register_error_handler(DomainError, refuse)
    return blueprint
