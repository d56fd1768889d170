"""A temporary PostgreSQL for tests: Debian's server on a free loopback port, run by an unprivileged user, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER = "postgres"


def binaries() -> Path:
    """Folder of the newest installed server. Raises RuntimeError with what to do when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    if not found:
        raise RuntimeError(
            "PostgreSQL's server is missing: apt-get install postgresql (make test does it when root)"
        )
    return found[-1].parent


def _as_server(command: list[str]) -> list[str]:
    # The server refuses to run as root.
    return ["runuser", "-u", USER, "--", *command] if os.geteuid() == 0 else command


@contextmanager
def temporary_postgres(folder: Path) -> Iterator[str]:
    """Yields a SQLAlchemy URL of an empty database; ``folder`` is made the server's own."""
    bin_dir = binaries()
    data = Path("/tmp") / f"sideroom-pg-{os.getpid()}-{folder.name}"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, USER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        init = [
            str(bin_dir / "initdb"),
            "-D",
            str(data / "db"),
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(_as_server(init), check=True, capture_output=True, timeout=90)
        options = ["-p", str(port), "-k", str(data), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        server = subprocess.Popen(
            _as_server([str(bin_dir / "postgres"), "-D", str(data / "db"), *options]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=data,
        )
        try:
            _wait(port)
            yield f"postgresql+psycopg://{USER}@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
