"""LTI rows: registrations, invitations, deployments, our signing keys, and one-use logins (state and nonce)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwcrypto.jwk import JWK
from sqlalchemy import Row, bindparam, delete, inspect, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import DeploymentRow, LtiInviteRow, LtiStateRow, PlatformRow, ToolKeyRow

APPS = ("room", "gallery", "mymedia", "selector")
"""The product tools; each registration is for one of them."""
STATE_LIFE = timedelta(minutes=15)
INVITE_LIFE = timedelta(days=1)
RETIRED_LIFE = timedelta(days=1)
"""How long a retired key of ours stays in our JWKS: what it signed lives minutes, copies of the JWKS live hours."""
KEYSET_FETCH_AGAIN = timedelta(seconds=30)
"""An unknown key id makes us fetch the platform's keyset anew, at most this often."""
KEYSET_FETCH_LASTS = timedelta(seconds=5)
"""A fetch that has no result after this was cut off together with its process."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One registration at a platform."""

    id: int
    issuer: str
    client_id: str
    name: str
    auth_login_url: str
    auth_token_url: str
    jwks_url: str
    app: str
    accept_new_deployments: bool
    jwks: dict[str, Any] | None
    fetching_keys: bool
    """Is somebody fetching its keyset at this moment?"""


# What every launch asks is built once: building a statement costs more than running it.
_PLATFORMS_OF = (
    select(*inspect(PlatformRow).columns)
    .where(PlatformRow.issuer == bindparam("issuer"))
    .order_by(col(PlatformRow.id))
)
_ADDRESSES = select(PlatformRow.issuer, PlatformRow.auth_login_url)
_APPROVED = select(DeploymentRow.approved).where(
    DeploymentRow.platform_id == bindparam("platform_id"),
    DeploymentRow.deployment_id == bindparam("deployment_id"),
)
_OPEN_LOGIN = (
    col(LtiStateRow.state_hash) == bindparam("digest"),
    col(LtiStateRow.used_at).is_(None),
    col(LtiStateRow.expires_at) > bindparam("now"),
)
_BROWSER_OF = select(LtiStateRow.browser_hash, LtiStateRow.storage_target, LtiStateRow.platform_id).where(
    *_OPEN_LOGIN
)
_USE_LOGIN = (
    update(LtiStateRow)
    .where(*_OPEN_LOGIN)
    .values(used_at=bindparam("now"))
    .returning(
        col(LtiStateRow.platform_id),
        col(LtiStateRow.nonce_hash),
        col(LtiStateRow.target_link_uri),
        col(LtiStateRow.browser_hash),
    )
)


def _platform(row: PlatformRow | Row[Any]) -> Platform:
    assert row.id is not None
    return Platform(
        row.id,
        row.issuer,
        row.client_id,
        row.name,
        row.auth_login_url,
        row.auth_token_url,
        row.jwks_url,
        row.app,
        row.accept_new_deployments,
        row.jwks_cache,
        _is_fetching(row),
    )


def _is_fetching(row: PlatformRow | Row[Any]) -> bool:
    asked, fetched = row.jwks_asked_at, row.jwks_fetched_at
    if asked is None or (fetched is not None and fetched >= asked):
        return False
    return asked > datetime.now(UTC) - KEYSET_FETCH_LASTS


def add_platform(
    db: Database,
    *,
    issuer: str,
    client_id: str,
    auth_login_url: str,
    auth_token_url: str,
    jwks_url: str,
    app: str = "room",
    name: str = "",
    deployments: Sequence[str] = (),
    accept_new: bool | None = None,
) -> Platform:
    """Register a platform's tool, or change the registration with this issuer and client id.

    ``accept_new``: a deployment that is new is accepted and remembered; otherwise it waits for an administrator.
    Left out, it holds unless ``deployments`` are listed.
    """
    with db.write() as session:
        where = (PlatformRow.issuer == issuer, PlatformRow.client_id == client_id)
        row = session.exec(select(PlatformRow).where(*where)).first()
        if row is None:
            row = PlatformRow(
                issuer=issuer,
                client_id=client_id,
                auth_login_url="",
                auth_token_url="",
                jwks_url="",
                created_at=datetime.now(UTC),
            )
            session.add(row)
        if row.jwks_url != jwks_url:
            row.jwks_cache = row.jwks_fetched_at = row.jwks_asked_at = None
        row.auth_login_url, row.auth_token_url, row.jwks_url = auth_login_url, auth_token_url, jwks_url
        row.app, row.name = app, name or row.name
        row.accept_new_deployments = not deployments if accept_new is None else accept_new
        session.flush()
        assert row.id is not None
        for deployment_id in deployments:
            _deployment(session, row.id, deployment_id).approved = True
        return _platform(row)


def _deployment(session: Any, platform_id: int, deployment_id: str) -> DeploymentRow:
    where = (DeploymentRow.platform_id == platform_id, DeploymentRow.deployment_id == deployment_id)
    row: DeploymentRow | None = session.exec(select(DeploymentRow).where(*where)).first()
    if row is None:
        row = DeploymentRow(platform_id=platform_id, deployment_id=deployment_id)
        session.add(row)
    return row


