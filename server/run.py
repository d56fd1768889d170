"""``python -m server.run``: the web process, with its settings from the environment."""

from __future__ import annotations

import sys

import uvicorn

from models.collector import calm_collector
from server import logs
from server.settings import Settings, SettingsError, load, prepare
from server.web import build
from server.wiring import build_web

STOP_S = 5
WS_MAX_BYTES = 1024 * 1024
"""The library's hard limit; the door itself answers anything over 256 KiB with a clear ``bye``."""


def serve(settings: Settings) -> None:
    """Serve HTTP and WebSocket until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        build(build_web(settings)),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=WS_MAX_BYTES,
        timeout_graceful_shutdown=STOP_S,
        server_header=False,
    )
    calm_collector()
    uvicorn.Server(config).run()


def main() -> int:
    try:
        settings = prepare(load())
    except SettingsError as error:
        for problem in error.problems:
            print(f"sideroom: {problem}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    serve(settings)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
