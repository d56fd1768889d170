"""The pages' shell: an HTML document with the built client's files, the boot data and a strict policy. No rules here."""

from __future__ import annotations

import html
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Response

LANGUAGE = "en"
"""Of every text in the pages; a reader's own locale only shapes dates and figures (web/src/ui/locale.ts)."""


@dataclass(frozen=True, slots=True)
class Assets:
    """What an entry needs: its module and its styles, as paths below ``/``."""

    module: str
    styles: tuple[str, ...]


def find_assets(dist: Path, entry: str) -> Assets | None:
    """An entry's files from Vite's manifest; None when the client is not built."""
    try:
        manifest = json.loads((dist / ".vite" / "manifest.json").read_text(encoding="utf-8"))
        chunk = manifest[f"src/entries/{entry}.tsx"]
    except (OSError, ValueError, KeyError):
        return None
    styles = list(chunk.get("css", []))
    for name in _imports(manifest, chunk):
        styles += manifest[name].get("css", [])
    return Assets("/" + chunk["file"], tuple("/" + style for style in dict.fromkeys(styles)))


def _imports(manifest: Mapping[str, Any], chunk: Mapping[str, Any]) -> Iterable[str]:
    seen: list[str] = []
    waiting = list(chunk.get("imports", []))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.append(name)
            waiting += manifest[name].get("imports", [])
    return seen


def page(
    dist: Path,
    entry: str,
    title: str,
    boot: Mapping[str, Any],
    *,
    ancestors: Iterable[str],
    media: bool = False,
    status: int = 200,
) -> Response:
    """A page of the client. ``ancestors``: origins that may frame it. ``media``: it uses camera and microphone."""
    assets = find_assets(dist, entry)
    if assets is None:
        return message(
            "Sideroom isn’t built yet", "Run make setup on the server, then reload this page.", status=503
        )
    nonce = secrets.token_urlsafe(16)
    # “<” is written as an escape so that no text in the data can end the script element.
    data = json.dumps(boot, ensure_ascii=False).replace("<", "\\u003c")
    styles = "".join(f'<link rel="stylesheet" href="{html.escape(s)}">' for s in assets.styles)
    document = (
        f'<!doctype html><html lang="{LANGUAGE}" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,">{styles}'
        f'<script type="application/json" id="boot" nonce="{nonce}">{data}</script>'
        f'<script type="module" src="{html.escape(assets.module)}" nonce="{nonce}"></script></head>'
        '<body><div id="app"></div><noscript>This page needs JavaScript.</noscript></body></html>'
    )
    return secured(document, status, nonce, ancestors, media)


def message(
    title: str,
    text: str,
    *,
    status: int,
    detail: str = "",
    link: tuple[str, str] | None = None,
    ancestors: Iterable[str] = ("*",),
) -> Response:
    """A plain page that says what happened and what to do; no script at all. ``link``: address and label."""
    nonce = secrets.token_urlsafe(16)
    back = f'<p><a href="{html.escape(link[0])}">{html.escape(link[1])}</a></p>' if link else ""
    more = f'<p class="detail">{html.escape(detail)}</p>' if detail else ""
    body = f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>{back}{more}"
    return secured(plain(title, body, nonce), status, nonce, ancestors, False)


def plain(title: str, body: str, nonce: str, head: str = "") -> str:
    """A document without the client's files; ``body`` and ``head`` are HTML already."""
    style = (
        ":root{color-scheme:light dark;--accent:#1a5fb4;--on:#fff}@media (prefers-color-scheme:dark){:root{--accent:#78aeed;--on:#0d1b2a}}"
        "body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-content:center;padding:24px;box-sizing:border-box}"
        "main{max-width:36rem;overflow-wrap:anywhere}h1{font-size:20px}p.detail{font-size:14px;opacity:.8}a{color:var(--accent)}"
        "button{font:inherit;font-weight:500;min-height:40px;padding:8px 16px;border:0;border-radius:8px;background:var(--accent);color:var(--on);cursor:pointer}"
        ":focus-visible{outline:3px solid var(--accent);outline-offset:2px}"
    )
    return (
        f'<!doctype html><html lang="{LANGUAGE}" dir="ltr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,">{head}<style nonce="{nonce}">{style}</style></head>'
        f"<body><main>{body}</main></body></html>"
    )


def secured(
    document: str,
    status: int,
    nonce: str,
    ancestors: Iterable[str],
    media: bool,
    *,
    form_action: str = "'self'",
) -> Response:
    """The answer with its policy headers. Never cached: pages carry tokens. ``form_action``: where forms may go."""
    frames = " ".join(dict.fromkeys(ancestors)) or "'none'"
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob: mediastream:; font-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; form-action {form_action}; frame-ancestors {frames}"
    )
    answer = Response(document, status, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = policy
    answer.headers["Cache-Control"] = "no-store"
    allow = "(self)" if media else "()"
    answer.headers["Permissions-Policy"] = f"camera={allow}, microphone={allow}, display-capture={allow}"
    return answer
