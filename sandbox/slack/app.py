"""The practice Slack's endpoints: the page and its actions, and the Web API below ``/api/``."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask, Response, abort, jsonify, request, send_from_directory

from sandbox.slack import client
from sandbox.slack.limits import blocks_are_good, number_is_good, view_is_good
from sandbox.slack.setup import CHANNELS, TEAM_ID, USERS
from sandbox.slack.signin import BOT_ID, BOT_USER, Provider, add_routes
from sandbox.slack.socket import SocketHub
from sandbox.slack.store import SlackStore
from sandbox.slack.way import Answer, Way

HOME = "home"
"""What the page calls App Home instead of a channel."""
STATIC = Path(__file__).with_name("static")
MANIFEST = Path(__file__).parents[2] / "manifests" / "slack.http.json"


def manifest_features() -> dict[str, Any]:
    """What Slack knows of the app."""
    features: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))["features"]
    return features


def slash_commands() -> dict[str, dict[str, str]]:
    """The app's commands, from its manifest."""
    return {entry["command"]: entry for entry in manifest_features()["slash_commands"]}


def create_app(
    own_url: str,
    bot_url: str,
    signing_secret: str,
    bot_token: str,
    *,
    client_id: str = "",
    client_secret: str = "",
    app_token: str = "",
) -> Flask:
    """The workspace. ``own_url``: its own address; ``bot_url``: the bot's request URL.

    ``client_id`` and ``client_secret`` for its own pages (sign-in, installation), ``app_token`` for Socket Mode.
    """
    app = Flask(__name__, static_folder=None)
    store = SlackStore()
    store.tokens[bot_token] = TEAM_ID
    provider = Provider(own_url, client_id, client_secret)
    hub = SocketHub()
    app.config.update(STORE=store, PROVIDER=provider, HUB=hub)
    _page_routes(app, store, own_url, Way(bot_url, signing_secret, hub))
    _api_routes(app, store, provider, hub, app_token)
    add_routes(app, store, provider)
    _test_routes(app, store)
    return app


