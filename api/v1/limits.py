"""How often a key may call: two moving windows a key, one for wrong keys an address. Counted in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from rooms.errors import DomainError


@dataclass(frozen=True, slots=True)
class Limits:
    """Windows in the words of the library ``limits``."""

    recordings: str = "1000 per 50 second"
    overall: str = "3500 per 5 minute"
    wrong_keys: str = "20 per 1 minute"


DEFAULT_LIMITS = Limits()


class RateLimiter:
    """Thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._recordings = parse(limits.recordings)
        self._overall = parse(limits.overall)
        self._wrong = parse(limits.wrong_keys)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def take(self, key_id: str, *, recordings: bool) -> dict[str, str]:
        """Count a call; returns headers that tell what is left. Raises ``rate_limited``."""
        windows = [("overall", self._overall)]
        if recordings:
            windows.insert(0, ("recordings", self._recordings))
        for name, window in windows:
            if not self._limiter.hit(window, name, key_id):
                raise self._refusal(window, name, key_id)
        # The window that is nearer to its end is the one to heed.
        name, window = min(windows, key=lambda w: self._left(w[1], w[0], key_id))
        return self._headers(window, name, key_id)

    def wrong_key(self, address: str) -> None:
        """Count a wrong key. Raises ``rate_limited`` when there were too many from this address."""
        if not self._limiter.hit(self._wrong, "wrong", address):
            raise self._refusal(self._wrong, "wrong", address)

    def _left(self, window: RateLimitItem, *names: str) -> int:
        return int(self._limiter.get_window_stats(window, *names).remaining)

    def _headers(self, window: RateLimitItem, *names: str) -> dict[str, str]:
        stats = self._limiter.get_window_stats(window, *names)
        return {
            "RateLimit-Limit": str(window.amount),
            "RateLimit-Remaining": str(stats.remaining),
            "RateLimit-Reset": str(max(1, round(stats.reset_time - time.time()))),
        }

    def _refusal(self, window: RateLimitItem, *names: str) -> DomainError:
        headers = self._headers(window, *names)
        wait = int(headers["RateLimit-Reset"])
        return DomainError(
            "rate_limited",
            f"Too many requests: {window.amount} in {window.get_expiry()} s are allowed. Try again in {wait} s.",
            retry_after_s=wait,
            limit=window.amount,
        )