def accept_deployment(db: Database, platform: Platform, deployment_id: str) -> bool:
    """Is this deployment welcome?

    A new one of a known registration is remembered: accepted when the registration allows it, else waiting for an
    administrator (``set_deployment``).
    """
    with db.read() as session:
        approved = (
            session.connection()
            .execute(_APPROVED, {"platform_id": platform.id, "deployment_id": deployment_id})
            .scalar()
        )
    if approved is not None:
        return bool(approved)
    try:
        with db.write() as session:
            made = _deployment(session, platform.id, deployment_id)
            made.approved = platform.accept_new_deployments
    except IntegrityError:
        pass  # two first launches at once: both wrote the same
    return platform.accept_new_deployments


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a registration; one that is not approved waits for an administrator."""

    platform_id: int
    deployment_id: str
    approved: bool


def list_deployments(db: Database, platform_id: int | None = None) -> list[Deployment]:
    """Deployments seen so far, of one registration or of all."""
    query = select(DeploymentRow).order_by(col(DeploymentRow.platform_id), col(DeploymentRow.deployment_id))
    if platform_id is not None:
        query = query.where(DeploymentRow.platform_id == platform_id)
    with db.read() as session:
        rows = session.exec(query).all()
    return [Deployment(row.platform_id, row.deployment_id, row.approved) for row in rows]


def set_deployment(db: Database, platform_id: int, deployment_id: str, approved: bool) -> bool:
    """Approve or block a deployment, also one not seen yet. False: there is no such registration."""
    with db.write() as session:
        if session.get(PlatformRow, platform_id) is None:
            return False
        _deployment(session, platform_id, deployment_id).approved = approved
        return True


def find_platforms(db: Database, issuer: str) -> list[Platform]:
    """All registrations of an issuer."""
    with db.read() as session:
        return [
            _platform(row) for row in session.connection().execute(_PLATFORMS_OF, {"issuer": issuer}).all()
        ]


def find_platform(db: Database, issuer: str, client_id: str) -> Platform | None:
    return next((p for p in find_platforms(db, issuer) if p.client_id == client_id), None)


def get_platform(db: Database, platform_id: int) -> Platform | None:
    with db.read() as session:
        row = session.get(PlatformRow, platform_id)
    return None if row is None else _platform(row)


def list_platforms(db: Database) -> list[Platform]:
    with db.read() as session:
        return [
            _platform(row) for row in session.exec(select(PlatformRow).order_by(col(PlatformRow.id))).all()
        ]


def platform_addresses(db: Database) -> list[tuple[str, str]]:
    """Issuer and login address of every registration."""
    with db.read() as session:
        return [(issuer, url) for issuer, url in session.connection().execute(_ADDRESSES)]


def may_fetch_keyset(db: Database, platform_id: int) -> bool:
    """Take the right to fetch a platform's keyset: exactly one caller gets it in ``KEYSET_FETCH_AGAIN``.

    Whoever got it ends the fetch with ``save_keyset``; the others see ``Platform.fetching_keys`` until then.
    """
    now = datetime.now(UTC)
    asked = col(PlatformRow.jwks_asked_at)
    with db.write() as session:
        won = session.execute(
            update(PlatformRow)
            .where(
                col(PlatformRow.id) == platform_id, or_(asked.is_(None), asked <= now - KEYSET_FETCH_AGAIN)
            )
            .values(jwks_asked_at=now)
            .execution_options(synchronize_session=False)
        )
        return bool(won.rowcount == 1)  # type: ignore[attr-defined]


def save_keyset(db: Database, platform_id: int, keyset: dict[str, Any] | None) -> None:
    """The end of a fetch: keep the platform's keys. None: there was no good answer, the keys at hand stay."""
    with db.write() as session:
        row = session.get(PlatformRow, platform_id)
        if row is not None:
            row.jwks_cache, row.jwks_fetched_at = keyset or row.jwks_cache, datetime.now(UTC)


# -- our keys --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolKey:
    kid: str
    private_pem: str
    public_jwk: dict[str, Any]


def tool_keys(db: Database) -> list[ToolKey]:
    """All keys of our JWKS: the signing one first, then the next one, then those retired within ``RETIRED_LIFE``.

    The first two are made at the first call. The next one stands in the JWKS long before it signs, so that a platform
    that keeps a copy of our JWKS knows it on the day of the change.
    """
    ready = _keys(db)
    if {row.state for row in ready} >= {"signing", "next"}:
        return [ToolKey(row.kid, row.private_pem, row.public_jwk) for row in ready]
    with db.write() as session:
        states = {row.state for row in session.exec(select(ToolKeyRow)).all()}
        session.add_all(_new_key(state) for state in ("signing", "next") if state not in states)
    return [ToolKey(row.kid, row.private_pem, row.public_jwk) for row in _keys(db)]


