"""Slack: installations, roads through its pages, what it says about users, why a link is suspended."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0021"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("slack_link") as batch:
        batch.add_column(sa.Column("reason", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "slack_user",
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("checked_at", models.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("team_id", "user_id"),
    )
    op.create_index("ix_slack_user_wanted", "slack_user", ["wanted"])
    op.create_table(
        "slack_install",
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("team_name", sa.String(), nullable=False),
        sa.Column("enterprise_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("bot_user_id", sa.String(), nullable=False),
        sa.Column("bot_id", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("bot_token", sa.String(), nullable=False),
        sa.Column("refresh_token", sa.String(), nullable=False),
        sa.Column("token_expires_at", models.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("lease_until", models.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("installed_by", sa.String(), nullable=False),
        sa.Column("installed_at", models.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("team_id"),
    )
    op.create_table(
        "slack_state",
        sa.Column("state_hash", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("nonce_hash", sa.String(), nullable=False),
        sa.Column("browser_hash", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("expires_at", models.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("state_hash"),
    )
    op.create_index("ix_slack_state_expires_at", "slack_state", ["expires_at"])


def downgrade() -> None:
    op.drop_table("slack_state")
    op.drop_table("slack_install")
    op.drop_index("ix_slack_user_wanted", "slack_user")
    op.drop_table("slack_user")
    with op.batch_alter_table("slack_link") as batch:
        batch.drop_column("reason")
