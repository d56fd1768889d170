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

RTL = ("ar", "fa", "he", "ur")


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
            "Sideroom is not built yet", "Run make setup on the server, then reload this page.", status=503
        )
    locale = str(boot.get("locale") or "en")
    nonce = secrets.token_urlsafe(16)
    # “<” is written as an escape so that no text in the data can end the script element.
    data = json.dumps(boot, ensure_ascii=False).replace("<", "\\u003c")
    styles = "".join(f'<link rel="stylesheet" href="{html.escape(s)}">' for s in assets.styles)
    document = (
        f'<!doctype html><html lang="{html.escape(locale)}" dir="{"rtl" if locale[:2] in RTL else "ltr"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,">{styles}'
        f'<script type="application/json" id="boot" nonce="{nonce}">{data}</script>'
        f'<script type="module" src="{html.escape(assets.module)}" nonce="{nonce}"></script></head>'
        '<body><div id="app"></div><noscript>This page needs JavaScript.</noscript></body></html>'
    )
    return secured(document, status, nonce, ancestors, media)


def message(
    title: str, text: str, *, status: int, detail: str = "", ancestors: Iterable[str] = ("*",)
) -> Response:
    """A plain page that says what happened and what to do; no script at all."""
    nonce = secrets.token_urlsafe(16)
    style = (
        ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;"
        "place-content:center;padding:24px}main{max-width:36rem}h1{font-size:20px}p.detail{font-size:14px;opacity:.8}"
    )
    more = f'<p class="detail">{html.escape(detail)}</p>' if detail else ""
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,"><style nonce="{nonce}">{style}</style></head>'
        f"<body><main><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>{more}</main></body></html>"
    )
    return secured(document, status, nonce, ancestors, False)


def secured(document: str, status: int, nonce: str, ancestors: Iterable[str], media: bool) -> Response:
    """The answer with its policy headers. Never cached: pages carry tokens."""
    frames = " ".join(dict.fromkeys(ancestors)) or "'none'"
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob: mediastream:; font-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'self'; frame-ancestors {frames}"
    )
    answer = Response(document, status, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = policy
    answer.headers["Cache-Control"] = "no-store"
    allow = "(self)" if media else "()"
    answer.headers["Permissions-Policy"] = f"camera={allow}, microphone={allow}, display-capture={allow}"
    return answer
