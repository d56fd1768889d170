"""The only place that builds real things: every part of the web process from the settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from flask import Flask, Response

from api.admin.app import create_blueprints as admin_blueprints
from api.admin.deps import AdminDeps, LtiTools
from api.app import create_blueprints as api_blueprints
from api.files import Files
from lti.app import create_blueprint as lti_blueprint
from lti.deps import LtiDeps
from lti.lobby import set_course_roles
from lti.registration import TITLES, addresses, invitation
from lti.roles import DEFAULTS, SETTABLE
from lti.services.check import check_platform
from lti.shell import message, page
from media.plane import EmbeddedPlane
from models import room_settings
from models.store import people
from models.store.access import Access
from models.store.database import Database
from models.values import Role
from rooms.service import RoomsService
from server.alarms import Alarms
from server.settings import Settings
from server.storages import build_storages
from server.webhooks_job import build_setup
from server.wiring_slack import Slack, build_slack
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
    files: Files
    media: EmbeddedPlane
    slack: Slack

    def start_threads(self) -> None:
        """Follow the log, set the alarms, begin to post to Slack."""
        self.rooms.start()
        self.alarms.start()
        for part in self.slack.parts:
            part.start()

    def stop_threads(self) -> None:
        for part in self.slack.parts:
            part.stop()
        self.alarms.stop()
        self.files.close()
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
            "slack": self.slack.health,
            "slack_posting": self.slack.posting() if database else {},
            "sessions": sessions,
            "connected": self.hub.connected,
        }


def _enters_muted(db: Database, access: Access) -> bool:
    kept = people.course_settings(db, access.course_id).get(room_settings.SETTING)
    return access.role is not Role.MODERATOR and room_settings.from_json(kept).mute_on_entry


def build_web(settings: Settings) -> Web:
    """Build (and do not start) everything of the web process."""
    db = Database(settings.db_url, settings.time_zone)
    rooms = RoomsService(db)
    media = build_media(settings)
    signalling = SignallingSettings(
        allowed_origins=frozenset({settings.origin}),
        slack=settings.slack_enabled,
        turn_urls=tuple(url.strip() for url in settings.turn_urls.split(",") if url.strip()),
        turn_secret=settings.turn_secret,
        grace_s=float(settings.grace_s),
    )
    hub = Hub(rooms, media, signalling, partial(_enters_muted, db))
    slack = build_slack(settings, db, rooms)
    return Web(
        settings=settings,
        db=db,
        rooms=rooms,
        alarms=Alarms(rooms, empty_session_s=settings.empty_session_s),
        hub=hub,
        endpoint=Endpoint(hub, db, signalling),
        flask=build_flask(settings, db, rooms, slack),
        files=Files(db, settings.library_dir, settings.key("links"), build_storages(settings, db)),
        media=media,
        slack=slack,
    )


def build_media(settings: Settings) -> EmbeddedPlane:
    """The port to the embedded media worker."""
    return EmbeddedPlane(f"127.0.0.1:{settings.control_port}", settings.key("control"))


def build_flask(settings: Settings, db: Database, rooms: RoomsService, slack: Slack) -> Flask:
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
                old_link_keys=tuple(settings.previous_keys("lti-links")),
                library_root=settings.library_dir,
                lti_admins=settings.admin_lti,
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
        upload_quota_bytes=settings.upload_quota_mb * 1024 * 1024,
        retention=settings.retention_uncopied,
        webhooks=build_setup(settings, db),
        storages=build_storages(settings, db),
        reference=lambda: page(settings.web_dist, "reference", "Sideroom API", {}, ancestors=()),
    ):
        app.register_blueprint(blueprint)
    for blueprint in admin_blueprints(build_admin(settings, db)):
        app.register_blueprint(blueprint)
    for blueprint in slack.blueprints:
        app.register_blueprint(blueprint)
    app.add_url_rule("/", "start", _start)
    app.add_url_rule("/go", "go", _start)
    return app


def build_admin(settings: Settings, db: Database) -> AdminDeps:
    """The parts of the administration page."""
    base_url = settings.base_url.rstrip("/")
    return AdminDeps(
        db=db,
        base_url=base_url,
        csrf_key=settings.key("admin"),
        page=lambda boot: page(settings.web_dist, "admin", "Administration", boot, ancestors=()),
        lti=LtiTools(
            apps={app: title for app, (title, *_) in TITLES.items()},
            addresses=lambda app: addresses(base_url, app),
            invitation=partial(invitation, db, base_url),
            check=partial(check_platform, db),
            role_kinds={kind.value: DEFAULTS[kind].value for kind in SETTABLE},
            set_roles=partial(set_course_roles, db),
        ),
        storages=build_storages(settings, db),
        webhooks=build_setup(settings, db),
        lti_admins=settings.admin_lti,
    )


def _start() -> Response:
    return message(
        "Sideroom",
        "Open rooms from your course page: go to your course, choose the Room tool and press Open room.",
        status=200,
        ancestors=(),
    )
