"""The practice Slack's own pages: Sign in with Slack (OpenID Connect) and the installation of the app (OAuth v2).

Who is signed in is chosen on the page (or by ``as=`` in its address, for tests); codes are good once.
"""

from __future__ import annotations

import html
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, Response, abort, jsonify, redirect, request
from jwt.algorithms import RSAAlgorithm
from werkzeug.wrappers import Response as BaseResponse

from sandbox.slack.setup import TEAM_ID
from sandbox.slack.store import SlackStore

KID = "practice-slack"
CODE_LIFE_S = 600
APP_ID = "A0PRACTICE"
BOT_USER, BOT_ID = "U0BOT", "B0PRACTICE"


@dataclass(slots=True)
class Provider:
    """The app's credentials, and what tests may change: ``claims`` replaces claims of the next ID tokens,
    ``rotates`` makes tokens end, ``org_install`` answers as for a whole organisation."""

    own_url: str
    client_id: str
    client_secret: str
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    claims: dict[str, Any] = field(default_factory=dict)
    rotates: bool = False
    org_install: bool = False
    scopes: str = "commands,chat:write,channels:read,groups:read,im:write,users:read,chat:write.public"
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _refresh: dict[str, str] = field(default_factory=dict)

    def new_code(self, **what: str) -> str:
        code = secrets.token_urlsafe(16)
        self._codes[code] = {**what, "until": str(time.time() + CODE_LIFE_S)}
        return code

    def use_code(self, body: dict[str, Any]) -> dict[str, str] | str:
        """What the code stands for, or Slack's error."""
        if (body.get("client_id"), body.get("client_secret")) != (self.client_id, self.client_secret):
            return "bad_client_secret" if body.get("client_id") == self.client_id else "invalid_client_id"
        found = self._codes.pop(str(body.get("code", "")), None)
        if found is None or float(found["until"]) < time.time():
            return "invalid_code"
        if found["redirect_uri"] != body.get("redirect_uri", ""):
            return "bad_redirect_uri"
        return found

    # -- Web API -----------------------------------------------------------------------------------------------

    def openid_token(self, store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
        """``openid.connect.token``."""
        found = self.use_code(body)
        if isinstance(found, str):
            return {"ok": False, "error": found}
        user = store.users[found["user"]]
        now = int(time.time())
        claims = {
            "iss": self.own_url,
            "sub": user["id"],
            "aud": self.client_id,
            "exp": now + 300,
            "iat": now,
            "nonce": found["nonce"],
            "name": user["real_name"],
            "https://slack.com/user_id": user["id"],
            "https://slack.com/team_id": user["team_id"],
            "https://slack.com/team_name": store.team_name(user["team_id"]),
            **self.claims,
        }
        token = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": KID})
        return {"ok": True, "access_token": "xoxp-practice", "token_type": "Bearer", "id_token": token}

    def oauth_access(self, store: SlackStore, body: dict[str, Any]) -> dict[str, Any]:
        """``oauth.v2.access``: a code, or a refresh token (good once)."""
        if body.get("grant_type") == "refresh_token":
            team_id = self._refresh.pop(str(body.get("refresh_token", "")), "")
            return (
                self._tokens(store, team_id) if team_id else {"ok": False, "error": "invalid_refresh_token"}
            )
        found = self.use_code(body)
        if isinstance(found, str):
            return {"ok": False, "error": found}
        team_id = found["team"]
        team = {"id": team_id, "name": store.team_name(team_id)}
        return {
            **self._tokens(store, team_id),
            "app_id": APP_ID,
            "team": None if self.org_install else team,
            "enterprise": {"id": "E0PRACTICE", "name": "Practice"} if self.org_install else None,
            "is_enterprise_install": self.org_install,
            "authed_user": {"id": found["user"]},
        }

    def _tokens(self, store: SlackStore, team_id: str) -> dict[str, Any]:
        token = f"{'xoxe.' if self.rotates else ''}xoxb-{secrets.token_urlsafe(12)}"
        store.tokens[token] = team_id
        made = {
            "ok": True,
            "access_token": token,
            "token_type": "bot",
            "scope": self.scopes,
            "bot_user_id": BOT_USER,
        }
        if self.rotates:
            refresh = f"xoxe-1-{secrets.token_urlsafe(12)}"
            self._refresh[refresh] = team_id
            made |= {"expires_in": 43_200, "refresh_token": refresh}
        return made


def add_routes(app: Flask, store: SlackStore, provider: Provider) -> None:
    """Slack's pages that browsers are led to, and its keys."""

    @app.get("/openid/connect/authorize")
    def openid_authorize() -> BaseResponse:
        asked = request.args
        if asked.get("client_id") != provider.client_id or "openid" not in asked.get("scope", "").split():
            abort(400, "unknown client, or no openid scope")
        return _choose("Sign in to Practice", store, asked.get("team", ""), _signed_in)

    def _signed_in(user: str) -> BaseResponse:
        asked = request.args
        code = provider.new_code(user=user, nonce=asked.get("nonce", ""), redirect_uri=asked["redirect_uri"])
        return redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    @app.get("/oauth/v2/authorize")
    def oauth_authorize() -> BaseResponse:
        asked = request.args
        if asked.get("client_id") != provider.client_id:
            abort(400, "unknown client")
        return _choose("Install the app as", store, "", _installed)

    def _installed(user: str) -> BaseResponse:
        asked = request.args
        team = str(store.users[user]["team_id"])
        code = provider.new_code(user=user, team=team, redirect_uri=asked["redirect_uri"])
        return redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    @app.get("/openid/connect/keys")
    def keys() -> Response:
        key = RSAAlgorithm.to_jwk(provider.key.public_key(), as_dict=True)
        return jsonify({"keys": [{**key, "kid": KID, "alg": "RS256", "use": "sig"}]})


def _choose(title: str, store: SlackStore, team: str, then: Any) -> BaseResponse:
    """Choose who is signed in to Slack in this browser, or refuse."""
    chosen = request.args.get("as", "")
    if chosen == "nobody":
        query = urlencode({"error": "access_denied", "state": request.args["state"]})
        return redirect(f"{request.args['redirect_uri']}?{query}")
    if chosen in store.users:
        answer: BaseResponse = then(chosen)
        return answer
    here = request.full_path
    links = [
        f'<li><a href="{html.escape(here)}&amp;as={html.escape(u["id"])}">{html.escape(u["real_name"])}</a></li>'
        for u in store.users.values()
        if u["team_id"] == (team or TEAM_ID)
    ]
    links.append(f'<li><a href="{html.escape(here)}&amp;as=nobody">Cancel</a></li>')
    document = (
        f"<!doctype html><html lang=en><title>{title}</title><h1>{title}</h1><ul>{''.join(links)}</ul></html>"
    )
    return Response(document, mimetype="text/html")
