"""From what a Slack user asked to commands of ``rooms``, and the answer as text. No Slack types in here.

The person, the role and the course are looked up anew for every action; what is allowed is decided by ``rooms``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slack_sdk.errors import SlackClientError

from bot.ask import Asker, SlackRefusal
from bot.blocks import messages
from bot.blocks.parts import escape
from bot.grammar import Typed
from bot.identity import Identity
from bot.registry import VERBS
from models.store import people, slack
from models.store.database import Database
from models.store.people import Course
from models.values import (
    MAIN_ROOM,
    Actor,
    ActorKind,
    AssignMode,
    BreakoutStatus,
    CallStatus,
    CommandId,
    CourseId,
    RecordingId,
    Role,
    SessionId,
)
from rooms import commands as c
from rooms.commands import Command, Envelope
from rooms.errors import DomainError
from rooms.ports import Accepted
from rooms.service import RoomsService
from rooms.state import HelpCall, Recording, Room, SessionState

_JOIN = next(verb for verb in VERBS if (verb.group, verb.name) == ("", "join"))


ChannelLookup = Callable[[str, str], dict[str, Any] | None]
"""Slack's ``conversations.info`` of a workspace's channel; None when the app cannot see it. May raise SlackClientError, OSError."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An ephemeral answer; ``modal`` opens a form instead."""

    text: str = ""
    blocks: list[dict[str, Any]] | None = None
    modal: dict[str, Any] | None = None


