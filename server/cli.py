"""The ``sideroom`` command. Mistakes of configuration are told in plain lines, never as tracebacks."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import OperationalError

from models.store.database import Database
from models.store.migrate import upgrade
from server import cli_admin, cli_api, cli_lti, cli_recording, cli_slack, cli_storage, logs
from server.settings import SettingsError, check_web, load, prepare


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console command; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] | None = getattr(args, "run", None)
    if run is None:
        parser.print_help()
        return 2
    try:
        code = run(args)
        sys.stdout.flush()
        return code
    except SettingsError as error:
        for problem in error.problems:
            print(f"sideroom: {problem}", file=sys.stderr)
        return 2
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        print(f"sideroom: the database can’t be used: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # “sideroom openapi | head”: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sideroom", description="Live video rooms with breakouts for Sakai and Slack."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    serve = commands.add_parser("serve", help="run everything: web, media worker, recorder, job worker")
    serve.set_defaults(run=_serve)
    demo = commands.add_parser("demo", help="run everything with a practice LMS and a practice Slack")
    demo.set_defaults(run=_demo)
    selftest = commands.add_parser(
        "selftest", help="test everything end to end on free ports in a temporary folder"
    )
    selftest.add_argument("--json", action="store_true", help="print a report as JSON")
    selftest.add_argument("--keep", action="store_true", help="keep the temporary folder")
    selftest.set_defaults(run=_selftest)
    migrate = commands.add_parser("migrate", help="bring the database to this version")
    migrate.set_defaults(run=_migrate)
    cli_lti.add_parser(commands)
    cli_admin.add_parser(commands)
    cli_recording.add_parser(commands)
    cli_slack.add_parser(commands)
    cli_api.add_parser(commands)
    cli_storage.add_parser(commands)
    return parser


def _database() -> Database:
    """The migrated database of the settings."""
    settings = prepare(load())
    upgrade(settings.db_url)
    return Database(settings.db_url)


def _serve(_args: argparse.Namespace) -> int:
    from server.processes import check_ports, programs
    from server.supervisor import Supervisor

    settings = prepare(load())
    check_web(settings)
    logs.configure(settings.log_level)
    check_ports(settings)
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
    _database().close()
    print("The database is up to date.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
