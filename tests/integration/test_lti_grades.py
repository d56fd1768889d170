"""Attendance scores against the practice LMS: one column a room, always with scoreGiven, tried again when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lti.services.grades import TAG, send_scores
from lti.services.note import note_launch
from lti.services.offered import AGS_CLAIM, SCORE_SCOPE
from lti.services.sync import sync_course
from models.attendance import AttendanceSettings
from models.store import admin, admin_pages, grades, people, roster, services
from models.store.grades import Meeting
from models.store.sessions import add_session
from models.values import SYSTEM, Actor, ActorKind, CommandId, PersonId, Role, SessionId
from rooms import commands as c
from rooms.commands import Envelope
from rooms.service import RoomsService
from sandbox.lms.services import service_claims
from sandbox.lms.world import PEOPLE
from server.lti_jobs import ServiceWorker
from tests.fakes import FakeClock
from tests.lmskit import Lms, practice_lms
from tests.postgres import temporary_postgres

pytestmark = pytest.mark.integration


@pytest.fixture
def lms(tmp_path: Path) -> Iterator[Lms]:
    with practice_lms(tmp_path) as made:
        people.set_course_setting(made.db, made.course, "attendance", {"enabled": True, "maximum": 50})
        assert sync_course(made.db, made.course) == ""
        yield made


def meet(lms: Lms, *present: str, room_key: str = "", title: str = "Lecture", share: float = 1.0) -> None:
    """A meeting of an hour that has ended, with these people in it for a share of the time."""
    session_id = SessionId("s" + uuid4().hex[:8])
    add_session(lms.db, session_id, lms.course, room_key, title, datetime.now(UTC))
    meeting = Meeting(session_id, lms.course, room_key, title)
    seconds = {lms.person(key): 3600 * share for key in present}
    grades.save_meeting(lms.db, meeting, datetime.now(UTC), counts=True, length_s=3600, present_s=seconds)
    with lms.db.write() as session:
        session.connection().exec_driver_sql("UPDATE session SET live_key = NULL, status = 'ended'")


def book(lms: Lms) -> dict[tuple[str, str], tuple[float, float, str]]:
    """The LMS's gradebook: (column, person) → (given, maximum, comment)."""
    own, keys = lms.services.grades, {person.user_id: person.key for person in PEOPLE.values()}
    return {
        (own.items[item]["label"], keys[user]): (s["scoreGiven"], s["scoreMaximum"], s["comment"])
        for (item, user), s in own.scores.items()
    }


def make_due(lms: Lms) -> None:
    with lms.db.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE score SET due_at = '2020-01-01' WHERE due_at IS NOT NULL"
        )


def test_each_room_has_one_column_with_the_share_of_its_meetings(lms: Lms) -> None:
    meet(lms, "bob", "bea", "alice")
    send_scores(lms.db, lms.course)
    assert book(lms) == {
        ("Attendance: Lecture", "bob"): (50, 50, "Attended 1 of 1"),
        ("Attendance: Lecture", "bea"): (50, 50, "Attended 1 of 1"),
        ("Attendance: Lecture", "ben"): (0, 50, "Attended 0 of 1"),
        ("Attendance: Lecture", "bo"): (0, 50, "Attended 0 of 1"),
    }, "staff have no grades; an absent student has a 0 and not nothing"
    meet(lms, "bob", "bo")
    meet(lms, "bob", share=0.4)
    meet(lms, "bea", room_key="r2", title="Lab")
    send_scores(lms.db, lms.course)
    marks = {key: given for key, (given, _, _) in book(lms).items()}
    assert marks["Attendance: Lecture", "bob"] == 33.33, "two thirds: at the third meeting he left early"
    assert marks["Attendance: Lecture", "bea"] == 16.67
    assert marks["Attendance: Lab", "bea"] == 50 and marks["Attendance: Lab", "bob"] == 0
    own = lms.services.grades
    assert [(i["tag"], i["resourceId"]) for i in own.items.values()] == [(TAG, "room"), (TAG, "r2")]
    for score in own.scores.values():
        assert (score["activityProgress"], score["gradingProgress"]) == ("Completed", "FullyGraded")
        assert (
            isinstance(score["scoreGiven"], int | float) and datetime.fromisoformat(score["timestamp"]).tzinfo
        )
    asked = lms.asked("grades")
    send_scores(lms.db, lms.course)
    assert lms.asked("grades") == asked, "nothing has changed: nothing is sent"
    assert grades.count_scores(lms.db, lms.course) == grades.ScoreCount(8, 0, 0, "")


