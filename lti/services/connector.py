"""Calls to a platform's services on top of pylti1p3's connector, with its gaps closed (ADR 0004).

Closed here: access tokens are kept in the database, by issuer, client, deployment and scopes, until they end; a token
that a service refuses (401, or Sakai's 403) is fetched anew once; every call has a time limit and a size limit; PUT and DELETE; the
address in a Link header keeps its case and is asked at the server that is known, never at another; text is decoded as
the answer says.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import jwt
import requests
from pylti1p3.registration import Registration
from pylti1p3.service_connector import ServiceConnector, TServiceConnectorResponse

from foundation.address import at_server_of
from lti.claims import DEPLOYMENT_ID
from lti.outside import Headers, NoAnswer, ask
from lti.services.errors import ServiceFailed
from models.store import lti as keys
from models.store import services as store
from models.store.database import Database
from models.store.lti import Platform

log = logging.getLogger("sideroom.lti.services")
TIMEOUT_S: Final = (3.05, 10.0)
"""To connect, and between two pieces of the answer."""
DEADLINE_S: Final = 30.0
"""For a whole answer."""
MAX_BYTES: Final = 20 * 1024 * 1024
ASSERTION_LIFE_S: Final = 60
DEFAULT_TOKEN_LIFE_S: Final = 3600
MAX_TOKEN_LIFE_S: Final = 24 * 3600
JSON: Final = "application/json"
_LINK: Final = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s=;,"]+(?:\s*=\s*(?:"[^"]*"|[^\s",;]*))?)*)')
_REL: Final = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]*))', re.IGNORECASE)
_NEXT: Final = re.compile(r'rel\s*=\s*["\']?[^"\',;]*\bnext\b', re.IGNORECASE)
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*["\']?([\w.:+-]+)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's good answer. ``body`` None: it was empty. ``next_url``: the following page."""

    status: int
    body: Any
    next_url: str | None


