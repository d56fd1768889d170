"""Databases of every earlier revision, with something in each table: they come up to this one, nothing is lost, sessions still open."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from models.store.database import Database
from models.store.migrate import FOLDER, metadata, upgrade
from models.values import MAIN_ROOM, PersonId, RecordingId, SessionId
from rooms.service import RoomsService
from tests.postgres import temporary_postgres

pytestmark = pytest.mark.integration
AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
SESSION = SessionId("s-old")
# As the first version wrote them: fields that came later are not there.
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("session_opened", {"course_id": "bio101", "course_title": "BIO 101", "room_title": "Room"}),
    (
        "participant_entered",
        {"person_id": "alice", "name": "Alice", "role": "moderator", "room_id": "main", "returned": False},
    ),
    (
        "recording_invoked",
        {
            "recording_id": "k1",
            "room_id": "main",
            "room_name": "Main room",
            "started_by": "alice",
            "parent_id": None,
        },
    ),
    ("recording_requested", {"recording_id": "k1", "desired": "stopped"}),
]


_OWNERS = "SELECT id, {} AS owner FROM {}"


def _revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    script = ScriptDirectory.from_config(config)
    assert len(script.get_heads()) == 1
    return [each.revision for each in script.walk_revisions()][::-1]


def _value(column: sa.Column[Any], key: str) -> object:
    kind = column.type
    if isinstance(kind, sa.DateTime):
        return AT
    if isinstance(kind, sa.Boolean):
        return True
    if isinstance(kind, sa.Integer):
        return 1_000_000 if column.primary_key else 1  # far from what the database itself counts
    if isinstance(kind, sa.Float):
        return 1.0
    if isinstance(kind, sa.JSON):
        return {}
    return f"{key}-{column.name}"


def fill(db: Database) -> dict[str, dict[str, Any]]:
    """A row in every table of the database as it is; returns the primary keys."""
    known = sa.MetaData()
    known.reflect(db.engine)
    rows: dict[str, dict[str, Any]] = {}
    with db.engine.begin() as connection:
        for table in known.sorted_tables:
            if table.name == "alembic_version":
                continue
            row = {column.name: _value(column, table.name) for column in table.columns}
            for foreign in table.foreign_keys:
                row[foreign.parent.name] = rows[foreign.column.table.name][foreign.column.name]
            connection.execute(table.insert().values(row))
            rows[table.name] = row
    return rows


def tell(db: Database) -> None:
    """A session with its events, as the first version wrote them."""
    actor = {
        "kind": "person",
        "person_id": "alice",
        "name": "Alice",
        "role": "moderator",
        "course_id": "bio101",
    }
    with db.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO session (id, course_id, room_key, live_key, title, status, seq, opened_at)"
                " VALUES (:id, 'bio101', 'old', 'bio101/old', 'Room', 'open', :seq, :at)"
            ).bindparams(sa.bindparam("at", type_=sa.DateTime(timezone=True))),
            {"id": SESSION, "seq": len(EVENTS), "at": AT},
        )
        for seq, (kind, data) in enumerate(EVENTS, start=1):
            connection.execute(
                sa.text(
                    "INSERT INTO event (session_id, seq, at, command_id, actor, type, data)"
                    " VALUES (:id, :seq, :at, :command, :actor, :kind, :data)"
                ).bindparams(sa.bindparam("at", type_=sa.DateTime(timezone=True))),
                {
                    "id": SESSION,
                    "seq": seq,
                    "at": AT,
                    "command": f"old-{seq}",
                    "actor": json.dumps(actor),
                    "kind": kind,
                    "data": json.dumps(data),
                },
            )


def comes_up(url: str) -> None:
    """Fill, upgrade, and look at everything."""
    db = Database(url)
    rows = fill(db)
    tell(db)
    upgrade(url)
    now = sa.MetaData()
    now.reflect(db.engine)
    with db.engine.connect() as connection:
        for name, row in rows.items():
            table = now.tables[name]
            keys = [column == row[column.name] for column in table.primary_key.columns if column.name in row]
            assert connection.execute(sa.select(table).where(*keys)).all(), f"the row of {name} is gone"
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    state = RoomsService(db).state(SESSION)
    assert state.is_open and state.people[PersonId("alice")].room_id == MAIN_ROOM
    assert state.recordings[RecordingId("k1")].desired == "stopped"
    db.close()


def test_recordings_of_earlier_versions_go_to_who_asked_for_them(
    earlier: dict[str, Path], tmp_path: Path
) -> None:
    path = shutil.copy(earlier["0095"], tmp_path / "old.db")
    url = f"sqlite:///{path}"
    db = Database(url)

    def actor(kind: str, person: str | None) -> dict[str, Any]:
        return {"kind": kind, "person_id": person, "name": "", "role": None, "course_id": None}

    alice, system = actor("person", "alice"), actor("system", None)
    told = [
        ("breakout_starting", alice, {}),
        ("all_rooms_recorded", system, {"parent_id": "g1"}),  # the countdown ended
        ("all_rooms_recorded", actor("person", "tara"), {"parent_id": "g2"}),  # “Record all rooms”
        ("all_rooms_recorded", actor("api", None), {"parent_id": "g3"}),
    ]
    # id, parent, reason, owner as it was, owner as it is right
    owners = [
        ("k1", "g1", "breakout", None, "alice"),
        ("k2", "g1", "breakout", "bob", "alice"),
        ("k3", "g2", "moderator", "tara", "tara"),
        ("k4", "g2", "breakout", "bob", "tara"),
        ("k5", "g3", "breakout", "bob", None),
        ("k6", None, "on_start", "bob", None),
        ("k7", None, "moderator", "alice", "alice"),
    ]
    known = sa.MetaData()
    known.reflect(db.engine)

    def row(table: str, key: str, **values: object) -> None:
        columns = known.tables[table].columns
        made = {column.name: _value(column, key) for column in columns} | values
        connection.execute(known.tables[table].insert().values(made))

    with db.engine.begin() as connection:
        for seq, (kind, who, data) in enumerate(told, start=1):
            row("event", f"v{seq}", id=seq, session_id="s1", seq=seq, type=kind, actor=who, data=data)
        for key, parent, reason, was, _ in owners:
            values = {"session_id": "s1", "parent_id": parent, "start_reason": reason, "started_by": was}
            row("recording", key, id=key, **values)
            row("media_entry", key, id=f"e{key}", recording_id=key, owner_id=was)
        row("media_entry", "up", id="e-upload", recording_id=None, owner_id="bob")
    upgrade(url)
    with db.engine.connect() as connection:
        found = {
            row.id: row.owner
            for row in connection.execute(sa.text(_OWNERS.format("started_by", "recording")))
        }
        entries = {
            row.id: row.owner
            for row in connection.execute(sa.text(_OWNERS.format("owner_id", "media_entry")))
        }
    db.close()
    assert found == {key: right for key, _, _, _, right in owners}
    assert entries == {f"e{key}": right for key, _, _, _, right in owners} | {"e-upload": "bob"}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """An empty SQLite database of each revision."""
    folder = tmp_path_factory.mktemp("revisions")
    path = folder / "now.db"
    made: dict[str, Path] = {}
    for revision in _revisions():
        upgrade(f"sqlite:///{path}", revision)
        made[revision] = folder / f"{revision}.db"
        shutil.copy(path, made[revision])
    yield made


@pytest.mark.parametrize("revision", _revisions())
def test_a_database_of_any_revision_comes_up_with_what_is_in_it(
    earlier: dict[str, Path], revision: str
) -> None:
    comes_up(f"sqlite:///{earlier[revision]}")


def test_a_postgresql_database_of_the_first_revision_comes_up(tmp_path: Path) -> None:
    with temporary_postgres(tmp_path) as url:
        upgrade(url, _revisions()[0])
        comes_up(url)
