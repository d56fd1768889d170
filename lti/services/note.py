"""What a launch leaves for later: which services there are, the course's history, and the wish for its roster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lti.claims import DEPLOYMENT_ID
from lti.roles import is_workspace
from lti.services.offered import history, offered
from models.store import roster, services
from models.store.database import Database
from models.values import Role


def note_launch(
    db: Database,
    platform_id: int,
    course_id: str,
    context_id: str,
    role: Role,
    body: Mapping[str, Any],
    room_key: str | None = None,
) -> None:
    """Called at every launch; writes to the database only, so that the launch is answered at once.

    ``body`` is the checked id_token, ``room_key`` the room that the link opens (None: another page). A moderator's launch lets the job worker fetch the roster.
    """
    if is_workspace(context_id):
        return
    deployment_id = body.get(DEPLOYMENT_ID)
    services.save_services(
        db,
        course_id,
        platform_id,
        offered(body, room_key),
        deployment_id if isinstance(deployment_id, str) else "",
    )
    copied_from = history(body)
    if copied_from is not None:
        services.save_history(db, course_id, copied_from)
    if role is Role.MODERATOR and services.find_service(db, course_id, "roster") is not None:
        roster.want_sync(db, course_id)
