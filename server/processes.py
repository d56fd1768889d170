"""Which processes a Sideroom is made of, and how each is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from server.ports_check import taken
from server.settings import Settings, SettingsError, environment
from server.supervisor import Program


def programs(settings: Settings) -> list[Program]:
    """Media worker, web server, recorder and job worker, in the order in which they are started."""
    environ = environment(settings)
    return [
        Program("media", _media(settings), _media_secrets(settings)),
        Program("web", [sys.executable, "-m", "server.run"], environ),
        Program("recorder", [sys.executable, "-m", "recorder"], environ),
        Program("jobs", [sys.executable, "-m", "server.jobs"], environ, nice=5),
    ]


def check_ports(settings: Settings, others: Mapping[str, tuple[str, int]] | None = None) -> None:
    """Raises SettingsError with a line for each port of ours (and of ``others``, TCP) that cannot be used."""
    tcp = {
        "Sideroom (SIDEROOM_PORT)": (settings.host, settings.port),
        "the media worker's orders (SIDEROOM_CONTROL_PORT)": ("127.0.0.1", settings.control_port),
        "the recorder's tap (SIDEROOM_TAP_PORT)": ("127.0.0.1", settings.tap_port),
        **(others or {}),
    }
    udp = {"media (SIDEROOM_MEDIA_PORT)": (settings.media_host, settings.media_port)}
    problems = taken(tcp, udp)
    if problems:
        raise SettingsError(
            [*problems, "Is another Sideroom running? Stop it, or choose other ports by these settings."]
        )


def _media(settings: Settings) -> list[str]:
    command = [sys.executable, "-m", "media.worker", "--control", f"127.0.0.1:{settings.control_port}"]
    command += ["--udp-host", settings.media_host, "--udp-port", str(settings.media_port)]
    command += ["--advertise-ip", settings.media_advertise_ip, "--tap-port", str(settings.tap_port)]
    command += ["--tap-keep-s", str(settings.tap_keep_s), "--tap-keep-mb", str(settings.tap_keep_mb)]
    command += ["--tap-keep-total-mb", str(settings.tap_keep_total_mb)]
    return [*command, "--log-level", settings.log_level]


def _media_secrets(settings: Settings) -> dict[str, str]:
    # By environment, not by argument: arguments can be read by every user of the machine.
    return {"SIDEROOM_MEDIA_SECRET": settings.key("control"), "SIDEROOM_TAP_SECRET": settings.key("tap")}
