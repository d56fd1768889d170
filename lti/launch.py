"""Login and launch on top of pylti1p3, with its gaps closed (ADR 0004). Must not know of pages.

Closed here: state and nonce are one-use rows bound to each other and to the registration; exp, iat and sub are required
with 60 s leeway; a token older than 10 minutes is refused; aud and azp are checked whole; the target must be ours; an
unknown key id fetches the keyset anew, rate limited; new deployments by policy; messages by ``lti.messages``.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from jwt.types import Options
from pylti1p3.exception import LtiException
from pylti1p3.message_launch import MessageLaunch
from pylti1p3.registration import Registration

from foundation.address import origin
from foundation.locale import read_locale
from foundation.text import clean, is_keepable, is_visible
from foundation.zone import read_zone
from lti import claims, messages
from lti.errors import LaunchRefused
from lti.outside import NoAnswer, ask
from lti.roles import RoleKind, is_workspace, kind_of, previewed_role, role_list, role_of
from models.store import lti as store
from models.store.access import hash_secret
from models.store.database import Database
from models.store.lti import Platform
from models.store.services import note_health
from models.values import Role

LEEWAY_S = 60
MAX_AGE_S = 600
FETCH_TIMEOUT_S = 3.0
FETCH_DEADLINE_S = 4.0
"""For a whole keyset; Sakai alarms after 4 s."""
MAX_KEYSET_BYTES = 500_000
MAX_TEXT = 300
MAX_TOKEN_CHARS = 100_000
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_FRAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True)
class Launch:
    """What we take from a valid launch. ``role`` is that of our table; a course may have its own (``role_of``)."""

    platform: Platform
    sub: str
    name: str
    email: str
    locale: str
    time_zone: str
    """Of the course, an IANA name; empty when the platform does not tell."""
    context_id: str
    context_title: str
    resource_link_id: str
    resource_title: str
    role: Role
    role_kind: RoleKind
    lms_roles: list[str]
    nrps_url: str
    message_type: str
    return_url: str
    deployment_id: str
    custom: dict[str, str]
    preview: str
    """Nobody's launch but a look at the course as this role sees it (``lti.roles.previewed_role``); empty: a person's."""
    body: Mapping[str, Any] = field(repr=False)
    """All claims, for what only one part reads (services, deep linking settings)."""


# -- login -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begun:
    """A login under way. ``url``: where the browser goes next, at the platform.

    ``browser`` is the secret by which the browser is known again at the launch; ``storage_target`` names the platform's
    frame that keeps it where cookies are blocked (empty: none), ``storage_origin`` is that frame's origin.
    """

    url: str
    state: str
    browser: str
    storage_target: str
    storage_origin: str


def begin(db: Database, params: Mapping[str, str], base_url: str, browser: str = "", app: str = "") -> Begun:
    """OIDC third-party login. Raises LaunchRefused.

    ``browser`` is the secret of an earlier login's cookie, if any. ``app`` is the tool whose login address was opened: it
    tells registrations of one issuer apart where the LMS names no client (Sakai 22).
    """
    issuer = params.get("iss", "")
    hint = params.get("login_hint", "")
    if not issuer or not hint:
        raise LaunchRefused(
            "login_incomplete",
            "The course page didn’t send everything needed.",
            "iss or login_hint is missing",
        )
    platform = _platform_for_login(db, issuer, params.get("client_id", ""), app)
    target = params.get("target_link_uri", "") or f"{base_url}/lti/launch"
    if not messages.is_ours(target, base_url):
        raise LaunchRefused(
            "wrong_target",
            "The tool’s address in the LMS isn’t this server’s.",
            "target_link_uri is not ours",
        )
    state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    browser = browser if _SECRET.fullmatch(browser) else secrets.token_urlsafe(32)
    storage = params.get("lti_storage_target", "")
    storage = storage if _FRAME.fullmatch(storage) else ""
    store.begin_login(db, platform.id, state, nonce, target, browser, storage)
    query = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": platform.client_id,
        "redirect_uri": f"{base_url}/lti/launch",
        "state": state,
        "nonce": nonce,
        "login_hint": hint,
    }
    if params.get("lti_message_hint"):
        query["lti_message_hint"] = params["lti_message_hint"]
    parts = urlsplit(platform.auth_login_url)
    join = "&" if parts.query else "?"
    url = f"{platform.auth_login_url}{join}{urlencode(query)}"
    return Begun(url, state, browser, storage, origin(platform.auth_login_url))


def _platform_for_login(db: Database, issuer: str, client_id: str, app: str) -> Platform:
    platforms = store.find_platforms(db, issuer)
    if client_id:
        platforms = [p for p in platforms if p.client_id == client_id]
    elif len(platforms) > 1:
        platforms = [p for p in platforms if p.app == app] or platforms
    if not platforms:
        raise LaunchRefused(
            "unknown_platform",
            "This LMS isn’t registered here.",
            "register issuer and client id: sideroom lti add",
        )
    if len(platforms) > 1:
        raise LaunchRefused(
            "client_missing",
            "The LMS didn’t say which tool this is.",
            "several registrations, login without client_id; give each tool the login address of its own",
        )
    return platforms[0]


# -- launch ----------------------------------------------------------------------------------------------------


class _Request:
    """pylti1p3 reads the form through this."""

    def __init__(self, form: Mapping[str, str]) -> None:
        self._form = form

    def get_param(self, key: str) -> str | None:
        return self._form.get(key)


class _Unused:
    """State lives in the database: the library's session and cookie services are not used."""