def _page_routes(app: Flask, store: SlackStore, own_url: str, way: Way) -> None:
    @app.get("/")
    def page() -> Response:
        return send_from_directory(STATIC, "index.html")

    @app.get("/static/<path:name>")
    def static_file(name: str) -> Response:
        return send_from_directory(STATIC, name)

    @app.get("/world")
    def world() -> Response:
        users = [{"id": u, "name": name} for u, (_, name) in USERS.items()]
        channels = [{"id": c, "name": name, "private": private} for c, (name, private) in CHANNELS.items()]
        known = slash_commands().values()
        commands = [
            {"command": c["command"], "description": c["description"], "usage": c["usage_hint"]}
            for c in known
        ]
        return jsonify(
            {
                "users": users,
                "channels": channels,
                "commands": commands,
                "shortcuts": manifest_features()["shortcuts"],
            }
        )

    @app.get("/channel/<channel>")
    def messages(channel: str) -> Response:
        """The channel as one person sees it; waits up to 10 s for something new (``since`` = version)."""
        user = request.args.get("user", "")
        since = request.args.get("since", 0, type=int)
        deadline = time.monotonic() + 10
        while store.version == since and time.monotonic() < deadline:
            time.sleep(0.1)
        home = {"ts": "home", "bot": True, "text": "", "blocks": store.homes.get(user, {}).get("blocks", [])}
        return jsonify(
            {
                "version": store.version,
                "messages": [home] if channel == HOME else store.seen_by(channel, user),
                "views": store.views_of(user),
            }
        )

    @app.post("/home")
    def home() -> Response:
        """Somebody opens App Home: the bot hears of it and publishes."""
        event = {"type": "app_home_opened", "user": str(_json()["user"]), "tab": "home", "channel": "D0HOME"}
        return jsonify({"ok": way.event(client.event_body(event, uuid4().hex)).ok})

    @app.post("/type")
    def type_text() -> Response:
        """Somebody types: a slash command goes to the bot, anything else is a message."""
        body = _json()
        user, channel, text = str(body["user"]), str(body["channel"]), str(body["text"]).strip()
        if not text.startswith("/"):
            store.add(channel, {"user": user, "text": _escaped(text)})
            return jsonify({"ok": True})
        command, _, rest = text.partition(" ")
        if command not in slash_commands():
            _ephemeral(store, channel, user, {"text": f"{command} is not a command here."})
            return jsonify({"ok": False})
        url, trigger = store.new_response_url(own_url, channel, user), store.new_trigger(user)
        answer = way.command(client.command_body(user, channel, command, _escaped(rest), url, trigger))
        return _show(store, channel, user, answer)

    @app.post("/click")
    def click() -> Response:
        """A button or menu of a message is used."""
        body = _json()
        user, channel = str(body["user"]), str(body["channel"])
        if channel == HOME:
            view, trigger = store.homes.get(user, {}), store.new_trigger(user)
            pressed = way.interaction(client.home_payload(user, view, dict(body["action"]), trigger))
            return jsonify({"ok": pressed.ok})
        message = store.find(channel, str(body["ts"]))
        if message is None:
            abort(404)
        payload = client.action_payload(
            user,
            channel,
            message,
            dict(body["action"]),
            store.new_response_url(own_url, channel, user, str(message["ts"])),
            store.new_trigger(user),
        )
        return _show(store, channel, user, way.interaction(payload))

    @app.post("/submit")
    def submit() -> Response:
        """A form is submitted; errors stay in the form."""
        body = _json()
        user = str(body["user"])
        views = store.views_of(user)
        if not views:
            abort(404)
        if wrong := _out_of_bounds(views[-1], dict(body["values"])):
            return jsonify({"ok": False, "errors": wrong})
        answer = way.interaction(client.view_payload(user, views[-1], dict(body["values"])))
        if answer.data.get("response_action") == "errors":
            return jsonify({"ok": False, "errors": answer.data.get("errors", {})})
        if answer.data.get("response_action") == "update":
            store.push_view(user, dict(answer.data["view"]))
            return jsonify({"ok": answer.ok})
        store.close_view(user)
        return jsonify({"ok": answer.ok})

    @app.post("/options")
    def options() -> Response:
        """A picker of a form asks the bot what there is to choose."""
        body = _json()
        user = str(body["user"])
        views = store.views_of(user)
        if not views:
            abort(404)
        asked = client.suggestion_payload(user, views[-1], str(body["block_id"]), str(body.get("value", "")))
        return jsonify({"options": way.interaction(asked).data.get("options", [])})

    @app.post("/shortcut")
    def shortcut() -> Response:
        """A shortcut of the app: from anywhere, or of a message (``ts``)."""
        body = _json()
        user, channel = str(body["user"]), str(body["channel"])
        message = store.find(channel, str(body["ts"])) if body.get("ts") else None
        url = store.new_response_url(own_url, channel, user) if message else ""
        made = client.shortcut_payload(
            user, str(body["callback_id"]), store.new_trigger(user), channel, message, url
        )
        return jsonify({"ok": way.interaction(made).ok})

    @app.post("/close")
    def close() -> Response:
        store.close_view(str(_json()["user"]))
        return jsonify({"ok": True})

    @app.post("/response/<key>")
    def response(key: str) -> tuple[str, int]:
        """A response_url: at most 5 uses in 30 minutes."""
        place = store.use_response(key)
        if place is None:
            return "used_url", 404
        channel, user = place
        message = dict(_json())
        original = store.original_of(key)
        if message.get("replace_original") and original:
            changes = {"text": message.get("text", ""), "blocks": message.get("blocks") or []}
            store.update(channel, original, changes)
        elif message.get("response_type") == "in_channel":
            store.add(channel, {"bot": True, **message})
        else:
            _ephemeral(store, channel, user, message)
        return "ok", 200


