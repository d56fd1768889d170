"""Alembic's entry: runs on the connection that ``models.store.migrate`` hands over."""

from alembic import context
from sqlmodel import SQLModel

from models import tables  # noqa: F401 - fills the metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
context.run_migrations()
