"""``sideroom admin``: accounts of the administration page."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from models.store import admin as store
from models.store.database import Database
from models.store.migrate import upgrade
from server.settings import SettingsError, load, prepare


def add_parser(commands: Any) -> None:
    """Add ``admin`` to the command's subcommands."""
    actions = commands.add_parser("admin", help="accounts of the administration page").add_subparsers(
        title="admin", metavar="ACTION", required=True
    )
    for name, text in (("create", "create an account"), ("password", "give an account a new password")):
        parser = actions.add_parser(name, help=text)
        parser.add_argument("name")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from one line")
        parser.set_defaults(run=_set, new=name == "create")
    remove = actions.add_parser("remove", help="remove an account and end its sessions")
    remove.add_argument("name")
    remove.set_defaults(run=_remove)
    actions.add_parser("list", help="list the accounts").set_defaults(run=_list)


def _database() -> tuple[Database, str]:
    settings = prepare(load())
    upgrade(settings.db_url)
    return Database(settings.db_url), settings.base_url.rstrip("/")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Repeat the password: ") != password:
        raise SettingsError(["The passwords don’t match. Try again."])
    return password


def _set(args: argparse.Namespace) -> int:
    db, base_url = _database()
    try:
        store.set_password(db, args.name, _password(args.password_stdin), new=args.new)
    except ValueError as error:
        raise SettingsError([str(error)]) from error
    finally:
        db.close()
    print(f"{args.name} can sign in at {base_url}/admin.")
    return 0


def _remove(args: argparse.Namespace) -> int:
    db, _ = _database()
    removed = store.remove_account(db, args.name)
    db.close()
    if not removed:
        raise SettingsError([f"There’s no administrator {args.name}. See sideroom admin list."])
    print(f"{args.name} was removed.")
    return 0


def _list(_args: argparse.Namespace) -> int:
    db, _ = _database()
    for account in store.list_accounts(db):
        seen = account.signed_in_at.isoformat(timespec="minutes") if account.signed_in_at else "never"
        print(f"{account.name}\tsigned in: {seen}")
    db.close()
    return 0
