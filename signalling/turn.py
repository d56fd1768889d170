"""Time-limited TURN credentials as coturn's ``use-auth-secret`` checks them (draft-uberti-behave-turn-rest-00 §2.2)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from signalling.settings import SignallingSettings


def ice_servers(settings: SignallingSettings, person_id: str, now_s: int) -> list[dict[str, object]]:
    """The ``ice_servers`` of a ``welcome``; empty when no TURN server is configured.

    ``now_s``: Unix time. The user name is ``expiry:person``, the password base64(HMAC-SHA1(secret, user name)).
    """
    if not settings.turn_urls:
        return []
    username = f"{now_s + settings.turn_life_s}:{person_id}"
    digest = hmac.new(settings.turn_secret.encode(), username.encode(), hashlib.sha1).digest()
    return [
        {
            "urls": list(settings.turn_urls),
            "username": username,
            "credential": base64.b64encode(digest).decode(),
        }
    ]