def test_a_platform_may_call_itself_otherwise_in_its_columns(lms: Lms) -> None:
    lms.services.server = "http://LMS.example:8080"
    meet(lms, "bob")
    send_scores(lms.db, lms.course)
    assert {label for label, _ in book(lms)} == {"Attendance: Lecture"}


def test_a_column_of_the_teacher_with_the_same_name_is_left_alone(lms: Lms) -> None:
    url = f"{lms.url}/imsblis/lti13/lineitems/bio101/9"
    lms.services.grades.items["9"] = {"id": url, "label": "Attendance: Lecture", "scoreMaximum": 5}
    meet(lms, "bob")
    send_scores(lms.db, lms.course)
    assert lms.services.grades.items["9"] == {"id": url, "label": "Attendance: Lecture", "scoreMaximum": 5}
    assert ("Attendance: Lecture (2)", "bob") in book(lms)


def test_a_deleted_column_is_made_again_and_a_new_maximum_changes_it(lms: Lms) -> None:
    meet(lms, "bob")
    send_scores(lms.db, lms.course)
    lms.services.grades.items.clear()
    lms.services.grades.scores.clear()
    people.set_course_setting(
        lms.db, lms.course, "attendance", {"enabled": True, "maximum": 50, "min_percent": 9}
    )
    meet(lms, "bob", "bea")
    send_scores(lms.db, lms.course)
    assert book(lms)["Attendance: Lecture", "bob"][0] == 50
    (item,) = lms.services.grades.items.values()
    item["label"] = "Presence"
    grades.set_attendance(lms.db, lms.course, AttendanceSettings(enabled=True, maximum=10))
    send_scores(lms.db, lms.course)
    assert book(lms)["Presence", "bea"] == (5, 10, "Attended 1 of 2")
    assert [i["scoreMaximum"] for i in lms.services.grades.items.values()] == [10]


@pytest.mark.parametrize("whole", [True, False])
def test_a_link_with_a_column_of_its_own_uses_that(lms: Lms, whole: bool) -> None:
    """A teacher inserted a room with points; some platforms offer that one line item and no list."""
    url = f"{lms.url}/imsblis/lti13/lineitems/bio101/9"
    items, claim = lms.services.grades.items, dict(service_claims(lms.url, "bio101")[AGS_CLAIM])
    items["9"] = {"id": url, "label": "Tutorial", "scoreMaximum": 7}
    claim["lineitem"] = url
    if not whole:
        del claim["lineitems"]
        claim["scope"] = [SCORE_SCOPE]
    note_launch(lms.db, lms.platform.id, lms.course, "bio101", Role.PARTICIPANT, {AGS_CLAIM: claim}, "r9")
    note_launch(lms.db, lms.platform.id, lms.course, "bio101", Role.MODERATOR, {AGS_CLAIM: claim}, None)
    meet(lms, "bob", room_key="r9", title="Tutorial room")
    send_scores(lms.db, lms.course)
    assert book(lms)["Tutorial", "bob"] == (50, 50, "Attended 1 of 1"), "the LMS scales to its 7 points"
    assert list(items) == ["9"] and items["9"]["scoreMaximum"] == 7
    grades.set_attendance(lms.db, lms.course, AttendanceSettings(enabled=True, maximum=10))
    send_scores(lms.db, lms.course)
    assert book(lms)["Tutorial", "bob"] == (10, 10, "Attended 1 of 1") and list(items) == ["9"]
    items.clear()
    lms.services.grades.scores.clear()
    grades.set_attendance(lms.db, lms.course, AttendanceSettings(enabled=True, maximum=20))
    send_scores(lms.db, lms.course)
    assert book(lms) == {} and grades.count_scores(lms.db, lms.course).failed == 4
    make_due(lms)
    send_scores(lms.db, lms.course)
    labels = {item["label"] for item in items.values()}
    assert labels == {"Attendance: Tutorial room"}, "made where the list of line items is offered"


def test_what_fails_is_tried_again_later_and_told(lms: Lms) -> None:
    lms.services.faults.status["grades"] = 503
    meet(lms, "bob")
    send_scores(lms.db, lms.course)
    count = grades.count_scores(lms.db, lms.course)
    assert (count.sent, count.failed) == (0, 4) and "503" in count.error
    assert grades.courses_with_due_scores(lms.db, datetime.now(UTC)) == []
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert grades.courses_with_due_scores(lms.db, later) == [lms.course]
    assert any(h.kind == "grades" and "503" in h.reason for h in services.list_health(lms.db))
    lms.services.faults.status.clear()
    make_due(lms)
    send_scores(lms.db, lms.course)
    assert grades.count_scores(lms.db, lms.course).sent == 4
    assert all(h.ok for h in services.list_health(lms.db))


