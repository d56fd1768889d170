"""``sideroom slack …``: the app's manifest, and what is wrong with the set-up."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from server.settings import SettingsError, load, prepare

MARKS = {"ok": "ok     ", "warning": "note   ", "wrong": "WRONG  "}


def add_parser(commands: Any) -> None:
    """Add ``slack`` to the command line; ``commands`` is argparse's sub-parsers."""
    slack = commands.add_parser("slack", help="the Slack app").add_subparsers(
        title="slack", metavar="ACTION", required=True
    )
    manifest = slack.add_parser("manifest", help="print the app's manifest, to paste at api.slack.com/apps")
    manifest.add_argument(
        "--socket", action="store_true", help="for Socket Mode: no public address is needed"
    )
    manifest.add_argument("--url", default="", help="Sideroom’s address; default: SIDEROOM_BASE_URL")
    manifest.set_defaults(run=_manifest)
    check = slack.add_parser("check", help="test the Slack settings and report problems")
    check.set_defaults(run=_check)


def _manifest(args: argparse.Namespace) -> int:
    from bot import manifest
    from bot.names import read_names

    settings = load()
    try:
        host = manifest.host_of(args.url) if args.url else _own_address(settings.base_url, args.socket)
    except ValueError as error:
        raise SettingsError([f"--url: {error}"]) from error
    names = read_names(settings.slack_commands)
    print(manifest.text(socket=args.socket, host=host, names=names), end="")
    if not host.startswith("https:") and not args.socket:
        print(
            f"sideroom: Slack only calls public https addresses, and {host} isn’t one. Use --url or --socket.",
            file=sys.stderr,
        )
    return 0


def _own_address(base_url: str, socket: bool) -> str:
    """The address of the settings; in Socket Mode only one that browsers may be led back to."""
    address = base_url.rstrip("/")
    return address if not socket or address.startswith("https:") else ""


def _check(_args: argparse.Namespace) -> int:
    from bot.check import check
    from models.store.database import Database
    from models.store.migrate import upgrade
    from server.wiring_slack import bot_settings

    settings = prepare(load())
    if not settings.slack_enabled:
        raise SettingsError(
            [
                "Slack is off: set SIDEROOM_SLACK_BOT_TOKEN and SIDEROOM_SLACK_SIGNING_SECRET, or see docs/slack.md."
            ]
        )
    upgrade(settings.db_url)
    db = Database(settings.db_url)
    try:
        findings = check(bot_settings(settings), db)
    finally:
        db.close()
    for finding in findings:
        print(MARKS[finding.level] + finding.what)
        if finding.todo:
            print(" " * len(MARKS["ok"]) + finding.todo)
    wrong = sum(finding.level == "wrong" for finding in findings)
    print(f"{wrong} problem(s) to fix." if wrong else "No problems found.")
    return 1 if wrong else 0
