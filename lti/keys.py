"""Our signatures: the public keyset, and tokens signed with the key of the day (rotation: ``models.store.lti``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from models.store import lti as store
from models.store.database import Database


def keyset(db: Database) -> dict[str, Any]:
    """The JWKS that platforms fetch: the signing key, the next one, and those retired a short while ago."""
    return {"keys": [key.public_jwk for key in store.tool_keys(db)]}


def sign(db: Database, claims: Mapping[str, Any]) -> str:
    """A JWT (RS256) over ``claims``; its ``kid`` stands in our JWKS."""
    key = store.tool_keys(db)[0]
    return jwt.encode(dict(claims), key.private_pem, algorithm="RS256", headers={"kid": key.kid})
