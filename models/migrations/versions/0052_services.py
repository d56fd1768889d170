"""Services of the platforms: what launches offered, access tokens, roster syncs, course groups, health; course copies."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0052"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = models.tables.UtcDateTime(timezone=True)
    op.add_column("course", sa.Column("history", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("membership", sa.Column("source", sa.String(), nullable=False, server_default="launch"))
    op.create_table(
        "course_service",
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("platform_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("seen_at", time, nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.ForeignKeyConstraint(["platform_id"], ["platform.id"]),
        sa.PrimaryKeyConstraint("course_id", "name"),
    )
    op.create_table(
        "service_token",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_service_token_expires_at", "service_token", ["expires_at"])
    op.create_table(
        "roster_sync",
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("due_at", time, nullable=True),
        sa.Column("done_at", time, nullable=True),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.PrimaryKeyConstraint("course_id"),
    )
    op.create_index("ix_roster_sync_due_at", "roster_sync", ["due_at"])
    op.create_table(
        "course_group",
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.PrimaryKeyConstraint("course_id", "group_id"),
    )
    op.create_table(
        "group_member",
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("course_id", "group_id", "person_id"),
    )
    op.create_table(
        "platform_health",
        sa.Column("platform_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.ForeignKeyConstraint(["platform_id"], ["platform.id"]),
        sa.PrimaryKeyConstraint("platform_id", "kind"),
    )


def downgrade() -> None:
    for name in (
        "platform_health",
        "group_member",
        "course_group",
        "roster_sync",
        "service_token",
        "course_service",
    ):
        op.drop_table(name)
    op.drop_column("membership", "source")
    op.drop_column("course", "history")
