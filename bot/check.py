"""``sideroom slack check``: tries the Slack settings one by one and says in plain words what is wrong and what to do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from bot.install import Workspaces
from bot.manifest import BOT_SCOPES, OPTIONAL_SCOPES
from bot.outcomes import SlackFailure, answered
from bot.settings import BotSettings
from models.store.database import Database

TIMEOUT_S = 10
MOST_CLOCK_S = 300
_SIGNING_SECRET = re.compile(r"[0-9a-f]{32}")
TOKENS = {
    "invalid_auth": "Slack does not know this token. Copy it again (OAuth & Permissions → Bot User OAuth Token).",
    "not_authed": "The token is empty. Copy it again (OAuth & Permissions → Bot User OAuth Token).",
    "token_revoked": "The token was revoked. Install the app again and copy the new token.",
    "account_inactive": "The app was removed from the workspace, or its bot was deactivated. Install it again.",
    "token_expired": "The token has expired: token rotation is on. Use installation by OAuth instead of a fixed token.",
    "team_access_not_granted": "The app may not act in this workspace. Ask an administrator of the organisation.",
}
Level = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. ``todo`` is empty when all is well."""

    level: Level
    what: str
    todo: str = ""


def check(settings: BotSettings, db: Database) -> list[Finding]:
    """Every finding, in the order in which one would set things up. Asks Slack and our own public address."""
    steps: list[Callable[[], Iterator[Finding]]] = [
        lambda: _mode(settings),
        lambda: _signing_secret(settings),
        lambda: _tokens(settings, db),
        lambda: _app_token(settings),
        lambda: _sign_in(settings),
        lambda: _address(settings),
    ]
    return [finding for step in steps for finding in step()]


def _mode(settings: BotSettings) -> Iterator[Finding]:
    way = "Socket Mode (we connect to Slack)" if settings.app_token else "HTTP (Slack connects to us)"
    many = "workspaces install the app" if settings.by_oauth else "one workspace with a fixed token"
    yield Finding("ok", f"Mode: {way}, {many}.")


def _signing_secret(settings: BotSettings) -> Iterator[Finding]:
    if settings.app_token:
        return
    if not _SIGNING_SECRET.fullmatch(settings.signing_secret):
        yield Finding(
            "wrong",
            "The signing secret does not look like one: it has 32 characters 0-9 and a-f.",
            "Copy “Signing Secret” (Basic Information → App Credentials) into SIDEROOM_SLACK_SIGNING_SECRET; not the client secret, "
            "not the verification token.",
        )
    elif settings.signing_secret == settings.client_secret:
        yield Finding(
            "wrong",
            "Signing secret and client secret are the same.",
            "Copy each from its own field of Basic Information → App Credentials.",
        )
    else:
        yield Finding("ok", "The signing secret looks right; only a request of Slack can prove it.")


# -- tokens ----------------------------------------------------------------------------------------------------


def _tokens(settings: BotSettings, db: Database) -> Iterator[Finding]:
    if not settings.by_oauth:
        yield from _token(settings, settings.bot_token, "")
        return
    workspaces = Workspaces(settings, db)
    installed = workspaces.installs.all()
    if not installed:
        yield Finding(
            "warning",
            "No workspace has installed the app yet.",
            f"Open {settings.base_url}/slack/install in a browser.",
        )
    for noted in installed:
        name = noted.team_name or noted.team_id
        found = workspaces.find(noted.team_id)
        if noted.suspended:
            yield Finding(
                "warning",
                f"{name}: the app was removed there ({noted.reason}); its links are kept, suspended.",
                f"To use it again open {settings.base_url}/slack/install.",
            )
        elif not workspaces.is_allowed(noted.team_id):
            yield Finding(
                "warning",
                f"{name}: installed, but not named in SIDEROOM_SLACK_TEAM_ID.",
                f"Add {noted.team_id} there, or remove the app from the workspace.",
            )
        elif found is None:
            yield Finding(
                "wrong",
                f"{name}: its token cannot be decrypted; the site secret is not the one it was stored with.",
                f"Put the old secret into SIDEROOM_PREVIOUS_SECRETS, or open {settings.base_url}/slack/install again.",
            )
        else:
            yield from _token(settings, found.bot_token, noted.team_id)


