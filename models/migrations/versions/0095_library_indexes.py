"""Indexes for long lists: a course's recordings, a person's media, copies by state."""

from alembic import op

revision = "0095"
down_revision = "0094"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_recording_course_invoked", "recording", ["course_id", "invoked_at"]),
    ("ix_media_entry_owner_recorded", "media_entry", ["owner_id", "recorded_at"]),
    ("ix_transfer_status_settled", "transfer", ["status", "settled"]),
    ("ix_transfer_storage_status", "transfer", ["storage_id", "status"]),
)


def upgrade() -> None:
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
