"""Credentials at rest: sealed with AES-256-GCM under a key derived from the site secret. Knows no database and no storage."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rooms.errors import DomainError

_NONCE_BYTES = 12


class Vault:
    """Seals with ``key`` and opens what any of the keys sealed. Keys are 64 hex digits (``Settings.key``)."""

    def __init__(self, key: str, previous: Sequence[str] = ()) -> None:
        self.key_id = key_id(key)
        self._keys = {key_id(each): bytes.fromhex(each) for each in (*previous, key)}

    def seal(self, purpose: str, values: Mapping[str, str]) -> str:
        """Base64 of nonce and ciphertext; it opens only for the same ``purpose`` (a storage's id)."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(dict(values)).encode()
        sealed = AESGCM(self._keys[self.key_id]).encrypt(nonce, plain, purpose.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, purpose: str, sealed: str, with_key: str) -> dict[str, str]:
        """What was sealed under the key of this id. Raises ``storage_unusable`` when it is not known any more."""
        key = self._keys.get(with_key)
        if key is None:
            raise DomainError("storage_unusable", LOST)
        data = base64.b64decode(sealed)
        try:
            plain = AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], purpose.encode())
        except InvalidTag:
            raise DomainError("storage_unusable", LOST) from None
        values: dict[str, str] = json.loads(plain)
        return values


LOST = (
    "The stored credentials can’t be read because the site secret changed. Put the old secret into "
    "SIDEROOM_PREVIOUS_SECRETS and restart, or remove this storage and add it again."
)


def key_id(key: str) -> str:
    """A short name of a key that tells nothing about it."""
    return hashlib.sha256(b"key id\n" + key.encode()).hexdigest()[:12]
