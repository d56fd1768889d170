"""What a recording shall be, who asked for it, and the files of library entries."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("recording") as table:
        table.add_column(sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("layout", sa.String(), nullable=False, server_default="grid"))
        table.add_column(sa.Column("start_reason", sa.String(), nullable=False, server_default="moderator"))
        table.add_column(sa.Column("stop_reason", sa.String(), nullable=True))
        table.add_column(sa.Column("caller", sa.JSON(), nullable=False, server_default="{}"))
        # A film may be larger than 2 GiB.
        table.alter_column("size_bytes", existing_type=sa.Integer(), type_=sa.BigInteger())
    with op.batch_alter_table("media_entry") as table:
        table.alter_column("size_bytes", existing_type=sa.Integer(), type_=sa.BigInteger())
    op.create_table(
        "media_file",
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("mime", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("created_at", models.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["media_entry.id"]),
        sa.PrimaryKeyConstraint("entry_id", "name"),
    )


def downgrade() -> None:
    op.drop_table("media_file")
    with op.batch_alter_table("recording") as table:
        for name in ("options", "layout", "start_reason", "stop_reason", "caller"):
            table.drop_column(name)
        table.alter_column("size_bytes", existing_type=sa.BigInteger(), type_=sa.Integer())
    with op.batch_alter_table("media_entry") as table:
        table.alter_column("size_bytes", existing_type=sa.BigInteger(), type_=sa.Integer())
