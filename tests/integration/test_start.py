"""Starting: the site secret, ports that are taken, databases that are away, children that cannot be started."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.cli import main
from server.demo import wait_ready
from server.ports_check import free_port
from server.processes import check_ports
from server.settings import Settings, SettingsError, load, prepare
from server.supervisor import Program, Supervisor
from tests.integration.test_service import until

pytestmark = pytest.mark.integration


def test_the_site_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = {made.secret for made in pool.map(lambda _: prepare(settings), range(16))}
    assert found == {prepare(settings).secret}
    assert len(found.pop()) == 64
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob(".secret-*")] == []


def test_an_empty_site_secret_is_refused_instead_of_used(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    with pytest.raises(SettingsError, match="holds no site secret"):
        prepare(Settings(data_dir=tmp_path))


def test_a_taken_port_is_one_clear_line_that_names_its_setting(tmp_path: Path) -> None:
    settings = load(
        {"SIDEROOM_PORT": str(free_port()), "SIDEROOM_MEDIA_PORT": str(free_port(socket.SOCK_DGRAM))}
    )
    with socket.socket() as web, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        web.bind(("127.0.0.1", settings.port))
        web.listen()
        media.bind(("127.0.0.1", settings.media_port))
        with pytest.raises(SettingsError) as error:
            check_ports(settings)
    told = [line for line in error.value.problems if "SIDEROOM_PORT" in line or "SIDEROOM_MEDIA_PORT" in line]
    assert len(told) == 2


def test_a_database_that_is_away_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(
        "SIDEROOM_DATABASE_URL", f"postgresql+psycopg://sideroom:hush@127.0.0.1:{free_port()}/sideroom"
    )
    assert main(["migrate"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and told[0].startswith("sideroom: the database can’t be used: ")
    assert "hush" not in told[0]


def test_waiting_for_the_demo_ends_when_it_is_stopped() -> None:
    stop = threading.Event()
    stop.set()
    started = time.monotonic()
    assert wait_ready([f"http://127.0.0.1:{free_port()}/"], 60, stop) is None
    assert time.monotonic() - started < 30


def test_a_child_that_cannot_be_started_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    start, failures = subprocess.Popen, [2]

    def short_of_memory(command: list[str], **options: object) -> object:
        if "second" in str(options.get("env")) and failures[0]:
            failures[0] -= 1
            raise OSError(12, "Cannot allocate memory")
        return start(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("server.supervisor.subprocess.Popen", short_of_memory)
    supervisor = Supervisor(
        [Program("first", sleeper), Program("second", sleeper, {"SIDEROOM_NAME": "second"})], tmp_path
    )
    supervisor.start()
    try:
        until(lambda: set(supervisor.pids()) == {"first", "second"}, "both run")
        assert failures == [0]
    finally:
        supervisor.stop()
    assert supervisor.pids() == {}
