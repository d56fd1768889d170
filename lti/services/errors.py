"""The one failure of the platforms' services."""

from __future__ import annotations


class ServiceFailed(Exception):
    """A service did not do what was asked. ``reason`` is a sentence for the administrator, without names or tokens.

    ``part`` is what failed: ``token`` or ``service``. ``permanent``: asking again the same way cannot help.
    """

    def __init__(
        self, reason: str, *, part: str = "service", permanent: bool = False, status: int = 0
    ) -> None:
        self.reason = reason
        self.part = part
        self.permanent = permanent
        self.status = status
        super().__init__(reason)
