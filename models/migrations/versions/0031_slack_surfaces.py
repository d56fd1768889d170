"""Slack: App Home of people, addresses of our messages."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0031"
down_revision = "0061"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "slack_home",
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("dm_calls", sa.Boolean(), nullable=False),
        sa.Column("opened_at", models.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("team_id", "user_id"),
    )
    with op.batch_alter_table("slack_message") as batch:
        batch.add_column(sa.Column("permalink", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("slack_message") as batch:
        batch.drop_column("permalink")
    op.drop_table("slack_home")
