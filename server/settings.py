"""Every setting, from the environment (``SIDEROOM_*``). docs/configuration.md lists the same keys (checked by a test).

Secrets may also be given as ``SIDEROOM_<KEY>_FILE``. All mistakes are reported at once, one line each.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from hashlib import sha256
from hmac import new as hmac_new
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.names import BadNames, read_names
from foundation.address import origin
from foundation.zone import read_zone
from media.wire import advertised

ELSEWHERE = frozenset(
    {
        "SIDEROOM_DEMO_LMS_PORT",
        "SIDEROOM_DEMO_SLACK_PORT",
        "SIDEROOM_SETUP_TESTS",
        "SIDEROOM_MEDIA_SECRET",
        "SIDEROOM_TAP_SECRET",
    }
)
"""Variables of the demo, the set-up script and the media worker: no settings, but no mistakes either."""


MIN_SECRET_CHARS = 32


class SettingsError(Exception):
    """The configuration cannot be used; ``problems`` holds one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _setting(default: object, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """One value a key; the environment's name is ``SIDEROOM_`` + the upper-case field name."""

    data_dir: Path = _setting(
        Path("var"), "Folder for database, recordings, library, logs. Must be writable."
    )
    database_url: str = _setting(
        "", "SQLAlchemy URL; empty: SQLite in the data folder. PostgreSQL: postgresql+psycopg://…"
    )
    base_url: str = _setting(
        "http://127.0.0.1:8080", "Public address of this server as browsers and the LMS see it."
    )
    host: str = _setting("127.0.0.1", "Address the web server listens on.")
    port: int = _setting(8080, "TCP port the web server listens on.")
    media_host: str = _setting(
        "127.0.0.1", "Address the media worker's port is bound to (`0.0.0.0`: IPv4, `::`: IPv4 and IPv6)."
    )
    media_port: int = _setting(
        40000, "The one port of the media worker: UDP, and TCP for networks that block UDP."
    )
    media_advertise_ip: str = _setting(
        "127.0.0.1",
        "IP address of the media worker as browsers reach it; IPv4 and IPv6 separated by a comma.",
    )
    control_port: int = _setting(
        40001, "Loopback TCP port on which the media worker takes the server's commands."
    )
    tap_port: int = _setting(40002, "Loopback TCP port on which the media worker feeds the recorder.")
    tap_keep_s: int = _setting(
        60,
        "Seconds of each recorded room that the media worker keeps for a recorder that is being restarted.",
    )
    tap_keep_mb: int = _setting(
        64, "MiB of one recorded room that are kept at most; six cameras and a shared screen need 1 MiB/s."
    )
    tap_keep_total_mb: int = _setting(768, "MiB of all recorded rooms together that are kept at most.")
    secret: str = _setting(
        "", "Site secret (32 or more characters); empty: made once and kept in the data folder.", secret=True
    )
    web_dist: Path = _setting(Path("web/dist"), "Folder of the built web client.")
    turn_urls: str = _setting("", "TURN servers for clients, comma separated (turn:host:3478?transport=udp).")
    turn_secret: str = _setting("", "coturn's static-auth-secret for time-limited credentials.", secret=True)
    slack_signing_secret: str = _setting(
        "", "Signing secret of the Slack app; needed unless Socket Mode is used.", secret=True
    )
    slack_old_signing_secret: str = _setting(
        "", "The signing secret before it was changed; accepted too while it is set.", secret=True
    )
    slack_bot_token: str = _setting(
        "",
        "Bot token (xoxb-…) of the Slack app in one workspace; empty: workspaces install the app themselves.",
        secret=True,
    )
    slack_team_id: str = _setting(
        "",
        "Workspace that may use the bot (T…); without a bot token: those that may install it, comma separated, or *. Needed when Slack is on.",
    )
    slack_client_id: str = _setting(
        "", "Client id of the Slack app: for Sign in with Slack, and for installation in several workspaces."
    )
    slack_client_secret: str = _setting("", "Client secret of the Slack app.", secret=True)
    slack_app_token: str = _setting(
        "",
        "App-level token (xapp-…) with connections:write; set: Slack is spoken to by Socket Mode, no public address is needed.",
        secret=True,
    )
    slack_app_id: str = _setting("", "App id (A…); set: requests for other apps are refused.")
    slack_guests_moderate: bool = _setting(
        False, "Whether guests of a Slack workspace may run rooms when the course says they moderate."
    )
    slack_commands: str = _setting(
        "",
        "Other names for the Slack commands room, breakout, broadcast, help-calls, record, such as "
        "“room=/classroom, record=”; an empty one leaves that command out.",
    )
    slack_api_url: str = _setting("https://slack.com/api/", "Address of Slack's Web API.")
    previous_secrets: str = _setting(
        "",
        "Earlier site secrets, comma separated: stored credentials (storages, webhooks, Slack) are read with them and sealed again with the current one; "
        "links to recordings in the LMS stay valid.",
        secret=True,
    )
    time_zone: str = _setting(
        "",
        "Time zone of courses whose LMS tells none, such as Europe/Berlin; empty: UTC, and dates say so.",
    )
    retention_days: int = _setting(
        7,
        "Days a recording is kept here after its copies at all storages are confirmed; 0: forever. Without storages nothing is deleted by this.",
    )
    retention_uncopied_days: int = _setting(
        0,
        "Days a recording or upload of which there is no copy is kept; then it’s deleted permanently. 0: forever.",
    )
    storage_private_endpoints: bool = _setting(
        False, "Let storage endpoints be http and on this machine or its private network."
    )
    transfer_days: int = _setting(14, "Days a failing copy to a storage is retried automatically.")
    journal_days: int = _setting(
        7, "Days the captured tracks are kept after the recording is in the library; 0: forever."
    )
    upload_max_mb: int = _setting(2048, "Largest file (MiB) that a person may upload to My Media.")
    upload_quota_mb: int = _setting(
        20480, "How much (MiB) the uploads of one person may take together; 0: as much as there is room."
    )
    empty_session_s: int = _setting(900, "Seconds after which a session with nobody in it ends.")
    grace_s: int = _setting(30, "Seconds a dropped connection keeps its place and its media.")
    composers: int = _setting(1, "How many recordings are composed at the same time.")
    composer_cpu: int = _setting(
        80,
        "Percent of a core that each composition may use while its recording still runs; 0: compose only afterwards.",
    )
    admin_lti: bool = _setting(
        False, "System administrators of the LMS may open the administration page from a course page."
    )
    webhook_private: bool = _setting(
        False, "Webhooks may also go to plain http and to private addresses (closed networks)."
    )
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR.")

    @property
    def db_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'sideroom.db'}"

    @property
    def retention(self) -> timedelta | None:
        """How long recordings stay here after their copies are confirmed; None: forever."""
        return timedelta(days=self.retention_days) if self.retention_days else None

    @property
    def retention_uncopied(self) -> timedelta | None:
        """How long what has no copy is kept; None: forever."""
        return timedelta(days=self.retention_uncopied_days) if self.retention_uncopied_days else None

    @property
    def origin(self) -> str:
        return origin(self.base_url)

    @property
    def slack_enabled(self) -> bool:
        way_in = self.slack_signing_secret or self.slack_app_token
        token = self.slack_bot_token or (self.slack_client_id and self.slack_client_secret)
        return bool(way_in and token)

    @property
    def recordings_dir(self) -> Path:
        return self.data_dir.resolve() / "recordings"

    @property
    def library_dir(self) -> Path:
        return self.data_dir.resolve() / "library"

    def key(self, purpose: str) -> str:
        """A key derived from the site secret for one purpose (hex, 64 characters)."""
        return hmac_new(self.secret.encode(), purpose.encode(), sha256).hexdigest()

    def previous_keys(self, purpose: str) -> list[str]:
        """``key`` as it was under each of the earlier site secrets."""
        earlier = [secret.strip() for secret in self.previous_secrets.split(",") if secret.strip()]
        return [hmac_new(secret.encode(), purpose.encode(), sha256).hexdigest() for secret in earlier]