class _Launch(MessageLaunch):  # type: ignore[type-arg]
    """pylti1p3's launch with our checks in place of the weak ones."""

    def __init__(self, db: Database, form: Mapping[str, str], base_url: str) -> None:
        super().__init__(_Request(form), _Unused(), _Unused(), _Unused())
        self._db = db
        self._base_url = base_url
        self.platform: Platform | None = None
        self.message_type = ""
        self.signed: dict[str, Any] = {}
        """The claims, once the signature was found good."""
        self._login: store.Login | None = None

    @property
    def browser(self) -> str:
        """A digest that tells the browsers of launches apart."""
        assert self._login is not None
        return self._login.browser_hash or hash_secret(self._get_request_param("state"))

    def _get_request_param(self, key: str) -> str:
        return self._request.get_param(key) or ""

    @property
    def body(self) -> dict[str, Any]:
        return dict(self._get_jwt_body())

    def validate_state(self) -> _Launch:
        state = self._get_request_param("state")
        self._login = store.use_login(self._db, state) if state and len(state) <= 200 else None
        if self._login is None:
            raise LaunchRefused(
                "state",
                "This page was opened twice or has expired.",
                "state unknown, used before or older than 15 minutes",
            )
        return self

    def validate_jwt_format(self) -> _Launch:
        """As the library does, and what comes out must have the shapes that the checks below rely on."""
        super().validate_jwt_format()
        header, body = self._jwt["header"], self._jwt["body"]
        texts = (body.get(key) for key in ("iss", "nonce", "azp")) if isinstance(body, dict) else ()
        if (
            not isinstance(header, dict)
            or not isinstance(body, dict)
            or not all(_is_text(text) for text in texts)
        ):
            raise LaunchRefused(
                "token",
                "The LMS sent a token that can’t be used.",
                "its parts are not objects, or iss, nonce or azp no text",
            )
        return self

    def validate_nonce(self) -> _Launch:
        nonce = self.body.get("nonce")
        assert self._login is not None
        if not isinstance(nonce, str) or not hmac.compare_digest(hash_secret(nonce), self._login.nonce_hash):
            raise LaunchRefused(
                "nonce",
                "This page was opened twice or has expired.",
                "the nonce is not that of the login",
            )
        return self

    def validate_registration(self) -> _Launch:
        body = self.body
        audience = body.get("aud")
        clients = audience if isinstance(audience, list) else [audience]
        known = [
            p for p in store.find_platforms(self._db, str(body.get("iss", ""))) if p.client_id in clients
        ]
        if not known:
            raise LaunchRefused(
                "unknown_platform", "This LMS isn’t registered here.", "no registration for iss and aud"
            )
        azp = body.get("azp")
        if len(clients) > 1 and azp is None:
            raise LaunchRefused(
                "azp", "The LMS sent a token for another tool.", "several audiences without azp"
            )
        if azp is not None and azp not in {p.client_id for p in known}:
            raise LaunchRefused("azp", "The LMS sent a token for another tool.", "azp is another client")
        platform = known[0] if azp is None else next(p for p in known if p.client_id == azp)
        if self._login is None or platform.id != self._login.platform_id:
            raise LaunchRefused(
                "wrong_client", "The LMS sent a token for another tool.", "login and launch differ in client"
            )
        self.platform = platform
        self._registration = Registration()
        self._registration.set_issuer(platform.issuer).set_client_id(platform.client_id)
        return self

    def validate_jwt_signature(self) -> _Launch:
        if self._jwt.get("header", {}).get("alg") != "RS256":
            raise LaunchRefused(
                "algorithm", "The LMS used a signature that isn’t accepted.", "alg must be RS256"
            )
        key = self._key()
        options: Options = {"verify_aud": False, "require": ["exp", "iat", "sub", "iss", "nonce"]}
        try:
            data = jwt.decode(
                self._get_id_token(), key, algorithms=["RS256"], options=options, leeway=LEEWAY_S
            )
        except jwt.ExpiredSignatureError as error:
            raise LaunchRefused(
                "expired", "This page has expired.", "the token has expired; compare both clocks"
            ) from error
        except jwt.InvalidSignatureError as error:
            raise LaunchRefused(
                "signature", "The LMS’s signature isn’t valid.", "signature does not match its keyset"
            ) from error
        except jwt.InvalidTokenError as error:
            raise LaunchRefused(
                "token", "The LMS sent a token that can’t be used.", f"{type(error).__name__}"
            ) from error
        if any(
            isinstance(data[key], bool) or not isinstance(data[key], int | float) for key in ("iat", "exp")
        ):
            raise LaunchRefused(
                "token", "The LMS sent a token that can’t be used.", "iat and exp must be numbers"
            )
        if data["exp"] < data["iat"] or _age(data) > MAX_AGE_S:
            raise LaunchRefused(
                "too_old",
                "This page has expired.",
                "the token is older than 10 minutes; compare both clocks",
            )
        self.signed = data
        return self

    def save_launch_data(self) -> _Launch:
        return self  # nothing is kept: our own tokens carry what a page may do

    def _key(self) -> Any:
        assert self.platform is not None
        kid = self._jwt.get("header", {}).get("kid")
        if not kid:
            raise LaunchRefused(
                "kid", "The LMS used a signature that isn’t accepted.", "the token names no key (kid)"
            )
        found = _find_key(self.platform.jwks, kid) or _find_key(self._newer_keyset(), kid)
        if found is None:
            raise LaunchRefused(
                "key_unknown",
                "The LMS’s signature couldn’t be checked.",
                "its keyset has no key with this kid",
            )
        return found

    def _newer_keyset(self) -> dict[str, Any] | None:
        """The platform's keys, fetched anew by one launch at a time; a class that arrives together waits for that one."""
        assert self.platform is not None
        platform_id = self.platform.id
        if store.may_fetch_keyset(self._db, platform_id):
            return refresh_keyset(self._db, self.platform)
        deadline = time.monotonic() + FETCH_DEADLINE_S
        platform = store.get_platform(self._db, platform_id)
        while platform is not None and platform.fetching_keys and time.monotonic() < deadline:
            time.sleep(0.05)
            platform = store.get_platform(self._db, platform_id)
        return platform.jwks if platform is not None else None

    def validate_deployment(self) -> _Launch:
        deployment_id = self.body.get(claims.DEPLOYMENT_ID)
        assert self.platform is not None
        if (
            not isinstance(deployment_id, str)
            or not 0 < len(deployment_id) <= 255
            or not is_keepable(deployment_id)
        ):
            raise LaunchRefused(
                "deployment",
                "The LMS didn’t say where this tool is installed.",
                "deployment_id is missing, longer than 255 characters or has control characters",
            )
        if not store.accept_deployment(self._db, self.platform, deployment_id):
            raise LaunchRefused(
                "deployment", "This tool isn’t enabled here yet.", "deployment_id is not allowed; add it"
            )
        return self

    def validate_message(self) -> _Launch:
        body = self.body
        if body.get(claims.VERSION) != "1.3.0":
            raise LaunchRefused("version", "The LMS uses another LTI version.", "version must be 1.3.0")
        if not isinstance(body.get(claims.ROLES), list | str):
            raise LaunchRefused(
                "roles", "The LMS didn’t say what your role is here.", "the roles claim is missing"
            )
        if not isinstance(body.get("sub"), str) or not body["sub"]:
            raise LaunchRefused("sub", "The LMS didn’t say who you are.", "sub is missing")
        self.message_type = messages.check(body, self._base_url)
        return self


