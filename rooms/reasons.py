"""Why a recording began and ended, and who asked, in the words of REST and webhooks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

START: Final = {
    "api": "API_CALL",
    "moderator": "MODERATOR",
    "breakout": "BREAKOUT",
    "on_start": "RECORD_ON_START",
}
STOP: Final = {
    "api": "API_CALL",
    "moderator": "MODERATOR",
    "breakout_ended": "BREAKOUT_ENDED",
    "session_ended": "SESSION_ENDED",
    "empty": "ALL_PEERS_LEFT",
    "length": "MAX_SECONDS",
    "error": "INTERNAL_ERROR",
}
CALLERS: Final = {"person": "USER", "api": "ORGANIZATION", "system": "SYSTEM"}


def start_reason(reason: str, caller: Mapping[str, Any] | None) -> dict[str, Any]:
    """``{"reason", "caller"}`` of a start; ``caller`` is an actor's JSON (``rooms.wire.actor_to_json``)."""
    return {"reason": START.get(reason, "MODERATOR"), "caller": _caller(caller)}


def stop_reason(
    reason: str | None, caller: Mapping[str, Any] | None, *, is_error: bool
) -> dict[str, Any] | None:
    """The same of a stop; None while the recording was not asked to end."""
    if is_error and not reason:
        return {"reason": "INTERNAL_ERROR", "caller": _caller(None)}
    return {"reason": STOP.get(reason, "MODERATOR"), "caller": _caller(caller)} if reason else None


def _caller(actor: Mapping[str, Any] | None) -> dict[str, Any]:
    found = actor or {"kind": "system", "name": "", "person_id": None}
    return {
        "type": CALLERS.get(str(found.get("kind")), "SYSTEM"),
        "name": str(found.get("name") or ""),
        "person_id": found.get("person_id"),
    }
