"""Bring a database to this version (Alembic, with the migrations that stand in ``models.migrations``)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlmodel import SQLModel

from models import tables  # noqa: F401 - fills the metadata
from models.store.database import Database

FOLDER = Path(__file__).parents[1] / "migrations"
metadata = SQLModel.metadata
UPGRADE_LOCK = 5_171_023
"""Any number that nobody else on the database uses."""


def upgrade(db_url: str, to: str = "head") -> None:
    """Run the migrations that are missing, up to a revision. Safe to repeat, and when two processes do it at once."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    db = Database(db_url)
    try:
        with db.write() as session:
            connection = session.connection()
            if not db.is_sqlite:
                # SQLite's write lock makes a second process wait; here it needs a lock of its own.
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    finally:
        db.close()
