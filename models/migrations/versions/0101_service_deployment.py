"""The deployment through which a course's services are reached."""

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = "0096"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "course_service", sa.Column("deployment_id", sa.String(), nullable=False, server_default="")
    )


def downgrade() -> None:
    with op.batch_alter_table("course_service") as batch:
        batch.drop_column("deployment_id")
