"""Who asks, in which course and session: looked up anew for every action. What is allowed is decided by ``rooms``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.ask import Asker, SlackRefusal, WhichOne
from bot.blocks.parts import escape
from bot.identity import NOT_CONNECTED, Identity
from models.store import people, slack, slack_outbox
from models.store.database import Database
from models.store.people import Course
from models.store.slack_place import Place, place_of
from models.values import Actor, ActorKind, CommandId, CourseId, PersonId, Role, SessionId
from rooms.commands import Command, Envelope
from rooms.errors import DomainError
from rooms.ports import Accepted
from rooms.service import RoomsService
from rooms.state import Room, SessionState

ChannelLookup = Callable[[Asker], dict[str, Any] | None]
"""Slack's ``conversations.info`` of the asker's channel; None when the app cannot see it. May raise SlackFailure."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An action's surroundings. ``actor.role`` is the role in the session's course as it is now."""

    asker: Asker
    actor: Actor
    state: SessionState

    def require_moderator(self) -> None:
        if not self.actor.is_moderator:
            raise DomainError("not_moderator")

    def room(self, number: int) -> Room:
        """A room by its number. Raises SlackRefusal ``room_unknown``."""
        room = next((r for r in self.state.rooms.values() if r.number == number), None)
        if room is None:
            names = ", ".join(f"{r.number} {r.name}" for r in self.state.breakout_rooms) or "none yet"
            raise SlackRefusal("room_unknown", f"There’s no room {number}. Rooms: {escape(names)}.")
        return room

    @property
    def meta(self) -> str:
        """What a form carries back: ids only, never rights."""
        return json.dumps({"s": self.state.session_id, "c": self.asker.channel_id})

    @property
    def seed(self) -> int:
        """The same for a repeated request."""
        return int(hashlib.sha256(self.asker.key.encode()).hexdigest()[:12], 16)


