"""The site's storages, built from the settings."""

from __future__ import annotations

from library.storage import Storages
from library.storage_vault import Vault
from models.store.database import Database
from server.settings import Settings


def build_storages(settings: Settings, db: Database) -> Storages:
    """Knows the keys of earlier site secrets too."""
    vault = Vault(settings.key("storage"), settings.previous_keys("storage"))
    return Storages(db, vault, allow_private=settings.storage_private_endpoints)
