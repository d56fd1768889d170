"""The practice platform's RSA key, kept in its data folder so that registrations survive a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

KID = "-1354429127"
NEXT_KID = "942996636"
"""Sakai names its keys by a hash: a decimal number, also a negative one."""


def load_or_make(folder: Path, name: str = "platform-key.pem") -> rsa.RSAPrivateKey:
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(pem)
        path.chmod(0o600)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def keyset(key: rsa.RSAPrivateKey, following: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The key that signs and the next one, as Sakai publishes them ahead of its rotation."""
    return {"keys": [_public(key, KID), _public(following, NEXT_KID)]}


def _public(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return {"kty": "RSA", "e": jwk["e"], "use": "sig", "kid": kid, "alg": "RS256", "n": jwk["n"]}


def sign(key: rsa.RSAPrivateKey, body: dict[str, Any]) -> str:
    """A token whose header holds ``kid`` and ``alg`` only."""
    return jwt.encode(body, key, algorithm="RS256", headers={"kid": KID, "typ": ""})
