"""Access tokens, rosters and course groups against the practice LMS with Sakai's quirks, and with what goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from lti.claims import DEPLOYMENT_ID
from lti.services import connector as connectors
from lti.services import roster as rosters
from lti.services.connector import Connector, next_page
from lti.services.errors import ServiceFailed
from lti.services.offered import GROUPS_SCOPE, LINE_ITEM_SCOPE, NRPS_SCOPE, SCORE_SCOPE, history, offered
from lti.services.sync import sync_course
from models.store import people, roster, services
from models.store.roster import Member
from models.values import Role
from server.ports_check import free_port
from tests.lmskit import Lms, practice_lms, serving

pytestmark = pytest.mark.integration
CUSTOM = "https://purl.imsglobal.org/spec/lti/claim/custom"


@pytest.fixture
def lms(tmp_path: Path) -> Iterator[Lms]:
    with practice_lms(tmp_path) as made:
        yield made


@pytest.fixture
def connector(lms: Lms) -> Iterator[Connector]:
    made = Connector(lms.db, lms.platform)
    yield made
    made.close()


def health(lms: Lms, kind: str) -> services.Health:
    return next(h for h in services.list_health(lms.db) if h.kind == kind)


# -- what a launch offers --------------------------------------------------------------------------------------


def test_only_scopes_that_the_launch_offered_are_asked_for() -> None:
    claim = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
    body: dict[str, Any] = {
        claim: {"scope": [SCORE_SCOPE, "https://x/else"], "lineitems": "https://lms/items"},
        "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {
            "context_memberships_url": "https://lms/n"
        },
    }
    found = {service.name: service for service in offered(body)}
    assert found["grades"].scopes == (SCORE_SCOPE,)
    assert found["roster"].scopes == (NRPS_SCOPE,)
    assert "groups" not in found
    for odd in ({}, {"scope": []}, {"scope": [SCORE_SCOPE]}, {"scope": "x", "lineitems": 5}, "x", None):
        assert all(service.name != "grades" for service in offered({claim: odd}))
    assert offered({claim: {"scope": [LINE_ITEM_SCOPE], "lineitems": "javascript:alert(1)"}}) == []


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        ({"context_history": "old1, old2,"}, ["old1", "old2"]),
        ({"context_id_history": ""}, []),
        ({"context_history": "$Context.id.history"}, None),
        ({"context_history": 5}, None),
        ({}, None),
        ("odd", None),
    ],
)
def test_the_history_of_a_copied_course(custom: Any, expected: list[str] | None) -> None:
    assert history({CUSTOM: custom}) == expected


# -- tokens ----------------------------------------------------------------------------------------------------


def test_a_token_is_kept_for_its_scopes_and_shared_by_all_processes(lms: Lms, connector: Connector) -> None:
    first = connector.get_access_token([NRPS_SCOPE])
    assert connector.get_access_token([NRPS_SCOPE]) == first
    other = Connector(lms.db, lms.platform)
    assert other.get_access_token([NRPS_SCOPE]) == first
    other.close()
    assert lms.asked("token") == 1
    assert connector.get_access_token([GROUPS_SCOPE]) != first
    assert lms.asked("token") == 2
    owner = connector.owner
    assert services.find_token(lms.db, owner, [NRPS_SCOPE]) == first
    for changes in ({"client_id": "another-client"}, {"deployment_id": "another-deployment"}):
        assert services.find_token(lms.db, replace(owner, **changes), [NRPS_SCOPE]) is None
    services.save_token(lms.db, owner, [NRPS_SCOPE], "short", 10)
    assert connector.get_access_token([NRPS_SCOPE]) not in (first, "short"), "one that is about to end"


def test_the_signed_request_for_a_token_names_the_deployment_of_the_launch(lms: Lms) -> None:
    assert sync_course(lms.db, lms.course) == ""
    assert {body[DEPLOYMENT_ID] for body in lms.services.assertions} == {"1"}
    lms.services.assertions.clear()
    lms.launch(**{DEPLOYMENT_ID: "biology"})
    assert sync_course(lms.db, lms.course) == ""
    assert [body[DEPLOYMENT_ID] for body in lms.services.assertions] == ["biology"] * 2, "roster, groups"


def test_a_token_that_the_platform_forgot_is_fetched_anew_once(lms: Lms) -> None:
    assert sync_course(lms.db, lms.course) == ""
    lms.services.forget_tokens()
    asked = lms.asked("roster")
    assert sync_course(lms.db, lms.course) == ""
    assert lms.asked("roster") == asked + 2
    assert health(lms, "token").ok


def test_a_lasting_refusal_is_asked_twice_and_told(lms: Lms) -> None:
    lms.services.faults.status["roster"] = 403
    assert "403: out of order" in sync_course(lms.db, lms.course)
    assert lms.asked("roster") == 2
    assert health(lms, "token").ok and not health(lms, "roster").ok
    state = roster.sync_state(lms.db, lms.course)
    assert state is not None and "403" in state.error and state.due_at is not None


def test_a_refused_scope_is_told_with_the_platforms_own_words(lms: Lms) -> None:
    lms.services.faults.denied.add(NRPS_SCOPE)
    reason = sync_course(lms.db, lms.course)
    assert "Scope not allowed" in reason
    assert health(lms, "token").reason == reason
    assert all(h.kind != "roster" for h in services.list_health(lms.db)), "the roster was not even asked"


def test_put_and_delete_and_failures_of_a_call(lms: Lms, connector: Connector) -> None:
    url = f"{lms.url}/imsblis/lti13/lineitems/bio101"
    item = {"label": "Attendance", "scoreMaximum": 100}
    made = connector.call("POST", url, [LINE_ITEM_SCOPE], data=item)
    changed = connector.call("PUT", made.body["id"], [LINE_ITEM_SCOPE], data={**item, "label": "Presence"})
    assert changed.body["label"] == "Presence"
    assert connector.call("DELETE", made.body["id"], [LINE_ITEM_SCOPE]).body is None
    with pytest.raises(ServiceFailed) as failed:
        connector.call("GET", made.body["id"], [LINE_ITEM_SCOPE])
    assert failed.value.permanent and failed.value.status == 404


# -- addresses of further pages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<https://lms/x/MixedCase?start=2&limit=2>; rel="next"', "https://lms/x/MixedCase?start=2&limit=2"),
        ('<https://lms/a>; rel="differences", </B?p=2>; rel="next"', "https://lms/B?p=2"),
        ('<http://lms/behind-a-proxy>; rel="next"', "https://lms/behind-a-proxy"),
        ('<https://LMS:443/x>; rel="next"', "https://lms/x"),
        ('<http://lms:8080/x>; rel="next"', "https://lms/x"),
        ('<http://10.0.0.7:8080/x?p=2>; rel="next"', "https://lms/x?p=2"),
        ('<https://www.lms/x?a=1;b=2>; rel="next"', "https://lms/x?a=1;b=2"),
        ("<?p=2>; rel=next", "https://lms/names/Site?p=2"),
        (
            '<https://lms/x?ids=1,2>; rel="last", <https://lms/x?ids=3,4>; title="a, b"; REL="Next"',
            "https://lms/x?ids=3,4",
        ),
        ('<https://lms/x>; rel="prev next"', "https://lms/x"),
        ('<https://lms/x?rel=next>; rel="last"', None),
        ('<https://lms/x>; rel="prev"', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_next_page_keeps_its_case_and_its_server(link: str, expected: str | None) -> None:
    assert next_page("https://lms/names/Site", link) == expected


# -- rosters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("joined", [False, True])
def test_the_whole_roster_comes_page_by_page(lms: Lms, page: int, joined: bool) -> None:
    lms.services.faults.page, lms.services.faults.joined_roles = page, joined
    assert sync_course(lms.db, lms.course) == ""
    found = {p.name: p.role for p in roster.list_roster(lms.db, lms.course)}
    assert found == {
        "Alice Moreau": Role.MODERATOR,
        "Tara Singh": Role.MODERATOR,
        "Bob Keller": Role.PARTICIPANT,
        "Bea Okafor": Role.PARTICIPANT,
        "Ben Lindqvist": Role.PARTICIPANT,
        "Bo Chen": Role.PARTICIPANT,
        "Adam Rossi": Role.MODERATOR,
    }
    assert lms.role("bob") is Role.PARTICIPANT and lms.role("alice") is Role.MODERATOR
    assert lms.role("charlie") is None, "Charlie is in another course"
    groups = {g.name: set(g.members) for g in roster.list_groups(lms.db, lms.course)}
    assert groups == {
        "Lab A": {lms.person("bob"), lms.person("bea")},
        "Lab B": {lms.person("ben"), lms.person("bo")},
        "Projektübung": set(),
    }
    again = roster.list_roster(lms.db, lms.course)
    assert sync_course(lms.db, lms.course) == "" and roster.list_roster(lms.db, lms.course) == again


@pytest.mark.parametrize(
    ("charset", "header"), [("iso-8859-1", True), ("iso-8859-1", False), ("utf-8", True), ("utf-8", False)]
)
def test_a_real_sakai_names_its_groups_in_latin_1(lms: Lms, charset: str, header: bool) -> None:
    """The roster has the names whole, in UTF-8; they win. A group without members has only the other name."""
    app = Flask("sakai")
    folder = Path(__file__).parents[1] / "payloads" / "sakai"
    names, groups = (
        json.loads((folder / f"{n}.json").read_text()) for n in ("nrps_groups", "groups_unicode")
    )
    empty = {"name": "Übung zu \u00bd", "id": "no members", "tag": "whatever"}
    groups["body"]["groups"].append(empty)

    def served(payload: Any, kind: str, charset: str) -> Response:
        raw = json.dumps(payload["body"], ensure_ascii=False).encode(charset)
        answer = Response(raw)
        answer.headers["Content-Type"] = kind
        return answer

    kind = groups["headers"]["Content-Type"].split(";")[0] + (f";charset={charset}" if header else "")
    roster_kind = names["headers"]["Content-Type"]
    app.add_url_rule("/names", "names", lambda: served(names, roster_kind, "utf-8"))
    app.add_url_rule("/groups", "groups", lambda: served(groups, kind, charset))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    lms.launch(
        **{
            "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {
                "context_memberships_url": f"{url}/names"
            },
            "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice": {
                "context_groups_url": f"{url}/groups"
            },
        }
    )
    with serving(app, port):
        for _ in range(2):
            assert sync_course(lms.db, lms.course) == ""
            found = {group.name for group in roster.list_groups(lms.db, lms.course)}
            assert found >= {"Übung 实验 Łódź", "Übung zu ½"}
            assert not any("?" in name for name in found)
        for member in names["body"]["members"]:
            member.pop("sakai_ext"), member.pop("group_enrollments", None)
        assert sync_course(lms.db, lms.course) == ""
        found = {group.name for group in roster.list_groups(lms.db, lms.course)}
        assert "Übung 实验 Łódź" in found, "nobody is in it any more: its name is still known"


def test_an_empty_answer_changes_nothing(lms: Lms) -> None:
    sync_course(lms.db, lms.course)
    lms.services.faults.empty = True
    assert sync_course(lms.db, lms.course) == ""
    assert lms.role("bob") is Role.PARTICIPANT


def test_a_fresher_launch_knows_better_than_the_roster(lms: Lms) -> None:
    now = datetime.now(UTC)
    bob = lms.person("bob")
    people.upsert_membership(lms.db, lms.course, bob, Role.MODERATOR, [])
    members = [Member(lms.sub("bob"), "Bob", "", Role.PARTICIPANT, ())]
    roster.save_roster(lms.db, lms.course, lms.url, members, now - timedelta(minutes=1))
    assert lms.role("bob") is Role.MODERATOR, "the launch came after the roster was asked for"
    roster.save_roster(lms.db, lms.course, lms.url, members, now + timedelta(minutes=1))
    assert lms.role("bob") is Role.PARTICIPANT


def test_who_left_the_roster_leaves_at_once_and_who_never_stood_in_it_stays_a_while(lms: Lms) -> None:
    """Dan teaches by delegated access and stands in no roster; Eve does, until she drops the course."""
    now = datetime.now(UTC)
    for key, role in (("dan", Role.MODERATOR), ("eve", Role.PARTICIPANT)):
        people.upsert_membership(lms.db, lms.course, lms.person(key), role, [])
    bob, eve = (Member(lms.sub(key), key, "", Role.PARTICIPANT, ()) for key in ("bob", "eve"))

    def fetched(members: list[Member], **later: float) -> tuple[Role | None, Role | None]:
        roster.save_roster(lms.db, lms.course, lms.url, members, now + timedelta(**later))
        return lms.role("dan"), lms.role("eve")

    assert fetched([bob, eve], minutes=-1) == (Role.MODERATOR, Role.PARTICIPANT)
    assert fetched([bob], minutes=-1) == (Role.MODERATOR, Role.PARTICIPANT), "she was launched since"
    assert fetched([bob], minutes=1) == (Role.MODERATOR, None)
    assert fetched([bob], days=13) == (Role.MODERATOR, None)
    assert fetched([bob], days=15) == (None, None)
    people.upsert_membership(lms.db, lms.course, lms.person("dan"), Role.MODERATOR, [])
    assert lms.role("dan") is Role.MODERATOR, "the next launch brings him back"


def test_a_large_roster_is_written_in_parts_and_only_where_it_changed(
    lms: Lms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "PART", 7)
    now = datetime.now(UTC)

    def people_of(count: int, lab: str) -> list[Member]:
        return [
            Member(f"u{n}", f"Name {n}", "", Role.PARTICIPANT, ("Learner",), ((lab, lab),))
            for n in range(count)
        ]

    written: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            written.append(statement)

    roster.save_roster(lms.db, lms.course, lms.url, people_of(50, "lab"), now)
    assert len(roster.list_roster(lms.db, lms.course)) == 50
    event.listen(lms.db.engine, "before_cursor_execute", note)
    roster.save_roster(lms.db, lms.course, lms.url, people_of(50, "lab"), now + timedelta(hours=6))
    assert written == []
    roster.save_roster(lms.db, lms.course, lms.url, people_of(49, "other"), now + timedelta(hours=12))
    assert written
    groups = {g.name: len(g.members) for g in roster.list_groups(lms.db, lms.course)}
    assert groups == {"lab": 0, "other": 49} and len(roster.list_roster(lms.db, lms.course)) == 49


def test_hidden_names_keep_what_a_launch_told(lms: Lms) -> None:
    people.upsert_person(lms.db, lms.url, lms.sub("bob"), "Robert")
    lms.services.faults.hidden_names = True
    sync_course(lms.db, lms.course)
    assert {p.name for p in roster.list_roster(lms.db, lms.course)} == {"Robert", ""}


def test_a_dead_platform_is_told_and_tried_again_later(lms: Lms) -> None:
    claim = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
    sync_course(lms.db, lms.course)
    lms.launch(**{claim: {"context_memberships_url": f"http://127.0.0.1:{free_port()}/names"}})
    reason = sync_course(lms.db, lms.course)
    assert "didn’t answer" in reason and health(lms, "roster").reason == reason
    assert lms.role("bob") is Role.PARTICIPANT, "what is known stays"
    state = roster.sync_state(lms.db, lms.course)
    assert state is not None and state.due_at is not None
    assert timedelta(0) < state.due_at - datetime.now(UTC) <= timedelta(minutes=1)


def test_a_platform_that_hangs_is_given_up(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    app = Flask("slow")

    def names() -> str:
        let_go.wait(30)
        return ""

    app.add_url_rule("/names", "names", names)
    port = free_port()
    monkeypatch.setattr(connectors, "TIMEOUT_S", (1.0, 0.3))
    claim = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
    lms.launch(**{claim: {"context_memberships_url": f"http://127.0.0.1:{port}/names"}})
    with serving(app, port):
        assert "ReadTimeout" in sync_course(lms.db, lms.course)
        let_go.set()


def test_odd_answers_are_failures_and_not_crashes(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "MAX_BYTES", 10_000)
    answers = [
        "<html>",
        "[" * 5000,
        '{"members": 5}',
        "5",
        '{"members": [5, {"user_id": 7}, {}]}',
        "x" * 20_000,
    ]
    app = Flask("odd")
    app.add_url_rule("/names", "names", lambda: Response(answers[int(request.args["n"])]))
    port = free_port()
    claim = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
    with serving(app, port):
        for number in range(len(answers)):
            lms.launch(**{claim: {"context_memberships_url": f"http://127.0.0.1:{port}/names?n={number}"}})
            reason = sync_course(lms.db, lms.course)
            assert reason == "" if number == 4 else reason, answers[number][:20]


@pytest.mark.parametrize(
    "link",
    [
        '<ftp://lms/x>; rel="next"',
        '<javascript:alert(1)>; rel="next"',
        '<http://[::1/x>; rel="next"',
        "https://lms/x; rel=next",
    ],
)
def test_a_next_page_that_cannot_be_followed_is_no_end(link: str) -> None:
    with pytest.raises(ServiceFailed, match="next page"):
        next_page("https://lms/names/Site", link)


def test_pages_that_lead_in_a_circle_change_nothing(lms: Lms) -> None:
    sync_course(lms.db, lms.course)
    before = roster.list_roster(lms.db, lms.course)
    app = Flask("circle")
    calls: list[str] = []

    def names() -> Response:
        calls.append(request.query_string.decode())
        body = Response('{"members": [{"user_id": "u1", "roles": ["Learner"]}]}', mimetype="application/json")
        body.headers["Link"] = '</names?p=2>; rel="next"'
        return body

    app.add_url_rule("/names", "names", names)
    port = free_port()
    claim = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
    lms.launch(**{claim: {"context_memberships_url": f"http://127.0.0.1:{port}/names"}})
    with serving(app, port):
        assert "loop" in sync_course(lms.db, lms.course)
    assert len(calls) == 2
    assert roster.list_roster(lms.db, lms.course) == before


@pytest.mark.parametrize("name", ["127.0.0.1:{port}", "LMS.example:443", "10.0.0.7:8080", "www.lms.example"])
def test_the_whole_roster_comes_by_whatever_name_the_platform_calls_itself(lms: Lms, name: str) -> None:
    """Nobody of the later pages is put out of the course, and no token goes to another server."""
    app = Flask("names")
    asked: list[str] = []

    def names() -> Response:
        query = request.query_string.decode()
        asked.append(query)
        page = int(request.args.get("p", "1"))
        people = [{"user_id": f"{page}{letter}", "roles": ["Learner"], "name": letter} for letter in "ab"]
        answer = Response(json.dumps({"members": people}), mimetype="application/json")
        if page < 3:
            answer.headers["Link"] = (
                f'<http://{name.format(port=port)}/names?a=1;b=2&p={page + 1}>; rel="next"'
            )
        return answer

    app.add_url_rule("/names", "names", names)
    port = free_port()
    claim = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
    lms.launch(**{claim: {"context_memberships_url": f"http://127.0.0.1:{port}/names?a=1;b=2"}})
    with serving(app, port):
        assert sync_course(lms.db, lms.course) == ""
    assert len(roster.list_roster(lms.db, lms.course)) == 6
    assert asked == ["a=1;b=2&limit=500", "a=1;b=2&p=2", "a=1;b=2&p=3"]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["roles", "name", "group_enrollments", "sakai_ext", "email"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["id", "group_id", "title"]), inner, max_size=3)
            ),
            max_leaves=8,
        ),
    )
)
def test_a_member_written_in_any_way_is_read(member: dict[str, Any]) -> None:
    assert all(isinstance(role, str) for role in rosters.roles_of(member))
    assert all(isinstance(part, str) for group in rosters.groups_of(member) for part in group)
    assert isinstance(rosters.name_of(member) + rosters.email_of(member), str)


# -- when ------------------------------------------------------------------------------------------------------


def test_a_moderators_launch_asks_for_the_roster_and_only_one_worker_fetches_it(lms: Lms) -> None:
    db = lms.db
    other = lms.launch("his200", Role.PARTICIPANT)
    now = datetime.now(UTC)
    assert roster.take_due(db, now) == [lms.course], "not the course that only a student opened"
    assert roster.take_due(db, now) == [], "another worker finds nothing"
    assert roster.take_due(db, now + roster.LEASE) == [lms.course], "the first worker died"
    assert sync_course(db, lms.course) == ""
    assert not roster.want_sync(db, lms.course), "fetched a moment ago"
    assert roster.want_sync(db, lms.course, force=True), "an administrator wants it all the same"
    assert roster.take_due(db, datetime.now(UTC)) == [lms.course]
    roster.finish_sync(db, lms.course, now, members=1)
    assert roster.want_sync(db, lms.course, now=now + timedelta(minutes=10))
    assert roster.want_sync(db, other)


def test_failures_wait_longer_and_longer(lms: Lms) -> None:
    lms.services.faults.status["token"] = 500
    now = datetime.now(UTC)
    waits: list[timedelta] = []
    for _ in range(6):
        roster.finish_sync(lms.db, lms.course, now, error="no")
        state = roster.sync_state(lms.db, lms.course)
        assert state is not None and state.due_at is not None
        waits.append(state.due_at - now)
    assert waits == [*roster.BACKOFF, roster.AGAIN, roster.AGAIN]


def test_a_workspace_leaves_nothing(lms: Lms) -> None:
    course = lms.launch("~bob")
    assert services.find_service(lms.db, course, "roster") is None
    assert roster.sync_state(lms.db, course) is None


def test_the_course_decides_what_assistants_are_here_too(lms: Lms) -> None:
    people.set_course_setting(lms.db, lms.course, "roles", {"assistant": "participant"})
    sync_course(lms.db, lms.course)
    assert (lms.role("tara"), lms.role("alice")) == (Role.PARTICIPANT, Role.MODERATOR)
