"""Recordings that began by themselves belong to who asked for them, not to who walked in; nobody named: to the course."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0096"
down_revision = "0095"
branch_labels = None
depends_on = None

_EVENTS = sa.text(
    "SELECT type, actor, data FROM event WHERE session_id = :session"
    " AND type IN ('breakout_starting', 'all_rooms_recorded') ORDER BY seq"
)
_BY_THEMSELVES = sa.text(
    "SELECT id, session_id, parent_id, start_reason, started_by FROM recording"
    " WHERE start_reason IN ('breakout', 'on_start')"
)
_RECORDING = sa.text("UPDATE recording SET started_by = :owner WHERE id = :id")
_ENTRY = sa.text("UPDATE media_entry SET owner_id = :owner WHERE recording_id = :id")


def upgrade() -> None:
    db = op.get_bind()
    owners: dict[str, dict[str, str | None]] = {}
    for row in db.execute(_BY_THEMSELVES).mappings().all():
        owner = None  # who set “record on start” was not kept
        if row["start_reason"] == "breakout":
            session = row["session_id"]
            if session not in owners:
                owners[session] = _owners(db, session)
            owner = owners[session].get(row["parent_id"] or "")
        if owner != row["started_by"]:
            db.execute(_RECORDING, {"owner": owner, "id": row["id"]})
            db.execute(_ENTRY, {"owner": owner, "id": row["id"]})


def _owners(db: sa.Connection, session: str) -> dict[str, str | None]:
    """Who asked for each recording of all rooms of a session: who pressed it, or who started the breakout before."""
    found: dict[str, str | None] = {}
    starter: str | None = None
    for row in db.execute(_EVENTS, {"session": session}).mappings():
        actor, data = _json(row["actor"]), _json(row["data"])
        if row["type"] == "breakout_starting":
            starter = actor.get("person_id")
        else:
            asked = starter if actor.get("kind") == "system" else actor.get("person_id")
            found[str(data.get("parent_id"))] = asked
    return found


def _json(value: Any) -> Mapping[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, Mapping) else {}


def downgrade() -> None:
    """Nothing to take back: the tables are as they were."""