def _is_text(value: Any) -> bool:
    """Absent, or a text that can be written as UTF-8 (no lone surrogates)."""
    if value is None:
        return True
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _age(data: Mapping[str, Any]) -> float:
    return time.time() - float(data["iat"])


def _find_key(keyset: Mapping[str, Any] | None, kid: str) -> Any:
    for key in (keyset or {}).get("keys", []):
        if isinstance(key, dict) and key.get("kid") == kid and key.get("kty") == "RSA":
            try:
                return jwt.PyJWK(key, algorithm="RS256").key
            except jwt.PyJWTError:
                return None
    return None


def refresh_keyset(db: Database, platform: Platform) -> dict[str, Any]:
    """Fetch a platform's keys, keep them and note how it went. Raises LaunchRefused ``keyset`` with the reason."""
    try:
        keyset = _fetch_keyset(platform.jwks_url)
    except LaunchRefused as refused:
        store.save_keyset(db, platform.id, None)
        note_health(db, platform.id, "keyset", f"{refused.what} ({refused.hint})")
        raise
    store.save_keyset(db, platform.id, keyset)
    note_health(db, platform.id, "keyset")
    return keyset


def _fetch_keyset(url: str) -> dict[str, Any]:
    try:
        status, _, body = ask(
            "GET",
            url,
            timeout=FETCH_TIMEOUT_S,
            deadline_s=FETCH_DEADLINE_S,
            max_bytes=MAX_KEYSET_BYTES,
        )
        keyset = json.loads(body) if status == 200 else None
    except (NoAnswer, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, NoAnswer) else "no JSON"
        raise LaunchRefused(
            "keyset", "The LMS’s keys couldn’t be fetched.", f"{reason} at its JWKS URL"
        ) from error
    if not isinstance(keyset, dict) or not isinstance(keyset.get("keys"), list):
        raise LaunchRefused(
            "keyset",
            "The LMS’s keys couldn’t be read.",
            f"its JWKS URL doesn’t answer with a keyset (status {status})",
        )
    return keyset


