"""Links to recordings for one person: signed, bound to person and entry, good for some minutes. And the page that plays.

Only ephemeral answers carry them, never a shared message. At each opening the person's right is looked up anew.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, request

from library import links as media_links
from library.media import Library
from library.values import Entry
from models.store import people, slack_people
from models.store.access import Access
from models.store.database import Database
from models.store.media_files import files_of
from models.values import CourseId, PersonId, Role
from rooms.errors import DomainError

log = logging.getLogger("sideroom.bot")
LIFE_S = 600
TRACKS = ("audio", "track_audio", "track_video")
FileLink = Callable[[str, bool], str]
"""A file's name and whether it is downloaded → its signed address."""


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and checks links. ``key`` is ours alone."""

    key: str
    base_url: str

    @property
    def minutes(self) -> int:
        return LIFE_S // 60

    def watch(self, person_id: str, course_id: str, entry_id: str) -> str:
        """The address of the page for this person."""
        expires_s = int(time.time()) + LIFE_S
        query = {"p": person_id, "c": course_id, "exp": str(expires_s)}
        signed = {**query, "sig": self._sign(entry_id, person_id, course_id, str(expires_s))}
        return f"{self.base_url}/slack/watch/{quote(entry_id, safe='')}?{urlencode(signed)}"

    def opened(self, entry_id: str, given: dict[str, str], now_s: float) -> tuple[PersonId, CourseId] | None:
        """Whose link this is; None when it is not what we signed or its time is over."""
        person_id, course_id, exp = given.get("p", ""), given.get("c", ""), given.get("exp", "")
        right = self._sign(entry_id, person_id, course_id, exp)
        if not hmac.compare_digest(right.encode(), given.get("sig", "").encode()):
            return None
        return (PersonId(person_id), CourseId(course_id)) if now_s <= int(exp) else None

    def _sign(self, *parts: str) -> str:
        return hmac.new(self.key.encode(), "\n".join(("watch", *parts)).encode(), hashlib.sha256).hexdigest()


def create_blueprint(db: Database, links: Links, library_root: Path, media_key: str) -> Blueprint:
    """``GET /slack/watch/<entry>``: a page with the player. ``media_key`` signs links to files (library.links)."""
    blueprint = Blueprint("slack_watch", __name__)
    library = Library(db, library_root)

    @blueprint.get("/slack/watch/<entry_id>")
    def watch(entry_id: str) -> Response:
        whose = links.opened(entry_id, request.args.to_dict(), time.time())
        if whose is None:
            return _page(
                "This link has expired",
                _said("Press Watch in Slack again. Each link only works for a while."),
                403,
            )
        person_id, course_id = whose
        role = people.membership_role(db, course_id, person_id) or Role.GUEST
        access = Access("page", person_id, course_id, role, "")
        try:
            # Whoever was unlinked, or left the course, has no use of an old link.
            if all(link.suspended for link in slack_people.links_of(db, person_id)):
                raise DomainError("unauthenticated")
            entry = library.get(access, entry_id)
            if entry.status != "ready":
                raise DomainError("recording_unknown")
        except DomainError:
            log.info("slack.watch_refused entry_id=%s", entry_id)
            return _page(
                "This recording isn’t available",
                _said("It was deleted, or you don’t have access to it."),
                404,
            )

        def file(name: str, download: bool) -> str:
            return media_links.link(media_key, entry_id, name, int(time.time()), download=download)

        body = _player(entry, file)
        if library.may_edit(access, entry):
            body += _tracks(db, entry, file)
        return _page(entry.title, body, 200)

    return blueprint


def _said(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _tracks(db: Database, entry: Entry, file: FileLink) -> str:
    """The entry's other files (one a participant, or sound alone), for those who may edit it."""
    found = [each for each in files_of(db, [entry.entry_id]).get(entry.entry_id, []) if each.kind in TRACKS]
    items = "".join(
        f'<li><a href="{html.escape(file(each.name, True))}">{html.escape(each.title or each.name)}</a></li>'
        for each in found
    )
    return f"<h2>Tracks</h2><ul>{items}</ul>" if items else ""


def _player(entry: Entry, file: FileLink) -> str:
    source = html.escape(file(entry.file_name, False))
    tag = "audio" if entry.mime.startswith("audio/") else "video"
    download = html.escape(file(entry.file_name, True))
    return (
        f'<{tag} controls preload="metadata" src="{source}"></{tag}>'
        f"<p>{html.escape(entry.course_title)} · {html.escape(entry.room_name)} · "
        f'<a href="{download}">Download</a></p>'
    )


def _page(title: str, body: str, status: int) -> Response:
    """No script at all; never cached, never framed; no address of this page to anybody."""
    nonce = secrets.token_urlsafe(16)
    style = (
        ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:24px;max-width:60rem}"
        "h1{font-size:20px}h2{font-size:16px}video,audio{width:100%;max-height:75vh;background:#000}"
    )
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,"><style nonce="{nonce}">{style}</style></head>'
        f"<body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>"
    )
    answer = Response(document, status, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
