"""Register the practice LMS's tools in our database, as an administrator would by hand."""

from __future__ import annotations

from models.store.database import Database
from models.store.lti import add_platform
from sandbox.lms.world import TOOLS


def register_practice_platform(db: Database, issuer: str) -> None:
    """One registration a tool under the same issuer. Safe to repeat; ``issuer`` is the practice LMS's address."""
    for tool in TOOLS.values():
        add_platform(
            db,
            issuer=issuer,
            client_id=tool.client_id,
            auth_login_url=f"{issuer}/imsoidc/lti13/oidc_auth",
            auth_token_url=f"{issuer}/imsblis/lti13/token/{tool.number}",
            jwks_url=f"{issuer}/imsblis/lti13/keyset",
            app=tool.key,
            name=f"Practice LMS: {tool.title}",
        )
