"""The OpenAPI 3.1 document, made from the route table and the types in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from syncline.web.api.described import Parameter
from syncline.web.api.fields import meaning
from syncline.web.api.routing import Route

_REF = "#/components/schemas/{name}"
_CONTRACT = re.compile(r" \(`[a-z-]+\.md`[^)]*\)")
_TEXT = {"type": "string"}
_ABOUT = (
    "Directory sync: organizations, directories, people, groups, events, webhooks. Every call needs an API "
    "key (`Authorization: Bearer sk_…`), which opens one environment. Lists are paged by id, errors are "
    "`{message, code}`, and a POST may carry an `Idempotency-Key`."
)
_TAGS = {
    "organizations": "Your customers.",
    "organization_domains": "The domains of organizations, and the proof that they own them.",
    "directories": "The sources of people that organizations connect, and the tokens that open them.",
    "directory_users": "The people of directories; only a provider writes them.",
    "directory_groups": "The groups of directories; only a provider writes them.",
    "attributes": "What people show beyond the standard attributes, for the whole environment.",
    "environment": "What is settled for the environment of the key.",
    "authorization": "The roles that people of directories can hold.",
    "imports": "Moving in from another service; they need the scope `admin`.",
    "events": "The ordered log of every change.",
    "webhook_endpoints": "Addresses that events are sent to.",
    "api_keys": "The keys that open the environment; they need the scope `admin`.",
}
_PATHS = {
    "slug": "The slug of a role.",
    "own_slug": "The slug of a role that applies to the organization.",
    "permission": "The slug of a permission.",
    "version": "The number of a version.",
}
_ERRORS = {
    400: "The request cannot be understood.",
    401: "No API key, or one that is not valid.",
    403: "The key lacks the scope.",
    404: "No such thing in this environment.",
    409: "The request contradicts something that exists.",
    410: "The cursor lies behind the retention of events.",
    413: "The body is too large.",
    422: "A value has the wrong type, range, format or spelling.",
    429: "Too many requests; Retry-After says when to come back.",
    503: "The server is busy; Retry-After says when to come back.",
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
    tags = dict.fromkeys(route.segments[0] for route in routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Syncline",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "security": [{"api_key": []}],
        "tags": [{"name": tag, "description": _TAGS.get(tag, "")} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": {name: _described(name, schema) for name, schema in components.items()},
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with a sentence about each property, and nothing that only our own files explain."""
    if "description" in schema:
        schema["description"] = _CONTRACT.sub("", schema["description"])
    for key, value in schema.get("properties", {}).items():
        text = meaning(name, key)
        if text is not None:
            value.setdefault("description", text)
    return schema


def _operation(route: Route, references: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.segments[0]],
        "x-scope": route.needs,
        "responses": {str(route.status): _success(route, references), **_failures(route, references)},
    }
    if route.about:
        operation["description"] = route.about
    parameters = [_path_parameter(route, part[1:-1]) for part in route.segments if part.startswith("{")]
    parameters += [_query_parameter(parameter) for parameter in route.query]
    if route.method == "POST":
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "A POST repeated with the same key within a day gets the first answer.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    if parameters:
        operation["parameters"] = parameters
    if route.takes is not None:
        operation["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(route.takes)),
            "content": {
                "application/json": {"schema": references[route.takes]},
                **{media: {"schema": _TEXT} for media in route.media},
            },
        }
    return operation


def _path_parameter(route: Route, name: str) -> dict[str, Any]:
    if name == "id":
        kind = route.segments[0].replace("_", " ")
        kind = f"{kind[:-3]}y" if kind.endswith("ies") else kind[:-1]
        article = "an" if kind[0] in "aeiou" else "a"
        text = f"The id of {article} {kind.replace('api', 'API')}."
    else:
        text = _PATHS.get(name) or f"The {name.removesuffix('_id').replace('_', ' ')} id."
    return {"name": name, "in": "path", "required": True, "description": text, "schema": _TEXT}


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    if parameter.schema["type"] == "array":
        found |= {"style": "form", "explode": False}
    else:
        # An empty value is as good as none.
        found["allowEmptyValue"] = True
    return found


def _success(route: Route, references: Mapping[Any, Any]) -> dict[str, Any]:
    headers = {"X-Request-ID": {"description": "Names the request in logs and events.", "schema": _TEXT}}
    if route.answers is None:
        return {"description": "Done; the answer has no body.", "headers": headers}
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
                    "required": list(route.cursors),
                    "properties": dict.fromkeys(route.cursors, cursor),
                },
            },
        }
    return {
        "description": "A page." if isinstance(route.answers, list) else "Done.",
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    }


def _failures(route: Route, references: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the refusals that the call can meet; `x-codes` names those that are particular to it."""
    statuses = {400, 401, 403, 422, 429, 503} | {status for status, _ in route.refusals}
    if "{" in route.path:
        statuses.add(404)
    if route.method == "POST":
        # An idempotency key that is in use.
        statuses.add(409)
    if route.method != "GET":
        statuses.add(413)
    found: dict[str, Any] = {}
    for status in sorted(statuses):
        answer = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": references[Error]}},
        }
        codes = [code for refused, code in route.refusals if refused == status]
        if codes:
            answer["x-codes"] = codes
        found[str(status)] = answer
    return found


def _operation_id(route: Route) -> str:
    words = [part for part in route.segments if not part.startswith("{")]
    suffix = "_by_id" if route.segments[-1].startswith("{") else ""
    return f"{route.method.lower()}_{'_'.join(words)}{suffix}"


def _item(answers: Any) -> Any:
    return answers[0] if isinstance(answers, list) else answers
