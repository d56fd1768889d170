"""Section “Deployments”: where a registered tool stands in an LMS; let in, or keep out."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from api.admin.deps import AdminDeps
from api.common import json_object
from models.store import lti as store
from rooms.errors import DomainError

MAX_CHARS = 255


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("deployments", __name__)
    db = deps.db

    def listing() -> Response:
        names = {p.id: (p.name or p.issuer, p.app) for p in store.list_platforms(db)}
        return jsonify(
            {
                "deployments": [
                    {
                        "platform_id": d.platform_id,
                        "platform": names[d.platform_id][0],
                        "app": names[d.platform_id][1],
                        "deployment_id": d.deployment_id,
                        "approved": d.approved,
                    }
                    for d in store.list_deployments(db)
                    if d.platform_id in names
                ]
            }
        )

    def decide() -> tuple[str, int]:
        body = json_object()
        platform_id, deployment_id = body.get("platform_id"), body.get("deployment_id")
        approved = body.get("approved")
        if isinstance(platform_id, bool) or not isinstance(platform_id, int) or abs(platform_id) > 2**31 - 1:
            raise DomainError(
                "bad_value", "This platform doesn’t exist. Reload the page.", field="platform_id"
            )
        if not isinstance(deployment_id, str) or not 0 < len(deployment_id) <= MAX_CHARS:
            raise DomainError("bad_value", "Enter the deployment ID.", field="deployment_id")
        if not isinstance(approved, bool):
            raise DomainError("bad_value", "“approved” is true or false.", field="approved")
        if not store.set_deployment(db, platform_id, deployment_id, approved):
            raise DomainError(
                "bad_value", "This platform doesn’t exist. Reload the page.", field="platform_id"
            )
        return "", 204

    blueprint.add_url_rule("/deployments", "listing", listing)
    blueprint.add_url_rule("/deployments", "decide", decide, methods=["PUT"])
    return blueprint
