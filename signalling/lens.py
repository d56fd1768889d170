"""One commit as seen by each viewer: the ``event`` messages with their patches, worked out once for all who see alike.

Viewers of the same role in the same rooms (before and after) share everything but their own bits, so the costly parts
(views, patches, JSON) are computed once a class and not once a browser.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from models.values import PersonId, Role
from rooms import view as views
from rooms import wire
from rooms.events import Recorded
from rooms.ports import Committed
from signalling.messages import stamp


class Lens:
    """Made for one ``Committed``; ask it for each viewer's messages."""

    def __init__(self, committed: Committed) -> None:
        self._committed = committed
        self._viewer = views.Viewer(committed.before, committed.after)
        self._texts: dict[str, str] = {}

    def frames(self, person_id: PersonId, role: Role, after_seq: int) -> list[str]:
        """The messages for one viewer, in order; events up to ``after_seq`` are left out (already in their state)."""
        events = [r for r in self._committed.events if r.seq > after_seq]
        if not events:
            return []
        patch = self._viewer.patch(person_id, role)
        frames = []
        for recorded in events:
            last = recorded is events[-1]
            data = views.announcement(recorded, self._committed.after, person_id, role)
            if data is not None or (last and patch is not None):
                frames.append(self._encode(recorded, data, patch if last else None))
        return frames

    def _encode(self, recorded: Recorded, data: dict[str, Any] | None, patch: dict[str, Any] | None) -> str:
        name = wire.event_name(recorded.event) if data is not None else "updated"
        body: dict[str, Any] = {
            "type": "event",
            "seq": recorded.seq,
            "at": stamp(recorded.at),
            "event": name,
            "data": data or {},
            "patch": patch,
        }
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def newest(events: Sequence[Recorded]) -> int:
    """The seq of the last event, 0 for none."""
    return events[-1].seq if events else 0
