"""The files themselves by their signed links: from the library's folder, or from a confirmed copy when they are gone from there."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, redirect, request, send_file

from library import copies, links
from library.copies import Copy
from library.storage import Storages
from library.transfer import TransferFailed
from models.store import library as store
from models.store.database import Database

log = logging.getLogger("sideroom.api")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
"""Names of separate tracks hold a prefix, a person, a connection and a time."""
COPY_LINK_S: Final = 3600
OPEN_RANGE_BYTES: Final = 8 * 1024 * 1024
"""A player asks for “the rest” and then reads it slowly: from a copy it gets this much at once and asks again."""


def create_blueprint(db: Database, library_root: Path, link_key: str, storages: Storages) -> Blueprint:
    """The route of docs/rest.md §2 for files."""
    blueprint = Blueprint("files", __name__)
    door = _Files(db, library_root, link_key, storages)
    blueprint.add_url_rule("/media/<entry_id>/<name>", "file", door.file)
    return blueprint


class _Files:
    def __init__(self, db: Database, root: Path, link_key: str, storages: Storages) -> None:
        self._db, self._root, self._link_key, self._storages = db, root, link_key, storages

    def file(self, entry_id: str, name: str) -> Response:
        """A file by its signed link, with range requests."""
        given = request.args
        verdict = links.check(
            self._link_key, entry_id, name, given.get("exp", ""), given.get("sig", ""), int(time.time())
        )
        if verdict != "good" or not _NAME.fullmatch(name) or not _NAME.fullmatch(entry_id):
            expired = verdict == "expired"
            return _told(
                "This link has expired. Reload the page." if expired else "This link is not valid.", 403
            )
        row = store.get_entry(self._db, entry_id)
        if row is None or not row["path"]:
            return _told("This file is not here any more.", 404)
        if row["status"] == "expired":
            return _told("This recording has expired; its files were deleted.", 404)
        download = given.get("download") == "1"
        path = self._root / row["path"] / name
        answer = _local(path, row, name, download) if path.is_file() else self._copy(row, name, download)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    def _copy(self, row: Mapping[str, Any], name: str, download: bool) -> Response:
        tried = 0
        for copy in copies.readable(self._db, self._storages, row["id"], name):
            tried += 1
            try:
                return self._from(copy, row, name, download)
            except TransferFailed as error:
                log.warning("media.copy_unreadable entry_id=%s reason=%s", row["id"], error)
        if tried:
            return _told(
                "The storage that has this file does not answer now. Try again in some minutes.", 503
            )
        return _told("This file is not here any more.", 404)

    def _from(self, copy: Copy, row: Mapping[str, Any], name: str, download: bool) -> Response:
        shown = _download_name(row, name)
        if download:
            link = copy.target.link(copy.name, COPY_LINK_S, shown)
            if link is not None:
                if copy.target.size(copy.name) is None:
                    raise TransferFailed("the copy is not at the store any more")
                answer = redirect(link)
                answer.headers["Cache-Control"] = "private, no-store"
                return Response(headers=dict(answer.headers), status=302)
        return _streamed(copy, shown, download)


def _local(path: Path, row: Mapping[str, Any], name: str, download: bool) -> Response:
    answer = send_file(
        path, conditional=True, as_attachment=download, download_name=_download_name(row, name), max_age=600
    )
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "private, max-age=600"
    return answer


def _streamed(copy: Copy, shown: str, download: bool) -> Response:
    """The copy, or the one range that is asked for, passed through piece by piece."""
    size, wanted = copy.size_bytes, request.range
    start, stop, status = 0, size, 200
    if (
        wanted is not None
        and wanted.units == "bytes"
        and len(wanted.ranges) == 1
        and not request.if_range.etag
    ):
        found = wanted.range_for_length(size)
        if found is None:
            return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        (start, stop), status = found, 206
        if wanted.ranges[0][1] is None and wanted.ranges[0][0] >= 0:
            stop = min(stop, start + OPEN_RANGE_BYTES)
    answer = Response(
        b"" if request.method == "HEAD" else copy.read(start, stop - start),
        status,
        mimetype=copy.mime or "application/octet-stream",
    )
    answer.headers["Content-Length"] = str(stop - start)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "private, max-age=600"
    if status == 206:
        answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    if download:
        answer.headers.set("Content-Disposition", "attachment", filename=shown)
    return answer


def _told(sentence: str, status: int) -> Response:
    return Response(sentence, status, mimetype="text/plain")


def _download_name(row: Mapping[str, Any], name: str) -> str:
    if name != row["file_name"]:
        return name
    title = re.sub(r"[^\w .()-]+", "_", str(row["title"])).strip()[:120] or "recording"
    return f"{title}{Path(name).suffix}"
