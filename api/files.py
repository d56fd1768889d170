"""The files themselves by their signed links: from the library's folder, or from a confirmed copy when they are gone from there.

An ASGI application of its own, not a Flask view: a player that has enough for a while keeps its connection open and reads
nothing, and a class that watches a recording would hold every thread that Flask has.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import regex
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.ranges import NotThere, Span, wanted_span
from foundation.text import clean, cut
from foundation.zone import local, said
from library import copies, links
from library.copies import Copy
from library.storage import Storages
from library.transfer import TransferFailed
from models.store import library as store
from models.store.database import Database
from models.store.media_files import MediaFile, get_file

log = logging.getLogger("sideroom.api")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
"""Names of separate tracks hold a prefix, a person, a connection and a time."""
COPY_LINK_S: Final = 3600
OPEN_RANGE_BYTES: Final = 8 * 1024 * 1024
"""A player asks for “the rest” and then reads it slowly: from a copy it gets this much at once and asks again."""
PIECE: Final = 256 * 1024
THREADS: Final = 16
_MIMES: Final = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".vtt": "text/vtt",
    ".jpg": "image/jpeg",
}
"""For files of which the database does not say it. Nothing else is ever called something that a browser would run."""
Pieces = Generator[bytes, None, None]


@dataclass(frozen=True, slots=True)
class _Content:
    """What is sent: ``read(span)`` gives its pieces, on a thread of ``threads``."""

    read: Callable[[Span], Pieces]
    size: int
    mime: str
    etag: str
    threads: Executor
    most_bytes: int | None = None
    """How much one open-ended range may give at most."""


class Files:
    """``GET /media/<entry_id>/<name>?exp=&sig=`` of docs/page-api.md §2, mounted at ``/media``. ``close`` it at the end."""

    def __init__(self, db: Database, library_root: Path, link_key: str, storages: Storages) -> None:
        self._db, self._root, self._link_key, self._storages = db, library_root, link_key, storages
        self._disk = ThreadPoolExecutor(THREADS, thread_name_prefix="media.disk")
        # A store that hangs must not hold up what is here.
        self._stores = ThreadPoolExecutor(THREADS, thread_name_prefix="media.store")

    def close(self) -> None:
        """Ends the threads when their pieces are read."""
        self._disk.shutdown(wait=False, cancel_futures=True)
        self._stores.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        if request.method not in ("GET", "HEAD"):
            await PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET, HEAD"})(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._disk, self._local, request)
        if isinstance(answer, Mapping):
            answer = await loop.run_in_executor(self._stores, self._copy, answer, request)
        await answer(scope, receive, send)

    # -- deciding (on threads) -----------------------------------------------------------------------------------

    def _local(self, request: Request) -> Response | Mapping[str, Any]:
        """The answer, or the entry when its file has to come from a copy."""
        entry_id, name = _names(request)
        given = request.query_params
        verdict = links.check(
            self._link_key, entry_id, name, given.get("exp", ""), given.get("sig", ""), int(time.time())
        )
        if verdict != "good" or not _NAME.fullmatch(name) or not _NAME.fullmatch(entry_id):
            expired = verdict == "expired"
            return _told(
                "This link has expired. Reload the page."
                if expired
                else "This link isn’t valid. Reload the page.",
                403,
            )
        row = store.get_entry(self._db, entry_id)
        if row is None or not row["path"]:
            return _told("This file is no longer here.", 404)
        if row["status"] == "expired":
            return _told("This recording has expired; its files were deleted.", 404)
        path = self._root / row["path"] / name
        try:
            found = path.stat()
        except OSError:
            return row
        file = get_file(self._db, row["id"], name) or _main_file(row, name)
        etag = f'"{file.sha256[:32]}"' if file.sha256 else f'"{found.st_size:x}-{found.st_mtime_ns:x}"'
        content = _Content(lambda span: _read(path, span), found.st_size, _mime(file), etag, self._disk)
        try:
            return _answer(request, content, _download_name(row, name))
        except OSError:
            return row  # it went in this moment

    def _copy(self, row: Mapping[str, Any], request: Request) -> Response:
        _, name = _names(request)
        tried = 0
        for copy in copies.readable(self._db, self._storages, row["id"], name):
            tried += 1
            try:
                return self._from(copy, row, name, request)
            except TransferFailed as error:
                log.warning("media.copy_unreadable entry_id=%s reason=%s", row["id"], error)
        if tried:
            return _told("The storage for this file isn’t responding. Try again in a few minutes.", 503)
        return _told("This file is no longer here.", 404)

    def _from(self, copy: Copy, row: Mapping[str, Any], name: str, request: Request) -> Response:
        shown = _download_name(row, name)
        if _is_download(request):
            link = copy.target.link(copy.name, COPY_LINK_S, shown)
            if link is not None:
                if copy.target.size(copy.name) is None:
                    raise TransferFailed("the copy is no longer at the storage")
                return RedirectResponse(link, 302, {"Cache-Control": "private, no-store"})
        file = MediaFile(name, "composite", copy.mime, copy.size_bytes, copy.sha256)
        content = _Content(
            lambda span: copy.read(span.start, span.length),
            copy.size_bytes,
            _mime(file),
            f'"{copy.sha256[:32]}"',
            self._stores,
            OPEN_RANGE_BYTES,
        )
        return _answer(request, content, shown)


def _names(request: Request) -> tuple[str, str]:
    """Entry and file, the last two parts of the address."""
    parts = request.scope["path"].split("/")
    return (parts[-2], parts[-1]) if len(parts) > 2 else ("", "")


def _is_download(request: Request) -> bool:
    return request.query_params.get("download") == "1"


def _main_file(row: Mapping[str, Any], name: str) -> MediaFile:
    """A file of an entry of an earlier version, which has no list of its files."""
    is_film = name == row["file_name"]
    return MediaFile(name, "composite", row["mime"] if is_film else "", 0, row["sha256"] if is_film else "")


def _mime(file: MediaFile) -> str:
    return file.mime or _MIMES.get(Path(file.name).suffix, "application/octet-stream")


def _download_name(row: Mapping[str, Any], name: str) -> str:
    if name != row["file_name"]:
        return name
    # Marks are part of their letters; joiners of words. File systems take 255 bytes.
    # A recording is called by its room: course and day tell one download from the next.
    day = f"{local(row['recorded_at'], row['time_zone']):%Y-%m-%d %H-%M}{said(row['time_zone'])}"
    parts = [row["course_title"], row["title"], day] if row["recording_id"] else [row["title"]]
    whole = " - ".join(str(part) for part in parts if part)
    title = regex.sub(r"[^\w\p{M}\u200c\u200d .()-]+", "_", clean(whole))
    return f"{cut(title, 120, most_bytes=200).strip() or 'recording'}{Path(name).suffix}"


# -- answering -----------------------------------------------------------------------------------------------------


def _told(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status, {"X-Content-Type-Options": "nosniff"})


def _answer(request: Request, content: _Content, shown: str) -> Response:
    """The whole, the one range that is asked for, or that the browser has it already. The first piece is read here."""
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=600",
        "ETag": content.etag,
        "X-Content-Type-Options": "nosniff",
    }
    if content.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range", "")
    if request.headers.get("if-range", content.etag) != content.etag:
        asked = ""
    try:
        span = wanted_span(asked, content.size, content.most_bytes)
    except NotThere:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{content.size}"})
    status = 200
    if span is None:
        span = Span(0, content.size)
    else:
        status = 206
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{content.size}"
    headers["Content-Length"] = str(span.length)
    if _is_download(request):
        plain = re.sub(r"[^A-Za-z0-9 .()_-]+", "_", shown)
        headers["Content-Disposition"] = (
            f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"
        )
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=content.mime)
    pieces = content.read(span)
    first = next(pieces, b"")
    sent = _sent(first, _Reader(pieces), content.threads)
    return StreamingResponse(sent, status, headers, media_type=content.mime)


def _read(path: Path, span: Span) -> Pieces:
    with path.open("rb") as file:
        file.seek(span.start)
        left = span.length
        while left > 0 and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


class _Reader:
    """Pieces that are read and given up by different threads, one at a time."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces, self._lock = pieces, threading.Lock()

    def next(self) -> bytes:
        with self._lock:
            return next(self._pieces, b"")

    def close(self) -> None:
        with self._lock:
            self._pieces.close()


async def _sent(first: bytes, reader: _Reader, threads: Executor) -> AsyncIterator[bytes]:
    """The pieces, each read when the one before was taken. A thread is held for no longer than one takes."""
    loop = asyncio.get_running_loop()
    try:
        piece = first
        while piece:
            yield piece
            piece = await loop.run_in_executor(threads, reader.next)
    except TransferFailed as error:
        log.warning("media.copy_broke_off reason=%s", error)
        raise
    finally:
        with suppress(RuntimeError):  # the process ends
            threads.submit(reader.close)