def _keys(db: Database) -> list[ToolKeyRow]:
    with db.read() as session:
        rows = session.exec(select(ToolKeyRow)).all()
    oldest = datetime.now(UTC) - RETIRED_LIFE
    shown = [row for row in rows if row.retired_at is None or row.retired_at > oldest]
    return sorted(shown, key=lambda row: ("signing", "next", "retired").index(row.state))


def rotate_key(db: Database) -> tuple[str, str]:
    """Let the next key sign from now on and make another next one. Returns the ids of the signing and the next key."""
    tool_keys(db)
    now = datetime.now(UTC)
    with db.write() as session:
        rows = {row.state: row for row in session.exec(select(ToolKeyRow)).all() if row.state != "retired"}
        rows["signing"].state, rows["signing"].retired_at = "retired", now
        rows["next"].state = "signing"
        following = _new_key("next")
        session.add(following)
        session.execute(delete(ToolKeyRow).where(col(ToolKeyRow.retired_at) < now - RETIRED_LIFE))
        return rows["next"].kid, following.kid


def _new_key(state: str) -> ToolKeyRow:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kid = uuid4().hex
    public = json.loads(JWK.from_pem(pem).export_public())  # type: ignore[no-untyped-call]
    public |= {"kid": kid, "use": "sig", "alg": "RS256"}
    return ToolKeyRow(
        kid=kid, state=state, private_pem=pem.decode(), public_jwk=public, created_at=datetime.now(UTC)
    )


# -- invitations -----------------------------------------------------------------------------------------------


def make_invite(db: Database, app: str, life: timedelta = INVITE_LIFE) -> str:
    """A code with which one LMS may register ``app`` once, within ``life``."""
    if app not in APPS:
        raise ValueError(f"app is one of {', '.join(APPS)}")
    code = secrets.token_urlsafe(24)
    now = datetime.now(UTC)
    with db.write() as session:
        session.execute(delete(LtiInviteRow).where(col(LtiInviteRow.expires_at) < now - timedelta(days=30)))
        session.add(LtiInviteRow(code_hash=hash_secret(code), app=app, expires_at=now + life))
    return code


def use_invite(db: Database, code: str, app: str) -> bool:
    """Use up an invitation: exactly one caller gets it."""
    now = datetime.now(UTC)
    with db.write() as session:
        used = session.execute(
            update(LtiInviteRow)
            .where(
                col(LtiInviteRow.code_hash) == hash_secret(code),
                col(LtiInviteRow.app) == app,
                col(LtiInviteRow.used_at).is_(None),
                col(LtiInviteRow.expires_at) > now,
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        return bool(used.rowcount == 1)  # type: ignore[attr-defined]


def give_invite_back(db: Database, code: str) -> None:
    """The registration failed half-way: the same link may be tried again."""
    with db.write() as session:
        row = session.get(LtiInviteRow, hash_secret(code))
        if row is not None:
            row.used_at = None


# -- logins under way ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Login:
    """A login that a launch has just used up."""

    platform_id: int
    nonce_hash: str
    target_link_uri: str
    browser_hash: str


@dataclass(frozen=True, slots=True)
class BrowserCheck:
    """How a login under way knows its browser again: by a secret, kept in a cookie or at ``storage_target``."""

    browser_hash: str
    storage_target: str
    platform_id: int


def begin_login(
    db: Database,
    platform_id: int,
    state: str,
    nonce: str,
    target_link_uri: str,
    browser: str = "",
    storage_target: str = "",
) -> None:
    """Remember a login's state, nonce and browser secret (as hashes), for 15 minutes and one use.

    State and nonce are bound to each other and to the registration.
    """
    now = datetime.now(UTC)
    with db.write() as session:
        if db.is_due("logins", 60.0):
            session.execute(delete(LtiStateRow).where(col(LtiStateRow.expires_at) < now - timedelta(hours=1)))
        session.add(
            LtiStateRow(
                state_hash=hash_secret(state),
                nonce_hash=hash_secret(nonce),
                platform_id=platform_id,
                target_link_uri=target_link_uri,
                browser_hash=hash_secret(browser) if browser else "",
                storage_target=storage_target,
                expires_at=now + STATE_LIFE,
            )
        )


def login_browser(db: Database, state: str) -> BrowserCheck | None:
    """Look at a login without using it up. None: unknown, used or expired."""
    asked = {"digest": hash_secret(state), "now": datetime.now(UTC)}
    with db.read() as session:
        found = session.connection().execute(_BROWSER_OF, asked).one_or_none()
    return None if found is None else BrowserCheck(*found)


def use_login(db: Database, state: str) -> Login | None:
    """Use up a login by its state: exactly one caller gets it. None: unknown, used or expired."""
    asked = {"digest": hash_secret(state), "now": datetime.now(UTC)}
    with db.write() as session:
        used = session.connection().execute(_USE_LOGIN, asked).one_or_none()
    return None if used is None else Login(*used)