def test_somebody_who_cannot_have_grades_holds_up_nobody(lms: Lms) -> None:
    """Somebody who has left the course since; staff may have grades in Sakai."""
    people.upsert_membership(lms.db, lms.course, lms.person("tara"), Role.PARTICIPANT, [])
    people.upsert_membership(lms.db, lms.course, lms.person("charlie"), Role.PARTICIPANT, [])
    meet(lms, "bob")
    send_scores(lms.db, lms.course)
    assert ("Attendance: Lecture", "bob") in book(lms)
    count = grades.count_scores(lms.db, lms.course)
    assert (count.sent, count.failed) == (5, 1) and "does not belong to site" in count.error
    assert grades.courses_with_due_scores(lms.db, datetime.now(UTC) + timedelta(days=1)) == []


def test_a_launch_that_offers_too_little_sends_nothing(lms: Lms) -> None:
    claim = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
    base = f"{lms.url}/imsblis/lti13/lineitems/bio101"
    lms.launch(**{claim: {"scope": [SCORE_SCOPE], "lineitems": base}})
    meet(lms, "bob")
    asked = lms.asked("grades")
    send_scores(lms.db, lms.course)
    assert lms.asked("grades") == asked
    assert "no gradebook" in grades.count_scores(lms.db, lms.course).error


def test_a_score_that_changed_on_its_way_is_sent_again(lms: Lms) -> None:
    meet(lms, "bob")
    now = datetime.now(UTC)
    scores = grades.take_scores(lms.db, lms.course, now)
    assert grades.take_scores(lms.db, lms.course, now) == [], "another worker finds nothing"
    meet(lms)
    for score in scores:
        grades.score_sent(lms.db, score, datetime.now(UTC))
    again = grades.take_scores(lms.db, lms.course, datetime.now(UTC))
    assert {(s.points, s.comment) for s in again if s.person_id == lms.person("bob")} == {
        (25, "Attended 1 of 2")
    }


def test_the_worker_counts_a_meeting_once_when_it_has_ended(lms: Lms) -> None:
    clock = FakeClock(datetime.now(UTC) - timedelta(hours=1))
    rooms = RoomsService(lms.db, clock=clock)
    session_id = rooms.open_session(lms.course, "BIO 101", "Lecture")
    other = rooms.open_session(lms.launch("his200"), "HIS 200", "Room")

    def do(session: SessionId, actor: Actor, command: Any) -> None:
        rooms.submit(Envelope(CommandId(uuid4().hex), session, actor, command))

    def person(key: str, role: Role) -> Actor:
        return Actor(ActorKind.PERSON, PersonId(lms.person(key)), key, role, lms.course)

    do(session_id, person("alice", Role.MODERATOR), c.EnterSession("Alice", Role.MODERATOR))
    do(session_id, person("bob", Role.PARTICIPANT), c.EnterSession("Bob", Role.PARTICIPANT))
    clock.forward(1800)
    for session in (session_id, other):
        do(session, SYSTEM, c.EndSession())
    worker = ServiceWorker(lms.db, rooms)
    worker.look()
    worker.look()
    worker.stop()
    assert grades.unseen_meetings(lms.db, datetime.now(UTC)) == []
    send_scores(lms.db, lms.course)
    rooms.close()
    assert book(lms)["Attendance: Lecture", "bob"] == (50, 50, "Attended 1 of 1")
    assert len(lms.services.grades.items) == 1, "the other course has not asked for it"


def test_rosters_groups_and_scores_on_postgresql(tmp_path: Path) -> None:
    with temporary_postgres(tmp_path) as url, practice_lms(tmp_path, url) as lms:
        people.set_course_setting(lms.db, lms.course, "attendance", {"enabled": True})
        assert roster.take_due(lms.db, datetime.now(UTC)) == [lms.course]
        assert sync_course(lms.db, lms.course) == sync_course(lms.db, lms.course) == ""
        assert [len(g.members) for g in roster.list_groups(lms.db, lms.course)] == [2, 2, 0]
        meet(lms, "bob")
        send_scores(lms.db, lms.course)
        assert grades.count_scores(lms.db, lms.course).sent == 4
        assert admin_pages.find_courses(lms.db, "bio", 0, 10)[1] == 1
        assert admin_pages.find_people(lms.db, "keller", 0, 10)[0][0].courses == (("BIO101", "participant"),)
        admin.set_password(lms.db, "root", "correct horse battery", new=True)
        token = admin.sign_in(lms.db, "root", "correct horse battery", "10.0.0.1")
        assert admin.check_session(lms.db, token) == admin.Admin("root", "root", None)
