"""The door of ``/api/v1``: keys, limits, reading requests by their models, answers in one form. Flask.

What there is to call stands in ``api.v1.routes``; the OpenAPI document is made from the same table.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from flask import Blueprint, Response, g, jsonify, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from api.common import bearer_token, check_texts, json_object
from api.openapi import document
from api.v1.base import Paging, Query, read
from api.v1.call import Call, Deps, Page, Route
from api.v1.limits import RateLimiter
from api.v1.routes import ROUTES
from models.store.keys import ApiKey, check_key
from rooms.errors import DomainError

log = logging.getLogger("sideroom.api")
PREFIX = "/api/v1"
WORTH_ANOTHER_TRY: Final = ("rate_limited", "conflict", "media_unavailable", "internal")
"""Refusals that may go away by themselves. Of all others generated clients are told not to try again: they would, also
after a 409."""


def create_blueprint(deps: Deps) -> Blueprint:
    """Every route of the table; ``/api/v1/openapi.json`` and its page ``/api/v1/docs`` need no key."""
    blueprint = Blueprint("integrators", __name__, url_prefix=PREFIX)
    door = _Door(deps)
    for route in ROUTES:
        path = route.path.replace("{", "<").replace("}", ">")
        blueprint.add_url_rule(path, route.name, door.view(route), methods=[route.method])
    described = document(ROUTES, deps.view.base_url)
    blueprint.add_url_rule("/openapi.json", "openapi", lambda: jsonify(described))
    if deps.reference is not None:
        blueprint.add_url_rule("/docs", "docs", deps.reference)
    blueprint.register_error_handler(DomainError, refuse)
    blueprint.after_request(_with_limits)
    blueprint.app_errorhandler(HTTPException)(_unknown)
    return blueprint


def refuse(error: DomainError) -> tuple[Response, int]:
    """A refusal as docs/rest.md shows it."""
    body = {"code": error.code, "message": error.message, "facts": error.facts}
    answer = jsonify({"success": False, "error": body})
    if "retry_after_s" in error.facts:
        wait = str(error.facts["retry_after_s"])
        answer.headers["Retry-After"] = answer.headers["RateLimit-Reset"] = wait
        answer.headers["RateLimit-Limit"] = str(error.facts.get("limit", ""))
        answer.headers["RateLimit-Remaining"] = "0"
    answer.headers["x-should-retry"] = "true" if error.code in WORTH_ANOTHER_TRY else "false"
    if error.http_status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer, error.http_status


def _unknown(error: HTTPException) -> Any:
    """Addresses and methods that are not there, in our form; elsewhere on the site as ever."""
    if not request.path.startswith(PREFIX + "/") or error.code not in (404, 405):
        return error
    code = "not_found" if error.code == 404 else "method_not_allowed"
    sentence = (
        "There’s nothing at this address."
        if error.code == 404
        else "This address doesn’t support that method."
    )
    answer = jsonify({"success": False, "error": {"code": code, "message": sentence, "facts": {}}})
    answer.headers["x-should-retry"] = "false"
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer, error.code


def _with_limits(answer: Response) -> Response:
    answer.headers.update(g.pop("rate_limit", {}))
    answer.headers["Cache-Control"] = "no-store"
    return answer


class _Door:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._limiter = RateLimiter(deps.limits)

    def view(self, route: Route) -> Any:
        def answer(**path: str) -> tuple[Response, int]:
            key = self._key(route)
            check_texts(path)
            query = _query(route.query)
            body = _body(route.body) if route.body is not None else None
            data = route.handler(Call(self._deps, key, path, body, query))
            return _good(data, route, query)

        return answer

    def _key(self, route: Route) -> ApiKey:
        key = check_key(self._deps.db, bearer_token())
        if key is None:
            self._limiter.wrong_key(request.remote_addr or "")
            raise DomainError("unauthenticated", "Send a valid API key: Authorization: Bearer srk_….")
        g.rate_limit = self._limiter.take(key.key_id, recordings=route.is_recording)
        if route.scope not in key.scopes:
            raise DomainError(
                "not_allowed", f"This API key lacks the scope “{route.scope}”.", scope=route.scope
            )
        return key


def _body(model: type[BaseModel]) -> BaseModel:
    return read(model, json_object())


class _NoQuery(Query):
    """For routes that take none."""


def _query(wanted: type[BaseModel] | None) -> BaseModel:
    """The query as the model expects it: lists for fields that may be repeated, else the one value."""
    model = wanted or _NoQuery
    given: dict[str, object] = {}
    for name, values in request.args.lists():
        field = model.model_fields.get(name)
        repeats = field is not None and getattr(field.annotation, "__origin__", None) is list
        if len(values) > 1 and not repeats:
            raise DomainError("bad_command", f"“{name[:40]}” is given more than once.", field=name[:40])
        given[name[:40]] = values if repeats else values[0]
    check_texts(given)
    return read(model, given)


def _good(data: Any, route: Route, query: BaseModel) -> tuple[Response, int]:
    more: dict[str, object] = {}
    if isinstance(data, Page):
        page_no, per_page = getattr(query, "page_no", 0), getattr(query, "per_page", 20)
        paging = Paging(total_count=data.total, page_no=page_no, per_page=per_page)
        data, more = data.items, {"paging": _plain(paging)}
    return jsonify({"success": True, "data": _plain(data), **more}), route.status


def _plain(data: Any) -> Any:
    if isinstance(data, BaseModel):
        return data.model_dump(mode="json")
    if isinstance(data, list):
        return [_plain(item) for item in data]
    return data
