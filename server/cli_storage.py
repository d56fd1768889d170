"""``sideroom storage``: add, list, check, retry, remove. Credentials are asked for or read from standard input, never arguments."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from typing import Any, Final

from library.storage_config import TYPES
from models.store import transfers
from models.store.database import Database
from models.store.migrate import upgrade
from models.store.storage import Storage
from rooms.errors import DomainError
from server.settings import Settings, SettingsError, load, prepare
from server.storages import build_storages

_ASKED: Final = {
    "aws": (("access_key", "Access key"), ("secret", "Secret")),
    "digitalocean": (("access_key", "Spaces access key"), ("secret", "Spaces secret")),
    "s3": (("access_key", "Access key"), ("secret", "Secret")),
    "azure": (("access_key", "Connection string"),),
    "local": (),
}


def add_parser(commands: Any) -> None:
    """Add ``storage`` to the command's subcommands."""
    actions = commands.add_parser("storage", help="where copies of recordings go").add_subparsers(
        title="storage", metavar="ACTION", required=True
    )
    add = actions.add_parser(
        "add", help="add a storage; its credentials are asked for, or read from standard input"
    )
    add.add_argument("type", choices=sorted(TYPES))
    add.add_argument("--name", default="", help="how people know it; default: the bucket")
    add.add_argument("--bucket", help="bucket, Space or container")
    add.add_argument("--region", help="as the provider writes it, such as ap-south-1 or SGP1")
    add.add_argument("--endpoint-url", help="for type s3, such as https://minio.example.edu:9000")
    add.add_argument("--path", help="folder in the bucket; for type local an absolute folder of this server")
    add.add_argument("--course", help="for this course id only; default: the whole site")
    add.add_argument(
        "--remove-local", action="store_true", help="remove files here when their copies are confirmed"
    )
    add.add_argument(
        "--delete-copies", action="store_true", help="delete copies when a recording expires or is deleted"
    )
    add.set_defaults(run=_add)
    show = actions.add_parser("list", help="list the storages, their state and their copies")
    show.set_defaults(run=_list)
    for name, text, run in (
        ("check", "write, read and delete a test file at one storage, or at all", _check),
        ("retry", "retry its failed copies now", _retry),
        ("remove", "stop using it and delete its credentials; existing copies stay", _remove),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("storage_id", nargs="?" if name == "check" else None)
        action.set_defaults(run=run)


def _parts() -> tuple[Settings, Database]:
    settings = prepare(load())
    upgrade(settings.db_url)
    return settings, Database(settings.db_url)


def _add(args: argparse.Namespace) -> int:
    settings, db = _parts()
    given = {name: getattr(args, name) for name in ("bucket", "region", "endpoint_url", "path")}
    config = {"type": args.type, **{name: value for name, value in given.items() if value}}
    for field, label in _ASKED[args.type]:
        config[field] = _asked(label)
    scope = f"course:{args.course}" if args.course else "site"
    try:
        storage_id = build_storages(settings, db).create(
            scope,
            config,
            name=args.name,
            keep_local=not args.remove_local,
            delete_copies=args.delete_copies,
        )
    except DomainError as error:
        field = str(error.facts.get("field", "")).removeprefix("storage_config.")
        raise SettingsError([f"{field}: {error.message}" if field else error.message]) from None
    print(
        f"Storage {storage_id} works: a test file was written, read and deleted. New recordings will be copied there."
    )
    return 0


def _asked(label: str) -> str:
    """From the terminal without echo, or one line of standard input."""
    return getpass(f"{label}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _list(_args: argparse.Namespace) -> int:
    settings, db = _parts()
    counts = transfers.counts(db)
    for storage in build_storages(settings, db).listed():
        copies = counts.get(storage.storage_id, {})
        told = ", ".join(f"{number} {status}" for status, number in sorted(copies.items())) or "no copies yet"
        print(f"{storage.storage_id}\t{_place(storage)}\t{told}\t{storage.problem or 'works'}")
    return 0


def _place(storage: Storage) -> str:
    config = storage.config
    where = (
        "/".join(filter(None, (config.get("bucket"), config.get("path"))))
        if "bucket" in config
        else config["path"]
    )
    return f"{storage.name}\t{config['type']} {where}\t{storage.course_id or 'site'}"


def _check(args: argparse.Namespace) -> int:
    storages = build_storages(*_parts())
    wanted = [args.storage_id] if args.storage_id else [each.storage_id for each in storages.listed()]
    bad = 0
    for storage_id in wanted:
        try:
            problem = storages.check(storage_id)
        except DomainError as error:
            raise SettingsError([error.message]) from None
        bad += problem is not None
        print(f"{storage_id}\t{problem or 'works'}")
    return 1 if bad else 0


def _retry(args: argparse.Namespace) -> int:
    settings, db = _parts()
    try:
        build_storages(settings, db).get(args.storage_id)
    except DomainError as error:
        raise SettingsError([error.message]) from None
    print(f"{transfers.retry_failed(db, args.storage_id)} copies will be retried now.")
    return 0


def _remove(args: argparse.Namespace) -> int:
    try:
        build_storages(*_parts()).remove(args.storage_id)
    except DomainError as error:
        raise SettingsError([error.message]) from None
    print(
        f"Storage {args.storage_id} is no longer used and its credentials were deleted. Existing copies stay, but recordings whose files are only there can no longer be played."
    )
    return 0
