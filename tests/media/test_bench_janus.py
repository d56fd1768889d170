"""The peer that bench/sfu.py compares with leaves nothing in the folder it is started from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.sfu import Janus

pytestmark = [
    pytest.mark.media,
    pytest.mark.skipif(
        shutil.which("janus") is None, reason="Janus is not installed; only the bench wants it"
    ),
]


async def test_janus_runs_in_a_folder_of_its_own_without_core_dumps() -> None:
    janus = Janus()
    await janus.start()
    try:
        process = Path(f"/proc/{janus.pid}")
        assert (process / "cwd").resolve() != Path.cwd()
        assert (process / "cwd").resolve().name.startswith("sideroom-janus-")
        [cores] = [x for x in (process / "limits").read_text().splitlines() if x.startswith("Max core file")]
        assert cores.split()[4:6] == ["0", "0"]
    finally:
        await janus.close()