def finish(db: Database, form: Mapping[str, str], base_url: str) -> Launch:
    """Check a launch (the POST with ``id_token`` and ``state``) and read it. Raises LaunchRefused."""
    if len(form.get("id_token", "")) > MAX_TOKEN_CHARS:
        raise LaunchRefused(
            "token", "The LMS sent a token that can’t be used.", "id_token over 100,000 characters"
        )
    launch = _Launch(db, form, base_url)
    try:
        launch.validate()
    except LaunchRefused as refused:
        refused.return_url = _return_url(launch.signed)
        raise
    except LtiException as error:
        raise LaunchRefused(
            "token", "The LMS sent a token that can’t be used.", str(error)[:MAX_TEXT]
        ) from error
    assert launch.platform is not None
    return _read(launch.platform, launch.body, launch.message_type, launch.browser)


def _read(platform: Platform, body: Mapping[str, Any], message_type: str, browser: str) -> Launch:
    """``browser`` tells browsers apart (a digest)."""
    context = _object(body, claims.CONTEXT)
    link = _object(body, claims.RESOURCE_LINK)
    roles = role_list(body.get(claims.ROLES))
    link_id = _id(link, "id", "the id of resource_link")
    context_id = _id(context, "id", "the id of context") or f"no-context/{link_id}"
    name = _text(body, "name") or " ".join(
        filter(None, (_text(body, "given_name"), _text(body, "family_name")))
    )
    kind = kind_of(roles, context_id, _object(body, claims.SAKAI))
    sub, email = _id(body, "sub", "sub"), _text(body, "email")
    preview = previewed_role(
        context_id, _text(_object(body, claims.LIS), "person_sourcedid"), _object(body, claims.SAKAI)
    )
    if preview:
        # The LMS has one such user for all teachers of a course, with an address where nobody reads. Each browser
        # is somebody else here: two teachers who look at the same time do not put each other out of the room.
        sub, name, email = f"{sub[:200]}#preview-{browser[:16]}", f"{preview} (preview)", ""
    locale = _text(body, "locale") or _text(_object(body, claims.PRESENTATION), "locale")
    return Launch(
        platform=platform,
        sub=sub,
        name=name,
        email=email,
        locale=read_locale(locale, ""),
        time_zone=read_zone(_object(body, claims.CUSTOM).get("context_timezone")),
        context_id=context_id,
        context_title=_text(context, "title") or _text(context, "label") or "Course",
        resource_link_id="" if is_workspace(context_id) else link_id,
        resource_title=_text(link, "title"),
        role=role_of(kind),
        role_kind=kind,
        lms_roles=[role[:MAX_TEXT] for role in roles if is_keepable(role)][:20],
        nrps_url=_address(_object(body, claims.NRPS), "context_memberships_url"),
        message_type=message_type,
        return_url=_return_url(body),
        deployment_id=str(body[claims.DEPLOYMENT_ID]),
        preview=preview,
        custom={k: v for k, v in _object(body, claims.CUSTOM).items() if isinstance(v, str)},
        body=body,
    )


