"""The web process: one ASGI application with the WebSocket, the built client and the Flask doors behind it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from rooms.ports import MediaError
from server.wiring import Web

log = logging.getLogger("sideroom.web")
FLASK_THREADS = 32


class _Assets(StaticFiles):
    """Built files carry a hash in their names, so browsers may keep them for a year."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def cached(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 304):
                headers = message["headers"] = list(message["headers"])
                headers.append((b"cache-control", b"public, max-age=31536000, immutable"))
            await send(message)

        await super().__call__(scope, receive, cached)


class _Headers:
    """Headers for every answer of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", []))
                headers.append((b"x-content-type-options", b"nosniff"))
                headers.append((b"referrer-policy", b"no-referrer"))
            await send(message)

        await self._app(scope, receive, with_headers)


def build(web: Web) -> Starlette:
    """The ASGI application around wired parts; starting and stopping them is its lifespan."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(web.start_threads)
        await web.hub.start()
        log.info("web.started")
        yield
        await web.hub.stop()
        await asyncio.to_thread(web.stop_threads)
        log.info("web.stopped")

    async def websocket(socket: WebSocket) -> None:
        await web.endpoint(socket)

    async def health(_request: Request) -> JSONResponse:
        report = await asyncio.to_thread(web.health)
        with contextlib.suppress(MediaError):
            report["media_worker"] = await web.media.stats()
        return JSONResponse(report, 200 if report["ok"] else 503)

    assets = web.settings.web_dist / "assets"
    routes: list[Route | Mount | WebSocketRoute] = [
        WebSocketRoute("/ws", websocket),
        Route("/healthz", health),
    ]
    if assets.is_dir():
        routes.append(Mount("/assets", _Assets(directory=assets)))
    routes.append(Mount("/media", web.files))
    # a2wsgi types ASGI and WSGI with its own classes.
    flask = cast(ASGIApp, WSGIMiddleware(cast(Any, web.flask), workers=FLASK_THREADS))
    routes.append(Mount("/", flask))
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_Headers)])