def _api_routes(app: Flask, store: SlackStore, provider: Provider, hub: SocketHub, app_token: str) -> None:
    without_token = {"openid.connect.token": provider.openid_token, "oauth.v2.access": provider.oauth_access}

    @app.post("/api/<method>")
    def api(method: str) -> Response | tuple[Response, int]:
        # The SDK sends calls without arguments as JSON without a body.
        said = request.get_json(silent=True) if request.is_json else _decoded(request.form.to_dict())
        body: dict[str, Any] = said if isinstance(said, dict) else {}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or str(body.get("token", ""))
        fault = store.note_call(method, body, token)
        if fault is not None:
            time.sleep(float(fault.get("hang", 0)))
            if "body" in fault:
                return _foreign(fault)
            if "status" in fault:
                answer = jsonify({"ok": False, "error": fault.get("error", "ratelimited")})
                answer.headers["Retry-After"] = str(fault.get("retry_after", 1))
                return answer, int(fault["status"])
            if "error" in fault:
                return jsonify({"ok": False, "error": fault["error"]})
        if method in without_token:
            return jsonify(without_token[method](store, _credentials(body)))
        if method == "apps.connections.open":
            if not app_token or token != app_token:
                return jsonify({"ok": False, "error": "invalid_auth"})
            return jsonify({"ok": True, "url": hub.ticket()})
        team_id = store.tokens.get(token)
        if team_id is None:
            return jsonify({"ok": False, "error": "invalid_auth"})
        if method == "auth.revoke":
            del store.tokens[token]
            return jsonify({"ok": True, "revoked": True})
        handler = _METHODS.get(method)
        if handler is None:
            return jsonify({"ok": False, "error": "unknown_method"})
        made = jsonify(handler(store, {**body, "team_id": team_id}))
        made.headers["x-oauth-scopes"] = provider.scopes
        return made


def _test_routes(app: Flask, store: SlackStore) -> None:
    @app.get("/test/calls")
    def calls() -> Response:
        return jsonify(list(store.calls))

    @app.post("/test/faults")
    def faults() -> Response:
        """Queue faults: ``{"method": …, "faults": [{"status": 429, "retry_after": 1} | {"error": …} | {"hang": 2} | {"body": …}]}``.

        A ``body`` is sent as it is, with ``status``, as a proxy in between would; ``cut``: the connection ends before it does.
        """
        body = _json()
        store.faults[str(body["method"])].extend(body["faults"])
        return jsonify({"ok": True})


# -- Web API ---------------------------------------------------------------------------------------------------