def env_name(field_name: str) -> str:
    return f"SIDEROOM_{field_name.upper()}"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises SettingsError with every problem found."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    for spec in fields(Settings):
        raw = _raw(environ, spec.name, bool(spec.metadata["secret"]), problems)
        if raw is None:
            continue
        try:
            values[spec.name] = _convert(raw, spec.default)
        except ValueError:
            wanted = "true or false" if isinstance(spec.default, bool) else "a whole number"
            problems.append(f"{env_name(spec.name)}: “{raw}” is not {wanted}.")
    known = ELSEWHERE | {env_name(spec.name) for spec in fields(Settings)}
    known |= {f"{env_name(spec.name)}_FILE" for spec in fields(Settings) if spec.metadata["secret"]}
    for name in environ:
        if name.startswith("SIDEROOM_") and name not in known:
            problems.append(f"{name}: unknown setting. See docs/configuration.md.")
    settings = Settings(**values) if not problems else None
    if settings is not None:
        problems += _check(settings)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def _raw(environ: Mapping[str, str], name: str, secret: bool, problems: list[str]) -> str | None:
    key = env_name(name)
    path = environ.get(f"{key}_FILE") if secret else None
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            problems.append(f"{key}_FILE: {path} cannot be read ({error.strerror}).")
            return None
    return environ.get(key)


