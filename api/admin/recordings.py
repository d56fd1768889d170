"""Section “Recordings”: every recording of the installation with its state."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from api.admin.deps import PER_PAGE, AdminDeps, iso, page_no, query
from models.store.recordings_list import Filter, find_recordings
from models.values import RecordingStatus
from rooms.errors import DomainError


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("recordings", __name__)

    def listing() -> Response:
        page, status = page_no(), request.args.get("status", "")
        try:
            statuses = (RecordingStatus(status),) if status else ()
        except ValueError:
            names = ", ".join(s.value for s in RecordingStatus)
            raise DomainError("bad_value", f"status is one of {names}.", field="status") from None
        found, total = find_recordings(deps.db, Filter(statuses=statuses, search=query()), page, PER_PAGE)
        return jsonify(
            {
                "recordings": [
                    {
                        "recording_id": r.recording_id,
                        "course_title": r.course_title,
                        "meeting_title": r.meeting_title,
                        "room_name": r.room_name,
                        "started_by": r.started_by_name,
                        "status": r.status,
                        "invoked_at": iso(r.invoked_at),
                        "duration_s": r.duration_s,
                        "size_bytes": r.size_bytes,
                        "progress": r.progress,
                        "error": r.error,
                        "entry_status": r.entry_status,
                    }
                    for r in found
                ],
                "statuses": [s.value for s in RecordingStatus],
                "total": total,
                "page": page,
                "per_page": PER_PAGE,
            }
        )

    blueprint.add_url_rule("/recordings", "listing", listing)
    return blueprint
