"""How many pictures a person's line can carry, from what their browser reports. Pure; sound is never given up.

Loss that stays (receiver reports) says that there is too much; the browser's estimate (REMB) then says how much is left. The
estimate alone proves little: it starts low, follows what is sent, and dips when the machine is busy. Only where it keeps
falling far below what is sent, a long queue stands before it without losing anything, and sound comes late. Pictures come
back one by one, and a try that failed is not repeated soon.
"""

from __future__ import annotations

from typing import Final

CHECK_S: Final = 1.0
FRESH_S: Final = 3.5
"""Older reports say nothing."""
LOSS: Final = 0.08
"""Congested: a larger share of the packets is lost …"""
LOST_CHECKS: Final = 3
"""… in so many checks on end: a bad second or two is what retransmission is for."""
QUEUED: Final = 0.6
"""Congested, too: the browser could receive less than this share of what is sent, and ever less …"""
QUEUED_CHECKS: Final = 5
"""… in so many checks on end."""
LAST_PICTURE_LOSS: Final = 0.2
"""The last picture goes only when so much is lost: a face that stutters is better than none."""
SETTLE_S: Final = 4.0
"""After a change the reports describe the time before it for so long."""
FIRST_HOLD_S: Final = 10.0
MOST_HOLD_S: Final = 120.0
LEAST_BPS: Final = 100_000
"""Below this nothing is gained by sending less."""


class Downlink:
    """One subscriber's line. Give it reports as they come, ask ``check`` about once a second."""

    def __init__(self, now: float) -> None:
        self.limit: int | None = None
        """Pictures this person gets at most; None: all."""
        self._remb = 0
        self._remb_at = -FRESH_S
        self._remb_before = 0
        self._loss = 0.0
        self._loss_at = -FRESH_S
        self._lost = 0
        self._queued = 0
        self._changed_at = now
        self._raised_at = -MOST_HOLD_S
        self._hold_s = FIRST_HOLD_S

    def remb(self, bps: int, now: float) -> None:
        """What the browser could receive, bits a second."""
        self._remb, self._remb_at = bps, now

    def loss(self, share: float, now: float) -> None:
        """Share of the packets that were lost on the way (0…1), over all lines."""
        self._loss, self._loss_at = share, now

    def check(self, sent_bps: float, pictures: int, now: float) -> bool:
        """``sent_bps`` was sent since the last check, with so many pictures. True when ``limit`` has changed."""
        self._judge(sent_bps, now)
        settled = now - self._changed_at >= SETTLE_S
        if settled and (self._lost >= LOST_CHECKS or self._queued >= QUEUED_CHECKS):
            share = min(1.0 - self._loss, self._remb / sent_bps if self._is_fresh(now) else 1.0)
            return self._lower(share, pictures, now)
        if self.limit is not None and self._lost == 0 and now - self._changed_at >= self._hold_s:
            self._raise(pictures, now)
            return True
        return False

    def _is_fresh(self, now: float) -> bool:
        return now - self._remb_at < FRESH_S

    def _judge(self, sent_bps: float, now: float) -> None:
        """Count the bad checks on end."""
        lost = now - self._loss_at < FRESH_S and self._loss > LOSS and sent_bps >= LEAST_BPS
        self._lost = self._lost + 1 if lost else 0
        low = self._is_fresh(now) and self._remb < QUEUED * sent_bps and sent_bps >= LEAST_BPS
        falling = self._remb <= self._remb_before * 1.01
        self._queued = self._queued + 1 if low and falling else 0
        self._remb_before = self._remb

    def _lower(self, share: float, pictures: int, now: float) -> bool:
        if pictures == 0 or (pictures == 1 and share > 1.0 - LAST_PICTURE_LOSS):
            self._lost = self._queued = 0
            return False
        if now - self._raised_at < 2 * FIRST_HOLD_S:
            self._hold_s = min(MOST_HOLD_S, self._hold_s * 2)
        self.limit = 0 if pictures == 1 else max(1, min(pictures - 1, int(pictures * share)))
        self._changed_at = now
        self._lost = self._queued = 0
        return True

    def _raise(self, pictures: int, now: float) -> None:
        """One more; all again when there are not more than that."""
        assert self.limit is not None
        if pictures < self.limit:
            self.limit = None  # fewer are in the room than may be shown
        else:
            self.limit += max(1, self.limit // 2)
            self._raised_at = now
        self._changed_at = now
