"""What submitted forms and shortcuts do. A form carries ids back, never rights: all is looked up anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.ask import Asker, Reply, SlackRefusal
from bot.blocks import messages
from bot.grammar import Typed
from bot.registry import verb_of
from bot.scene import Stage
from bot.verbs import Verbs
from rooms.errors import DomainError

Values = Mapping[str, Any]
MAIN_FIELDS = {
    "create_breakout": "rooms",
    "broadcast": "text",
    "link_channel": "course",
    "connect": "code",
}
"""Form → the field that shows what no field is to blame for."""


class FieldError(Exception):
    """What was typed into one field cannot be used."""

    def __init__(self, block_id: str, text: str) -> None:
        self.block_id = block_id
        self.text = text
        super().__init__(block_id)


class Forms:
    """``submit`` by callback id. Raises FieldError, SlackRefusal, DomainError."""

    def __init__(self, stage: Stage, verbs: Verbs) -> None:
        self._stage = stage
        self._verbs = verbs
        self._forms = {
            "create_breakout": self._create,
            "broadcast": self._broadcast,
            "link_channel": self._link,
            "connect": self._connect,
            "connect_confirm": self._confirm,
        }

    @staticmethod
    def refused(name: str, text: str) -> dict[str, Any]:
        """How a form shows a refusal: at its main field, or in its place when it has none."""
        block_id = MAIN_FIELDS.get(name)
        if block_id is None:
            return {"response_action": "update", "view": messages.notice_modal(text)}
        return {"response_action": "errors", "errors": {block_id: text[:150]}}

    def submit(self, asker: Asker, name: str, meta: Mapping[str, str], values: Values) -> Reply:
        form = self._forms.get(name)
        if form is None:
            raise SlackRefusal("bad_usage", "This form is out of date. Open it again.")
        return form(asker, meta, values)

    def _create(self, asker: Asker, meta: Mapping[str, str], values: Values) -> Reply:
        count, minutes = _whole(values, "rooms"), _whole(values, "mins")
        chosen = {o["value"] for o in _field(values, "opts").get("selected_options") or []}
        assign = _chosen(values, "assign") or "auto"
        scene = self._stage.scene(asker, _session(meta, values))
        limit = minutes * 60 if minutes else None
        return self._verbs.breakout.begin(
            scene, count, assign, limit, "record" in chosen, "may_return" in chosen
        )

    def _broadcast(self, asker: Asker, meta: Mapping[str, str], values: Values) -> Reply:
        text = str(_field(values, "text").get("value") or "")
        return self._verbs.breakout.send(self._stage.scene(asker, _session(meta, values)), text)

    def _link(self, asker: Asker, _meta: Mapping[str, str], values: Values) -> Reply:
        picked = _field(values, "course", "course_pick").get("selected_option") or {}
        return self._verbs.links.link_chosen(
            asker, str(picked.get("value", "")), _chosen(values, "role") or "moderators"
        )

    def _connect(self, asker: Asker, _meta: Mapping[str, str], values: Values) -> Reply:
        code = str(_field(values, "code").get("value") or "")
        return self._verbs.links.connect(asker, Typed(verb_of("", "connect"), text=code))

    def _confirm(self, asker: Asker, meta: Mapping[str, str], _values: Values) -> Reply:
        return self._verbs.links.confirmed(asker, meta.get("code", ""))

    # -- shortcuts ---------------------------------------------------------------------------------------------

    def shortcut(self, asker: Asker, name: str, text: str) -> Reply:
        """Open a form: of a message with its text, or from anywhere (then one says which course, if several are live)."""
        if name not in ("start_breakout", "broadcast_message"):
            raise SlackRefusal("bad_usage", "This shortcut is out of date. Type `/room help` instead.")
        try:
            scene = self._stage.scene(asker)
        except SlackRefusal as refusal:
            # In a direct message with several live, or in a channel of no course: the form asks.
            if refusal.code not in ("which_one", "channel_not_linked"):
                raise
            return self._among_many(asker, name, text)
        if name == "start_breakout":
            return self._verbs.breakout.form(scene)
        return self._verbs.breakout.broadcast_form(scene, text)

    def _among_many(self, asker: Asker, name: str, text: str) -> Reply:
        person_id, _ = self._stage.linked(asker)
        mine = {course.course_id for course in self._stage.moderated(person_id)}
        live = [state for state in self._stage.live_of(person_id) if state.course_id in mine]
        if not live:
            raise DomainError("not_moderator" if not mine else "no_session")
        choices = [(state.course_title or "Course", str(state.session_id)) for state in live]
        meta = f'{{"s": "{live[0].session_id}", "c": ""}}'
        rooms = len(live[0].breakout_rooms) if len(live) == 1 else 0
        if name == "start_breakout":
            return Reply(modal=messages.create_modal(meta, rooms, choices))
        return Reply(modal=messages.broadcast_modal(meta, text, choices))


def _field(values: Values, block_id: str, action_id: str = "v") -> Mapping[str, Any]:
    """A field's state; empty when it was left alone or does not exist."""
    block = values.get(block_id)
    found = block.get(action_id) if isinstance(block, Mapping) else None
    return found if isinstance(found, dict) else {}


def _whole(values: Values, block_id: str) -> int:
    try:
        return int(_field(values, block_id).get("value") or 0)
    except (ValueError, TypeError):
        raise FieldError(block_id, "Enter a whole number.") from None


def _chosen(values: Values, block_id: str) -> str:
    return str((_field(values, block_id).get("selected_option") or {}).get("value", ""))


def _session(meta: Mapping[str, str], values: Values) -> str:
    """The session that the form was made for, or that was chosen in it. Raises DomainError ``session_ended``."""
    found = _chosen(values, "session") or meta.get("s", "")
    if not found:
        raise DomainError("session_ended")
    return found
