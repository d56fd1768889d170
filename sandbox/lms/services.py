"""The practice platform's services at Sakai's own paths and with Sakai's own quirks: token, names and roles, groups, grades.

``Faults`` lets a test make them fail the ways real platforms fail.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from flask import Blueprint, Response, request
from jwt import PyJWKClient

from sandbox.lms.world import GROUPS, PEOPLE, ROLE_CLAIMS, SHORT_ROLES, TOOLS, Person, Site, Tool, site_with

NRPS_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
GROUPS_SCOPE = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
AGS_SCOPES = (_AGS + "lineitem", _AGS + "lineitem.readonly", _AGS + "result.readonly", _AGS + "score")
SCOPES = (NRPS_SCOPE, GROUPS_SCOPE, *AGS_SCOPES)
AGS_CLAIM = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
TOKEN_LIFE_S = 3600
LINE_ITEM = "application/vnd.ims.lis.v2.lineitem+json"
LINE_ITEMS = "application/vnd.ims.lis.v2.lineitemcontainer+json"
GROUPS_TYPE = "application/vnd.ims.lti-gs.v1.contextgroupcontainer+json"


@dataclass(slots=True)
class Faults:
    """What goes wrong, for tests. ``denied``: scopes whose request fails as a whole, as before Sakai 25.2. ``status``:
    answers of a service by its name."""

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
    tools: dict[str, Tool] = field(default_factory=lambda: dict(TOOLS))
    tokens: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    grades: Grades = field(default_factory=Grades)
    asked: list[tuple[str, str]] = field(default_factory=list)
    assertions: list[dict[str, Any]] = field(default_factory=list)
    """What the tools signed to get their tokens."""

    def forget_tokens(self) -> None:
        """As after a restart of the platform: tokens given out are unknown."""
        self.tokens.clear()

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("services", __name__, url_prefix="/imsblis/lti13")
        route = blueprint.add_url_rule
        route("/token/<int:number>", "token", self._token, methods=["POST"])
        route("/namesandroles/<site_id>", "names", self._names)
        route("/groupservice/<site_id>", "groups", self._groups)
        route("/groupsservice/<site_id>", "broken_groups", self._broken_groups)
        route("/lineitems/<site_id>", "items", self._items)
        route("/lineitems/<site_id>", "add_item", self._add_item, methods=["POST"])
        route("/lineitems/<site_id>/<item_id>", "item", self._item, methods=["GET", "PUT", "DELETE"])
        route("/lineitems/<site_id>/<item_id>/scores", "score", self._score, methods=["POST"])
        route("/lineitems/<site_id>/<item_id>/results", "results", self._results)
        route("/lineitem/<item_id>", "own_item", self._own_item)
        route("/lineitem/<item_id>/scores", "own_score", self._own_score, methods=["POST"])
        route("/lineitem/<item_id>/results", "own_results", self._own_results)
        return blueprint

    # -- tokens ------------------------------------------------------------------------------------------------

    def _token(self, number: int) -> Response:
        """One address a tool. Scopes that the tool may not have are left out, unknown ones too."""
        self.asked.append(("token", ""))
        if "token" in self.faults.status:
            return _refusal("server_error", self.faults.status["token"])
        tool = next((tool for tool in self.tools.values() if tool.number == number), None)
        assertion, problem = _check_assertion(self.tool_url, request.form.get("client_assertion", ""))
        if tool is None or problem or request.form.get("grant_type") != "client_credentials":
            return _refusal(problem or "invalid_client", 400)
        self.assertions.append(assertion)
        wanted = tuple(request.form.get("scope", "").split())
        for scope in wanted:
            if scope in self.faults.denied:
                answer = _refusal("invalid_scope", 400)
                answer.headers["X-Tsugi-LTI13-Error-Detail"] = f"Scope not allowed {scope}"
                return answer
        granted = tuple(scope for scope in allowed_scopes(tool) if scope in wanted)
        ends = time.time() + TOKEN_LIFE_S
        # A token of Sakai's is a JWT that nobody but Sakai reads.
        body = {"tool_id": number, "exp": int(ends), "jti": secrets.token_hex(8)}
        token = jwt.encode(body, secrets.token_bytes(32), algorithm="HS256")
        self.tokens[token] = (ends, granted)
        return _json(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": TOKEN_LIFE_S,
                "scope": " ".join(granted),
            }
        )

    def _refusal_of(self, service: str, *scopes: str) -> Response | None:
        self.asked.append((service, request.query_string.decode()))
        if service in self.faults.status:
            return Response("out of order", self.faults.status[service])
        ends, granted = self.tokens.get(
            request.headers.get("Authorization", "").removeprefix("Bearer "), (0, ())
        )
        if ends <= time.time():
            return _refusal("signature_error", 403)  # Sakai: not 401
        return None if set(scopes) & set(granted) else _refusal("Scope missing", 400)

    # -- names and roles, groups -------------------------------------------------------------------------------

    def _names(self, site_id: str) -> Response:
        refusal = self._refusal_of("roster", NRPS_SCOPE)
        if refusal is not None:
            return refusal
        site = site_with(site_id)
        if site is None:
            return _refusal("Tool not placed in site", 403)
        asked = request.args.get("limit", self.faults.page, type=int)
        limit = min(asked, self.faults.page) if self.faults.page else asked
        start = request.args.get("start", 0, type=int)
        members = [self._member(site, PEOPLE[key], role) for key, role in site.members.items()]
        part = members[start : start + limit] if limit else members[start:]
        if not part or self.faults.empty:
            return _empty()  # past the end
        answer = _json(
            {
                "id": request.base_url,
                "context": {"id": site.context_id, "title": site.title},
                "members": part,
            }
        )
        if limit and start + limit < len(members):
            answer.headers["Link"] = f'<{request.base_url}?start={start + limit}&limit={limit}>; rel="next"'
        return answer

    def _member(self, site: Site, person: Person, role: str) -> dict[str, Any]:
        roles: Any = [SHORT_ROLES[role], *ROLE_CLAIMS[role]]
        groups = [(key, title) for key, title, members in GROUPS.get(site.key, ()) if person.key in members]
        # Who is in no group has neither of the two lists.
        member: dict[str, Any] = (
            {"group_enrollments": [{"group_id": key} for key, _ in groups]} if groups else {}
        )
        own = {"sakai_groups": [{"id": key, "title": title} for key, title in groups]} if groups else {}
        member |= {
            "sakai_ext": {**own, "sakai_role": role},
            "user_id": f"{self.server}/user/{person.user_id}",
            "roles": ",".join(roles) if self.faults.joined_roles else roles,
            "name": person.name,
            "given_name": person.given,
            "family_name": person.family,
            "lti11_legacy_user_id": person.user_id,
            "lis_person_sourcedid": person.key,
            "email": person.email,
            "status": "Active",
        }
        if self.faults.hidden_names:
            for key in ("name", "given_name", "family_name", "email"):
                del member[key]
        return member

    def _groups(self, site_id: str) -> Response:
        """Written in ISO-8859-1: letters that it does not have become question marks."""
        refusal = self._refusal_of("groups", GROUPS_SCOPE)
        if refusal is not None:
            return refusal
        site = site_with(site_id)
        groups = GROUPS.get(site.key, ()) if site is not None else ()
        start = request.args.get("start", 0, type=int)
        limit = min(request.args.get("limit", 500, type=int), self.faults.page or 500)
        items = [{"name": title, "id": key, "tag": "whatever"} for key, title, _ in groups]
        broken = request.base_url.replace("/groupservice/", "/groupsservice/")
        text = json.dumps({"id": broken, "groups": items[start : start + limit]}, ensure_ascii=False)
        answer = Response(text.encode("iso-8859-1", "replace"))
        answer.headers["Content-Type"] = f"{GROUPS_TYPE};charset=ISO-8859-1"
        if start + limit < len(items):
            answer.headers["Link"] = f'<{broken}?start={start + limit}&limit={limit}>; rel="next"'
        return answer

    @staticmethod
    def _broken_groups(site_id: str) -> Response:
        """Where Sakai's own Link points; nothing is there."""
        path = f"/imsblis/lti13/groupsservice/{site_id}"
        return _refusal(f"Unrecognized GET request parts=5 request={path}", 400)

    # -- grades ------------------------------------------------------------------------------------------------

    def _place(self, site_id: str, item_id: str | None, *scopes: str) -> Response | None:
        refusal = self._refusal_of("grades", *scopes)
        if refusal is None and (
            site_with(site_id) is None or (item_id is not None and item_id not in self.grades.items)
        ):
            refusal = _refusal("No such line item", 404)
        return refusal

    def _url(self, site_id: str, item_id: str) -> str:
        return f"{self.server}/imsblis/lti13/lineitems/{site_id}/{item_id}"

    def _items(self, site_id: str) -> Response:
        refusal = self._place(site_id, None, *AGS_SCOPES[:2])
        if refusal is not None:
            return refusal
        wanted = {"tag": request.args.get("tag"), "resourceId": request.args.get("resource_id")}
        found = [
            item
            for item in self.grades.items.values()
            if all(value is None or item.get(key) == value for key, value in wanted.items())
            and item["id"].startswith(self._url(site_id, ""))
        ]
        return _json(found, LINE_ITEMS)

    def _add_item(self, site_id: str) -> Response:
        refusal = self._place(site_id, None, AGS_SCOPES[0])
        if refusal is not None:
            return refusal
        body = _body("label", "scoreMaximum")
        if isinstance(body, str):
            return _refusal(body, 400)
        # The same label as an existing column takes that column over: its number stays, its tag is lost.
        item_id = next(
            (key for key, item in self.grades.items.items() if item["label"] == body["label"]),
            str(len(self.grades.items) + 1),
        )
        return _json(self._keep(item_id, body, self._url(site_id, item_id)), LINE_ITEM)

    def _keep(self, item_id: str, body: dict[str, Any], url: str) -> dict[str, Any]:
        kept = {**body, "scoreMaximum": float(body["scoreMaximum"]), "id": url}
        self.grades.items[item_id] = kept
        return kept

    def _item(self, site_id: str, item_id: str) -> Response:
        read = request.method == "GET"
        refusal = self._place(site_id, item_id, *(AGS_SCOPES[:2] if read else AGS_SCOPES[:1]))
        if refusal is not None:
            return refusal
        if request.method == "DELETE":
            del self.grades.items[item_id]
            return _empty()
        if request.method == "PUT":
            body = _body("label", "scoreMaximum")
            if isinstance(body, str):
                return _refusal(body, 400)
            self._keep(item_id, body, self._url(site_id, item_id))
        return _json(self.grades.items[item_id], LINE_ITEM)

    def _score(self, site_id: str, item_id: str) -> Response:
        return self._place(site_id, item_id, AGS_SCOPES[3]) or self._take_score(site_id, item_id)

    def _take_score(self, site_id: str, item_id: str) -> Response:
        """Staff too; only who does not belong to the site is refused."""
        body = _body("userId", "timestamp", "activityProgress", "gradingProgress")
        if isinstance(body, str):
            return _refusal(body, 400)
        user_id = str(body["userId"]).rpartition("/")[2]
        site = site_with(site_id)
        if site is None or user_id not in {PEOPLE[key].user_id for key in site.members}:
            return _refusal("User does not belong to site", 400)
        if body.get("scoreGiven") is None:
            self.grades.scores.pop((item_id, user_id), None)  # Sakai deletes grade and comment
        else:
            self.grades.scores[(item_id, user_id)] = body
        return _empty()

    def _results(self, site_id: str, item_id: str) -> Response:
        refusal = self._place(site_id, item_id, AGS_SCOPES[2])
        return refusal or self._all_results(site_id, item_id, self.grades.items[item_id])

    def _all_results(self, site_id: str, item_id: str, item: dict[str, Any]) -> Response:
        """Every member of the site, teachers too; who has no grade has no ``resultScore``."""
        site, url = site_with(site_id), str(item["id"])
        found = []
        for key in site.members if site is not None else ():
            user_id = PEOPLE[key].user_id
            score = self.grades.scores.get((item_id, user_id))
            result: dict[str, Any] = {
                "id": f"{url}/results/{user_id}",
                "scoreOf": url,
                "userId": f"{self.server}/user/{user_id}",
                "resultMaximum": item["scoreMaximum"],
            }
            if score is not None:
                share = score["scoreGiven"] / (score.get("scoreMaximum") or item["scoreMaximum"])
                result["resultScore"] = share * item["scoreMaximum"]
                if score.get("comment"):
                    result["comment"] = score["comment"]
            found.append(result)
        return _json(found)

    # -- the line item that every link has, if its tool may return grades ---------------------------------------

    def _own(self, item_id: str, *scopes: str) -> Response | tuple[str, dict[str, Any]]:
        """The site and the line item; its column stands in the gradebook only once a score has come."""
        refusal = self._refusal_of("grades", *scopes)
        if refusal is not None:
            return refusal
        digest, site_id, link = [*item_id.split(":::"), "", ""][:3]
        content = link.removeprefix("content:")
        if not content.isdigit() or digest != _digest(site_id, int(content)):
            return _refusal("Could not load line item", 404)
        title = next((tool.title for tool in self.tools.values() if tool.content == int(content)), link)
        item: dict[str, Any] = {
            "scoreMaximum": 100.0,
            "label": title,
            "id": f"{self.server}/imsblis/lti13/lineitem/{item_id}",
            "resourceLinkId": link,
        }
        return site_id, item

    def _own_item(self, item_id: str) -> Response:
        found = self._own(item_id, *AGS_SCOPES[:2])
        return found if isinstance(found, Response) else _json(found[1], LINE_ITEM)

    def _own_score(self, item_id: str) -> Response:
        found = self._own(item_id, AGS_SCOPES[3])
        if isinstance(found, Response):
            return found
        self.grades.items.setdefault(item_id, found[1])
        return self._take_score(found[0], item_id)

    def _own_results(self, item_id: str) -> Response:
        found = self._own(item_id, AGS_SCOPES[2])
        return found if isinstance(found, Response) else self._all_results(found[0], item_id, found[1])


