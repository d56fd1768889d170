"""API keys may expire, and say when they were last used."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0092"
down_revision = "0091"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("expires_at", "last_used_at"):
        op.add_column("api_key", sa.Column(name, models.tables.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in ("expires_at", "last_used_at"):
        op.drop_column("api_key", name)