def _token(settings: BotSettings, token: str, team_id: str) -> Iterator[Finding]:
    if not token.startswith(("xoxb-", "xoxe.xoxb-")):
        kind = {"xoxp": "a user token", "xapp": "an app-level token"}.get(token[:4], "no bot token")
        yield Finding(
            "wrong",
            f"SIDEROOM_SLACK_BOT_TOKEN is {kind}; it must begin with xoxb-.",
            "Copy “Bot User OAuth Token” (OAuth & Permissions).",
        )
        return
    client = WebClient(token=token, base_url=settings.api_url, timeout=TIMEOUT_S)
    try:
        answer, headers = answered(client.auth_test)
    except SlackFailure as failure:
        code = failure.code
        if not failure.is_refusal:
            yield _unreachable(settings, failure)
        elif not failure.permanent:
            yield Finding(
                "warning",
                f"Slack cannot say now whether the bot token is right ({code}).",
                "Try again in a minute.",
            )
        else:
            yield Finding(
                "wrong", f"Slack refuses the bot token ({code}).", TOKENS.get(code, "Install the app again.")
            )
        return
    yield from _team(settings, answer, team_id)
    yield from _scopes(headers)
    yield from _clock(headers)


def _team(settings: BotSettings, answer: Mapping[str, Any], team_id: str) -> Iterator[Finding]:
    found, name = str(answer.get("team_id") or ""), str(answer.get("team") or "")
    expected = {team_id} if team_id else settings.teams
    if expected and found not in expected and "*" not in expected:
        yield Finding(
            "wrong",
            f"The token belongs to the workspace {name} ({found}), but SIDEROOM_SLACK_TEAM_ID is {', '.join(sorted(expected))}.",
            f"Set SIDEROOM_SLACK_TEAM_ID={found}, or use the token of the other workspace.",
        )
    else:
        yield Finding("ok", f"The token works in the workspace {name} ({found}).")


def _scopes(headers: Mapping[str, str]) -> Iterator[Finding]:
    granted = {part.strip() for part in headers.get("x-oauth-scopes", "").split(",") if part.strip()}
    missing = [scope for scope in BOT_SCOPES if scope not in granted]
    optional = [scope for scope in OPTIONAL_SCOPES if scope not in granted]
    if not granted:
        yield Finding("warning", "Slack did not say which scopes the token has.", "Try again later.")
    elif missing:
        yield Finding(
            "wrong",
            f"The token lacks scopes: {', '.join(missing)}.",
            "Add them under OAuth & Permissions → Bot Token Scopes (or paste the manifest of “sideroom slack manifest” again), then "
            "press Reinstall to Workspace: new scopes count only after that.",
        )
    else:
        yield Finding("ok", f"The token has all {len(BOT_SCOPES)} scopes that are needed.")
    if granted and optional:
        yield Finding(
            "warning",
            f"Optional scopes are not granted: {', '.join(optional)}.",
            "Without them the app must be invited to public channels too (/invite).",
        )


def _clock(headers: Mapping[str, str]) -> Iterator[Finding]:
    said = headers.get("date", "")
    try:
        off_s = abs(time.time() - parsedate_to_datetime(said).timestamp())
    except ValueError:
        return
    if off_s > MOST_CLOCK_S / 2:
        yield Finding(
            "wrong" if off_s > MOST_CLOCK_S else "warning",
            f"This server’s clock differs from Slack’s by {off_s:.0f} s; requests more than {MOST_CLOCK_S} s off are refused.",
            "Set the clock (NTP).",
        )


def _app_token(settings: BotSettings) -> Iterator[Finding]:
    if not settings.app_token:
        return
    if not settings.app_token.startswith("xapp-"):
        yield Finding(
            "wrong",
            "SIDEROOM_SLACK_APP_TOKEN must begin with xapp-.",
            "Make one under Basic Information → App-Level Tokens, with the scope connections:write.",
        )
        return
    client = WebClient(base_url=settings.api_url, timeout=TIMEOUT_S)
    try:
        answered(lambda: client.apps_connections_open(app_token=settings.app_token))
    except SlackFailure as failure:
        if not failure.is_refusal:
            yield _unreachable(settings, failure)
            return
        code = failure.code
        todo = "Make a new app-level token with the scope connections:write (Basic Information → App-Level Tokens)."
        if code == "missing_scope":
            todo = "The app-level token lacks connections:write. " + todo
        elif "socket" in code:
            todo = "Turn Socket Mode on (Settings → Socket Mode), or paste the manifest of “sideroom slack manifest --socket”."
        yield Finding("wrong", f"Slack opens no connection for the app-level token ({code}).", todo)
    else:
        yield Finding("ok", "Slack opens connections for the app-level token.")


