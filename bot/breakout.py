"""Breakouts from Slack: start, time, gather, shuffle, next room, move, end, broadcast. Translates; ``rooms`` decides."""

from __future__ import annotations

from typing import Any

from bot.ask import Asker, Reply, SlackRefusal, question
from bot.blocks import messages
from bot.blocks.parts import escape
from bot.grammar import Typed
from bot.scene import Scene, Stage
from foundation.text import fold
from models.store import people, slack, slack_roster
from models.values import AssignMode, BreakoutStatus, PersonId
from rooms import commands as c
from rooms.commands import Command
from rooms.errors import DomainError

ASKED = {
    "gather": ("Bring {people} back to the main room? The breakout continues.", "Gather everyone", False),
    "shuffle": ("Assign {people} to rooms at random?", "Shuffle", False),
    "end": ("End the breakout for {people}? Everyone returns after a countdown.", "End breakout", True),
}
DONE = {
    "gather": "Everyone is returning to the main room.",
    "shuffle": "Shuffled.",
    "rr": "Everyone is moving to the next room.",
    "end": "The breakout will end after the countdown.",
    "add_time": "Added 5 min.",
    "rec_all": "Recording will start momentarily in every room.",
}


class BreakoutVerbs:
    """One method a verb. Raises SlackRefusal or DomainError."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def start(self, asker: Asker, typed: Typed) -> Reply:
        scene = self._stage.scene(asker)
        scene.require_moderator()
        if typed.is_bare:
            return self.form(scene)
        assign = next((word for word in ("manual", "self", "keep") if word in typed.words), "auto")
        if typed.number is None and "auto" not in typed.words and assign == "auto":
            assign = "keep" if scene.state.breakout_rooms else "auto"
        existing = len(scene.state.breakout_rooms)
        if assign == "keep" and typed.number not in (None, existing):
            raise SlackRefusal(
                "bad_usage",
                f"`keep` uses the existing rooms ({existing}). Leave out the number, or leave out `keep` to create new rooms.",
                value="start",
            )
        count = 4 if typed.number is None else typed.number
        return self.begin(scene, count, assign, typed.seconds, "record" in typed.words)

    def form(self, scene: Scene) -> Reply:
        """The form of /breakout start; refused to all but moderators."""
        scene.require_moderator()
        return Reply(modal=messages.create_modal(scene.meta, len(scene.state.breakout_rooms)))

    def begin(
        self,
        scene: Scene,
        count: int,
        assign: str,
        limit_s: int | None,
        record: bool,
        may_return: bool = True,
    ) -> Reply:
        """Make (or keep) the rooms and start; two commands, both repeatable.

        Between them somebody else may have made other rooms: then those start, and it is said.
        """
        made: Command = c.KeepRooms(limit_s)
        if assign != "keep":
            made = c.CreateRooms(count, AssignMode(assign), time_limit_s=limit_s, may_return=may_return)
        try:
            mine = self._stage.submit(scene, made).state.breakout_rooms
            accepted = self._stage.submit(scene, c.StartBreakout(record))
        except DomainError as error:
            if error.code == "already_running":
                raise DomainError(error.code, error.message, url=self._stage.permalink(scene)) from None
            raise
        rooms = accepted.state.breakout_rooms
        said = f"{len(rooms)} rooms start" if len(rooms) != 1 else "1 room starts"
        tail = f" Time limit: {_time(limit_s)}." if limit_s else ""
        tail += " All rooms are recorded." if record else ""
        if {room.room_id for room in rooms} != {room.room_id for room in mine}:
            tail += " Another moderator created rooms at the same time, so theirs are used."
        return Reply(f"{said} in {accepted.state.breakout.countdown_s} s.{tail}")

    def add(self, asker: Asker, typed: Typed) -> Reply:
        seconds = 300 if typed.seconds is None else typed.seconds
        scene = self._stage.scene(asker)
        if seconds == 0:
            scene.require_moderator()
            raise SlackRefusal("bad_usage", "Add how much: `/breakout add 5m`.", value="add")
        self._stage.submit(scene, c.AddTime(seconds))
        return Reply(f"Added {_time(seconds)}.")

    def asked(self, asker: Asker, typed: Typed, what: str) -> Reply:
        """Gather, shuffle and end touch everybody: ask, unless “now” was said."""
        scene = self._stage.scene(asker)
        scene.require_moderator()
        if "now" in typed.words:
            return self._do(scene, what)
        if scene.state.breakout.status is not BreakoutStatus.RUNNING:
            return self._do(scene, what)  # refused with the reason
        inside = sum(1 for p in scene.state.people.values() if p.online and p.room_id != "main")
        text, yes, danger = ASKED[what]
        people_text = "1 person" if inside == 1 else f"{inside} people"
        return question(text.format(people=people_text), what, scene.state.session_id, yes, danger=danger)

    def simple(self, asker: Asker, what: str, session_id: str) -> Reply:
        """The card's buttons without arguments."""
        return self._do(self._stage.scene(asker, session_id), what)

    def next_room(self, asker: Asker, _typed: Typed) -> Reply:
        return self._do(self._stage.scene(asker), "rr")

    def _do(self, scene: Scene, what: str) -> Reply:
        commands: dict[str, Command] = {
            "gather": c.GatherEveryone(),
            "shuffle": c.ShuffleParticipants(scene.seed),
            "rr": c.MoveToNextRoom(),
            "end": c.EndBreakout(),
            "add_time": c.AddTime(300),
            "rec_all": c.StartRecording(all_rooms=True),
        }
        self._stage.submit(scene, commands[what])
        return Reply(DONE[what])

    def move(self, asker: Asker, typed: Typed) -> Reply:
        scene = self._stage.scene(asker)
        scene.require_moderator()
        room = scene.room(typed.number or 0)
        person_id = self._person(scene, typed)
        inside = scene.state.people.get(person_id)
        if inside is not None:
            self._stage.submit(scene, c.MoveParticipant(person_id, room.room_id))
            return Reply(f"*{escape(inside.name)}* is moving to *{escape(room.name)}*.")
        person = people.get_person(self._stage.db, person_id)
        name = escape(person.name if person is not None else "A participant")
        self._stage.submit(scene, c.AssignParticipant(person_id, room.room_id if room.number else None))
        return Reply(f"*{name}* hasn’t joined yet. They’ll go to *{escape(room.name)}* when they join.")

    def _person(self, scene: Scene, typed: Typed) -> PersonId:
        """Somebody of this course, by mention or by name; who is here goes before who has the same name and is not."""
        state = scene.state
        if typed.user is not None:
            return self._mentioned(scene, typed.user)
        matches = slack_roster.find_members(self._stage.db, state.course_id, typed.text)
        matches += [
            p.person_id
            for p in state.people.values()
            if fold(p.name) == fold(typed.text) and p.person_id not in matches
        ]
        meant = [person_id for person_id in matches if person_id in state.people] or matches
        who = f"“{escape(typed.text)[:80]}”"
        if not meant:
            raise SlackRefusal(
                "person_unknown", f"No one in this course is called {who}. Check the name under People."
            )
        if len(meant) > 1:
            raise SlackRefusal(
                "person_unknown", f"More than one person is called {who}. Use their full name."
            )
        return meant[0]

    def _mentioned(self, scene: Scene, user_id: str) -> PersonId:
        found = slack.person_of(self._stage.db, scene.asker.team_id, user_id)
        if found is None:
            raise SlackRefusal(
                "person_unknown",
                f"<@{user_id}> hasn’t connected a course account. Use their name instead: `/breakout move Bob Keller 2`.",
            )
        if people.membership_role(self._stage.db, scene.state.course_id, found) is None:
            raise SlackRefusal("person_unknown", f"<@{user_id}> isn’t in this course.")
        return found

    # -- broadcast ---------------------------------------------------------------------------------------------

    def broadcast(self, asker: Asker, typed: Typed) -> Reply:
        scene = self._stage.scene(asker)
        if typed.is_bare:
            return self.broadcast_form(scene)
        return self.send(scene, typed.text, typed.rooms)

    def broadcast_form(self, scene: Scene, text: str = "") -> Reply:
        """The form of a broadcast, with the text of a message that was chosen; refused to all but moderators."""
        scene.require_moderator()
        return Reply(modal=messages.broadcast_modal(scene.meta, text))

    def send(self, scene: Scene, text: str, numbers: tuple[int, ...] = ()) -> Reply:
        """Send a text to all breakout rooms, or to those with these numbers."""
        scene.require_moderator()
        rooms = tuple(scene.room(number).room_id for number in numbers) or None
        accepted = self._stage.submit(scene, c.BroadcastMessage(text, rooms))
        for recorded in accepted.events:
            sent: Any = recorded.event
            people_text = "1 person" if sent.people == 1 else f"{sent.people} people"
            rooms_text = "1 room" if len(sent.room_ids) == 1 else f"{len(sent.room_ids)} rooms"
            if numbers:
                names = [escape(scene.room(number).name) for number in numbers]
                rooms_text = f"{_joined(names)} only"
            return Reply(f"Sent to {rooms_text}, {people_text}.")
        return Reply("Sent.")


def _joined(names: list[str]) -> str:
    """``Room 1``, ``Room 1 and Room 2``, ``Room 1, Room 2, Room 3 and 4 more``."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _time(seconds: int) -> str:
    """``1 h 30 min``, ``5 min``, ``90 s``: what was understood."""
    minutes, rest = divmod(seconds, 60)
    if rest:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return (
        " ".join(
            part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part
        )
        or "0 min"
    )
