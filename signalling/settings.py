"""What the WebSocket door needs to know; built by ``server.settings`` from the environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignallingSettings:
    """Limits of docs/protocol.md and the optional TURN server (coturn with ``use-auth-secret``)."""

    allowed_origins: frozenset[str] = frozenset()
    """Origins of pages that may open the WebSocket; empty: no check (tests)."""
    slack: bool = False
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = ""
    turn_life_s: int = 12 * 3600
    hello_timeout_s: float = 10.0
    heartbeat_s: float = 10.0
    silence_timeout_s: float = 30.0
    grace_s: float = 30.0
    """How long a dropped connection keeps its media peer and the person stays online."""
    max_message_bytes: int = 256 * 1024
    max_tabs: int = 1
    """Connections of one person in one session; the oldest gives way to a new one. With more than one, a microphone in a
    forgotten window would go on after “mute” in another."""
    commands_per_s: float = 5.0
    """What one page of a participant may ask for in the long run, with bursts of ten seconds' worth."""
    queue_size: int = 512
    """Messages waiting for one slow browser; past that they are replaced by one fresh ``state``."""