class Stage:
    """Finds the scene of an action and submits its commands."""

    def __init__(self, db: Database, rooms: RoomsService, identity: Identity) -> None:
        self.db = db
        self.rooms = rooms
        self._identity = identity

    def place(self, asker: Asker) -> Place:
        """Who and where; refuses whoever may not act at all. Raises SlackRefusal."""
        if asker.is_outside:
            self._identity.standing(asker)
        found = place_of(self.db, asker.team_id, asker.channel_id, asker.user_id)
        if found.person_id is not None:
            self._identity.gate(asker)
        return found

    def linked(self, asker: Asker) -> tuple[PersonId, Place]:
        """The linked person. Raises SlackRefusal ``not_connected``."""
        found = self.place(asker)
        if found.person_id is None:
            raise SlackRefusal("not_connected", NOT_CONNECTED)
        return found.person_id, found

    def scene(self, asker: Asker, session_id: str = "") -> Scene:
        """The live session that is meant: the one a button names, else the channel's, else the person's only one.

        A room is run only from a channel that its course's moderators linked, or where nobody else is: a link is what
        vouches that the channel is not shared with another organisation. Raises SlackRefusal, DomainError.
        """
        person_id, found = self.linked(asker)
        session_id = session_id or asker.chosen
        if not asker.is_direct:
            self._require_link(found)
        if session_id:
            state = self.rooms.state(SessionId(session_id))
            role = people.membership_role(self.db, state.course_id, person_id)
        elif found.channel is not None:
            role = found.role
            if role is None:
                raise DomainError("other_course")
            live = found.session_id or self._newest(found.channel.course_id, found.channel.room_key)
            state = self.rooms.state(live)
        else:
            state = self._only_live(person_id)
            role = people.membership_role(self.db, state.course_id, person_id)
        if role is None:
            raise DomainError("other_course")
        if not state.is_open:
            raise DomainError("session_ended")
        return Scene(asker, Actor(ActorKind.PERSON, person_id, found.name, role, state.course_id), state)

    @staticmethod
    def _require_link(found: Place) -> None:
        if found.channel is None:
            raise SlackRefusal(
                "channel_not_linked",
                "This channel isn’t linked to a course. A moderator can type `/room link`.",
            )
        if found.channel.suspended:
            raise SlackRefusal(
                "channel_not_linked", "This channel’s link is suspended. Type `/room link` again."
            )

    def course(self, asker: Asker) -> tuple[Actor, Course]:
        """The channel's course, or the person's only (or chosen) one. Raises SlackRefusal, DomainError."""
        person_id, found = self.linked(asker)
        if not asker.is_direct:
            self._require_link(found)
        if found.channel is not None:
            course = people.get_course(self.db, found.channel.course_id)
            role = found.role
        else:
            course = self._only_course(person_id, asker.chosen)
            role = people.membership_role(self.db, course.course_id, person_id)
        if course is None or role is None:
            raise DomainError("other_course")
        return Actor(ActorKind.PERSON, person_id, found.name, role, course.course_id), course

    def _only_course(self, person_id: PersonId, chosen: str) -> Course:
        courses = [course for course in self.courses(person_id) if chosen in ("", course.course_id)]
        if not courses:
            raise DomainError("other_course")
        if len(courses) > 1:
            raise WhichOne([(course.title or course.context_id, course.course_id) for course in courses])
        return courses[0]

    def courses(self, person_id: PersonId) -> list[Course]:
        """A person's courses but for the LMS's private workspaces."""
        return [c for c in people.courses_of(self.db, person_id) if not c.context_id.startswith("~")]

    def moderated(self, person_id: PersonId) -> list[Course]:
        """The courses that a person moderates."""
        return [
            course
            for course in self.courses(person_id)
            if people.membership_role(self.db, course.course_id, person_id) is Role.MODERATOR
        ]

    def live_of(self, person_id: PersonId) -> list[SessionState]:
        """Live sessions of a person's courses."""
        return [
            self.rooms.state(session_id)
            for course in self.courses(person_id)
            for session_id in self.rooms.live_sessions_of(course.course_id)
        ]

    def _only_live(self, person_id: PersonId) -> SessionState:
        live = self.live_of(person_id)
        if not live:
            raise DomainError("no_session")
        if len(live) > 1:
            titles = [state.course_title or "Course" for state in live]
            raise WhichOne(
                [
                    (title if titles.count(title) == 1 else f"{title}, {state.room_title}", state.session_id)
                    for title, state in zip(titles, live, strict=True)
                ]
            )
        return live[0]

    def _newest(self, course_id: CourseId, room_key: str) -> SessionId:
        """The newest session of the course when the link names no room of it. Raises DomainError ``no_session``."""
        live = self.rooms.live_sessions_of(course_id) if not room_key else []
        if not live:
            raise DomainError("no_session")
        return live[0]

    def submit(self, scene: Scene, command: Command, step: str = "") -> Accepted:
        """Submit with an id that follows from Slack's request: a repeat gets the first answer."""
        said = f"{scene.asker.key}/{type(command).__name__}/{step}"
        command_id = CommandId(f"slack:{hashlib.sha256(said.encode()).hexdigest()[:32]}")
        return self.rooms.submit(Envelope(command_id, scene.state.session_id, scene.actor, command))

    def permalink(self, scene: Scene) -> str:
        """The address of the session's card in this channel; empty while Slack has not told it."""
        asker = scene.asker
        return slack.permalink(self.db, asker.team_id, asker.channel_id, f"card:{scene.state.session_id}")


def publish(stage: Stage, team_id: str, user_id: str, priority: int = 2) -> None:
    """Have somebody's Home drawn again; many changes at once become one drawing."""
    slack_outbox.put_out(
        stage.db,
        team_id=team_id,
        channel_id=user_id,
        method="home",
        payload={},
        coalesce_key="home",
        priority=priority,
    )