class Connector(ServiceConnector):
    """Speaks to one registration's services; not shared between threads. ``close`` it at the end."""

    def __init__(self, db: Database, platform: Platform, deployment_id: str = "") -> None:
        """``deployment_id``: the deployment whose launch offered the services that are called."""
        registration = Registration()
        registration.set_issuer(platform.issuer).set_client_id(platform.client_id)
        registration.set_auth_token_url(platform.auth_token_url)
        super().__init__(registration, requests.Session())
        self._requests_session.headers["User-Agent"] = "Sideroom"
        self._db = db
        self.platform = platform
        self.owner = store.TokenOwner(platform.issuer, platform.client_id, deployment_id)

    def close(self) -> None:
        self._requests_session.close()

    # -- tokens ------------------------------------------------------------------------------------------------

    def get_access_token(self, scopes: Sequence[str]) -> str:
        """A token for exactly these scopes. Raises ServiceFailed (part ``token``)."""
        token = store.find_token(self._db, self.owner, scopes)
        if token is None:
            try:
                token, life_s = self._fetch_token(scopes)
            except ServiceFailed as failed:
                store.note_health(self._db, self.platform.id, "token", failed.reason)
                raise
            store.note_health(self._db, self.platform.id, "token")
            store.save_token(self._db, self.owner, scopes, token, life_s)
        return token

    def _fetch_token(self, scopes: Sequence[str]) -> tuple[str, int]:
        url, now = self.platform.auth_token_url, int(time.time())
        key = keys.tool_keys(self._db)[0]
        claims: dict[str, Any] = {
            "iss": self.platform.client_id,
            "sub": self.platform.client_id,
            "aud": url,
            "iat": now - 5,
            "exp": now + ASSERTION_LIFE_S,
            "jti": uuid4().hex,
        }
        if self.owner.deployment_id:
            claims[DEPLOYMENT_ID] = self.owner.deployment_id
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(
                claims, key.private_pem, algorithm="RS256", headers={"kid": key.kid}
            ),
            "scope": " ".join(sorted(scopes)),
        }
        status, headers, raw = self._send("POST", url, {"Accept": JSON}, form, "token")
        if status != 200:
            raise ServiceFailed(
                f"The LMS refused an access token ({status}{_detail(headers, raw)}).",
                part="token",
                permanent=status in (400, 404),
                status=status,
            )
        body = _json(raw, "The LMS’s answer to a token request isn’t JSON.", "token")
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise ServiceFailed("The LMS’s answer to a token request has no access token.", part="token")
        life = body.get("expires_in", DEFAULT_TOKEN_LIFE_S)
        good = isinstance(life, int | float) and not isinstance(life, bool) and life == life
        return token, int(min(max(life, 0), MAX_TOKEN_LIFE_S)) if good else DEFAULT_TOKEN_LIFE_S

    # -- calls -------------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        url: str,
        scopes: Sequence[str],
        *,
        data: Any = None,
        accept: str = JSON,
        content_type: str = JSON,
    ) -> Answer:
        """Ask a service; ``data`` is sent as JSON. Raises ServiceFailed."""
        for again in (True, False):
            token = self.get_access_token(scopes)
            headers = {"Authorization": f"Bearer {token}", "Accept": accept}
            sent = None
            if data is not None:
                headers["Content-Type"], sent = content_type, json.dumps(data).encode()
            status, answered, raw = self._send(method, url, headers, sent, "service")
            if status not in (401, 403) or not again:
                break
            # Sakai answers 403 to a token that it does not know any more, as after a restart.
            store.drop_token(self._db, self.owner, scopes, token)
        if not 200 <= status < 300:
            raise ServiceFailed(
                f"The LMS answered {status}{_detail(answered, raw)}.",
                permanent=400 <= status < 500 and status not in (401, 403, 408, 429),
                status=status,
            )
        kind = answered.get("Content-Type", "")
        body = _json(raw, "The LMS’s answer isn’t JSON.", "service", kind) if raw.strip() else None
        return Answer(status, body, next_page(url, answered.get("Link", "")))

    def make_service_request(
        self,
        scopes: Sequence[str],
        url: str,
        is_post: bool = False,
        data: str | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        case_insensitive_headers: bool = False,
    ) -> TServiceConnectorResponse:
        """The library's own way to call, for its service classes."""
        answer = self.call(
            "POST" if is_post else "GET",
            url,
            scopes,
            data=json.loads(data) if data else None,
            accept=accept,
            content_type=content_type,
        )
        return {"headers": {}, "body": answer.body, "next_page_url": answer.next_url}

    def _send(
        self, method: str, url: str, headers: dict[str, str], data: Any, part: str
    ) -> tuple[int, Headers, bytes]:
        try:
            return ask(
                method,
                url,
                timeout=TIMEOUT_S,
                deadline_s=DEADLINE_S,
                max_bytes=MAX_BYTES,
                session=self._requests_session,
                headers=headers,
                data=data,
                allow_redirects=False,
            )
        except NoAnswer as error:
            host = urlsplit(url).netloc
            raise ServiceFailed(f"{host} didn’t answer ({error}).", part=part) from error


def next_page(url: str, link: str) -> str | None:
    """The address of rel="next" in a Link header (RFC 8288), with its case, at the server that was asked; None: the last page.

    Raises ServiceFailed for one that cannot be followed: half a list must not be taken for the whole.
    """
    for target, parameters in _LINK.findall(link):
        kinds = [quoted or bare for quoted, bare in _REL.findall(parameters)]
        if kinds and "next" in kinds[0].lower().split():
            try:
                return at_server_of(url, target)
            except ValueError as error:
                raise ServiceFailed("The LMS’s link to its next page can’t be followed.") from error
    if _NEXT.search(_LINK.sub("", link)):
        raise ServiceFailed("The LMS’s link to its next page can’t be read.")
    return None


def _json(raw: bytes, reason: str, part: str, content_type: str = "") -> Any:
    try:
        return json.loads(_decoded(raw, content_type))
    except (ValueError, RecursionError) as error:
        raise ServiceFailed(reason, part=part) from error


def _decoded(raw: bytes, content_type: str) -> str:
    """By the header's charset, else UTF-8, else Latin-1, which always fits: Sakai's groups service writes that."""
    named = _CHARSET.search(content_type)
    for charset in (*((named[1],) if named else ()), "utf-8-sig"):
        try:
            return raw.decode(charset)
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")


def _detail(headers: Headers, raw: bytes) -> str:
    """The platform's own words on a refusal, shortened; empty when it has none."""
    text = headers.get("X-Tsugi-LTI13-Error-Detail", "")
    if not text:
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = raw.decode("utf-8", "replace") if len(raw) <= 200 and b"<" not in raw else ""
        if isinstance(body, dict):
            body = " ".join(str(body.get(key) or "") for key in ("error", "error_description"))
        text = body if isinstance(body, str) else ""
    text = " ".join(text.split())[:160]
    return f": {text}" if text else ""
