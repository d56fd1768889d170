"""Kills one process of a whole installation while a class is recorded, and says what that cost the recording."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from recorder.journal import is_closed, read_manifest, read_records
from recorder.report import report
from recorder.timeline import build
from sandbox.lms.client import launch, open_room
from sandbox.participant import Participant
from server.demo import free_demo, practice_programs, prepare_database, wait_ready
from server.processes import programs
from server.supervisor import Supervisor

SAMPLES = 960
"""Each packet of the microphone; its RTP times go on by so much, whatever the machine is busy with."""


@dataclass(frozen=True, slots=True)
class Loss:
    """``missing`` and ``twice``: frames of 20 ms of the microphone inside its runs; ``lost``: packets, also of the camera."""

    process: str
    frames: int
    missing: int
    twice: int
    lost: int
    gaps_s: list[float]
    gap_reasons: list[str]
    down_s: float
    warnings: list[str]
    recordings: int


class Installation:
    """All processes of a demo, with Alice in her room, who beeps and flashes."""

    def __init__(self, folder: Path, supervisor: Supervisor, alice: Participant) -> None:
        self.recordings = folder / "recordings"
        self.supervisor = supervisor
        self.alice = alice

    async def kill(self, name: str) -> float:
        """kill -9; returns after how many seconds the next one has been started."""
        pid, began = self.supervisor.pids()[name], time.monotonic()
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while self.supervisor.pids().get(name) in (None, pid):
                await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def record_and_kill(self, name: str, before_s: float = 4.0, after_s: float = 4.0) -> Loss:
        """One recording in the middle of which the process ``name`` is killed."""
        known = {path for path in self.recordings.glob("*") if path.is_dir()}
        await self.alice.command("start_recording")
        journal = await self._begun(known)
        await self._grows(journal, before_s)
        began = time.monotonic()
        await self.kill(name)
        if name == "web":
            await self._enter_again()
        await self._grows(journal, after_s)
        down_s = time.monotonic() - began - after_s
        await self.alice.command("stop_recording")
        async with asyncio.timeout(60):
            while not is_closed(journal):
                await asyncio.sleep(0.1)
        made = {path for path in self.recordings.glob("*") if path.is_dir()} - known
        return judge(name, journal, down_s, len(made))

    async def _begun(self, known: set[Path]) -> Path:
        async with asyncio.timeout(60):
            while True:
                new = [p for p in self.recordings.glob("*") if p.is_dir() and p not in known]
                if new and any(new[0].glob("media-*.log")):
                    return new[0]
                await asyncio.sleep(0.1)

    async def _grows(self, journal: Path, seconds: float) -> None:
        """Wait until so much more of the microphone stands in the journal."""
        least = voices(journal) + round(seconds * 50)
        async with asyncio.timeout(120):
            while voices(journal) < least:
                await asyncio.sleep(0.2)

    async def _enter_again(self) -> None:
        """As a browser does: the WebSocket is opened again until it holds; the media have never stopped."""
        resume = self.alice.connection_id
        async with asyncio.timeout(90):
            while True:
                try:
                    await self.alice.connect(resume)
                    if not self.alice.resumed:
                        await self.alice.publish()
                    return
                except (OSError, ConnectionError, TimeoutError):
                    await asyncio.sleep(0.3)


def voices(journal: Path) -> int:
    """Frames of microphones in the journal."""
    mics = {x["n"] for x in read_manifest(journal) if x["k"] == "segment" and x["source"] == "mic"}
    return sum(record.segment in mics for record in read_records(journal))


def judge(name: str, journal: Path, down_s: float, recordings: int) -> Loss:
    lines = read_manifest(journal)
    timeline = build(lines)
    told = report(lines, timeline)
    mics = {x["n"] for x in lines if x["k"] == "segment" and x["source"] == "mic"}
    times: dict[int, list[int]] = {number: [] for number in mics}
    for record in read_records(journal):
        if record.segment in mics:
            times[record.segment].append(record.rtp)
    missing = twice = 0
    for given in times.values():
        if given:
            missing += (max(given) - min(given)) // SAMPLES + 1 - len(set(given))
            twice += len(given) - len(set(given))
    return Loss(
        name,
        sum(map(len, times.values())),
        missing,
        twice,
        int(told.facts["lost_packets"]),
        [gap["length_s"] for gap in told.facts["gaps"]],
        [gap["reason"] for gap in told.facts["gaps"]],
        down_s,
        told.warnings,
        recordings,
    )


@asynccontextmanager
async def installation(folder: Path) -> AsyncIterator[Installation]:
    demo = free_demo(folder)
    prepare_database(demo)
    supervisor = Supervisor([*programs(demo.settings), *practice_programs(demo)[:1]], folder / "logs")
    supervisor.start()
    try:
        late = await asyncio.to_thread(wait_ready, [f"{demo.settings.base_url}/healthz", demo.lms_url], 90)
        if late is not None:
            raise TimeoutError(f"{late} did not answer")
        page = await asyncio.to_thread(launch, demo.lms_url, "alice")
        boot = await asyncio.to_thread(open_room, page)
        async with Participant(boot.ws_url, boot.token) as alice:
            yield Installation(demo.settings.data_dir, supervisor, alice)
    finally:
        await asyncio.to_thread(supervisor.stop)
