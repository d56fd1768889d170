"""What people do in Slack, for the bot's integration tests: Home, shortcuts, buttons of all kinds, a recording that is ready."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from models.store import library as library_store
from models.store import people, slack
from models.values import SYSTEM, CommandId, Role
from rooms import commands as c
from rooms.commands import Envelope, ReportRecording
from sandbox.slack import client as slack_client
from sandbox.slack.setup import TEAM_ID
from tests.botkit import (
    ALICE,
    ISSUER,
    MODS,
    Bot,
)

MODERATOR_WORDS = "Only moderators can do this."
COURSE_WORDS = "You’re not in this course."
CONNECT_WORDS = "Connect your course account first"


def the_call(bot: Bot) -> Any:
    (call,) = bot.state.calls.values()
    return call


def press_any(bot: Bot, user: str, button: str, team: str = TEAM_ID) -> str:
    name, _, what = button.partition(":")
    value = str(bot.session_id)
    if name == "rec_go":
        value = f"{bot.session_id}:2"
    elif what:
        value = f"{what}:{bot.session_id}:1"
    elif name.startswith("help_"):
        value = f"{bot.session_id}:{the_call(bot).call_id}"
    return bot.press(user, name, value, team=team)


def second_moderator(bot: Bot) -> str:
    person_id = people.upsert_person(bot.db, ISSUER, "olga", "Olga")
    people.upsert_membership(bot.db, bot.course_id, person_id, Role.MODERATOR, [])
    bot.slack.store.set_user("U0OLGA")
    slack.link_user(bot.db, TEAM_ID, "U0OLGA", person_id)
    olga = bot.actors[ALICE].__class__(
        bot.actors[ALICE].kind, person_id, "Olga", Role.MODERATOR, bot.course_id
    )
    bot.actors["U0OLGA"] = olga
    bot.do("U0OLGA", c.EnterSession("Olga", Role.MODERATOR))
    return "U0OLGA"


def create_values(
    rooms: str | None = "3", mins: str | None = "10", opts: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "rooms": {"v": {"type": "number_input", "value": rooms}},
        "assign": {"v": {"type": "radio_buttons", "selected_option": {"value": "auto"}}},
        "mins": {"v": {"type": "number_input", "value": mins}},
        "opts": {"v": {"type": "checkboxes", "selected_options": [{"value": value} for value in opts]}},
    }


def home_of(bot: Bot, user: str) -> str:
    """Open App Home; what it shows, as JSON."""
    assert bot.event({"type": "app_home_opened", "user": user, "tab": "home", "channel": "D1"}) == 200
    bot.outbox().work()
    return json.dumps(bot.slack.store.homes[user], ensure_ascii=False)


def press_home(bot: Bot, user: str, action_id: str, value: str = "") -> None:
    """Press a button of App Home: there is no channel, message or response_url."""
    payload = bot.action(user, {"action_id": action_id, "type": "button", "value": value})
    for name in ("channel", "message", "response_url"):
        payload.pop(name)
    payload["container"] = {"type": "view", "view_id": "VHOME"}
    payload["view"] = {"id": "VHOME", "type": "home", "hash": "1", "private_metadata": "", "callback_id": ""}
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200
    bot.settle()


def shortcut(bot: Bot, user: str, callback_id: str, text: str = "", channel: str = MODS) -> None:
    message = {"ts": "1.1", "text": text, "user": user} if text else None
    url = bot.slack.store.new_response_url(bot.slack.url, channel, user)
    trigger = bot.slack.store.new_trigger(user)
    payload = slack_client.shortcut_payload(user, callback_id, trigger, channel, message, url)
    assert bot.post(slack_client.interaction_body(payload)).status_code == 200
    bot.settle()


def record(bot: Bot, tmp_path: Path, owner: str = ALICE) -> str:
    """A recording that is ready in the library; its id."""
    bot.do(owner, c.StartRecording())
    (recording,) = bot.state.recordings.values()
    for status, more in (
        ("RECORDING", {}),
        ("UPLOADING", {}),
        ("UPLOADED", {"duration_s": 65.0, "entry_id": "e1"}),
    ):
        report = ReportRecording(recording.recording_id, status, **more)  # type: ignore[arg-type]
        bot.rooms.submit(Envelope(CommandId(uuid4().hex), bot.session_id, SYSTEM, report))
    folder = tmp_path / "library" / "e1"
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(b"film")
    library_store.save_entry(
        bot.db,
        "e1",
        {
            "course_id": bot.course_id,
            "owner_id": bot.actors[owner].person_id,
            "recording_id": recording.recording_id,
            "title": "BIO 101 <film>",
            "published": False,
            "status": "ready",
            "path": "e1",
            "file_name": "video.mp4",
            "size_bytes": 212_000_000,
            "recorded_at": datetime.now(UTC),
            "created_at": datetime.now(UTC),
            "expires_at": datetime.now(UTC) + timedelta(days=7),
        },
    )
    return str(recording.recording_id)
