"""LTI rows: registrations, deployments, our signing keys, and one-use logins (state and nonce)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwcrypto.jwk import JWK
from sqlalchemy import delete, update
from sqlmodel import col, select

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import DeploymentRow, LtiStateRow, PlatformRow, ToolKeyRow

STATE_LIFE = timedelta(minutes=15)
KEYSET_FETCH_AGAIN = timedelta(seconds=30)
"""An unknown key id makes us fetch the platform's keyset anew, at most this often."""


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
    jwks_fetched_at: datetime | None

    @property
    def may_fetch_keys(self) -> bool:
        return self.jwks_fetched_at is None or datetime.now(UTC) - self.jwks_fetched_at > KEYSET_FETCH_AGAIN


def _platform(row: PlatformRow) -> Platform:
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
        row.jwks_fetched_at,
    )


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
) -> Platform:
    """Register a platform's tool, or change the registration with this issuer and client id.

    With ``deployments`` given only those are accepted; otherwise a deployment that is new is accepted and remembered.
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
            row.jwks_cache = row.jwks_fetched_at = None
        row.auth_login_url, row.auth_token_url, row.jwks_url = auth_login_url, auth_token_url, jwks_url
        row.app, row.name, row.accept_new_deployments = app, name or row.name, not deployments
        session.flush()
        assert row.id is not None
        for deployment_id in deployments:
            _deployment(session, row.id, deployment_id)
        return _platform(row)


def _deployment(session: Any, platform_id: int, deployment_id: str) -> DeploymentRow:
    where = (DeploymentRow.platform_id == platform_id, DeploymentRow.deployment_id == deployment_id)
    row: DeploymentRow | None = session.exec(select(DeploymentRow).where(*where)).first()
    if row is None:
        row = DeploymentRow(platform_id=platform_id, deployment_id=deployment_id)
        session.add(row)
    return row


def accept_deployment(db: Database, platform: Platform, deployment_id: str) -> bool:
    """Is this deployment welcome? A new one of a known registration is remembered when the registration allows it."""
    with db.read() as session:
        where = (DeploymentRow.platform_id == platform.id, DeploymentRow.deployment_id == deployment_id)
        row = session.exec(select(DeploymentRow).where(*where)).first()
    if row is not None:
        return row.approved
    if not platform.accept_new_deployments:
        return False
    with db.write() as session:
        _deployment(session, platform.id, deployment_id)
    return True


def find_platforms(db: Database, issuer: str) -> list[Platform]:
    """All registrations of an issuer."""
    with db.read() as session:
        rows = session.exec(
            select(PlatformRow).where(PlatformRow.issuer == issuer).order_by(col(PlatformRow.id))
        ).all()
    return [_platform(row) for row in rows]


def find_platform(db: Database, issuer: str, client_id: str) -> Platform | None:
    return next((p for p in find_platforms(db, issuer) if p.client_id == client_id), None)


def list_platforms(db: Database) -> list[Platform]:
    with db.read() as session:
        return [
            _platform(row) for row in session.exec(select(PlatformRow).order_by(col(PlatformRow.id))).all()
        ]


def save_keyset(db: Database, platform_id: int, keyset: dict[str, Any] | None) -> None:
    """Keep a platform's keys, and when they were last asked for."""
    with db.write() as session:
        row = session.get(PlatformRow, platform_id)
        if row is not None:
            row.jwks_cache, row.jwks_fetched_at = keyset, datetime.now(UTC)


# -- our keys --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolKey:
    kid: str
    private_pem: str
    public_jwk: dict[str, Any]


def tool_keys(db: Database) -> list[ToolKey]:
    """Our keys, the signing one first; made at the first call."""
    with db.write() as session:
        rows = session.exec(select(ToolKeyRow).where(col(ToolKeyRow.retired_at).is_(None))).all()
        if not rows:
            row = _new_key()
            session.add(row)
            rows = [row]
        ordered = sorted(rows, key=lambda r: r.created_at, reverse=True)
        return [ToolKey(r.kid, r.private_pem, r.public_jwk) for r in ordered]


def _new_key() -> ToolKeyRow:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kid = uuid4().hex
    public = json.loads(JWK.from_pem(pem).export_public())  # type: ignore[no-untyped-call]
    public |= {"kid": kid, "use": "sig", "alg": "RS256"}
    return ToolKeyRow(kid=kid, private_pem=pem.decode(), public_jwk=public, created_at=datetime.now(UTC))


# -- logins under way ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Login:
    """A login that a launch has just used up."""

    platform_id: int
    nonce_hash: str
    target_link_uri: str


def begin_login(db: Database, platform_id: int, state: str, nonce: str, target_link_uri: str) -> None:
    """Remember a login's state and nonce (as hashes), bound to the registration, for 15 minutes and one use."""
    now = datetime.now(UTC)
    with db.write() as session:
        session.execute(delete(LtiStateRow).where(col(LtiStateRow.expires_at) < now - timedelta(hours=1)))
        session.add(
            LtiStateRow(
                state_hash=hash_secret(state),
                nonce_hash=hash_secret(nonce),
                platform_id=platform_id,
                target_link_uri=target_link_uri,
                expires_at=now + STATE_LIFE,
            )
        )


def use_login(db: Database, state: str) -> Login | None:
    """Use up a login by its state: exactly one caller gets it. None: unknown, used or expired."""
    now = datetime.now(UTC)
    digest = hash_secret(state)
    with db.write() as session:
        used = session.execute(
            update(LtiStateRow)
            .where(
                col(LtiStateRow.state_hash) == digest,
                col(LtiStateRow.used_at).is_(None),
                col(LtiStateRow.expires_at) > now,
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        if used.rowcount != 1:  # type: ignore[attr-defined]
            return None
        row = session.exec(select(LtiStateRow).where(LtiStateRow.state_hash == digest)).one()
        return Login(row.platform_id, row.nonce_hash, row.target_link_uri)
