"""The only place that builds real things: every part of the web process from the settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask, Response
from slack_bolt import App

from api.admin.app import create_blueprints as admin_blueprints
from api.admin.deps import AdminDeps
from api.app import create_blueprints as api_blueprints
from bot.app import build_app
from bot.notify import Notifier
from bot.outbox import Outbox
from bot.settings import BotSettings
from bot.web import create_blueprint as bot_blueprint
from lti.app import create_blueprint as lti_blueprint
from lti.deps import LtiDeps
from lti.shell import message, page
from media.plane import EmbeddedPlane
from models.store.database import Database
from rooms.service import RoomsService
from server.alarms import Alarms
from server.settings import Settings
from signalling.app import Endpoint
from signalling.hub import Hub
from signalling.settings import SignallingSettings

log = logging.getLogger("sideroom.web")
MAX_BODY_BYTES = 2 * 1024 * 1024


@dataclass(slots=True)
class Web:
    """The parts of the web process, not yet started."""

    settings: Settings
    db: Database
    rooms: RoomsService
    alarms: Alarms
    hub: Hub
    endpoint: Endpoint
    flask: Flask
    media: EmbeddedPlane
    slack: tuple[Notifier, Outbox] | None

    def start_threads(self) -> None:
        """Follow the log, set the alarms, begin to post to Slack."""
        self.rooms.start()
        self.alarms.start()
        for part in self.slack or ():
            part.start()

    def stop_threads(self) -> None:
        for part in self.slack or ():
            part.stop()
        self.alarms.stop()
        self.rooms.close()
        self.db.close()

    def health(self) -> dict[str, object]:
        """``/healthz``: ok when the database answers; the rest tells an administrator where to look."""
        try:
            sessions = len(self.rooms.open_sessions())
            database = True
        except Exception:
            log.exception("health.database_failed")
            sessions, database = 0, False
        return {
            "ok": database,
            "database": database,
            "media": self.media.is_up,
            "slack": self.slack is not None,
            "sessions": sessions,
            "connected": self.hub.connected,
        }


def build_web(settings: Settings) -> Web:
    """Build (and do not start) everything of the web process."""
    db = Database(settings.db_url)
    rooms = RoomsService(db)
    media = build_media(settings)
    signalling = SignallingSettings(
        allowed_origins=frozenset({settings.origin}),
        slack=settings.slack_enabled,
        turn_urls=tuple(url.strip() for url in settings.turn_urls.split(",") if url.strip()),
        turn_secret=settings.turn_secret,
        grace_s=float(settings.grace_s),
    )
    hub = Hub(rooms, media, signalling)
    slack_settings = bot_settings(settings)
    slack_app = build_app(slack_settings, db, rooms) if settings.slack_enabled else None
    notifier = Notifier(db, rooms, settings.slack_team_id, settings.base_url)
    return Web(
        settings=settings,
        db=db,
        rooms=rooms,
        alarms=Alarms(rooms, empty_session_s=settings.empty_session_s),
        hub=hub,
        endpoint=Endpoint(hub, db, signalling),
        flask=build_flask(settings, db, rooms, slack_app),
        media=media,
        slack=(notifier, Outbox(slack_settings, db)) if slack_app is not None else None,
    )


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
        guests_moderate=settings.slack_guests_moderate,
    )


def build_media(settings: Settings) -> EmbeddedPlane:
    """The port to the embedded media worker."""
    return EmbeddedPlane(f"127.0.0.1:{settings.control_port}", settings.key("control"))


def build_flask(settings: Settings, db: Database, rooms: RoomsService, slack_app: App | None) -> Flask:
    """One Flask application with the blueprints of the doors."""
    app = Flask("sideroom", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.register_blueprint(
        lti_blueprint(
            LtiDeps(
                db,
                rooms,
                settings.base_url.rstrip("/"),
                settings.web_dist,
                settings.slack_enabled,
                link_key=settings.key("lti-links"),
                library_root=settings.library_dir,
            )
        )
    )
    for blueprint in api_blueprints(
        db=db,
        rooms=rooms,
        library_root=settings.library_dir,
        link_key=settings.key("links"),
        base_url=settings.base_url.rstrip("/"),
        max_upload_bytes=settings.upload_max_mb * 1024 * 1024,
        retention=timedelta(days=settings.retention_days) if settings.retention_days else None,
    ):
        app.register_blueprint(blueprint)
    for blueprint in admin_blueprints(build_admin(settings, db)):
        app.register_blueprint(blueprint)
    if slack_app is not None:
        app.register_blueprint(bot_blueprint(slack_app))
    app.add_url_rule("/", "start", _start)
    app.add_url_rule("/go", "go", _start)
    return app


def build_admin(settings: Settings, db: Database) -> AdminDeps:
    """The parts of the administration page."""
    return AdminDeps(
        db=db,
        base_url=settings.base_url.rstrip("/"),
        csrf_key=settings.key("admin"),
        page=lambda boot: page(settings.web_dist, "admin", "Administration", boot, ancestors=()),
        lti_admins=settings.admin_lti,
    )


def _start() -> Response:
    return message(
        "Sideroom",
        "Rooms are opened from the course page: go to your course, choose the Room tool and press Open room.",
        status=200,
        ancestors=(),
    )
