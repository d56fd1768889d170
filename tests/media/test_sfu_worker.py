"""The worker as a process: starts, is killed, comes back, ends on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from media.plane import EmbeddedPlane
from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import MediaError, MediaEvent, MediaReset
from tests.media.sfu_browser import SECRET, SESSION, until

pytestmark = pytest.mark.media
ROOT = Path(__file__).resolve().parents[2]


async def start_worker(control: str) -> tuple[asyncio.subprocess.Process, dict[str, object]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media.worker",
        "--control",
        control,
        cwd=ROOT,
        env={**os.environ, "SIDEROOM_MEDIA_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    return process, json.loads(line)


async def test_killed_worker_comes_back_as_a_reset(tmp_path: Path) -> None:
    control = f"unix:{tmp_path}/control"
    process, addresses = await start_worker(control)
    events: list[MediaEvent] = []

    async def on_event(event: MediaEvent) -> None:
        events.append(event)

    plane = EmbeddedPlane(control, SECRET)
    await plane.start(on_event)
    try:
        assert addresses["control"] == control and addresses["udp_port"] and addresses["tap_port"]
        await plane.join("c1", SESSION, RoomId("main"), PersonId("alice"))
        process.kill()
        await process.wait()
        await until(lambda: not plane.is_up, "the plane notices")
        with pytest.raises(MediaError) as refused:
            await plane.join("c1", SESSION, RoomId("main"), PersonId("alice"))
        assert refused.value.code == "media_unavailable"
        process, _addresses = await start_worker(control)
        await until(lambda: MediaReset() in events, "a reset is told")
        with pytest.raises(MediaError) as unknown:
            await plane.move("c1", RoomId("r1"))
        assert unknown.value.code == "unknown_peer"
        await plane.join("c1", SESSION, RoomId("main"), PersonId("alice"))
    finally:
        await plane.stop()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_a_peer_outlives_its_server_and_goes_on_under_the_next_one(tmp_path: Path) -> None:
    control = f"unix:{tmp_path}/control"
    process, _addresses = await start_worker(control)

    async def on_event(_event: MediaEvent) -> None: ...

    first, second = EmbeddedPlane(control, SECRET), EmbeddedPlane(control, SECRET)
    await first.start(on_event)
    await second.start(on_event)
    try:
        await first.join("c1", SESSION, RoomId("r1"), PersonId("bob"))
        await first.mute("c1", MediaSource.MIC, True)
        with pytest.raises(MediaError):  # its server lives
            await second.take_over("c1", SESSION, PersonId("bob"))
        await first.stop()
        for person in ("alice", "charlie"):  # somebody else's
            with pytest.raises(MediaError):
                await second.take_over("c1", SESSION, PersonId(person))
        with pytest.raises(MediaError):
            await second.take_over("c1", SessionId("another"), PersonId("bob"))
        found = await second.take_over("c1", SESSION, PersonId("bob"))
        assert found == (RoomId("r1"), frozenset({MediaSource.MIC}))
        await second.move("c1", RoomId("main"))
    finally:
        await second.stop()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_taken_port_and_missing_secret_give_one_clear_line() -> None:
    for arguments, secret, expected in (
        (["--advertise-ip", ""], "short", "secret"),
        (["--udp-host", "0.0.0.0"], SECRET, "--advertise-ip"),
        (["--udp-host", "::", "--advertise-ip", "192.0.2.1, meet.example.edu"], SECRET, "meet.example.edu"),
        (["--control", "nonsense"], SECRET, "not an address"),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "media.worker",
            *arguments,
            cwd=ROOT,
            env={**os.environ, "SIDEROOM_MEDIA_SECRET": secret},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        assert expected in err.decode().splitlines()[-1]
