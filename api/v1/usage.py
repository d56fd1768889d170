"""Handler of ``/api/v1/usage``: what was recorded and kept, a course and month a row."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from pydantic import Field

from api.v1.base import Query
from api.v1.call import Call
from api.v1.schemas import UsageRow
from models.store import meetings_list as store
from models.store.database import Database
from models.values import CourseId
from rooms.errors import DomainError

MONTHS = 12


class UsageQuery(Query):
    """Which months, both ends included; the last twelve when absent."""

    from_month: str | None = Field(
        None, pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="Such as 2026-01."
    )
    to_month: str | None = Field(None, pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")
    course_id: str | None = Field(None, max_length=100)


def listing(call: Call) -> list[UsageRow]:
    query = call.query_as(UsageQuery)
    if query.course_id is not None and call.course_id not in (None, query.course_id):
        return []
    course_id = call.course_id or (CourseId(query.course_id) if query.course_id else None)
    return usage_rows(call.deps.db, course_id, query.from_month, query.to_month, datetime.now(UTC))


def usage_rows(
    db: Database, course_id: CourseId | None, from_month: str | None, to_month: str | None, now: datetime
) -> list[UsageRow]:
    """Newest month first. Raises ``bad_value`` for months that do not exist or run backwards."""
    end = _after(_month("to_month", to_month) if to_month else now)
    start = _month("from_month", from_month) if from_month else _months_before(end, MONTHS)
    if start >= end:
        raise DomainError("bad_value", "“from_month” must not lie after “to_month”.", field="from_month")
    return [
        UsageRow(
            month=f"{row.year:04d}-{row.month:02d}",
            course_id=row.course_id,
            course_title=row.course_title,
            recordings=row.recordings,
            recorded_minutes=math.ceil(row.recorded_s / 60),
            composer_seconds=round(row.composer_s),
            files=row.files,
            bytes=row.bytes,
        )
        for row in store.usage(db, course_id, start, end)
    ]


def _month(field: str, value: str) -> datetime:
    try:
        return datetime(int(value[:4]), int(value[5:]), 1, tzinfo=UTC)
    except ValueError:
        raise DomainError("bad_value", f"“{field}” is a month such as 2026-05.", field=field) from None


def _after(at: datetime) -> datetime:
    """The first moment of the next month."""
    first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    try:
        return (first + timedelta(days=32)).replace(day=1)
    except OverflowError:
        raise DomainError("bad_value", "“to_month” is too late.", field="to_month") from None


def _months_before(at: datetime, months: int) -> datetime:
    count = max(12, at.year * 12 + at.month - 1 - months)
    return at.replace(year=count // 12, month=count % 12 + 1)
