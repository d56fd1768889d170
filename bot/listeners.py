"""From Slack's payloads to the verbs and back: one method a kind of request, tables from names to what they do."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slack_bolt import BoltContext

from bot.ask import Asker, Reply, SlackRefusal
from bot.blocks.parts import option
from bot.desk import FORM_S, Desk, Task, shown
from bot.forms import FieldError, Forms
from bot.grammar import Typed, parse
from bot.identity import home_of, team_of
from bot.inbox import request_key
from bot.install import Workspaces
from bot.markup import plain_words
from bot.names import Names
from bot.outcomes import UNREACHABLE, SlackFailure, ask
from bot.redo import TOO_LATE
from bot.verbs import Verbs
from rooms.errors import DomainError

log = logging.getLogger("sideroom.bot")
Ack = Callable[..., None]
Body = dict[str, Any]
Press = Callable[[Asker, str], Reply]
KEPT_VERBS = {("breakout", "end"), ("record", "stop")}
KEPT_BUTTONS = ("end", "room_menu:rec_stop")
"""What is tried again for a minute while the classroom cannot be reached: who ends or stops means it."""


class Listeners:
    """Thin: every method reads a payload, has the desk do the work, and acknowledges."""

    def __init__(self, verbs: Verbs, forms: Forms, desk: Desk, workspaces: Workspaces, names: Names) -> None:
        self._verbs = verbs
        self._forms = forms
        self._desk = desk
        self._workspaces = workspaces
        self._names = names

    def command(self, ack: Ack, body: Body, context: BoltContext) -> None:
        """Every slash command; the answer stands in the acknowledgement, or follows when it takes longer."""
        task = self._command(body)
        reply = self._desk.answer(task, self._opener(task.asker), came_at=float(context["came_at"]))
        answer = shown(reply, self._names) if reply.text else {}
        ack(**({"response_type": "ephemeral", **answer} if answer else {}))

    def _command(self, body: Body) -> Task:
        asker = asker_of(body, str(body.get("channel_id", "")))
        command, text = str(body.get("command", "")), str(body.get("text") or "")
        try:
            typed = parse(command, text, self._names)
            keep = (typed.verb.group, typed.verb.name) in KEPT_VERBS
            what = " ".join(part for part in (typed.verb.group, typed.verb.name, _room(typed)) if part)
        except Exception:
            keep, what = False, command  # said properly when it is done

        def act() -> Reply:
            return self._verbs.say(asker, command, text)

        return Task(asker, what, act, _trigger(body), str(body.get("response_url") or ""), keep)

    def action(self, ack: Ack, body: Body) -> None:
        """Buttons and menus, in messages and in App Home; also those of older versions and those with an address."""
        ack()
        task = self._action(body)
        if task is None:
            self._desk.done(request_key(body)[0])
        else:
            self._desk.submit(task, self._opener(task.asker))

    def _action(self, body: Body) -> Task | None:
        pressed = body.get("actions") or []
        if not pressed:
            return None  # an old dialog, or a payload without what was pressed
        action = pressed[0]
        name = str(action.get("action_id", "")).partition(":")[0]
        value = str(action.get("value") or (action.get("selected_option") or {}).get("value") or "")
        press = self._verbs.buttons.get(name)
        if press is None:
            return None
        asker = asker_of(body, channel_of(body))
        said = value.split(":")
        what = f"{name}:{said[0]}" if name in ("room_menu", "rec_menu") else name
        number = said[-1] if name in ("room_menu", "rec_go", "rec_choose") and said[-1].isdecimal() else ""
        return Task(
            asker,
            f"{what} room {number}" if number else what,
            lambda: press(asker, value),
            _trigger(body),
            str(body.get("response_url") or ""),
            what in KEPT_BUTTONS,
            bool((body.get("container") or {}).get("is_ephemeral")),
        )

    def shortcut(self, ack: Ack, body: Body) -> None:
        """Global shortcuts and those of a message."""
        ack()
        task = self._shortcut(body)
        self._desk.submit(task, self._opener(task.asker))

    def _shortcut(self, body: Body) -> Task:
        asker = asker_of(body, channel_of(body))
        name = str(body.get("callback_id", ""))
        text = plain_words(str((body.get("message") or {}).get("text") or ""))
        return Task(
            asker,
            name,
            lambda: self._forms.shortcut(asker, name, text),
            _trigger(body),
            str(body.get("response_url") or ""),
        )

    def view(self, ack: Ack, body: Body) -> None:
        """A submitted form: closed, or its errors shown at their fields."""
        answer: Body = {}
        task = self._view(body, answer)

        def update(_trigger: str, view: Body) -> None:
            answer.update(response_action="update", view=view)

        reply = self._desk.answer(task, update, seconds=FORM_S)
        ack(**answer)
        self._desk.tell(task.asker, reply)

    def _view(self, body: Body, answer: Body) -> Task:
        """``answer`` gets what the form shall show."""
        view = body.get("view") or {}
        meta = _read_meta(str(view.get("private_metadata") or ""))
        asker = asker_of(body, meta.get("c", ""))
        name = str(view.get("callback_id", ""))
        values = (view.get("state") or {}).get("values") or {}

        def act() -> Reply:
            try:
                return self._forms.submit(asker, name, meta, values)
            except FieldError as error:
                answer.update(response_action="errors", errors={error.block_id: error.text})
                return Reply(error.text, code="bad_value")
            except (SlackRefusal, DomainError) as error:
                text = error.text if isinstance(error, SlackRefusal) else error.message
                answer.update(self._forms.refused(name, self._names.render(text)))
                return Reply(text, code=error.code)

        return Task(asker, name, act, _trigger(body))

    def again(self, key: str, body: Body, may_run: bool) -> bool:
        """Do a request that a dead process left undone, or say that it is too late; False while it is being worked on."""
        if self._desk.is_at(key):
            return False
        if "command" in body:
            task: Task | None = self._command(body)
        elif body.get("type") == "block_actions":
            task = self._action(body)
        elif body.get("type") == "view_submission":
            task = self._view(body, {})
        else:
            task = self._shortcut(body)
        if task is None:
            self._desk.done(key)
        elif may_run:
            self._desk.submit(task, self._opener(task.asker))
        else:
            self._desk.submit(
                replace(task, act=lambda: Reply(TOO_LATE, code="too_late")), self._opener(task.asker)
            )
        return True

    @staticmethod
    def closed(ack: Ack) -> None:
        """A form was closed without sending it."""
        ack()

    def options(self, ack: Ack, body: Body) -> None:
        """The course picker's list while somebody types."""
        meta = _read_meta(str((body.get("view") or {}).get("private_metadata") or ""))
        asker = asker_of(body, meta.get("c", ""))
        try:
            found = self._verbs.links.suggest(asker, str(body.get("value") or ""))
        except SlackRefusal:
            found = []
        ack(options=[option(target.title, target.key) for target in found])

    def _opener(self, asker: Asker) -> Callable[[str, Body], None]:
        def open_form(trigger_id: str, view: Body) -> None:
            client = self._workspaces.client(asker.team_id)
            if client is None:
                raise SlackFailure(UNREACHABLE, why="not installed")
            ask(lambda: client.views_open(trigger_id=trigger_id, view=view))

        return open_form


