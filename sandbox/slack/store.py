"""What the practice Slack remembers: messages, forms, calls of its API, and faults to play. In memory; thread-safe."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import Any

from sandbox.slack.setup import TEAM_ID, USERS

KEPT = 300
RESPONSE_USES = 5
RESPONSE_LIFE_S = 1800


class SlackStore:
    """One workspace. Every change raises ``version``, which the page polls."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._messages: dict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._views: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._responses: dict[str, tuple[str, str, float, int]] = {}
        self._originals: dict[str, str] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self._triggers: dict[str, tuple[str, float]] = {}
        self._last_ts = 0
        self.version = 1
        self.calls: deque[dict[str, Any]] = deque(maxlen=2000)
        self.faults: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self.users = _people()
        self.tokens: dict[str, str] = {}
        self.teams = {TEAM_ID: "Practice"}
        self.channel_flags: dict[str, dict[str, bool]] = {}

    def new_ts(self) -> str:
        with self._lock:
            self._last_ts = max(self._last_ts + 1, int(time.time() * 1_000_000))
            return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def add(self, channel: str, message: dict[str, Any]) -> str:
        """Add a message; ``only_for`` in it makes it ephemeral."""
        with self._lock:
            ts = self.new_ts()
            self._messages[channel].append({**message, "ts": ts, "channel": channel})
            self.version += 1
            return ts

    def update(self, channel: str, ts: str, changes: dict[str, Any]) -> bool:
        with self._lock:
            for message in self._messages[channel]:
                if message["ts"] == ts:
                    message.update(changes)
                    self.version += 1
                    return True
            return False

    def delete(self, channel: str, ts: str) -> bool:
        with self._lock:
            kept = [m for m in self._messages[channel] if m["ts"] != ts]
            gone = len(kept) < len(self._messages[channel])
            self._messages[channel] = deque(kept, maxlen=KEPT)
            self.version += 1
            return gone

    def seen_by(self, channel: str, user: str) -> list[dict[str, Any]]:
        """A channel as one person sees it."""
        with self._lock:
            return [dict(m) for m in self._messages[channel] if m.get("only_for") in (None, user)]

    def find(self, channel: str, ts: str) -> dict[str, Any] | None:
        with self._lock:
            return next((dict(m) for m in self._messages[channel] if m["ts"] == ts), None)

    def new_trigger(self, user: str) -> str:
        with self._lock:
            trigger = f"{len(self._triggers)}.{time.time():.6f}"
            self._triggers[trigger] = (user, time.time())
            return trigger

    def use_trigger(self, trigger: str) -> str | None:
        """The person of a trigger, once and within 3 s."""
        with self._lock:
            user, at = self._triggers.pop(trigger, ("", 0.0))
            return user if user and time.time() - at <= 3.0 else None

    def push_view(self, user: str, view: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            made = {**view, "id": f"V{self.new_ts()}", "hash": self.new_ts()}
            self._views[user] = [made]
            self.version += 1
            return made

    def publish_home(self, user: str, view: dict[str, Any]) -> None:
        with self._lock:
            self.homes[user] = view
            self.version += 1

    def views_of(self, user: str) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(v) for v in self._views[user]]

    def close_view(self, user: str) -> None:
        with self._lock:
            self._views[user] = []
            self.version += 1

    def new_response_url(self, base: str, channel: str, user: str, ts: str = "") -> str:
        """``ts``: the message that the answer may replace."""
        with self._lock:
            key = f"{len(self._responses)}-{self.new_ts().replace('.', '')}"
            self._responses[key] = (channel, user, time.time(), RESPONSE_USES)
            self._originals[key] = ts
            return f"{base}/response/{key}"

    def use_response(self, key: str) -> tuple[str, str] | None:
        """(channel, user) of a response address while it has uses left."""
        with self._lock:
            channel, user, at, left = self._responses.get(key, ("", "", 0.0, 0))
            if left < 1 or time.time() - at > RESPONSE_LIFE_S:
                return None
            self._responses[key] = (channel, user, at, left - 1)
            return channel, user

    def original_of(self, key: str) -> str:
        """The message that a response address belongs to; empty for a command's."""
        with self._lock:
            return self._originals.get(key, "")

    def note_call(self, method: str, body: dict[str, Any], token: str = "") -> dict[str, Any] | None:
        """Remember a call of the Web API, and whose token it had; the fault to play for it, if one is queued."""
        with self._lock:
            self.calls.append(
                {"at": time.time(), "method": method, "body": body, "team": self.tokens.get(token, "")}
            )
            queue = self.faults[method]
            return queue.popleft() if queue else None

    def set_user(self, user_id: str, team_id: str = TEAM_ID, name: str = "", **flags: Any) -> None:
        """Somebody new, or changed: ``deleted``, ``is_restricted``, ``is_bot``, ``is_stranger`` …"""
        with self._lock:
            known = self.users.get(user_id, {"name": user_id.lower(), "real_name": name or user_id})
            self.users[user_id] = {**known, "id": user_id, "team_id": team_id, **flags}

    def team_name(self, team_id: str) -> str:
        return self.teams.get(team_id, team_id)

    def clear(self) -> None:
        with self._lock:
            self.users = _people()
            self._messages.clear()
            self._views.clear()
            self.homes.clear()
            self.calls.clear()
            self.faults.clear()
            self.version += 1


def _people() -> dict[str, dict[str, Any]]:
    """The workspace's people as Slack's user objects."""
    return {
        user_id: {
            "id": user_id,
            "team_id": TEAM_ID,
            "name": key,
            "real_name": name,
            "deleted": False,
            "is_bot": False,
            "is_restricted": False,
            "is_ultra_restricted": False,
        }
        for user_id, (key, name) in USERS.items()
    }
