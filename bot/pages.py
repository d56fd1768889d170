"""The few plain pages of the Slack door that people's browsers come back to. No script; nothing of them is cached."""

from __future__ import annotations

import html
import secrets

from flask import Response

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;"
    "place-content:center;padding:24px}main{max-width:36rem}h1{font-size:20px}button{font:inherit;padding:8px 16px}"
)


def page(title: str, text: str, *, status: int = 200, form: str = "") -> Response:
    """A page that says what happened and what to do. ``form``: ready HTML below the text."""
    nonce = secrets.token_urlsafe(16)
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,"><style nonce="{nonce}">{_STYLE}</style></head>'
        f"<body><main><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>{form}</main></body></html>"
    )
    answer = Response(document, status, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def confirm_form(action: str, secret: str, label: str) -> str:
    """One button that posts a one-use secret."""
    return (
        f'<form method="post" action="{html.escape(action)}"><input type="hidden" name="state" value="{html.escape(secret)}">'
        f'<button type="submit">{html.escape(label)}</button></form>'
    )
