"""``sideroom selftest``: the whole road on free ports in a temporary folder, with real media, in under 90 seconds.

Starts every process, launches by LTI as a moderator and three students, joins with beep-and-flash media, starts
breakouts with a signed Slack command, records two rooms, stops, opens the files, and looks who can see them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from recorder.avcheck import measure
from sandbox.lms.client import RoomBoot, launch, open_room
from sandbox.participant import Participant
from sandbox.slack.client import send_command
from sandbox.slack.setup import ALICE_SLACK, MODERATORS_CHANNEL
from server.demo import free_demo, practice_programs, prepare_database, wait_ready
from server.processes import programs
from server.supervisor import Supervisor

log = logging.getLogger("sideroom.selftest")
PEOPLE = ("alice", "bob", "bea", "ben")
OTHERS = ("tara", "charlie")
"""Not in the room: the course's second moderator, and somebody of another course."""
RECORD_S = 8.0
LIMIT_S = 300.0
"""For the whole; a machine that composes nothing else needs 30 to 45 s."""


class StepFailed(Exception):
    """A step found something that does not hold; the text says what."""


@dataclass
class Report:
    """What ``--json`` prints."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    recording: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step["ok"] for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "steps": self.steps, "recording": self.recording}


class SelfTest:
    """One run. ``say`` prints a line; ``folder`` is temporary and holds everything."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.report = Report()
        self._folder = folder
        self._say = say
        self._demo = free_demo(folder)
        self._supervisor: Supervisor | None = None
        self._boots: dict[str, RoomBoot] = {}
        self._pages: dict[str, Any] = {}
        self._people: dict[str, Participant] = {}
        self._stack = AsyncExitStack()
        self._recorded: list[str] = []
        self._room_of: dict[str, str] = {}
        self._entries: list[dict[str, Any]] = []

    async def run(self) -> Report:
        """All steps in order; the first that fails ends the run. Always cleans up."""
        steps: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("start every process", self._start),
            ("launch by LTI: two moderators, three students, a stranger", self._launch),
            ("join with sound and picture", self._join),
            ("start breakouts from Slack, every room recorded", self._breakouts),
            ("record two rooms", self._record),
            ("move a student while recording", self._move),
            ("stop and compose", self._stop),
            ("open the files", self._open),
            ("the right people see the files, others don’t", self._visibility),
            ("play with range requests", self._play),
        ]
        try:
            async with asyncio.timeout(LIMIT_S):
                for name, step in steps:
                    if not await self._one(name, step):
                        break
        except TimeoutError:
            self._note(f"end within {LIMIT_S:.0f} s", False, LIMIT_S, "it took longer")
        finally:
            await self._stack.aclose()
            if self._supervisor is not None:
                await asyncio.to_thread(self._supervisor.stop)
        return self.report

    async def _one(self, name: str, step: Callable[[], Awaitable[str]]) -> bool:
        started = time.monotonic()
        try:
            detail = await step()
        except StepFailed as error:
            return self._note(name, False, time.monotonic() - started, str(error))
        except TimeoutError as error:
            return self._note(name, False, time.monotonic() - started, f"waited too long: {error or name}")
        except Exception as error:
            log.exception("selftest.step_failed step=%s", name)
            return self._note(name, False, time.monotonic() - started, f"{type(error).__name__}: {error}")
        return self._note(name, True, time.monotonic() - started, detail)

    def _note(self, name: str, ok: bool, seconds: float, detail: str) -> bool:
        self.report.steps.append({"name": name, "ok": ok, "seconds": round(seconds, 2), "detail": detail})
        self._say(f"{'ok  ' if ok else 'FAIL'} {seconds:6.2f} s  {name}{': ' + detail if detail else ''}")
        return ok

    # -- steps -------------------------------------------------------------------------------------------------

    async def _start(self) -> str:
        await asyncio.to_thread(prepare_database, self._demo)
        everything = [*programs(self._demo.settings), *practice_programs(self._demo)]
        self._supervisor = Supervisor(everything, self._folder / "logs")
        self._supervisor.start()
        urls = [f"{self._demo.settings.base_url}/healthz", self._demo.lms_url, self._demo.slack_url]
        late = await asyncio.to_thread(wait_ready, urls, 40.0)
        if late is not None:
            raise StepFailed(f"{late} did not answer; logs:\n{self._logs()}")
        return f"{len(everything)} processes"

    def _logs(self) -> str:
        tails = []
        for path in sorted((self._folder / "logs").glob("*.log")):
            tails.append(
                f"--- {path.name}\n" + "\n".join(path.read_text("utf-8", "replace").splitlines()[-12:])
            )
        return "\n".join(tails)

    async def _launch(self) -> str:
        for person in (*PEOPLE, *OTHERS):
            page = await asyncio.to_thread(launch, self._demo.lms_url, person)
            self._pages[person] = page
            if person not in OTHERS:
                self._boots[person] = await asyncio.to_thread(open_room, page)
        roles = {person: boot.role for person, boot in self._boots.items()}
        if roles != {"alice": "moderator", "bob": "participant", "bea": "participant", "ben": "participant"}:
            raise StepFailed(f"roles are {roles}")
        if len({boot.session_id for boot in self._boots.values()}) != 1:
            raise StepFailed("they are not in one session")
        return "4 people in one session"

    async def _join(self) -> str:
        for index, person in enumerate(PEOPLE):
            boot = self._boots[person]
            participant = Participant(boot.ws_url, boot.token, index=index)
            self._people[person] = await self._stack.enter_async_context(participant)
        alice, bob = self._people["alice"], self._people["bob"]
        ids = {name: p.you["person_id"] for name, p in self._people.items()}
        await alice.wait(lambda: alice.frames_of(ids["bob"], "camera") > 3, 25)
        await bob.wait(lambda: bob.frames_of(ids["alice"], "mic") > 3, 25)
        return "sound and picture arrive"

    async def _breakouts(self) -> str:
        answer = await asyncio.to_thread(
            send_command,
            f"{self._demo.settings.base_url}/slack/events",
            self._demo.settings.slack_signing_secret,
            ALICE_SLACK,
            MODERATORS_CHANNEL,
            "/breakout",
            "start 2 for 10m auto record",  # after the default countdown
        )
        if answer.status_code != 200:
            raise StepFailed(f"Slack command answered {answer.status_code}")
        students = [self._people[p] for p in PEOPLE[1:]]
        for student in students:
            await student.wait(lambda s=student: s.state["you"]["room_id"] != "main", 20)  # type: ignore[misc]
        rooms = {s.state["you"]["room_id"] for s in students}
        if len(rooms) != 2:
            raise StepFailed(f"students are in {len(rooms)} rooms, not 2")
        return "3 students in 2 rooms"

    async def _record(self) -> str:
        alice = self._people["alice"]
        room_id = self._people["bob"].state["you"]["room_id"]
        await alice.command("join_room", room_id=room_id)
        await alice.wait(lambda: self._live(alice) == 2, 15)
        self._recorded = list(alice.state["recordings"])
        await asyncio.sleep(RECORD_S)
        return "2 rooms recording"

    @staticmethod
    def _live(alice: Participant) -> int:
        return sum(1 for r in alice.state["recordings"].values() if r["status"] == "RECORDING")

    async def _move(self) -> str:
        bob, bea = self._people["bob"], self._people["bea"]
        alice = self._people["alice"]
        target = next(
            s.state["you"]["room_id"]
            for s in (bea, self._people["ben"])
            if s.state["you"]["room_id"] != bob.state["you"]["room_id"]
        )
        await alice.command("move_participant", person_id=bob.you["person_id"], room_id=target)
        await bob.wait(lambda: bob.state["you"]["room_id"] == target, 15)
        await asyncio.sleep(2.0)
        return "moved after the countdown"

    async def _stop(self) -> str:
        alice = self._people["alice"]
        await alice.command("stop_recording")
        stopped = time.monotonic()

        def ready() -> bool:
            states = [alice.state["recordings"][r]["status"] for r in self._recorded]
            if "ERRORED" in states:
                errors = [alice.state["recordings"][r]["error"] for r in self._recorded]
                raise StepFailed(f"a recording failed: {errors}")
            return states == ["UPLOADED"] * len(self._recorded)

        await alice.wait(ready, 200)
        took = time.monotonic() - stopped
        self.report.recording["ready_after_s"] = round(took, 1)
        await alice.command("end_breakout")
        return f"both ready {took:.1f} s after Stop"

    async def _open(self) -> str:
        page = self._pages["alice"]
        listing = await asyncio.to_thread(_media, page, "folder")
        self._entries = listing["entries"]
        if len(self._entries) != 2:
            raise StepFailed(f"{len(self._entries)} files in the breakout recordings folder, not 2")
        offsets: list[float] = []
        seen: set[int] = set()
        for entry in self._entries:
            path = self._folder / f"{entry['entry_id']}.mp4"
            answer = await asyncio.to_thread(requests.get, _absolute(page, entry["file_url"]), timeout=30)
            path.write_bytes(answer.content)
            check = await asyncio.to_thread(measure, path)
            if (check.video_codec, check.audio_codec) != ("h264", "aac"):
                raise StepFailed(f"codecs are {check.video_codec} and {check.audio_codec}")
            if not RECORD_S - 2 <= check.duration_s <= RECORD_S + 25:
                raise StepFailed(f"a file lasts {check.duration_s:.1f} s")
            if abs(check.duration_s - entry["duration_s"]) > 1.0:
                raise StepFailed(
                    f"the library says {entry['duration_s']} s, the file {check.duration_s:.1f} s"
                )
            if check.flashes == 0 or check.beeps == 0:
                raise StepFailed(f"{check.flashes} flashes and {check.beeps} beeps were found in a file")
            offsets += check.offsets_ms
            seen |= {index for index, onsets in check.flashes_s.items() if onsets}
        if seen != set(range(len(PEOPLE))):
            raise StepFailed(f"only the people {sorted(seen)} have a tile in some file")
        offsets.sort(key=abs)
        p50, p95 = abs(offsets[len(offsets) // 2]), abs(offsets[int(len(offsets) * 0.95)])
        self.report.recording |= {
            "duration_s": self._entries[0]["duration_s"],
            "av_offset_ms_p50": round(p50, 1),
            "av_offset_ms_p95": round(p95, 1),
            "width": self._entries[0]["width"],
            "height": self._entries[0]["height"],
        }
        if p50 > 45 or p95 > 90:
            raise StepFailed(f"sound and picture are {p50:.0f} ms apart (p95 {p95:.0f} ms)")
        return f"H.264 and AAC, sound and picture {p50:.0f} ms apart (p95 {p95:.0f} ms)"

    async def _visibility(self) -> str:
        seen = {}
        for person in ("alice", "bob", *OTHERS):
            for scope in ("mine", "channel", "folder", "unowned"):
                listing = await asyncio.to_thread(_media, self._pages[person], scope)
                seen[person, scope] = len(listing.get("entries", [])) if "error" not in listing else -1
        expected = {
            ("alice", "mine"): 2,
            ("alice", "channel"): 2,
            ("alice", "folder"): 2,
            ("alice", "unowned"): 0,
            ("tara", "mine"): 0,
            ("tara", "channel"): 2,
            ("tara", "folder"): 2,
            ("tara", "unowned"): 0,
            ("bob", "mine"): 0,
            ("bob", "channel"): 2,
            ("bob", "folder"): -1,
            ("bob", "unowned"): -1,
            ("charlie", "mine"): 0,
            ("charlie", "channel"): 0,
            ("charlie", "folder"): 0,
            ("charlie", "unowned"): 0,
        }
        wrong = {key: seen[key] for key, number in expected.items() if seen[key] != number}
        if wrong:
            raise StepFailed(f"these see something else than they should: {wrong}")
        return "My Media, channel and folders are right for both moderators, student and stranger"

    async def _play(self) -> str:
        url = _absolute(self._pages["alice"], self._entries[0]["file_url"])
        part = await asyncio.to_thread(requests.get, url, headers={"Range": "bytes=0-99"}, timeout=10)
        forged = await asyncio.to_thread(requests.get, url[:-2] + "00", timeout=10)
        if part.status_code != 206 or len(part.content) != 100:
            raise StepFailed(
                f"a range request was answered {part.status_code} with {len(part.content)} bytes"
            )
        if forged.status_code != 403:
            raise StepFailed(f"a forged link was answered {forged.status_code}")
        return "206 for a part, 403 for a forged link"


def _media(page: Any, scope: str) -> dict[str, Any]:
    answer = requests.get(
        f"{page.base_url}/app/api/media",
        params={"scope": scope},
        headers={"Authorization": f"Bearer {page.token}"},
        timeout=15,
    )
    data: dict[str, Any] = answer.json()
    return data


def _absolute(page: Any, url: str) -> str:
    return url if url.startswith("http") else f"{page.base_url}{url}"


def run(*, as_json: bool, keep: bool = False) -> int:
    """Run the self-test; prints a line a step (to standard error with ``as_json``). 0 only if everything holds."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    out = sys.stderr if as_json else sys.stdout
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="sideroom-selftest-"))
    test = SelfTest(folder, lambda line: print(line, file=out, flush=True))
    failed = False
    try:
        report = asyncio.run(test.run())
        failed = not report.ok
    finally:  # also when somebody pressed Ctrl-C
        if keep or failed:
            print(f"Everything was kept in {folder}", file=out)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    print(f"{'FAILED' if failed else 'All steps passed'} after {time.monotonic() - started:.0f} s.", file=out)
    return 1 if failed else 0