def _return_url(body: Mapping[str, Any]) -> str:
    """Where the platform wants people back; only web addresses."""
    value = _object(body, claims.PRESENTATION).get("return_url")
    if not isinstance(value, str) or len(value) > 2000 or not _is_text(value):
        return ""
    parts = urlsplit(value)
    return value if parts.scheme in ("http", "https") and parts.hostname else ""


def _object(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _text(body: Mapping[str, Any], key: str) -> str:
    """A text for people, cleaned; empty when there is none or nothing of it can be seen."""
    value = body.get(key)
    text = clean(value, MAX_TEXT, most_bytes=4 * MAX_TEXT) if isinstance(value, str) else ""
    return text if is_visible(text) else ""


def _address(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value.strip() if isinstance(value, str) and len(value) <= 2000 and is_keepable(value) else ""


def _id(body: Mapping[str, Any], key: str, what: str) -> str:
    """An identifier as it is, empty when there is none. Raises LaunchRefused for one that cannot be kept: cleaned or cut,
    it would be somebody else's.
    """
    value = body.get(key)
    if not isinstance(value, str):
        return ""
    value = value.strip(" ")
    if len(value) > MAX_TEXT or not is_keepable(value):
        raise LaunchRefused(
            "id",
            "The LMS sent an identifier that can’t be stored.",
            f"{what} is longer than {MAX_TEXT} characters, or has control characters or halves of characters",
        )
    return value