def channel_info(workspaces: Workspaces, asker: Asker) -> dict[str, Any] | None:
    """What Slack knows about the asker's channel; None when the app cannot see it. Raises SlackFailure."""
    client = workspaces.client(asker.team_id)
    if client is None:
        return None
    try:
        found = ask(lambda: client.conversations_info(channel=asker.channel_id)).get("channel")
    except SlackFailure as failure:
        if failure.code == "channel_not_found":
            return None
        raise
    if not isinstance(found, dict):
        raise SlackFailure(UNREACHABLE, why="no channel in the answer")
    return found


def asker_of(body: Body, channel_id: str) -> Asker:
    """Who asks, by ids only: names, tokens and values say nothing about rights."""
    user = body.get("user")
    user_id = str(body.get("user_id") or (user.get("id") if isinstance(user, dict) else user) or "")
    return Asker(team_of(body), user_id, channel_id, request_key(body)[0], home_of(body))


def channel_of(body: Body) -> str:
    """Where something was pressed; empty in App Home and in forms."""
    channel = body.get("channel")
    return str((channel.get("id") if isinstance(channel, dict) else channel) or "")


def _room(typed: Typed) -> str:
    """Which rooms were meant, for the audit; numbers only, never names or texts."""
    if typed.rooms:
        return "rooms " + ", ".join(map(str, typed.rooms))
    has_room = typed.number is not None and (typed.verb.group, typed.verb.name) != ("breakout", "start")
    return f"room {typed.number}" if has_room and typed.verb.group != "help-calls" else ""


def _trigger(body: Body) -> str:
    return str(body.get("trigger_id") or "")


def _read_meta(text: str) -> dict[str, str]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return {k: str(v) for k, v in data.items()} if isinstance(data, dict) else {}
