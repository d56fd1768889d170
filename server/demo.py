"""``sideroom demo``: everything on this machine, with a practice LMS and a practice Slack, no accounts, data kept between starts."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

from models.store.database import Database
from models.store.migrate import upgrade
from sandbox.lms.setup import register_practice_platform
from sandbox.slack.setup import TEAM_ID, link_practice
from server.ports_check import free_port
from server.processes import check_ports, programs
from server.settings import Settings, SettingsError, check_web, load, prepare
from server.supervisor import Program, Supervisor

READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Demo:
    """A complete demo installation: our settings and the two practice services beside it."""

    settings: Settings
    lms_port: int
    slack_port: int

    @property
    def lms_url(self) -> str:
        # “localhost” on purpose: another site than 127.0.0.1, so the course page frames us as a real LMS does.
        return f"http://localhost:{self.lms_port}"

    @property
    def slack_url(self) -> str:
        return f"http://127.0.0.1:{self.slack_port}"


def demo_settings(environ: dict[str, str] | None = None) -> Demo:
    """The demo's settings: defaults, moved by the environment. Raises SettingsError."""
    environ = dict(os.environ if environ is None else environ)
    lms_port = _port(environ.pop("SIDEROOM_DEMO_LMS_PORT", "8081"), "SIDEROOM_DEMO_LMS_PORT")
    slack_port = _port(environ.pop("SIDEROOM_DEMO_SLACK_PORT", "8082"), "SIDEROOM_DEMO_SLACK_PORT")
    environ.setdefault("SIDEROOM_DATA_DIR", "var/demo")
    port = environ.get("SIDEROOM_PORT", "8080")
    environ.setdefault("SIDEROOM_BASE_URL", f"http://127.0.0.1:{port}")
    # Any app-level token switches the practice Slack to Socket Mode; the rest of its secrets are made here.
    app_token = environ.pop("SIDEROOM_SLACK_APP_TOKEN", "")
    settings = prepare(load(environ))
    settings = replace(with_practice_slack(settings, slack_port), slack_app_token=app_token)
    return Demo(settings, lms_port, slack_port)


def free_demo(folder: Path) -> Demo:
    """A demo on free ports with its data in ``folder``; for the self-test and for tests."""
    port, lms_port, slack_port = free_port(), free_port(), free_port()
    settings = prepare(
        Settings(
            data_dir=folder,
            base_url=f"http://127.0.0.1:{port}",
            port=port,
            media_port=free_port(socket.SOCK_DGRAM),
            control_port=free_port(),
            tap_port=free_port(),
            composers=2,
        )
    )
    return Demo(with_practice_slack(settings, slack_port), lms_port, slack_port)


def with_practice_slack(settings: Settings, slack_port: int) -> Settings:
    """The same settings with the bot pointed at a practice Slack; its secrets are made once and kept."""
    path = settings.data_dir / "practice-slack"
    if not path.exists():
        path.write_text(f"{secrets.token_hex(16)}\nxoxb-{secrets.token_hex(12)}\n", encoding="utf-8")
        path.chmod(0o600)
    signing_secret, bot_token = path.read_text(encoding="utf-8").split()
    return replace(
        settings,
        slack_signing_secret=signing_secret,
        slack_bot_token=bot_token,
        slack_team_id=TEAM_ID,
        slack_client_id="practice",
        slack_client_secret=settings.key("practice slack"),
        slack_api_url=f"http://127.0.0.1:{slack_port}/api/",
    )


def _port(raw: str, name: str) -> int:
    if not raw.isdigit() or not 0 < int(raw) < 65536:
        raise SettingsError([f"{name}: a port is a number from 1 to 65535."])
    return int(raw)


def practice_programs(demo: Demo) -> list[Program]:
    """The practice LMS and the practice Slack as processes."""
    folder = demo.settings.data_dir.resolve()
    environ = {
        "SIDEROOM_SLACK_SIGNING_SECRET": demo.settings.slack_signing_secret,
        "SIDEROOM_SLACK_BOT_TOKEN": demo.settings.slack_bot_token,
        "SIDEROOM_SLACK_CLIENT_ID": demo.settings.slack_client_id,
        "SIDEROOM_SLACK_CLIENT_SECRET": demo.settings.slack_client_secret,
        "SIDEROOM_SLACK_APP_TOKEN": demo.settings.slack_app_token,
    }
    lms = [
        sys.executable,
        "-m",
        "sandbox.lms",
        "--port",
        str(demo.lms_port),
        "--tool-url",
        demo.settings.base_url,
    ]
    slack = [sys.executable, "-m", "sandbox.slack", "--port", str(demo.slack_port)]
    slack += ["--bot-url", f"{demo.settings.base_url}/slack/events"]
    return [
        Program("practice-lms", [*lms, "--data", str(folder / "lms")], environ),
        Program("practice-slack", slack, environ),
    ]


def prepare_database(demo: Demo) -> None:
    """Migrate, register the practice LMS and link Alice's practice Slack user. Safe to repeat."""
    upgrade(demo.settings.db_url)
    db = Database(demo.settings.db_url)
    try:
        register_practice_platform(db, demo.lms_url)
        link_practice(db, demo.lms_url)
    finally:
        db.close()


def practice_ports(demo: Demo) -> dict[str, tuple[str, int]]:
    """TCP ports of the practice services."""
    return {
        "the practice LMS (SIDEROOM_DEMO_LMS_PORT)": ("127.0.0.1", demo.lms_port),
        "the practice Slack (SIDEROOM_DEMO_SLACK_PORT)": ("127.0.0.1", demo.slack_port),
    }


def wait_ready(
    urls: list[str], timeout_s: float = READY_S, stop: threading.Event | None = None
) -> str | None:
    """Wait until every address answers; None, or the one that did not. ``stop``: give up waiting."""
    stop = stop or threading.Event()
    deadline = time.monotonic() + timeout_s
    for url in urls:
        while not stop.is_set() and not _answers(url):
            if time.monotonic() > deadline:
                return url
            stop.wait(0.2)
    return None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback addresses
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def run() -> int:
    """Run the demo until Ctrl-C. Returns the exit code."""
    demo = demo_settings()
    check_web(demo.settings)
    check_ports(demo.settings, practice_ports(demo))
    prepare_database(demo)
    log_dir = demo.settings.data_dir / "logs"
    supervisor = Supervisor([*programs(demo.settings), *practice_programs(demo)], log_dir)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print("Starting Sideroom, the practice LMS and the practice Slack …", flush=True)
    supervisor.start()
    try:
        late = wait_ready([f"{demo.settings.base_url}/healthz", demo.lms_url, demo.slack_url], stop=stop)
        if late is not None:
            print(
                f"sideroom: {late} did not answer in {READY_S:.0f} s; see the files in {log_dir}",
                file=sys.stderr,
            )
            return 1
        if not stop.is_set():
            print(_welcome(demo, log_dir), flush=True)
        stop.wait()
    finally:
        print("Stopping …", flush=True)
        supervisor.stop()
    return 0


def _welcome(demo: Demo, log_dir: Path) -> str:
    return f"""
Sideroom is ready.

  Practice LMS    {demo.lms_url}    choose a person, open the Room from the course page
  Practice Slack  {demo.slack_url}    try /breakout start 2 for 10m auto
  Logs            {log_dir}
  Data            {demo.settings.data_dir}    kept for the next start

Press Ctrl-C to stop."""