def allowed_scopes(tool: Tool) -> tuple[str, ...]:
    """What a tool's boxes allow, in the order in which Sakai names them."""
    grades = (AGS_SCOPES[2], AGS_SCOPES[1], AGS_SCOPES[0], AGS_SCOPES[3]) if tool.grades else ()
    return grades + ((GROUPS_SCOPE, NRPS_SCOPE) if tool.roster else ())


def _digest(context_id: str, content: int) -> str:
    return sha256(f"{context_id} {content}".encode()).hexdigest()


def service_claims(
    server: str, context_id: str, tool: Tool = TOOLS["room"], content: int | None = None
) -> dict[str, Any]:
    """The claims with which a launch offers the services that the tool's boxes allow; ``content`` is the link."""
    base = f"{server}/imsblis/lti13"
    found: dict[str, Any] = {}
    if tool.grades:
        found[AGS_CLAIM] = {
            "scope": [AGS_SCOPES[0], AGS_SCOPES[1], AGS_SCOPES[3], AGS_SCOPES[2]],
            "lineitems": f"{base}/lineitems/{context_id}",
        }
        if content is not None:
            own = f"{_digest(context_id, content)}:::{context_id}:::content:{content}"
            found[AGS_CLAIM]["lineitem"] = f"{base}/lineitem/{own}"
    if tool.roster:
        found |= {
            "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {
                "context_memberships_url": f"{base}/namesandroles/{context_id}",
                "service_versions": ["2.0"],
            },
            "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice": {
                "scope": [GROUPS_SCOPE],
                "context_groups_url": f"{base}/groupservice/{context_id}",
                "service_versions": ["1.0"],
            },
        }
    return found


def _json(body: Any, kind: str = "application/json") -> Response:
    answer = Response(json.dumps(body, ensure_ascii=False).encode())
    answer.headers["Content-Type"] = f"{kind};charset=utf-8"
    return answer


def _empty() -> Response:
    """Status 200, no body and no content type."""
    answer = Response("")
    del answer.headers["Content-Type"]
    return answer


def _refusal(error: str, status: int) -> Response:
    answer = _json({"error": error})
    answer.status_code = status
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _body(*members: str) -> dict[str, Any] | str:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        return "Not JSON"
    missing: Iterable[str] = (name for name in members if name not in body)
    return next((f"{name} is missing" for name in missing), body)


def _check_assertion(tool_url: str, assertion: str) -> tuple[dict[str, Any], str]:
    """What a tool signed, and what is wrong with it (empty when it is good)."""
    try:
        client = PyJWKClient(f"{tool_url}/lti/jwks.json", timeout=5)
        signing_key = client.get_signing_key_from_jwt(assertion)
        body = jwt.decode(
            assertion, signing_key.key, algorithms=["RS256"], options={"verify_aud": False}, leeway=60
        )
    except (jwt.PyJWTError, ValueError) as error:
        return {}, type(error).__name__
    return dict(body), ""
