"""One process among several that write to the same session: ``python -m tests.integration.writer URL SESSION NAME COUNT``.

Says ``ready``, waits for a line, submits its commands, each twice as a door does that got no answer; those named ``shared`` are submitted
by all processes. Prints as JSON what was answered and which events it heard.
"""

from __future__ import annotations

import json
import sys
import time

from models.store.database import Database
from models.values import MAIN_ROOM, SYSTEM, SessionId
from rooms import commands as c
from rooms.commands import Command, Envelope
from rooms.errors import DomainError
from rooms.service import RoomsService
from tests.people import ALICE, BOB, ask


def envelopes(name: str, session_id: SessionId, count: int) -> list[Envelope]:
    def mine(number: int) -> tuple[object, Command]:
        if name == "server":
            return BOB, c.SetHand(number % 2 == 0) if number % 3 else c.SendChat(f"{number}")
        if name == "bot":
            return ALICE, c.ShuffleParticipants(number) if number % 2 else c.BroadcastMessage(f"{number}")
        return SYSTEM, c.ReportRecording(next(iter(RECORDINGS)), ("PAUSED", "RECORDING")[number % 2])

    made = []
    for number in range(count):
        actor, command = mine(number)
        made.append(ask(actor, command, session_id, f"{name}-{session_id}-{number}"))  # type: ignore[arg-type]
        shared = c.SendChat(f"shared {number}")
        made.append(ask(BOB, shared, session_id, f"shared-{session_id}-{number}"))
    return made


RECORDINGS: list[c.RecordingId] = []


def main(url: str, session_id: SessionId, name: str, count: int) -> None:
    db = Database(url)
    service = RoomsService(db)
    heard: list[int] = []
    first = service.state(session_id)
    RECORDINGS.extend(key for key, r in first.recordings.items() if r.room_id == MAIN_ROOM)
    service.subscribe(lambda committed: heard.extend(r.seq for r in committed.events))
    service.start()
    answers: dict[str, list[object]] = {}
    print("ready", flush=True)
    sys.stdin.readline()
    for envelope in envelopes(name, session_id, count):
        for _ in range(2):
            try:
                answer: object = [r.seq for r in service.submit(envelope).events]
            except DomainError as error:
                answer = error.code
            answers.setdefault(envelope.command_id, []).append(answer)
    print("done", flush=True)
    last = int(sys.stdin.readline())
    deadline = time.monotonic() + 30
    while (not heard or heard[-1] < last) and time.monotonic() < deadline:
        time.sleep(0.02)
    print(json.dumps({"answers": answers, "heard": heard, "from": first.seq}), flush=True)
    service.close()
    db.close()


if __name__ == "__main__":
    main(sys.argv[1], SessionId(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
