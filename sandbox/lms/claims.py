"""The id_token as Sakai serialises it (aud a string, custom an object, empty mentor list, its own extension)."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from sandbox.lms.services import service_claims
from sandbox.lms.state import Item
from sandbox.lms.world import ROLE_CLAIMS, Person, Site, Tool

LTI = "https://purl.imsglobal.org/spec/lti/claim/"
COURSE_OFFERING = "http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering"


def deep_linking_claims(
    server: str, tool_url: str, person: Person, site: Site, tool: Tool, nonce: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """All claims of a deep linking launch: no resource link, no return address."""
    body = id_token_claims(server, tool_url, person, site, tool, nonce)
    del body[LTI + "resource_link"]
    del body[LTI + "launch_presentation"]["return_url"]
    return body | {
        LTI + "message_type": "LtiDeepLinkingRequest",
        "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings": settings,
    }


def id_token_claims(
    server: str,
    tool_url: str,
    person: Person,
    site: Site,
    tool: Tool,
    nonce: str,
    item: Item | None = None,
) -> dict[str, Any]:
    """All claims of a resource link launch; ``server`` is the LMS's own address, ``item`` an inserted link."""
    role = site.members[person.key]
    now = int(time.time())
    return {
        "iss": server,
        "aud": tool.client_id,
        "sub": f"{server}/user/{person.key}",
        "iat": now,
        "exp": now + 3600,
        "jti": uuid4().hex,
        "nonce": nonce,
        "locale": "en_US",
        "name": person.name,
        "given_name": person.given,
        "family_name": person.family,
        "email": f"{person.key}@practice.example",
        LTI + "message_type": "LtiResourceLinkRequest",
        LTI + "version": "1.3.0",
        LTI + "deployment_id": "1",
        LTI + "target_link_uri": item.url if item else f"{tool_url}/lti/launch",
        LTI + "roles": ROLE_CLAIMS[role],
        LTI + "role_scope_mentor": [],
        LTI + "resource_link": {
            "id": f"content:{item.content if item else tool.content}",
            "title": item.title if item else tool.title,
            "description": "",
        },
        LTI + "context": {
            "id": site.key,
            "label": site.title,
            "title": site.title,
            "type": [COURSE_OFFERING],
        },
        LTI + "launch_presentation": {
            "document_target": "iframe",
            "css_url": f"{server}/static/lms.css",
            "return_url": f"{server}/imsoidc/lti11/return-url/site/{site.key}",
        },
        LTI + "tool_platform": {
            "name": "Sakai",
            "guid": "practice",
            "version": "25-practice",
            "product_family_code": "sakai",
            "url": server,
            "description": "Practice LMS",
        },
        LTI + "lis": {"person_sourcedid": person.key, "version": ["1.0.0", "1.1.0"]},
        LTI + "custom": dict(item.custom) if item else {},
        **service_claims(server, site.key),
        "https://www.sakailms.org/spec/lti/claim/extension": {
            "sakai_role": role,
            "sakai_server": server,
            "sakai_serverid": "practice",
            "sakai_eid": person.key,
        },
    }