def _sign_in(settings: BotSettings) -> Iterator[Finding]:
    if settings.can_sign_in:
        yield Finding(
            "ok",
            f"Sign in with Slack is set up; Slack’s list of redirect URLs must contain {settings.base_url}/slack/openid_redirect.",
        )
    else:
        yield Finding(
            "warning",
            "Sign in with Slack is off; people connect by a code.",
            "To switch it on set SIDEROOM_SLACK_CLIENT_ID and SIDEROOM_SLACK_CLIENT_SECRET.",
        )


# -- our own address -------------------------------------------------------------------------------------------


def _address(settings: BotSettings) -> Iterator[Finding]:
    """Post a really signed question to our own public address: what Slack does when the request URL is saved."""
    if settings.app_token:
        return
    url = f"{settings.base_url}/slack/events"
    if problem := _private(settings.base_url):
        yield Finding(
            "wrong",
            f"Slack cannot reach {settings.base_url}: {problem}",
            "Give Sideroom a public https address (SIDEROOM_BASE_URL), or use Socket Mode (“sideroom slack manifest --socket”, "
            "SIDEROOM_SLACK_APP_TOKEN).",
        )
    body = '{"type":"url_verification","challenge":"sideroom","token":""}'
    at = str(int(time.time()))
    signature = SignatureVerifier(settings.signing_secret).generate_signature(timestamp=at, body=body) or ""
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature,
    }
    try:
        answer = requests.post(url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.exceptions.SSLError as error:
        yield Finding(
            "wrong",
            f"{url}: the certificate is not accepted ({type(error).__name__}).",
            "Slack needs a valid certificate with its whole chain.",
        )
    except requests.RequestException as error:
        yield Finding(
            "wrong",
            f"{url} cannot be reached from here ({type(error).__name__}).",
            "Is Sideroom running, and does the proxy pass /slack/ on (manifests/nginx.conf)?",
        )
    else:
        yield _answered(url, answer)


def _answered(url: str, answer: requests.Response) -> Finding:
    if answer.status_code == 200 and "sideroom" in answer.text:
        return Finding("ok", f"{url} answers a signed request.")
    if answer.status_code == 401:
        return Finding(
            "wrong",
            f"{url} refuses a request signed with this secret.",
            "The running server has another SIDEROOM_SLACK_SIGNING_SECRET: start it again with these settings.",
        )
    if answer.is_redirect:
        return Finding(
            "wrong",
            f"{url} redirects to {answer.headers.get('Location', '?')}.",
            "Slack does not follow it: set SIDEROOM_BASE_URL to where it leads, or mend the proxy.",
        )
    if answer.status_code == 404:
        return Finding(
            "wrong",
            f"{url} is not there (404).",
            "Slack is off in the running server, it runs in Socket Mode, or the proxy does not pass /slack/ on.",
        )
    return Finding("wrong", f"{url} answers {answer.status_code}.", "Look at the log of the web process.")


def _private(base_url: str) -> str:
    """Why Slack cannot reach an address at all; empty when it may."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return "it is not https."
    try:
        outside = ip_address(host).is_global
    except ValueError:
        outside = "." in host and not host.endswith((".local", ".internal", ".localhost", ".test"))
    return "" if outside else "it is not a public address."


def _unreachable(settings: BotSettings, failure: SlackFailure) -> Finding:
    return Finding(
        "wrong",
        f"Slack cannot be reached at {settings.api_url} ({failure.why}).",
        "Does the firewall let this server connect to slack.com (and wss-primary.slack.com for Socket Mode) by https, "
        "without a proxy that answers in Slack’s place?",
    )
