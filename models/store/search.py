"""Searching names and titles: both sides by one key, so that every database finds the same.

Databases differ in what they call upper case, and none knows kinds of apostrophe. Rows that are searched keep the key of their
texts (``foundation.text.fold``); it is written whenever they are.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, event
from sqlmodel import SQLModel, col

from foundation.text import fold
from models.tables import CourseRow, MediaEntryRow, PersonRow, SessionRow

SEARCHED: Final[dict[type[SQLModel], tuple[str, ...]]] = {
    PersonRow: ("name", "email"),
    CourseRow: ("title",),
    SessionRow: ("title",),
    MediaEntryRow: ("title", "room_name"),
}
"""The texts of each table that are searched."""


def key_of(*texts: str | None) -> str:
    """The key of several texts. Between two stands a line end, which no key has: nothing is found across."""
    return "\n".join(fold(text or "") for text in texts)


def matches(search_key: str, wanted: str) -> ColumnElement[bool]:
    """Whether a row's texts have ``wanted`` in them. What folds to nothing is in none."""
    key = fold(wanted)
    return col(search_key).contains(key, autoescape=True) if key else col(search_key).is_(None)


def _keep_key(_mapper: Any, _connection: Any, row: Any) -> None:
    key = key_of(*(getattr(row, name) for name in SEARCHED[type(row)]))
    if row.search_key != key:
        row.search_key = key


for _table in SEARCHED:
    event.listen(_table, "before_insert", _keep_key)
    event.listen(_table, "before_update", _keep_key)
