"""The practice platform's services at Sakai's own paths and with Sakai's own quirks: token, names and roles, groups, grades.

``Faults`` lets a test make them fail the ways real platforms fail.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt
from flask import Blueprint, Response, jsonify, request
from jwt import PyJWKClient

from sandbox.lms.world import GROUPS, PEOPLE, ROLE_CLAIMS, SITES, Person, Site

NRPS_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
GROUPS_SCOPE = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
AGS_SCOPES = (_AGS + "lineitem", _AGS + "lineitem.readonly", _AGS + "result.readonly", _AGS + "score")
SCOPES = (NRPS_SCOPE, GROUPS_SCOPE, *AGS_SCOPES)
TOKEN_LIFE_S = 3600
STAFF = ("maintain", "Teaching Assistant", "admin")


@dataclass(slots=True)
class Faults:
    """What goes wrong, for tests. ``denied``: scopes that are refused. ``status``: answers of a service by its name."""

    denied: set[str] = field(default_factory=set)
    status: dict[str, int] = field(default_factory=dict)
    joined_roles: bool = False
    """Roles as one comma-joined string, as before SAK-52519."""
    page: int = 0
    """Pages of so many members even when nobody asks (site property ``plus:nrps_paging``)."""
    empty: bool = False
    hidden_names: bool = False


@dataclass(slots=True)
class Grades:
    """The gradebook: line items by id, and scores by (line item, user)."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Services:
    """State of the services; ``asked`` lists the calls that came, as (service, query)."""

    server: str
    tool_url: str
    tokens: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    grades: Grades = field(default_factory=Grades)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def forget_tokens(self) -> None:
        """As after a restart of the platform: tokens given out are unknown."""
        self.tokens.clear()

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("services", __name__, url_prefix="/imsblis/lti13")
        route = blueprint.add_url_rule
        route("/token/<tool_key>", "token", self._token, methods=["POST"])
        route("/namesandroles/<site_key>", "names", self._names)
        route("/groupservice/<site_key>", "groups", self._groups)
        route("/groupsservice/<site_key>", "broken_groups", self._broken_groups)
        route("/lineitems/<site_key>", "items", self._items)
        route("/lineitems/<site_key>", "add_item", self._add_item, methods=["POST"])
        route("/lineitems/<site_key>/<item_id>", "item", self._item, methods=["GET", "PUT", "DELETE"])
        route("/lineitems/<site_key>/<item_id>/scores", "score", self._score, methods=["POST"])
        route("/lineitems/<site_key>/<item_id>/results", "results", self._results)
        return blueprint

    # -- tokens ------------------------------------------------------------------------------------------------

    def _token(self, tool_key: str) -> Response | tuple[Response, int]:
        del tool_key  # Sakai has one token address a tool record
        self.asked.append(("token", ""))
        if "token" in self.faults.status:
            return jsonify({"error": "server_error"}), self.faults.status["token"]
        problem = _check_assertion(self.tool_url, request.form.get("client_assertion", ""))
        if problem or request.form.get("grant_type") != "client_credentials":
            return jsonify({"error": "invalid_client", "error_description": problem}), 400
        scopes = tuple(request.form.get("scope", "").split())
        for scope in scopes or ("",):
            # One denied scope fails the whole request.
            if scope not in SCOPES or scope in self.faults.denied:
                answer = jsonify({"error": "invalid_scope"})
                answer.headers["X-Tsugi-LTI13-Error-Detail"] = f"Scope not allowed {scope}"
                return answer, 400
        token = secrets.token_urlsafe(24)
        self.tokens[token] = (time.time() + TOKEN_LIFE_S, scopes)
        return jsonify({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE_S})

    def _refusal(self, service: str, *scopes: str) -> tuple[str, int] | None:
        self.asked.append((service, request.query_string.decode()))
        if service in self.faults.status:
            return "out of order", self.faults.status[service]
        ends, granted = self.tokens.get(
            request.headers.get("Authorization", "").removeprefix("Bearer "), (0, ())
        )
        if ends <= time.time():
            return "signature_error", 403  # Sakai: not 401
        return None if set(scopes) & set(granted) else ("Scope missing", 400)

    # -- names and roles, groups -------------------------------------------------------------------------------

    def _names(self, site_key: str) -> Response | tuple[str, int]:
        refusal = self._refusal("roster", NRPS_SCOPE)
        if refusal is not None:
            return refusal
        site = SITES.get(site_key)
        if site is None:
            return "Tool not placed in site", 403
        asked = request.args.get("limit", self.faults.page, type=int)
        limit = min(asked, self.faults.page) if self.faults.page else asked
        start = request.args.get("start", 0, type=int)
        members = [
            self._member(site, PEOPLE[key], role) for key, role in site.members.items() if role != "admin"
        ]
        part = members[start : start + limit] if limit else members[start:]
        if not part or self.faults.empty:
            return "", 200  # Sakai answers an empty body past the end
        answer = jsonify(
            {"id": request.base_url, "context": {"id": site.key, "title": site.title}, "members": part}
        )
        if limit and start + limit < len(members):
            answer.headers["Link"] = (
                f'<{request.base_url}?start={start + limit}&limit={limit}&tag=MixedCase>; rel="next"'
            )
        return answer

    def _member(self, site: Site, person: Person, role: str) -> dict[str, Any]:
        roles: Any = [uri.rpartition("#")[2] for uri in ROLE_CLAIMS[role]] + ROLE_CLAIMS[role]
        groups = [(key, title) for key, title, members in GROUPS.get(site.key, ()) if person.key in members]
        member: dict[str, Any] = {
            "status": "Active",
            "user_id": f"{self.server}/user/{person.key}",
            "lis_person_sourcedid": person.key,
            "name": person.name,
            "given_name": person.given,
            "family_name": person.family,
            "email": f"{person.key}@practice.example",
            "roles": ",".join(roles) if self.faults.joined_roles else roles,
            "group_enrollments": [{"group_id": key} for key, _ in groups],
            "sakai_ext": {
                "sakai_role": role,
                "sakai_groups": [{"id": key, "title": title} for key, title in groups],
            },
        }
        if self.faults.hidden_names:
            for key in ("name", "given_name", "family_name", "email"):
                del member[key]
        return member

    def _groups(self, site_key: str) -> Response | tuple[str, int]:
        refusal = self._refusal("groups", GROUPS_SCOPE)
        if refusal is not None:
            return refusal
        groups = GROUPS.get(site_key, ())
        start = request.args.get("start", 0, type=int)
        limit = min(request.args.get("limit", 500, type=int), self.faults.page or 500)
        items = [{"id": key, "name": title, "tag": "whatever"} for key, title, _ in groups]
        answer = jsonify({"id": request.base_url, "groups": items[start : start + limit]})
        if start + limit < len(items):
            broken = request.base_url.replace("/groupservice/", "/groupsservice/")
            answer.headers["Link"] = f'<{broken}?start={start + limit}&limit={limit}>; rel="next"'
        return answer

    @staticmethod
    def _broken_groups(site_key: str) -> tuple[str, int]:
        """Where Sakai's own Link points; nothing is there."""
        return f"Bad request for {site_key}", 400

    # -- grades ------------------------------------------------------------------------------------------------

    def _place(self, site_key: str, item_id: str | None, *scopes: str) -> tuple[str, int] | None:
        refusal = self._refusal("grades", *scopes)
        if refusal is None and (
            site_key not in SITES or (item_id is not None and item_id not in self.grades.items)
        ):
            refusal = ("No such line item", 404)
        return refusal

    def _url(self, site_key: str, item_id: str) -> str:
        return f"{self.server}/imsblis/lti13/lineitems/{site_key}/{item_id}"

    def _items(self, site_key: str) -> Response | tuple[str, int]:
        refusal = self._place(site_key, None, *AGS_SCOPES[:2])
        if refusal is not None:
            return refusal
        wanted = {"tag": request.args.get("tag"), "resourceId": request.args.get("resource_id")}
        found = [
            item
            for item in self.grades.items.values()
            if all(value is None or item.get(key) == value for key, value in wanted.items())
            and item["id"].startswith(self._url(site_key, ""))
        ]
        return jsonify(found)

    def _add_item(self, site_key: str) -> Response | tuple[str, int]:
        refusal = self._place(site_key, None, AGS_SCOPES[0])
        if refusal is not None:
            return refusal
        body = _body("label", "scoreMaximum")
        if isinstance(body, str):
            return body, 400
        # The same label as an existing column takes that column over.
        for item_id, item in self.grades.items.items():
            if item["label"] == body["label"]:
                self.grades.items[item_id] = {**body, "id": item["id"]}
                return jsonify(self.grades.items[item_id])
        item_id = str(len(self.grades.items) + 1)
        self.grades.items[item_id] = {**body, "id": self._url(site_key, item_id)}
        return jsonify(self.grades.items[item_id])  # Sakai: 200, not 201

    def _item(self, site_key: str, item_id: str) -> Response | tuple[str, int]:
        read = request.method == "GET"
        refusal = self._place(site_key, item_id, *(AGS_SCOPES[:2] if read else AGS_SCOPES[:1]))
        if refusal is not None:
            return refusal
        if request.method == "DELETE":
            del self.grades.items[item_id]
            return "", 200
        if request.method == "PUT":
            body = _body("label", "scoreMaximum")
            if isinstance(body, str):
                return body, 400
            self.grades.items[item_id] = {**body, "id": self._url(site_key, item_id)}
        return jsonify(self.grades.items[item_id])

    def _score(self, site_key: str, item_id: str) -> Response | tuple[str, int]:
        refusal = self._place(site_key, item_id, AGS_SCOPES[3])
        if refusal is not None:
            return refusal
        body = _body("userId", "timestamp", "activityProgress", "gradingProgress")
        if isinstance(body, str):
            return body, 400
        user = str(body["userId"]).rpartition("/")[2]
        if SITES[site_key].members.get(user) is None or SITES[site_key].members[user] in STAFF:
            return "User cannot have grades here", 400
        if body.get("scoreGiven") is None:
            self.grades.scores.pop((item_id, user), None)  # Sakai deletes grade and comment
        else:
            self.grades.scores[(item_id, user)] = body
        return "", 200

    def _results(self, site_key: str, item_id: str) -> Response | tuple[str, int]:
        refusal = self._place(site_key, item_id, AGS_SCOPES[2])
        if refusal is not None:
            return refusal
        maximum = self.grades.items[item_id]["scoreMaximum"]
        found = [
            {"userId": f"{self.server}/user/{user}", "resultScore": s["scoreGiven"], "resultMaximum": maximum}
            for (item, user), s in self.grades.scores.items()
            if item == item_id
        ]
        return jsonify(found)


