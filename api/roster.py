"""The course's people and groups for moderators' pages (docs/page-api.md §2). Reads what the job worker has fetched."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from api.common import bearer, refuse
from models.store import roster as store
from models.store.database import Database
from models.store.people import membership_role
from models.values import Role
from rooms.errors import DomainError


def create_blueprint(db: Database) -> Blueprint:
    """``GET /app/api/roster``."""
    blueprint = Blueprint("roster", __name__)

    def roster() -> Response:
        access = bearer(db)
        # The role as it is known now: a token may be older than a change in the LMS.
        if membership_role(db, access.course_id, access.person_id) is not Role.MODERATOR:
            raise DomainError("not_moderator")
        state = store.sync_state(db, access.course_id)
        return jsonify(
            {
                "people": [
                    {"person_id": p.person_id, "name": p.name, "role": p.role.value}
                    for p in store.list_roster(db, access.course_id)
                ],
                "groups": [
                    {"group_id": g.group_id, "name": g.name, "members": list(g.members)}
                    for g in store.list_groups(db, access.course_id)
                ],
                "synced_at": state.done_at.isoformat() if state is not None and state.done_at else None,
                "failed": bool(state is not None and state.error),
            }
        )

    blueprint.add_url_rule("/app/api/roster", "roster", roster)
    blueprint.register_error_handler(DomainError, refuse)
    return blueprint
