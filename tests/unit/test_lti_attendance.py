"""Attendance out of a session's events, and the setting of a course."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti.services.attendance import attendance
from lti.services.grades import scores_url
from models.attendance import AttendanceSettings, checked, from_json
from models.values import MAIN_ROOM, SYSTEM, CommandId, PersonId, Role
from rooms import events as e
from rooms.events import Event, Recorded
from tests.people import SESSION

pytestmark = pytest.mark.unit
START = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
ALICE, BOB = PersonId("alice"), PersonId("bob")


def entered(person_id: PersonId, role: Role) -> Event:
    return e.ParticipantEntered(person_id, person_id, role, MAIN_ROOM, False)


def log(*events: tuple[float, Event]) -> list[Recorded]:
    return [
        Recorded(SESSION, seq, START + timedelta(seconds=at), SYSTEM, CommandId(f"c{seq}"), event)
        for seq, (at, event) in enumerate(events, start=1)
    ]


def test_only_time_with_a_moderator_counts() -> None:
    found = attendance(
        log(
            (0, e.SessionOpened("bio101", "BIO 101", "Room")),
            (0, entered(BOB, Role.PARTICIPANT)),
            (100, entered(ALICE, Role.MODERATOR)),
            (400, e.ParticipantLeft(BOB)),
            (500, entered(BOB, Role.PARTICIPANT)),
            (600, entered(BOB, Role.PARTICIPANT)),
            (700, e.ParticipantLeft(ALICE)),
            (900, e.SessionEnded("empty")),
            (9000, e.ParticipantLeft(BOB)),
        )
    )
    assert found.length_s == 600
    assert found.present_s == {BOB: 500}


def test_without_a_moderator_there_was_no_meeting() -> None:
    found = attendance(log((0, entered(BOB, Role.PARTICIPANT)), (5000, e.SessionEnded("empty"))))
    assert (found.length_s, found.present_s) == (0, {})


PEOPLE = [(PersonId("m1"), Role.MODERATOR), (PersonId("m2"), Role.MODERATOR)] + [
    (PersonId(f"p{n}"), Role.PARTICIPANT) for n in range(3)
]


@given(st.lists(st.tuples(st.floats(0, 1000), st.sampled_from(PEOPLE), st.sampled_from("elr")), max_size=40))
def test_nobody_attends_longer_than_the_meeting(
    steps: list[tuple[float, tuple[PersonId, Role], str]],
) -> None:
    at, told = 0.0, []
    for wait, (person_id, role), what in steps:
        at += wait
        event = {
            "e": entered(person_id, role),
            "l": e.ParticipantLeft(person_id),
            "r": e.ParticipantRemoved(person_id),
        }[what]
        told.append((at, event))
    found = attendance(log(*told))
    assert 0 <= found.length_s <= at + 1e-3
    assert all(0 <= seconds <= found.length_s + 1e-3 for seconds in found.present_s.values())
    assert not {"m1", "m2"} & set(found.present_s)


@pytest.mark.parametrize(
    "odd",
    [
        {"enabled": "yes"},
        {"maximum": 0},
        {"maximum": True},
        {"maximum": float("nan")},
        {"maximum": float("inf")},
        {"min_percent": 0},
        {"min_percent": 50.5},
        {"colour": "red"},
    ],
)
def test_odd_settings_are_refused_and_never_switch_anything_on(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="“"):
        checked(odd)
    assert from_json({"enabled": True, **odd}) == AttendanceSettings()
    assert from_json(None) == AttendanceSettings()
    assert checked({"enabled": True, "maximum": 10}) == AttendanceSettings(True, 10.0, 50)


def test_scores_go_beside_a_line_items_query() -> None:
    assert (
        scores_url("https://lms/items/3/lineitem?type_id=1")
        == "https://lms/items/3/lineitem/scores?type_id=1"
    )
    assert scores_url("https://lms/items/Mixed3/") == "https://lms/items/Mixed3/scores"