_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("", "0", "false", "no", "off"), False),
}


def _convert(raw: str, default: object) -> object:
    """Raises ValueError."""
    if isinstance(default, bool):
        if raw.strip().lower() not in _BOOLEANS:
            raise ValueError(raw)
        return _BOOLEANS[raw.strip().lower()]
    if isinstance(default, int):
        return int(raw)
    if isinstance(default, Path):
        return Path(raw)
    return raw


_DATABASES = ("postgresql+psycopg://", "sqlite:///")


def _check(settings: Settings) -> list[str]:
    problems = []
    parts = urlsplit(settings.base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        problems.append("SIDEROOM_BASE_URL: give scheme and host only, such as https://rooms.example.edu")
    for name in ("port", "media_port", "control_port", "tap_port"):
        if not 0 < getattr(settings, name) < 65536:
            problems.append(f"{env_name(name)}: a port is a number from 1 to 65535.")
    try:
        advertised(settings.media_advertise_ip)
    except ValueError as error:
        problems.append(f"SIDEROOM_MEDIA_ADVERTISE_IP: {error}")
    if settings.database_url and not settings.database_url.startswith(_DATABASES):
        problems.append(
            "SIDEROOM_DATABASE_URL: use postgresql+psycopg://user:password@host/name, or leave it empty for SQLite."
        )
    if settings.secret and len(settings.secret) < MIN_SECRET_CHARS:
        problems.append("SIDEROOM_SECRET: use at least 32 characters.")
    problems += _check_slack(settings)
    try:
        read_names(settings.slack_commands)
    except BadNames as error:
        problems.append(f"SIDEROOM_SLACK_COMMANDS: {error}")
    if bool(settings.turn_urls) != bool(settings.turn_secret):
        problems.append("TURN needs both SIDEROOM_TURN_URLS and SIDEROOM_TURN_SECRET.")
    if not 1 <= settings.upload_max_mb <= 1_000_000:
        problems.append("SIDEROOM_UPLOAD_MAX_MB: give 1 to 1000000.")
    if settings.upload_quota_mb < 0:
        problems.append("SIDEROOM_UPLOAD_QUOTA_MB must be 0 or more.")
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        problems.append("SIDEROOM_LOG_LEVEL: use DEBUG, INFO, WARNING or ERROR.")
    if min(settings.retention_days, settings.retention_uncopied_days, settings.journal_days) < 0:
        problems.append(
            "SIDEROOM_RETENTION_DAYS, SIDEROOM_RETENTION_UNCOPIED_DAYS and SIDEROOM_JOURNAL_DAYS must be 0 or more."
        )
    if settings.time_zone and not read_zone(settings.time_zone):
        problems.append("SIDEROOM_TIME_ZONE: give an IANA name such as Europe/Berlin or America/Los_Angeles.")
    if settings.composers < 1:
        problems.append("SIDEROOM_COMPOSERS must be 1 or more.")
    if not 0 <= settings.composer_cpu <= 100:
        problems.append("SIDEROOM_COMPOSER_CPU is a percentage from 0 to 100.")
    if min(settings.grace_s, settings.empty_session_s) < 0:
        problems.append("SIDEROOM_GRACE_S and SIDEROOM_EMPTY_SESSION_S must be 0 or more.")
    if min(settings.tap_keep_s, settings.tap_keep_mb, settings.tap_keep_total_mb) < 1:
        problems.append(
            "SIDEROOM_TAP_KEEP_S, SIDEROOM_TAP_KEEP_MB and SIDEROOM_TAP_KEEP_TOTAL_MB must be 1 or more."
        )
    if settings.transfer_days < 1:
        problems.append("SIDEROOM_TRANSFER_DAYS must be 1 or more.")
    return problems


def _check_slack(settings: Settings) -> list[str]:
    problems = []
    secrets_given = (
        settings.slack_signing_secret,
        settings.slack_bot_token,
        settings.slack_app_token,
        settings.slack_client_secret,
    )
    if bool(settings.slack_client_id) != bool(settings.slack_client_secret):
        problems.append("Slack needs both SIDEROOM_SLACK_CLIENT_ID and SIDEROOM_SLACK_CLIENT_SECRET.")
    elif any(secrets_given) and not settings.slack_enabled:
        problems.append(
            "Slack needs both a way in (SIDEROOM_SLACK_SIGNING_SECRET, or SIDEROOM_SLACK_APP_TOKEN for Socket Mode) "
            "and a token (SIDEROOM_SLACK_BOT_TOKEN, or SIDEROOM_SLACK_CLIENT_ID with SIDEROOM_SLACK_CLIENT_SECRET)."
        )
    if settings.slack_enabled and not settings.slack_team_id:
        problems.append(
            "SIDEROOM_SLACK_TEAM_ID: name the workspace (T…) that may use the bot; * for any that installs it."
        )
    if settings.slack_bot_token and ("," in settings.slack_team_id or "*" in settings.slack_team_id):
        problems.append(
            "SIDEROOM_SLACK_TEAM_ID: a bot token belongs to one workspace. Name only that one, or leave SIDEROOM_SLACK_BOT_TOKEN "
            "empty and let the workspaces install the app."
        )
    return problems


def prepare(settings: Settings) -> Settings:
    """Make the data folder and the site secret. Raises SettingsError when the folder cannot be written."""
    folder = settings.data_dir
    try:
        for path in (folder, settings.recordings_dir, settings.library_dir, folder / "logs"):
            path.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}-{secrets.token_hex(4)}"
        probe.write_bytes(b"")
        probe.unlink()
        secret = settings.secret or _site_secret(folder / "secret")
    except OSError as error:
        raise SettingsError(
            [f"The data folder {folder} cannot be written ({error.strerror}). Set SIDEROOM_DATA_DIR."]
        ) from error
    return Settings(
        **{spec.name: getattr(settings, spec.name) for spec in fields(Settings)} | {"secret": secret}
    )


def check_web(settings: Settings) -> None:
    """Raises SettingsError when there is no built web client."""
    if not (settings.web_dist / ".vite" / "manifest.json").is_file():
        folder = settings.web_dist.resolve()
        raise SettingsError(
            [
                f"SIDEROOM_WEB_DIST: there is no built web client in {folder}. Run make setup, or name its folder."
            ]
        )


def _site_secret(path: Path) -> str:
    """Made once, whole or not at all, also when two processes begin at the same time."""
    if not path.exists():
        made = path.with_name(f".secret-{os.getpid()}-{secrets.token_hex(4)}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(secrets.token_hex(32))
            os.link(made, path)
        except FileExistsError:
            pass  # another process was faster: its secret holds
        finally:
            made.unlink()
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < MIN_SECRET_CHARS:
        raise SettingsError(
            [f"{path} holds no site secret. Put it back from a backup, or set SIDEROOM_SECRET."]
        )
    return secret


def environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, for child processes."""
    return {env_name(spec.name): str(getattr(settings, spec.name)) for spec in fields(Settings)}
