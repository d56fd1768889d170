"""When a composition will be ready, and compositions that are asked for afterwards."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0061"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("recording") as table:
        table.add_column(sa.Column("composed_s", sa.Float(), nullable=False, server_default="0"))
        table.add_column(sa.Column("eta_at", models.tables.UtcDateTime(timezone=True), nullable=True))
    op.create_table(
        "composition",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("recording_id", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("eta_at", models.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=False),
        sa.Column("lease_until", models.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", models.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_composition_recording_id", "composition", ["recording_id"])
    op.create_index("ix_composition_status", "composition", ["status"])


def downgrade() -> None:
    op.drop_table("composition")
    with op.batch_alter_table("recording") as table:
        table.drop_column("composed_s")
        table.drop_column("eta_at")