def service_claims(server: str, site_key: str) -> dict[str, Any]:
    """The claims with which a launch offers the services."""
    base = f"{server}/imsblis/lti13"
    return {
        "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {
            "context_memberships_url": f"{base}/namesandroles/{site_key}",
            "service_versions": ["2.0"],
        },
        "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice": {
            "scope": [GROUPS_SCOPE],
            "context_groups_url": f"{base}/groupservice/{site_key}",
            "service_versions": ["1.0"],
        },
        "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint": {
            "scope": list(AGS_SCOPES),
            "lineitems": f"{base}/lineitems/{site_key}",
        },
    }


def _body(*members: str) -> dict[str, Any] | str:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        return "Not JSON"
    missing: Iterable[str] = (name for name in members if name not in body)
    return next((f"{name} is missing" for name in missing), body)


def _check_assertion(tool_url: str, assertion: str) -> str:
    """Empty when the tool's signed assertion is good, else what is wrong."""
    try:
        client = PyJWKClient(f"{tool_url}/lti/jwks.json", timeout=5)
        signing_key = client.get_signing_key_from_jwt(assertion)
        jwt.decode(assertion, signing_key.key, algorithms=["RS256"], options={"verify_aud": False}, leeway=60)
    except (jwt.PyJWTError, ValueError) as error:
        return type(error).__name__
    return ""
