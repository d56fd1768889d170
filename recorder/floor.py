"""Who has the floor: whose tile gets the border, and who is shown large. Pure; told of loudness block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SPEECH_DB: Final = -42.0
"""Louder than this (RMS of a sixth of a second, of full scale) is taken for speech."""
START_BLOCKS: Final = 2
PAUSE_BLOCKS: Final = 6
"""Silence shorter than a second is a pause of breath."""
LOUDER_DB: Final = 6.0
FEATURE_BLOCKS: Final = 12
"""Two seconds of speech move the large tile: no flicker by a cough."""


class Floor:
    """``active``: who speaks now; ``featured``: who spoke last for two seconds."""

    def __init__(self) -> None:
        self.active: str | None = None
        self.featured: str | None = None
        self._spoken: dict[str, int] = {}
        self._silent = 0
        self._held = 0

    def hear(self, levels_db: Mapping[str, float]) -> None:
        """Loudness of everybody in the next block; who is missing was silent."""
        loud = {who: level for who, level in levels_db.items() if level > SPEECH_DB}
        self._spoken = {who: self._spoken.get(who, 0) + 1 for who in loud}
        if self.active in loud:
            self._silent = 0
            self._held += 1
        elif self.active is not None:
            self._silent += 1
            if self._silent > PAUSE_BLOCKS:
                self.active = None
        challenger = max(
            (who for who, blocks in self._spoken.items() if blocks >= START_BLOCKS and who != self.active),
            key=lambda who: loud[who],
            default=None,
        )
        if challenger is not None and (
            self.active not in loud or loud[challenger] > loud[self.active] + LOUDER_DB
        ):
            self.active, self._silent, self._held = challenger, 0, self._spoken[challenger]
        if self.active is not None and self._held >= FEATURE_BLOCKS:
            self.featured = self.active

    def to_json(self) -> dict[str, Any]:
        """Enough to go on from here later."""
        return {"active": self.active, "featured": self.featured, "held": self._held}

    def restore(self, data: Mapping[str, Any]) -> None:
        self.active, self.featured = data.get("active"), data.get("featured")
        self._held = int(data.get("held", 0))
