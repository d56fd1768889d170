"""What bodies, queries and answers of ``/api/v1`` have in common: strict models, and their refusals in our words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rooms.errors import DomainError

M = TypeVar("M", bound=BaseModel)
_UNREADABLE: Final = (
    "_type",
    "_parsing",
    "missing",
    "extra_forbidden",
    "int_from_float",
    "model_attributes_type",
)


class Body(BaseModel):
    """A request's body: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A request's query: nothing unknown; texts become numbers."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """Data of an answer. Every field is always there."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _with_zone(value: object) -> object:
    """Only RFC 3339 texts: pydantic would also take numbers and times without a zone."""
    if not isinstance(value, str):
        raise ValueError("a time such as 2026-05-04T10:00:00Z")
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("a time such as 2026-05-04T10:00:00Z") from None


_TIME = WithJsonSchema({"type": "string", "format": "date-time"})
Time = Annotated[datetime, BeforeValidator(_with_zone), _TIME]
"""A time in a request."""
At = Annotated[datetime, AfterValidator(_utc)]
"""A time in an answer."""
Id = Annotated[str, Field(min_length=1, max_length=100)]


class Paging(Answer):
    """Where a page of a list stands."""

    total_count: int
    page_no: int
    per_page: int


class PageQuery(Query):
    """Paging of lists: pages count from 0."""

    page_no: int = Field(0, ge=0, le=100_000)
    per_page: int = Field(20, ge=1, le=100)


def read(model: type[M], data: object) -> M:
    """``data`` as the model. Raises ``bad_command`` for what cannot be read, ``bad_value`` for what is out of range.

    Both name the field (dotted when it is an inner one); the second also says the range.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # What cannot be read is told before what is out of range; of several the first.
        problems = error.errors(include_url=False, include_input=False)
        raise _refusal(model, min(problems, key=lambda p: not _is_unreadable(p))) from None


def _is_unreadable(problem: ErrorDetails) -> bool:
    return problem["type"].endswith(_UNREADABLE)


def _refusal(model: type[BaseModel], problem: ErrorDetails) -> DomainError:
    field = ".".join(str(part)[:40] for part in problem["loc"]) or "body"
    if problem["type"] == "extra_forbidden":
        return DomainError("bad_command", f"“{field}” isn’t a known field.", field=field)
    if problem["type"] == "missing":
        return DomainError("bad_command", f"“{field}” is missing.", field=field)
    if _is_unreadable(problem):
        return DomainError("bad_command", f"“{field}”: {_plain(problem['msg'])}.", field=field)
    facts: dict[str, object] = {"field": field}
    least, most = _range(model, problem["loc"])
    if problem["type"] in _OUT_OF_RANGE and most is not None:
        facts |= {"least": least or 0, "most": most}
        kind = _OUT_OF_RANGE[problem["type"]].format(least or 0, most)
        return DomainError("bad_value", f"“{field}” must {kind}.", **facts)
    expected = (problem.get("ctx") or {}).get("expected")
    if expected is not None:
        return DomainError("bad_value", f"“{field}” must be {expected}.".replace("'", ""), **facts)
    return DomainError("bad_value", f"“{field}”: {_plain(problem['msg'])}.", **facts)


_OUT_OF_RANGE: Final = {
    "greater_than_equal": "be from {} to {}",
    "less_than_equal": "be from {} to {}",
    "multiple_of": "be an even number from {} to {}",
    "string_too_short": "have {} to {} characters",
    "string_too_long": "have {} to {} characters",
    "too_short": "have {} to {} items",
    "too_long": "have {} to {} items",
}


def _plain(message: str) -> str:
    """pydantic's sentence with a small first letter and without its prefix."""
    message = message.removeprefix("Value error, ").removesuffix(".")
    return message[:1].lower() + message[1:]


def _range(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[Any, Any]:
    """The least and the most that the field at ``loc`` may be, as far as it says."""
    fields: Mapping[str, FieldInfo] = model.model_fields
    found: FieldInfo | None = None
    for part in loc:
        if not isinstance(part, str) or part not in fields:
            continue
        found = fields[part]
        inner = _model_in(found.annotation)
        fields = inner.model_fields if inner is not None else {}
    least = most = None
    for rule in _rules(found):
        least = rule.ge if isinstance(rule, Ge) else rule.min_length if isinstance(rule, MinLen) else least
        most = rule.le if isinstance(rule, Le) else rule.max_length if isinstance(rule, MaxLen) else most
    return least, most


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _rules(found: FieldInfo | None) -> list[Any]:
    """Constraints of a field, also those on one side of ``… | None``."""
    if found is None:
        return []
    rules = list(found.metadata)
    is_union = get_origin(found.annotation) in (Union, UnionType)
    for kind in get_args(found.annotation) if is_union else ():
        for rule in getattr(kind, "__metadata__", ()):
            rules += rule.metadata if isinstance(rule, FieldInfo) else [rule]
    return rules
