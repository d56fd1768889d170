"""The id_token as Sakai serialises it (aud a string, custom an object, empty mentor list, its own extension)."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from sandbox.lms.services import AGS_CLAIM, service_claims
from sandbox.lms.state import Item
from sandbox.lms.world import ROLE_CLAIMS, Person, Site, Tool

LTI = "https://purl.imsglobal.org/spec/lti/claim/"
COURSE_OFFERING = "http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering"


def deep_linking_claims(
    server: str, tool_url: str, person: Person, site: Site, tool: Tool, nonce: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """All claims of a deep linking launch: no resource link, no return address, no line item."""
    body = id_token_claims(server, tool_url, person, site, tool, nonce)
    del body[LTI + "resource_link"]
    body.get(AGS_CLAIM, {}).pop("lineitem", None)
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
    role = site.role_of(person)
    now = int(time.time())
    content, title = (item.content, item.title) if item else (tool.content, tool.title)
    host = urlsplit(server).hostname or ""
    skin = f"{server}/static/lms.css"
    return {
        "iss": server,
        "aud": tool.client_id,
        "sub": f"{server}/user/{person.user_id}",
        "iat": now,
        "exp": now + 3600,
        "jti": str(uuid4()),
        LTI + "deployment_id": "1",
        LTI + "target_link_uri": item.url if item else f"{tool_url}/lti/launch",
        LTI + "message_type": "LtiResourceLinkRequest",
        LTI + "version": "1.3.0",
        "given_name": person.given,
        "family_name": person.family,
        **({"email": person.email} if tool.email and person.email else {}),
        "name": person.name,
        "locale": "en",
        # What the platform does not know stays as it was written: a course that was not copied has no history.
        LTI + "custom": {
            **(item.custom if item else {}),
            "context_id_history": "$Context.id.history",
            "context_timezone": "Europe/Berlin",
            "resource_link_id_history": "$ResourceLink.id.history",
        },
        LTI + "roles": ROLE_CLAIMS[role],
        LTI + "role_scope_mentor": [],
        LTI + "launch_presentation": {
            "document_target": "iframe",
            "return_url": f"{server}/imsoidc/lti11/return-url/site/{site.context_id}",
            "css_url": skin,
        },
        LTI + "resource_link": {"id": f"content:{content}", "title": title, "description": title},
        LTI + "context": {
            "id": site.context_id,
            "label": site.title,
            "title": site.title,
            "type": [COURSE_OFFERING],
        },
        LTI + "tool_platform": {
            "guid": host,
            "name": "Sakai",
            "description": host,
            "url": server,
            "product_family_code": "sakai",
            "version": "25-SNAPSHOT",
        },
        LTI + "lis": {
            "person_sourcedid": person.key,
            "course_offering_sourcedid": site.context_id,
            "course_section_sourcedid": site.context_id,
            "version": ["1.0.0", "1.1.0"],
        },
        **service_claims(server, site.context_id, tool, content),
        **(
            _outcome(server, person, content)
            if tool.grades and ROLE_CLAIMS[role] == ROLE_CLAIMS["Student"]
            else {}
        ),
        "nonce": nonce,
        "https://www.sakailms.org/spec/lti/claim/extension": {
            "sakai_launch_presentation_css_url_list": skin,
            "sakai_role": role,
            "sakai_server": server,
            "sakai_serverid": "practice",
        },
    }


def _outcome(server: str, person: Person, content: int) -> dict[str, Any]:
    """The old way to return a grade, which learners' launches still offer."""
    digest = sha256(f"{person.user_id} {content}".encode()).hexdigest()
    return {
        "https://purl.imsglobal.org/spec/lti-bo/claim/basicoutcome": {
            "lis_result_sourcedid": f"{digest}:::{person.user_id}:::content:{content}",
            "lis_outcome_service_url": f"{server}/imsblis/service/",
        }
    }
