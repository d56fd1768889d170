"""The one refusal of this door."""

from __future__ import annotations


class LaunchRefused(Exception):
    """A launch, login or registration that is not accepted. ``code`` names the case; ``hint`` is for the administrator.

    Neither holds anything out of the token. ``return_url`` is set only when the platform's signature was good.
    """

    def __init__(self, code: str, what: str, hint: str, return_url: str = "") -> None:
        self.code = code
        self.what = what
        self.hint = hint
        self.return_url = return_url
        super().__init__(f"{code}: {what}")
