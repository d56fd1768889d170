"""How often Slack may be called: its limits as windows and intervals, and what it told us to wait. Pure but for the times given."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MINUTE_S: Final = 60.0
UPDATES_A_MINUTE: Final = 45
"""Slack allows about 50 chat.update a minute and workspace; the rest is for help calls, ends and recordings."""
URGENT_UPDATES_A_MINUTE: Final = 50
HOMES_A_MINUTE: Final = 40
HOME_INTERVAL_S: Final = 10.0
POST_INTERVAL_S: Final = 1.0
POSTS_A_MINUTE: Final = 200
"""New messages in a workspace; Slack allows “several hundred”. What is urgent does not wait for it."""
ACTIVE_S: Final = 120.0
"""A card that was not rewritten for so long takes no share of Slack's limit."""
URGENT: Final = 3
"""Priorities up to this one do not wait for the cards' interval."""
LIMITED_S: Final = 60.0
"""When Slack lets us wait longer than this, people are told in App Home."""

Place = tuple[str, str, str]
"""Workspace, channel, key of a message."""


def card_interval(least_s: float, cards: int) -> float:
    """Seconds between two updates of one card when ``cards`` are being rewritten."""
    return max(least_s, MINUTE_S * cards / UPDATES_A_MINUTE)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, 1 to 300; the header's name comes in any case."""
    found = next((value for name, value in headers.items() if name.lower() == "retry-after"), "1")
    return min(300.0, max(1.0, float(found))) if found.isdecimal() else 1.0


@dataclass(slots=True)
class Pace:
    """Remembers what was sent when. Times are seconds of a clock that never goes back; not thread-safe."""

    card_interval_s: float
    _parked: dict[tuple[str, str], float] = field(default_factory=dict)
    _posted: dict[tuple[str, str], float] = field(default_factory=dict)
    _changed: dict[Place, float] = field(default_factory=dict)
    _windows: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _forget_at: float = 0.0

    def may_send(self, method: str, place: Place, priority: int, now: float) -> bool:
        """Whether this call may be made now."""
        team_id, channel_id, key = place
        if max(self._parked.get((team_id, method), 0.0), self._parked.get((team_id, "*"), 0.0)) > now:
            return False
        if method in ("respond", "chat.postEphemeral"):
            return True
        if method == "chat.postMessage":
            since = now - self._posted.get((team_id, channel_id), -MINUTE_S)
            is_free = priority <= URGENT or self._count(team_id, method, now) < POSTS_A_MINUTE
            return since >= POST_INTERVAL_S and is_free
        since = now - self._changed.get(place, -1000.0)
        if method == "views.publish":
            least = HOME_INTERVAL_S if priority > URGENT else POST_INTERVAL_S
            return since >= least and self._count(team_id, method, now) < HOMES_A_MINUTE
        most = URGENT_UPDATES_A_MINUTE if priority <= URGENT else UPDATES_A_MINUTE
        if self._count(team_id, method, now) >= most:
            return False
        least = min(0.3, self.card_interval_s)
        if key.startswith("card:") and priority > URGENT:
            least = card_interval(self.card_interval_s, self._active_cards(team_id, now))
        return since >= least

    def sent(self, method: str, place: Place, now: float) -> None:
        """A call is being made."""
        team_id, channel_id, _ = place
        if method == "chat.postMessage":
            self._posted[team_id, channel_id] = now
        self._changed[place] = now
        self._forget(now)
        if method in ("chat.update", "views.publish", "chat.postMessage"):
            self._windows.setdefault((team_id, method), deque()).append(now)

    def park(self, team_id: str, method: str, seconds: float, now: float) -> None:
        """Slack said to wait with this method in this workspace; ``*``: with all."""
        self._parked[team_id, method] = now + seconds

    def limited(self, team_id: str, now: float) -> bool:
        """Whether Slack makes us wait so long that people notice."""
        return any(team == team_id and until - now > LIMITED_S for (team, _), until in self._parked.items())

    def _count(self, team_id: str, method: str, now: float) -> int:
        window = self._windows.get((team_id, method))
        if window is None:
            return 0
        while window and window[0] <= now - MINUTE_S:
            window.popleft()
        return len(window)

    def _active_cards(self, team_id: str, now: float) -> int:
        return sum(
            team == team_id and key.startswith("card:") and now - at < ACTIVE_S
            for (team, _, key), at in self._changed.items()
        )

    def _forget(self, now: float) -> None:
        """What is too long ago to matter, once in two minutes."""
        if now < self._forget_at:
            return
        self._forget_at = now + ACTIVE_S
        self._changed = {place: at for place, at in self._changed.items() if now - at < ACTIVE_S}
        self._posted = {place: at for place, at in self._posted.items() if now - at < MINUTE_S}
        self._parked = {key: until for key, until in self._parked.items() if until > now}
