"""Sign in with Slack (OpenID Connect): the address of Slack's page, and what the token proves about who came back.

docs.slack.dev/authentication/sign-in-with-slack
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import urlencode

import jwt
from slack_sdk import WebClient

from bot.outcomes import SlackFailure, ask
from bot.settings import BotSettings
from models.store.access import hash_secret

log = logging.getLogger("sideroom.bot")
USER_CLAIM, TEAM_CLAIM = "https://slack.com/user_id", "https://slack.com/team_id"
TIMEOUT_S = 10
LEEWAY_S = 60


class SignInFailed(Exception):
    """``text`` says what to do. ``code`` is for the log."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who Slack says is in this browser. ``name`` and ``team_name`` are shown once and never stored."""

    team_id: str
    user_id: str
    name: str
    team_name: str


class OpenId:
    """One client of Slack's provider. Thread-safe; keeps Slack's keys for five minutes."""

    def __init__(self, settings: BotSettings) -> None:
        self._settings = settings
        self._client = WebClient(base_url=settings.api_url, timeout=TIMEOUT_S)
        self._keys = jwt.PyJWKClient(
            f"{settings.web_url}/openid/connect/keys", lifespan=300, timeout=TIMEOUT_S
        )

    @property
    def redirect_uri(self) -> str:
        return f"{self._settings.base_url}/slack/openid_redirect"

    def authorize_url(self, state: str, nonce: str) -> str:
        """Slack's page. When only one workspace may be used it is named, so nobody signs in to another by mistake."""
        teams = sorted(self._settings.teams - {"*"})
        asked = {
            "response_type": "code",
            "scope": "openid profile",
            "client_id": self._settings.client_id,
            "redirect_uri": self.redirect_uri,
            "state": state,
            "nonce": nonce,
        }
        if len(teams) == 1:
            asked["team"] = teams[0]
        return f"{self._settings.web_url}/openid/connect/authorize?{urlencode(asked)}"

    def signed_in(self, code: str, nonce_hash: str) -> SignedIn:
        """Exchange the code and check the ID token: signature, issuer, audience, time, nonce. Raises SignInFailed."""
        token = self._exchange(code)
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._settings.client_id,
                issuer=self._settings.web_url,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise _unreachable(error) from error
        except jwt.PyJWTError as error:
            log.warning("slack.id_token_refused error=%s", type(error).__name__)
            raise SignInFailed("bad_token", "Slack’s answer couldn’t be verified. Try again.") from error
        if not nonce_hash or hash_secret(str(claims.get("nonce", ""))) != nonce_hash:
            raise SignInFailed("bad_nonce", "This answer from Slack belongs to another sign-in. Start again.")
        team_id, user_id = str(claims.get(TEAM_CLAIM, "")), str(claims.get(USER_CLAIM, ""))
        if not team_id or not user_id:
            raise SignInFailed("bad_token", "Slack didn’t say who you are. Try again.")
        return SignedIn(
            team_id,
            user_id,
            str(claims.get("name", "")) or user_id,
            str(claims.get("https://slack.com/team_name", "")) or team_id,
        )

    def _exchange(self, code: str) -> str:
        try:
            answer = ask(
                lambda: self._client.openid_connect_token(
                    client_id=self._settings.client_id,
                    client_secret=self._settings.client_secret,
                    code=code,
                    redirect_uri=self.redirect_uri,
                )
            )
        except SlackFailure as failure:
            if not failure.is_refusal:
                raise _unreachable(failure) from failure
            log.warning("slack.sign_in_refused code=%s", failure.code)
            raise SignInFailed(
                "refused", "Slack didn’t accept this sign-in. It may have expired. Start again."
            ) from failure
        return str(answer.get("id_token") or "")


def _unreachable(error: Exception) -> SignInFailed:
    log.warning("slack.unreachable method=openid error=%s", type(error).__name__)
    return SignInFailed("unreachable", "Slack can’t be reached right now. Try again in a minute.")
