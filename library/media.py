"""The places and who may see, change and delete what. Rules only; queries stand in ``models.store.library``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Literal

from foundation.text import clean, fits, is_visible
from library.values import FOLDER_BREAKOUT, Entry
from models.store import library as store
from models.store import transfers
from models.store.access import Access
from models.store.courses import copied_from
from models.store.database import Database
from models.store.deeplinks import is_shared
from models.store.people import get_course, is_preview, membership_role
from models.values import Role
from rooms.errors import DomainError

Scope = Literal["mine", "channel", "folder", "unowned"]
MODERATORS_SCOPES: Final[tuple[Scope, ...]] = ("folder", "unowned")
"""Only a course's moderators have these. ``unowned``: recordings in nobody's My Media, which began by themselves or by an
integrator that named nobody."""
PER_PAGE = 24
MAX_TITLE_CHARS = 200


class Library:
    """The library as one person's pages see it. ``root`` holds a folder an entry."""

    def __init__(self, db: Database, root: Path) -> None:
        self._db = db
        self.root = root

    def role(self, access: Access) -> Role:
        """The person's role in the course as it is known now (a launch may have changed it since)."""
        return membership_role(self._db, access.course_id, access.person_id) or Role.GUEST

    def scopes(self, access: Access) -> list[Scope]:
        """The tabs that this person has here. Who only looks at the course as a role sees it has nothing of their own."""
        found = self._scopes(access)
        preview = is_preview(self._db, access.course_id, access.person_id)
        return [scope for scope in found if scope != "mine"] if preview else found

    def _scopes(self, access: Access) -> list[Scope]:
        role = membership_role(self._db, access.course_id, access.person_id)
        if access.role is Role.GUEST:
            return ["channel"] if role is not None else []
        course = get_course(self._db, access.course_id)
        # A token outlives a membership: who has left the course keeps only what is their own.
        if role is None or course is None or course.context_id.startswith("~"):
            return ["mine"]
        return ["mine", "channel", "folder", "unowned"] if role is Role.MODERATOR else ["mine", "channel"]

    def find(self, access: Access, scope: Scope, query: str = "", page: int = 0) -> tuple[list[Entry], int]:
        """One page of a place and how many entries it has. Raises DomainError when the place is not theirs."""
        if scope not in self.scopes(access):
            raise DomainError("not_moderator" if scope in MODERATORS_SCOPES else "not_allowed")
        if scope == "mine":
            found = store.find_mine(self._db, access.person_id, query, page, PER_PAGE)
        elif scope == "folder":
            found = store.find_folder(self._db, access.course_id, FOLDER_BREAKOUT, query, page, PER_PAGE)
        elif scope == "unowned":
            found = store.find_unowned(self._db, access.course_id, query, page, PER_PAGE)
        else:
            moderator = self.role(access) is Role.MODERATOR
            found = store.find_channel(
                self._db,
                access.course_id,
                unpublished=moderator,
                copied_from=copied_from(self._db, access.course_id),
                query=query,
                page=page,
                per_page=PER_PAGE,
            )
        return [_entry(row) for row in found.rows], found.total

    def get(self, access: Access, entry_id: str) -> Entry:
        """An entry that this person may see; for all others it does not exist. Raises ``recording_unknown``."""
        row = store.get_entry(self._db, entry_id)
        if row is None or not self._may_see(access, _entry(row)):
            raise DomainError("recording_unknown", "This recording doesn’t exist, or you can’t access it.")
        return _entry(row)

    def _may_see(self, access: Access, entry: Entry) -> bool:
        if entry.owner_id == access.person_id:
            return True
        if entry.course_id != access.course_id:
            return entry.status == "ready" and self._is_shown_here(access, entry)
        role = membership_role(self._db, entry.course_id, access.person_id)
        if role is not Role.MODERATOR and entry.status != "ready":
            return False
        return role is Role.MODERATOR or (
            role is not None and (entry.published or is_shared(self._db, entry.entry_id, entry.course_id))
        )

    def _is_shown_here(self, access: Access, entry: Entry) -> bool:
        """Does a link in this course, to which the person belongs, show the entry, or is it a copy of the entry's course?"""
        if membership_role(self._db, access.course_id, access.person_id) is None:
            return False
        if is_shared(self._db, entry.entry_id, access.course_id):
            return True
        return entry.published and entry.course_id in copied_from(self._db, access.course_id)

    def may_edit(self, access: Access, entry: Entry) -> bool:
        """The owner, and moderators of the entry's course."""
        return self.editor(access)(entry)

    def editor(self, access: Access) -> Callable[[Entry], bool]:
        """``may_edit`` of many entries: the role is looked up once."""
        moderates = self.role(access) is Role.MODERATOR
        return lambda entry: (
            entry.owner_id == access.person_id or (moderates and entry.course_id == access.course_id)
        )

    def _editable(self, access: Access, entry_id: str) -> Entry:
        entry = self.get(access, entry_id)
        if not self.may_edit(access, entry):
            raise DomainError("not_allowed", "Only its owner and moderators can change this recording.")
        return entry

    def change(self, access: Access, entry_id: str, title: str | None, published: bool | None) -> Entry:
        """Rename, publish or take back. Raises DomainError."""
        self._editable(access, entry_id)
        self.save(entry_id, title, published)
        return self.get(access, entry_id)

    def save(self, entry_id: str, title: str | None, published: bool | None) -> None:
        """The same for who has the right otherwise, such as an integrator of its course. Raises ``bad_value``."""
        values: dict[str, Any] = {}
        if title is not None:
            title = plain_title(title)
            if not title or not fits(title, MAX_TITLE_CHARS):
                raise DomainError(
                    "bad_value", f"A title must have 1 to {MAX_TITLE_CHARS} characters.", field="title"
                )
            values["title"] = title
        if published is not None:
            values["published"] = published
        if values:
            store.save_entry(self._db, entry_id, values)

    def delete(self, access: Access, entry_id: str) -> None:
        """Delete an entry and its files. Raises DomainError."""
        self._editable(access, entry_id)
        self.remove(entry_id)

    def remove(self, entry_id: str) -> None:
        """The same for who has the right otherwise. Raises ``recording_unknown``, ``still_recording``."""
        row = store.get_entry(self._db, entry_id)
        if row is None:
            raise DomainError("recording_unknown")
        if row["status"] == "processing":
            raise DomainError("still_recording", "This recording is still processing. Wait until it’s ready.")
        transfers.delete_of_entry(self._db, entry_id)
        # Files first: after a crash in between the entry is still there to be deleted again.
        remove_files(self.root, row["path"])
        store.delete_entry(self._db, entry_id)


def plain_title(text: str) -> str:
    """A title in one line, without what cannot be shown or kept; empty when nothing of it can be seen."""
    kept = clean(text)
    return kept if is_visible(kept) else ""


def remove_files(root: Path, path: str) -> None:
    """Remove an entry's folder; what is gone already is fine."""
    folder = root / path
    if not path or folder.resolve().parent != root.resolve():
        return
    for file in folder.glob("*"):
        file.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


def _entry(row: dict[str, Any]) -> Entry:
    values = {spec.name: row["id" if spec.name == "entry_id" else spec.name] for spec in fields(Entry)}
    return Entry(**values)
