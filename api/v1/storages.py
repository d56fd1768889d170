"""Handlers of ``/api/v1/storages``: where copies of recordings go. Credentials come in and never go out.

A key for one course sees the site's storages and its course's; it changes only the latter.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.v1.base import Answer, At, Body
from api.v1.call import Call
from api.v1.recordings_schemas import StorageConfigBody
from foundation.text import clean
from library.storage import MAX_NAME_CHARS, public
from models.store import storage as store
from models.store import transfers
from models.store.people import get_course
from models.store.storage import Storage
from rooms.errors import DomainError


class StorageBody(StorageConfigBody):
    """A new storage. It is tried out (write, look, read, delete) and saved only if that works."""

    name: str = Field("", max_length=MAX_NAME_CHARS, description="How people know it; empty: the bucket.")
    course_id: str | None = Field(
        None, max_length=100, description="Only of this course (a key for one course always makes such)."
    )
    keep_local: bool = Field(
        True, description="False: large files here are removed when every copy is confirmed."
    )
    delete_copies: bool = Field(
        False, description="True: a copy goes too when its recording expires or is deleted."
    )


class StorageChange(Body):
    """Only what is to be different. New credentials are tried out first; where it leads cannot be changed."""

    name: str | None = Field(None, min_length=1, max_length=MAX_NAME_CHARS)
    keep_local: bool | None = None
    delete_copies: bool | None = None
    access_key: str | None = Field(None, min_length=1, max_length=2048)
    secret: str | None = Field(None, min_length=1, max_length=2048)


class StorageData(Answer):
    """A storage as it is kept, without its credentials."""

    id: str
    scope: Literal["site", "course"]
    course_id: str | None
    name: str
    type: str
    bucket: str
    region: str
    endpoint_url: str
    path: str
    keep_local: bool = Field(description="False: the file here is deleted once every copy is confirmed.")
    delete_copies: bool
    checked_time: At | None
    problem: str | None = Field(description="What the last trial found; null: it works.")
    created_time: At


class Retried(Answer):
    """How many failed copies are made again."""

    count: int


_CONFIG = tuple(StorageConfigBody.model_fields)


def listing(call: Call) -> list[StorageData]:
    """The site's, and the course's of the key (of all courses, for a key for all)."""
    found = (
        store.configured(call.deps.db)
        if call.course_id is None
        else store.usable(call.deps.db, call.course_id)
    )
    return [_shown(storage) for storage in found]


def create(call: Call) -> StorageData:
    body = call.body_as(StorageBody)
    course_id = body.course_id or call.course_id
    if call.course_id not in (None, course_id):
        raise DomainError("other_course", "This key is for another course.")
    if course_id is not None and get_course(call.deps.db, course_id) is None:
        raise DomainError("course_unknown")
    config = body.model_dump(include=set(_CONFIG), exclude_none=True)
    storage_id = call.deps.storages.create(
        f"course:{course_id}" if course_id else "site",
        config,
        name=clean(body.name),
        keep_local=body.keep_local,
        delete_copies=body.delete_copies,
        folders=False,
    )
    return _shown(call.deps.storages.get(storage_id))


def details(call: Call) -> StorageData:
    return _shown(_seen(call))


def change(call: Call) -> StorageData:
    body, storage = call.body_as(StorageChange), _own(call)
    credentials = body.model_dump(include={"access_key", "secret"}, exclude_none=True)
    changed = call.deps.storages.change(
        storage.storage_id,
        name=clean(body.name) if body.name is not None else None,
        keep_local=body.keep_local,
        delete_copies=body.delete_copies,
        credentials=credentials,
    )
    return _shown(changed)


def remove(call: Call) -> None:
    call.deps.storages.remove(_own(call).storage_id)


def check(call: Call) -> StorageData:
    """Try it out now; what was found stands in ``problem``."""
    storage = _own(call)
    call.deps.storages.check(storage.storage_id)
    return _shown(call.deps.storages.get(storage.storage_id))


def retry(call: Call) -> Retried:
    return Retried(count=transfers.retry_failed(call.deps.db, _own(call).storage_id))


def _seen(call: Call) -> Storage:
    """The storage of the address, if the key may see it. Raises ``storage_unknown``."""
    found = call.deps.storages.get(call.path["storage_id"])
    of_key = call.course_id is None or found.scope == "site" or found.course_id == call.course_id
    if found.scope == "call" or not of_key:
        raise DomainError("storage_unknown")
    return found


def _own(call: Call) -> Storage:
    """The same, if the key may change it. Raises ``not_allowed`` for the site's and a key for one course."""
    found = _seen(call)
    if found.scope == "site" and call.course_id is not None:
        raise DomainError(
            "not_allowed", "This storage is the whole site's. A key for all courses may change it."
        )
    return found


def _shown(storage: Storage) -> StorageData:
    plain: dict[str, Any] = public(storage)
    blank = dict.fromkeys(("bucket", "region", "endpoint_url", "path"), "")
    return StorageData.model_validate({**blank, **plain})
