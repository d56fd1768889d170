"""Section “Platforms”: registrations with the health of their connections; register by hand or by a one-time link."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify

from api.admin.deps import AdminDeps, iso
from api.common import json_object
from foundation.text import clean, is_keepable
from models.store import lti as store
from models.store import services
from models.store.lti import Platform
from models.store.services import Health
from rooms.errors import DomainError

URLS: Final = ("auth_login_url", "auth_token_url", "jwks_url")
MAX_CHARS: Final = 500


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("platforms", __name__)
    section = _Platforms(deps)
    route = blueprint.add_url_rule
    route("/platforms", "listing", section.listing)
    route("/platforms", "register", section.register, methods=["POST"])
    route("/platforms/invitations", "invite", section.invite, methods=["POST"])
    route("/platforms/<int:platform_id>/check", "check", section.check, methods=["POST"])
    return blueprint


class _Platforms:
    def __init__(self, deps: AdminDeps) -> None:
        self._deps = deps
        self._db = deps.db

    def listing(self) -> Response:
        health: dict[int, list[Health]] = {}
        for found in services.list_health(self._db):
            health.setdefault(found.platform_id, []).append(found)
        listed = store.list_platforms(self._db)
        return jsonify(
            {
                "platforms": [_json(p, health.get(p.id, [])) for p in listed],
                "apps": [
                    {
                        "app": app,
                        "title": title,
                        "addresses": [
                            {"name": n, "url": url} for n, url in self._deps.lti.addresses(app).items()
                        ],
                    }
                    for app, title in self._deps.lti.apps.items()
                ],
            }
        )

    def register(self) -> tuple[Response, int]:
        """Register a platform's tool by hand, or change the registration with this issuer and client id."""
        body = json_object()
        texts = {name: _text(body, name) for name in ("issuer", "client_id", *URLS)}
        for name in ("issuer", *URLS):
            if urlsplit(texts[name]).scheme not in ("http", "https"):
                raise DomainError(
                    "bad_value", f"“{name}” is an address such as https://lms.example.edu", field=name
                )
        app, name = body.get("app"), body.get("name", "")
        hold = body.get("hold_new", False)
        if not isinstance(app, str) or app not in self._deps.lti.apps:
            raise DomainError("bad_value", "Choose which tool it opens.", field="app")
        if not isinstance(name, str) or len(name) > MAX_CHARS or not isinstance(hold, bool):
            raise DomainError("bad_value", "“name” is a text and “hold_new” true or false.", field="name")
        platform = store.add_platform(
            self._db, **texts, app=app, name=clean(name), accept_new=False if hold else None
        )
        return jsonify({"id": platform.id}), 201

    def invite(self) -> tuple[Response, int]:
        app = json_object().get("app")
        if not isinstance(app, str) or app not in self._deps.lti.apps:
            raise DomainError("bad_value", "Choose the tool to register.", field="app")
        return jsonify({"url": self._deps.lti.invitation(app)}), 201

    def check(self, platform_id: int) -> Response:
        """Try the connections now; the answer is what the list shows of this platform."""
        platform = store.get_platform(self._db, platform_id)
        if platform is None:
            raise DomainError("bad_value", "This platform doesn’t exist. Reload the page.")
        self._deps.lti.check(platform_id)
        found = [h for h in services.list_health(self._db) if h.platform_id == platform_id]
        return jsonify(_json(platform, found))


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= MAX_CHARS or not is_keepable(value):
        raise DomainError("bad_value", f"Give “{name}”.", field=name)
    return value.strip()


def _json(platform: Platform, health: list[Health]) -> dict[str, Any]:
    return {
        "id": platform.id,
        "name": platform.name,
        "issuer": platform.issuer,
        "client_id": platform.client_id,
        "app": platform.app,
        "accept_new": platform.accept_new_deployments,
        "health": [
            {"kind": h.kind, "ok": h.ok, "reason": h.reason, "at": iso(h.at)}
            for h in sorted(health, key=lambda h: h.kind)
        ],
    }
