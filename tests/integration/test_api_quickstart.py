"""The quick start's five calls do what it says, in the shell and in Python, copied out of the page as they stand."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from library import intake
from models.store import recordings_jobs
from models.values import RecordingId
from rooms.events import RecordingInvoked, RecordingRequested
from rooms.ports import Committed
from tests.apikit import Api, running_api
from tests.librarykit import composed

pytestmark = pytest.mark.integration
PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Api, str]]:
    """The API behind a real port; a thread does what recorder and composer do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base_url = f"http://127.0.0.1:{port}"
    with running_api(tmp_path, report_wait_s=5.0, base_url=base_url) as api:
        server = make_server("127.0.0.1", port, api.client.application, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        unsubscribe = api.rooms.subscribe(lambda committed: _record(api, tmp_path, committed))
        yield api, base_url
        unsubscribe()
        server.shutdown()
        thread.join()


def _record(api: Api, folder: Path, committed: Committed) -> None:
    for recorded in committed.events:
        event = recorded.event
        if isinstance(event, RecordingInvoked):
            threading.Timer(0.1, api.report, (event.recording_id, "RECORDING")).start()
        elif isinstance(event, RecordingRequested):
            threading.Timer(0.1, _finish, (api, folder, event.recording_id)).start()


def _finish(api: Api, folder: Path, recording_id: RecordingId) -> None:
    api.report(recording_id, "UPLOADING")
    info = recordings_jobs.recording_info(api.world.db, recording_id)
    assert info is not None
    result = folder / f"result-{recording_id}"
    entry_id = intake.take(api.world.db, api.world.root, info, result, composed(result))
    api.report(recording_id, "UPLOADED", entry_id)


@pytest.mark.parametrize(
    ("language", "program"), [("sh", ["sh", "-eu", "-c"]), ("python", [sys.executable, "-c"])]
)
def test_the_quick_start_ends_with_the_film(
    served: tuple[Api, str], tmp_path: Path, language: str, program: list[str]
) -> None:
    api, base_url = served
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.S)
    assert found is not None
    # The reader's own address and key.
    code = found[1].replace("export SIDEROOM=https://rooms.example.edu KEY=srk_…\n", "")
    assert "example.edu" not in code
    place = tmp_path / "here"
    place.mkdir()
    secret = api.key["Authorization"].removeprefix("Bearer ")
    done = subprocess.run(
        [*program, code],
        cwd=place,
        env={**os.environ, "SIDEROOM": base_url, "KEY": secret},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (recording,) = api.good("GET", "/recordings")
    assert recording["status"] == "UPLOADED" and recording["stop_reason"]["reason"] == "API_CALL"
    film = next((api.world.root).glob("*/video.mp4"))
    assert (place / "film.mp4").read_bytes() == film.read_bytes()
