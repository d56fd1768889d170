"""Signatures as Standard Webhooks 1.0 has them (github.com/standard-webhooks), and the secrets at rest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

PREFIX = "whsec_"
SECRET_BYTES = 32


class WrongSeal(Exception):
    """A secret was sealed with another site secret; it must be rotated."""


def new_secret() -> str:
    """A fresh signing secret as its owner sees it, once: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def new_message_id() -> str:
    return "msg_" + uuid4().hex


def headers(secret_list: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, one signature a secret (two while rotating)."""
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secret_list),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class Seal:
    """Seals secrets for the database with a key of the site (64 hex characters); opens also what ``previous`` keys sealed."""

    def __init__(self, key: str, previous: Sequence[str] = ()) -> None:
        keys = [Fernet(base64.urlsafe_b64encode(bytes.fromhex(each))) for each in (key, *previous)]
        self._current, self._any = keys[0], MultiFernet(keys)

    def close(self, secret: str) -> str:
        return self._current.encrypt(secret.encode()).decode()

    def renewed(self, sealed: str) -> str:
        """The same secret under the present key; as it was when it is already, or when no key opens it."""
        try:
            self._current.decrypt(sealed.encode())
        except InvalidToken:
            try:
                return self._any.rotate(sealed.encode()).decode()
            except InvalidToken:
                return sealed
        return sealed

    def open(self, sealed: str) -> str:
        """Raises WrongSeal."""
        try:
            return self._any.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise WrongSeal("sealed with another site secret") from error
