"""Deep linking as Sakai does it: three places with their settings, and what its answer must hold to be taken."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import jwt

from sandbox.lms.state import Item, Platform
from sandbox.lms.world import Site, Tool

DL = "https://purl.imsglobal.org/spec/lti-dl/claim/"
LTI = "https://purl.imsglobal.org/spec/lti/claim/"
FLOWS = ("lessons", "editor", "assignment")


class NotInserted(Exception):
    """The tool's answer is not taken; the text says why."""


def settings_claim(
    platform: Platform, site: Site, tool: Tool, flow: str, given: Mapping[str, str]
) -> dict[str, Any]:
    """The settings that this place sends. ``given``: state, nonce and redirect_uri of the launch, which ``data`` brings back."""
    asking = urlencode(
        {
            "eventSubmit_doMultipleContentItemResponse": "Save",
            "flow": flow,
            "returnUrl": f"{platform.server}/site/{site.key}/lessons",
            "sakai.session": secrets.token_hex(16),
            "panel": "PostContentItem",
            "tool_id": str(tool.number),
            "sakai_csrf_token": secrets.token_hex(32),
        }
    )
    helper = f"{platform.server}/portal/site/{site.key}/sakai.lti.admin.helper.helper?{asking}"
    forward = base64.urlsafe_b64encode(helper.encode()).decode().replace("=", ".")
    data = {"remember": "the answer is 42", **given, "flow": flow}
    return {
        "deep_link_return_url": f"{platform.server}/imsoidc/lti13/resigncontentitem?forward={forward}&tool_id={tool.number}",
        "accept_types": ["ltiResourceLink", *(("link", "image") if flow == "editor" else ())],
        "accept_presentation_document_targets": ["iframe", "window"],
        "accept_multiple": flow == "editor",
        "auto_create": True,
        # Written by Java, which escapes slashes.
        "data": json.dumps(data, separators=(",", ":")).replace("/", "\\/"),
        "accept_lineitem": flow != "editor",
        "https://www.sakailms.org/spec/lti-dl/placement": flow,
        "https://www.sakailms.org/spec/lti-dl/accept_lineitem": flow != "editor",
        "https://www.sakailms.org/spec/lti-dl/accept_available": flow == "assignment",
        "https://www.sakailms.org/spec/lti-dl/accept_submission": flow == "assignment",
    }


def forwarded(forward: str) -> str:
    """Where the answer goes on to. Raises ValueError."""
    return base64.urlsafe_b64decode(forward.replace(".", "=")).decode()


def take(platform: Platform, site: str, tool: Tool, flow: str, token: str) -> list[Item]:
    """Check a tool's answer and keep its links. Raises NotInserted."""
    try:
        # Sakai fetches our keyset anew each time and looks for the kid.
        client = jwt.PyJWKClient(f"{platform.tool_url}/lti/jwks.json", timeout=5)
        key = client.get_signing_key_from_jwt(token).key
        body = jwt.decode(token, key, algorithms=["RS256"], audience=platform.server, leeway=60)
    except (jwt.PyJWTError, ValueError) as error:
        raise NotInserted(f"signature: {type(error).__name__}") from error
    if body.get(LTI + "message_type") != "LtiDeepLinkingResponse":
        raise NotInserted("message_type")
    if not body.get(DL + "data"):
        raise NotInserted("data was not echoed")
    links = body.get(DL + "content_items", [])
    if not links:
        raise NotInserted(str(body.get(DL + "msg") or "nothing was chosen"))
    taken = []
    for link in links if flow == "editor" else links[-1:]:
        if link.get("type") != "ltiResourceLink":
            raise NotInserted("Not handled")
        custom = link.get("custom", {})
        if not all(isinstance(value, str) for value in custom.values()):
            raise NotInserted("custom values must be texts")
        item = Item(
            content=platform.next_content(),
            site=site,
            tool=tool,
            title=str(link.get("title", "")),
            url=link.get("url", f"{platform.tool_url}/lti/launch"),
            custom=custom,
            raw=link,
        )
        platform.items[item.content] = item
        taken.append(item)
    return taken
