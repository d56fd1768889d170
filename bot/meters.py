"""Counts for the administrator (``/healthz``): how fast Slack is answered, what came twice, what Slack held up. In memory."""

from __future__ import annotations

import threading
from collections import Counter, deque

KEPT = 500
"""Acknowledgements from which the percentile is made."""


class Meters:
    """Of one process, since its start. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._acks: deque[float] = deque(maxlen=KEPT)
        self._repeated: Counter[str] = Counter()
        self._limited: Counter[str] = Counter()
        self._failed_installs = 0

    def acknowledged(self, seconds: float) -> None:
        """Slack got its answer after so long."""
        with self._guard:
            self._acks.append(seconds)

    def repeated(self, kind: str) -> None:
        """A request that was taken before."""
        with self._guard:
            self._repeated[kind] += 1

    def limited(self, method: str) -> None:
        """Slack answered 429."""
        with self._guard:
            self._limited[method] += 1

    def install_failed(self) -> None:
        with self._guard:
            self._failed_installs += 1

    def report(self) -> dict[str, object]:
        """Plain values; ``ack_p95_ms`` None before the first request."""
        with self._guard:
            acks = sorted(self._acks)
            p95 = round(acks[int(0.95 * (len(acks) - 1))] * 1000, 1) if acks else None
            return {
                "ack_p95_ms": p95,
                "repeated": dict(self._repeated),
                "limited_by_slack": dict(self._limited),
                "failed_installs": self._failed_installs,
            }
