"""Registrations know that their keyset is being fetched; memberships know since when a roster has them."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0094"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "platform", sa.Column("jwks_asked_at", models.tables.UtcDateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "membership", sa.Column("roster_at", models.tables.UtcDateTime(timezone=True), nullable=True)
    )
    op.execute("UPDATE membership SET roster_at = seen_at WHERE source = 'roster'")


def downgrade() -> None:
    op.drop_column("membership", "roster_at")
    op.drop_column("platform", "jwks_asked_at")
