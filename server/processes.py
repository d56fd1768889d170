"""Which processes a Sideroom is made of, and how each is started."""

from __future__ import annotations

import sys

from server.settings import Settings, environment
from server.supervisor import Program


def programs(settings: Settings) -> list[Program]:
    """Web server, media worker, recorder and job worker, in the order in which they are started."""
    environ = environment(settings)
    return [
        Program("media", [sys.executable, "-m", "server.run", "media"], environ),
        Program("web", [sys.executable, "-m", "server.run", "web"], environ),
        Program("recorder", [sys.executable, "-m", "server.run", "recorder"], environ),
        Program("jobs", [sys.executable, "-m", "server.run", "jobs"], environ, nice=5),
    ]
