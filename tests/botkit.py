"""The Slack door with real rooms on SQLite and a practice Slack on a free port, for its integration tests."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from bot import watch
from bot.app import Door, build_door
from bot.notify import Notifier
from bot.outbox import Clock, Outbox
from bot.settings import BotSettings
from bot.web import create_blueprint
from models.store import people, slack, slack_outbox
from models.store.database import Database
from models.store.migrate import upgrade
from models.values import Actor, ActorKind, CommandId, CourseId, Role, SessionId
from rooms import commands as c
from rooms.commands import Command, Envelope
from rooms.events import Recorded
from rooms.ports import Accepted
from rooms.service import RoomsService
from rooms.state import SessionState
from sandbox.slack import client as slack_client
from sandbox.slack.app import create_app
from sandbox.slack.setup import CLASS_CHANNEL, MODERATORS_CHANNEL, TEAM_ID, link_practice
from sandbox.slack.signin import Provider
from sandbox.slack.socket import SocketHub
from sandbox.slack.store import SlackStore

SECRET, TOKEN = "5ec2e7" + "0" * 26, "xoxb-of-the-tests"
CLIENT_ID, CLIENT_SECRET, APP_TOKEN = "client-of-the-tests", "c11e47" * 6, "xapp-of-the-tests"
ISSUER = "https://lms.test"
ALICE, BOB, CHARLIE, STRANGER = "U0ALICE", "U0BOB", "U0CHARLIE", "U0STRANGER"
MODS, CLASS = MODERATORS_CHANNEL, CLASS_CHANNEL


def until(check: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Poll a condition; its first true value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not in {seconds:.0f} s: {what}")


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an application in a thread; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@dataclass(slots=True)
class Practice:
    """A running practice Slack."""

    url: str
    store: SlackStore
    provider: Provider
    hub: SocketHub


@contextmanager
def practice_slack(bot_url: str = "http://127.0.0.1:9/slack/events") -> Iterator[Practice]:
    """The practice Slack; ``bot_url`` is where its page sends what people do."""
    outer = Flask("outer")
    with served(outer) as url:
        inner = create_app(
            url,
            bot_url,
            SECRET,
            TOKEN,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            app_token=APP_TOKEN,
        )
        outer.wsgi_app = inner.wsgi_app  # type: ignore[method-assign]
        hub: SocketHub = inner.config["HUB"]
        try:
            yield Practice(url, inner.config["STORE"], inner.config["PROVIDER"], hub)
        finally:
            hub.close()


@dataclass(slots=True)
class Bot:
    """The door: ``say``, ``press`` and ``submit`` are what people do in Slack."""

    db: Database
    rooms: RoomsService
    settings: BotSettings
    slack: Practice
    flask: Flask
    client: FlaskClient
    course_id: CourseId
    session_id: SessionId
    actors: dict[str, Actor]
    door: Door
    library: Path

    def restart(self) -> None:
        """The process ends; the next one begins."""
        self.door.desk.stop()
        self.door = build_door(self.settings, self.db, self.rooms, self.library)
        self.flask = _flask(self.db, self.door, self.settings, self.library)
        self.client = self.flask.test_client()

    # -- the rooms -----------------------------------------------------------------------------------------------

    def do(self, who: str, command: Command) -> Accepted:
        """Somebody acts in the browser."""
        return self.rooms.submit(Envelope(CommandId(uuid4().hex), self.session_id, self.actors[who], command))

    @property
    def state(self) -> SessionState:
        return self.rooms.state(self.session_id)

    def events(self) -> list[Recorded]:
        return list(self.rooms.events_after(self.session_id, 0))

    def names(self) -> list[str]:
        return [type(recorded.event).__name__ for recorded in self.events()]

    def run_breakout(self, count: int = 2) -> None:
        """A running breakout without countdown; Bob sits in room 1."""
        self.do(ALICE, c.CreateRooms(count, countdown_s=0, time_limit_s=600))
        self.do(ALICE, c.StartBreakout())
        assert self.state.breakout.status.value == "running"
        assert self.state.people[self.actors[BOB].person_id].room_id != "main"  # type: ignore[index]

    # -- Slack ---------------------------------------------------------------------------------------------------

    def post(self, body: str, at: int | None = None, headers: dict[str, str] | None = None) -> TestResponse:
        """A signed request at a Unix time; ``headers`` replace ours."""
        timestamp = str(int(time.time()) if at is None else at)
        made = {
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": slack_client.signature(SECRET, timestamp, body),
            "Content-Type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        return self.client.post("/slack/events", data=body.encode(), headers=made)

    def say(self, user: str, line: str, channel: str = MODS, trigger: str = "") -> str:
        """Type a command line; the ephemeral answer's text (empty when there is none)."""
        command, _, text = line.partition(" ")
        trigger = trigger or self.slack.store.new_trigger(user)
        answer = self.post(slack_client.command_body(user, channel, command, text, "", trigger))
        assert answer.status_code == 200, answer.text
        return str((answer.get_json(silent=True) or {}).get("text", ""))

    def action(
        self, user: str, action: dict[str, Any], channel: str = MODS, team: str = TEAM_ID
    ) -> dict[str, Any]:
        """The payload of a pressed button; ``team`` is the workspace the person belongs to."""
        url = self.slack.store.new_response_url(self.slack.url, channel, user)
        trigger = self.slack.store.new_trigger(user)
        payload = slack_client.action_payload(user, channel, {"ts": "1.000001"}, action, url, trigger)
        payload["user"]["team_id"] = team
        return payload

    def click(
        self, user: str, action_id: str, value: str = "", channel: str = MODS, team: str = TEAM_ID
    ) -> None:
        """Press a button, or choose ``value`` in the room menu."""
        chosen = {"selected_option": {"value": value}} if action_id == "room_menu" else {"value": value}
        payload = self.action(user, {"action_id": action_id, "type": "button", **chosen}, channel, team)
        assert self.post(slack_client.interaction_body(payload)).status_code == 200

    def press(
        self, user: str, action_id: str, value: str = "", channel: str = MODS, team: str = TEAM_ID
    ) -> str:
        """``click`` while nothing posts; what is answered only to them."""
        self.click(user, action_id, value, channel, team)
        return self.answered(user, channel)

    def outbox(self, **more: Any) -> Outbox:
        """An outbox of its own, not started."""

        def draw_home(team_id: str, user_id: str, limited: bool) -> dict[str, Any]:
            return self.door.home.view(team_id, user_id, limited=limited)

        return Outbox(
            self.settings,
            self.db,
            draw_home,
            again=self.door.listeners.again,
            meters=self.door.meters,
            **more,
        )

    def put(
        self,
        text: str,
        key: str | None = None,
        rev: int = 1,
        channel: str = MODS,
        team: str = TEAM_ID,
        **more: Any,
    ) -> None:
        """A message that waits in the outbox."""
        slack_outbox.put_out(
            self.db,
            team_id=team,
            channel_id=channel,
            method=more.pop("method", "message"),
            payload={"text": text, "blocks": [], **more.pop("payload", {})},
            coalesce_key=key,
            rev=rev,
            **more,
        )

    @property
    def waiting(self) -> int:
        """How much is due in the outbox."""
        return len(slack_outbox.due(self.db))

    def calls_of(self, method: str) -> list[dict[str, Any]]:
        """Calls of Slack's Web API."""
        return [call for call in self.slack.store.calls if call["method"] == method]

    def settle(self) -> None:
        """Wait until the desk has done what was asked."""
        until(lambda: self.door.desk.is_idle, "the desk is idle")

    def answered(self, user: str, channel: str = MODS) -> str:
        """Let the outbox answer; the newest ephemeral text."""
        before = {m["ts"] for m in self.slack.store.seen_by(channel, user) if m.get("only_for") == user}
        self.settle()
        self.outbox().work()
        return "".join(
            str(m["text"])
            for m in self.slack.store.seen_by(channel, user)
            if m.get("only_for") == user and m["ts"] not in before
        )

    def connect(self, user: str, code: str) -> str:
        """Type a code and confirm who it is; what is said then, or why not."""
        said = self.say(user, f"/room connect {code}")
        if said:
            return said
        answer = self.submit(user, self.view(user), {})
        self.slack.store.close_view(user)
        if "view" in answer:
            return str(answer["view"]["blocks"][0]["text"]["text"])
        return self.answered(user)

    def submit(self, user: str, view: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Submit a form; the answer's JSON."""
        payload = slack_client.view_payload(user, view, values)
        answer = self.post(slack_client.interaction_body(payload))
        assert answer.status_code == 200
        return dict(answer.get_json(silent=True) or {})

    def event(self, event: dict[str, Any], event_id: str = "", headers: dict[str, str] | None = None) -> int:
        """Send an event; the HTTP status."""
        body = slack_client.event_body(event, event_id or uuid4().hex)
        made = {"Content-Type": "application/json", **(headers or {})}
        return self.post(body, headers=made).status_code

    def view(self, user: str) -> dict[str, Any]:
        """The open form."""
        (found,) = self.slack.store.views_of(user)
        return found

    def bot_messages(self, channel: str = MODS) -> list[dict[str, Any]]:
        """Messages of the bot that all see."""
        return [m for m in self.slack.store.seen_by(channel, "") if m.get("bot") and not m.get("only_for")]

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Notifier and outbox run."""
        notifier = Notifier(self.db, self.rooms, self.settings.base_url)
        outbox = self.outbox()
        notifier.start()
        outbox.start()
        try:
            yield
        finally:
            notifier.stop()
            outbox.stop()


class Moved(Clock):
    """A clock of the outbox that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


def template_db(folder: Path) -> Path:
    """A migrated, empty database to copy."""
    upgrade(f"sqlite:///{folder / 'empty.db'}")
    return folder / "empty.db"


@contextmanager
def make_bot(folder: Path, empty: Path, practice: Practice) -> Iterator[Bot]:
    """A fresh world: BIO 101 is live with Alice and Bob inside; the practice Slack's people and channels are linked."""
    shutil.copy(empty, folder / "test.db")
    db = Database(f"sqlite:///{folder / 'test.db'}")
    link_practice(db, ISSUER)
    course_id = people.upsert_course(db, ISSUER, "bio101", "BIO 101")
    actors = {}
    for user, role in ((ALICE, Role.MODERATOR), (BOB, Role.PARTICIPANT), (CHARLIE, Role.MODERATOR)):
        person_id = slack.person_of(db, TEAM_ID, user)
        assert person_id is not None
        its_course = course_id if user != CHARLIE else people.upsert_course(db, ISSUER, "his200")
        actors[user] = Actor(ActorKind.PERSON, person_id, user[2:].title(), role, its_course)
    rooms = RoomsService(db)
    rooms.start()
    session_id = rooms.open_session(course_id, "BIO 101", "Room")
    practice.store.clear()
    practice.store.set_user(STRANGER)  # a member of the workspace, linked to nobody
    settings = BotSettings(
        SECRET,
        TOKEN,
        "https://room.test",
        TEAM_ID,
        f"{practice.url}/api/",
        card_interval_s=0.3,
        answer_within_s=10.0,
        watch_key="watch-key",
    )
    library = folder / "library"
    door = build_door(settings, db, rooms, library)
    flask = _flask(db, door, settings, library)
    bot = Bot(
        db,
        rooms,
        settings,
        practice,
        flask,
        flask.test_client(),
        course_id,
        session_id,
        actors,
        door,
        library,
    )
    for user in (ALICE, BOB):
        bot.do(user, c.EnterSession(actors[user].name, actors[user].role or Role.PARTICIPANT))
    try:
        yield bot
    finally:
        bot.door.desk.stop()
        rooms.close()
        db.close()


def _flask(db: Database, door: Door, settings: BotSettings, library: Path) -> Flask:
    flask = Flask("bot-test")
    flask.register_blueprint(create_blueprint(door.app, settings, door.meters))
    flask.register_blueprint(watch.create_blueprint(db, door.links, library, "media-key"))
    return flask
