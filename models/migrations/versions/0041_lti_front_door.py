"""The LTI front door: invitations, deep linking, named rooms, shared entries, key states, the browser of a login."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0041"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = models.tables.UtcDateTime(timezone=True)
    op.add_column("tool_key", sa.Column("state", sa.String(), nullable=False, server_default="signing"))
    op.add_column("lti_state", sa.Column("browser_hash", sa.String(), nullable=False, server_default=""))
    op.add_column("lti_state", sa.Column("storage_target", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "lti_invite",
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("used_at", time, nullable=True),
        sa.PrimaryKeyConstraint("code_hash"),
    )
    op.create_index("ix_lti_invite_expires_at", "lti_invite", ["expires_at"])
    op.create_table(
        "deep_link",
        sa.Column("id_hash", sa.String(), nullable=False),
        sa.Column("platform_id", sa.Integer(), nullable=False),
        sa.Column("deployment_id", sa.String(), nullable=False),
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("used_at", time, nullable=True),
        sa.ForeignKeyConstraint(["platform_id"], ["platform.id"]),
        sa.PrimaryKeyConstraint("id_hash"),
    )
    op.create_index("ix_deep_link_expires_at", "deep_link", ["expires_at"])
    op.create_table(
        "course_room",
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("room_key", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.PrimaryKeyConstraint("course_id", "room_key"),
    )
    op.create_table(
        "media_share",
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.ForeignKeyConstraint(["entry_id"], ["media_entry.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("entry_id", "course_id"),
    )


def downgrade() -> None:
    for table in ("media_share", "course_room", "deep_link", "lti_invite"):
        op.drop_table(table)
    with op.batch_alter_table("lti_state") as batch:
        batch.drop_column("storage_target")
        batch.drop_column("browser_hash")
    with op.batch_alter_table("tool_key") as batch:
        batch.drop_column("state")
