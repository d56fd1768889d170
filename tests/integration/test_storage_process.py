"""The job worker's process is killed in the middle of a copy: the next one goes on and sends no part twice."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from library import copies, intake
from library.storage import Storages
from library.storage_vault import Vault
from library.values import CompositionFacts
from server.settings import load
from tests import storagekit as kit
from tests.librarykit import World, make_world
from tests.storagekit import Fault, uploads_part

pytestmark = pytest.mark.integration
FILM = random.Random(5).randbytes(30 * 1024 * 1024)  # four parts
SECRET = "a site secret of the tests, long enough"


@pytest.fixture(params=["s3", "azure"])
def upstream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    with kit.moto_s3() if request.param == "s3" else kit.azurite(tmp_path / "azurite") as address:
        yield request.param, address


@contextmanager
def job_worker(environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "server.jobs"], env=environ)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


def until(done: Callable[[], Any], what: str) -> None:
    ends = time.monotonic() + 90
    while not done():
        assert time.monotonic() < ends, f"did not happen: {what}"
        time.sleep(0.05)


def film(world: World, folder: Path) -> str:
    folder.mkdir()
    (folder / "video.mp4").write_bytes(FILM)
    facts = CompositionFacts("video.mp4", 1.0, 160, 90, len(FILM), hashlib.sha256(FILM).hexdigest())
    return intake.take(world.db, world.root, world.recording(), folder, facts)


def test_a_killed_worker_loses_no_part_that_arrived(upstream: tuple[str, str], tmp_path: Path) -> None:
    kind, address = upstream
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SIDEROOM_")},
        "SIDEROOM_DATA_DIR": str(tmp_path),
        "SIDEROOM_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
        "SIDEROOM_SECRET": SECRET,
        "SIDEROOM_STORAGE_PRIVATE_ENDPOINTS": "true",
    }
    settings = load(environ)
    world = make_world(tmp_path)
    assert settings.library_dir == world.root
    with kit.proxy_to(address) as proxy:
        given = (
            kit.s3_config(proxy.url) if kind == "s3" else kit.azure_config(proxy.url.removeprefix("http://"))
        )
        storages = Storages(world.db, Vault(settings.key("storage")), allow_private=True)
        storages.create("site", given)

        def is_part(method: str, path: str) -> bool:
            return uploads_part(method, path) and "/video.mp4?" in path

        def parts() -> int:
            return sum(1 for method, path, status in proxy.seen if is_part(method, path) and 0 < status < 300)

        hold = Fault(lambda method, path: is_part(method, path) and parts() >= 2, delay_s=600)
        proxy.faults = [hold]
        entry_id = film(world, tmp_path / "result")
        with job_worker(environ) as process:
            until(lambda: hold.times == 0, "third part under way")
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        (state,) = copies.states(world.db, [entry_id])[entry_id]
        assert (state["status"], state["confirmed_time"]) == ("copying", None)
        assert 50 <= state["percent"] < 60
        with job_worker(environ):
            until(lambda: copies.states(world.db, [entry_id])[entry_id][0]["status"] == "done", "confirmed")
        assert parts() == 4
        (copy,) = copies.readable(world.db, storages, entry_id, "video.mp4")
        assert b"".join(copy.read(0, copy.size_bytes)) == FILM
    world.db.close()
