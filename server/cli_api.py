"""``sideroom key`` and ``sideroom openapi``: integrators' keys, and what they may call."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from api.openapi import document
from api.v1.routes import ROUTES
from models.store import keys as store
from models.store import people
from models.store.database import Database
from models.store.keys import ListedKey
from models.store.migrate import upgrade
from models.values import CourseId
from server.settings import SettingsError, load, prepare

LEAST_SCOPES = ["recordings:read"]
"""Of a key that was made without saying what it may do."""


def add_parser(commands: Any) -> None:
    """Add ``key`` and ``openapi`` to the command's subcommands."""
    openapi = commands.add_parser("openapi", help="print the OpenAPI document of the REST interface")
    openapi.set_defaults(run=_openapi)
    keys = commands.add_parser("key", help="API keys of integrators").add_subparsers(
        title="key", metavar="ACTION", required=True
    )
    create = keys.add_parser("create", help="create a key; its secret is shown once")
    create.add_argument("name")
    create.add_argument(
        "--scope",
        action="append",
        choices=sorted(store.SCOPES),
        default=[],
        help="repeatable; default: recordings:read",
    )
    create.add_argument("--course", help="limit the key to one course id")
    create.add_argument("--days", type=int, help="days until the key expires; default: never")
    create.set_defaults(run=_create)
    keys.add_parser("list", help="list the keys (no secrets)").set_defaults(run=_list)
    revoke = keys.add_parser("revoke", help="revoke a key")
    revoke.add_argument("key_id")
    revoke.set_defaults(run=_revoke)


@contextmanager
def _database() -> Iterator[Database]:
    settings = prepare(load())
    upgrade(settings.db_url)
    db = Database(settings.db_url)
    try:
        yield db
    finally:
        db.close()


def _openapi(_args: argparse.Namespace) -> int:
    print(json.dumps(document(ROUTES, "/"), indent=2, ensure_ascii=False))
    return 0


def _create(args: argparse.Namespace) -> int:
    if args.days is not None and not 1 <= args.days <= store.MAX_DAYS:
        raise SettingsError([f"--days is a number from 1 to {store.MAX_DAYS}."])
    ends = datetime.now(UTC) + timedelta(days=args.days) if args.days is not None else None
    scopes = args.scope or LEAST_SCOPES
    course_id = CourseId(args.course) if args.course else None
    with _database() as db:
        if course_id is not None and people.get_course(db, course_id) is None:
            raise SettingsError(
                [f"There’s no course {course_id}. Find course IDs under Courses on the administration page."]
            )
        key_id, secret = store.create_key(db, args.name, scopes, course_id, ends)
    print(f"Key {key_id} for {args.name} ({', '.join(scopes)}). Its secret is only shown now:\n{secret}")
    return 0


def _list(_args: argparse.Namespace) -> int:
    with _database() as db:
        keys = store.list_keys(db)
    for key in keys:
        used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
        columns = (
            key.key_id,
            _state(key),
            key.name,
            ",".join(key.scopes),
            key.course_id or "all courses",
            used,
        )
        print("\t".join(columns))
    return 0


def _state(key: ListedKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    is_over = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return "expired" if is_over else "active"


def _revoke(args: argparse.Namespace) -> int:
    with _database() as db:
        if not store.revoke_key(db, args.key_id):
            raise SettingsError([f"There’s no active key {args.key_id}. See sideroom key list."])
    print(f"Key {args.key_id} was revoked.")
    return 0
