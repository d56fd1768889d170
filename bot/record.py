"""Recordings from Slack: start, pause, resume, stop, what runs, what there is, watch, publish, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from bot.ask import Asker, Reply, SlackRefusal, question
from bot.blocks import recordings
from bot.blocks.parts import actions, button, context, escape, section
from bot.grammar import Typed
from bot.scene import Scene, Stage
from bot.watch import TRACKS, Links
from library.media import Library
from library.values import Entry
from models.store import library as library_store
from models.store import people, recordings_list
from models.store.access import Access
from models.store.media_files import files_of
from models.store.recordings_jobs import ready_times
from models.values import PersonId, RecordingId, Role
from rooms import commands as c
from rooms.commands import Command
from rooms.errors import DomainError
from rooms.state import Recording, Room

Make = Callable[[RecordingId | None], Command]
STEER: dict[str, tuple[Make, str]] = {
    "pause": (c.PauseRecording, "Recording paused."),
    "resume": (c.ResumeRecording, "Recording resumed."),
    "stop": (c.StopRecording, "Recording stopped. It’ll be ready soon."),
}
LISTED = 10


class RecordVerbs:
    """One method a verb or button. Raises SlackRefusal or DomainError."""

    def __init__(self, stage: Stage, library: Library, links: Links) -> None:
        self._stage = stage
        self._library = library
        self._links = links

    # -- start -------------------------------------------------------------------------------------------------

    def start(self, asker: Asker, typed: Typed) -> Reply:
        """Ask first, unless “now” was said; without a room: the room the moderator is in, else choose."""
        scene = self._stage.scene(asker)
        scene.require_moderator()
        if "all" in typed.words:
            which = "all"
        elif "main" in typed.words:
            which = "0"
        elif typed.number is not None:
            which = str(scene.room(typed.number).number)
        else:
            mine = self._my_room(scene)
            if mine is None and scene.state.breakout_rooms:
                return self.choose(scene)
            which = str(mine.number if mine is not None else 0)
        return self._start(scene, which) if "now" in typed.words else self._ask(scene, which)

    def _ask(self, scene: Scene, which: str) -> Reply:
        value = f"{scene.state.session_id}:{which}"
        where = "all breakout rooms" if which == "all" else f"*{escape(scene.room(int(which)).name)}*"
        text = f"Record {where}? Everyone there will see that it’s being recorded."
        return question(text, "rec_go", value, "Start recording")

    def go(self, asker: Asker, value: str) -> Reply:
        """The answer to the question: ``SESSION:N`` or ``SESSION:all``."""
        session_id, _, which = value.partition(":")
        return self._start(self._stage.scene(asker, session_id), which)

    def _start(self, scene: Scene, which: str) -> Reply:
        if which == "all":
            self._stage.submit(scene, c.StartRecording(all_rooms=True))
            return Reply("Recording will start momentarily in every room.")
        if not which.isdecimal():
            raise DomainError("room_unknown")
        room = scene.room(int(which))
        self._stage.submit(scene, c.StartRecording(room.room_id))
        return Reply(f"Recording of *{escape(room.name)}* will start momentarily.")

    def open_chooser(self, asker: Asker, _value: str = "") -> Reply:
        return self.choose(self._stage.scene(asker))

    def choose(self, scene: Scene) -> Reply:
        """Which room do you want to record?"""
        scene.require_moderator()
        rooms = sorted(scene.state.rooms.values(), key=lambda room: room.number)
        return Reply("Which room?", recordings.chooser(scene.state.session_id, rooms))

    def chosen(self, asker: Asker, value: str) -> Reply:
        """An entry of the chooser: ``SESSION:N``."""
        session_id, _, which = value.partition(":")
        scene = self._stage.scene(asker, session_id)
        scene.require_moderator()
        return self._ask(scene, which if which == "all" or which.isdecimal() else "0")

    @staticmethod
    def _my_room(scene: Scene) -> Room | None:
        """The room in which the asker sits just now."""
        me = scene.state.people.get(scene.actor.person_id) if scene.actor.person_id is not None else None
        return scene.state.rooms.get(me.room_id) if me is not None and me.online else None

    # -- pause, resume, stop -----------------------------------------------------------------------------------

    def steer(self, asker: Asker, typed: Typed, what: str) -> Reply:
        """Of the room that was named, else of the asker's room, else of the only one that runs; otherwise say which."""
        scene = self._stage.scene(asker)
        scene.require_moderator()
        make, text = STEER[what]
        if "all" in typed.words:
            which = None
        elif "main" in typed.words or typed.number is not None:
            which = self.live(scene, scene.room(typed.number or 0)).recording_id
        else:
            which = self._meant(scene, what)
        self._stage.submit(scene, make(which))
        return Reply(text)

    def _meant(self, scene: Scene, what: str) -> RecordingId:
        running = [r for r in scene.state.recordings.values() if r.status.is_live and r.desired != "stopped"]
        mine = self._my_room(scene)
        here = [r for r in running if mine is not None and r.room_id == mine.room_id]
        if len(here or running) == 1:
            return (here or running)[0].recording_id
        if not running:
            raise DomainError("nothing_recording")
        names = ", ".join(sorted(escape(r.room_name) for r in running))
        raise SlackRefusal(
            "bad_usage",
            f"Add which room: `/record {what} room 2`, `main` or `all`. Recorded: {names}.",
            value=what,
        )

    @staticmethod
    def live(scene: Scene, room: Room) -> Recording:
        """The recording that runs in this room. Raises DomainError."""
        for recording in scene.state.recordings.values():
            if recording.room_id == room.room_id and recording.status.is_live:
                return recording
        raise DomainError("nothing_recording")

    # -- what runs, what there is ------------------------------------------------------------------------------

    def status(self, asker: Asker, _typed: Typed | None = None) -> Reply:
        scene = self._stage.scene(asker)
        scene.require_moderator()
        if not scene.state.recordings:
            return Reply("Nothing is being recorded.")
        ready = ready_times(self._stage.db, scene.state.session_id)
        known = scene.state.recordings.values()
        lines = [recordings.recording_text(scene.state, r, ready.get(r.recording_id)) for r in known]
        return Reply("\n".join(lines))

    def listing(self, asker: Asker, _typed: Typed) -> Reply:
        """The course's newest recordings, also without a live session."""
        actor, course = self._stage.course(asker)
        if not actor.is_moderator:
            raise DomainError("not_moderator")
        wanted = recordings_list.Filter(course.course_id)
        found, total = recordings_list.find_recordings(self._stage.db, wanted, 0, LISTED)
        if not found:
            return Reply("This course has no recordings yet.")
        blocks = [recordings.listed(asdict(each), datetime.now(UTC)) for each in found]
        if total > len(found):
            blocks.append(context(f"{total - len(found)} more in the course’s Media Gallery."))
        return Reply(f"{total} recordings of {escape(course.title)}", blocks)

    # -- one recording's message -------------------------------------------------------------------------------

    def watch(self, asker: Asker, value: str) -> Reply:
        """A link of this person's own, good for some minutes, to a page that plays the recording."""
        person_id, access, entry = self._entry(asker, value)
        if entry.status != "ready":
            raise DomainError("recording_unknown", "This recording isn’t ready yet, or it was deleted.")
        url = self._links.watch(person_id, access.course_id, entry.entry_id)
        text = f"*{escape(entry.title)}*: only you can use this link. It works for {self._links.minutes} minutes."
        return Reply(
            text,
            [
                section(text),
                actions(f"play:{entry.entry_id}", button("Play", "open_dashboard", style="primary", url=url)),
            ],
        )

    def tracks(self, asker: Asker, recording_id: str) -> Reply:
        """The entry's other files, each by a link of this person's own."""
        person_id, access, entry = self._entry(asker, recording_id)
        if not self._library.may_edit(access, entry):
            raise DomainError("not_allowed")
        files = files_of(self._stage.db, [entry.entry_id]).get(entry.entry_id, [])
        if not any(each.kind in TRACKS for each in files):
            return Reply(f"*{escape(entry.title)}* has no separate tracks.")
        url = self._links.watch(person_id, access.course_id, entry.entry_id)
        text = "The separate tracks are below the player. Only you can use this link."
        return Reply(text, [section(text), actions("play:tracks", button("Open", "open_dashboard", url=url))])

    def publish(self, asker: Asker, recording_id: str, *, published: bool) -> Reply:
        _, access, entry = self._entry(asker, recording_id)
        self._library.change(access, entry.entry_id, None, published)
        where = "is published to the Media Gallery." if published else "is no longer in the Media Gallery."
        return Reply(f"*{escape(entry.title)}* {where}")

    def ask_delete(self, asker: Asker, recording_id: str) -> Reply:
        _, access, entry = self._entry(asker, recording_id)
        if not self._library.may_edit(access, entry):
            raise DomainError("not_allowed")
        text = f"Delete *{escape(entry.title)}* and its files permanently? You can’t undo this."
        return question(text, "rec_delete", recording_id, "Delete", danger=True)

    def delete(self, asker: Asker, recording_id: str) -> Reply:
        _, access, entry = self._entry(asker, recording_id)
        self._library.delete(access, entry.entry_id)
        return Reply(f"Deleted *{escape(entry.title)}*.")

    def _entry(self, asker: Asker, recording_id: str) -> tuple[PersonId, Access, Entry]:
        """The library's entry as this person may see it. Raises SlackRefusal, DomainError ``recording_unknown``."""
        person_id, place = self._stage.linked(asker)
        row = library_store.entry_of_recording(self._stage.db, recording_id)
        if row is None:
            raise DomainError(
                "recording_unknown", "This recording isn’t in the library. It may have been deleted."
            )
        role = people.membership_role(self._stage.db, row["course_id"], person_id) or Role.GUEST
        access = Access("page", person_id, row["course_id"], role, place.name)
        return person_id, access, self._library.get(access, row["id"])

    # -- the card's room menu ----------------------------------------------------------------------------------

    def menu(self, asker: Asker, what: str, session_id: str, number: int) -> Reply:
        """``rec_start|rec_pause|rec_resume|rec_stop`` of one room."""
        scene = self._stage.scene(asker, session_id)
        scene.require_moderator()
        room = scene.room(number)
        if what == "rec_start":
            return self._ask(scene, str(number))
        make, text = STEER[what.removeprefix("rec_")]
        self._stage.submit(scene, make(self.live(scene, room).recording_id))
        return Reply(text)