class Actions:
    """One method a verb. Raises SlackRefusal or DomainError."""

    def __init__(self, db: Database, rooms: RoomsService, identity: Identity, channel: ChannelLookup) -> None:
        self._db = db
        self._rooms = rooms
        self._identity = identity
        self._channel = channel
        self._verbs: dict[tuple[str, str], Callable[[Asker, Typed], Reply]] = {
            ("", "status"): self._status,
            ("", "help"): lambda _a, t: Reply("Commands", messages.help_blocks(t.text)),
            ("", "connect"): self._connect,
            ("", "disconnect"): self._disconnect,
            ("", "link"): self._link,
            ("", "unlink"): self._unlink,
            ("", "join"): self._join,
            ("breakout", "start"): self._start,
            ("breakout", "add"): self._add,
            ("breakout", "gather"): lambda a, _t: self.simple(a, "gather"),
            ("breakout", "shuffle"): lambda a, _t: self.simple(a, "shuffle"),
            ("breakout", "next"): lambda a, _t: self.simple(a, "rr"),
            ("breakout", "end"): lambda a, _t: self.simple(a, "end"),
            ("breakout", "move"): self._move,
            ("broadcast", ""): self._broadcast,
            ("help-calls", "list"): self._calls,
            ("help-calls", "join"): lambda a, t: self._numbered_call(a, t, claim=True),
            ("help-calls", "dismiss"): lambda a, t: self._numbered_call(a, t, claim=False),
            ("record", "start"): self._record_start,
            ("record", "pause"): lambda a, t: self._record(a, t, c.PauseRecording, "Recording pauses."),
            ("record", "resume"): lambda a, t: self._record(a, t, c.ResumeRecording, "Recording goes on."),
            ("record", "stop"): lambda a, t: self._record(
                a, t, c.StopRecording, "Recording stops. The files will be ready soon."
            ),
            ("record", "status"): self._record_status,
            ("record", "list"): self._record_status,
        }

    def run(self, asker: Asker, typed: Typed) -> Reply:
        """Do what was typed."""
        return self._verbs[typed.verb.group, typed.verb.name](asker, typed)

    # -- who and where -----------------------------------------------------------------------------------------

    def actor(self, asker: Asker, course_id: CourseId) -> Actor:
        """The linked person with the role in this course as it is now. Raises SlackRefusal."""
        person_id = self._identity.person(asker)
        person = people.get_person(self._db, person_id)
        role = people.membership_role(self._db, course_id, person_id)
        if person is None or role is None:
            raise DomainError("other_course")
        return Actor(ActorKind.PERSON, person_id, person.name, role, course_id)

    def course(self, asker: Asker) -> CourseId:
        """The course of this channel; in an unlinked place the person's only course. Raises SlackRefusal."""
        link = slack.channel_link(self._db, asker.team_id, asker.channel_id)
        if link is not None and link.suspended:
            raise SlackRefusal(
                "channel_not_linked", "The link of this channel is suspended. Type `/room link` again."
            )
        if link is not None:
            return link.course_id
        person_id = self._identity.person(asker)
        courses = people.courses_of(self._db, person_id)
        courses = [course for course in courses if not course.context_id.startswith("~")]
        if len(courses) == 1:
            return courses[0].course_id
        raise SlackRefusal(
            "channel_not_linked", "This channel belongs to no course. A moderator types `/room link`."
        )

    def session(self, course_id: CourseId) -> SessionId:
        found = self._rooms.live_session(course_id)
        if found is None:
            raise DomainError("no_session")
        return found

    def here(self, asker: Asker) -> tuple[Actor, SessionState]:
        """Actor and live state for this channel."""
        course_id = self.course(asker)
        actor = self.actor(asker, course_id)
        return actor, self._rooms.state(self.session(course_id))

    def submit(
        self, asker: Asker, actor: Actor, session_id: SessionId, command: Command, step: str = ""
    ) -> Accepted:
        """Submit with an id that follows from Slack's request: a repeat gets the first answer."""
        digest = hashlib.sha256(f"{asker.key}/{type(command).__name__}/{step}".encode()).hexdigest()[:32]
        return self._rooms.submit(Envelope(CommandId(f"slack:{digest}"), session_id, actor, command))

    @staticmethod
    def meta(state: SessionState, asker: Asker) -> str:
        """What a form carries back: ids only, never rights."""
        return json.dumps({"s": state.session_id, "c": asker.channel_id})

    # -- /room -------------------------------------------------------------------------------------------------

    def _status(self, asker: Asker, _typed: Typed) -> Reply:
        _, state = self.here(asker)
        return Reply(messages.status_lines(state, datetime.now(UTC)))

    def _connect(self, asker: Asker, typed: Typed) -> Reply:
        if not typed.text:
            return Reply(
                "Open the Room in your course, press *Connect Slack*, then type `/room connect CODE`."
            )
        self._identity.standing(asker, anew=True)
        found = slack.redeem_code(self._db, asker.team_id, asker.user_id, typed.text)
        if found == "too_many":
            raise SlackRefusal("bad_usage", "Too many wrong codes. Wait ten minutes and make a new one.")
        if found == "wrong":
            raise SlackRefusal(
                "bad_usage",
                "This code is wrong, used or older than ten minutes. Make a new one in the course page.",
            )
        person = people.get_person(self._db, found)
        slack.audit(self._db, asker.user_id, found, "connect", "", "ok")
        return Reply(f"Connected as *{escape(person.name if person else 'you')}*.")

    def _disconnect(self, asker: Asker, _typed: Typed) -> Reply:
        slack.unlink_user(self._db, asker.team_id, asker.user_id)
        return Reply("Disconnected. Your course account is not linked to Slack any more.")

    def _link(self, asker: Asker, typed: Typed) -> Reply:
        person_id = self._identity.person(asker)
        mine = [
            course
            for course in people.courses_of(self._db, person_id)
            if people.membership_role(self._db, course.course_id, person_id) is Role.MODERATOR
            and not course.context_id.startswith("~")
        ]
        if not mine:
            raise DomainError("not_moderator")
        linked = slack.channel_link(self._db, asker.team_id, asker.channel_id)
        if linked is not None and linked.course_id not in {course.course_id for course in mine}:
            raise SlackRefusal(
                "other_course",
                "This channel is linked to another course. A moderator of that course must type `/room unlink` first.",
            )
        role = "class" if "class" in typed.words else "moderators"
        course = _choose(mine, typed.text, role)
        self._check_place(asker, role)
        slack.link_channel(self._db, asker.team_id, asker.channel_id, course.course_id, role, person_id)
        slack.audit(self._db, asker.user_id, person_id, "link_channel", asker.channel_id, "ok")
        return Reply(f"This channel is linked to *{escape(course.title)}* as its {role} channel.")

    def _check_place(self, asker: Asker, role: str) -> None:
        """Help calls name students: only a private channel of this workspace may get them."""
        try:
            info = self._channel(asker.team_id, asker.channel_id)
        except (SlackClientError, OSError):
            raise SlackRefusal(
                "slack_unreachable", "Slack did not tell about this channel. Please try again."
            ) from None
        if info is None or info.get("is_member") is False:
            raise SlackRefusal(
                "not_in_channel", "The app is not in this channel. Type `/invite @Classroom`, then try again."
            )
        if info.get("is_ext_shared") or info.get("is_archived") or info.get("is_im"):
            raise SlackRefusal(
                "channel_unfit", "Only channels of this workspace that are not archived can be linked."
            )
        if role == "moderators" and not info.get("is_private"):
            raise SlackRefusal(
                "channel_unfit",
                "Everybody can read this channel. Link a private channel of the moderators, or type `/room link class`.",
            )

    def _unlink(self, asker: Asker, _typed: Typed) -> Reply:
        actor = self.actor(asker, self.course(asker))
        if not actor.is_moderator:
            raise DomainError("not_moderator")
        slack.unlink_channel(self._db, asker.team_id, asker.channel_id)
        return Reply("This channel is not linked to a course any more.")

    def _join(self, asker: Asker, typed: Typed) -> Reply:
        actor, state = self.here(asker)
        if typed.number is not None and actor.person_id in state.people:
            room = self._room(state, typed.number)
            self.submit(asker, actor, state.session_id, c.JoinRoom(room.room_id))
            return Reply(f"You are moving to *{escape(room.name)}*.")
        return Reply("Open the Room from your course page; you come into the live session there.")

    # -- /breakout ---------------------------------------------------------------------------------------------

    def _start(self, asker: Asker, typed: Typed) -> Reply:
        actor, state = self.here(asker)
        if not actor.is_moderator:
            raise DomainError("not_moderator")
        if typed.is_bare:
            return Reply(modal=messages.create_modal(self.meta(state, asker)))
        assign = next((word for word in ("manual", "self", "keep") if word in typed.words), "auto")
        if typed.number is None and assign == "auto" and state.breakout_rooms:
            assign = "keep"
        count = 4 if typed.number is None else typed.number
        return self.start(asker, actor, state, count, assign, typed.seconds, "record" in typed.words)

    def start(
        self,
        asker: Asker,
        actor: Actor,
        state: SessionState,
        count: int,
        assign: str,
        limit_s: int | None,
        record: bool,
        may_return: bool = True,
    ) -> Reply:
        """Make (or keep) the rooms and start; two commands, both repeatable."""
        if assign == "keep":
            self.submit(asker, actor, state.session_id, c.KeepRooms(limit_s))
        else:
            create = c.CreateRooms(count, AssignMode(assign), time_limit_s=limit_s, may_return=may_return)
            self.submit(asker, actor, state.session_id, create)
        accepted = self.submit(asker, actor, state.session_id, c.StartBreakout(record))
        rooms = len(accepted.state.breakout_rooms)
        seconds = accepted.state.breakout.countdown_s
        tail = " Every room is recorded." if record else ""
        return Reply(f"{rooms} rooms start in {seconds} s.{tail}")

    def _add(self, asker: Asker, typed: Typed) -> Reply:
        actor, state = self.here(asker)
        seconds = 300 if typed.seconds is None else typed.seconds
        if seconds == 0:
            raise SlackRefusal("bad_usage", "Say how much: `/breakout add 5m`.")
        self.submit(asker, actor, state.session_id, c.AddTime(seconds))
        return Reply(f"Added {seconds // 60} min." if seconds % 60 == 0 else f"Added {seconds} s.")

    def simple(self, asker: Asker, what: str) -> Reply:
        """The commands without arguments, also those of the card's buttons."""
        actor, state = self.here(asker)
        seed = int(hashlib.sha256(asker.key.encode()).hexdigest()[:12], 16)
        command, text = {
            "gather": (c.GatherEveryone(), "Everyone is coming back to the main room."),
            "shuffle": (c.ShuffleParticipants(seed), "Shuffled."),
            "rr": (c.MoveToNextRoom(), "Everyone moves to the next room."),
            "end": (c.EndBreakout(), "The breakout ends after the countdown."),
            "add_time": (c.AddTime(300), "Added 5 min."),
            "rec_all": (c.StartRecording(all_rooms=True), "Recording will start momentarily in every room."),
        }[what]
        self.submit(asker, actor, state.session_id, command)
        return Reply(text)

    def _move(self, asker: Asker, typed: Typed) -> Reply:
        actor, state = self.here(asker)
        person_id = slack.person_of(self._db, asker.team_id, typed.user or "")
        if person_id is None or person_id not in state.people:
            raise SlackRefusal("bad_usage", "This person is not connected or not in the room.")
        room = self._room(state, typed.number or 0)
        self.submit(asker, actor, state.session_id, c.MoveParticipant(person_id, room.room_id))
        return Reply(f"Moving to *{escape(room.name)}*.")

    @staticmethod
    def _room(state: SessionState, number: int) -> Room:
        room = next((r for r in state.rooms.values() if r.number == number), None)
        if room is None:
            names = ", ".join(f"{r.number} {r.name}" for r in state.breakout_rooms) or "none yet"
            raise SlackRefusal("room_unknown", f"There is no room {number}. Rooms: {escape(names)}.")
        return room

    # -- /broadcast, /help-calls -------------------------------------------------------------------------------

    def _broadcast(self, asker: Asker, typed: Typed) -> Reply:
        actor, state = self.here(asker)
        if not actor.is_moderator:
            raise DomainError("not_moderator")
        if typed.is_bare:
            return Reply(modal=messages.broadcast_modal(self.meta(state, asker)))
        return self.broadcast(asker, actor, state, typed.text, typed.rooms)

    def broadcast(
        self, asker: Asker, actor: Actor, state: SessionState, text: str, numbers: tuple[int, ...] = ()
    ) -> Reply:
        rooms = tuple(self._room(state, number).room_id for number in numbers) or None
        accepted = self.submit(asker, actor, state.session_id, c.BroadcastMessage(text, rooms))
        for recorded in accepted.events:
            sent: Any = recorded.event
            return Reply(f"Sent to {len(sent.room_ids)} rooms, {sent.people} people.")
        return Reply("Sent.")

    @staticmethod
    def _open_calls(state: SessionState) -> list[HelpCall]:
        waiting = (
            call for call in state.calls.values() if call.status in (CallStatus.RAISED, CallStatus.CLAIMED)
        )
        return sorted(waiting, key=lambda call: call.raised_at)

    def _calls(self, asker: Asker, _typed: Typed) -> Reply:
        actor, state = self.here(asker)
        if not actor.is_moderator:
            raise DomainError("not_moderator")
        calls = self._open_calls(state)
        if not calls:
            return Reply("Nobody is waiting for help.")
        lines = [
            f"{n}. {messages.call_text(state, call)} ({call.status.value})" for n, call in enumerate(calls, 1)
        ]
        return Reply("\n".join(lines))

    def _numbered_call(self, asker: Asker, typed: Typed, *, claim: bool) -> Reply:
        _, state = self.here(asker)
        calls = self._open_calls(state)
        number = 1 if typed.number is None else typed.number
        if not 1 <= number <= len(calls):
            raise SlackRefusal("bad_usage", f"There is no call {number}. Type `/help-calls list`.")
        return self.answer_call(asker, state.session_id, calls[number - 1].call_id, claim=claim)

    def answer_call(self, asker: Asker, session_id: SessionId, call_id: str, *, claim: bool) -> Reply:
        """Claim or dismiss a call; the first claim wins."""
        actor, state = self.here(asker)
        if state.session_id != session_id:
            raise DomainError("call_closed")
        call = state.calls.get(call_id)  # type: ignore[call-overload]
        if call is None:
            raise DomainError("call_unknown")
        command = c.ClaimCall(call.call_id) if claim else c.DismissCall(call.call_id)
        accepted = self.submit(asker, actor, session_id, command)
        if not claim:
            return Reply("Dismissed.")
        me = accepted.state.people.get(actor.person_id) if actor.person_id is not None else None
        if me is None or not me.online:
            return Reply(
                "You are on the way. Open the Room from your course page; you come in where you are called."
            )
        return Reply("You are on the way.")

    # -- /record -----------------------------------------------------------------------------------------------

    def _record_start(self, asker: Asker, typed: Typed) -> Reply:
        actor, state = self.here(asker)
        if "all" in typed.words:
            return self.simple(asker, "rec_all")
        if "main" in typed.words:
            room = state.rooms[MAIN_ROOM]
        elif typed.number is not None:
            room = self._room(state, typed.number)
        elif state.breakout.status is BreakoutStatus.RUNNING:
            raise SlackRefusal("bad_usage", "Say which room: `/record start room 2`, `main` or `all`.")
        else:
            room = state.rooms[MAIN_ROOM]
        self.submit(asker, actor, state.session_id, c.StartRecording(room.room_id))
        return Reply(f"Recording of *{escape(room.name)}* will start momentarily.")

    def _record(
        self,
        asker: Asker,
        typed: Typed,
        make: Callable[[RecordingId | None], Command],
        text: str,
    ) -> Reply:
        """Of the room that was named; of every room without a name."""
        actor, state = self.here(asker)
        number = 0 if "main" in typed.words else typed.number
        which = None if number is None else self._live(state, self._room(state, number)).recording_id
        self.submit(asker, actor, state.session_id, make(which))
        return Reply(text)

    @staticmethod
    def _live(state: SessionState, room: Room) -> Recording:
        """The recording that runs in this room. Raises DomainError."""
        for recording in state.recordings.values():
            if recording.room_id == room.room_id and recording.status.is_live:
                return recording
        raise DomainError("nothing_recording")

    def _record_status(self, asker: Asker, _typed: Typed) -> Reply:
        actor, state = self.here(asker)
        if not actor.is_moderator:
            raise DomainError("not_moderator")
        if not state.recordings:
            return Reply("Nothing is being recorded.")
        lines = [messages.recording_text(state, r) for r in state.recordings.values()]
        return Reply("\n".join(lines))

    def room_action(self, asker: Asker, value: str) -> Reply:
        """The card's room menu: ``join|rec_start|rec_toggle|rec_stop:SESSION:N``."""
        what, session_id, number = [*value.split(":"), "", ""][:3]
        actor, state = self.here(asker)
        if state.session_id != session_id or not number.isdecimal():
            raise DomainError("session_ended")
        room = self._room(state, int(number))
        if what == "join":
            return self._join(asker, Typed(_JOIN, number=room.number))
        if what == "rec_start":
            self.submit(asker, actor, state.session_id, c.StartRecording(room.room_id))
            return Reply(f"Recording of *{escape(room.name)}* will start momentarily.")
        recording = self._live(state, room)
        command: Command = c.StopRecording(recording.recording_id)
        if what == "rec_toggle":
            paused = recording.desired == "paused"
            command = (c.ResumeRecording if paused else c.PauseRecording)(recording.recording_id)
        self.submit(asker, actor, state.session_id, command)
        return Reply("Done.")


def _choose(courses: list[Course], wanted: str, role: str) -> Course:
    """The course that is meant: the only one, or the one whose title was typed. Raises SlackRefusal."""
    said = wanted.casefold()
    found = [course for course in courses if said in course.title.casefold()]
    exact = [course for course in found if said == course.title.casefold()]
    if len(exact or found) == 1:
        return (exact or found)[0]
    titles = ", ".join(f"`/room link {role} {escape(course.title)}`" for course in (found or courses)[:10])
    raise SlackRefusal("bad_usage", f"Say which course: {titles}.")
