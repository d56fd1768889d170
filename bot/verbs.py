"""The table from verbs and buttons to what they do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from bot.ask import Asker, Reply, WhichOne, choice
from bot.breakout import BreakoutVerbs
from bot.calls import CallVerbs
from bot.grammar import Typed, parse
from bot.home import HomeVerbs
from bot.linking import LinkVerbs
from bot.names import Names
from bot.record import RecordVerbs
from bot.room import RoomVerbs
from bot.scene import Stage
from rooms.errors import DomainError

Verb = Callable[[Asker, Typed], Reply]
Press = Callable[[Asker, str], Reply]


class Verbs:
    """Everything that can be asked. Raises SlackRefusal or DomainError."""

    def __init__(
        self,
        stage: Stage,
        room: RoomVerbs,
        links: LinkVerbs,
        breakout: BreakoutVerbs,
        calls: CallVerbs,
        record: RecordVerbs,
        home: HomeVerbs,
        names: Names,
    ) -> None:
        self._stage = stage
        self._names = names
        self.room = room
        self.links = links
        self.breakout = breakout
        self.calls = calls
        self.record = record
        self._verbs: dict[tuple[str, str], Verb] = {
            ("", "status"): room.status,
            ("", "help"): room.help,
            ("", "connect"): links.connect,
            ("", "disconnect"): links.ask_disconnect,
            ("", "link"): links.link,
            ("", "unlink"): links.ask_unlink,
            ("", "join"): room.join,
            ("breakout", "start"): breakout.start,
            ("breakout", "add"): breakout.add,
            ("breakout", "gather"): lambda a, t: breakout.asked(a, t, "gather"),
            ("breakout", "shuffle"): lambda a, t: breakout.asked(a, t, "shuffle"),
            ("breakout", "next"): breakout.next_room,
            ("breakout", "end"): lambda a, t: breakout.asked(a, t, "end"),
            ("breakout", "move"): breakout.move,
            ("broadcast", ""): breakout.broadcast,
            ("help-calls", "list"): calls.listing,
            ("help-calls", "join"): lambda a, t: calls.numbered(a, t, claim=True),
            ("help-calls", "dismiss"): lambda a, t: calls.numbered(a, t, claim=False),
            ("record", "start"): record.start,
            ("record", "pause"): lambda a, t: record.steer(a, t, "pause"),
            ("record", "resume"): lambda a, t: record.steer(a, t, "resume"),
            ("record", "stop"): lambda a, t: record.steer(a, t, "stop"),
            ("record", "status"): record.status,
            ("record", "list"): record.listing,
        }
        self.buttons: dict[str, Press] = {
            "gather": lambda a, v: self._simple(a, "gather", v),
            "end": lambda a, v: self._simple(a, "end", v),
            "shuffle": lambda a, v: self._simple(a, "shuffle", v),
            "rr": lambda a, v: self._simple(a, "rr", v),
            "add_time": lambda a, v: self._simple(a, "add_time", v),
            "rec_all": lambda a, v: self._simple(a, "rec_all", v),
            "start_open": lambda a, v: breakout.form(stage.scene(a, v)),
            "broadcast_open": lambda a, v: breakout.broadcast_form(stage.scene(a, v)),
            "room_menu": self._room_menu,
            "help_join": lambda a, v: calls.answer(a, v, claim=True),
            "help_dismiss": lambda a, v: calls.answer(a, v, claim=False),
            "calls_show": lambda a, _v: calls.listing(a),
            "card_here": room.card_here,
            "status_show": lambda a, _v: room.status(a),
            "help_show": room.help_for,
            "session_start": lambda a, _v: room.start_session(a),
            "join_open": lambda a, v: room.enter(stage.scene(a, v), None),
            "connect_open": lambda a, _v: links.open_connect(a),
            "disconnect": lambda a, _v: links.disconnect(a),
            "link_open": lambda a, _v: links.open_link(a),
            "unlink": links.unlink,
            "rec_go": lambda a, v: _instead(record.go(a, v)),
            "rec_open": record.open_chooser,
            "rec_choose": lambda a, v: _instead(record.chosen(a, v)),
            "rec_show": lambda a, _v: record.status(a),
            "rec_retry": record.go,
            "rec_watch": record.watch,
            "rec_publish": lambda a, v: record.publish(a, v, published=True),
            "rec_unpublish": lambda a, v: record.publish(a, v, published=False),
            "rec_menu": self._recording_menu,
            "rec_delete": lambda a, v: _instead(record.delete(a, v)),
            "dm_calls": home.switch_calls,
            "run_in": self._run_in,
        }

    def say(self, asker: Asker, command: str, text: str) -> Reply:
        """Do what was typed; where several courses may be meant, ask which. Raises BadUsage."""
        typed = parse(command, text, self._names)
        try:
            return self._verbs[typed.verb.group, typed.verb.name](asker, typed)
        except WhichOne as error:
            return choice(error, command, text)

    def _run_in(self, asker: Asker, value: str) -> Reply:
        """What was typed before, in the course that was pressed now."""
        said = json.loads(value)
        reply = self.say(replace(asker, chosen=str(said["in"])), str(said["command"]), str(said["text"]))
        return _instead(reply)

    def _simple(self, asker: Asker, what: str, session_id: str) -> Reply:
        return _instead(self.breakout.simple(asker, what, session_id))

    def _room_menu(self, asker: Asker, value: str) -> Reply:
        """The card's room menu: ``join|rec_start|rec_pause|rec_resume|rec_stop|close:SESSION:N``."""
        what, session_id, number = [*value.split(":"), "", ""][:3]
        if not session_id or not number.isdecimal():
            raise DomainError("session_ended")
        if what in ("join", "close"):
            scene = self._stage.scene(asker, session_id)
            if what == "join":
                return self.room.enter(scene, int(number))
            return self.room.close(scene, int(number))
        if what not in ("rec_start", "rec_pause", "rec_resume", "rec_stop"):
            raise DomainError("session_ended")
        return self.record.menu(asker, what, session_id, int(number))

    def _recording_menu(self, asker: Asker, value: str) -> Reply:
        what, _, recording_id = value.partition(":")
        if what == "delete":
            return self.record.ask_delete(asker, recording_id)
        return self.record.tracks(asker, recording_id)


def _instead(reply: Reply) -> Reply:
    """In the place of the question, when it was one only for who asked."""
    return replace(reply, replace=True)
