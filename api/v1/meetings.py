"""Handlers of ``/api/v1/meetings`` and of the door for commands."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field

from api.v1.base import PageQuery, Time
from api.v1.call import Call, Page
from api.v1.schemas import CommandBody, Commanded, Event, Meeting, MeetingDetails, MeetingParticipant, Room
from models.store import meetings_list as store
from models.store.meetings_list import MeetingFilter
from models.values import SessionId
from rooms import wire
from rooms.errors import DomainError
from rooms.state import Participant, SessionState

ONLINE = {None: None, "true": True, "false": False}
OPEN = {None: None, "LIVE": True, "ENDED": False}


class MeetingsQuery(PageQuery):
    """Which sessions."""

    status: Literal["LIVE", "ENDED"] | None = None
    course_id: str | None = Field(None, max_length=100)
    search: str = Field(
        "", max_length=100, description="An id, or a part of the session's or course's title."
    )
    start_time: Time | None = None
    end_time: Time | None = None


class ParticipantsQuery(PageQuery):
    """Which people."""

    online: Literal["true", "false"] | None = Field(None, description="true: who is there now.")


def listing(call: Call) -> Page:
    query = call.query_as(MeetingsQuery)
    course_id = call.course_id
    if query.course_id is not None and course_id not in (None, query.course_id):
        return Page([], 0)
    wanted = MeetingFilter(
        course_id=course_id or query.course_id,  # type: ignore[arg-type]
        is_open=OPEN[query.status],
        search=query.search.strip(),
        start=query.start_time,
        end=query.end_time,
    )
    found, total = store.find_meetings(call.deps.db, wanted, query.page_no, query.per_page)
    return Page([_meeting(meeting) for meeting in found], total)


def details(call: Call) -> MeetingDetails:
    """With its rooms and how many people are in each."""
    found = store.get_meeting(call.deps.db, call.path["meeting_id"], call.course_id)
    if found is None:
        raise DomainError("no_session", "This meeting doesn’t exist. Check its ID.")
    state = call.deps.rooms.state(SessionId(found.session_id))
    here = Counter(p.room_id for p in state.people.values() if p.online)
    live = [r for r in state.recordings.values() if r.status.is_live]
    return MeetingDetails(
        **_meeting(found).model_dump(),
        participants=sum(here.values()),
        participants_total=len(state.people),
        breakout_status=state.breakout.status.value,
        rooms=[
            Room(id=room.room_id, name=room.name, participants=here[room.room_id])
            for room in sorted(state.rooms.values(), key=lambda r: r.number)
        ],
        active_recordings=[r.recording_id for r in sorted(live, key=lambda r: r.invoked_at)],
    )


def participants(call: Call) -> Page:
    """Who is in a meeting, or was: in the order in which they came."""
    query = call.query_as(ParticipantsQuery)
    found = store.get_meeting(call.deps.db, call.path["meeting_id"], call.course_id)
    if found is None:
        raise DomainError("no_session", "This meeting doesn’t exist. Check its ID.")
    state = call.deps.rooms.state(SessionId(found.session_id))
    wanted = ONLINE[query.online]
    people = [p for p in state.people.values() if wanted is None or p.online is wanted]
    first = query.page_no * query.per_page
    return Page(
        [_participant(state, person) for person in people[first : first + query.per_page]], len(people)
    )


def _participant(state: SessionState, person: Participant) -> MeetingParticipant:
    room = state.rooms.get(person.room_id)
    return MeetingParticipant(
        person_id=person.person_id,
        name=person.name,
        role=person.role.value,
        room_id=person.room_id,
        room_name=room.name if room is not None else "",
        online=person.online,
        microphone=person.mic,
        camera=person.camera,
        screen=person.screen,
        hand_raised=person.hand_raised_at is not None,
        joined_time=person.entered_at,
    )


def _meeting(found: store.Meeting) -> Meeting:
    return Meeting(
        id=found.session_id,
        title=found.title,
        course_id=found.course_id,
        course_title=found.course_title,
        status="LIVE" if found.is_open else "ENDED",
        started_at=found.opened_at,
        ended_at=found.ended_at,
    )


def command(call: Call) -> Commanded:
    """Any moderator's command of docs/protocol.md §2, as a moderator who is in no room."""
    body = call.body_as(CommandBody)
    if body.name not in wire.CLIENT_COMMANDS:
        raise DomainError("bad_command", f"Unknown command “{body.name[:40]}”.", field="name")
    command = wire.command_from_json(body.name, body.args)
    accepted = call.submit(call.path["session_id"], command, f"command:{body.name}", body.on_behalf_of)
    events = [Event.model_validate(wire.recorded_to_json(recorded)) for recorded in accepted.events]
    return Commanded(events=events, repeated=accepted.repeated)