def _post_message(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    channel = str(body.get("channel", ""))
    if channel not in CHANNELS and channel not in store.users and not channel.startswith("D"):
        return {"ok": False, "error": "channel_not_found"}
    if not body.get("text") and not body.get("blocks"):
        return {"ok": False, "error": "no_text"}
    if not blocks_are_good(body.get("blocks") or []):
        return {"ok": False, "error": "invalid_blocks"}
    message = {"bot": True, "text": body.get("text", ""), "blocks": body.get("blocks") or []}
    ts = store.add(str(body["channel"]), message)
    return {"ok": True, "channel": body["channel"], "ts": ts, "message": {**message, "ts": ts}}


def _update(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    if not blocks_are_good(body.get("blocks") or []):
        return {"ok": False, "error": "invalid_blocks"}
    changes = {"text": body.get("text", ""), "blocks": body.get("blocks") or [], "edited": True}
    if not store.update(str(body.get("channel")), str(body.get("ts")), changes):
        return {"ok": False, "error": "message_not_found"}
    return {"ok": True, "channel": body["channel"], "ts": body["ts"], "text": body.get("text", "")}


def _permalink(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    channel, ts = str(body.get("channel")), str(body.get("message_ts"))
    if store.find(channel, ts) is None:
        return {"ok": False, "error": "message_not_found"}
    address = f"https://practice.slack.com/archives/{channel}/p{ts.replace('.', '')}"
    return {"ok": True, "channel": channel, "permalink": address}


def _post_ephemeral(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    _ephemeral(store, str(body.get("channel")), str(body.get("user")), body)
    return {"ok": True, "message_ts": store.new_ts()}


def _delete(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    gone = store.delete(str(body.get("channel")), str(body.get("ts")))
    return {"ok": True} if gone else {"ok": False, "error": "message_not_found"}


def _open_view(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    user = store.use_trigger(str(body.get("trigger_id", "")))
    if user is None:
        return {"ok": False, "error": "expired_trigger_id"}
    view = body.get("view") or {}
    if not view_is_good(view):
        return {"ok": False, "error": "invalid_arguments"}
    return {"ok": True, "view": store.push_view(user, dict(view))}


def _publish_view(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    view = dict(body.get("view") or {})
    if view.get("type") != "home" or not view_is_good(view):
        return {"ok": False, "error": "invalid_arguments"}
    store.publish_home(str(body.get("user_id", "")), view)
    return {"ok": True, "view": {**view, "id": "VHOME"}}


def _user_info(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    user = store.users.get(str(body.get("user", "")))
    return {"ok": True, "user": user} if user is not None else {"ok": False, "error": "user_not_found"}


def _channel_info(store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
    channel = str(body.get("channel", ""))
    if channel not in CHANNELS:
        return {"ok": False, "error": "channel_not_found"}
    name, private = CHANNELS[channel]
    info = {
        "id": channel,
        "name": name,
        "is_private": private,
        "is_archived": False,
        "is_ext_shared": False,
        "is_member": True,
    }
    info |= store.channel_flags.get(channel, {})
    return {"ok": True, "channel": info}


_METHODS: dict[str, Callable[[SlackStore, dict[str, Any]], dict[str, Any]]] = {
    "auth.test": lambda s, b: {
        "ok": True,
        "team_id": b["team_id"],
        "team": s.team_name(b["team_id"]),
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
    },
    "chat.postMessage": _post_message,
    "chat.update": _update,
    "chat.postEphemeral": _post_ephemeral,
    "chat.delete": _delete,
    "chat.getPermalink": _permalink,
    "views.open": _open_view,
    "views.push": _open_view,
    "views.publish": _publish_view,
    "users.info": _user_info,
    "conversations.info": _channel_info,
    "conversations.members": lambda _s, _b: {"ok": True, "members": list(USERS)},
}


def _out_of_bounds(view: dict[str, Any], values: dict[str, Any]) -> dict[str, str]:
    """Number fields that Slack itself would not let anybody send: block id → what it says."""
    wrong = {}
    for block in view.get("blocks", []):
        element, block_id = block.get("element") or {}, str(block.get("block_id", ""))
        if element.get("type") == "number_input":
            state = (values.get(block_id) or {}).get(str(element.get("action_id")), {})
            if not number_is_good(element, state.get("value")):
                wrong[block_id] = (
                    f"Enter a whole number from {element.get('min_value')} to {element.get('max_value')}."
                )
    return wrong


def _foreign(fault: dict[str, Any]) -> Response:
    body = str(fault["body"])
    answer = Response(body, int(fault.get("status", 200)), mimetype=str(fault.get("mimetype", "text/html")))
    if fault.get("cut"):
        answer.headers["Content-Length"] = str(len(body.encode()) + 100)
    return answer


# -- helpers ---------------------------------------------------------------------------------------------------


def _json() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        abort(400, "a JSON object is needed")
    return body


def _decoded(form: dict[str, str]) -> dict[str, Any]:
    """The SDK sends objects as JSON texts in a form."""
    body: dict[str, Any] = {}
    for key, value in form.items():
        try:
            body[key] = json.loads(value) if value[:1] in "[{" else value
        except ValueError:
            body[key] = value
    return body


def _credentials(body: dict[str, Any]) -> dict[str, Any]:
    """The SDK sends the app's credentials as HTTP Basic in some methods."""
    basic = request.authorization
    if basic is None or basic.type != "basic":
        return body
    return {**body, "client_id": basic.username or "", "client_secret": basic.password or ""}


def _escaped(text: str) -> str:
    """A command's text as Slack sends it: entities, addresses in angle brackets, “@Bob Keller” or “@bob” as a mention."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"https?://[^\s<>]+", lambda found: f"<{found[0]}>", text)
    for user_id, (key, name) in USERS.items():
        text = text.replace(f"@{name}", f"<@{user_id}|{key}>").replace(f"@{key}", f"<@{user_id}|{key}>")
    return text


def _ephemeral(store: SlackStore, channel: str, user: str, message: dict[str, Any]) -> None:
    store.add(
        channel,
        {
            "bot": True,
            "text": message.get("text", ""),
            "blocks": message.get("blocks") or [],
            "only_for": user,
        },
    )


def _show(store: SlackStore, channel: str, user: str, answer: Answer) -> Response:
    """Show the bot's immediate answer, or Slack's own words when there is none."""
    if not answer.ok:
        _ephemeral(store, channel, user, {"text": "The app did not respond (operation_timeout)."})
        return jsonify({"ok": False})
    if answer.data.get("text"):
        _ephemeral(store, channel, user, answer.data)
    return jsonify({"ok": True, "answer": answer.data})
