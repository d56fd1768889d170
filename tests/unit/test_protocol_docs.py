"""docs/protocol.md lists every command a client may send with its arguments, and every event with its data."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from models.values import SYSTEM, Actor, RecordingId, Role
from rooms import commands as c
from rooms import policy, view, wire
from rooms.commands import Command
from tests.people import ALICE, BEA, BOB
from tests.unit.test_core_properties import TARA, History
from tests.unit.test_core_table import RUNNING, in_status

pytestmark = pytest.mark.unit
PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def table(title: str) -> dict[str, list[str]]:
    """Rows of the section's table by each name in their first cell."""
    section = PROTOCOL.split(f"### {title}\n")[1].split("\n#")[0]
    rows = {}
    for line in section.splitlines():
        if line.startswith("| `") and "---" not in line:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows |= {
                key: cells[1:] for key in re.findall(r"`(\w+)`", cells[0]) if key not in ("name", "event")
            }
    return rows


def names_in(cell: str) -> set[str]:
    """Names in code form, without the explanations in brackets."""
    return set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cell)))


def test_every_command_is_listed() -> None:
    assert set(table("Commands")) == wire.CLIENT_COMMANDS


@pytest.mark.parametrize("key", sorted(wire.CLIENT_COMMANDS))
def test_arguments_and_rights_of_a_command_are_told(key: str) -> None:
    args, who, _what = table("Commands")[key]
    kind: type[Command] = wire.COMMANDS[key]
    optional = {
        spec.name
        for spec in fields(kind)
        if spec.default is not MISSING or spec.default_factory is not MISSING
    }
    assert names_in(args) == {spec.name for spec in fields(kind)}
    assert set(re.findall(r"`(\w+)`\?", args)) == optional
    assert (who == "moderator") == (policy.RULES[kind] in (policy._moderator, policy._end_session))


def everything() -> History:
    """A session in which all that is announced happens."""
    history = in_status(RUNNING)
    bob, room = BOB.person_id, next(key for key in history.state.rooms if key != "main")
    assert bob is not None
    asked: list[tuple[Actor, Command]] = [
        (ALICE, c.SendChat("hello")),
        (ALICE, c.SendChat("and to you", person_id=bob)),
        (ALICE, c.BroadcastMessage("two minutes")),
        (ALICE, c.AddTime(60)),
        (BOB, c.SetMedia(mic=True)),
        (ALICE, c.MuteParticipant(bob)),
        (BOB, c.SetMedia(screen=True)),
        (ALICE, c.SetSharing("moderators")),
        (ALICE, c.StartRecording(room_id=room)),
        (ALICE, c.MoveToNextRoom()),
        (ALICE, c.CancelMoves()),
        (ALICE, c.ShuffleParticipants(7)),
    ]
    for actor, command in asked:
        assert history.do(actor, command) == "ok", command
    call = next(iter(history.state.calls))
    history.do(ALICE, c.ClaimCall(call))
    history.do(ALICE, c.DismissCall(call))
    history.do(SYSTEM, c.ReportRecording(RecordingId(next(iter(history.state.recordings))), "RECORDING"))
    history.wait(30)
    history.do(ALICE, c.GatherEveryone())
    history.wait(30)
    history.do(ALICE, c.EndBreakout())
    history.wait(30)
    history.do(ALICE, c.RemoveParticipant(bob))
    history.do(ALICE, c.CreateRooms(count=2))
    history.do(ALICE, c.StartBreakout())
    history.wait(30)
    history.do(ALICE, c.EndSession())
    return history


def test_every_event_is_listed_with_its_data() -> None:
    history, told = everything(), {wire.snake(kind.__name__) for kind in view._ANNOUNCERS}
    rows = table("Events")
    assert set(rows) == told
    seen: dict[str, set[str]] = {}
    for recorded in history.log:
        state = next(s for s in history.states if s.seq >= recorded.seq)
        for person in (ALICE, TARA, BOB, BEA):
            role = person.role or Role.GUEST
            data = view.announcement(recorded, state, person.person_id, role)  # type: ignore[arg-type]
            if data is not None:
                seen.setdefault(wire.event_name(recorded.event), set()).update(data)
    assert set(seen) == told
    for event, keys in seen.items():
        if not event.startswith("recording_"):  # told as a whole, in §4
            assert keys == names_in(rows[event][0]), event
