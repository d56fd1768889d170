"""Storages that get copies, and the copies."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0081"
down_revision = "0052"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, models.tables.UtcDateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "storage",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("course_id", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("keep_local", sa.Boolean(), nullable=False),
        sa.Column("delete_copies", sa.Boolean(), nullable=False),
        _time("checked_at"),
        sa.Column("problem", sa.String(), nullable=True),
        _time("created_at", nullable=False),
        _time("removed_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_storage_scope", "storage", ["scope"])
    op.create_index("ix_storage_course_id", "storage", ["course_id"])
    op.create_table(
        "transfer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("storage_id", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _time("failing_since"),
        _time("next_at"),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=False),
        _time("lease_until"),
        _time("created_at", nullable=False),
        _time("done_at"),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("entry_id", "storage_id"),
    )
    for name in ("entry_id", "storage_id", "status"):
        op.create_index(f"ix_transfer_{name}", "transfer", [name])
    op.create_table(
        "transfer_file",
        sa.Column("transfer_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("mime", sa.String(), nullable=False),
        sa.Column("copied_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        _time("done_at"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"]),
        sa.PrimaryKeyConstraint("transfer_id", "name"),
    )


def downgrade() -> None:
    for name in ("transfer_file", "transfer", "storage"):
        op.drop_table(name)
