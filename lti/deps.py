"""What the blueprint needs, and who may frame its pages."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from foundation.address import origin
from models.store import lti as store
from models.store.database import Database
from rooms.ports import Rooms


@dataclass(frozen=True, slots=True)
class LtiDeps:
    """Built by ``server.wiring``. ``link_key`` signs what links to media prove; ``library_root`` holds the files."""

    db: Database
    rooms: Rooms
    base_url: str
    web_dist: Path
    slack_enabled: bool = False
    link_key: str = ""
    old_link_keys: tuple[str, ...] = ()
    """Of earlier site secrets: links that were made with them stay good."""
    library_root: Path = Path()
    lti_admins: bool = False
    """System administrators of the LMS may go on to the administration page."""

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https:")


def ancestors(db: Database) -> list[str]:
    """Origins of the registered platforms: only they may frame us."""
    origins = []
    for addresses in store.platform_addresses(db):
        for url in addresses:
            with suppress(ValueError):
                origins.append(origin(url))
    return list(dict.fromkeys(origins))
