"""The Bolt application: signature, dedupe, tenant, then one thin listener a kind of request.

``process_before_response=True``: a listener does one short piece of database work and answers; every other call to
Slack goes through the outbox. A request taken before is answered 200 and changes nothing.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable
from typing import Any

from slack_bolt import App, BoltResponse
from slack_sdk.errors import SlackApiError, SlackClientError

from bot import identity_events
from bot.actions import Actions, Reply
from bot.ask import Asker, SlackRefusal
from bot.blocks import messages
from bot.grammar import BadUsage, parse
from bot.identity import Identity, home_of, team_of
from bot.inbox import request_key
from bot.install import Workspaces
from bot.registry import ALIASES, ROOT
from bot.settings import BotSettings
from models.store import slack
from models.store.database import Database
from models.values import Actor, SessionId
from rooms.errors import CODES, DomainError
from rooms.service import RoomsService
from rooms.state import SessionState

log = logging.getLogger("sideroom.bot")
SIMPLE_BUTTONS = ("gather", "end", "shuffle", "rr", "add_time", "rec_all")
for _name in ("slack_bolt", "slack_sdk"):
    # At INFO Bolt prints signatures and whole bodies of requests that it refuses.
    logging.getLogger(_name).setLevel(logging.WARNING)


def build_app(settings: BotSettings, db: Database, rooms: RoomsService) -> App:
    """The application; ``bot.web`` serves it over HTTP. Makes no call to Slack."""
    workspaces = Workspaces(settings, db)
    identity = Identity(settings, db, workspaces)
    app = App(
        signing_secret=settings.signing_secret,
        token_verification_enabled=False,
        process_before_response=True,
        authorize=lambda team_id: workspaces.authorize(team_id or ""),  # Bolt passes by name
    )
    actions = Actions(db, rooms, identity, functools.partial(_channel, workspaces))
    handler = _Handler(settings, db, actions, workspaces)
    app.middleware(handler.dedupe)
    app.error(handler.failed)
    for name in (ROOT, *ALIASES):
        app.command(name)(handler.finishing(handler.command))
    for name in SIMPLE_BUTTONS:
        app.action(name)(handler.finishing(handler.simple))
    app.action("room_menu")(handler.finishing(handler.room_menu))
    app.action("help_join")(handler.finishing(handler.help_join))
    app.action("help_dismiss")(handler.finishing(handler.help_dismiss))
    app.action("start_open")(handler.finishing(handler.start_open))
    app.action("broadcast_open")(handler.finishing(handler.broadcast_open))
    app.view("create_breakout")(handler.finishing(handler.create_breakout))
    app.view("broadcast")(handler.finishing(handler.broadcast))
    identity_events.register(app, db, workspaces, handler.finishing)
    # Last: link buttons, buttons of old messages, events that need nothing. Unacknowledged, Slack would show a
    # warning or count failures.
    app.action(re.compile(".*"))(handler.finishing(handler.nothing))
    app.event(re.compile(".*"))(handler.finishing(handler.event))
    return app


def _channel(workspaces: Workspaces, team_id: str, channel_id: str) -> dict[str, Any] | None:
    """What Slack knows about a channel; None when the app cannot see it. Raises SlackClientError, OSError."""
    client = workspaces.client(team_id)
    if client is None:
        return None
    try:
        found = client.conversations_info(channel=channel_id).get("channel")
    except SlackApiError as error:
        if error.response is not None and error.response.get("error") == "channel_not_found":
            return None
        raise
    return found if isinstance(found, dict) else None


class _Handler:
    def __init__(self, settings: BotSettings, db: Database, actions: Actions, workspaces: Workspaces) -> None:
        self._settings = settings
        self._db = db
        self._actions = actions
        self._workspaces = workspaces

    # -- before the listeners ----------------------------------------------------------------------------------

    def dedupe(self, body: dict[str, Any], next: Callable[[], BoltResponse]) -> BoltResponse:
        """Take each request once; refuse other workspaces even with a good signature."""
        if body.get("type") == "url_verification":
            return next()
        app_id = str(body.get("api_app_id") or "")
        if self._settings.app_id and app_id and app_id != self._settings.app_id:
            log.warning("slack.app_refused")
            return BoltResponse(status=200, body="")
        if self._workspaces.find(_team(body)) is None and not _is_farewell(body):
            log.warning("slack.team_refused")
            return BoltResponse(status=200, body="")
        key, kind = request_key(body)
        if not slack.take_in(self._db, key, kind):
            log.info("slack.repeated kind=%s", kind)
            return BoltResponse(status=200, body="")
        return next()

    def finishing(self, listener: Callable[..., None]) -> Callable[..., None]:
        """A listener that marks its request as done; one that died half-way is run again when Slack sends it again."""

        @functools.wraps(listener)
        def run(**given: Any) -> None:
            listener(**given)
            slack.finish_inbox(self._db, request_key(given["body"])[0], "done")

        return run

    def failed(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """A mistake of ours: told to who typed; everything else is answered 500, so Slack sends events again."""
        log.error("slack.listener_failed", exc_info=error)
        try:
            slack.finish_inbox(self._db, request_key(body)[0], "failed")
        except Exception:
            log.exception("slack.inbox_failed")
        if "command" not in body:
            return BoltResponse(status=500, body="")
        said = _ephemeral(Reply(CODES["internal"][1]))
        return BoltResponse(status=200, body=said, headers={"Content-Type": "application/json"})

    # -- listeners ---------------------------------------------------------------------------------------------

    def command(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        """Every slash command: parse, act, answer ephemerally in the acknowledgement itself."""
        asker = _asker(body, body.get("channel_id", ""))

        def act() -> Reply:
            return self._actions.run(asker, parse(body.get("command", ""), body.get("text", "")))

        reply = self._guarded(asker, body.get("command", ""), act)
        if reply.modal is not None:
            reply = self._open(asker.team_id, body.get("trigger_id", ""), reply)
        ack(**_ephemeral(reply))

    def simple(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        name = body["actions"][0]["action_id"]
        self._button(ack, body, lambda asker: self._actions.simple(asker, name))

    def room_menu(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        value = body["actions"][0].get("selected_option", {}).get("value", "")
        self._button(ack, body, lambda asker: self._actions.room_action(asker, value))

    def help_join(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        self._button(ack, body, lambda asker: self._call(asker, body, claim=True))

    def help_dismiss(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        self._button(ack, body, lambda asker: self._call(asker, body, claim=False))

    def _call(self, asker: Asker, body: dict[str, Any], *, claim: bool) -> Reply:
        session_id, _, call_id = str(body["actions"][0].get("value", "")).partition(":")
        return self._actions.answer_call(asker, SessionId(session_id), call_id, claim=claim)

    def start_open(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        def act(asker: Asker) -> Reply:
            actor, state = self._actions.here(asker)
            if not actor.is_moderator:
                raise DomainError("not_moderator")
            return self._open(
                asker.team_id,
                body.get("trigger_id", ""),
                Reply(modal=messages.create_modal(self._actions.meta(state, asker))),
            )

        self._button(ack, body, act)

    def broadcast_open(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        def act(asker: Asker) -> Reply:
            actor, state = self._actions.here(asker)
            if not actor.is_moderator:
                raise DomainError("not_moderator")
            return self._open(
                asker.team_id,
                body.get("trigger_id", ""),
                Reply(modal=messages.broadcast_modal(self._actions.meta(state, asker))),
            )

        self._button(ack, body, act)

    @staticmethod
    def nothing(ack: Callable[..., None], body: dict[str, Any]) -> None:
        """A button with an address, or of an older version."""
        ack()

    def create_breakout(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        values = body["view"]["state"]["values"]
        numbers = {}
        for block_id in ("rooms", "mins"):
            try:
                numbers[block_id] = int(values[block_id]["v"].get("value") or 0)
            except ValueError:
                ack(response_action="errors", errors={block_id: "Give a whole number."})
                return
        count, minutes = numbers["rooms"], numbers["mins"]
        chosen = {o["value"] for o in values["opts"]["v"].get("selected_options") or []}
        assign = (values["assign"]["v"].get("selected_option") or {}).get("value", "auto")
        limit = minutes * 60 if minutes else None
        self._submit_view(
            ack,
            body,
            "rooms",
            lambda asker, actor, state: self._actions.start(
                asker,
                actor,
                state,
                count,
                assign,
                limit,
                "record" in chosen,
                "may_return" in chosen,
            ),
        )

    def broadcast(self, ack: Callable[..., None], body: dict[str, Any]) -> None:
        text = body["view"]["state"]["values"]["text"]["v"].get("value") or ""
        self._submit_view(
            ack, body, "text", lambda asker, actor, state: self._actions.broadcast(asker, actor, state, text)
        )

    def event(self, ack: Callable[..., None], event: dict[str, Any], body: dict[str, Any]) -> None:
        """A channel that is gone or shared outside gets no more messages until it is linked again."""
        kind = event.get("type", "")
        if kind in ("channel_archive", "group_archive", "channel_deleted", "channel_shared"):
            slack.suspend_channel(self._db, _team(body), str(event.get("channel", "")), kind)
        ack()

    # -- shared ------------------------------------------------------------------------------------------------

    def _button(
        self,
        ack: Callable[..., None],
        body: dict[str, Any],
        act: Callable[[Asker], Reply],
    ) -> None:
        ack()
        asker = _asker(body, (body.get("channel") or {}).get("id", ""))
        reply = self._guarded(asker, body["actions"][0].get("action_id", ""), lambda: act(asker))
        url = str(body.get("response_url") or "")
        if reply.text and url:
            # Not from here: the acknowledgement must not wait for another call to Slack.
            slack.put_out(
                self._db,
                team_id=asker.team_id,
                channel_id=asker.channel_id,
                method="respond",
                payload={"url": url, "text": reply.text},
                priority=0,
            )

    def _submit_view(
        self,
        ack: Callable[..., None],
        body: dict[str, Any],
        block_id: str,
        act: Callable[[Asker, Actor, SessionState], Reply],
    ) -> None:
        meta = _read_meta(body["view"].get("private_metadata", ""))
        asker = _asker(body, meta.get("c", ""))
        what = str(body["view"].get("callback_id", ""))
        try:
            actor, state = self._actions.here(asker)
            if state.session_id != meta.get("s"):
                raise DomainError("session_ended")
            act(asker, actor, state)
        except (SlackRefusal, DomainError) as refusal:
            text = refusal.text if isinstance(refusal, SlackRefusal) else refusal.message
            self._note(asker, what, refusal.code)
            ack(response_action="errors", errors={block_id: text[:150]})
            return
        self._note(asker, what, "ok")
        ack()

    def _guarded(self, asker: Asker, what: str, act: Callable[[], Reply]) -> Reply:
        """Refusals become one ephemeral line; every action is noted in the audit log."""
        try:
            reply = act()
        except SlackRefusal as refusal:
            self._note(asker, what, refusal.code)
            return Reply(refusal.text)
        except BadUsage as usage:
            return Reply(str(usage))
        except DomainError as error:
            self._note(asker, what, error.code)
            return Reply(error.message)
        self._note(asker, what, "ok")
        return reply

    def _note(self, asker: Asker, what: str, result: str) -> None:
        person_id = slack.person_of(self._db, asker.team_id, asker.user_id)
        slack.audit(self._db, asker.user_id, person_id, what, asker.channel_id, result)

    def _open(self, team_id: str, trigger_id: str, reply: Reply) -> Reply:
        try:
            client = self._workspaces.client(team_id)
            if client is None:
                raise SlackClientError("not installed")
            client.views_open(trigger_id=trigger_id, view=reply.modal or {})
        except (SlackApiError, SlackClientError, OSError) as error:
            log.warning("slack.modal_failed error=%s", type(error).__name__)
            return Reply(
                "The form could not be opened. Try again, or type it: `/breakout start 4 for 15m auto`."
            )
        return Reply()


def _read_meta(text: str) -> dict[str, str]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return {k: str(v) for k, v in data.items()} if isinstance(data, dict) else {}


_team = team_of


def _is_farewell(body: dict[str, Any]) -> bool:
    """The app was taken out of a workspace: there may be no token any more, yet it must be heard."""
    return (body.get("event") or {}).get("type") in ("app_uninstalled", "tokens_revoked")


def _asker(body: dict[str, Any], channel_id: str) -> Asker:
    user = body.get("user") or {}
    user_id = str(body.get("user_id") or user.get("id") or "")
    return Asker(team_of(body), user_id, channel_id, request_key(body)[0], home_of(body))


def _ephemeral(reply: Reply) -> dict[str, Any]:
    if not reply.text:
        return {}
    answer: dict[str, Any] = {"response_type": "ephemeral", "text": reply.text}
    if reply.blocks:
        answer["blocks"] = reply.blocks
    return answer
