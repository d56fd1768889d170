"""Dynamic registration as Sakai does it: a public configuration that echoes its query, one-use tokens, little checking."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from flask import Flask, Response, abort, jsonify, request

from sandbox.lms import pages
from sandbox.lms.state import Platform
from sandbox.lms.world import Tool

MAX_BODY = 300_000
TOOL = "https://purl.imsglobal.org/spec/lti-tool-configuration"
PLATFORM = "https://purl.imsglobal.org/spec/lti-platform-configuration"


def add_routes(app: Flask, platform: Platform) -> None:
    @app.get("/admin/register")
    def register() -> str:
        """The administrator pasted a registration URL: open it in a frame, as the modal window does."""
        url = request.args.get("url", "")
        tool_key, client_id = f"dyn{secrets.token_hex(3)}", str(uuid4())
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
        tool_key, client_id, issuer, deployment = given
        base = f"{platform.server}/imsblis/lti13"
        end = urlencode({"clientId": client_id, "deploymentId": deployment})
        return jsonify(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{platform.server}/imsoidc/lti13/oidc_auth",
                "token_endpoint": f"{base}/token/{tool_key}",
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
                "jwks_uri": f"{base}/keyset",
                "registration_endpoint": f"{base}/registration_endpoint/{tool_key}?{end}",
                "scopes_supported": ["openid"],
                "response_types_supported": ["id_token"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "claims_supported": ["iss", "aud"],
                PLATFORM: {
                    "product_family_code": "sakailms.org",
                    "version": "25-practice",
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
        if platform.tickets.pop(ticket, None) != tool_key:
            return "", 403
        body: Any = request.get_json(silent=True)
        needed = ("initiate_login_uri", "jwks_uri")
        if (
            not isinstance(body, dict)
            or len(request.get_data()) > MAX_BODY
            or not all(isinstance(body.get(name), str) for name in needed)
            or not isinstance(body.get("redirect_uris"), list)
        ):
            return "", 400
        client_id = request.args["clientId"]
        content = platform.next_content()
        platform.tools[tool_key] = Tool(tool_key, str(body.get("client_name")), client_id, content)
        answer = {**body, "client_id": client_id}
        answer[TOOL] = {**body.get(TOOL, {}), "deployment_id": request.args["deploymentId"]}
        platform.registrations[client_id] = answer
        return jsonify(answer), 200
