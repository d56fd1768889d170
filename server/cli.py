"""The ``sideroom`` command. Mistakes of configuration are told in plain lines, never as tracebacks."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from server import logs
from server.settings import SettingsError, load, prepare


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console command; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] | None = getattr(args, "run", None)
    if run is None:
        parser.print_help()
        return 2
    try:
        return run(args)
    except SettingsError as error:
        for problem in error.problems:
            print(f"sideroom: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sideroom", description="Live video rooms with breakouts for Sakai and Slack."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    serve = commands.add_parser("serve", help="run everything: web, media worker, recorder, job worker")
    serve.set_defaults(run=_serve)
    demo = commands.add_parser("demo", help="run everything with a practice LMS and a practice Slack")
    demo.set_defaults(run=_demo)
    selftest = commands.add_parser("selftest", help="try the whole road on free ports in a temporary folder")
    selftest.add_argument("--json", action="store_true", help="print a report as JSON")
    selftest.add_argument("--keep", action="store_true", help="keep the temporary folder")
    selftest.set_defaults(run=_selftest)
    migrate = commands.add_parser("migrate", help="bring the database to this version")
    migrate.set_defaults(run=_migrate)
    lti = commands.add_parser("lti", help="LTI platforms").add_subparsers(
        title="lti", metavar="ACTION", required=True
    )
    add = lti.add_parser("add", help="register a platform's tool by hand")
    for name in ("issuer", "client-id", "auth-url", "token-url", "jwks-url"):
        add.add_argument(f"--{name}", required=True)
    add.add_argument(
        "--app", choices=("room", "gallery", "mymedia"), default="room", help="which tool it opens"
    )
    add.add_argument("--name", default="")
    add.add_argument("--deployment", action="append", default=[], help="allowed deployment id (repeatable)")
    add.set_defaults(run=_lti_add)
    lti.add_parser("list", help="list the registered platforms").set_defaults(run=_lti_list)
    lti.add_parser("urls", help="print the addresses to paste into the LMS").set_defaults(run=_lti_urls)
    return parser


def _serve(_args: argparse.Namespace) -> int:
    from models.store.migrate import upgrade
    from server.processes import programs
    from server.supervisor import Supervisor

    settings = prepare(load())
    logs.configure(settings.log_level)
    upgrade(settings.db_url)
    supervisor = Supervisor(programs(settings))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    supervisor.start()
    stop.wait()
    supervisor.stop()
    return 0


def _demo(_args: argparse.Namespace) -> int:
    from server.demo import run

    return run()


def _selftest(args: argparse.Namespace) -> int:
    from server.selftest import run

    return run(as_json=args.json, keep=args.keep)


def _migrate(_args: argparse.Namespace) -> int:
    from models.store.migrate import upgrade

    settings = prepare(load())
    upgrade(settings.db_url)
    print("The database is up to date.")
    return 0


def _lti_add(args: argparse.Namespace) -> int:
    from models.store.database import Database
    from models.store.lti import add_platform
    from models.store.migrate import upgrade

    settings = prepare(load())
    upgrade(settings.db_url)
    db = Database(settings.db_url)
    platform = add_platform(
        db,
        issuer=args.issuer,
        client_id=args.client_id,
        auth_login_url=args.auth_url,
        auth_token_url=args.token_url,
        jwks_url=args.jwks_url,
        app=args.app,
        name=args.name,
        deployments=args.deployment,
    )
    print(f"Registered platform {platform.id}: {args.issuer} as {args.client_id} for {args.app}.")
    return 0


def _lti_list(_args: argparse.Namespace) -> int:
    from models.store.database import Database
    from models.store.lti import list_platforms

    settings = prepare(load())
    for platform in list_platforms(Database(settings.db_url)):
        print(f"{platform.id}\t{platform.app}\t{platform.issuer}\t{platform.client_id}")
    return 0


def _lti_urls(_args: argparse.Namespace) -> int:
    settings = prepare(load())
    for name, path in (
        ("Login (OIDC initiation)", "/lti/login"),
        ("Launch and redirect URL", "/lti/launch"),
        ("Keyset (JWKS)", "/lti/jwks.json"),
    ):
        print(f"{name:26} {settings.base_url.rstrip('/')}{path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
