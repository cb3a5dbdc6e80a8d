"""The OpenAPI 3.1 document, made from the route table and the types in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from syncline.web.api.routing import Route

_REF = "#/components/schemas/{name}"
_ERRORS = {
    "400": "The request cannot be understood.",
    "401": "No API key, or one that is not valid.",
    "403": "The key lacks the scope.",
    "404": "No such thing in this environment.",
    "409": "The request contradicts something that exists.",
    "422": "A value has the wrong type, range, format or spelling.",
    "429": "Too many requests; Retry-After says when to come back.",
}


class ErrorField(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    code: str


class Error(msgspec.Struct, frozen=True):
    """Every error of the API."""

    message: str
    code: str
    errors: list[ErrorField] = []
    entity_id: str | None = None


def document(routes: Sequence[Route], *, version: str, base_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    types: list[Any] = [Error]
    for route in routes:
        types.extend(part for part in (route.takes, _item(route.answers)) if part is not None)
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    references = dict(zip(unique, schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Syncline",
            "version": version,
            "description": "Directory sync: organizations, directories, people, groups, events, webhooks.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "security": [{"api_key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    tag = route.segments[0]
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [tag],
        "x-scope": route.needs,
        "responses": {str(route.status): _success(route, references), **_failures(references)},
    }
    parameters = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
        for part in route.segments
        if part.startswith("{")
    ]
    parameters += [{"name": name, "in": "query", "schema": _query_schema(name)} for name in route.query]
    if route.method == "POST":
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}})
    if parameters:
        operation["parameters"] = parameters
    if route.takes is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": references[route.takes]}},
        }
    return operation


def _success(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    if route.answers is None:
        return {"description": "Done."}
    schema: dict[str, Any] = references[_item(route.answers)]
    if isinstance(route.answers, list):
        cursor = {"type": ["string", "null"]}
        schema = {
            "type": "object",
            "required": ["object", "data", "list_metadata"],
            "properties": {
                "object": {"const": "list"},
                "data": {"type": "array", "items": schema},
                "list_metadata": {
                    "type": "object",
                    "required": ["before", "after"],
                    "properties": {"before": cursor, "after": cursor},
                },
            },
        }
    return {"description": route.summary, "content": {"application/json": {"schema": schema}}}


def _failures(references: dict[Any, Any]) -> dict[str, Any]:
    return {
        status: {"description": text, "content": {"application/json": {"schema": references[Error]}}}
        for status, text in _ERRORS.items()
    }


def _query_schema(name: str) -> dict[str, Any]:
    match name:
        case "limit":
            return {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
        case "order":
            return {"enum": ["asc", "desc", "normal"]}
        case "range_start" | "range_end":
            return {"type": "string", "format": "date-time"}
    return {"type": "string"}


def _operation_id(route: Route) -> str:
    words = [part for part in route.segments if not part.startswith("{")]
    suffix = "_by_id" if route.segments[-1].startswith("{") else ""
    return f"{route.method.lower()}_{'_'.join(words)}{suffix}"


def _item(answers: Any) -> Any:
    return answers[0] if isinstance(answers, list) else answers
