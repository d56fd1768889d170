"""Rows that are searched keep the key of their texts; courses know their time zone."""

import sqlalchemy as sa
from alembic import op

from models.store.search import key_of

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None

SEARCHED = {
    "person": ("name", "email"),
    "course": ("title",),
    "session": ("title",),
    "media_entry": ("title", "room_name"),
}
PART = 1000


def upgrade() -> None:
    op.add_column("course", sa.Column("time_zone", sa.String(), nullable=False, server_default=""))
    for table, texts in SEARCHED.items():
        op.add_column(table, sa.Column("search_key", sa.String(), nullable=False, server_default=""))
        _fill(table, texts)


def _fill(table: str, texts: tuple[str, ...]) -> None:
    rows = sa.table(table, *(sa.column(name) for name in ("id", "search_key", *texts)))
    connection, after = op.get_bind(), ""
    while True:
        asked = sa.select(rows.c.id, *(rows.c[name] for name in texts)).where(rows.c.id > after)
        found = connection.execute(asked.order_by(rows.c.id).limit(PART)).all()
        if not found:
            return
        after = found[-1][0]
        change = rows.update().where(rows.c.id == sa.bindparam("row")).values(search_key=sa.bindparam("key"))
        connection.execute(change, [{"row": row[0], "key": key_of(*row[1:])} for row in found])


def downgrade() -> None:
    for table in SEARCHED:
        op.drop_column(table, "search_key")
    op.drop_column("course", "time_zone")
