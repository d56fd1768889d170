"""Handlers of ``/api/v1/courses``: what a course's recordings are by default, and whether they start by themselves."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import Field

from api.v1.base import PageQuery
from api.v1.call import Call, Page
from api.v1.recordings import in_our_words
from api.v1.recordings_schemas import RecordingConfig, RecordingConfigData, in_our_names
from api.v1.schemas import Course
from models.recording import BadOption, RecordingOptions, options_from_json
from models.store.people import course_settings, find_courses, get_course, set_course_setting
from models.values import CourseId
from rooms.errors import DomainError
from rooms.wire import to_json


class CoursesQuery(PageQuery):
    """Which courses."""

    search: str = Field("", max_length=100, description="An id, or a part of the title.")


def listing(call: Call) -> Page:
    query = call.query_as(CoursesQuery)
    found, total = find_courses(
        call.deps.db, call.course_id, query.search.strip(), query.page_no, query.per_page
    )
    return Page([Course(id=c.course_id, title=c.title, context_id=c.context_id) for c in found], total)


def get_config(call: Call) -> RecordingConfigData:
    course_id = _course(call)
    stored = course_settings(call.deps.db, course_id).get("recording", {})
    given = stored.get("options", {})
    try:
        effective = options_from_json(given)
    except BadOption:
        given, effective = {}, RecordingOptions()  # of a version with other options
    return RecordingConfigData(
        course_id=course_id,
        record_on_start=bool(stored.get("record_on_start")),
        on_behalf_of=stored.get("record_on_start_by"),
        options=in_our_names(given),
        effective=in_our_names(to_json(asdict(effective))),
    )


def put_config(call: Call) -> RecordingConfigData:
    """Replaces what was there; holds for sessions that are opened from now on."""
    course_id, body = _course(call), call.body_as(RecordingConfig)
    options = body.options.partial() if body.options is not None else {}
    try:
        options_from_json(options)
    except BadOption as error:
        refusal = DomainError("bad_value", f"“{error.field}” {error.message}.", field=error.field)
        raise in_our_words(refusal) from None
    by = None if body.on_behalf_of is None else call.moderator(course_id, body.on_behalf_of)
    value = {
        "options": options,
        "record_on_start": body.record_on_start,
        "record_on_start_by": by if body.record_on_start else None,
    }
    set_course_setting(call.deps.db, course_id, "recording", value)
    return get_config(call)


def _course(call: Call) -> CourseId:
    """The course of the address, when it is the key's. Raises ``course_unknown``."""
    found = get_course(call.deps.db, call.path["course_id"])
    if found is None or call.course_id not in (None, found.course_id):
        raise DomainError("course_unknown")
    return found.course_id
