"""Help calls from Slack: list, answer, dismiss. The first claim wins, wherever it comes from."""

from __future__ import annotations

from bot.ask import Asker, Reply, SlackRefusal
from bot.blocks import calls as call_blocks
from bot.blocks.parts import actions, button, escape, section
from bot.grammar import Typed
from bot.scene import Scene, Stage
from models.values import CallId, CallStatus, PersonId
from rooms import commands as c
from rooms.errors import DomainError
from rooms.state import HelpCall, SessionState

LISTED = 20


class CallVerbs:
    """One method a verb. Raises SlackRefusal or DomainError."""

    def __init__(self, stage: Stage, base_url: str) -> None:
        self._stage = stage
        self._base_url = base_url

    def listing(self, asker: Asker, _typed: Typed | None = None) -> Reply:
        scene = self._stage.scene(asker)
        scene.require_moderator()
        calls = open_calls(scene.state)
        if not calls:
            return Reply("No one is waiting for help.")
        blocks, lines = [], []
        for number, call in enumerate(calls, 1):
            lines.append(f"{number}. {call_blocks.call_text(scene.state, call)} ({call.status.value})")
            value = f"{scene.state.session_id}:{call.call_id}"
            accessory = {}
            if call.status is CallStatus.RAISED:
                accessory = {"accessory": button("Join", "help_join", value)}
            blocks.append(section(lines[-1], **accessory))
        return Reply("\n".join(lines), blocks[:LISTED])

    def numbered(self, asker: Asker, typed: Typed, *, claim: bool) -> Reply:
        """``/help-calls join N``: N counts the open calls, oldest first. Joining without one answers the oldest."""
        scene = self._stage.scene(asker)
        scene.require_moderator()
        calls = open_calls(scene.state)
        if typed.number is None and not claim and len(calls) > 1:
            raise SlackRefusal("bad_usage", "Add which call: `/help-calls dismiss 2`.", value="dismiss")
        number = 1 if typed.number is None else typed.number
        if not 1 <= number <= len(calls):
            raise SlackRefusal("call_unknown", f"There’s no call {number}. Type `/help-calls list`.")
        return self._answer(scene, calls[number - 1].call_id, claim=claim)

    def answer(self, asker: Asker, value: str, *, claim: bool) -> Reply:
        """A button of a call: ``SESSION:CALL``."""
        session_id, _, call_id = value.partition(":")
        try:
            scene = self._stage.scene(asker, session_id)
        except DomainError as error:
            if error.code in ("session_ended", "no_session"):
                raise DomainError("call_closed") from None
            raise
        return self._answer(scene, CallId(call_id), claim=claim)

    def _answer(self, scene: Scene, call_id: CallId, *, claim: bool) -> Reply:
        command = c.ClaimCall(call_id) if claim else c.DismissCall(call_id)
        try:
            accepted = self._stage.submit(scene, command)
        except DomainError as error:
            if error.code == "already_claimed":
                raise self._claimed_by(scene.state, str(error.facts.get("by", ""))) from None
            raise
        if not claim:
            return Reply("Dismissed.")
        me = accepted.state.people.get(scene.actor.person_id) if scene.actor.person_id is not None else None
        if me is not None and me.online:
            return Reply("You’re on the way.")
        text = "You’re on the way. Open the room to join them."
        return Reply(text, [section(text), self.open_button(scene.state)])

    def open_button(self, state: SessionState) -> dict[str, object]:
        """A link to the room's page; the browser still has to prove who it is (by the course page)."""
        url = f"{self._base_url}/room/{state.session_id}"
        return actions(
            f"go:{state.session_id}", button("Open the room", "open_dashboard", style="primary", url=url)
        )

    @staticmethod
    def _claimed_by(state: SessionState, person_id: str) -> SlackRefusal:
        person = state.people.get(PersonId(person_id))
        who = f"*{escape(person.name)}*" if person is not None else "Another moderator"
        return SlackRefusal("already_claimed", f"{who} is already on the way.")


def open_calls(state: SessionState) -> list[HelpCall]:
    """Calls that wait or are being answered, oldest first."""
    waiting = (c for c in state.calls.values() if c.status in (CallStatus.RAISED, CallStatus.CLAIMED))
    return sorted(waiting, key=lambda call: call.raised_at)
