"""``sideroom lti``: platforms, registration links, deployments, and our key."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from lti.registration import TITLES, addresses, invitation
from models.store import lti as store
from models.store.database import Database
from models.store.migrate import upgrade
from server.settings import SettingsError, load, prepare

LABELS = {
    "login": "Login (OIDC initiation)",
    "launch": "Launch URL (target link)",
    "redirect": "Redirect URL",
    "deep_linking": "Deep linking URL",
    "jwks": "Keyset (JWKS)",
}


def add_parser(commands: Any) -> None:
    """Add ``lti`` to the command's subcommands."""
    actions = commands.add_parser("lti", help="LTI platforms").add_subparsers(
        title="lti", metavar="ACTION", required=True
    )
    invite = actions.add_parser("invite", help="create one-time links for an LMS to register itself")
    invite.add_argument(
        "--app", choices=store.APPS, action="append", default=[], help="repeatable; default: all"
    )
    invite.set_defaults(run=_invite)
    add = actions.add_parser("add", help="register a platform’s tool manually")
    for name in ("issuer", "client-id", "auth-url", "token-url", "jwks-url"):
        add.add_argument(f"--{name}", required=True)
    add.add_argument("--app", choices=store.APPS, default="room", help="which tool it opens")
    add.add_argument("--name", default="")
    add.add_argument("--deployment", action="append", default=[], help="allowed deployment id (repeatable)")
    add.add_argument(
        "--hold-new", action="store_true", help="hold new deployments until “sideroom lti approve”"
    )
    add.set_defaults(run=_add)
    actions.add_parser("list", help="list platforms and their deployments").set_defaults(run=_list)
    urls = actions.add_parser("urls", help="print the addresses to paste into the LMS, by tool")
    urls.add_argument(
        "--app", choices=store.APPS, action="append", default=[], help="repeatable; default: all"
    )
    urls.set_defaults(run=_urls)
    for name, text in (("approve", "allow a deployment"), ("block", "block a deployment")):
        decide = actions.add_parser(name, help=text)
        decide.add_argument("platform", type=int, help="number of the platform in “sideroom lti list”")
        decide.add_argument("deployment")
        decide.set_defaults(run=_decide, approved=name == "approve")
    rotate = actions.add_parser("rotate-key", help="sign with the next key from now on")
    rotate.set_defaults(run=_rotate)


def _open() -> tuple[Database, str]:
    settings = prepare(load())
    upgrade(settings.db_url)
    return Database(settings.db_url), settings.base_url.rstrip("/")


def _table(base_url: str, app: str) -> str:
    return "\n".join(f"  {LABELS[name]:26} {url}" for name, url in addresses(base_url, app).items())


def _invite(args: argparse.Namespace) -> int:
    db, base_url = _open()
    with closing(db):
        print(
            "Paste each link where the LMS asks for a registration URL (in Sakai: Install LTI Tool, Use LTI Dynamic Registration)."
        )
        print("Each works once, within 24 hours.")
        for app in args.app or store.APPS:
            print(f"\n{TITLES[app][0]}\n  {invitation(db, base_url, app)}")
    return 0


def _add(args: argparse.Namespace) -> int:
    db, base_url = _open()
    with closing(db):
        platform = store.add_platform(
            db,
            issuer=args.issuer,
            client_id=args.client_id,
            auth_login_url=args.auth_url,
            auth_token_url=args.token_url,
            jwks_url=args.jwks_url,
            app=args.app,
            name=args.name,
            deployments=args.deployment,
            accept_new=False if args.hold_new else None,
        )
    print(f"Registered platform {platform.id}: {args.issuer} as {args.client_id} for {args.app}.")
    print(f"In the LMS:\n{_table(base_url, args.app)}")
    return 0


def _list(_args: argparse.Namespace) -> int:
    db, _ = _open()
    with closing(db):
        for platform in store.list_platforms(db):
            print(f"{platform.id}\t{platform.app}\t{platform.issuer}\t{platform.client_id}")
            for found in store.list_deployments(db, platform.id):
                print(
                    f"\tdeployment {found.deployment_id}\t{'in use' if found.approved else 'waiting or blocked'}"
                )
    return 0


def _urls(args: argparse.Namespace) -> int:
    base_url = prepare(load()).base_url.rstrip("/")
    tables = [f"{TITLES[app][0]} (--app {app})\n{_table(base_url, app)}" for app in args.app or store.APPS]
    print("\n\n".join(tables))
    return 0


def _decide(args: argparse.Namespace) -> int:
    db, _ = _open()
    with closing(db):
        if not store.set_deployment(db, args.platform, args.deployment, args.approved):
            raise SettingsError([f"There’s no platform {args.platform}. See sideroom lti list."])
    print(f"Deployment {args.deployment} is {'allowed' if args.approved else 'blocked'}.")
    return 0


def _rotate(_args: argparse.Namespace) -> int:
    db, base_url = _open()
    with closing(db):
        signing, following = store.rotate_key(db)
    print(f"Key {signing} now signs; {following} is next. Both are published at {base_url}/lti/jwks.json.")
    print("The old key stays published for a day.")
    return 0
