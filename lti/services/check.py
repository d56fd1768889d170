"""Try a platform's connections at an administrator's wish, and note what came of each."""

from __future__ import annotations

from contextlib import suppress

from lti.errors import LaunchRefused
from lti.launch import refresh_keyset
from lti.services.connector import Connector
from lti.services.errors import ServiceFailed
from models.store import lti as store
from models.store import roster, services
from models.store.database import Database


def check_platform(db: Database, platform_id: int) -> None:
    """Fetch the keyset and, when a course has offered a service, a new access token; let a roster be fetched again.

    Takes seconds when the platform does not answer. The results stand in ``models.store.services.list_health``.
    """
    platform = store.get_platform(db, platform_id)
    if platform is None:
        return
    with suppress(LaunchRefused):  # noted
        refresh_keyset(db, platform)
    offered = services.services_of_platform(db, platform_id)
    if not offered:
        return  # without a course there is no scope that may be asked for
    scopes = offered[0].scopes
    connector = Connector(db, platform, offered[0].deployment_id)
    try:
        kept = services.find_token(db, connector.owner, scopes)
        if kept is not None:
            services.drop_token(db, connector.owner, scopes, kept)
        connector.get_access_token(scopes)
    except ServiceFailed:
        return  # noted by the connector
    finally:
        connector.close()
    for service in offered:
        if service.name == "roster":
            roster.want_sync(db, service.course_id, force=True)
            return
