"""Dynamic registration as Sakai does it: a public configuration that echoes its query, one-use tokens, little checking."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from flask import Flask, Response, abort, jsonify, request

from sandbox.lms import pages
from sandbox.lms.services import AGS_SCOPES, GROUPS_SCOPE, NRPS_SCOPE
from sandbox.lms.state import Platform
from sandbox.lms.world import Tool

MAX_BODY = 300_000
TOKEN_LIFE_S = 3600
SCOPES_SUPPORTED = (AGS_SCOPES[2], AGS_SCOPES[3], AGS_SCOPES[0], AGS_SCOPES[1], NRPS_SCOPE, GROUPS_SCOPE)
TOOL = "https://purl.imsglobal.org/spec/lti-tool-configuration"
PLATFORM = "https://purl.imsglobal.org/spec/lti-platform-configuration"


def add_routes(app: Flask, platform: Platform) -> None:
    @app.get("/admin/register")
    def register() -> str:
        """The administrator pasted a registration URL: open it in a frame, as the modal window does."""
        url = request.args.get("url", "")
        tool_key, client_id = str(platform.next_content()), str(uuid4())
        platform.drafts[tool_key] = client_id
        query = {"key": tool_key, "clientId": client_id, "issuerURL": platform.server, "deploymentId": "1"}
        ticket = f"{int(time.time())}:{uuid4()}"
        platform.tickets[ticket] = tool_key
        more = urlencode(
            {
                "openid_configuration": f"{platform.server}/imsblis/lti13/well_known?{urlencode(query)}",
                "registration_token": ticket,
            }
        )
        return pages.register_page(f"{url}{'&' if '?' in url else '?'}{more}" if url else "")

    @app.get("/imsblis/lti13/well_known")
    def well_known() -> Response:
        given = [request.args.get(name, "") for name in ("key", "clientId", "issuerURL", "deploymentId")]
        if not all(given):
            abort(400)
        tool_key, _, issuer, _ = given
        base = f"{platform.server}/imsblis/lti13"
        return jsonify(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{platform.server}/imsoidc/lti13/oidc_auth",
                "token_endpoint": f"{base}/token/{tool_key}",
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
                "jwks_uri": f"{base}/keyset",
                "registration_endpoint": f"{base}/registration_endpoint/{tool_key}",
                "scopes_supported": [*SCOPES_SUPPORTED, "openid"],
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public", "pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "claims_supported": ["iss", "aud"],
                PLATFORM: {
                    "product_family_code": "sakailms.org",
                    "version": "25-SNAPSHOT",
                    "messages_supported": [
                        {"type": "LtiResourceLinkRequest", "placements": []},
                        {"type": "LtiDeepLinkingRequest", "placements": []},
                    ],
                    "variables": ["User.id", "Person.email.primary"],
                },
            }
        )

    @app.post("/imsblis/lti13/registration_endpoint/<tool_key>")
    def registration_endpoint(tool_key: str) -> tuple[Response | str, int]:
        ticket = request.headers.get("Authorization", "").removeprefix("Bearer ")
        stamp = ticket.partition(":")[0]
        late = not stamp.isdigit() or time.time() - int(stamp) > TOKEN_LIFE_S
        if platform.tickets.pop(ticket, None) != tool_key or late:
            return "", 403
        body: Any = request.get_json(silent=True)
        needed = ("initiate_login_uri", "jwks_uri")
        if (
            not isinstance(body, dict)
            or len(request.get_data()) > MAX_BODY
            or not all(isinstance(body.get(name), str) for name in needed)
            or not isinstance(body.get("redirect_uris"), list)
        ):
            return jsonify({"error": "Could not parse the registration"}), 400
        client_id = platform.drafts[tool_key]
        platform.tools[tool_key] = _tool(tool_key, client_id, body)
        answer = {**body, "client_id": client_id}
        answer[TOOL] = {**body.get(TOOL, {}), "deployment_id": "1"}
        platform.registrations[client_id] = answer
        return jsonify(answer), 200


def _tool(number: str, client_id: str, body: dict[str, Any]) -> Tool:
    """The form as Sakai fills it in from a registration: boxes by scopes and claims."""
    scope, inner = str(body.get("scope", "")), body.get(TOOL, {})
    return Tool(
        number,
        str(body.get("client_name")),
        client_id,
        int(number),
        roster="contextmembership.readonly" in scope,
        grades="ags/scope/score" in scope and "ags/scope/lineitem" in scope,
        email="email" in inner.get("claims", ()),
        login_path=urlsplit(str(body["initiate_login_uri"])).path,
    )
