"""The OpenAPI 3.1 document of ``/api/v1``, made from the table of routes and the models they name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from api.v1.base import Paging
from api.v1.call import Route
from api.v1.messages import MESSAGES
from rooms.errors import CODES

REF: Final = "#/components/schemas/{model}"
COMMON: Final = ("unauthenticated", "not_allowed", "rate_limited")
"""Refusals that every call may meet; with a body or a query also those that name the field."""
READING: Final = ("bad_command", "bad_value")


class _Ids(GenerateJsonSchema):
    """Titles only repeat the names: left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def document(routes: Sequence[Route], base_url: str) -> dict[str, Any]:
    """The document as JSON data. ``base_url`` is the site's address."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault("/api/v1" + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sideroom",
            "version": "1",
            "description": "Recordings, sessions and webhooks for integrators. docs/rest.md and docs/webhooks.md say more.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url.rstrip("/") or "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "webhooks": {name: _webhook(name, model, schemas) for name, model in MESSAGES.items()},
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: srk_…; each call names the scope that it needs.",
                }
            },
            "schemas": schemas.components(),
            **_shared(),
        },
    }


class _Schemas:
    """JSON Schemas of all models, each once."""

    def __init__(self, routes: Iterable[Route]) -> None:
        wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Paging, "serialization")]
        for route in routes:
            wanted += [(model, "serialization") for model in _models(route.answer)]
            if route.body is not None:
                wanted.append((route.body, "validation"))
        wanted += [(model, "serialization") for model in MESSAGES.values()]
        self._refs, made = models_json_schema(
            list(dict.fromkeys(wanted)), ref_template=REF, schema_generator=_Ids
        )
        self._made: dict[str, Any] = made.get("$defs", {})

    def ref(self, model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
        found: dict[str, Any] = self._refs[model, mode]
        return found

    def components(self) -> dict[str, Any]:
        return {**dict(sorted(self._made.items())), "Refusal": _refusal()}


def _models(answer: Any) -> list[type[BaseModel]]:
    """The models of an answer: itself, or those of a union."""
    if isinstance(answer, type) and issubclass(answer, BaseModel):
        return [answer]
    return [kind for kind in getattr(answer, "__args__", ()) if kind is not type(None)]


def _refusal() -> dict[str, Any]:
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "Stable; docs/protocol.md §6 lists them all."},
            "message": {"type": "string", "description": "What happened and what to do, for people."},
            "facts": {"type": "object", "description": "For programs: field, least, most, retry_after_s."},
        },
        "required": ["code", "message", "facts"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"success": {"const": False}, "error": error},
        "required": ["success", "error"],
        "additionalProperties": False,
    }


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "description": f"Needs the scope `{route.scope}`.",
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route, schemas),
    }
    if route.is_command:
        operation["parameters"].append(_IDEMPOTENCY)
    if route.body is not None:
        schema = schemas.ref(route.body, "validation")
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeated command with the same key gets the first answer.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": 100}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    made = TypeAdapter(route.query).json_schema(mode="validation", schema_generator=_Ids)
    parameters = []
    for name, schema in made["properties"].items():
        # In a query there is no null: absent says the same.
        kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
        for kind in kinds:
            schema |= kind
        if schema.get("default", ...) is None:
            del schema["default"]
        described = {"description": schema.pop("description")} if "description" in schema else {}
        parameters.append({"name": name, "in": "query", "required": False, **described, "schema": schema})
    return parameters


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    reading = READING if route.body is not None or route.query is not None else READING[:1]
    codes: dict[int, list[str]] = {}
    for code in (*COMMON, *reading, *route.codes):
        codes.setdefault(CODES[code][0], [])
        if code not in codes[CODES[code][0]]:
            codes[CODES[code][0]].append(code)
    responses: dict[str, Any] = {str(route.status): _success(route, schemas)}
    if route.links:
        responses[str(route.status)]["links"] = {name: _link(name) for name in route.links}
    for status in (401, 429):  # the same for every call
        codes.pop(status)
        responses[str(status)] = {"$ref": f"#/components/responses/Refused{status}"}
    for status, of_status in sorted(codes.items()):
        responses[str(status)] = _refused(of_status)
    return dict(sorted(responses.items()))


def _link(name: str) -> dict[str, Any]:
    """The operation ``name`` takes the answer's id as what it is about."""
    hooks, storages = "webhook" in name or "deliver" in name, name.endswith("_storage")
    parameter = "webhook_id" if hooks else "storage_id" if storages else "recording_id"
    return {"operationId": name, "parameters": {parameter: "$response.body#/data/id"}}


def _refused(codes: Iterable[str]) -> dict[str, Any]:
    return {
        "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
        "content": {"application/json": {"schema": {"$ref": REF.format(model="Refusal")}}},
    }


def _shared() -> dict[str, Any]:
    """Responses and headers that every call has."""
    wait = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    headers = {
        "RateLimit-Limit": "Calls in the window.",
        "RateLimit-Remaining": "Calls that are left in it.",
        "RateLimit-Reset": "Seconds until there are more.",
    }
    return {
        "responses": {
            "Refused401": _refused(["unauthenticated"]),
            "Refused429": {**_refused(["rate_limited"]), "headers": wait},
        },
        "headers": {
            name: {"description": text, "schema": {"type": "integer"}} for name, text in headers.items()
        },
    }


def _success(route: Route, schemas: _Schemas) -> dict[str, Any]:
    of = [schemas.ref(model, "serialization") for model in _models(route.answer)]
    data: dict[str, Any] = of[0] if len(of) == 1 else {"anyOf": of} if of else {"type": "null"}
    if route.is_list:
        data = {"type": "array", "items": data}
    properties: dict[str, Any] = {"success": {"const": True}, "data": data}
    if route.is_paged:
        properties["paging"] = schemas.ref(Paging, "serialization")
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {
        "description": route.summary,
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    }


def _webhook(name: str, model: type[BaseModel], schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.ref(model, "serialization")
    return {
        "post": {
            "operationId": name,
            "tags": ["webhooks"],
            "summary": (model.__doc__ or name).splitlines()[0],
            "security": [],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"2XX": {"description": "Taken. Anything else is told in docs/webhooks.md."}},
        }
    }
