"""Webhooks without I/O: signatures, addresses, retries, gaps in the log, and the message of each event."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from models.store.webhook_outbox import Cursor
from models.values import SYSTEM, RecordingId
from rooms import commands as c
from rooms.evolve import evolve
from rooms.state import SessionState
from tests.people import ALICE, BOB, SESSION
from tests.unit.test_core_properties import History
from tests.unit.test_core_table import RUNNING, in_status
from webhooks.deliver import LIFE, is_worth_retrying, retry_in
from webhooks.events import EVENTS, Message, message
from webhooks.follow import GAP_S, MAX_GAPS, moved
from webhooks.send import Answer
from webhooks.signing import Seal, WrongSeal, headers, new_secret

pytestmark = pytest.mark.unit


def test_signatures_are_those_of_the_standard() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    body = json.dumps({"title": "Zoölogie ☕"}, ensure_ascii=False).encode()
    signed = headers([new, old], "msg_1", datetime.now(UTC), body)
    assert signed["webhook-signature"].count("v1,") == 2
    for secret in (new, old):
        assert Webhook(secret).verify(body, signed) == json.loads(body)
    for bad in (body + b" ", b"{}"):
        with pytest.raises(WebhookVerificationError):
            Webhook(new).verify(bad, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, signed)


def test_the_example_in_the_document_checks_our_signatures() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.S)
    there: dict[str, Any] = {}
    exec(example, there)
    verified, old, new, body = there["verified"], new_secret(), new_secret(), b'{"event": "webhook.test"}'
    signed = headers([new, old], "msg_1", datetime.now(UTC), body)
    assert verified(new, signed, body) and verified(old, signed, body)
    assert not verified(new_secret(), signed, body) and not verified(new, signed, body + b" ")
    late = headers([new], "msg_1", datetime.now(UTC) - timedelta(minutes=10), body)
    assert not verified(new, late, body)


def test_secrets_are_sealed() -> None:
    secret = new_secret()
    sealed = Seal("ab" * 32).close(secret)
    assert secret not in sealed and Seal("ab" * 32).open(sealed) == secret
    assert Seal("cd" * 32, ["ab" * 32]).open(sealed) == secret
    with pytest.raises(WrongSeal):
        Seal("cd" * 32).open(sealed)


def test_retries_double_up_to_two_hours_and_heed_the_receiver() -> None:
    waits = [retry_in(n, None, 0.5) for n in range(1, 14)]
    assert waits[0] == 5.0 and waits[1] == 10.0 and waits[-1] == 7200.0
    assert waits == sorted(waits)
    assert [round(retry_in(1, None, chance)) for chance in (0.0, 1.0)] == [4, 6]
    assert retry_in(1, 90.0, 0.5) == 90.0 and retry_in(9, 1.0, 0.5) == 1280.0
    assert retry_in(1, 1e9, 0.5) == LIFE.total_seconds()
    tries, at = 1, 0.0
    while (at := at + retry_in(tries, None, 0.5)) < LIFE.total_seconds():
        tries += 1
    assert 15 <= tries <= 40


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (408, True),
        (429, True),
        (500, True),
        (503, True),
        (None, True),
        (301, False),
        (400, False),
        (404, False),
        (410, False),
    ],
)
def test_what_is_tried_again(status: int | None, expected: bool) -> None:
    assert is_worth_retrying(Answer(status)) is expected
    assert is_worth_retrying(Answer(None, refused=True)) is False


def test_ids_that_are_jumped_over_are_looked_for() -> None:
    cursor = moved(Cursor(10, {}), [11, 14], 100.0)
    assert cursor == Cursor(14, {"12": 100.0, "13": 100.0})
    cursor = moved(cursor, [13, 15], 200.0)
    assert cursor == Cursor(15, {"12": 100.0})
    assert moved(cursor, [16], 100.0 + GAP_S + 1) == Cursor(16, {})
    assert len(moved(cursor, [10**6], 200.0).gaps) == MAX_GAPS


@given(st.permutations(range(1, 30)), st.integers(1, 10))
def test_no_id_is_lost_however_late_it_shows(order: list[int], batch: int) -> None:
    cursor, seen, visible = Cursor(0, {}), [], set[int]()
    for start in range(0, len(order), batch):
        visible |= set(order[start : start + batch])
        found = sorted(n for n in visible if n > cursor.event_id or str(n) in cursor.gaps)
        seen += found
        cursor = moved(cursor, found, 1.0)
    assert sorted(seen) == sorted(order)


def told(history: History) -> list[Message]:
    state, found = SessionState(SESSION), []
    for recorded in history.log:
        before, state = state, evolve(state, recorded)
        said = message(before, recorded, state)
        if said is not None:
            found.append(said)
    return found


def test_a_class_as_messages() -> None:
    history = in_status(RUNNING)
    history.do(ALICE, c.StartRecording(all_rooms=True))
    recording_id = next(iter(history.state.recordings))
    for status in ("RECORDING", "PAUSED", "RECORDING", "UPLOADING", "UPLOADED"):
        history.do(SYSTEM, c.ReportRecording(RecordingId(recording_id), status))
    history.do(SYSTEM, c.ReportFilm(RecordingId(recording_id), "c1", "recording-speaker-c1.mp4"))
    history.do(ALICE, c.RemoveParticipant(BOB.person_id))  # type: ignore[arg-type]
    history.do(ALICE, c.EndSession())
    messages = told(history)
    assert messages[0].event == "meeting.started" and messages[0].data["meeting"]["status"] == "LIVE"
    assert messages[-1].event == "meeting.ended" and messages[-1].data["reason"] == "HOST_ENDED_MEETING"
    seqs = [m.data["seq"] for m in messages]
    assert seqs == sorted(set(seqs))
    (film,) = [m for m in messages if m.event == "recording.filmUpdate"]
    assert film.data["recording"]["id"] == recording_id
    mine = [m for m in messages if m is not film and m.data.get("recording", {}).get("id") == recording_id]
    statuses = [m.data["recording"]["status"] for m in mine]
    assert statuses == ["INVOKED", "RECORDING", "PAUSED", "RECORDING", "UPLOADING", "UPLOADED"]
    assert [m.data["recording"]["previous_status"] for m in mine] == [None, *statuses[:-1]]
    assert [m.uploaded is not None for m in mine] == [False] * 5 + [True]
    assert "stopped_time" not in mine[1].data["recording"] and "stopped_time" in mine[4].data["recording"]
    assert mine[0].data["recording"]["start_reason"]["caller"]["type"] == "USER"
    left = next(m for m in messages if m.event == "meeting.participantLeft")
    assert left.data["reason"] == "REMOVED" and left.data["participant"]["name"] == "Bob"
    joined = [m for m in messages if m.event == "meeting.participantJoined"]
    assert len(joined) == len({m.data["participant"]["person_id"] for m in joined})
    assert {m.event for m in messages} == set(EVENTS)
    for each in messages:
        assert each.order_key and re.fullmatch(r"[\d-]+T[\d:.]+Z", each.data["timestamp"])
        text = json.dumps(each.data)
        assert all(key == key.lower() for key in re.findall(r'"(\w+)":', text)), "snake_case"
