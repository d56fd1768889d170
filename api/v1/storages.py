"""Handler of ``/api/v1/storages``: where copies of recordings go. Credentials are never among it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.v1.base import Answer, At
from api.v1.call import Call
from library.storage import public
from models.store import storage as store


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


def listing(call: Call) -> list[StorageData]:
    """The site's, and the course's of the key (of all courses, for a key for all)."""
    found = (
        store.configured(call.deps.db)
        if call.course_id is None
        else store.usable(call.deps.db, call.course_id)
    )
    return [_shown(public(storage)) for storage in found]


def _shown(plain: dict[str, Any]) -> StorageData:
    blank = dict.fromkeys(("bucket", "region", "endpoint_url", "path"), "")
    return StorageData.model_validate({**blank, **plain})
