"""Section “Usage”: what was recorded and is kept, a course and month a row."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify, request

from api.admin.deps import AdminDeps
from api.v1.base import read
from api.v1.usage import UsageQuery, usage_rows
from models.values import CourseId


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("usage", __name__)

    def listing() -> Response:
        asked = read(UsageQuery, request.args.to_dict())
        course_id = CourseId(asked.course_id) if asked.course_id else None
        rows = usage_rows(deps.db, course_id, asked.from_month, asked.to_month, datetime.now(UTC))
        return jsonify({"rows": [row.model_dump(mode="json") for row in rows]})

    blueprint.add_url_rule("/usage", "listing", listing)
    return blueprint
