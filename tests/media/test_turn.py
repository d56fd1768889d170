"""Debian's coturn accepts the time-limited credentials that we hand out, and no others."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aioice import stun, turn

from server.ports_check import free_port
from signalling.settings import SignallingSettings
from signalling.turn import ice_servers

pytestmark = pytest.mark.media
SECRET = "a-secret-shared-with-coturn"


@pytest.fixture(scope="module")
def turn_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program = shutil.which("turnserver")
    assert program is not None, "coturn is missing: apt-get install coturn (make test does it when root)"
    folder: Path = tmp_path_factory.mktemp("turn")
    port = free_port()
    options = [
        "-n",
        "-L",
        "127.0.0.1",
        "-p",
        str(port),
        "--use-auth-secret",
        f"--static-auth-secret={SECRET}",
    ]
    options += ["-r", "rooms.example", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers"]
    options += ["--min-port", "49160", "--max-port", "49200", "--simple-log", "-l", str(folder / "turn.log")]
    options += ["--pidfile", str(folder / "turn.pid"), "-b", str(folder / "turn.db")]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port
    server.terminate()
    server.wait(20)


async def _allocate(port: int, username: str, password: str) -> None:
    """Allocate a relay over TCP, trying until the server listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            transport, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=("127.0.0.1", port),
                username=username,
                password=password,
                transport="tcp",
            )
        except OSError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
            continue
        transport.close()
        await asyncio.sleep(0.2)  # the library sends the release in a task of its own
        return


async def test_coturn_accepts_our_credentials_and_refuses_forged_ones(turn_port: int) -> None:
    settings = SignallingSettings(turn_urls=(f"turn:127.0.0.1:{turn_port}",), turn_secret=SECRET)
    (server,) = ice_servers(settings, "p1", int(time.time()))
    username, credential = str(server["username"]), str(server["credential"])
    await _allocate(turn_port, username, credential)
    with pytest.raises(stun.TransactionFailed):
        await _allocate(turn_port, username, credential[::-1])
    (late,) = ice_servers(settings, "p1", int(time.time()) - 100_000)
    with pytest.raises(stun.TransactionFailed):
        await _allocate(turn_port, str(late["username"]), str(late["credential"]))
