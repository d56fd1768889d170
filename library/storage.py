"""Storages of the site, of a course, or of one start call: add, try out, list, remove. Credentials go in and never come out."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

from library.storage_config import SECRET_FIELDS, StorageConfig, read_config
from library.storage_vault import Vault
from library.transfer import Target, TransferFailed, make_target
from models.store import storage as store
from models.store.database import Database
from models.store.people import get_course
from models.store.storage import Scope, Storage
from rooms.errors import DomainError

log = logging.getLogger("sideroom.storage")
CHECK_TIMEOUT_S: Final = 15.0
MAX_NAME_CHARS: Final = 100
MOST: Final = 20
"""Storages of the site, and of each course."""


def create(
    db: Database,
    key: str,
    scope: str,
    config: Mapping[str, Any],
    *,
    allow_private: bool = False,
    dry_run: bool = True,
) -> str:
    """Save a storage and return its id (for ``RecordingOptions.storages``); see ``Storages.create``."""
    return Storages(db, Vault(key), allow_private=allow_private).create(scope, config, dry_run=dry_run)


class Storages:
    """All storages. ``allow_private``: endpoints may be http and on this machine or its network (a setting)."""

    def __init__(
        self, db: Database, vault: Vault, *, allow_private: bool = False, timeout_s: float = 60.0
    ) -> None:
        self._db = db
        self._vault = vault
        self._allow_private = allow_private
        self._timeout_s = timeout_s

    def create(
        self,
        scope: str,
        config: Mapping[str, Any],
        *,
        name: str = "",
        keep_local: bool = True,
        delete_copies: bool = False,
        dry_run: bool = True,
        folders: bool = True,
    ) -> str:
        """Check, try out and save a storage; returns its id.

        ``scope``: ``site``, ``course:<course id>``, or ``call:<course id>`` for one that came with a start call. Folders of
        this server may be used by the site only, and only with ``folders``. Raises ``bad_value`` with the field, ``too_many``,
        or ``storage_unusable`` with what the dry run found and what to do.
        """
        kind, course_id = _scope(scope)
        if course_id is not None and get_course(self._db, course_id) is None:
            raise DomainError("bad_value", "This course doesn’t exist. Check its ID.", field="course_id")
        checked = read_config(config, local=kind == "site" and folders)
        _check_name(name)
        if kind != "call" and store.count(self._db, kind, course_id) >= MOST:
            raise DomainError("too_many", f"There are already {MOST} storages. Remove one first.")
        if dry_run:
            problem = self.try_out(checked)
            if problem is not None:
                raise DomainError("storage_unusable", problem)
        storage_id = "st" + uuid4().hex[:20]
        now = datetime.now(UTC)
        store.insert(
            self._db,
            Storage(
                storage_id=storage_id,
                scope=kind,
                course_id=course_id,
                name=name or checked.bucket or checked.path,
                config=checked.public(),
                keep_local=keep_local,
                delete_copies=delete_copies,
                checked_at=now if dry_run else None,
                problem=None,
                created_at=now,
                removed_at=None,
                sealed=self._vault.seal(storage_id, checked.credentials) if checked.credentials else "",
                key_id=self._vault.key_id if checked.credentials else "",
            ),
        )
        log.info("storage.created storage_id=%s scope=%s type=%s", storage_id, kind, checked.type)
        return storage_id

    def listed(self) -> list[Storage]:
        """The site's and the courses' storages, oldest first."""
        return store.configured(self._db)

    def get(self, storage_id: str) -> Storage:
        """Raises ``storage_unknown``."""
        found = store.get(self._db, storage_id)
        if found is None or found.removed_at is not None:
            raise DomainError("storage_unknown")
        return found

    def check(self, storage_id: str) -> str | None:
        """Try a storage out now and keep the result. Returns what is wrong; None: it works."""
        try:
            problem = self.try_out(self.config(self.get(storage_id)))
        except DomainError as error:
            if error.code != "storage_unusable":
                raise
            problem = error.message
        store.checked(self._db, storage_id, datetime.now(UTC), problem)
        log.info("storage.checked storage_id=%s ok=%s", storage_id, problem is None)
        return problem

    def change(
        self,
        storage_id: str,
        *,
        name: str | None = None,
        keep_local: bool | None = None,
        delete_copies: bool | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> Storage:
        """Change what is given. New ``credentials`` (``access_key``, ``secret``) are tried out first; those not given stay.

        Where it leads cannot be changed: copies are there, and the old credentials must not be sent elsewhere. Raises
        ``storage_unknown``, ``bad_value``, ``storage_unusable``.
        """
        storage = self.get(storage_id)
        if name is not None:
            _check_name(name)
        given = {"name": name or None, "keep_local": keep_local, "delete_copies": delete_copies}
        values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if credentials:
            values |= self._resealed(storage, credentials)
        store.change(self._db, storage_id, values)
        log.info("storage.changed storage_id=%s what=%s", storage_id, ",".join(sorted(values)))
        return self.get(storage_id)

    def _resealed(self, storage: Storage, credentials: Mapping[str, str]) -> dict[str, Any]:
        """The columns for other credentials that were tried out."""
        try:
            known = dict(self.config(storage).credentials)
        except DomainError:
            known = {}  # sealed with a lost key: all must be given again
        config = read_config({**storage.config, **known, **credentials}, local=storage.scope == "site")
        problem = self.try_out(config)
        if problem is not None:
            raise DomainError("storage_unusable", problem)
        sealed = self._vault.seal(storage.storage_id, config.credentials)
        now = datetime.now(UTC)
        return {"sealed": sealed, "key_id": self._vault.key_id, "checked_at": now, "problem": None}

    def remove(self, storage_id: str) -> None:
        """Use it no more and forget its credentials; copies there stay. Raises ``storage_unknown``."""
        if not store.remove(self._db, storage_id, datetime.now(UTC)):
            raise DomainError("storage_unknown")
        log.info("storage.removed storage_id=%s", storage_id)

    def config(self, storage: Storage) -> StorageConfig:
        """The configuration with its credentials. Raises ``storage_unusable``."""
        given: dict[str, str] = dict(storage.config)
        if storage.sealed:
            given |= self._vault.open(storage.storage_id, storage.sealed, storage.key_id)
        return read_config(given, local=storage.scope == "site")

    def target(self, storage_id: str) -> Target:
        """What copies to and from a storage. Raises TransferFailed, ``storage_unknown`` or ``storage_unusable``."""
        return self._target(self.config(self.get(storage_id)), self._timeout_s)

    def _target(self, config: StorageConfig, timeout_s: float) -> Target:
        return make_target(config, allow_private=self._allow_private, timeout_s=timeout_s)

    def try_out(self, config: StorageConfig) -> str | None:
        """Write, look at, read and delete a small file there. Returns what is wrong and what to do; None: it works."""
        name = f".sideroom-check-{uuid4().hex}"
        if config.type != "local" and config.path:
            name = f"{config.path}/{name}"
        data = os.urandom(64)
        step = "reaching the store"
        try:
            with _file_of(data) as source:
                target = self._target(config, min(CHECK_TIMEOUT_S, self._timeout_s))
                step = "writing a test file"
                target.put(source, name, hashlib.sha256(data).hexdigest())
                step = "reading the test file"
                if target.size(name) != len(data) or b"".join(target.read(name, 0, len(data))) != data:
                    return "The test file came back changed. Don’t use this storage for recordings."
                step = "deleting the test file"
                target.delete(name)
                if target.size(name) is not None:
                    return "The test file couldn’t be deleted. Check whether the bucket is locked against deletion."
        except TransferFailed as error:
            return f"While {step}: {error}"
        except OSError as error:
            return f"While {step}: {error.strerror or 'the disk couldn’t be used'}."
        return None

    def reseal(self) -> int:
        """Seal credentials that older keys sealed with the present one; returns how many."""
        changed = 0
        for storage in store.sealed_with_others(self._db, self._vault.key_id):
            try:
                credentials = self._vault.open(storage.storage_id, storage.sealed, storage.key_id)
            except DomainError as error:
                store.checked(self._db, storage.storage_id, datetime.now(UTC), error.message)
                log.warning("storage.sealed_with_unknown_key storage_id=%s", storage.storage_id)
                continue
            sealed = self._vault.seal(storage.storage_id, credentials)
            store.reseal(self._db, storage.storage_id, sealed, self._vault.key_id)
            changed += 1
        return changed


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARS:
        raise DomainError("bad_value", f"A name can have at most {MAX_NAME_CHARS} characters.", field="name")


def public(storage: Storage) -> dict[str, Any]:
    """A storage as pages and API show it: no credentials."""
    return {
        "id": storage.storage_id,
        "scope": storage.scope,
        "course_id": storage.course_id,
        "name": storage.name,
        **{name: value for name, value in storage.config.items() if name not in SECRET_FIELDS},
        "keep_local": storage.keep_local,
        "delete_copies": storage.delete_copies,
        "checked_time": _time(storage.checked_at),
        "problem": storage.problem,
        "created_time": _time(storage.created_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _scope(scope: str) -> tuple[Scope, str | None]:
    kind, _, course_id = scope.partition(":")
    if kind not in ("site", "course", "call") or bool(course_id) is (kind == "site"):
        raise ValueError("a storage’s scope is site, course:<id> or call:<id>")
    return cast(Scope, kind), course_id or None


@contextmanager
def _file_of(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sideroom-") as folder:
        path = Path(folder) / "check"
        path.write_bytes(data)
        yield path
