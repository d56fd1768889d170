"""Builds the Slack door from the settings: its blueprints, its threads, and the sockets when Slack is not to call us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flask import Blueprint

from bot import identity_web, install_web
from bot.app import build_door
from bot.identity_watch import Watch
from bot.names import read_names
from bot.notify import Notifier
from bot.outbox import Outbox
from bot.settings import BotSettings
from bot.socket import SocketDoor
from bot.watch import create_blueprint as create_watch_blueprint
from bot.web import create_blueprint
from models.store.database import Database
from rooms.service import RoomsService
from server.settings import Settings


class Part(Protocol):
    """Something with a thread of its own."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Slack:
    """Not yet started. ``parts`` are empty while Slack is off; the page's calls are answered then too, with a refusal."""

    blueprints: Sequence[Blueprint]
    parts: Sequence[Part] = ()
    socket: SocketDoor | None = None
    outbox: Outbox | None = None

    @property
    def health(self) -> bool | str:
        """For ``/healthz``: off, on, or that no connection to Slack is open."""
        if self.socket is not None and not self.socket.connections:
            return "no connection"
        return bool(self.parts)

    def posting(self) -> dict[str, object]:
        """For ``/healthz``: how much waits to be posted, for how long, and when Slack last took something."""
        return self.outbox.health() if self.outbox is not None else {}


def bot_settings(settings: Settings) -> BotSettings:
    """What the Slack door needs of the settings."""
    return BotSettings(
        signing_secret=settings.slack_signing_secret,
        bot_token=settings.slack_bot_token,
        base_url=settings.base_url.rstrip("/"),
        team_id=settings.slack_team_id,
        api_url=settings.slack_api_url,
        client_id=settings.slack_client_id,
        client_secret=settings.slack_client_secret,
        app_id=settings.slack_app_id,
        app_token=settings.slack_app_token,
        old_signing_secret=settings.slack_old_signing_secret,
        token_key=settings.key("slack tokens"),
        old_token_keys=tuple(settings.previous_keys("slack tokens")),
        guests_moderate=settings.slack_guests_moderate,
        names=read_names(settings.slack_commands),
        watch_key=settings.key("watch"),
    )


def build_slack(settings: Settings, db: Database, rooms: RoomsService) -> Slack:
    """Everything of the Slack door. In Socket Mode there is no address for Slack to call."""
    bot = bot_settings(settings)
    pages = identity_web.create_blueprint(bot, db, enabled=settings.slack_enabled)
    if not settings.slack_enabled:
        return Slack([pages])
    door = build_door(bot, db, rooms, settings.library_dir)
    player = create_watch_blueprint(db, door.links, settings.library_dir, settings.key("links"))
    blueprints = [pages, player]
    if bot.by_oauth:
        blueprints.append(install_web.create_blueprint(bot, db, door.meters))
    socket = SocketDoor(door.app, bot, meters=door.meters) if bot.app_token else None
    if socket is None:
        blueprints.append(create_blueprint(door.app, bot, door.meters))
    outbox = Outbox(
        bot,
        db,
        lambda team, user, limited: door.home.view(team, user, limited=limited),
        again=door.listeners.again,
        meters=door.meters,
    )
    parts: list[Part] = [Notifier(db, rooms, bot.base_url), outbox, door.desk, Watch(bot, db)]
    # First, so that it stops first: nothing comes in any more while the others finish.
    return Slack(blueprints, [*([socket] if socket is not None else []), *parts], socket, outbox)
