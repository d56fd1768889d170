"""The HTTP doors for pages and integrators: media pages' JSON and the REST API. Flask. The files themselves: ``api.files``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast, get_args

from flask import Blueprint, Response, jsonify, request

from api import roster, uploads
from api.common import bearer, json_object, refuse
from api.entry_files import details
from api.v1 import door
from api.v1.call import Deps
from api.v1.limits import DEFAULT_LIMITS, Limits
from api.v1.view import View
from library import copies, links
from library.media import PER_PAGE, Library, Scope
from library.storage import Storages
from library.uploads import Uploads
from library.values import Entry
from models.store.access import Access
from models.store.database import Database
from rooms.errors import DomainError
from rooms.ports import Rooms
from webhooks.setup import Setup

log = logging.getLogger("sideroom.api")
SCOPES = get_args(Scope)
MAX_QUERY_CHARS = 100


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """What the blueprint needs; ``link_key`` signs links to files."""

    db: Database
    library_root: Path
    link_key: str


def create_blueprint(deps: ApiDeps) -> Blueprint:
    """Routes of docs/page-api.md §2 for media."""
    blueprint = Blueprint("api", __name__)
    door = _Media(deps)
    route = blueprint.add_url_rule
    route("/app/api/media", "media", door.listing)
    route("/app/api/media/<entry_id>", "entry", door.entry)
    route("/app/api/media/<entry_id>", "change", door.change, methods=["PATCH"])
    route("/app/api/media/<entry_id>", "delete", door.delete, methods=["DELETE"])
    blueprint.register_error_handler(DomainError, refuse)
    return blueprint


def create_blueprints(
    *,
    db: Database,
    rooms: Rooms,
    library_root: Path,
    link_key: str,
    base_url: str,
    webhooks: Setup,
    storages: Storages,
    max_upload_bytes: int = 2 * 1024**3,
    upload_quota_bytes: int = 0,
    retention: timedelta | None = None,
    limits: Limits = DEFAULT_LIMITS,
    reference: Callable[[], Response] | None = None,
    report_wait_s: float = 3.0,
) -> list[Blueprint]:
    """The doors: the pages' media and uploads (docs/page-api.md §2) and the integrators' API (docs/rest.md)."""
    library = Library(db, library_root)
    view = View(db, link_key, base_url)
    integrators = Deps(db, rooms, view, webhooks, storages, library, limits, reference, report_wait_s)
    return [
        create_blueprint(ApiDeps(db, library_root, link_key)),
        uploads.create_blueprint(Uploads(db, library_root, max_upload_bytes, retention, upload_quota_bytes)),
        roster.create_blueprint(db),
        door.create_blueprint(integrators),
    ]


class _Media:
    def __init__(self, deps: ApiDeps) -> None:
        self._deps = deps
        self._library = Library(deps.db, deps.library_root)

    def listing(self) -> Response:
        access = bearer(self._deps.db)
        scope = request.args.get("scope", "mine")
        if scope not in SCOPES:
            raise DomainError("bad_value", "scope is mine, channel, folder or unowned.", field="scope")
        page = request.args.get("page", "0")
        if not (page.isascii() and page.isdigit()) or len(page) > 6:
            raise DomainError("bad_value", "page is a number of 0 or more.", field="page")
        query = request.args.get("q", "").strip()[:MAX_QUERY_CHARS]
        entries, total = self._library.find(access, cast(Scope, scope), query, int(page))
        states = copies.states(self._deps.db, [entry.entry_id for entry in entries])
        may_edit = self._library.editor(access)
        return jsonify(
            {
                "entries": [self._json(entry, states, may_edit(entry)) for entry in entries],
                "total": total,
                "page": int(page),
                "per_page": PER_PAGE,
                "scopes": self._library.scopes(access),
            }
        )

    def entry(self, entry_id: str) -> Response:
        access = bearer(self._deps.db)
        entry = self._library.get(access, entry_id)
        shown = self._one(access, entry)
        more = details(self._deps.db, entry, self._linker(entry), may_edit=shown["may_edit"])
        return jsonify({**shown, **more})

    def change(self, entry_id: str) -> Response:
        access = bearer(self._deps.db)
        body = json_object()
        unknown = set(body) - {"title", "published"}
        title, published = body.get("title"), body.get("published")
        if unknown or not isinstance(title, str | None) or not isinstance(published, bool | None):
            raise DomainError("bad_command", "Give “title” (text) or “published” (true or false).")
        return jsonify(self._one(access, self._library.change(access, entry_id, title, published)))

    def delete(self, entry_id: str) -> tuple[str, int]:
        self._library.delete(bearer(self._deps.db), entry_id)
        return "", 204

    def _one(self, access: Access, entry: Entry) -> dict[str, Any]:
        states = copies.states(self._deps.db, [entry.entry_id])
        return self._json(entry, states, self._library.may_edit(access, entry))

    def _json(self, entry: Entry, states: dict[str, list[dict[str, Any]]], may_edit: bool) -> dict[str, Any]:
        ready = entry.status == "ready"
        thumbnail = entry.quality.get("thumbnail")
        warnings = entry.quality.get("warnings")
        return {
            "entry_id": entry.entry_id,
            "title": entry.title,
            "course_title": entry.course_title,
            "room_name": entry.room_name,
            "time_zone": entry.time_zone or "UTC",
            "recorded_at": entry.recorded_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "duration_s": round(entry.duration_s, 3),
            "size_bytes": entry.size_bytes,
            "mime": entry.mime,
            "width": entry.width,
            "height": entry.height,
            "status": entry.status,
            "progress": 1.0 if ready else entry.progress,
            "ready_at": entry.ready_at.isoformat() if entry.ready_at is not None and not ready else None,
            "error": entry.error if entry.status == "failed" else None,
            "published": entry.published,
            "owner_name": entry.owner_name,
            "may_edit": may_edit,
            "thumb_url": self._link(entry, str(thumbnail)) if ready and thumbnail else None,
            "file_url": self._link(entry, entry.file_name) if ready else None,
            "download_url": self._link(entry, entry.file_name, download=True) if ready else None,
            "expires_at": entry.expires_at.isoformat() if entry.expires_at is not None else None,
            "warnings": warnings if isinstance(warnings, list) else [],
            "copies": states.get(entry.entry_id, []) if may_edit else [],
        }

    def _linker(self, entry: Entry) -> Callable[[str, bool], str]:
        return lambda name, download: self._link(entry, name, download=download)

    def _link(self, entry: Entry, name: str, *, download: bool = False) -> str:
        return links.link(self._deps.link_key, entry.entry_id, name, int(time.time()), download=download)
