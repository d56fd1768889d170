"""Attendance of meetings, and attendance scores on their way into the LMS's gradebook."""

import sqlalchemy as sa
from alembic import op

import models.tables

revision = "0053"
down_revision = "0092"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = models.tables.UtcDateTime(timezone=True)
    op.create_table(
        "meeting",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("room_key", sa.String(), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("length_s", sa.Float(), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.create_index("ix_meeting_course_id", "meeting", ["course_id"])
    op.create_table(
        "attendance",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("present_s", sa.Float(), nullable=False),
        sa.Column("attended", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["session_id"], ["meeting.session_id"]),
        sa.PrimaryKeyConstraint("session_id", "person_id"),
    )
    op.create_table(
        "grade_column",
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("room_key", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("maximum", sa.Float(), nullable=False),
        sa.Column("made_maximum", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.PrimaryKeyConstraint("course_id", "room_key"),
    )
    op.create_table(
        "score",
        sa.Column("course_id", sa.String(), nullable=False),
        sa.Column("room_key", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("due_at", time, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", time, nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["course.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("course_id", "room_key", "person_id"),
    )
    op.create_index("ix_score_due_at", "score", ["due_at"])


def downgrade() -> None:
    for name in ("score", "grade_column", "attendance", "meeting"):
        op.drop_table(name)
